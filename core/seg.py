"""SEG and SEGS: the layout that detectors, hooks and nodes of other packs share with ours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from .masks import as_mask_batch
from .reflect import cut_mirrored
from .region import Region, Size
from .resample import resample


class SEG(NamedTuple):
    """One segment. Segments of other packs are other named tuples: read them by attribute, never test their type.

    Attributes:
        cropped_image: None, or ``[n,h,w,3]`` float32 0..1, numpy or torch.
        cropped_mask: float 0..1 of crop_region's height and width; 2-D numpy when made here.
        confidence: 0..1.
        crop_region: ``x1, y1, x2, y2`` in pixels of the full picture, right and bottom exclusive.
        bbox: the same for the detected thing itself; may lie outside the picture.
        label: what it is.
        control_net_wrapper: None, or an object with ``apply`` and ``doit_ipadapter``.
    """

    cropped_image: Any
    cropped_mask: Any
    confidence: Any
    crop_region: Any
    bbox: Any
    label: Any
    control_net_wrapper: Any = None


# (height, width) of the picture the segments were made for, and the segments in the order of work.
# A height or width of 0 says that no picture is known.
SEGS = tuple[tuple[int, int], list[SEG]]


def header_size(segs: SEGS) -> Size:
    """The size of the picture the SEGS were made for."""
    height, width = segs[0]
    return Size(int(height), int(width))


def seg_mask(seg: SEG) -> torch.Tensor:
    """A segment's mask in whichever form it is kept, as ``[n,h,w]`` float32."""
    mask = seg.cropped_mask if isinstance(seg.cropped_mask, torch.Tensor) else np.asarray(seg.cropped_mask)
    narrow = mask.shape[-1:] == (1,)  # a region one pixel wide, or the channel comes last
    return as_mask_batch(mask, crop_region(seg).size if narrow else None)


def seg_image(seg: SEG) -> torch.Tensor | None:
    """A segment's own image as it is kept, as torch ``[n,h,w,c]``, or None; ``own_image`` fits it to the picture."""
    image = seg.cropped_image
    if image is None or isinstance(image, torch.Tensor):
        return image
    return torch.from_numpy(np.ascontiguousarray(image))


def crop_region(seg: SEG) -> Region:
    return Region.of(seg.crop_region)


def own_image(seg: SEG, region: Region | None = None, most: int | None = None) -> torch.Tensor | None:
    """A segment's own image as pixels of the picture.

    Args:
        region: what of it is wanted, in the picture; None for the segment's crop region. Past its crop region the image
            goes on mirrored.
        most: so many frames at most; None for all.

    Returns:
        ``[n,h,w,3]`` float32 0..1 of the region's size, or None where the segment has no image.
    """
    image, whole = seg_image(seg), crop_region(seg)
    if image is None or 0 in image.shape:
        return None
    image = image[:most, ..., :3].to(torch.float32)
    if Size(*image.shape[1:3]) != whole.size:
        image = resample(image, whole.size).clamp_(0.0, 1.0)
    if region is None or region == whole:
        return image
    part = region.relative_to(whole)
    return image[(slice(None), *part.slices)] if part.inside(whole.size) else cut_mirrored(image, part)


def bbox(seg: SEG) -> Region:
    return Region.of(seg.bbox)
