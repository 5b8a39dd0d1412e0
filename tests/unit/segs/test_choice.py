"""Which of the found parts are meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import SEGS
from mask_detailer.segs import AS_FOUND, EVERY_PART, ORDERS, Choice, by_label, chosen, left_out, numbers
from unit.build import seg

HEADER = (100, 120)
# label, box, confidence; in the order in which they are found
PARTS = [
    ("face", (50, 10, 60, 20), 0.9),
    ("hand", (0, 40, 30, 70), 0.3),
    ("face", (80, 0, 100, 30), 0.5),
    ("person", (10, 10, 90, 90), np.array([0.7], np.float32)),
    ("left_eye", (52, 12, 54, 14), 0.2),
]


def found(*parts: Any) -> SEGS:
    made = [seg((0, 0, 8, 8), box, label=label)._replace(confidence=sure) for label, box, sure in parts or PARTS]
    return HEADER, made


def places(segs: SEGS, of: SEGS) -> list[int]:
    """Which of the found ones they are."""
    assert segs[0] == of[0]
    return [next(place for place, one in enumerate(of[1]) if one is part) for part in segs[1]]


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (None, [0, 1, 2, 3, 4]),
        (("face",), [0, 2]),
        (("face", "person"), [0, 2, 3]),
        (("Face",), []),
        (("all",), [0, 1, 2, 3, 4]),
        (("eyes",), [4]),
        (("-hand",), [0, 2, 3, 4]),
        (("- hand",), [0, 2, 3, 4]),
        (("-hand", "-person"), [0, 2, 4]),
        (("-hand", ""), [0, 2, 3, 4]),
        (("face", "person", "-hand"), [0, 2, 3]),
        (("all", "-face"), [1, 3, 4]),
        (("-face", "face"), []),
        (("-eyes",), [0, 1, 2, 3]),
        (("-nose",), [0, 1, 2, 3, 4]),
        (("",), []),
    ],
)
def test_labels(labels: Any, kept: list[int]) -> None:
    segs = found()
    assert places(chosen(segs, Choice(labels)), segs) == kept


def test_a_label_that_begins_with_a_dash_is_one() -> None:
    """It was one before there were labels to leave out."""
    segs = found(("-hand", (0, 0, 9, 9), 1.0), ("hand", (0, 0, 9, 9), 1.0))
    assert places(chosen(segs, Choice(("-hand",))), segs) == [0]


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        (AS_FOUND, [0, 1, 2, 3, 4]),
        ("largest first", [3, 1, 2, 0, 4]),
        ("smallest first", [4, 0, 2, 1, 3]),
        ("left to right", [1, 3, 4, 0, 2]),
        ("top to bottom", [4, 0, 2, 3, 1]),
        ("most confident first", [0, 3, 2, 1, 4]),
        ("least confident first", [4, 1, 2, 3, 0]),
    ],
)
def test_order(order: str, kept: list[int]) -> None:
    segs = found()
    assert places(chosen(segs, Choice(order=order)), segs) == kept
    assert places(chosen(segs, Choice(order=order, most=2)), segs) == kept[:2]
    assert places(chosen(segs, Choice(order=order, only=(range(2, 3), range(4, 9)))), segs) == [kept[1], *kept[3:]]


@pytest.mark.parametrize("order", ORDERS)
def test_equal_ones_stay_as_they_were_found(order: str) -> None:
    segs = found(*[("face", (3, 3, 9, 9), 0.5)] * 4)
    assert places(chosen(segs, Choice(order=order)), segs) == [0, 1, 2, 3]


def test_each_acts_on_what_is_left() -> None:
    """The second of the two largest that are no persons."""
    segs = found()
    choice = Choice(("-person",), "largest first", 2, numbers("2, 3"))
    assert places(chosen(segs, choice), segs) == [2]


def test_takes_all_where_nothing_is_asked() -> None:
    segs = found()
    assert chosen(segs, EVERY_PART) == segs and chosen(segs, EVERY_PART)[1] is not segs[1]
    assert chosen((HEADER, []), Choice(("face",), "largest first", 3, numbers("2"))) == (HEADER, [])


def test_unknown_order() -> None:
    with pytest.raises(ValueError, match="no order 'by luck'"):
        chosen(found(), Choice(order="by luck"))


@given(st.lists(st.sampled_from(["face", "hand", "all", "eyes", "left_eye", "Face", ""]), max_size=4))
def test_known_labels_mean_what_they_meant(labels: list[str]) -> None:
    segs = found()
    assert chosen(segs, Choice(tuple(labels))) == by_label(segs, labels)[0]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", []), (" \n", []), ("1", [1]), ("1, 3-5", [1, 3, 4, 5]), ("3 - 5,1", [3, 4, 5, 1]), ("2-2", [2]),
        ("007", [7]),
    ],
)  # fmt: skip
def test_numbers(text: str, meant: list[int]) -> None:
    assert [number for each in numbers(text) for number in each] == meant


def test_many_numbers_cost_nothing() -> None:
    assert len(chosen(found(), Choice(only=numbers("1-999999999")))[1]) == len(PARTS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3-", "'3-' is neither"), ("a", "'a' is neither"), ("-2", "'-2' is neither"), ("1 2", "'1 2' is neither"),
        ("1.5", "neither"), ("1-2-3", "neither"), ("1,,2", "missing at a comma"), ("1,", "missing at a comma"),
        ("0", "1 is the first"), ("0-3", "1 is the first"), ("5-3", "ends before it begins"), ("9" * 10, "neither"),
        ("all", "neither"),
    ],
)  # fmt: skip
def test_what_is_no_number(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        numbers(text)


def test_left_out() -> None:
    segs = found()
    assert left_out(segs, segs) == ""
    assert left_out(segs, chosen(segs, Choice(("person", "left_eye")))) == "2 x face, 1 x hand"
