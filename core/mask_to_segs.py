"""A mask's connected parts as SEGS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from .masks import as_mask_batch
from .region import Region, Size
from .seg import SEG, SEGS

logger = logging.getLogger("mask_detailer")

CropRegion = Callable[[Region], Region]


def mask_to_segs(
    mask: torch.Tensor | np.ndarray | None,
    combined: bool,
    crop_factor: float,
    bbox_fill: bool,
    drop_size: int = 1,
    label: str = "A",
    crop_min_size: int | None = None,
    detailer_hook: Any = None,
    is_contour: bool = True,
) -> SEGS:
    """The parts of a mask, each with the region to cut around it.

    Args:
        mask: ``[H,W]``, ``[B,H,W]``, ``[1,B,H,W]`` or ``[B,1,H,W]``, float 0..1; values outside are clamped.
            The parts of all frames go into one list, frame by frame.
        combined: one segment a frame that holds the whole mask, instead of one for each connected part.
        crop_factor: sides of the crop region over sides of the bounding box.
        bbox_fill: make the whole bounding box part of the mask.
        drop_size: parts not wider and higher than this (pixels) are left out; at least 1.
        label: the segments' label.
        crop_min_size: least side of a crop region in pixels.
        detailer_hook: its ``post_crop_region(W, H, bbox, region)``, where it has one, may change each crop region.
        is_contour: fill each part's outline: holes and soft values vanish. Off: the mask's own values.

    Returns:
        SEGS for pictures of the mask's size. Connected parts (8-neighbourhood; what lies in a hole belongs to the part
        around it) come in descending order of their first pixel: lowest in the picture first, on a row rightmost first.

    Raises:
        ValueError: for a mask of another rank.
    """
    if mask is None:
        return (0, 0), []
    frames = as_mask_batch(mask).cpu().numpy()
    size = Size(*frames.shape[-2:])
    grow = partial(_crop_region, size=size, factor=crop_factor, minimum=crop_min_size, hook=detailer_hook)
    segs: list[SEG] = []
    for frame in frames:
        if combined:
            segs += _combined(frame, bbox_fill, label, grow)
        else:
            segs += _separate(frame, bbox_fill, max(drop_size, 1), label, grow, is_contour)
    return (size.height, size.width), segs


def _crop_region(box: Region, size: Size, factor: float, minimum: int | None, hook: Any) -> Region:
    region = box.grown(factor, size, minimum)
    change = getattr(hook, "post_crop_region", None)
    if change is None:
        return region
    changed = Region.of(change(size.width, size.height, box.as_tuple(), region.as_list()))
    if changed.inside(size) and not changed.is_empty:
        return changed
    logger.warning("the hook's crop region %s of a %s mask is cut to the picture", changed, size)
    return changed.within(size)


def _separate(
    frame: np.ndarray, bbox_fill: bool, drop_size: int, label: str, grow: CropRegion, is_contour: bool
) -> list[SEG]:
    import cv2  # here, since it would double the time it takes to import the pack

    binary = (np.multiply(frame, 255) >= 1).view(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = []
    for contour in sorted(contours, key=_first_pixel, reverse=True):
        x, y, width, height = cv2.boundingRect(contour)
        box = Region(x, y, x + width, y + height)
        region = grow(box)
        if width > drop_size and height > drop_size and not region.is_empty:
            parts.append((contour, box, region))
    # OpenCV is not exact where it clips a contour: each is drawn where all of it fits.
    canvases = [region.union(box) for _, box, region in parts]
    segs = []
    for (contour, box, region), canvas, mask in zip(parts, canvases, _blank_masks(canvases), strict=True):
        cv2.drawContours(mask, [contour], -1, 1.0, cv2.FILLED, offset=(-canvas.x1, -canvas.y1))
        if not is_contour:
            mask[box.relative_to(canvas).slices] *= _clamped(frame[box.slices])
        if canvas != region:
            mask = mask[region.relative_to(canvas).slices].copy()
        segs.append(_seg(mask, region, box, bbox_fill, label))
    return segs


def _blank_masks(regions: list[Region]) -> list[np.ndarray]:
    """A mask of zeros for each region, all in one block: the system makes its pages only where they are written to."""
    areas = [region.size.area for region in regions]
    ends = np.cumsum(areas, dtype=np.int64).tolist()
    block = np.zeros(sum(areas), np.float32)
    return [
        block[end - area : end].reshape(region.size) for region, area, end in zip(regions, areas, ends, strict=True)
    ]


def _first_pixel(contour: np.ndarray) -> tuple[int, int]:
    """Row and column of a contour's topmost point, the leftmost of them: OpenCV starts every outer contour there."""
    x, y = contour[0, 0]
    return y, x


def _combined(frame: np.ndarray, bbox_fill: bool, label: str, grow: CropRegion) -> list[SEG]:
    """The whole mask as one segment. Its box ends *on* the last row and column, as saved workflows know it."""
    rows, columns = np.flatnonzero(frame.any(axis=1)), np.flatnonzero(frame.any(axis=0))
    if not len(rows):
        return []
    box = Region(int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))
    if box.is_empty:
        logger.warning("a combined mask one pixel wide or high (%s) gives no segment", box)
        return []
    region = grow(box)
    if region.is_empty:
        return []
    return [_seg(_clamped(frame[region.slices]), region, box, bbox_fill, label)]


def _clamped(values: np.ndarray) -> np.ndarray:
    """A copy within 0..1, with 0 for what is not a number."""
    out = np.fmax(values, 0.0)
    return np.fmin(out, 1.0, out=out)


def _seg(mask: np.ndarray, region: Region, box: Region, bbox_fill: bool, label: str) -> SEG:
    if bbox_fill:
        mask[box.intersection(region).relative_to(region).slices] = 1.0
    return SEG(None, mask, 1.0, region.as_list(), box.as_tuple(), label)
