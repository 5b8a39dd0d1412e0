"""Regions: crop regions around a box, and moving to another picture size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Region, Size
from unit import oracles

HUNDRED = Size(100, 100)


@pytest.mark.parametrize(
    ("box", "factor", "minimum", "expected"),
    [
        ((40, 51), 1.5, None, (37, 53)),  # 16.5 long: the fraction is cut off
        ((88, 99), 1.5, None, (83, 100)),  # slid to the far border: one pixel longer
        ((5, 16), 1.5, None, (2, 18)),
        ((0, 10), 3.0, None, (0, 30)),  # snapped to the near border, length kept
        ((60, 99), 2.35, None, (8, 100)),
        ((40, 50), 1.0, 33, (28, 61)),
        ((1, 4), 1.5, None, (0, 4)),
        ((0, 100), 3.0, None, (0, 100)),
        ((40, 50), 1.0, None, (40, 50)),
        ((40, 50), 4.0, 33, (25, 65)),  # the minimum does not shorten
        ((40, 50), 1.0, 500, (0, 100)),
    ],
)
def test_grown_axis_by_axis(
    box: tuple[int, int], factor: float, minimum: int | None, expected: tuple[int, int]
) -> None:
    fixed = (30, 40)
    across = Region(box[0], fixed[0], box[1], fixed[1]).grown(factor, HUNDRED, minimum)
    down = Region(fixed[0], box[0], fixed[1], box[1]).grown(factor, HUNDRED, minimum)
    assert (across.x1, across.x2) == expected
    assert (down.y1, down.y2) == expected


def test_grown_axes_are_independent() -> None:
    grown = Region(0, 60, 10, 99).grown(2.35, Size(100, 400))
    assert grown.as_tuple() == (0, 8, 23, 100)


@st.composite
def boxes_in_pictures(draw: st.DrawFn) -> tuple[Region, Size]:
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
    return Region(x1, y1, x2, y2), Size(height, width)


# Sixteenths are exact in binary, so that float and fraction cannot part at a rounding edge.
FACTORS = st.integers(16, 16 * 100).map(lambda sixteenths: sixteenths / 16)
MINIMUMS = st.none() | st.integers(1, 400)


@given(boxes_in_pictures(), FACTORS, MINIMUMS)
def test_grown_is_the_restated_formula(case: tuple[Region, Size], factor: float, minimum: int | None) -> None:
    box, size = case
    expected = oracles.grown(box.as_tuple(), factor, size.height, size.width, minimum)
    assert box.grown(factor, size, minimum).as_tuple() == expected


@given(boxes_in_pictures(), FACTORS, MINIMUMS)
def test_grown_properties(case: tuple[Region, Size], factor: float, minimum: int | None) -> None:
    box, size = case
    grown = box.grown(factor, size, minimum)
    assert grown.inside(size)
    assert not grown.is_empty
    assert all(type(value) is int for value in grown.as_list())
    for low, high, first, last, limit in (
        (grown.x1, grown.x2, box.x1, box.x2, size.width),
        (grown.y1, grown.y2, box.y1, box.y2, size.height),
    ):
        wished = max((last - first) * factor, minimum or 0)
        if wished >= limit:
            assert (low, high) == (0, limit)
        elif high == limit:
            assert high - low in (int(wished), -int(-wished // 1))
        else:
            assert high - low == int(wished)
        if first - (wished - (last - first)) / 2 <= -1:
            assert low == 0


@given(boxes_in_pictures(), st.integers(1, 20).map(float))
def test_a_whole_factor_keeps_the_box_in_its_crop(case: tuple[Region, Size], factor: float) -> None:
    box, size = case
    assert box.intersection(box.grown(factor, size)) == box


@pytest.mark.parametrize(
    ("first", "second", "intersection", "union"),
    [
        ((0, 0, 10, 10), (5, 6, 20, 8), (5, 6, 10, 8), (0, 0, 20, 10)),
        ((0, 0, 10, 10), (2, 2, 4, 4), (2, 2, 4, 4), (0, 0, 10, 10)),
        ((0, 0, 10, 10), (10, 0, 20, 10), None, (0, 0, 20, 10)),  # touching is not overlapping
        ((0, 0, 10, 10), (30, 40, 50, 60), None, (0, 0, 50, 60)),
        ((-5, -5, 3, 3), (0, 0, 10, 10), (0, 0, 3, 3), (-5, -5, 10, 10)),
    ],
)
def test_intersection_and_union(
    first: tuple[int, ...], second: tuple[int, ...], intersection: tuple[int, ...] | None, union: tuple[int, ...]
) -> None:
    for a, b in ((Region(*first), Region(*second)), (Region(*second), Region(*first))):
        common = a.intersection(b)
        assert a.union(b).as_tuple() == union
        assert a.overlaps(b) is (intersection is not None)
        assert min(common.width, common.height) >= 0
        if intersection is None:
            assert common.is_empty
        else:
            assert common.as_tuple() == intersection


def test_relative_and_shifted_and_slices() -> None:
    region, origin = Region(12, 23, 20, 40), Region(10, 20, 50, 60)
    inner = region.relative_to(origin)
    assert inner.as_tuple() == (2, 3, 10, 20)
    assert inner.shifted(10, 20) == region
    picture = np.arange(100 * 100).reshape(100, 100)
    assert np.array_equal(picture[origin.slices][inner.slices], picture[23:40, 12:20])


@pytest.mark.parametrize("new", [57, 58, 113, 114, 115, 116])
def test_rescaling_loses_no_last_pixel(new: int) -> None:
    whole = Region.whole(HUNDRED)
    assert whole.rescaled(HUNDRED, Size(new, new)) == Region(0, 0, new, new)


@pytest.mark.parametrize(
    ("region", "old", "new", "expected"),
    [
        ((10, 20, 30, 40), (60, 80), (120, 160), (20, 40, 60, 80)),
        ((12, 22, 28, 38), (60, 80), (120, 160), (24, 44, 56, 76)),
        ((10, 20, 30, 40), (60, 80), (60, 160), (20, 20, 60, 40)),  # x by the width's ratio, y by the height's
        ((10, 20, 30, 40), (60, 80), (120, 80), (10, 40, 30, 80)),
        ((10, 10, 20, 20), (100, 100), (200, 300), (30, 20, 60, 40)),
        ((-3, -5, 7, 9), (10, 10), (15, 15), (-4, -7, 10, 13)),  # towards zero on both sides of it
    ],
)
def test_rescaled(
    region: tuple[int, ...], old: tuple[int, int], new: tuple[int, int], expected: tuple[int, ...]
) -> None:
    assert Region(*region).rescaled(Size(*old), Size(*new)).as_tuple() == expected


def test_rescaled_is_exact_for_huge_pictures() -> None:
    side = 10**9 + 7
    assert Region(0, 0, side, side).rescaled(Size(side, side), Size(3, 10**17 + 1)) == Region(0, 0, 10**17 + 1, 3)


@pytest.mark.parametrize(
    "box",
    [
        [1, 2, 30, 40],
        (1.9, 2.0, 30.5, 40.99),
        np.array([1, 2, 30, 40], np.uint32),
        np.array([1.5, 2.5, 30.5, 40.5], np.float32),
        tuple(np.array([1, 2, 30, 40])),
    ],
)
def test_of_reads_every_kind_of_box(box: object) -> None:
    region = Region.of(box)
    assert region.as_tuple() == (1, 2, 30, 40)
    assert all(type(value) is int for value in region.as_list())


@pytest.mark.parametrize("box", [[], [1, 2, 3], [1, 2, 3, 4, 5]])
def test_of_refuses_other_counts(box: list[int]) -> None:
    with pytest.raises(ValueError, match=f"not {len(box)}"):
        Region.of(box)


def test_sizes() -> None:
    size = Size(30, 40)
    assert (size.shorter, size.longer, str(size)) == (30, 40, "40x30")
    assert Region.whole(size).size == size
    assert str(Region(5, 6, 45, 36)) == "40x30 at 5,6"


@pytest.mark.parametrize(
    ("region", "wanted"),
    [
        ((5, 6, 20, 9), (5, 6, 20, 9)),
        ((-3, -4, 50, 60), (0, 0, 40, 30)),
        ((30, 20, 41, 31), (30, 20, 40, 30)),
        ((-9, 10, -2, 20), (0, 10, 0, 20)),
        ((50, 40, 60, 70), (50, 40, 50, 40)),
    ],
)
def test_within(region: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    found = Region(*region).within(Size(30, 40))
    assert found == Region(*region).intersection(Region(0, 0, 40, 30)) == Region(*wanted)


@pytest.mark.parametrize(
    ("size", "multiple", "wanted"),
    [
        ((30, 40), 8, (24, 40)),
        ((31, 47), 8, (24, 40)),
        ((32, 48), 16, (32, 48)),
        ((5, 100), 16, (16, 96)),  # at least one
        ((0, 0), 8, (8, 8)),
        ((33, 7), 1, (33, 7)),
    ],
)
def test_rounded_down(size: tuple[int, int], multiple: int, wanted: tuple[int, int]) -> None:
    assert Size(*size).rounded_down(multiple) == Size(*wanted)


def test_padded() -> None:
    assert Region(5, 6, 7, 8).padded(3) == Region(2, 3, 10, 11)
