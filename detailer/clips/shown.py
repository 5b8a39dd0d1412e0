"""What a browser is shown of a clip's parts while they are worked on: of each the frame in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from ...core import SEG
from ...core.clips.pose import cut
from ..live import Live
from ..pipeline.plan import CropPlan, Place
from .plan import ClipPlan, TrackPlan


@dataclass(frozen=True)
class _Strip:
    """The parts as the strip has them: segments of one picture."""

    crops: Sequence[CropPlan]


@dataclass
class Shown:
    """Tells the browser of a run's parts.

    Attributes:
        work: ``[F,H,W,3]`` float 0..1, the clip as it is now.
    """

    live: Live
    work: torch.Tensor
    plan: ClipPlan
    _places: dict[int, Place] = field(default_factory=dict, init=False)

    def planned(self, lost: Sequence[str]) -> None:
        """The parts are known, and the choices that found none."""
        if self.live.browser is None:
            return
        crops = [self._crop(part) for part in self.plan.parts]
        self._places = {crop.number: Place(0, crop) for crop in crops}
        self.live.planned(0, _Strip(crops), self.work[:1], own_images=True)
        self.live.lost(lost)
        for part in self.plan.parts:
            if part.crop.kept:
                self.live.kept(self._places[part.crop.number], self._seen(part))

    def begun(self, part: TrackPlan, span: str = "", spans: int = 1) -> None:
        """A part is worked on, of an image model's frames a span of so many."""
        place = self._places.get(part.crop.number)
        if place is not None:
            self.live.begun([place], span, spans)

    def done(self, part: TrackPlan, before: torch.Tensor, is_remembered: bool) -> None:
        """A part is put back; ``before`` are its window's frames as they were."""
        place = self._places.get(part.crop.number)
        if place is not None:
            at = _middle(part) - part.track.first
            tell = self.live.reused if is_remembered else self.live.done
            tell(place, lambda: self._seen(part), before[at : at + 1])

    def _crop(self, part: TrackPlan) -> CropPlan:
        """The part as it is in its middle frame, its box where it is first seen: there choices look for it."""
        track = part.track
        crop = part.crop_in(_middle(part))
        first = track.sightings[track.first].region
        seg = SEG(self._seen(part), None, 1.0, crop.region.as_list(), first.as_tuple(), track.label)
        return replace(crop, seg=seg, frames=(track.first + 1, track.last + 1))

    def _seen(self, part: TrackPlan) -> torch.Tensor:
        frame = _middle(part)
        return cut(self.work[frame : frame + 1], part.window.poses[frame], part.window.size).clamp_(0.0, 1.0)


def _middle(part: TrackPlan) -> int:
    """The frame in which it is seen, nearest to the middle of them all."""
    return part.track.nearest((part.track.first + part.track.last) // 2)
