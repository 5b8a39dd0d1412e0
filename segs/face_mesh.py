"""A drawn face mesh, as preprocessors of MediaPipe make it, as SEGS: each part of a face has its own colour."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..core import SEG, SEGS, Size, dilate_mask, mask_to_segs

MESH_COLOURS: dict[str, tuple[int, int, int]] = {
    "face": (10, 200, 10),
    "mouth": (10, 180, 10),
    "left_eyebrow": (180, 220, 10),
    "left_eye": (180, 200, 10),
    "left_pupil": (250, 200, 10),
    "right_eyebrow": (10, 220, 180),
    "right_eye": (10, 200, 180),
    "right_pupil": (10, 200, 250),
}
"""Red, green and blue in 0..255 by part, in the order in which the parts become segments."""

MOST_TOLERANCE = 9  # two colours are 20 apart at least


@dataclass(frozen=True)
class MeshCrops:
    """How the parts become segments.

    Attributes:
        crop_factor: sides of the crop region over sides of the bounding box, at least 1.
        crop_min_size: least side of a crop region in pixels.
        drop_size: what is not wider and higher than this (pixels) is left out.
        dilation: how far each part is grown (> 0) or shrunk (< 0) before it becomes a segment, see ``dilate_mask``.
        bbox_fill: make the whole bounding box part of the mask.
    """

    crop_factor: float
    crop_min_size: int
    drop_size: int
    dilation: int = 0
    bbox_fill: bool = False


def mesh_segs(image: torch.Tensor, parts: Collection[str], crops: MeshCrops, tolerance: int = 0) -> SEGS:
    """The parts of the faces that are drawn in each frame, one frame after another, in the order of ``MESH_COLOURS``.

    Each stretch of a part's colour becomes its convex hull: holes vanish and dents fill up. Of one part the lowest in
    the picture comes first.

    Args:
        image: ``[B,H,W,3 or more]`` float 0..1.
        parts: keys of ``MESH_COLOURS``.
        tolerance: by how many of 255 levels each channel may be off, up to ``MOST_TOLERANCE``.
    """
    size = Size(*image.shape[1:3])
    elements: list[SEG] = []
    for frame in image:
        levels = frame[..., :3].detach().to("cpu", torch.float32).mul(255.0).clamp(0.0, 255.0).numpy().astype(np.int16)
        for part, colour in MESH_COLOURS.items():
            if part in parts:
                drawn = np.all(np.abs(levels - np.array(colour, np.int16)) <= tolerance, axis=-1)
                for mask in _hulls(drawn, crops.dilation):
                    elements += mask_to_segs(
                        mask,
                        combined=False,
                        crop_factor=crops.crop_factor,
                        bbox_fill=crops.bbox_fill,
                        drop_size=crops.drop_size,
                        label=part,
                        crop_min_size=crops.crop_min_size,
                    )[1]
    return (size.height, size.width), elements


def _hulls(drawn: np.ndarray, dilation: int) -> Iterator[torch.Tensor]:
    """The convex hull of each stretch of what is drawn, grown or shrunk, as a mask ``[1,H,W]`` of 0 and 1."""
    import cv2  # here, since it would double the time it takes to import the pack

    contours, _ = cv2.findContours(drawn.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        mask = np.zeros(drawn.shape, np.float32)
        cv2.fillConvexPoly(mask, cv2.convexHull(contour), 1.0)
        yield dilate_mask(torch.from_numpy(mask)[None], dilation)
