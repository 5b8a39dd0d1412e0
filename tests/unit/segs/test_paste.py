"""Segments put into a picture."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.core import Size, blur_mask, resample
from mask_detailer.segs import paste
from unit.build import ForeignSEG, seg

SIZE = (60, 80)
CROP = (10, 20, 30, 50)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def laid_over(frames: torch.Tensor, image: torch.Tensor, alpha: torch.Tensor, crop: Any = CROP) -> torch.Tensor:
    """By the formula, in float64."""
    out = frames.double()
    x1, y1, x2, y2 = crop
    part = out[:, y1:y2, x1:x2]
    out[:, y1:y2, x1:x2] = part + alpha[..., None].double() * (image.double() - part)
    return out


def close(made: torch.Tensor, wanted: torch.Tensor) -> bool:
    return float((made.double() - wanted).abs().max()) < 1e-6


@pytest.mark.parametrize("feather", [0, 6])
@pytest.mark.parametrize("alpha", [1.0, 0.4])
@pytest.mark.parametrize("kind", [seg, ForeignSEG])
def test_through_the_blurred_mask(feather: int, alpha: float, kind: Any) -> None:
    frames, image, mask = random(1, *SIZE, 3), random(1, 30, 20, 3, seed=1), random(30, 20, seed=2)
    mask[:, :4] = 0.0
    one = seg(CROP, mask=mask.numpy(), image=image.numpy())
    one = one if kind is seg else ForeignSEG(image, mask, 1.0, CROP, CROP, "a")
    kept = frames.clone()
    made = paste(frames, (SIZE, [one]), feather, alpha)
    assert close(made, laid_over(frames, image, alpha * blur_mask(mask[None], feather)))
    assert torch.equal(frames, kept)
    outside = torch.ones(SIZE, dtype=torch.bool)
    outside[20:50, 10:30] = False
    assert torch.equal(made[0][outside], frames[0][outside])


def test_later_segments_lie_on_earlier_ones() -> None:
    low, high = np.full((1, 30, 20, 3), 0.25, np.float32), np.full((1, 30, 20, 3), 0.75, np.float32)
    made = paste(torch.zeros(1, *SIZE, 3), (SIZE, [seg(CROP, image=low), seg((20, 20, 40, 50), image=high)]), 0, 1.0)
    assert (made[0, 30, 10:20] == 0.25).all() and (made[0, 30, 20:40] == 0.75).all()


def test_frames_pair_up_and_the_last_serves_the_rest() -> None:
    frames, image = random(4, *SIZE, 3), random(2, 30, 20, 3, seed=1)
    made = paste(frames, (SIZE, [seg(CROP, image=image)]), 0, 1.0)
    for frame, shown in enumerate((0, 1, 1, 1)):
        assert torch.equal(made[frame, 20:50, 10:30], image[shown])


def test_masks_pair_up_or_are_merged() -> None:
    frames, image, masks = random(2, *SIZE, 3), random(1, 30, 20, 3, seed=1), random(2, 30, 20, seed=2)
    made = paste(frames, (SIZE, [seg(CROP, mask=masks, image=image)]), 0, 1.0)
    assert close(made, laid_over(frames, image, masks))
    three = random(3, 30, 20, seed=3)
    made = paste(frames, (SIZE, [seg(CROP, mask=three, image=image)]), 0, 1.0)
    assert close(made, laid_over(frames, image, three.amax(dim=0, keepdim=True)))


def test_an_image_of_another_size_is_fitted_within_0_and_1() -> None:
    """A board of black and white rings where it is resampled, and the ringing must not come into the picture."""
    board = torch.from_numpy(np.indices((60, 40)).sum(axis=0) // 6 % 2).float()[None, ..., None].repeat(1, 1, 1, 3)
    assert float(resample(board, Size(30, 20)).max()) > 1.01
    made = paste(random(1, *SIZE, 3), (SIZE, [seg(CROP, image=board)]), 0, 1.0)
    part = made[:, 20:50, 10:30]
    assert torch.equal(part, resample(board, Size(30, 20)).clamp(0, 1))
    assert (float(part.min()), float(part.max())) == (0.0, 1.0)


@pytest.mark.parametrize("crop", [(-8, -5, 12, 25), (70, 40, 90, 70)])
def test_what_lies_in_the_picture_is_pasted(crop: Any) -> None:
    image = random(1, 30, 20, 3, seed=1)
    made = paste(torch.zeros(1, *SIZE, 3), (SIZE, [seg(crop, image=image)]), 0, 1.0)
    x1, y1, x2, y2 = max(crop[0], 0), max(crop[1], 0), min(crop[2], 80), min(crop[3], 60)
    wanted = torch.zeros(1, *SIZE, 3)
    wanted[:, y1:y2, x1:x2] = image[:, y1 - crop[1] : y2 - crop[1], x1 - crop[0] : x2 - crop[0]]
    assert torch.equal(made, wanted)


def test_a_reference_is_taken_instead() -> None:
    frames, reference = random(2, *SIZE, 3), random(1, *SIZE, 3, seed=1)
    made = paste(frames, (SIZE, [seg(CROP, image=random(1, 30, 20, 3))]), 0, 1.0, reference)
    assert torch.equal(made[:, 20:50, 10:30], reference[:, 20:50, 10:30].expand(2, -1, -1, -1))
    large = random(1, 120, 160, 3, seed=2)
    made = paste(frames, (SIZE, [seg(CROP)]), 0, 1.0, large)
    assert torch.equal(made[:1, 20:50, 10:30], resample(large, Size(*SIZE)).clamp(0, 1)[:, 20:50, 10:30])


def test_segments_of_another_size_are_moved() -> None:
    made = paste(torch.zeros(1, 120, 160, 3), (SIZE, [seg(CROP, image=np.ones((1, 30, 20, 3), np.float32))]), 0, 1.0)
    wanted = torch.zeros(1, 120, 160, 3)
    wanted[:, 40:100, 20:60] = 1.0
    assert float((made - wanted).abs().max()) < 1e-6


def test_what_is_left_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mask_detailer")
    frames = random(1, *SIZE, 3)
    nothing = np.zeros((0, 30, 20, 3), np.float32)
    segs = (SIZE, [seg(CROP), seg((90, 0, 99, 9), image=np.ones((1, 9, 9, 3), np.float32)), seg(CROP, image=nothing)])
    assert torch.equal(paste(frames, segs, 5, 1.0), frames)
    assert [record.getMessage() for record in caplog.records] == [
        "segment 1: not pasted, it has no image of its own",
        "segment 2: not pasted, it lies outside the picture",
        "segment 3: not pasted, it has no image of its own",
    ]
