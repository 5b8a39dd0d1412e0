"""Widgets' values held against what INPUT_TYPES says of them: ComfyUI doesn't where a value comes by a link."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import cast

from ..core import printable
from ..detailer.values import wrapped_seed
from .schema import MAX_SEED, Input, InputTypes, Unread

# Where a value below a widget's range means something: with denoise 0 a part stays as it is, and parts may be worked on
# at sizes so small that nobody would choose them by hand.
LEAST = {"denoise": 0.0, "guide_size": 1.0, "max_size": 1.0}
MOST_CHOICES_NAMED = 40


class InputError(ValueError):
    """What came into a node cannot be worked with. The message names node, input, what was found and the fix."""

    def __init__(self, node: str, name: str, found: str, fix: str) -> None:
        super().__init__(printable(f"{node}, input '{name}': {found}. {fix}"))


def checked(
    node: str, types: InputTypes, values: Mapping[str, object], itself: Collection[str] = ()
) -> dict[str, object]:
    """The values, those of widgets as the schema says.

    Whole numbers may come as floats and any number as NumPy's; they are made Python's. A seed beyond its range counts
    on from 0. No text (None) is an empty one. Links, and what the schema doesn't know, stay as they are.

    Args:
        node: its id, for the error.
        types: what its INPUT_TYPES give.
        values: by name; what is missing is not asked for.
        itself: the inputs that the node checks itself.

    Raises:
        InputError: for a choice that there isn't, a number out of its range, and what is of another kind.
    """
    made = dict(values)
    for group in ("required", "optional"):
        for name, declared in types.get(group, {}).items():
            if name in made and name not in itself and not isinstance(declared, str):
                made[name] = _checked(node, name, declared, made[name])
    return made


def _checked(node: str, name: str, declared: Input, value: object) -> object:
    kind, facts = declared
    if isinstance(kind, list):
        if isinstance(kind, Unread) or (isinstance(value, str) and value in kind):
            return value
        raise InputError(node, name, f"{value!r} is none of its choices", _choices(kind))
    if value is None and facts.get("forceInput"):  # not connected
        return None
    if kind in ("INT", "FLOAT"):
        return _number(node, name, declared, value)
    if kind == "STRING" and not isinstance(value, str):
        if value is None:
            return ""
        raise InputError(node, name, f"{value!r} is no text", "Connect a STRING")
    if kind == "BOOLEAN" and (value is None or isinstance(value, str)):
        raise InputError(node, name, f"{value!r} is neither True nor False", "Connect a BOOLEAN")
    return value


def _choices(kind: list[str]) -> str:
    more = "" if len(kind) <= MOST_CHOICES_NAMED else f" and {len(kind) - MOST_CHOICES_NAMED} more"
    return f"Give one of {', '.join(kind[:MOST_CHOICES_NAMED])}{more}"


def _number(node: str, name: str, declared: Input, value: object) -> int | float:
    kind, facts = declared
    least, most = cast("tuple[float, float]", (facts.get("min", -math.inf), facts.get("max", math.inf)))
    fix = f"Give {least} to {most}" if "min" in facts else "Connect a number"
    number = _plain(value)
    if kind == "INT" and isinstance(number, float):
        number = int(number) if number.is_integer() else None
    if number is None:
        raise InputError(node, name, f"{value!r} is no {'whole ' * (kind == 'INT')}number", fix)
    if kind == "INT" and most == MAX_SEED:
        return wrapped_seed(int(number))
    if not min(least, LEAST.get(name, least)) <= number <= most:
        raise InputError(node, name, f"{value!r} is out of range", fix)
    return number


def _plain(value: object) -> int | float | None:
    """A number as Python's own; None for what is none."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else None
