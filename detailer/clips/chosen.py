"""Choices for single parts of a clip, by their tracks' numbers, carried out on its plan."""

from __future__ import annotations

from dataclasses import replace

from ..pipeline.chosen import Chosen, with_choice
from .plan import ClipPlan


def with_choices(plan: ClipPlan, chosen: Chosen) -> ClipPlan:
    """A clip's plan with what is chosen for its parts. A part is where it is first seen."""
    if not chosen.choices.all:
        return plan
    boxes = {part.crop.number: part.track.sightings[part.track.first].region for part in plan.parts}
    by_number = chosen.by_number(boxes)
    parts = [
        replace(part, crop=replace(with_choice(part.crop, by_number.get(part.crop.number)), candidates=1))
        for part in plan.parts
    ]
    return replace(plan, parts=tuple(parts))
