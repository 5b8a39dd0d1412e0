"""SEGS made for one picture size, moved to another."""

from __future__ import annotations

import torch

from ..core import SEG, SEGS, Region, Size, bbox, crop_region, header_size, resample, resize_mask, seg_image, seg_mask


def rescale(segs: SEGS, size: Size) -> SEGS:
    """The SEGS for a picture of ``size``: regions by exact ratios, masks bilinear, images Lanczos-3 in float.

    SEGS of that size already, or of no known size (a header with a 0), are returned as they are. A region that would
    vanish keeps one pixel. Confidence, label and ControlNet wrapper stay.
    """
    old = header_size(segs)
    if old == size or 0 in old:
        return segs
    return (size.height, size.width), [_rescaled(seg, old, size) for seg in segs[1]]


def _rescaled(seg: SEG, old: Size, new: Size) -> SEG:
    region = _at_least_a_pixel(crop_region(seg).rescaled(old, new), new)
    mask = resize_mask(seg_mask(seg), region.size)
    image = seg_image(seg)
    if image is not None:
        image = resample(image.to(torch.float32), region.size).clamp_(0.0, 1.0).cpu().numpy()
    return SEG(
        cropped_image=image,
        cropped_mask=mask[0].cpu().numpy() if len(seg.cropped_mask.shape) == 2 else mask,
        confidence=seg.confidence,
        crop_region=region.as_tuple(),
        bbox=bbox(seg).rescaled(old, new).as_tuple(),
        label=seg.label,
        control_net_wrapper=getattr(seg, "control_net_wrapper", None),
    )


def _at_least_a_pixel(region: Region, size: Size) -> Region:
    x1 = min(region.x1, size.width - 1) if region.width <= 0 else region.x1
    y1 = min(region.y1, size.height - 1) if region.height <= 0 else region.y1
    return Region(x1, y1, max(region.x2, x1 + 1), max(region.y2, y1 + 1))
