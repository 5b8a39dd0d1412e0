"""Choices for single parts of a clip, by their tracks' numbers, carried out on its plan."""

from __future__ import annotations

from dataclasses import replace

from ..choices import Choice
from ..pipeline.chosen import Chosen, with_choice
from .plan import ClipPlan, TrackPlan


def with_choices(plan: ClipPlan, chosen: Chosen) -> ClipPlan:
    """A clip's plan with what is chosen for its parts. A part is where it is first seen."""
    if not chosen.choices.all:
        return plan
    boxes = {part.crop.number: part.track.sightings[part.track.first].region for part in plan.parts}
    by_number = chosen.by_number(boxes)
    return replace(plan, parts=tuple(_with_choice(part, by_number.get(part.crop.number)) for part in plan.parts))


def _with_choice(part: TrackPlan, choice: Choice | None) -> TrackPlan:
    crop = replace(with_choice(part.crop, choice), candidates=1)
    is_chosen = choice is not None and choice.denoise is not None
    return replace(part, crop=crop, denoises={} if is_chosen else part.denoises)
