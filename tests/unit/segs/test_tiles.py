"""A picture in tiles."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mask_detailer.core import SEGS, Size
from mask_detailer.segs import IRREGULAR_MODES, Tiling, make_tiles
from unit.build import seg
from unit.oracles import grown


def starts(segs: SEGS) -> tuple[list[int], list[int]]:
    """Columns and rows; the tiles must be all their crossings, row by row."""
    boxes = [one.bbox for one in segs[1]]
    columns, rows = sorted({box[0] for box in boxes}), sorted({box[1] for box in boxes})
    assert [(box[0], box[1]) for box in boxes] == [(x, y) for y in rows for x in columns]
    return columns, rows


@pytest.mark.parametrize(
    ("width", "height", "side", "overlap", "columns", "rows"),
    [
        (1024, 768, 512, 5, [0, 256, 512], [0, 256]),
        (1000, 1000, 512, 5, [0, 488], [0, 488]),
        (130, 130, 64, 0, [0, 33, 66], [0, 33, 66]),
        (700, 64, 64, 32, [*range(0, 621, 31), 636], [0]),
        (513, 512, 512, 5, [0, 1], [0]),
        (512, 512, 512, 5, [0], [0]),
        (30, 20, 64, 5, [0, 10], [0]),
    ],
)
def test_recorded_starts(width: int, height: int, side: int, overlap: int, columns: Any, rows: Any) -> None:
    segs = make_tiles(Size(height, width), Tiling(side, overlap))
    assert starts(segs) == (columns, rows)
    assert segs[0] == (height, width)


def test_tiles_shrink_to_the_picture() -> None:
    segs = make_tiles(Size(300, 511), Tiling(512, 5))
    assert [one.bbox for one in segs[1]] == [(0, 0, 300, 300), (211, 0, 511, 300)]


def test_a_tile_as_segment() -> None:
    for one in make_tiles(Size(768, 1024), Tiling(512, 5, 3.0))[1]:
        assert one.crop_region == [0, 0, 1024, 768]
        assert (one.confidence, one.label, one.cropped_image, one.control_net_wrapper) == (1.0, "", None, None)
        x1, y1, x2, y2 = one.bbox
        expected = np.zeros((768, 1024), np.float32)
        expected[y1:y2, x1:x2] = 1.0
        assert one.cropped_mask.dtype == np.float32 and np.array_equal(one.cropped_mask, expected)


sizes = st.integers(16, 400)


@given(sizes, sizes, st.integers(8, 200), st.integers(0, 250), st.sampled_from([1.0, 1.25, 1.5, 2.0, 3.0, 4.0]))
def test_every_pixel_lies_in_a_tile_and_no_tile_comes_twice(
    width: int, height: int, side: int, overlap: int, factor: float
) -> None:
    segs = make_tiles(Size(height, width), Tiling(side, overlap, factor))
    covered = np.zeros((height, width), bool)
    for one in segs[1]:
        x1, y1, x2, y2 = one.bbox
        assert x2 - x1 == y2 - y1 == min(side, width, height)
        assert min(x1, y1) >= 0 and x2 <= width and y2 <= height
        assert tuple(one.crop_region) == grown(one.bbox, factor, height, width)
        covered[y1:y2, x1:x2] = True
    assert covered.all()
    assert len({one.bbox for one in segs[1]}) == len(segs[1])
    columns, _ = starts(segs)
    assert all(b - a <= side - min(overlap, min(side, width, height) // 2) for a, b in pairwise(columns))


def in_block() -> SEGS:
    return (300, 400), [seg((100, 50, 200, 150))]


@pytest.mark.parametrize(("dilation", "columns", "rows"), [(0, [100, 135], [50, 85]), (20, [91, 145], [41, 95])])
def test_only_what_is_covered(dilation: int, columns: Any, rows: Any) -> None:
    segs = make_tiles(Size(300, 400), Tiling(64, 0, dilation=dilation), in_block())
    assert starts(segs) == (columns, rows)
    low, high = (9, 10) if dilation else (0, 0)
    allowed = np.zeros((300, 400), bool)
    allowed[50 - low : 150 + high, 100 - low : 200 + high] = True
    for one in segs[1]:
        x1, y1, x2, y2 = one.crop_region
        tile = np.zeros((300, 400), bool)
        tile[one.bbox[1] : one.bbox[3], one.bbox[0] : one.bbox[2]] = True
        assert np.array_equal(one.cropped_mask != 0, (tile & allowed)[y1:y2, x1:x2])


def test_what_is_covered_is_left_out() -> None:
    outside = ((300, 400), [seg((0, 0, 200, 300))])
    for one in make_tiles(Size(300, 400), Tiling(100, 0, 1.0, dilation=0), None, outside)[1]:
        assert one.bbox[2] > 200
        assert one.cropped_mask.sum() == 100 * (one.bbox[2] - max(one.bbox[0], 200))
    assert make_tiles(Size(300, 400), Tiling(100), None, ((300, 400), [seg((0, 0, 400, 300))])) == ((300, 400), [])


def test_filters_that_say_nothing() -> None:
    plain = make_tiles(Size(60, 80), Tiling(32))
    for unknown in (((0, 0), []), ((0, 0), [seg((0, 0, 4, 4))]), ((0, 80), [])):
        filtered = make_tiles(Size(60, 80), Tiling(32), unknown, unknown)
        assert [one.bbox for one in filtered[1]] == [one.bbox for one in plain[1]]
    assert make_tiles(Size(60, 80), Tiling(32), ((60, 80), [])) == ((60, 80), [])
    halved = make_tiles(Size(60, 80), Tiling(32), ((30, 40), [seg((0, 0, 20, 15))]))
    assert max(one.bbox[2] for one in halved[1]) <= 41


def test_filter_up_to_the_border_covers_the_last_pixels() -> None:
    whole = ((200, 200), [seg((0, 0, 200, 200))])
    segs = make_tiles(Size(200, 200), Tiling(64, 5), whole)
    covered = np.zeros((200, 200), bool)
    for one in segs[1]:
        covered[one.bbox[1] : one.bbox[3], one.bbox[0] : one.bbox[2]] = True
    assert covered.all()


@pytest.mark.parametrize(("mode", "side"), [*zip(IRREGULAR_MODES, (160, 256, 256, 256), strict=True)])
def test_irregular_tiles(mode: str, side: int) -> None:
    tiling = Tiling(128, 5, 3.0, 0.5, mode)
    segs = make_tiles(Size(700, 900), tiling)
    assert all(one.bbox[2] - one.bbox[0] == side for one in segs[1])
    again = make_tiles(Size(700, 900), tiling)
    covered = np.zeros((700, 900), np.float32)
    shapes = []
    for one, same in zip(segs[1], again[1], strict=True):
        assert np.array_equal(one.cropped_mask, same.cropped_mask)
        x1, y1, x2, y2 = one.crop_region
        covered[y1:y2, x1:x2] = np.maximum(covered[y1:y2, x1:x2], one.cropped_mask)
        left, top, right, bottom = one.bbox
        inside = one.cropped_mask[top - y1 : bottom - y1, left - x1 : right - x1]
        assert np.count_nonzero(inside) == np.count_nonzero(one.cropped_mask)  # nothing beside the tile
        assert inside[side // 4 : -side // 4, side // 4 : -side // 4].min() == 1.0
        if left > x1 and top > y1 and right < x2 and bottom < y2:
            assert inside[0, 0] == inside[-1, -1] == 0.0
            shapes.append(inside)
    assert covered[:, [0, -1]].min() == covered[[0, -1]].min() == 1.0  # no fading along the picture's border
    assert len(shapes) > 1
    alike = all(np.array_equal(shapes[0], shape) for shape in shapes[1:])
    assert alike == mode.startswith("Reuse")


@given(st.floats(0.01, 1.0), st.sampled_from(IRREGULAR_MODES), sizes, sizes)
def test_irregular_masks_stay_masks(irregularity: float, mode: str, width: int, height: int) -> None:
    assume(width * height < 60_000)
    segs = make_tiles(Size(height, width), Tiling(64, 0, 1.5, irregularity, mode))
    assert segs[1]
    for one in segs[1]:
        assert one.cropped_mask.min() >= 0.0 and 0.0 < one.cropped_mask.max() <= 1.0
        assert one.cropped_mask.shape == (
            one.crop_region[3] - one.crop_region[1],
            one.crop_region[2] - one.crop_region[0],
        )


def starts_by_the_rule(first: int, length: int, limit: int, side: int, overlap: int) -> list[int]:
    """One axis as it is known from recorded workflows, flaws included."""
    count = math.ceil(length / (side - overlap))
    rest = side * count - length
    shared = 0 if count == 1 else math.trunc(rest / (count - 1))
    if shared == side:
        count = 1
    places = [first + k * (side - shared) for k in range(count)]
    return [place if place + side < limit - 1 else limit - side for place in places]


@given(sizes, st.integers(0, 60), st.integers(0, 60), st.integers(8, 200), st.integers(0, 90))
def test_starts_are_the_known_ones_where_those_are_sound(
    length: int, before: int, after: int, side: int, overlap: int
) -> None:
    """The area's box ends on its last pixel, so a filter of one pixel more has this length."""
    assume(side <= length)
    if side <= 2 * overlap:
        overlap = side // 2
    limit = before + length + after
    known = starts_by_the_rule(before, length, limit, side, overlap)
    ends = [before, *(start + side for start in known[:-1])]
    assume(len(set(known)) == len(known) and all(a <= b for a, b in zip(known, ends, strict=True)))
    inside = None
    if before or after:
        assume(after)
        inside = ((side + 1, limit), [seg((before, 0, before + length + 1, side + 1))])
    segs = make_tiles(Size(side + bool(inside), limit), Tiling(side, overlap), inside)
    assert sorted({one.bbox[0] for one in segs[1]}) == known


def test_an_unknown_mode_is_named_with_the_choices() -> None:
    for irregularity in (0.0, 0.5):
        with pytest.raises(ValueError, match="'Reuse slow' is no mode of irregular tiles; it must be one of Reuse f"):
            make_tiles(Size(100, 100), Tiling(50, irregularity=irregularity, mode="Reuse slow"))


def test_modes() -> None:
    """Reused: all tiles alike; random: none like another. Fast draws coarser rims."""
    masks = {}
    for mode in IRREGULAR_MODES:
        tiling = Tiling(90, crop_factor=1.5, irregularity=0.1, mode=mode)
        segs = make_tiles(Size(700, 700), tiling)[1]
        inner = [one.cropped_mask for one in segs if min(one.crop_region[:2]) > 0 and max(one.crop_region[2:]) < 700]
        assert len(inner) > 1
        alike = all(np.array_equal(inner[0], other) for other in inner[1:])
        assert alike is mode.startswith("Reuse")
        masks[mode] = inner[0]
    assert not np.array_equal(masks["Reuse fast"], masks["Reuse quality"])
