"""Which of the parts that were found are meant: by label, order, count and number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core import SEG, SEGS, bbox
from .filters import ALL, by_label, confidence

AS_FOUND = "as found"
EXCLUDES = "-"


def _area(seg: SEG) -> float:
    box = bbox(seg)
    return box.width * box.height


def _across(seg: SEG) -> float:
    box = bbox(seg)
    return box.x1 + box.x2


def _down(seg: SEG) -> float:
    box = bbox(seg)
    return box.y1 + box.y2


# What is measured of a part, and whether the one that measures most comes first. Sizes and places are those of its
# bounding box, places those of the box's middle.
_ORDERS: dict[str, tuple[Callable[[SEG], float], bool]] = {
    "largest first": (_area, True),
    "smallest first": (_area, False),
    "left to right": (_across, False),
    "top to bottom": (_down, False),
    "most confident first": (lambda seg: float(confidence(seg)), True),
    "least confident first": (lambda seg: float(confidence(seg)), False),
}
ORDERS = (AS_FOUND, *_ORDERS)


@dataclass(frozen=True)
class Choice:
    """Which parts are taken, and in which order. Each field acts on what the one before has left.

    Attributes:
        labels: those of the parts that are taken; ``-hand`` takes all but hands, see ``by_name``. None: any.
        order: one of ``ORDERS``.
        most: at most so many, the first ones; 0: all.
        only: the numbers of those that are taken, 1 is the first; none: all.
    """

    labels: tuple[str, ...] | None = None
    order: str = AS_FOUND
    most: int = 0
    only: tuple[range, ...] = ()


EVERY_PART = Choice()


def chosen(segs: SEGS, choice: Choice) -> SEGS:
    """The parts that a choice takes, in its order. Parts that measure the same stay as they were found.

    Raises:
        ValueError: for an order that there isn't.
    """
    if choice.order not in ORDERS:
        raise ValueError(f"there is no order '{choice.order}'; it must be one of {', '.join(ORDERS)}")
    header, parts = segs if choice.labels is None else by_name(segs, choice.labels)
    if choice.order != AS_FOUND:
        measure, descending = _ORDERS[choice.order]
        parts = sorted(parts, key=measure, reverse=descending)
    parts = parts[: choice.most or None]
    if choice.only:
        parts = [part for number, part in enumerate(parts, start=1) if any(number in each for each in choice.only)]
    return header, list(parts)


def by_name(segs: SEGS, names: Sequence[str]) -> SEGS:
    """The parts that have one of the labels, as ``by_label`` takes them, but for those of a label after ``-``.

    Where only labels to leave out are named, all others are taken. A label that begins with ``-`` itself, and that a
    part has, is a label like others.
    """
    known = {seg.label for seg in segs[1]}
    excluded = [name for name in names if name.startswith(EXCLUDES) and name not in known]
    wanted = [name for name in names if name not in excluded]
    taken = by_label(segs, wanted if any(wanted) or not excluded else [ALL])[0]
    return by_label(taken, [name.removeprefix(EXCLUDES).strip() for name in excluded])[1]


def numbers(text: str) -> tuple[range, ...]:
    """The numbers that a text such as ``1, 3-5`` names; none for one without text.

    Raises:
        ValueError: for another text; it says which part of it can't be read, and why.
    """
    return tuple(_range(part.strip()) for part in text.split(",")) if text.strip() else ()


def _range(part: str) -> range:
    read = re.fullmatch(r"(\d{1,9})(?:\s*-\s*(\d{1,9}))?", part)
    if read is None:
        raise ValueError(f"'{part}' is neither a number nor a range" if part else "a number is missing at a comma")
    first, last = int(read[1]), int(read[2] or read[1])
    if first < 1:
        raise ValueError(f"'{part}' names a part 0, but 1 is the first")
    if last < first:
        raise ValueError(f"'{part}' is a range that ends before it begins")
    return range(first, last + 1)


def left_out(found: SEGS, kept: SEGS) -> str:
    """How many parts of each label are missing, as ``2 x hand, 1 x face``; empty where none is."""
    missing = Counter(str(seg.label) for seg in found[1]) - Counter(str(seg.label) for seg in kept[1])
    return ", ".join(f"{count} x {label}" for label, count in missing.items())
