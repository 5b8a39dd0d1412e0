"""Outlines of what a segmenter finds: sums of its prototypes, and their way into the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from ....core import Region, Size
from .boxes import Frame, Kept
from .heads import Seen

AT_ONCE = 32  # outlines: what bounds the memory they need on their way


@dataclass(frozen=True)
class Outline:
    """The outline of one thing in a picture.

    Attributes:
        mask: ``[h,w]`` booleans, of the picture's size in what the net was shown, its padding cut off.
        picture: the picture's size.
    """

    mask: torch.Tensor
    picture: Size

    def extent(self) -> Region:
        """A rectangle of the picture outside which there is nothing; empty where there is nothing at all."""
        y1, y2 = _extent(self.mask.any(dim=1), self.picture.height)
        x1, x2 = _extent(self.mask.any(dim=0), self.picture.width)
        return Region(x1, y1, x2, y2).within(self.picture)

    def within(self, region: Region) -> torch.Tensor:
        """What of it lies in a region of the picture: ``[h,w]`` float32 0..1, its edges soft where it is enlarged.

        It is what bilinear resizing of the whole to the picture's size gives there.
        """
        rows, next_rows, down = _sources(region.y1, region.y2, self.picture.height, self.mask.shape[0])
        columns, next_columns, across = _sources(region.x1, region.x2, self.picture.width, self.mask.shape[1])
        mask = self.mask.float()
        upper, lower = mask[rows], mask[next_rows]
        mixed = upper + (lower - upper) * down[:, None]
        left, right = mixed[:, columns], mixed[:, next_columns]
        return left + (right - left) * across


def _extent(there: torch.Tensor, length: int) -> tuple[int, int]:
    """Where an axis of ``length`` pixels can be touched by what is there in the small mask: from, to."""
    index = torch.nonzero(there)[:, 0]
    if not len(index):
        return 0, 0
    ratio = length / len(there)
    return int((int(index[0]) - 1) * ratio), int((int(index[-1]) + 2) * ratio) + 1


def _sources(first: int, last: int, length: int, inner: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of pixels of one axis: the two they lie between in the small mask, and how far they are from the first."""
    middles = (torch.arange(first, last, dtype=torch.float64) + 0.5) * (inner / length) - 0.5
    middles = middles.clamp(0, inner - 1)
    lower = middles.floor()
    return lower.long(), (lower.long() + 1).clamp(max=inner - 1), (middles - lower).float()


def outlines_of(seen: Seen, kept: Kept, frame: Frame) -> Iterator[Outline | None]:
    """The outline of each that counts as found; None where nothing of it is left within its box.

    The sum of the prototypes is enlarged to the size of what the net was shown, and is the thing where it is above 0.
    """
    if seen.coefficients is None or seen.prototypes is None:
        raise ValueError("the net gives no masks")
    channels, height, width = seen.prototypes.shape
    flat = seen.prototypes.reshape(channels, -1)
    rows, columns = Region(frame.left, frame.top, frame.left + frame.inner.width, frame.top + frame.inner.height).slices
    for first in range(0, len(kept.scores), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        sums = (seen.coefficients[kept.places[part]] @ flat).reshape(-1, height, width)
        enlarged = functional.interpolate(sums[None], size=tuple(frame.shown), mode="bilinear")[0]
        for mask in (enlarged > 0) & _inside(kept.boxes[part], frame.shown):
            yield Outline(mask[rows, columns].cpu(), frame.picture) if bool(mask.any()) else None


def _inside(boxes: torch.Tensor, size: Size) -> torch.Tensor:
    """Which pixels ``[n,h,w]`` of a picture lie in each box."""
    left, top, right, bottom = (side[:, None, None] for side in boxes.T)
    x, y = torch.arange(size.width, device=boxes.device), torch.arange(size.height, device=boxes.device)[:, None]
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)
