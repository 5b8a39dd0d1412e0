"""What is chosen for single segments of a run: a small JSON by their numbers, read and held against what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from ..core import Region

MOST_CANDIDATES = 8
MOST_SEED = 2**64 - 1
LEAST_DENOISE = 0.0001
LEAST_OVERLAP = 0.3  # intersection over union, from which on a box means a part
_MOST_SHOWN = 60  # characters of what can't be read
_LARGEST_SIDE = 2**31

_KEY = re.compile(r"(?:([1-9]\d{0,8})\.)?([1-9]\d{0,8})")
_FORM = 'Give an object by segment numbers, such as {"3": {"seed": 4711}, "5": {"keep": true}}, or no text'


class ChoicesError(ValueError):
    """Choices that can't be read.

    Attributes:
        found: what is wrong.
        fix: what to do.
    """

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(f"{found}. {fix}")
        self.found, self.fix = found, fix


@dataclass(frozen=True)
class Choice:
    """What is chosen for one segment; None and False leave a thing as the node's widgets say.

    Attributes:
        key: as it was written: ``3``, or ``2.3`` for the third of the second picture.
        number: the segment's, from 1, in the order of work.
        picture: the only picture that is meant, from 1; None: every one.
        seed: the segment's own, nothing is added to it.
        denoise: 0..1.
        text: the segment's own prompt; an empty one stands for the node's conditioning.
        keep: the picture stays as it is there.
        skip: as if there were no such segment.
        candidates: how many are made, with seed after seed; the first is pasted.
        box: where the part was when the choice was made, pixels of the picture; None: the number alone counts.
    """

    key: str
    number: int
    picture: int | None = None
    seed: int | None = None
    denoise: float | None = None
    text: str | None = None
    keep: bool = False
    skip: bool = False
    candidates: int = 1
    box: Region | None = None


@dataclass(frozen=True)
class Choices:
    """All choices of a run, in the order in which they were written."""

    all: tuple[Choice, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Choices:
        """Read the ``choices`` of a detailer: no text, or a JSON object.

        Raises:
            ChoicesError: for what is no such object, for numbers below 1, and for unknown or wrong values.
        """
        if not text.strip():
            return cls()
        try:
            said = json.loads(text)
        except RecursionError as error:
            raise ChoicesError("it is nested too deep", _FORM) from error
        except ValueError as error:
            raise ChoicesError(f"{_shown(text)} is no JSON ({error})", _FORM) from error
        if not isinstance(said, dict):
            raise ChoicesError(f"{_shown(said)} is no JSON object", _FORM)
        return cls(tuple(_choice(key, value) for key, value in said.items()))

    def for_picture(self, number: int) -> tuple[Choice, ...]:
        """Those that mean a picture (from 1), what is said of it alone last, so that it counts."""
        general = [choice for choice in self.all if choice.picture is None]
        return (*general, *(choice for choice in self.all if choice.picture == number))

    @property
    def texts(self) -> tuple[str, ...]:
        """The prompts that are chosen."""
        return tuple(choice.text for choice in self.all if choice.text)

    @property
    def denoises(self) -> tuple[float, ...]:
        return tuple(choice.denoise for choice in self.all if choice.denoise is not None)


NOTHING_CHOSEN = Choices()


def meant(choice: Choice, boxes: Mapping[int, Region]) -> int | None:
    """The number of the segment that a choice means; None where there is none.

    With a box it is the one that overlaps it most, of equal ones the one of the choice's number.

    Args:
        boxes: the segments' bounding boxes in pixels of the picture, by number.
    """
    box = choice.box
    if box is None:
        return choice.number if choice.number in boxes else None
    overlaps = {number: _overlap(box, own) for number, own in boxes.items()}
    best = max(overlaps, key=lambda number: (overlaps[number], number == choice.number), default=None)
    return best if best is not None and overlaps[best] >= LEAST_OVERLAP else None


def _overlap(first: Region, second: Region) -> float:
    """Intersection over union, 0..1."""
    width = min(first.x2, second.x2) - max(first.x1, second.x1)
    height = min(first.y2, second.y2) - max(first.y1, second.y1)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (first.size.area + second.size.area - both)


# --- reading ------------------------------------------------------------------------------------------------------


def _choice(key: str, said: object) -> Choice:
    numbers = _KEY.fullmatch(key)
    if numbers is None:
        raise ChoicesError(
            f"{_shown(key)} is no segment's number",
            'Count from 1 as the strip does: "3", or "2.3" for the third of the second picture',
        )
    if not isinstance(said, dict):
        raise ChoicesError(f"what is chosen for {key} is {_shown(said)}", f"Give {key} an object of {', '.join(_READ)}")
    picture, number = numbers.groups()
    choice = Choice(key, int(number), None if picture is None else int(picture))
    for name, value in said.items():
        if name not in _READ:
            found = f"{key} has {_shown(name)}, which is nothing to choose"
            raise ChoicesError(found, f"Give any of {', '.join(_READ)}")
        fits, wanted, read = _READ[name]
        if not fits(value):
            raise ChoicesError(f"the {name} of {key} is {_shown(value)}", f"Give {wanted}")
        choice = replace(choice, **{name: read(value)})
    return choice


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_seed(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"[0-9]{1,20}", value) is not None and int(value) <= MOST_SEED
    return _is_whole(value, 0, MOST_SEED)


def _is_denoise(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value == 0 or LEAST_DENOISE <= value <= 1


def _is_box(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 4:
        return False
    if not all(_is_whole(side, -_LARGEST_SIDE, _LARGEST_SIDE) for side in value):
        return False
    x1, y1, x2, y2 = cast("list[int]", value)
    return x1 < x2 and y1 < y2


# whether a value can be, what is wanted in words, and the value as it is kept
_READ: dict[str, tuple[Callable[[object], bool], str, Callable[..., object]]] = {
    "seed": (_is_seed, f"a whole number of 0 to {MOST_SEED}, or its digits as a text", int),
    "denoise": (_is_denoise, f"0, or a number of {LEAST_DENOISE} to 1", float),
    "text": (lambda value: isinstance(value, str), "a text", str),
    "keep": (lambda value: isinstance(value, bool), "true or false", bool),
    "skip": (lambda value: isinstance(value, bool), "true or false", bool),
    "candidates": (
        lambda value: _is_whole(value, 2, MOST_CANDIDATES), f"a whole number of 2 to {MOST_CANDIDATES}", int,
    ),
    "box": (_is_box, "four whole numbers, left, top, right and bottom", lambda value: Region(*value)),
}  # fmt: skip


def _shown(value: object) -> str:
    """A value as JSON has it, no longer than can be read."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
