"""Choices for single segments, carried out on the plans of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...core import Region, bbox
from ..choices import Choice, Choices, meant
from .plan import NOWHERE, CropPlan, Plan

logger = logging.getLogger("mask_detailer")

KEPT = "the picture is to stay as it is there"
LEFT_OUT = "it is chosen to be left out"


@dataclass
class Chosen:
    """The choices of a run, and which of them have found a segment."""

    choices: Choices
    _found: set[str] = field(default_factory=set)
    _said: set[str] = field(default_factory=set)

    def carried_out(self, plan: Plan, picture: int) -> Plan:
        """A picture's plan with what is chosen for its segments.

        Args:
            picture: its number, from 1.
        """
        if not self.choices.all:
            return plan
        by_number = self.by_number({crop.number: bbox(crop.seg) for crop in plan.crops}, picture)
        crops = tuple(with_choice(crop, by_number.get(crop.number)) for crop in plan.crops)
        return replace(plan, crops=crops)

    def by_number(self, boxes: Mapping[int, Region], picture: int = 1) -> dict[int, Choice]:
        """What is chosen for a picture's parts.

        Args:
            boxes: in pixels of the picture, by the parts' numbers.
            picture: its number, from 1.
        """
        by_number: dict[int, Choice] = {}
        for choice in self.choices.for_picture(picture):
            number = meant(choice, boxes)
            if number is None:
                continue
            self._found.add(choice.key)
            before = by_number.get(number)
            if before is not None and (before.picture is None) == (choice.picture is None):
                self._say(f"the choices {before.key} and {choice.key} mean one segment: {choice.key} counts")
            by_number[number] = choice
        return by_number

    @property
    def lost(self) -> list[str]:
        """The choices that have found no segment, as they were written."""
        return [choice.key for choice in self.choices.all if choice.key not in self._found]

    def tell(self) -> None:
        """Log what was made of them."""
        made = [_words(choice) for choice in self.choices.all if choice.key in self._found]
        if made:
            self._say(f"chosen: {'; '.join(made)}")
        if self.lost:
            self._say(f"no segment is found for the choices {', '.join(self.lost)}: they change nothing")

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.info("%s", text)


def with_choice(crop: CropPlan, choice: Choice | None) -> CropPlan:
    """A plan as it is chosen."""
    if choice is None:
        return crop
    if choice.skip:
        return replace(crop, skipped=LEFT_OUT, too_large=False, reach=NOWHERE)
    if crop.skipped:
        return crop
    if choice.keep:
        return replace(crop, skipped=KEPT, kept=True, reach=NOWHERE)
    # a seed is a decision, and several are asked for to be looked at
    takes_best = crop.takes_best and choice.seed is None and choice.candidates == 1
    return replace(
        crop,
        seed=crop.seed if choice.seed is None else choice.seed,
        denoise=crop.denoise if choice.denoise is None else choice.denoise,
        text=crop.text if choice.text is None else (choice.text if choice.text.strip() else None),
        candidates=crop.candidates if takes_best else choice.candidates,
        takes_best=takes_best,
    )


def _words(choice: Choice) -> str:
    said = {"seed": choice.seed, "denoise": choice.denoise, "text": choice.text}
    words = [f"{name} {value}" for name, value in said.items() if value is not None]
    words += [name for name in ("keep", "skip") if getattr(choice, name)]
    if choice.candidates > 1:
        words.append(f"{choice.candidates} candidates")
    return f"{choice.key}: {', '.join(words) or 'nothing'}"
