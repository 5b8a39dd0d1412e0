"""Segments chosen by label, measure and number, and labels assigned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import SEG, SEGS
from mask_detailer.segs import (
    ORDER_TARGETS,
    RANGE_TARGETS,
    assign_labels,
    by_label,
    by_order,
    by_range,
    parse_picks,
    pick,
    split_text,
)
from unit.build import ForeignSEG, seg

HEADER = (100, 120)


def labelled(*labels: Any) -> SEGS:
    return HEADER, [seg((0, 0, 4, 4), label=label) for label in labels]


def labels_of(segs: SEGS) -> list[Any]:
    assert segs[0] == HEADER
    return [element.label for element in segs[1]]


def sure(*confidences: Any) -> SEGS:
    return HEADER, [seg((0, 0, 4, 4), label=str(i))._replace(confidence=c) for i, c in enumerate(confidences)]


@st.composite
def some_segs(draw: st.DrawFn) -> SEGS:
    boxes = draw(
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(1, 20)), max_size=8)
    )
    made = []
    for number, (x, y, width, height) in enumerate(boxes):
        fields = (None, np.ones((height, width), np.float32), number / 8, [x, y, x + width, y + height], None, number)
        made.append(SEG(*fields) if draw(st.booleans()) else ForeignSEG(*fields))
    return HEADER, made


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("all", ["face", "left_eye", "right_eye", "Face", "", None]),
        ("hand, all", ["face", "left_eye", "right_eye", "Face", "", None]),
        ("face", ["face"]),
        (" face ,\nFace", ["face", "Face"]),
        ("eyes", ["left_eye", "right_eye"]),
        ("left_eye", ["left_eye"]),
        ("pupils, eyebrows", []),
        ("", [""]),
        ("face,", ["face", ""]),
        ("ALL", []),
    ],
)
def test_labels(text: str, kept: list[Any]) -> None:
    segs = labelled("face", "left_eye", "right_eye", "Face", "", None)
    taken, others = by_label(segs, split_text(text))
    assert labels_of(taken) == kept
    assert labels_of(others) == [label for label in labels_of(segs) if label not in kept]


@pytest.mark.parametrize(("pair", "part"), [("eyes", "eye"), ("eyebrows", "eyebrow"), ("pupils", "pupil")])
def test_pairs(pair: str, part: str) -> None:
    taken, others = by_label(labelled(pair, f"left_{part}", f"right_{part}", part), [pair])
    assert labels_of(taken) == [pair, f"left_{part}", f"right_{part}"]
    assert labels_of(others) == [part]


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("area(=w*h)", 800), ("width", 40), ("height", 20), ("x1", 10), ("y1", 30), ("x2", 50), ("y2", 50),
        ("length_percent", 200), ("confidence(0-100)", 75),
    ],
)  # fmt: skip
def test_range_measures_the_crop_region(target: str, value: int) -> None:
    one = seg((10, 30, 50, 50), (12, 33, 20, 37))._replace(confidence=0.75)
    for least, most, inside in [(value, value, True), (value + 1, value + 9, False), (value - 9, value - 1, False)]:
        taken, others = by_range((HEADER, [one]), target, True, least, most)
        assert (len(taken[1]), len(others[1])) == (inside, not inside)
        taken, others = by_range((HEADER, [one]), target, False, least, most)
        assert (len(taken[1]), len(others[1])) == (not inside, inside)


def test_a_region_without_pixels_has_no_shape() -> None:
    flat = (HEADER, [seg((10, 10, 20, 10)), seg((10, 10, 10, 10))])
    assert by_range(flat, "length_percent", True, 0, 2**63 - 1) == ((HEADER, []), flat)


def test_targets_are_those_of_saved_workflows() -> None:
    measures = ["area(=w*h)", "width", "height", "x1", "y1", "x2", "y2"]
    assert list(RANGE_TARGETS) == [*measures, "length_percent", "confidence(0-100)"]
    assert list(ORDER_TARGETS) == [*measures, "confidence"]
    with pytest.raises(ValueError, match="'depth' can't be measured; it must be one of area"):
        by_range(labelled(), "depth", True, 0, 1)
    with pytest.raises(ValueError, match="'length_percent' can't be measured"):
        by_order(labelled(), "length_percent", True, 0, 1)


def test_equal_ones_stay_in_their_order_both_ways() -> None:
    segs = sure(0.5, 0.9, 0.5, np.array([0.9], np.float32), np.float32(0.1))
    down, _ = by_order(segs, "confidence", True, 0, 9)
    up, _ = by_order(segs, "confidence", False, 0, 9)
    assert labels_of(down) == ["1", "3", "0", "2", "4"]
    assert labels_of(up) == ["4", "0", "2", "1", "3"]


@given(some_segs(), st.sampled_from(list(ORDER_TARGETS)), st.booleans(), st.integers(0, 9), st.integers(0, 2**63 - 1))
def test_order_parts_and_sorts(segs: SEGS, target: str, descending: bool, start: int, count: int) -> None:
    def value(one: Any) -> float:
        x1, y1, x2, y2 = one.crop_region
        facts = {"area(=w*h)": (x2 - x1) * (y2 - y1), "width": x2 - x1, "height": y2 - y1, "confidence": one.confidence}
        return {**facts, "x1": x1, "y1": y1, "x2": x2, "y2": y2}[target]

    # an insertion sort: each goes before the first that it is strictly ahead of
    ordered: list[Any] = []
    for one in segs[1]:
        ahead = [i for i, o in enumerate(ordered) if (value(one) > value(o) if descending else value(one) < value(o))]
        ordered.insert(ahead[0] if ahead else len(ordered), one)
    taken, others = by_order(segs, target, descending, start, count)
    places = [i for i in range(len(ordered)) if start <= i < start + count]
    assert [one.label for one in taken[1]] == [ordered[i].label for i in places]
    assert [one.label for one in others[1]] == [o.label for i, o in enumerate(ordered) if i not in places]
    assert taken[0] == others[0] == HEADER


@given(some_segs(), st.sampled_from(list(RANGE_TARGETS)), st.booleans(), st.integers(0, 500), st.integers(0, 500))
def test_range_parts_and_keeps_the_order(segs: SEGS, target: str, inside: bool, least: int, most: int) -> None:
    taken, others = by_range(segs, target, inside, least, most)
    assert sorted([one.label for one in taken[1]] + [one.label for one in others[1]]) == list(range(len(segs[1])))
    for part in (taken, others):
        assert [one.label for one in part[1]] == sorted(one.label for one in part[1])
    if least <= most:
        assert by_range(segs, target, not inside, least, most) == (others, taken)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3,1", [1, 3]), ("9, 2", [2, 9]), ("17,2,9,33", [2, 9, 17, 33]), (" 1 ,\n1", [1]), ("", []),
        ("a, 2.5, 2", [2]), ("0,-1,99,4", [4]), (",,5,", [5]),
    ],
)  # fmt: skip
def test_picks(text: str, numbers: list[int]) -> None:
    segs = labelled(*range(1, 41))
    assert labels_of(pick(segs, parse_picks(text))) == numbers


@pytest.mark.parametrize(
    ("text", "labels"),
    [("x", ["x", "b", "c"]), (" x , y", ["x", "y", "c"]), ("x,y,z,w", ["x", "y", "z"]), ("", ["", "b", "c"]),
     (",z", ["", "z", "c"])],
)  # fmt: skip
def test_labels_by_position(text: str, labels: list[str]) -> None:
    segs = labelled("a", "b", "c")
    segs[1][0] = ForeignSEG(*segs[1][0])
    assert labels_of(assign_labels(segs, split_text(text))) == labels
    assert labels_of(segs) == ["a", "b", "c"]
    assert labels_of(assign_labels(labelled(), split_text(text))) == []
