"""Turning a crop about a point, so that a face in it stands upright, and turning it back.

Points are ``x, y`` in pixels with the origin at the picture's corner: the centre of the first pixel is (0.5, 0.5).
Angles are in radians from the x axis towards the y axis, which points down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .region import Size
from .resample import LOBES

Point = tuple[float, float]


@dataclass(frozen=True)
class Turn:
    """How a crop is turned upright. The turned crop has the same size and the same pixel at ``centre``.

    Attributes:
        roll: the angle at which the face lies, ``-pi..pi``; 0 is upright.
        centre: the point that stays where it is.
    """

    roll: float
    centre: Point

    @classmethod
    def of_eyes(cls, left: Point, right: Point) -> Turn:
        """The turn that brings two eyes to one height, about the point between them.

        Args:
            left, right: the eyes by their place in an upright face, as the viewer sees it.

        Raises:
            ValueError: if both are the same point or not finite.
        """
        dx, dy = right[0] - left[0], right[1] - left[1]
        if not 0.0 < math.hypot(dx, dy) < math.inf:
            raise ValueError(f"the eyes {left} and {right} give no direction")
        return cls(math.atan2(dy, dx), ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2))

    @property
    def degrees(self) -> float:
        return math.degrees(self.roll)

    def scaled(self, old: Size, new: Size) -> Turn:
        """The same turn in a picture that went from size ``old`` to ``new``; both have the same proportions."""
        return Turn(self.roll, (self.centre[0] * new.width / old.width, self.centre[1] * new.height / old.height))

    def upright_point(self, point: Point) -> Point:
        """Where a point of the crop lies in the turned crop."""
        return _turned(point, self.centre, -self.roll)

    def back_point(self, point: Point) -> Point:
        """Where a point of the turned crop lies in the crop: the inverse of ``upright_point``."""
        return _turned(point, self.centre, self.roll)

    def upright(self, picture: torch.Tensor) -> torch.Tensor:
        """The picture ``[B,H,W,C]`` turned upright, in float; what comes from outside is mirrored at the border.

        A roll of 0 gives the picture itself. Lanczos rings: values can overshoot the range beside hard edges.
        """
        return _sampled(picture, self.centre, self.roll)

    def back(self, picture: torch.Tensor) -> torch.Tensor:
        """An upright picture ``[B,H,W,C]`` turned back, as ``upright``."""
        return _sampled(picture, self.centre, -self.roll)

    def upright_mask(self, mask: torch.Tensor) -> torch.Tensor:
        """A mask ``[B,H,W]`` 0..1 turned upright, bilinear, with 0 for what comes from outside."""
        if self.roll == 0.0:
            return mask
        size = Size(*mask.shape[-2:])
        x, y = _sources(size, self.centre, self.roll)
        grid = torch.stack([2 * x / size.width - 1, 2 * y / size.height - 1], dim=-1).to(mask)
        grid = grid.expand(len(mask), -1, -1, -1)
        return torch.nn.functional.grid_sample(mask[:, None], grid, mode="bilinear", align_corners=False)[:, 0]

    def coverage(self, size: Size, ramp: float) -> torch.Tensor:
        """How far ``back`` knows each pixel, ``[1,H,W]`` float32 0..1.

        1 where the turned crop holds it, 0 where it lies outside, and a slope of ``ramp`` pixels inside the border.
        """
        x, y = _sources(size, self.centre, -self.roll)
        inside = torch.minimum(torch.minimum(x, size.width - x), torch.minimum(y, size.height - y))
        return (inside / max(ramp, 1e-6)).clamp(0.0, 1.0)[None].float()


def _turned(point: Sequence[float], centre: Point, angle: float) -> Point:
    dx, dy = point[0] - centre[0], point[1] - centre[1]
    cos, sin = math.cos(angle), math.sin(angle)
    return centre[0] + cos * dx - sin * dy, centre[1] + sin * dx + cos * dy


def _sources(size: Size, centre: Point, angle: float) -> tuple[torch.Tensor, torch.Tensor]:
    """For each pixel's centre the point it is taken from: two ``[H,W]`` float64."""
    dy, dx = torch.meshgrid(
        torch.arange(size.height, dtype=torch.float64) + 0.5 - centre[1],
        torch.arange(size.width, dtype=torch.float64) + 0.5 - centre[0],
        indexing="ij",
    )
    cos, sin = math.cos(angle), math.sin(angle)
    return centre[0] + cos * dx - sin * dy, centre[1] + sin * dx + cos * dy


def _sampled(picture: torch.Tensor, centre: Point, angle: float) -> torch.Tensor:
    """Lanczos-3 at points between the pixels; every weight sum is made 1."""
    if picture.ndim != 4:
        raise ValueError(f"a turn takes [B,H,W,C], not {list(picture.shape)}")
    if angle == 0.0:
        return picture
    size = Size(*picture.shape[1:3])
    columns, rows = (
        _taps(where, length, picture) for where, length in zip(_sources(size, centre, angle), size[::-1], strict=True)
    )
    flat = picture.flatten(1, 2)
    made = torch.zeros_like(flat)
    for row, row_weight in rows:
        line = torch.zeros_like(flat)
        for column, column_weight in columns:
            line += flat[:, row * size.width + column] * column_weight[:, None]
        made += line * row_weight[:, None]
    return made.reshape(picture.shape)


def _taps(where: torch.Tensor, length: int, like: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The pixels on one axis around each point, and their weights, flat: six pairs of ``[H*W]``."""
    where = where.flatten() - 0.5  # on the CPU: not every device knows float64
    first = where.floor() - (LOBES - 1)
    distances = [where - (first + tap) for tap in range(2 * LOBES)]
    weights = [torch.sinc(distance) * torch.sinc(distance / LOBES) for distance in distances]
    total = torch.stack(weights).sum(dim=0)
    return [
        (_mirrored(first.long() + tap, length).to(like.device), (weight / total).to(like))
        for tap, weight in enumerate(weights)
    ]


def _mirrored(index: torch.Tensor, length: int) -> torch.Tensor:
    """Indices outside ``0..length - 1`` mirrored at both ends, the end repeated."""
    folded = index.remainder(2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)
