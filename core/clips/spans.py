"""A long row of frames in spans that overlap."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Frames ``first`` to before ``last``, and how much each counts: those of all spans sum to 1 in every frame."""

    first: int
    last: int
    weights: tuple[float, ...]


def spans(count: int, length: int, overlap: int) -> tuple[Span, ...]:
    """Spans of one length over ``count`` frames, each sharing at least ``overlap`` with the one before.

    Where two overlap, the one gives way to the other evenly. They are as few as can be, and lie evenly.

    Args:
        length: at least 1; a single span where it is enough.
        overlap: less than ``length``.

    >>> [(span.first, span.last) for span in spans(10, 4, 1)]
    [(0, 4), (3, 7), (6, 10)]
    """
    if count <= length:
        return (Span(0, count, (1.0,) * count),)
    steps = -(-(count - length) // (length - overlap))
    starts = [round(index * (count - length) / steps) for index in range(steps + 1)]
    made = []
    for index, first in enumerate(starts):
        last = first + length
        before = starts[index - 1] + length if index else first
        after = starts[index + 1] if index < steps else last
        weights = []
        for frame in range(first, last):
            rising = min((frame - first + 1) / (before - first + 1), 1.0) if before > first else 1.0
            falling = min((last - frame) / (last - after + 1), 1.0) if after < last else 1.0
            weights.append(min(rising, falling))
        made.append((first, last, weights))
    sums = [0.0] * count
    for first, _, weights in made:
        for offset, weight in enumerate(weights):
            sums[first + offset] += weight
    return tuple(
        Span(first, last, tuple(weight / sums[first + offset] for offset, weight in enumerate(weights)))
        for first, last, weights in made
    )
