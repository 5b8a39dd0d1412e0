"""Crop regions cut to one aspect: the part stays in them, and more is cut where there is more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Region
from mask_detailer.detailer.hooks.fixed_size import FIXED_SIZES, FixedSizeHook

SIZES = st.sampled_from(sorted(FIXED_SIZES))


@pytest.mark.parametrize(
    ("mode", "box", "region", "wanted"),
    [
        ("512x512", (40, 40, 60, 60), [20, 0, 80, 100], [20, 20, 80, 80]),  # 40 above, 40 below
        ("512x512", (40, 0, 60, 20), [20, 0, 80, 100], [20, 0, 80, 60]),  # at the top border
        ("512x512", (40, 80, 60, 100), [20, 0, 80, 100], [20, 40, 80, 100]),  # at the bottom border
        ("512x512", (0, 40, 20, 60), [0, 20, 100, 80], [0, 20, 60, 80]),
        ("768x512", (20, 60, 100, 98), [20, 20, 100, 100], [20, 45, 100, 98]),  # the part needs it further down
        ("512x768", (40, 40, 60, 60), [10, 0, 90, 120], [10, 0, 90, 120]),  # the aspect already
        ("768x512", (20, 10, 40, 90), [10, 0, 50, 100], [10, 10, 50, 90]),  # the part is longer than the aspect
    ],
)
def test_regions(mode: str, box: tuple[int, ...], region: list[int], wanted: list[int]) -> None:
    assert FixedSizeHook(FIXED_SIZES[mode]).post_crop_region(200, 200, box, region) == wanted


@given(mode=SIZES, data=st.data())
def test_the_part_stays_in_and_the_region_never_grows(mode: str, data: st.DataObject) -> None:
    x1, y1 = data.draw(st.integers(0, 100)), data.draw(st.integers(0, 100))
    region = Region(x1, y1, x1 + data.draw(st.integers(4, 300)), y1 + data.draw(st.integers(4, 300)))
    left, top = data.draw(st.integers(region.x1, region.x2 - 2)), data.draw(st.integers(region.y1, region.y2 - 2))
    box = Region(left, top, data.draw(st.integers(left + 1, region.x2)), data.draw(st.integers(top + 1, region.y2)))
    hook = FixedSizeHook(FIXED_SIZES[mode])
    made = Region(*hook.post_crop_region(500, 500, box.as_tuple(), region.as_list()))
    assert made.union(box) == made
    assert made.union(region) == region
    wished = hook.touch_scaled_size(made.width, made.height)
    assert f"{wished[0]}x{wished[1]}" == mode
