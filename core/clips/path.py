"""What a window that moves shows of the frames of a clip, at any resolution of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..region import Region, Size
from .pose import Pose, cut, resampled, shifted

if TYPE_CHECKING:  # what follows parts is imported where it is needed: ComfyUI starts with all packs
    from .windows import Window


@dataclass(frozen=True)
class Path:
    """A window's way through some frames of a clip.

    Attributes:
        size: the window's.
        poses: its place in each of them.
        frames: which frames of the clip they are, from 0.
        picture: a frame's size.
    """

    size: Size
    poses: Sequence[Pose]
    frames: Sequence[int]
    picture: Size

    @classmethod
    def of(cls, window: Window, frames: Sequence[int], picture: Size) -> Path:
        """A window's through some of its track's frames."""
        return cls(window.size, [window.poses[frame] for frame in frames], frames, picture)

    @property
    def covered(self) -> Region:
        """What it covers of the first frame: its own pixels where it is upright, to the nearest whole one."""
        pose = self.poses[0]
        if not pose.is_upright:
            return pose.covered(self.size)
        left, top = (round(side) for side in pose.corner(self.size))
        return Region(left, top, left + self.size.width, top + self.size.height)

    @property
    def is_region(self) -> bool:
        """Whether it shows whole pixels of the first frame, so that it is no more than a region of it."""
        return self.poses[0].region(self.size) is not None

    def seen(self, index: int, image: torch.Tensor, shown: Region) -> torch.Tensor:
        """What the window shows of something that was made of one of its frames.

        Args:
            index: which of the path's frames.
            image: ``[1,H,W,C]`` float of any size.
            shown: what the image shows of the frame; past that it goes on with its edge.

        Returns:
            ``[1,h,w,C]`` of the window's size, resampled by Lanczos-3; of an image of the frame's own size what the
            window shows of the frame itself.
        """
        if Size(*image.shape[1:3]) == self.picture and shown == Region.whole(self.picture):
            return cut(image, self.poses[index], self.size)
        return resampled(image, self._matrix(index, Size(*image.shape[1:3]), shown), self.size)

    def seen_mask(self, index: int, mask: torch.Tensor, shown: Region) -> torch.Tensor:
        """The same of a mask ``[1,H,W]`` 0..1: ``[1,h,w]``, bilinear."""
        import cv2  # here, since it would double the time it takes to import the pack

        matrix = self._matrix(index, Size(*mask.shape[1:3]), shown)
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV's whole numbers are the pixels' centres
        return torch.from_numpy(
            cv2.warpAffine(
                mask[0].detach().to("cpu", torch.float32).contiguous().numpy(),
                matrix,
                (self.size.width, self.size.height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )[None].to(mask)

    def seen_planes(self, planes: torch.Tensor, shown: Region) -> torch.Tensor:
        """What the window shows of ``[...,H,W]`` made of its first frame, at the resolution that it has there."""
        size, pose = Size(*planes.shape[-2:]), self.poses[0]
        tall, wide = (pose.zoom * all_ / part for all_, part in zip(size, shown.size, strict=True))
        made = Size(max(round(self.size.height * tall), 1), max(round(self.size.width * wide), 1))
        matrix = self._matrix(0, size, shown) @ np.diag(
            [self.size.width / made.width, self.size.height / made.height, 1.0]
        )
        image = planes.reshape(1, -1, *size).movedim(1, -1)
        return resampled(image, matrix, made).movedim(-1, 1).reshape(*planes.shape[:-2], *made).to(planes)

    def _matrix(self, index: int, size: Size, shown: Region) -> np.ndarray:
        """``[2,3]``: from the window's points to those of something of ``size``."""
        matrix = shifted(self.poses[index].matrix(self.size), shown)
        return matrix * np.array([[size.width / shown.width], [size.height / shown.height]])
