"""Segments chosen by label, by what they measure, or by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..core import SEG, SEGS, crop_region

# A label that stands for two, one on each side.
PAIRS = {
    "eyes": ("left_eye", "right_eye"),
    "eyebrows": ("left_eyebrow", "right_eyebrow"),
    "pupils": ("left_pupil", "right_pupil"),
}
ALL = "all"

Measure = Callable[[SEG], Any]


def confidence(seg: SEG) -> Any:
    """A segment's confidence as one number, of the type it is kept in; detectors may keep an array of one."""
    value = seg.confidence
    return value.reshape(-1)[0] if hasattr(value, "reshape") else value


def _length_percent(seg: SEG) -> float:
    size = crop_region(seg).size
    return 100 * (size.longer / size.shorter) if size.shorter > 0 else float("inf")


# What can be measured of a segment. Sides, area and corners are those of the crop region, in pixels.
MEASURES: dict[str, Measure] = {
    "area(=w*h)": lambda seg: crop_region(seg).width * crop_region(seg).height,
    "width": lambda seg: crop_region(seg).width,
    "height": lambda seg: crop_region(seg).height,
    "x1": lambda seg: crop_region(seg).x1,
    "y1": lambda seg: crop_region(seg).y1,
    "x2": lambda seg: crop_region(seg).x2,
    "y2": lambda seg: crop_region(seg).y2,
}
RANGE_TARGETS: dict[str, Measure] = {
    **MEASURES,
    "length_percent": _length_percent,
    "confidence(0-100)": lambda seg: confidence(seg) * 100,
}
ORDER_TARGETS: dict[str, Measure] = {**MEASURES, "confidence": confidence}


def split_text(text: str) -> list[str]:
    """A text's parts between commas, trimmed. An empty text is one empty part."""
    return [part.strip() for part in text.split(",")]


def by_label(segs: SEGS, labels: Iterable[str]) -> tuple[SEGS, SEGS]:
    """Segments whose label is one of ``labels`` (case counts), and the others, both in their order.

    ``all`` takes every segment; ``eyes``, ``eyebrows`` and ``pupils`` take the left and the right one too.
    """
    wanted = set(labels)
    for label, sides in PAIRS.items():
        wanted.update(sides if label in wanted else ())
    return _split(segs, lambda seg: ALL in wanted or seg.label in wanted)


def by_range(segs: SEGS, target: str, inside: bool, least: float, most: float) -> tuple[SEGS, SEGS]:
    """Segments that measure ``least`` to ``most``, both included, and the others, both in their order.

    Args:
        target: a key of ``RANGE_TARGETS``. ``length_percent`` is the longer side in percent of the shorter, infinite
            for a region without pixels.
        inside: off takes those below ``least`` or above ``most`` instead.

    Raises:
        ValueError: for another target.
    """
    measure = _measure(RANGE_TARGETS, target)
    if inside:
        return _split(segs, lambda seg: bool(least <= measure(seg) <= most))
    return _split(segs, lambda seg: bool(measure(seg) < least or measure(seg) > most))


def by_order(segs: SEGS, target: str, descending: bool, start: int, count: int) -> tuple[SEGS, SEGS]:
    """``count`` segments from place ``start`` on (0 is the first) after sorting, and the others, both as sorted.

    Segments that measure the same stay in their order, whichever way it is sorted.

    Raises:
        ValueError: for a target that is no key of ``ORDER_TARGETS``.
    """
    header, elements = segs
    ordered = sorted(elements, key=_measure(ORDER_TARGETS, target), reverse=descending)
    return (header, ordered[start : start + count]), (header, ordered[:start] + ordered[start + count :])


def parse_picks(text: str) -> set[int]:
    """Whole numbers between commas; what is no whole number is left out."""
    numbers = set()
    for part in split_text(text):
        try:
            numbers.add(int(part))
        except ValueError:
            continue
    return numbers


def pick(segs: SEGS, numbers: set[int]) -> SEGS:
    """The segments of these numbers (1 is the first) in ascending order; numbers without a segment are left out."""
    return segs[0], [seg for number, seg in enumerate(segs[1], start=1) if number in numbers]


def _measure(targets: dict[str, Measure], target: str) -> Measure:
    if target not in targets:
        raise ValueError(f"'{target}' can't be measured; it must be one of {', '.join(targets)}")
    return targets[target]


def _split(segs: SEGS, takes: Callable[[SEG], bool]) -> tuple[SEGS, SEGS]:
    taken: list[SEG] = []
    others: list[SEG] = []
    for seg in segs[1]:
        (taken if takes(seg) else others).append(seg)
    return (segs[0], taken), (segs[0], others)
