"""SEGS moved to another picture size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.core import SEG, SEGS, Size, resample
from mask_detailer.segs import rescale
from unit.build import ForeignSEG, seg


def one(segs: SEGS) -> SEG:
    (only,) = segs[1]
    return only


@pytest.mark.parametrize(
    ("header", "new", "crop", "box", "new_crop", "new_box"),
    [
        ((60, 80), (120, 160), (10, 20, 30, 40), (12, 22, 28, 38), (20, 40, 60, 80), (24, 44, 56, 76)),
        ((60, 80), (60, 160), (10, 20, 30, 40), (12, 22, 28, 38), (20, 20, 60, 40), (24, 22, 56, 38)),
        ((60, 80), (120, 80), (10, 20, 30, 40), (12, 22, 28, 38), (10, 40, 30, 80), (12, 44, 28, 76)),
        ((100, 100), (200, 300), (10, 10, 20, 20), (11, 11, 19, 19), (30, 20, 60, 40), (33, 22, 57, 38)),
        ((60, 80), (120, 160), (-10, -20, 30, 40), (70, 50, 90, 70), (-20, -40, 60, 80), (140, 100, 180, 140)),
    ],
)
def test_regions(header: Any, new: Any, crop: Any, box: Any, new_crop: Any, new_box: Any) -> None:
    moved = rescale((header, [seg(crop, box)]), Size(*new))
    assert moved[0] == new
    assert type(moved[0]) is tuple and all(type(side) is int for side in moved[0])
    assert (one(moved).crop_region, one(moved).bbox) == (new_crop, new_box)
    assert one(moved).cropped_mask.shape == (new_crop[3] - new_crop[1], new_crop[2] - new_crop[0])


@pytest.mark.parametrize("side", [57, 58, 113, 114, 115, 116])
def test_a_whole_region_stays_whole(side: int) -> None:
    moved = one(rescale(((100, 100), [seg((0, 0, 100, 100))]), Size(side, side)))
    assert moved.crop_region == moved.bbox == (0, 0, side, side)
    assert moved.cropped_mask.shape == (side, side)


def test_masks_are_bilinear() -> None:
    mask = np.random.default_rng(1).random((20, 30)).astype(np.float32)
    moved = one(rescale(((60, 80), [seg((10, 20, 40, 40), mask=mask)]), Size(120, 160))).cropped_mask
    assert moved.dtype == np.float32
    for out_y in (1, 8, 38):
        for out_x in (1, 16, 57):
            at_y, at_x = (out_y + 0.5) / 2 - 0.5, (out_x + 0.5) / 2 - 0.5
            y, x = int(at_y), int(at_x)
            fy, fx = at_y - y, at_x - x
            top = (1 - fx) * mask[y, x] + fx * mask[y, min(x + 1, 29)]
            bottom = (1 - fx) * mask[min(y + 1, 19), x] + fx * mask[min(y + 1, 19), min(x + 1, 29)]
            assert abs(moved[out_y, out_x] - ((1 - fy) * top + fy * bottom)) < 1e-6


def test_nothing_to_do_is_the_same_object() -> None:
    for segs in (((60, 80), [seg((0, 0, 5, 5))]), ((0, 0), []), ((0, 0), [seg((0, 0, 5, 5))]), ((0, 9), [])):
        assert rescale(segs, Size(60, 80)) is segs


def test_no_segments_get_the_new_header() -> None:
    assert rescale(((60, 80), []), Size(10, 20)) == ((10, 20), [])


def test_a_header_of_another_kind() -> None:
    segs = ([np.int64(60), np.int64(80)], [seg((10, 20, 30, 40))])
    assert one(rescale(segs, Size(120, 160))).crop_region == (20, 40, 60, 80)
    assert rescale(segs, Size(60, 80)) is segs


FORMS = {
    "numpy 2-D": lambda mask: mask,
    "numpy float64": lambda mask: mask.astype(np.float64),
    "numpy uint8": lambda mask: mask.astype(np.uint8),
    "numpy bool": lambda mask: mask.astype(bool),
    "torch 2-D": torch.from_numpy,
    "torch half": lambda mask: torch.from_numpy(mask).half(),
    "torch 3-D": lambda mask: torch.from_numpy(mask)[None],
    "torch frames": lambda mask: torch.from_numpy(mask).expand(3, -1, -1),
    "numpy frames": lambda mask: np.stack([mask] * 3),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_masks(form: str) -> None:
    kept = FORMS[form](np.ones((20, 20), np.float32))
    moved = one(rescale(((60, 80), [seg((10, 20, 30, 40), mask=kept)]), Size(120, 160))).cropped_mask
    if kept.ndim == 2:
        assert isinstance(moved, np.ndarray) and moved.shape == (40, 40)
    else:
        assert isinstance(moved, torch.Tensor) and moved.shape == (kept.shape[0], 40, 40)
    assert str(moved.dtype).removeprefix("torch.") == "float32"
    assert float(moved.min()) == float(moved.max()) == 1.0


@pytest.mark.parametrize("as_tensor", [False, True])
def test_images_are_resampled_with_lanczos(as_tensor: bool) -> None:
    image = torch.rand(2, 20, 20, 3)
    segs = ((60, 80), [seg((10, 20, 30, 40), image=image if as_tensor else image.numpy())])
    moved = one(rescale(segs, Size(90, 100)))
    assert isinstance(moved.cropped_image, np.ndarray) and moved.cropped_image.dtype == np.float32
    expected = resample(image, Size(30, 25)).clamp(0, 1)
    assert np.array_equal(moved.cropped_image, expected.numpy())


def test_the_other_fields_stay_and_other_packs_segments_work() -> None:
    wrapper, confidence = object(), np.array([0.5], np.float32)
    box = np.array([12.5, 22, 28, 38], np.float32)
    foreign = ForeignSEG(None, np.ones((20, 20)), confidence, np.array([10, 20, 30, 40]), box, None, wrapper)
    moved = one(rescale(((60, 80), [foreign]), Size(120, 160)))
    assert moved.crop_region == (20, 40, 60, 80) and moved.bbox == (24, 44, 56, 76)
    assert (moved.confidence, moved.label, moved.control_net_wrapper) == (confidence, None, wrapper)
    assert moved.cropped_image is None


@pytest.mark.parametrize("crop", [(10, 10, 11, 11), (79, 59, 80, 60), (0, 0, 1, 60), (40, 30, 80, 31)])
def test_a_region_keeps_a_pixel(crop: tuple[int, int, int, int]) -> None:
    moved = one(rescale(((60, 80), [seg(crop)]), Size(3, 4)))
    x1, y1, x2, y2 = moved.crop_region
    assert 0 <= x1 < x2 <= 4 and 0 <= y1 < y2 <= 3
    assert moved.cropped_mask.shape == (y2 - y1, x2 - x1)


def test_an_empty_region_of_a_detector_does_not_fail() -> None:
    moved = one(rescale(((60, 80), [seg((10, 10, 10, 20), mask=np.zeros((10, 0), np.float32))]), Size(120, 160)))
    assert not moved.cropped_mask.any()
