"""Trying again: crops that came out black, that a hook finds fault with, or that did not fit into memory at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import host
from .crop import Crop
from .memory import Room
from .recipe import Recipe

logger = logging.getLogger("mask_detailer")


@dataclass
class _Tries:
    """How often the hook turned a crop down, and how often it came out black since."""

    judged: int = 0
    black: int = 0


class Attempts:
    """A group's crops until each is made. Iterate over what to try next, and hand in what came of it.

    Every crop that was handed out and not taken in as good comes again: with the next seed where it was black or a hook
    turned it down, with fewer others at once where memory ran out. Crops that are skipped are made as they are, and so
    are those that are remembered.

    Args:
        crops: as they were cut out.
        progress: the group's stretch of the bar.
        most: how many go at once; None: all.
    """

    def __init__(
        self,
        crops: Sequence[Crop],
        recipe: Recipe,
        room: Room,
        progress: host.progress.Progress,
        most: int | None = None,
    ) -> None:
        self._crops = list(crops)
        self._tries = [_Tries() for _ in crops]
        self._made = [crop if crop.fault or crop.is_remembered else None for crop in crops]
        self._recipe, self._room, self._progress = recipe, room, progress
        self._most = len(crops) if most is None else most
        judged = recipe.settings.attempts if recipe.hook.judges else 0
        self._most_judged, self._most_black = judged, recipe.settings.options.retries

    def __iter__(self) -> Iterator[tuple[list[Crop], host.progress.Progress]]:
        """Crops to make at once, and their stretch of the bar; what was black before is not counted again."""
        while waiting := [index for index, made in enumerate(self._made) if made is None]:
            self._room.tidy()
            fewest = min(self._tries[index].black for index in waiting)
            now = [index for index in waiting if self._tries[index].black == fewest]
            now = now[: self._room.within(min(len(now), self._most))]
            yield [self._crops[index].reseeded(self._later(index)) for index in now], self._stretch(now, fewest)

    def take(self, crop: Crop) -> None:
        """A crop that was handed out, restored: it is kept, or will be handed out again.

        Raises:
            RuntimeError: if the hook has found fault with every attempt.
        """
        index = next(i for i, one in enumerate(self._crops) if one.key == crop.key)
        tries = self._tries[index]
        if crop.fault:
            if tries.black < self._most_black:
                tries.black += 1
            else:
                self._made[index] = crop
        elif self._most_judged and self._recipe.hook.asks("should_retry_patch", crop.pixels):
            tries.judged, tries.black = tries.judged + 1, 0
            logger.info(
                "%s: attempt %d of %d is not good enough for the hook", crop.name, tries.judged, self._most_judged
            )
            if tries.judged == self._most_judged:
                raise RuntimeError(
                    f"{self._recipe.source}, {crop.name}: the hook found fault with all {tries.judged} attempts. Raise "
                    "max_retries, change the seed, or loosen the hook's thresholds"
                )
        else:
            self._made[index] = crop

    def made(self) -> list[Crop]:
        """The crops in the order in which they came, when the iteration is over."""
        return [crop for crop in self._made if crop is not None]

    def _later(self, index: int) -> int:
        """How many seeds a crop is further on."""
        return self._tries[index].judged + self._tries[index].black

    def _stretch(self, now: Sequence[int], black: int) -> host.progress.Progress:
        if black:
            return host.progress.Progress.hidden()
        done = len(self._crops) - self._made.count(None)
        part = self._progress.between(done / len(self._crops), (done + len(now)) / len(self._crops))
        return part.split(self._most_judged)[self._tries[now[0]].judged] if self._most_judged else part
