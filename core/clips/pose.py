"""Where a window lies in a frame: shifted, zoomed and turned; and how pictures go through it and back.

Points are ``x, y`` in pixels from the corner: the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..banded import Band, along_height, along_width
from ..reflect import cut_mirrored
from ..region import Region, Size
from ..resample import GENTLE, LANCZOS, Kernel

WHOLE = 1e-6  # pixels: what counts as a whole number of them


@dataclass(frozen=True)
class Pose:
    """A window's place in a frame: the window's point ``u`` is at ``centre + zoom * turned(u - the window's middle)``.

    Attributes:
        x, y: the window's middle in the frame.
        zoom: pixels of the frame for one of the window.
        turn: in radians, from the x axis towards the y axis.
    """

    x: float
    y: float
    zoom: float = 1.0
    turn: float = 0.0

    @property
    def is_upright(self) -> bool:
        """Neither zoomed nor turned."""
        return self.zoom == 1.0 and self.turn == 0.0

    def matrix(self, window: Size) -> np.ndarray:
        """``[2,3]``: from a point of the window, corners as pixels' corners, to the frame's."""
        cos, sin = self.zoom * math.cos(self.turn), self.zoom * math.sin(self.turn)
        across, down = window.width / 2, window.height / 2
        return np.array(
            [[cos, -sin, self.x - cos * across + sin * down], [sin, cos, self.y - sin * across - cos * down]]
        )

    def back(self, window: Size) -> np.ndarray:
        """The inverse of ``matrix``."""
        forth = self.matrix(window)
        turned = np.linalg.inv(forth[:, :2])
        return np.concatenate([turned, -turned @ forth[:, 2:]], axis=1)

    def seen(self, x: float, y: float, window: Size) -> tuple[float, float]:
        """Where a point of the frame lies in the window."""
        back = self.back(window)
        return float(back[0] @ (x, y, 1.0)), float(back[1] @ (x, y, 1.0))

    def corner(self, window: Size) -> tuple[float, float]:
        """An upright window's left and top edge in the frame."""
        return self.x - window.width / 2, self.y - window.height / 2

    def region(self, window: Size) -> Region | None:
        """What an upright window at whole pixels covers; None for another."""
        left, top = self.corner(window)
        if not self.is_upright or abs(left - round(left)) > WHOLE or abs(top - round(top)) > WHOLE:
            return None
        return Region(round(left), round(top), round(left) + window.width, round(top) + window.height)

    def covered(self, window: Size) -> Region:
        """The smallest region that holds all of the window."""
        whole = self.region(window)
        if whole is not None:
            return whole
        corners = np.array([[x, y, 1.0] for x in (0, window.width) for y in (0, window.height)])
        places = corners @ self.matrix(window).T
        (left, top), (right, bottom) = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0))
        return Region(int(left), int(top), int(right), int(bottom))


def cut(frame: torch.Tensor, pose: Pose, window: Size) -> torch.Tensor:
    """What a window shows of a frame ``[1,H,W,C]`` float: ``[1,h,w,C]``, resampled by Lanczos-3.

    A window at whole pixels shows them bit for bit. Past the frame's border it goes on mirrored. Lanczos rings.
    """
    whole = pose.region(window)
    if whole is not None:
        inside = whole.inside(Size(*frame.shape[1:3]))
        return frame[(slice(None), *whole.slices)].clone() if inside else cut_mirrored(frame, whole)
    area = pose.covered(window).padded(LANCZOS.lobes + 1)
    return resampled(cut_mirrored(frame, area), shifted(pose.matrix(window), area), window)


def put_back(picture: torch.Tensor, pose: Pose, window: Size, region: Region) -> torch.Tensor:
    """What a window's picture shows over a region of the frame: ``[1,region's size,C]``, the way back.

    Args:
        picture: ``[1,h,w,C]`` float of the window's size, or of any other at which it was worked on: straight from
            there to the frame's pixels, by the kernels of ``from_working_size``.
    """
    size = Size(*picture.shape[1:3])
    if size == window and pose.region(window) == region:
        return picture
    back = pose.back(window)
    back = np.concatenate([back[:, :2], back @ np.array([[region.x1], [region.y1], [1.0]])], axis=1)
    back = back * np.array([[size.width / window.width], [size.height / window.height]])
    return resampled(picture, back, region.size, GENTLE if _stretch(back) > 1.0 else LANCZOS)


def within(pose: Pose, window: Size, region: Region, ramp: float = 1.0) -> torch.Tensor:
    """How far a window covers the pixels of a region of the frame: ``[1,h,w]`` 0..1, 1 where it wholly does."""
    if pose.region(window) == region:
        return torch.ones(1, *region.size)
    return _inside(pose.back(window), region, window, ramp)


def in_frame(pose: Pose, window: Size, picture: Size, ramp: float = 1.0) -> torch.Tensor:
    """How far a frame of the picture's size covers the pixels of a window: ``[1,h,w]`` 0..1, 1 where it wholly does."""
    return _inside(pose.matrix(window), Region.whole(window), picture, ramp)


