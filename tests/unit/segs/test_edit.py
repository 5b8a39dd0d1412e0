"""Masks, boxes and pictures of segments changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Size
from mask_detailer.segs import (
    blur,
    dilate,
    rescale,
    scale_bbox,
    to_previews,
    with_default_images,
    with_fields,
    without_images,
)
from unit import oracles
from unit.build import ForeignSEG, drawn, seg

HEADER = (60, 80)


def foreign(mask: Any, image: Any = None) -> Any:
    return ForeignSEG(image, mask, 0.5, (10, 10, 30, 30), np.array([12.5, 12, 28, 28]), "b", "wrapper")


def others(one: Any) -> tuple[Any, ...]:
    return one.cropped_image, one.confidence, one.crop_region, one.label, one.control_net_wrapper


def test_fields_of_a_foreign_segment() -> None:
    class Bare:
        cropped_image, cropped_mask, confidence, crop_region, bbox, label = range(6)

    assert with_fields(Bare(), label="x") == (0, 1, 2, 3, 4, "x", None)  # type: ignore[arg-type]
    assert with_fields(foreign(None), cropped_mask=1).control_net_wrapper == "wrapper"


@pytest.mark.parametrize(("amount", "low", "high"), [(2, 10, 11), (3, 9, 11), (10, 6, 15), (11, 5, 15)])
def test_dilation_of_one_pixel(amount: int, low: int, high: int) -> None:
    made = dilate((HEADER, [seg((10, 10, 30, 30), mask=drawn(20, 20, (10, 10, 11, 11)))]), amount)[1][0]
    assert np.array_equal(made.cropped_mask, drawn(20, 20, (low, low, high + 1, high + 1)))


def test_erosion_and_no_dilation() -> None:
    mask = drawn(20, 20, (5, 5, 15, 15))
    segs = (HEADER, [seg((10, 10, 30, 30), mask=mask)])
    assert np.array_equal(dilate(segs, -4)[1][0].cropped_mask, drawn(20, 20, (7, 7, 14, 14)))
    for amount in (-1, 0, 1):
        assert np.array_equal(dilate(segs, amount)[1][0].cropped_mask, mask)
    assert np.array_equal(mask, drawn(20, 20, (5, 5, 15, 15)))


@pytest.mark.parametrize(
    "form", [torch.ones(1, 20, 20), torch.ones(20, 20, dtype=torch.bool), np.ones((3, 20, 20)), torch.ones(3, 20, 20)]
)
def test_edits_take_every_form_and_keep_the_rest(form: Any) -> None:
    one = foreign(form)
    frames = (3, 20, 20) if tuple(form.shape) == (3, 20, 20) else (20, 20)
    for made in (dilate((HEADER, [one]), 5)[1][0], blur((HEADER, [one]), 5, 10.0)[1][0], scale_bbox(one, 1.0)):
        assert type(made.cropped_mask) is np.ndarray and made.cropped_mask.dtype == np.float32
        assert made.cropped_mask.shape == frames
        assert others(made) == others(one)


def test_a_mask_without_pixels() -> None:
    empty = (HEADER, [seg((10, 10, 10, 10))])
    assert dilate(empty, 5)[1][0].cropped_mask.shape == (0, 0)
    assert blur(empty, 5, 10.0)[1][0].cropped_mask.shape == (0, 0)


def test_blur() -> None:
    mask = drawn(40, 40, (12, 15, 25, 30))
    segs = (HEADER, [seg((10, 10, 50, 50), mask=mask)])
    made = blur(segs, 5, 10.0)[1][0].cropped_mask
    assert np.abs(made - oracles.blurred(mask, 11)).max() < 1e-6
    assert np.array_equal(blur(segs, 0, 10.0)[1][0].cropped_mask, mask)
    sharper = blur(segs, 5, 0.5)[1][0].cropped_mask
    assert np.abs(sharper - mask).sum() < np.abs(made - mask).sum() / 3


# ------------------------------------------------------------------------------------------------ bounding boxes


@pytest.mark.parametrize(
    ("factor", "start", "end"),
    [(1.0, 20, 31), (0.5, 22, 29), (1.3, 19, 32), (2.0, 15, 36), (0.01, 25, 26), (8.0, -18, 69)],
)
def test_scaled_boxes(factor: float, start: int, end: int) -> None:
    made = scale_bbox(seg((0, 0, 60, 60), (20, 20, 31, 31)), factor)
    assert made.bbox == (start, start, end, end) and all(type(side) is int for side in made.bbox)
    assert made.crop_region == [0, 0, 60, 60]
    low, high = max(start, 0), min(end, 60)
    assert np.array_equal(made.cropped_mask, drawn(60, 60, (low, low, high, high)))


def test_scaled_box_beside_its_crop_and_unsigned_numbers() -> None:
    made = scale_bbox(seg((30, 30, 40, 40), (0, 0, 10, 10)), 1.0)
    assert not made.cropped_mask.any()
    unsigned = ForeignSEG(None, np.ones((40, 40)), 1.0, [0, 0, 40, 40], np.array([2, 2, 12, 12], np.uint32), "a")
    assert scale_bbox(unsigned, 2.0).bbox == (-3, -3, 17, 17)


@given(st.floats(0.01, 8.0), st.integers(0, 30), st.integers(0, 30), st.integers(1, 30), st.integers(1, 30))
def test_scaled_box_cuts_and_adds_nothing(factor: float, x: int, y: int, width: int, height: int) -> None:
    mask = np.random.default_rng(x).random((50, 60)).astype(np.float32)
    made = scale_bbox(seg((0, 0, 60, 50), (x, y, x + width, y + height), mask), factor)
    x1, y1, x2, y2 = made.bbox
    rows, columns = np.mgrid[:50, :60]
    inside = (rows >= y1) & (rows < y2) & (columns >= x1) & (columns < x2)
    assert np.array_equal(made.cropped_mask, np.where(inside, mask, 0))
    assert x1 + x2 == 2 * x + width and y1 + y2 == 2 * y + height  # about the same centre


# ------------------------------------------------------------------------------------------------ pictures


def test_default_images() -> None:
    image = torch.rand(3, 120, 160, 3)
    own = np.zeros((1, 20, 20, 3), np.float32)
    segs = (HEADER, [seg((10, 20, 30, 40), image=own), foreign(np.ones((20, 20)), None), seg((-10, -10, 20, 20))])
    header, made = with_default_images(segs, image, True)
    assert header == (120, 160)
    assert torch.equal(made[0].cropped_image, image[:, 40:80, 20:60])
    assert torch.equal(made[1].cropped_image, image[:, 20:60, 20:60]) and made[1].control_net_wrapper == "wrapper"
    assert torch.equal(made[2].cropped_image, image[:, :40, :40])
    kept = with_default_images(segs, image, False)[1]
    assert kept[0].cropped_image.shape == (1, 40, 40, 3) and not np.any(kept[0].cropped_image)
    assert torch.equal(kept[1].cropped_image, made[1].cropped_image)
    made[0].cropped_image.zero_()
    assert image[:, 40:80, 20:60].min() >= 0 and image[:, 40:80, 20:60].max() > 0.5
    assert with_default_images((HEADER, []), image, True) == ((120, 160), [])
    assert all(one.cropped_image is None for one in without_images((header, made))[1])
    assert without_images((header, made))[1][1].control_net_wrapper == "wrapper"


def test_previews() -> None:
    fallback = torch.rand(3, 60, 80, 3)
    own = np.random.default_rng(0).random((2, 40, 40, 3)).astype(np.float32)
    masks = torch.rand(2, 20, 20)
    segs = (HEADER, [seg((10, 20, 30, 40), mask=masks, image=own), seg((0, 0, 20, 20), mask=0.5), seg((90, 0, 95, 5))])
    first, second = to_previews(segs, fallback)
    assert np.array_equal(first.picture.numpy(), own) and first.mask.shape == (2, 40, 40)
    assert torch.equal(second.picture, fallback[:2, :20, :20]) and torch.equal(
        second.mask, torch.full((2, 20, 20), 0.5)
    )
    (only,) = to_previews((HEADER, [seg((0, 0, 20, 20)), segs[1][0]._replace(cropped_mask=torch.rand(5, 20, 20))]))
    assert len(only.picture) == 2 and torch.equal(only.mask[0], only.mask[1])
    assert to_previews((HEADER, [])) == to_previews((HEADER, []), fallback) == []
    (moved,) = to_previews((HEADER, [seg((10, 20, 30, 40))]), torch.rand(1, 120, 80, 3))
    assert moved.picture.shape == (1, 40, 20, 3) and moved.mask.shape == (1, 40, 20)


@given(st.integers(1, 200), st.integers(1, 200))
def test_rescaling_keeps_neighbours_together(height: int, width: int) -> None:
    """Regions that share a border still do, and those that fill the picture still do."""
    parts = [(0, 0, 37, 60), (37, 0, 80, 60)]
    moved = rescale((HEADER, [seg(part) for part in parts]), Size(height, width))
    first, second = (one.bbox for one in moved[1])
    assert first[2] == second[0] and (first[0], second[2]) == (0, width) and (second[1], second[3]) == (0, height)


@pytest.mark.parametrize(
    ("factor", "box"),
    [(2.0, (0, 10, 60, 50)), (0.5, (22, 25, 38, 35)), (1.0, (15, 20, 45, 40))],  # 7.5 is truncated
)
def test_a_box_that_is_not_square_grows_along_each_side(factor: float, box: tuple[int, int, int, int]) -> None:
    one = scale_bbox(seg((0, 10, 60, 60), (15, 20, 45, 40)), factor)
    assert one.bbox == box
    assert np.array_equal(one.cropped_mask, drawn(50, 60, (box[0], box[1] - 10, box[2], box[3] - 10)))
