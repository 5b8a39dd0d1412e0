"""Widgets' values held against what INPUT_TYPES says of them: ComfyUI doesn't where a value comes by a link."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import cast

import numpy as np
import torch

from ..detailer.errors import InputError as InputError
from ..detailer.ksampler import MOST_LEVELS, whole_schedule
from ..detailer.values import wrapped_seed
from .schema import LEAST_DENOISE, MAX_SEED, Input, InputTypes, Unread

# Where a value below a widget's range means something: with denoise 0 a part stays as it is, and parts may be worked on
# at sizes so small that nobody would choose them by hand.
LEAST = {"denoise": 0.0, "guide_size": 1.0, "max_size": 1.0}
DENOISES = ("denoise", "target_denoise")
MOST_CHOICES_NAMED = 40
MOST_SHOWN = 60  # characters of a value
NO_RANGE = "Connect a number"


def checked(
    node: str, types: InputTypes, values: Mapping[str, object], itself: Collection[str] = ()
) -> dict[str, object]:
    """The values, those of widgets as the schema says.

    Whole numbers may come as floats and any number as NumPy's; they are made Python's. A seed beyond its range counts
    on from 0. True and False count as 1 and 0, and the other way round. No text (None) is an empty one. Links, and what
    the schema doesn't know, stay as they are.

    Args:
        node: its id, for the error.
        types: what its INPUT_TYPES give.
        values: by name; what is missing is not asked for.
        itself: the inputs whose texts the node checks itself.

    Raises:
        InputError: for a choice that there isn't, a number out of its range, what is of another kind, and steps and
            denoise that make a schedule of more than ``MOST_LEVELS`` noise levels.
    """
    made = dict(values)
    for group in ("required", "optional"):
        for name, declared in types.get(group, {}).items():
            if name in made and not isinstance(declared, str):
                kept = name in itself and isinstance(made[name], str)
                made[name] = made[name] if kept else _checked(node, name, declared, made[name])
    _bounded(node, made)
    return made


def shown(value: object) -> str:
    """A value in a few words, however large it is and whatever its own ``repr`` does."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"a {type(value).__name__} of the shape {list(value.shape)}"
    try:
        text = _BRIEF.repr(value)
    except Exception:  # an object's own way to show itself
        return f"a {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = MOST_SHOWN


def _checked(node: str, name: str, declared: Input, value: object) -> object:
    kind, facts = declared
    if isinstance(kind, list):
        if isinstance(kind, Unread) or (isinstance(value, str) and value in kind):
            return value
        raise InputError(node, name, f"{shown(value)} is none of its choices", _choices(kind))
    if value is None and facts.get("forceInput"):  # not connected
        return None
    if kind in ("INT", "FLOAT"):
        return _number(node, name, declared, value)
    if kind == "STRING" and not isinstance(value, str):
        if value is None:
            return ""
        raise InputError(node, name, f"{shown(value)} is no text", "Connect a STRING")
    if kind == "BOOLEAN":
        return _switch(node, name, value)
    return value


def _choices(kind: list[str]) -> str:
    if not kind:
        return "Connect another: there is none to choose from"
    more = "" if len(kind) <= MOST_CHOICES_NAMED else f" and {len(kind) - MOST_CHOICES_NAMED} more"
    return f"Give one of {', '.join(kind[:MOST_CHOICES_NAMED])}{more}"


def _switch(node: str, name: str, value: object) -> bool:
    """On or off. Texts are refused: to Python "False" is true."""
    number = None if isinstance(value, str) else _plain(value)
    if number not in (0, 1):
        raise InputError(node, name, f"{shown(value)} is neither True nor False", "Connect a BOOLEAN")
    return bool(number)


def _number(node: str, name: str, declared: Input, value: object) -> int | float:
    kind, facts = declared
    least, most = cast("tuple[float, float]", (facts.get("min", -math.inf), facts.get("max", math.inf)))
    fix = f"Give {least} to {most}" if "max" in facts else f"Give {least} or more" if "min" in facts else NO_RANGE
    number = _plain(value)
    if kind == "INT" and isinstance(number, float):
        number = int(number) if number.is_integer() else None
    if number is None:
        raise InputError(node, name, f"{shown(value)} is no {'whole ' * (kind == 'INT')}number", fix)
    if kind == "INT" and (least, most) == (0, MAX_SEED):
        return wrapped_seed(int(number))
    if not min(least, LEAST.get(name, least)) <= number <= most or abs(number) == math.inf:
        raise InputError(node, name, f"{shown(value)} is out of range", fix)
    if name in DENOISES and 0.0 < number < LEAST_DENOISE:
        raise InputError(node, name, f"{shown(value)} is out of range", f"Give 0, or {LEAST_DENOISE} to {most}")
    return number


def _plain(value: object) -> int | float | None:
    """A number as Python's own; None for what is none."""
    if isinstance(value, Integral | np.bool_):
        return int(value)
    try:
        return float(value) if isinstance(value, Real) else None
    except OverflowError:  # a fraction of huge numbers
        return math.inf


def _bounded(node: str, values: Mapping[str, object]) -> None:
    """A schedule of noise levels is made as a whole, though only its last ``steps`` are run."""
    steps, denoise = values.get("steps"), values.get("denoise")
    if not isinstance(steps, int) or not isinstance(denoise, int | float) or denoise <= 0:
        return
    total = whole_schedule(steps, denoise)
    if total > MOST_LEVELS:
        found = f"{steps} steps at denoise {denoise} are a schedule of {total} noise levels, more than {MOST_LEVELS}"
        raise InputError(node, "denoise", found, f"Give fewer steps, or {math.ceil(steps / 100) / 10000:g} and more")
