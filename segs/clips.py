"""Segments of a whole clip: one crop region for all frames, and a mask for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..core import SEG, SEGS, Region, Size, bbox, covered_region, crop_region, mask_to_segs, seg_mask
from .convert import to_combined_mask
from .edit import kept_mask, with_fields
from .filters import confidence
from .rescale import rescale

HARD = 0.1  # mask values above it count wholly
MASKINGS = ("Pivot SEGS", "Combine neighboring frames", "Don't combine")
PIVOTS = ("Combined mask", "1st frame mask")


@dataclass(frozen=True)
class Parts:
    """How a mask is made into segments, see ``mask_to_segs``."""

    combined: bool
    crop_factor: float
    bbox_fill: bool
    drop_size: int
    contour_fill: bool


def of_masks(masks: torch.Tensor, parts: Parts) -> SEGS:
    """The parts of a clip's masks.

    Args:
        masks: ``[n,H,W]`` float 0..1, one a frame.

    Returns:
        a segment for each connected part of what all masks cover together, in the order of ``mask_to_segs``. Its mask
        is ``[n,h,w]``: of each frame's own values those that belong to this part, or, with ``bbox_fill``, the rectangle
        around them. A single mask gives hard masks ``[h,w]``.
    """
    if len(masks) == 1:
        found = mask_to_segs(
            masks, parts.combined, parts.crop_factor, parts.bbox_fill, parts.drop_size, is_contour=parts.contour_fill
        )
        hard = (to_combined_mask(found) > HARD).to(torch.float32)
        return mask_to_segs(hard, False, parts.crop_factor, False, parts.drop_size, is_contour=parts.contour_fill)
    union = masks.amax(dim=0, keepdim=True)
    header, found = mask_to_segs(union, parts.combined, parts.crop_factor, False, parts.drop_size)
    return header, [_with_frames(seg, masks, parts) for seg in found]


def _with_frames(seg: SEG, masks: torch.Tensor, parts: Parts) -> SEG:
    rows, columns = crop_region(seg).slices
    frames = masks[:, rows, columns].cpu() * (1.0 if parts.combined else (seg_mask(seg) > 0).to(torch.float32))
    if parts.bbox_fill:
        for frame in frames:
            box = covered_region(frame)
            frame[box.slices] = 1.0
    return with_fields(seg, cropped_mask=frames)


@dataclass(frozen=True)
class Joining:
    """How what a detector found frame by frame becomes a clip's segments.

    Attributes:
        masking: one of ``MASKINGS``: the same mask in all frames; each frame's own with its neighbours'; its own alone.
        pivot: one of ``PIVOTS``: the parts are those of all frames' masks together, or of the first frame's.
    """

    masking: str
    pivot: str
    crop_factor: float
    drop_size: int


def of_frames(found: Sequence[SEGS], size: Size, joining: Joining) -> SEGS:
    """What was found in each frame of a clip as its segments.

    Returns:
        a segment for each connected part, with the label and confidence of the surest of what was found there. In a
        frame without it its mask is 0, unless all frames have the same.
    """
    hard = torch.cat([_drawn(segs, size) for segs in found])
    base = hard[:1] if joining.pivot == PIVOTS[1] else hard.amax(dim=0, keepdim=True)
    header, pivots = mask_to_segs(base, False, joining.crop_factor, False, joining.drop_size)
    elements = [seg for segs in found for seg in segs[1]]
    pivots = [_named(pivot, elements) for pivot in pivots]
    if joining.masking == MASKINGS[0]:
        return header, pivots
    frames = hard
    if joining.masking == MASKINGS[1]:
        frames = hard.clone()
        frames[1:] = torch.maximum(frames[1:], hard[:-1])
        frames[:-1] = torch.maximum(frames[:-1], hard[1:])
    return header, [_framed(pivot, frames) for pivot in pivots]


def _drawn(segs: SEGS, size: Size) -> torch.Tensor:
    return (to_combined_mask(((size.height, size.width), segs[1])) > HARD).to(torch.float32)


def _framed(pivot: SEG, frames: torch.Tensor) -> SEG:
    return with_fields(pivot, cropped_mask=frames[(slice(None), *crop_region(pivot).slices)] * seg_mask(pivot))


def _named(pivot: SEG, found: Sequence[SEG]) -> SEG:
    """With label and confidence of the surest segment that has a part of its mask under the pivot's."""
    under = [seg for seg in found if bbox(seg).overlaps(bbox(pivot)) and _meet(pivot, seg)]
    if not under:
        return pivot
    surest = max(under, key=lambda seg: float(confidence(seg)))
    return with_fields(pivot, label=surest.label, confidence=surest.confidence)


def _meet(first: SEG, second: SEG) -> bool:
    common = crop_region(first).intersection(crop_region(second))
    return not common.is_empty and bool((_part(first, common) * _part(second, common)).any())


def _part(seg: SEG, area: Region) -> np.ndarray:
    mask = kept_mask(seg_mask(seg).amax(dim=0, keepdim=True))
    return np.asarray(mask)[area.relative_to(crop_region(seg)).slices] > HARD


def frame_of(segs: SEGS, size: Size, frame: int, count: int) -> SEGS:
    """The segments as they are in one frame of a clip, moved to its size; those without a mask there are left out."""
    found = []
    for seg in rescale(segs, size)[1]:
        masks = seg_mask(seg)
        own = masks[frame : frame + 1] if len(masks) == count else masks[:1]
        if bool((own > 0).any()):
            found.append(with_fields(seg, cropped_mask=kept_mask(own)))
    return (size.height, size.width), found
