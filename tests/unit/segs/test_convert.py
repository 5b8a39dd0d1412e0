"""SEGS to masks and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.segs import black_picture, to_combined_mask, to_image_list, to_previews
from unit.build import ForeignSEG, drawn, seg


def test_soft_masks_overlap_by_their_largest_value() -> None:
    combined = to_combined_mask(((60, 80), [seg((10, 10, 30, 30), mask=0.5), seg((20, 20, 50, 40), mask=128.5 / 255)]))
    assert combined.shape == (1, 60, 80) and combined.dtype == torch.float32
    expected = drawn(60, 80, (10, 10, 30, 30), value=0.5)
    expected[20:40, 20:50] = 128.5 / 255
    assert np.allclose(combined[0].numpy(), expected)
    swapped = to_combined_mask(((60, 80), [seg((20, 20, 50, 40), mask=128.5 / 255), seg((10, 10, 30, 30), mask=0.5)]))
    assert torch.equal(combined, swapped)


@pytest.mark.parametrize("header", [(0, 0), (0, 50), (50, 0)])
def test_no_known_size_is_a_small_black_mask(header: tuple[int, int]) -> None:
    assert torch.equal(to_combined_mask((header, [])), torch.zeros(1, 64, 64))


def test_no_segments_are_a_black_mask_of_the_pictures_size() -> None:
    assert torch.equal(to_combined_mask(((60, 80), [])), torch.zeros(1, 60, 80))


@pytest.mark.parametrize(
    ("crop", "visible"),
    [
        ((-10, -5, 20, 15), (0, 0, 20, 15)),
        ((70, 50, 100, 90), (70, 50, 80, 60)),
        ((-10, -10, 100, 100), (0, 0, 80, 60)),
        ((100, 100, 120, 130), (0, 0, 0, 0)),
        ((-40, -40, -10, -10), (0, 0, 0, 0)),
        ((10, -40, 20, -10), (0, 0, 0, 0)),
        ((-40, 10, -10, 20), (0, 0, 0, 0)),
    ],
)
def test_what_lies_outside_is_left_out(crop: Any, visible: Any) -> None:
    source = np.random.default_rng(0).random((crop[3] - crop[1], crop[2] - crop[0])).astype(np.float32)
    combined = to_combined_mask(((60, 80), [seg(crop, mask=source)]))[0].numpy()
    x1, y1, x2, y2 = visible
    expected = np.zeros((60, 80), np.float32)
    expected[y1:y2, x1:x2] = source[y1 - crop[1] : y2 - crop[1], x1 - crop[0] : x2 - crop[0]]
    assert np.array_equal(combined, expected)


@pytest.mark.parametrize("kind", ["numpy", "float64", "torch", "torch 3-D", "torch frames", "numpy frames", "half"])
def test_forms_of_masks(kind: str) -> None:
    array = drawn(20, 20, (5, 5, 15, 15))
    tensor = torch.from_numpy(array)
    frames = torch.stack([tensor * 0.25, tensor, tensor * 0.5])  # merged by the largest
    forms = {
        "numpy": array,
        "float64": array.astype(np.float64),
        "torch": tensor,
        "torch 3-D": tensor[None],
        "torch frames": frames,
        "numpy frames": frames.numpy(),
        "half": tensor.half(),
    }
    combined = to_combined_mask(((60, 80), [seg((10, 10, 30, 30), mask=forms[kind])]))
    assert np.array_equal(combined[0].numpy(), drawn(60, 80, (15, 15, 25, 25)))


def test_masks_are_not_written_to() -> None:
    mask = np.full((60, 80), 0.25, np.float32)
    combined = to_combined_mask(((60, 80), [seg((0, 0, 80, 60), mask=mask), seg((0, 0, 80, 60))]))
    assert combined.min() == 1.0 and (mask == 0.25).all()


# ------------------------------------------------------------------------------------------------ pictures


def test_no_segments_give_one_black_picture() -> None:
    for header in ((0, 0), (60, 80)):
        (picture,) = to_image_list((header, []))
        assert torch.equal(picture, torch.zeros(1, 64, 64, 3))
    assert torch.equal(black_picture(), torch.zeros(1, 64, 64, 3))


def test_own_image_then_fallback_then_black() -> None:
    own = np.random.default_rng(0).random((2, 20, 20, 3)).astype(np.float32)
    fallback = torch.rand(3, 60, 80, 3)
    segs = (
        (60, 80),
        [
            seg((10, 20, 30, 40), image=own),
            ForeignSEG(torch.from_numpy(own), np.ones((20, 20)), 1.0, [10, 20, 30, 40], (10, 20, 30, 40), "b"),
            seg((15, 25, 50, 55)),
        ],
    )
    pictures = to_image_list(segs, fallback)
    assert np.array_equal(pictures[0].numpy(), own) and np.array_equal(pictures[1].numpy(), own)
    assert torch.equal(pictures[2], fallback[:, 25:55, 15:50])
    assert torch.equal(to_image_list(segs)[2], torch.zeros(1, 64, 64, 3))


def test_a_fallback_of_another_size_moves_the_segments() -> None:
    fallback = torch.rand(1, 120, 80, 3)
    (picture,) = to_image_list(((60, 80), [seg((10, 20, 30, 40))]), fallback)
    assert torch.equal(picture, fallback[:, 40:80, 10:30])


def test_a_region_that_reaches_outside() -> None:
    fallback = torch.rand(1, 60, 80, 3)
    segs = ((60, 80), [seg((-10, -10, 20, 20)), seg((70, 50, 90, 90)), seg((100, 100, 120, 120))])
    first, second, third = to_image_list(segs, fallback)
    assert torch.equal(first, fallback[:, :20, :20])
    assert torch.equal(second, fallback[:, 50:, 70:])
    assert torch.equal(third, torch.zeros(1, 64, 64, 3))  # never a picture without pixels


def test_the_fallback_is_copied() -> None:
    fallback = torch.rand(1, 60, 80, 3)
    kept = fallback.clone()
    (picture,) = to_image_list(((60, 80), [seg((0, 0, 80, 60))]), fallback)
    picture.zero_()
    assert torch.equal(fallback, kept)


def test_a_mirrored_numpy_image() -> None:
    own = np.random.default_rng(0).random((1, 20, 20, 3)).astype(np.float32)[:, :, ::-1]
    (picture,) = to_image_list(((60, 80), [seg((10, 20, 30, 40), image=own)]))
    assert np.array_equal(picture.numpy(), own)


# ------------------------------------------------------------------------------------------------ previews


def test_previews_of_own_images_and_of_the_fallback() -> None:
    own, fallback = torch.rand(2, 20, 20, 4), torch.rand(3, 60, 80, 3)
    masks = np.random.default_rng(1).random((2, 20, 20), np.float32)
    segs = (
        (60, 80),
        [
            seg((10, 20, 30, 40), image=own, mask=masks),
            seg((70, 50, 90, 90), mask=masks[:, :40]),
            seg((100, 9, 120, 29)),
        ],
    )
    first, second = to_previews(segs, fallback)
    assert torch.equal(first.picture, own[..., :3]) and np.array_equal(first.mask.numpy(), masks)
    assert torch.equal(second.picture, fallback[:2, 50:, 70:])  # as many frames as the first has
    assert second.mask.shape == (2, 10, 10)
    (only,) = to_previews(segs)
    assert torch.equal(only.picture, first.picture)


def test_previews_merge_masks_of_another_number_of_frames() -> None:
    masks = np.random.default_rng(1).random((3, 20, 20), np.float32)
    (one,) = to_previews(((60, 80), [seg((10, 20, 30, 40), image=torch.rand(2, 20, 20, 3), mask=masks)]))
    assert np.array_equal(one.mask.numpy(), masks.max(axis=0)[None].repeat(2, axis=0))
