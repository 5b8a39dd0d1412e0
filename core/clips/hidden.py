"""What a window does not show of its part in a frame, past the border or behind another part: taken from a frame that
shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from ..region import Size
from .pose import in_frame
from .tracks import Track
from .windows import Window, in_window

ENOUGH = 0.9  # of the most that any frame shows: a frame that shows as much takes from none
EDGE = 3  # pixels around what is before a part that show some of it too
GIVERS = 0.98  # of the most of them: what lies around a part in the frames that others take from


@dataclass(frozen=True)
class Hidden:
    """What is hidden of a part in its window.

    Attributes:
        picture: a frame's size.
        others: the clip's other parts, which may be before it.
    """

    window: Window
    picture: Size
    others: Sequence[Track]

    def filled(self, cut: torch.Tensor, frame: int, seen: Callable[[int], torch.Tensor]) -> torch.Tensor:
        """A window's frame with what is hidden taken from the nearest frames that show it.

        So what is sampled shows the part as it is in other frames, and not half of it, mirrored at the border.

        Args:
            cut: ``[1,h,w,C]`` float, what the window shows of the frame; what is hidden in the others too stays so.
            seen: the same of another frame, by its number.

        Returns:
            ``cut`` itself where nothing is to be filled.
        """
        hidden = None
        for giver in self.givers(frame):
            hidden = self.of(frame) if hidden is None else hidden
            there = self.of(giver)
            taken = (hidden * (1.0 - there))[..., None].to(cut)
            if bool(taken.any()):
                cut = torch.lerp(cut, seen(giver), taken)
            hidden = torch.minimum(hidden, there)
        return cut

    def givers(self, frame: int) -> list[int]:
        """The frames from which it is taken, the nearer first: one before and one after it; none where ``frame`` itself
        shows enough of the part."""
        if frame in self._enough:
            return []
        before = [one for one in self._givers if one < frame]
        after = [one for one in self._givers if one > frame]
        return sorted([*before[-1:], *after[:1]], key=lambda one: abs(one - frame))

    def of(self, frame: int) -> torch.Tensor:
        """How far each pixel of the window is hidden in a frame, ``[1,h,w]`` 0..1."""
        window = self.window
        pose = window.poses[frame]
        hidden = 1.0 - in_frame(pose, window.size, self.picture)
        covered, behind = pose.covered(window.size), torch.zeros_like(hidden)
        for other in self.others:
            sighting = other.sightings.get(frame)
            if sighting is not None and not sighting.region.intersection(covered).is_empty:
                behind = torch.maximum(behind, in_window(sighting, pose, window.size))
        if bool(behind.any()):
            own = window.mask_in(frame) if frame in window.track.sightings else torch.zeros_like(behind)
            edges = torch.nn.functional.max_pool2d(behind - own, 2 * EDGE + 1, stride=1, padding=EDGE)
            hidden = torch.maximum(hidden, torch.minimum(edges, torch.from_numpy(window.mask)[None]))
        return hidden.clamp(0.0, 1.0)

    @cached_property
    def _enough(self) -> frozenset[int]:
        """The frames that show about as much of the part, and of what lies around it, as any does."""
        shown = {frame: self._share(frame) * area for frame, area in self.window.areas.items()}
        most = max(shown.values(), default=0.0)
        return frozenset(frame for frame, much in shown.items() if much >= ENOUGH * most)

    @cached_property
    def _givers(self) -> list[int]:
        """Of these, the frames that show most of what lies around the part."""
        shares = {frame: self._share(frame) for frame in self._enough}
        most = max(shares.values(), default=0.0)
        return sorted(frame for frame, share in shares.items() if share >= GIVERS * most)

    def _share(self, frame: int) -> float:
        """Of the window, what lies in a frame."""
        covered = self.window.poses[frame].covered(self.window.size)
        inside = covered.within(self.picture)
        return 0.0 if inside.is_empty else inside.size.area / covered.size.area
