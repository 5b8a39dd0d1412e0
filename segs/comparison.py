"""What a classifier's answer is held against: ``Female > 0.5``, ``#Female >= #Male``. Read, never run."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
SYMBOLS: dict[str, tuple[str, ...]] = {
    "#Female": ("female", "Female", "Human Female", "woman", "women", "girl"),
    "#Male": ("male", "Male", "Human Male", "man", "men", "boy"),
}
"""What stands for several labels, of which the surest one in an answer counts."""

_SIGN = re.compile(r"(>=|<=|>|<|=)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(?!\S)")

Scores = Mapping[str, float]
"""A classifier's answer: scores 0..1 by label, the surest first."""


@dataclass(frozen=True)
class Comparison:
    """Two sides and an operator between them; a side is a number, a label or one of ``SYMBOLS``."""

    left: str | float
    operator: str
    right: str | float

    def holds(self, scores: Scores) -> bool:
        """Whether it is so; not where an answer lacks a label of it."""
        left, right = _value(self.left, scores), _value(self.right, scores)
        return left is not None and right is not None and OPERATORS[self.operator](left, right)


def read_comparison(text: str) -> Comparison:
    """The comparison that a text is. Labels may have blanks in them, and their case counts.

    Raises:
        ValueError: for another form, saying what is wrong with it.
    """
    parts = [part.strip() for part in _SIGN.split(text)]
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"'{text.strip()}' is no comparison of two things by one of {' '.join(OPERATORS)}")
    left, sign, right = parts
    return Comparison(_side(left), sign, _side(right))


def _side(text: str) -> str | float:
    """A number, or a label, which does not begin with one."""
    number = _NUMBER.match(text)
    if number is None:
        return text
    if number.end() < len(text):
        raise ValueError(f"'{text[number.end() :].strip()}' after {number[0]} belongs to no comparison")
    return float(text)


def _value(side: str | float, scores: Scores) -> float | None:
    if not isinstance(side, str):
        return side
    labels = SYMBOLS.get(side, (side,))
    return next((score for label, score in scores.items() if label in labels), None)
