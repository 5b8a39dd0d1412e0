"""Values of any kind compared, and as text and numbers."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
import torch

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
MOST_LETTERS = 10_000
MOST_DIGITS = 300  # of a whole number; beyond it a float is infinite


class IncomparableError(ValueError):
    """Two values have no order, or an error of their own when they are compared."""


def _shape(value: object) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor | np.ndarray) else None


def _equal(a: object, b: object) -> bool:
    if _shape(a) is not None and _shape(b) is not None and _shape(a) != _shape(b):
        return False
    return _holds(operator.eq, a, b)


def _holds(compares: Callable[..., object], a: object, b: object) -> bool:
    """For all numbers of pictures and the like."""
    try:
        found = compares(a, b)
        return bool(found.all() if isinstance(found, torch.Tensor | np.ndarray) else found)
    except (TypeError, ValueError, RuntimeError) as error:
        raise IncomparableError(str(error)) from error


COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "a = b": _equal,
    "a <> b": lambda a, b: not _equal(a, b),
    "a > b": lambda a, b: _holds(operator.gt, a, b),
    "a < b": lambda a, b: _holds(operator.lt, a, b),
    "a >= b": lambda a, b: _holds(operator.ge, a, b),
    "a <= b": lambda a, b: _holds(operator.le, a, b),
    "tt": lambda a, b: True,
    "ff": lambda a, b: False,
}
"""What ``ImpactCompare`` offers; each raises IncomparableError."""


def as_text(value: object) -> str:
    """A text as it is, anything else as Python writes it."""
    return value if isinstance(value, str) else str(value)


def brief_text(value: object) -> str:
    """The same, no longer than can be read, and whatever an object's own way to write itself does."""
    try:
        text = as_text(value)
    except Exception as error:  # an object's own
        text = f"a {type(value).__name__} that can't be written ({type(error).__name__})"
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."


def as_number(value: object) -> int | float:
    """A number as it is, or the one that a text says; 0 for False and ``false`` (any case), 1 for all else.

    What is no number or not finite is something all the same: 1.
    """
    if isinstance(value, torch.Tensor | np.ndarray) and math.prod(value.shape) == 1:
        value = value.item()
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value) if abs(int(value)) < 10**MOST_DIGITS else 1
    if isinstance(value, Real):
        return _finite(value)
    text = as_text(value)
    if text.strip().lower() == "false":
        return 0
    if not _NUMBER.fullmatch(text):
        return 1
    is_whole = text.strip().lstrip("+-").isdecimal()
    return int(text) if is_whole and len(text) < MOST_DIGITS else _finite(text)


def _finite(value: Real | str) -> float:
    try:
        number = float(value)
    except OverflowError:
        return 1.0
    return number if math.isfinite(number) else 1.0
