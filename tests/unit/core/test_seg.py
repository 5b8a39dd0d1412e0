"""What a segment holds, in whichever form, as ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.core import Region, Size, bbox, crop_region, header_size, own_image, resample, seg_image, seg_mask
from unit.build import ForeignSEG, seg

CROP = (10, 20, 30, 50)  # 20 wide, 30 high
HARD = np.indices((60, 40)).sum(axis=0)[None, ..., None].repeat(3, axis=-1) // 5 % 2  # a board of black and white


def of(image: Any) -> Any:
    return seg(CROP, image=image)


def test_facts() -> None:
    one = ForeignSEG(None, torch.ones(2, 30, 20), 0.5, np.array(CROP, np.float32), [11.5, 21.9, 29, 49], "a")
    assert crop_region(one) == Region(*CROP) and bbox(one) == Region(11, 21, 29, 49)
    assert seg_mask(one).shape == (2, 30, 20) and seg_image(one) is None and own_image(one) is None
    assert header_size(((np.int64(60), 80), [one])) == Size(60, 80)


@pytest.mark.parametrize("form", ["numpy", "torch", "half", "mirrored", "with alpha"])
def test_all_forms(form: str) -> None:
    array = np.random.default_rng(0).random((2, 30, 20, 3), np.float32)
    image: Any = {
        "numpy": array,
        "torch": torch.from_numpy(array),
        "half": torch.from_numpy(array).half(),
        "mirrored": array[:, :, ::-1],
        "with alpha": np.concatenate([array, np.ones((2, 30, 20, 1), np.float32)], axis=-1),
    }[form]
    own = own_image(of(image))
    assert own is not None and own.dtype == torch.float32 and own.shape == (2, 30, 20, 3)
    wanted = torch.as_tensor(np.ascontiguousarray(image)).float()[..., :3]
    assert torch.equal(own, wanted)
    first = own_image(of(image), most=1)
    assert first is not None and torch.equal(first, wanted[:1])


@pytest.mark.parametrize("shape", [(0, 30, 20, 3), (1, 0, 20, 3), (1, 30, 0, 3)])
def test_without_pixels_there_is_none(shape: tuple[int, ...]) -> None:
    assert own_image(of(np.zeros(shape, np.float32))) is None


def test_another_size_is_fitted_and_stays_within_0_and_1() -> None:
    """A board of black and white rings where it is resampled."""
    hard = torch.from_numpy(HARD.astype(np.float32))
    own = own_image(of(hard))
    assert own is not None and own.shape == (1, 30, 20, 3)
    ringing = resample(hard, Size(30, 20))
    assert float(ringing.min()) < -0.01 and float(ringing.max()) > 1.01
    assert torch.equal(own, ringing.clamp(0, 1))
    assert (float(own.min()), float(own.max())) == (0.0, 1.0)


def test_a_region_of_it() -> None:
    image = torch.rand(2, 30, 20, 3)
    inner = own_image(of(image), Region(12, 25, 22, 45))
    assert inner is not None and torch.equal(inner, image[:, 5:25, 2:12])
    whole = own_image(of(image), Region(*CROP))
    assert whole is not None and torch.equal(whole, image)


def test_past_it_mirrored() -> None:
    image = torch.rand(1, 30, 20, 3)
    wide = own_image(of(image), Region(6, 20, 34, 52))
    wanted = np.pad(image[0].numpy(), [(0, 2), (4, 4), (0, 0)], mode="reflect")
    assert wide is not None and np.array_equal(wide[0].numpy(), wanted)
