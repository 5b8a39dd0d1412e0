"""Segments with a field changed: their masks, boxes, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..core import SEG, SEGS, Region, Size, blur_mask, crop_region, dilate_mask, seg_mask
from ..core.reflect import cut_inside
from .rescale import rescale


def with_fields(seg: SEG, **fields: Any) -> SEG:
    """A segment of any pack with some fields replaced, as a SEG of ours: not every tuple knows how to replace."""
    return SEG(**{name: getattr(seg, name, None) for name in SEG._fields} | fields)


def kept_mask(masks: torch.Tensor) -> np.ndarray:
    """``[n,h,w]`` as a segment keeps it: float32 numpy with memory of its own, 2-D where there is one frame."""
    array = masks.to(device="cpu", dtype=torch.float32, copy=True).numpy()
    return array[0] if len(array) == 1 else array


def kept_image(image: torch.Tensor) -> np.ndarray:
    """``[n,h,w,c]`` as a segment keeps it: float32 numpy with memory of its own."""
    return image.to(device="cpu", dtype=torch.float32, copy=True).numpy()


def dilate_seg(seg: SEG, amount: int) -> SEG:
    """The segment with its mask grown (``amount`` > 0) or shrunk (< 0), see ``dilate_mask``; never beyond its crop."""
    masks = seg_mask(seg).cpu()
    return with_fields(seg, cropped_mask=kept_mask(dilate_mask(masks, amount) if masks.numel() else masks))


def dilate(segs: SEGS, amount: int) -> SEGS:
    """``dilate_seg`` on every segment."""
    return segs[0], [dilate_seg(seg, amount) for seg in segs[1]]


def blur(segs: SEGS, feather: int, sigma: float) -> SEGS:
    """Every segment's mask through ``blur_mask``: a Gaussian of ``sigma`` pixels cut off at ``feather`` pixels."""
    return segs[0], [
        with_fields(seg, cropped_mask=kept_mask(blur_mask(seg_mask(seg).cpu(), feather, sigma))) for seg in segs[1]
    ]


def scale_bbox(seg: SEG, factor: float) -> SEG:
    """The segment with its bounding box scaled about its centre, and its mask cut to the new box.

    Each side moves by ``(length * factor - length) / 2`` pixels, truncated towards zero. The box may reach outside
    crop and picture; the crop region stays, and nothing is added to the mask.
    """
    x1, y1, x2, y2 = (float(value) for value in seg.bbox)
    dx, dy = (int((length * factor - length) / 2) for length in (x2 - x1, y2 - y1))
    box = Region.of((x1 - dx, y1 - dy, x2 + dx, y2 + dy))
    region = crop_region(seg)
    masks = seg_mask(seg)
    inside = (..., *box.intersection(region).relative_to(region).slices)
    cut = torch.zeros_like(masks)
    cut[inside] = masks[inside]
    return with_fields(seg, bbox=box.as_tuple(), cropped_mask=kept_mask(cut))


def with_default_images(segs: SEGS, image: torch.Tensor, override: bool) -> SEGS:
    """The SEGS moved to the size of a picture ``[n,H,W,C]``, each with its crop of all frames as its own image.

    Args:
        override: replace the images that segments hold already; off keeps those.
    """
    size = Size(*image.shape[1:3])
    header, elements = rescale(segs, size)

    def filled(seg: SEG) -> SEG:
        crop = cut_inside(image, crop_region(seg))
        if crop is None or (seg.cropped_image is not None and not override):
            return seg
        return with_fields(seg, cropped_image=crop.clone())

    return header, [filled(seg) for seg in elements]


def without_images(segs: SEGS) -> SEGS:
    """The SEGS without the segments' own images."""
    return segs[0], [with_fields(seg, cropped_image=None) for seg in segs[1]]


def assign_labels(segs: SEGS, labels: list[str]) -> SEGS:
    """Labels by position: segments without one keep theirs, labels without a segment are left out."""
    named = [with_fields(seg, label=label) for seg, label in zip(segs[1], labels, strict=False)]
    return segs[0], [*named, *segs[1][len(named) :]]
