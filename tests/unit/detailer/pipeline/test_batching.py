"""Groups of crops sampled at once: each crop sees, and leaves behind, what it would one after another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import SEGS, Size
from mask_detailer.detailer.pipeline.batching import grouped
from mask_detailer.detailer.pipeline.plan import Place, Plan, make_plan
from mask_detailer.detailer.values import SizeOptions
from unit.build import Box, drawn, seg, settings

PICTURE = Size(24, 32)


def plan_of(*crops: tuple[Box, Box], size: SizeOptions | None = None, feather: int = 0) -> Plan:
    """Crop regions, each with the rectangle inside it that its mask marks."""
    segs = []
    for region, box in crops:
        x1, y1, x2, y2 = region
        inside = (box[0] - x1, box[1] - y1, box[2] - x1, box[3] - y1)
        segs.append(seg(region, box, drawn(y2 - y1, x2 - x1, inside)))
    made: SEGS = (tuple(PICTURE), segs)
    return make_plan(made, PICTURE, settings(size or SizeOptions(8, False, 64, True), feather=feather), 0, 8)


def numbers(groups: Iterator[list[Place]]) -> list[list[int]]:
    return [[place.crop.number for place in group] for group in groups]


def test_crops_apart_go_together_up_to_the_limit() -> None:
    boxes: list[Box] = [(x, y, x + 8, y + 8) for y in (0, 8, 16) for x in (0, 8, 16, 24)]
    plan = plan_of(*((box, box) for box in boxes))
    assert numbers(grouped([plan], lambda crop: 5)) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]
    assert numbers(grouped([plan], lambda crop: 1)) == [[number] for number in range(1, 13)]
    assert numbers(grouped([plan], lambda crop: 99)) == [list(range(1, 13))]


def test_a_crop_waits_for_what_it_sees() -> None:
    left, right, apart = ((0, 0, 16, 8), (4, 2, 6, 4)), ((8, 0, 24, 8), (18, 2, 20, 4)), ((8, 12, 24, 20),) * 2
    hard, soft = plan_of(left, right, apart), plan_of(left, right, apart, feather=3)
    assert numbers(grouped([hard], lambda crop: 4)) == [[1, 2, 3]]  # the left one's paste ends before the right crop
    assert numbers(grouped([soft], lambda crop: 4)) == [[1, 3], [2]]  # its feather does not


def test_a_crop_never_overtakes_one_that_would_see_it() -> None:
    first, wide, last = ((0, 0, 8, 8),) * 2, ((0, 8, 32, 16), (20, 10, 22, 12)), ((0, 8, 8, 16),) * 2
    plan = plan_of(first, wide, last)
    assert numbers(grouped([plan], lambda crop: 4)) == [[1], [2], [3]]


def test_only_equal_working_sizes_go_together() -> None:
    plan = plan_of(((0, 0, 8, 8),) * 2, ((10, 0, 26, 8),) * 2, ((0, 10, 8, 18),) * 2)
    assert numbers(grouped([plan], lambda crop: 4)) == [[1, 3], [2]]


def test_pictures_are_asked_for_as_there_is_room() -> None:
    asked: list[int] = []

    def clip() -> Iterator[Plan]:
        for index in range(100):
            asked.append(index)
            yield plan_of(((0, 0, 8, 8),) * 2)

    groups = grouped(clip(), lambda crop: 4)
    assert [place.picture for place in next(groups)] == [0, 1, 2, 3]
    assert asked == [0, 1, 2, 3]
    assert sum(len(group) for group in groups) == 96


def test_pictures_that_never_fit_are_not_piled_up() -> None:
    asked: list[int] = []

    def clip() -> Iterator[Plan]:
        for index in range(100):
            asked.append(index)
            yield plan_of(((0, 0, 8, 8) if index == 0 else (0, 0, 24, 8),) * 2)

    next(grouped(clip(), lambda crop: 4))
    assert len(asked) <= 16


def test_skipped_for_their_size_are_seen_in_their_place() -> None:
    """Their crops are shown as they were when their turn came."""
    plan = plan_of(
        ((0, 0, 8, 8),) * 2, ((0, 0, 32, 24),) * 2, ((20, 10, 28, 18),) * 2, size=SizeOptions(16, False, 64, False)
    )
    assert [bool(crop.skipped) for crop in plan.crops] == [False, True, False]
    assert numbers(grouped([plan], lambda crop: 4)) == [[1], [2], [3]]


def test_those_with_nothing_to_see_are_left_out() -> None:
    empty = seg((0, 0, 8, 8), mask=0.0)
    size = settings(SizeOptions(8, False, 64, True))
    plan = make_plan((tuple(PICTURE), [empty, seg((8, 8, 16, 16))]), PICTURE, size, 0, 8)
    assert numbers(grouped([plan], lambda crop: 4)) == [[2]]
    assert list(grouped([], lambda crop: 4)) == []


@st.composite
def crops(draw: st.DrawFn) -> tuple[Box, Box]:
    side, x, y = draw(st.sampled_from([4, 8])), draw(st.integers(0, 24)), draw(st.integers(0, 16))
    inner = draw(st.integers(1, side))
    dx, dy = draw(st.integers(0, side - inner)), draw(st.integers(0, side - inner))
    return (x, y, x + side, y + side), (x + dx, y + dy, x + dx + inner, y + dy + inner)


@pytest.mark.parametrize("feather", [0, 2])
@given(plans=st.lists(st.lists(crops(), max_size=8), min_size=1, max_size=3), limit=st.integers(1, 6))
def test_as_one_after_another(feather: int, plans: list[list[tuple[Box, Box]]], limit: int) -> None:
    """Each crop's result is a number made of all that it sees; groups cut all of theirs before they paste any."""
    made = [plan_of(*each, feather=feather) for each in plans]
    in_order = [[Place(index, crop)] for index, plan in enumerate(made) for crop in plan.crops]
    assert finished(grouped(made, lambda crop: limit)) == finished(iter(in_order))


def finished(groups: Iterator[list[Place]]) -> dict[tuple[int, int, int], int]:
    pixels: dict[tuple[int, int, int], int] = {}
    for group in groups:
        results = []
        for place in group:
            part = place.crop.region
            where = [(place.picture, x, y) for y in range(part.y1, part.y2) for x in range(part.x1, part.x2)]
            results.append(hash((place.picture, place.crop.number, *map(pixels.get, where))))
        for place, result in zip(group, results, strict=True):
            reach = place.crop.reach
            for y in range(reach.y1, reach.y2):
                for x in range(reach.x1, reach.x2):
                    pixels[place.picture, x, y] = result
    return pixels
