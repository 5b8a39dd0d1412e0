"""The best of a part's candidates, by what can be measured and what the hook says; and why, in a table."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from ...core.surroundings.ring import ring_of
from ...core.surroundings.verdict import NAMES, Measures, measured, totals
from .crop import Crop
from .recipe import Recipe

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class Verdict:
    """What is said of one candidate.

    Attributes:
        measures: None where it could not be used.
        hook: the hook's points against it.
        points: all in one number; infinite where it could not be used.
    """

    measures: Measures | None
    hook: float
    points: float


def judged_candidates(
    made: Sequence[Crop], seen: Sequence[Callable[[], torch.Tensor]], recipe: Recipe
) -> list[Verdict]:
    """A verdict for each candidate of a part.

    Args:
        made: restored.
        seen: what gives each as the picture would have it.
    """
    sound = [(crop, picture()) for crop, picture in zip(made, seen, strict=True) if not crop.fault]
    measures, points = [], []
    for crop, put in sound:
        part = crop.within_picture()
        ring = ring_of(part.mask, part.noise_mask)
        measures.append(measured(part.before, part.pixels, put, part.mask, ring))
        points.append(recipe.hook.points_of(part.before.clone(), put.clone(), part.mask.clone()))
    rated = iter(zip(measures, points, totals(measures), strict=True))
    verdicts = []
    for crop in made:
        if crop.fault:
            verdicts.append(Verdict(None, 0.0, math.inf))
            continue
        one, hook, total = next(rated)
        verdicts.append(Verdict(one, hook, total + hook))
    return verdicts


def best_of(verdicts: Sequence[Verdict]) -> int:
    """Which is best, the first of equals."""
    return min(range(len(verdicts)), key=lambda index: verdicts[index].points)


@dataclass
class Verdicts:
    """Those of a run, as a table for the log: a line a candidate."""

    _lines: list[list[str]] = field(default_factory=list)

    def add(self, name: str, seeds: Sequence[int], verdicts: Sequence[Verdict]) -> None:
        """
        Args:
            name: the segment's.
        """
        best = best_of(verdicts)
        for index, (seed, one) in enumerate(zip(seeds, verdicts, strict=True)):
            cells = ["-"] * len(NAMES) if one.measures is None else one.measures.cells()
            points = "-" if math.isinf(one.points) else f"{one.points:.2f}"
            self._lines.append([name, str(seed), *cells, f"{one.hook:.2f}", points, "best" * (index == best)])

    def tell(self) -> None:
        """Log it, and forget it."""
        if not self._lines:
            return
        lines = [["candidates of", "seed", *NAMES, "hook", "faults", ""], *self._lines]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, ["-" * width for width in widths])
        logger.info("of each part the candidate with the fewest faults was taken:")
        for line in lines:
            logger.info("| %s |", " | ".join(map(str.ljust, line, widths)))
        self._lines.clear()
