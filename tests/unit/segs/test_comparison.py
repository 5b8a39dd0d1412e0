"""Expressions for classifiers: what is read, what is refused, and what holds."""

from __future__ import annotations

import pytest
from mask_detailer.segs.comparison import OPERATORS, Comparison, read_comparison
from support.timing import loops

SCORES = {"Female": 0.6, "girl": 0.25, "Human Male": 0.1, "male": 0.05}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Female > 0.5", Comparison("Female", ">", 0.5)),
        ("  Female>=.5 ", Comparison("Female", ">=", 0.5)),
        ("5e-1 <= Female", Comparison(0.5, "<=", "Female")),
        ("-1 < Age16to25", Comparison(-1.0, "<", "Age16to25")),
        ("#Female = #Male", Comparison("#Female", "=", "#Male")),
        ("Human Female > 0.1", Comparison("Human Female", ">", 0.1)),
        ("20-29 > 3-9", Comparison("20-29", ">", "3-9")),
    ],
)
def test_read(text: str, wanted: Comparison) -> None:
    assert read_comparison(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "   ", "Female", "> 0.5", "Female >", "a > b > c", "a == b", "a => b", "Female > 0.5 and x", "1 x < a"]
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="comparison"):
        read_comparison(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Female > 0.5", True),
        ("Female > 0.6", False),
        ("Female >= 0.6", True),
        ("Female = 0.6", True),
        ("0.5 > Female", False),
        ("#Female > #Male", True),  # 0.6 over 0.1: the surest of each
        ("#Male = 0.1", True),
        ("Human Male > male", True),
        ("female > 0", False),  # capital letters count
        ("cat < 1", False),
        ("#Other < 1", False),
        ("2 > 1", True),
    ],
)
def test_holds(text: str, holds: bool) -> None:
    assert read_comparison(text).holds(SCORES) is holds


def test_every_operator() -> None:
    for sign, operator in OPERATORS.items():
        for left in (0.25, 0.5, 0.75):
            assert Comparison(left, sign, 0.5).holds({}) == eval(f"{left} {'==' if sign == '=' else sign} 0.5")
            assert Comparison(left, sign, 0.5).holds({}) == operator(left, 0.5)


@pytest.mark.parametrize("text", [" " * 200_000 + "x", "9" * 200_000 + " x < 1", "a>" * 100_000, "9e" * 100_000 + ">"])
def test_long_texts_end(text: str) -> None:
    def refused() -> None:
        with pytest.raises(ValueError, match="comparison"):
            read_comparison(text)

    assert loops(refused) < 20
