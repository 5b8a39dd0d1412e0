"""Cutting past the border: against numpy's padding, and masks that move there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Region, Size
from mask_detailer.core.reflect import cut_inside, cut_mirrored, inside_picture, moved_mask


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 25),
    st.integers(1, 25),
)  # fmt: skip
def test_mirrored_as_numpy_pads(height: int, width: int, x: int, y: int, w: int, h: int) -> None:
    image = torch.arange(height * width * 2, dtype=torch.float32).reshape(1, height, width, 2)
    padded = np.pad(image[0].numpy(), [(50, 50), (50, 50), (0, 0)], mode="reflect")
    cut = cut_mirrored(image, Region(x, y, x + w, y + h))
    assert np.array_equal(cut[0].numpy(), padded[50 + y : 50 + y + h, 50 + x : 50 + x + w])


def test_a_mask_moved_to_another_region_and_back() -> None:
    mask = torch.rand(1, 20, 30) + 0.1
    old, new = Region(10, 5, 40, 25), Region(-3, 0, 50, 40)
    moved = moved_mask(mask, old, new)
    assert moved.shape == (1, 40, 53)
    assert moved.sum() == pytest.approx(float(mask.sum()), rel=1e-6)
    assert torch.equal(moved_mask(moved, new, old), mask)
    assert not moved_mask(mask, old, Region(100, 100, 110, 110)).any()


def test_what_of_a_mirrored_crop_lies_in_the_picture() -> None:
    picture = torch.rand(1, 30, 40, 3)
    region = Region(-8, 10, 20, 36)
    inside, (rows, columns) = inside_picture(region, Size(30, 40))
    assert inside == Region(0, 10, 20, 30)
    crop = cut_mirrored(picture, region)
    assert torch.equal(crop[:, rows, columns], picture[:, inside.slices[0], inside.slices[1]])


@pytest.mark.parametrize(
    ("region", "visible"),
    [
        (Region(5, 6, 20, 9), Region(5, 6, 20, 9)),
        (Region(-3, -4, 6, 7), Region(0, 0, 6, 7)),
        (Region(30, 20, 50, 60), Region(30, 20, 40, 30)),
        (Region(-9, -9, 90, 90), Region(0, 0, 40, 30)),
    ],
)
def test_the_part_within_is_a_view(region: Region, visible: Region) -> None:
    picture = torch.rand(2, 30, 40, 3)
    part = cut_inside(picture, region)
    assert part is not None and torch.equal(part, picture[:, visible.y1 : visible.y2, visible.x1 : visible.x2])
    part.zero_()
    assert not picture[(slice(None), *visible.slices)].any()


@pytest.mark.parametrize(
    "region", [Region(40, 0, 50, 9), Region(0, 30, 9, 40), Region(-9, 2, 0, 5), Region(3, 3, 3, 9)]
)
def test_nothing_within_is_none(region: Region) -> None:
    assert cut_inside(torch.rand(1, 30, 40, 3), region) is None