def _inside(matrix: np.ndarray, region: Region, bounds: Size, ramp: float) -> torch.Tensor:
    """How far inside bounds the pixels of a region lie, by a matrix from its points to theirs, up to 1 at a ramp."""
    x = torch.arange(region.width, dtype=torch.float64) + 0.5 + region.x1
    y = (torch.arange(region.height, dtype=torch.float64) + 0.5 + region.y1)[:, None]
    across, down = (row[0] * x + row[1] * y + row[2] for row in matrix)
    inside = torch.minimum(torch.minimum(across, bounds.width - across), torch.minimum(down, bounds.height - down))
    return (inside / ramp).clamp(0.0, 1.0)[None].float()


def shifted(matrix: np.ndarray, area: Region) -> np.ndarray:
    """The same to the points of a picture cut at ``area``."""
    return matrix - np.array([[0.0, 0.0, area.x1], [0.0, 0.0, area.y1]])


def resampled(image: torch.Tensor, matrix: np.ndarray, size: Size, kernel: Kernel = LANCZOS) -> torch.Tensor:
    """A picture sampled where a matrix says, by a kernel that is stretched where that makes it smaller.

    Args:
        image: ``[1,H,W,C]`` float; past its borders it goes on with its edge.
        matrix: ``[2,3]``, from points of what is made to points of the image.

    Returns:
        ``[1,size.height,size.width,C]``.
    """
    if matrix[0, 1] == matrix[1, 0] == 0.0:
        planes = image[0].movedim(-1, 0)
        planes = along_width(planes, _line(kernel, matrix[0, 0], matrix[0, 2], image.shape[2], size.width))
        planes = along_height(planes, _line(kernel, matrix[1, 1], matrix[1, 2], image.shape[1], size.height))
        return planes.movedim(0, -1)[None]
    stretch = _stretch(matrix)
    x = np.arange(size.width) + 0.5
    y = (np.arange(size.height) + 0.5)[:, None]
    across = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] - 0.5
    down = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] - 0.5
    reach = math.ceil(kernel.lobes * stretch)
    left, top = np.floor(across).astype(np.int64), np.floor(down).astype(np.int64)
    offsets = np.arange(1 - reach, reach + 1)
    columns, rows = (
        _weights(kernel, near[..., None] + offsets - exact[..., None], stretch)
        for near, exact in ((left, across), (top, down))
    )
    flat = image[0].detach().to("cpu", torch.float32).reshape(-1, image.shape[-1])
    height, width = image.shape[1:3]
    made = torch.zeros(size.height * size.width, image.shape[-1])
    for row, down_by in enumerate(offsets):
        at_row = np.clip(top + down_by, 0, height - 1) * width
        for column, across_by in enumerate(offsets):
            weight = rows[..., row] * columns[..., column]
            places = at_row + np.clip(left + across_by, 0, width - 1)
            made.addcmul_(flat[torch.from_numpy(places.ravel())], torch.from_numpy(weight.reshape(-1, 1)))
    return made.reshape(1, *size, -1).to(image)


def _stretch(matrix: np.ndarray) -> float:
    """How much smaller a matrix makes a picture, 1 at least."""
    return max(float(np.hypot(matrix[0, 0], matrix[1, 0])), 1.0)


def _weights(kernel: Kernel, away: np.ndarray, stretch: float) -> np.ndarray:
    weights = kernel.weights(away / stretch)
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def _line(kernel: Kernel, step: float, start: float, inputs: int, outputs: int) -> Band:
    """The filter that samples a line at ``start + step * (i + 0.5)``; past its ends it goes on with its last value."""
    stretch = max(abs(step), 1.0)
    centres = start + step * (np.arange(outputs) + 0.5) - 0.5
    reach = math.ceil(kernel.lobes * stretch)
    taps = min(2 * reach + 1, inputs)
    columns = np.floor(centres).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    weights = kernel.weights((columns - centres[:, None]) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    inside = np.clip(columns, 0, inputs - 1)
    starts = np.clip(inside[:, 0], 0, inputs - taps)
    if step < 0:
        raise ValueError(f"a line is sampled from its start to its end, not by steps of {step:g}")
    made = np.zeros((outputs, taps))
    np.add.at(made, (np.arange(outputs)[:, None], np.minimum(inside - starts[:, None], taps - 1)), weights)
    return Band(made, np.maximum.accumulate(starts), inputs)


def cut_mask(mask: torch.Tensor, pose: Pose, window: Size) -> torch.Tensor:
    """What a window shows of a frame's mask ``[1,H,W]`` 0..1: ``[1,h,w]``, bilinear, 0 past the border."""
    import cv2

    whole = pose.region(window)
    picture = Size(*mask.shape[1:3])
    if whole is not None and whole.inside(picture):
        return mask[(slice(None), *whole.slices)].clone()
    matrix = pose.matrix(window)
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV's whole numbers are the pixels' centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    values = mask[0].detach().to("cpu", torch.float32).contiguous().numpy()
    made = cv2.warpAffine(values, matrix, (window.width, window.height), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return torch.from_numpy(made)[None]
