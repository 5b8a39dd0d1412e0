"""Detail that holds still: what a model adds to a frame, averaged with what it adds to those around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from ..region import Size

REACH = 2  # frames before and after
OTHER = 0.04  # what two frames differ by in 0..1 where they no longer show the same
BLUR = 2.0  # pixels over which they are compared


@dataclass(frozen=True)
class Made:
    """A window's frame.

    Attributes:
        before: ``[1,h,w,3]`` float 0..1, as it was cut.
        after: of the same size, what a model made of it.
        large: the same at the size that was sampled, where that is known.
    """

    before: torch.Tensor
    after: torch.Tensor
    large: torch.Tensor | None = None


@dataclass
class Steadying:
    """Frames of a window that come one by one, in their order; each is done as soon as those after it are there.

    A model adds a little another detail to each frame, though noise and place are the same. Each frame is the mean of
    itself and of its neighbours as they would look had they been made of it: ``after + own before - before``. Where a
    neighbour shows something else there (a blink, a turn, light), it counts little or nothing.

    Attributes:
        reach: frames before and after that count.
    """

    reach: int = REACH
    _held: dict[int, Made] = field(default_factory=dict)
    _done: int = -1

    def take(self, frame: int, made: Made) -> Iterator[tuple[int, Made]]:
        """One more frame; gives those that are done with it, by their numbers."""
        self._held[frame] = made
        yield from self._until(frame - self.reach)

    def rest(self) -> Iterator[tuple[int, Made]]:
        """The last frames, of which none comes after."""
        if self._held:
            yield from self._until(max(self._held))

    def _until(self, last: int) -> Iterator[tuple[int, Made]]:
        for frame in sorted(one for one in self._held if self._done < one <= last):
            near = {one: self._held[one] for one in self._held if abs(one - frame) <= self.reach}
            yield frame, steadied(near, frame)
            self._done = frame
            for gone in [one for one in self._held if one <= frame - self.reach]:
                del self._held[gone]


def steadied(near: Mapping[int, Made], frame: int) -> Made:
    """A frame's mean with those around it; itself where there are none.

    Args:
        near: frames by their numbers, ``frame`` among them.
    """
    own = near[frame]
    others = [one for number, one in sorted(near.items()) if number != frame]
    if not others:
        return own
    weights = [_alike(one.before, own.before) for one in others]
    after = _mean(own.after, [(one.after, own.before - one.before) for one in others], weights)
    large = own.large
    if large is not None:
        size = Size(*large.shape[1:3])
        pairs = [
            (one.large, _enlarged(own.before - one.before, size), weight)
            for one, weight in zip(others, weights, strict=True)
            if one.large is not None
        ]
        large = _mean(large, [pair[:2] for pair in pairs], [_enlarged(pair[2], size) for pair in pairs])
    return Made(own.before, after, large)


def _mean(
    own: torch.Tensor, others: list[tuple[torch.Tensor, torch.Tensor]], weights: list[torch.Tensor]
) -> torch.Tensor:
    made, whole = own.clone(), torch.ones_like(own[..., :1])
    for (other, instead), weight in zip(others, weights, strict=True):
        made.addcmul_(weight, other + instead)
        whole += weight
    return made.div_(whole).clamp_(0.0, 1.0)


def _alike(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Where two frames ``[1,h,w,3]`` show the same: ``[1,h,w,1]`` 0..1."""
    import cv2

    apart = (one - other).abs_().mean(dim=-1)[0].cpu().numpy()
    apart = cv2.GaussianBlur(apart, (0, 0), BLUR)
    return torch.from_numpy(np.exp(-np.square(apart / OTHER)))[None, ..., None].to(one)


def _enlarged(picture: torch.Tensor, size: Size) -> torch.Tensor:
    """``[1,h,w,C]`` at another size, bilinear: differences of pictures that are nearly the same, and weights."""
    moved = torch.nn.functional.interpolate(
        picture.movedim(-1, 1), size=tuple(size), mode="bilinear", align_corners=False
    )
    return moved.movedim(1, -1)
