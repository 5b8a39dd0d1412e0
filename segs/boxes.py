"""ComfyUI's BOUNDING_BOX values to SEGS and back.

A box is a dictionary of ``x``, ``y``, ``width`` and ``height`` in pixels, with ``label`` and ``score`` where a model
found it. A value is one box, a list of boxes, or a list with a list of boxes for each picture of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..core import SEG, SEGS, Region, Size, bbox, crop_region, dilate_mask
from .filters import confidence

SIDES = ("x", "y", "width", "height")

BoundingBox = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """One thing that a model found in a picture.

    Attributes:
        box: ``x1, y1, x2, y2`` in pixels, not rounded; it may reach outside the picture.
        label: what it is.
        score: 0..1, how certain.
        mask: ``[H,W]`` float32 0..1 of the picture's size; None for the whole box.
    """

    box: tuple[float, float, float, float]
    label: str
    score: float = 1.0
    mask: torch.Tensor | None = None

    def region(self, size: Size) -> Region:
        """The box rounded outwards and cut to a picture of ``size``; empty where it lies outside."""
        x1, y1, x2, y2 = self.box
        box = Region(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
        return box.within(size)


@dataclass(frozen=True)
class Crops:
    """How things that were found become segments.

    Attributes:
        crop_factor: sides of the crop region over sides of the bounding box, at least 1.
        dilation: how far each mask is grown (> 0) or shrunk (< 0), see ``dilate_mask``. The box stays.
        drop_size: what is not wider and higher than this (pixels) is left out.
    """

    crop_factor: float = 3.0
    dilation: int = 0
    drop_size: int = 1


def frames_of(boxes: Any) -> list[list[BoundingBox]]:
    """A BOUNDING_BOX value as boxes picture by picture. One box, or a plain list of boxes, is one picture's.

    Raises:
        ValueError: for anything else, saying what was found.
    """
    if isinstance(boxes, Mapping):
        boxes = [boxes]
    if not isinstance(boxes, list | tuple):
        raise ValueError(f"a {type(boxes).__name__} is no BOUNDING_BOX")
    if not all(isinstance(entry, list | tuple) for entry in boxes):
        boxes = [boxes]
    frames = [list(frame) for frame in boxes]
    for number, box in enumerate((box for frame in frames for box in frame), start=1):
        _check(number, box)
    return frames or [[]]


def _check(number: int, box: Any) -> None:
    if not isinstance(box, Mapping):
        raise ValueError(f"box {number} is a {type(box).__name__}, not a dictionary of {', '.join(SIDES)}")
    for side in SIDES:
        try:
            finite = math.isfinite(float(box[side]))
        except KeyError:
            raise ValueError(f"box {number} has no {side}") from None
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise ValueError(f"box {number} has {side} {box[side]!r}, which is no number")


def found_in(boxes: Iterable[BoundingBox], label: str) -> list[Found]:
    """Boxes as things that were found; ``label`` is for those without one, and without a score they count as 1.

    A box of negative width or height reaches to the left or upwards.
    """
    found = []
    for box in boxes:
        x, y, width, height = (float(box[side]) for side in SIDES)
        x1, x2 = sorted((x, x + width))
        y1, y2 = sorted((y, y + height))
        score = box.get("score")
        found.append(Found((x1, y1, x2, y2), str(box.get("label") or label), 1.0 if score is None else float(score)))
    return found


def to_segs(found: Iterable[Found], size: Size, crops: Crops, hook: Any = None) -> SEGS:
    """Things that were found in a picture of ``size`` as segments, in their order.

    Boxes are rounded outwards and cut to the picture; what has no pixel in it is left out.

    Args:
        hook: None, or an object with ``post_crop_region(size, bbox, crop_region)``.
    """
    segs = []
    for one in found:
        box = one.region(size)
        if box.width <= crops.drop_size or box.height <= crops.drop_size:
            continue
        region = box.grown(crops.crop_factor, size)
        if hook is not None:
            region = Region.of(hook.post_crop_region(size, box.as_tuple(), region.as_list()))
            region = region.within(size)
        if region.is_empty:
            continue
        mask = _mask(one.mask, box, region, size, crops.dilation)
        segs.append(SEG(None, mask, one.score, region.as_list(), box.as_tuple(), one.label))
    return (size.height, size.width), segs


def _mask(mask: torch.Tensor | None, box: Region, region: Region, size: Size, dilation: int) -> np.ndarray:
    """A segment's mask, dilated as if in the whole picture: what lies near its crop takes part."""
    area = region.padded(abs(dilation)).within(size)
    if mask is None:
        part = torch.zeros(1, *area.size)
        part[0][box.intersection(area).relative_to(area).slices] = 1.0
    else:
        part = mask[area.slices][None].to("cpu", torch.float32)
    return dilate_mask(part, dilation)[0][region.relative_to(area).slices].numpy().copy()


def to_mask(found: Iterable[Found], size: Size, dilation: int) -> torch.Tensor:
    """Things that were found in a picture of ``size`` in one mask ``[1,H,W]`` float32, dilated."""
    union = torch.zeros(1, *size)
    for one in found:
        if one.mask is None:
            union[0][one.region(size).slices] = 1.0
        else:
            torch.maximum(union[0], one.mask.to(union), out=union[0])
    return dilate_mask(union, dilation)


def to_boxes(segs: SEGS, crops: bool = False) -> list[BoundingBox]:
    """Each segment's bounding box, or its crop region, as a box of whole pixels with label and score."""
    boxes = []
    for seg in segs[1]:
        region = crop_region(seg) if crops else bbox(seg)
        x, y, width, height = region.x1, region.y1, region.width, region.height
        score = float(confidence(seg))
        boxes.append({"x": x, "y": y, "width": width, "height": height, "label": str(seg.label), "score": score})
    return boxes


def limited(found: Iterable[Found], labels: Iterable[str]) -> list[Found]:
    """Those whose label is one of ``labels``; all where ``labels`` has none or holds ``all``."""
    wanted = {label for label in labels if label}
    return [one for one in found if not wanted or "all" in wanted or one.label in wanted]
