"""Turning a crop about a point, so that a face in it stands upright, and turning it back.

Points are ``x, y`` in pixels with the origin at the picture's corner: the centre of the first pixel is (0.5, 0.5).
Angles are in radians from the x axis towards the y axis, which points down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .region import Size

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
        return _picture(picture, self.centre, self.roll)

    def back(self, picture: torch.Tensor) -> torch.Tensor:
        """An upright picture ``[B,H,W,C]`` turned back, as ``upright``."""
        return _picture(picture, self.centre, -self.roll)

    def upright_mask(self, mask: torch.Tensor) -> torch.Tensor:
        """A mask ``[B,H,W]`` 0..1 turned upright, bilinear, with 0 for what comes from outside."""
        import cv2

        if self.roll == 0.0:
            return mask
        return _warped(mask[..., None], self.centre, self.roll, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[..., 0]

    def coverage(self, size: Size, ramp: float) -> torch.Tensor:
        """How far ``back`` knows each pixel, ``[1,H,W]`` float32 0..1.

        1 where the turned crop holds it, 0 where it lies outside, and a slope of ``ramp`` pixels inside the border.
        """
        dx = torch.arange(size.width, dtype=torch.float64) + 0.5 - self.centre[0]
        dy = (torch.arange(size.height, dtype=torch.float64) + 0.5 - self.centre[1])[:, None]
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        x, y = self.centre[0] + cos * dx + sin * dy, self.centre[1] - sin * dx + cos * dy
        inside = torch.minimum(torch.minimum(x, size.width - x), torch.minimum(y, size.height - y))
        return (inside / max(ramp, 1e-6)).clamp(0.0, 1.0)[None].float()


def _turned(point: Sequence[float], centre: Point, angle: float) -> Point:
    dx, dy = point[0] - centre[0], point[1] - centre[1]
    cos, sin = math.cos(angle), math.sin(angle)
    return centre[0] + cos * dx - sin * dy, centre[1] + sin * dx + cos * dy


def _picture(picture: torch.Tensor, centre: Point, angle: float) -> torch.Tensor:
    import cv2

    if picture.ndim != 4:
        raise ValueError(f"a turn takes [B,H,W,C], not {list(picture.shape)}")
    if angle == 0.0:
        return picture
    return _warped(picture, centre, angle, cv2.INTER_LANCZOS4, cv2.BORDER_REFLECT)


def _warped(picture: torch.Tensor, centre: Point, angle: float, kernel: int, border: int) -> torch.Tensor:
    """Each frame of ``[B,H,W,C]`` turned about the centre by ``-angle``: by OpenCV, in float32."""
    import cv2

    cos, sin = math.cos(angle), math.sin(angle)
    x, y = centre[0] - 0.5, centre[1] - 0.5  # OpenCV's whole numbers are the pixels' centres
    source = np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])
    size, flags = picture.shape[2:0:-1], kernel | cv2.WARP_INVERSE_MAP
    made = torch.empty(picture.shape, dtype=torch.float32)
    for before, after in zip(picture.detach().float().cpu().contiguous().numpy(), made.numpy(), strict=True):
        turned = cv2.warpAffine(before, source, size, flags=flags, borderMode=border)
        after[...] = turned.reshape(after.shape)  # OpenCV drops an only channel
    return made.to(picture)
