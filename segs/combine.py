"""Several SEGS in one, several segments in one, and masks of one within those of another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import reduce

import torch

from ..core import SEG, SEGS, Region, Size, as_mask_batch, bbox, crop_region, header_size, resize_mask, seg_mask
from .convert import draw_masks, to_combined_mask
from .edit import kept_mask, with_fields
from .filters import confidence
from .rescale import rescale

logger = logging.getLogger("mask_detailer")

Operation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def concat(inputs: Mapping[str, SEGS]) -> SEGS:
    """The segments of all inputs in one list, in the order of the inputs.

    Inputs without segments, or of no known size, add nothing. The first of the others sets the picture size; later
    ones made for another size are left out with a warning that names them. Where nothing is left, the result is
    empty, with the first header that is known.
    """
    header: tuple[int, int] | None = None
    joined: list[SEG] = []
    for name, segs in inputs.items():
        if not segs[1] or tuple(segs[0]) == (0, 0):
            continue
        if header is None:
            header = segs[0]
        if tuple(segs[0]) == tuple(header):
            joined += segs[1]
        else:
            logger.warning(
                "%s is left out: its %d segments are for a %s picture, the first ones for %s. "
                "Make both from pictures of one size",
                name,
                len(segs[1]),
                header_size(segs),
                Size(*header),
            )
    if header is None:
        header = next((segs[0] for segs in inputs.values() if 0 not in segs[0]), (0, 0))
    return header, joined


def merge(segs: SEGS) -> SEGS:
    """All segments as one: the regions around all of theirs, overlapping masks by their largest value.

    Its confidence is the least of theirs, its label ``merged``; images and ControlNet wrappers are left out.
    No segments stay no segments.
    """
    header, elements = segs
    if not elements:
        return segs
    region = reduce(Region.union, map(crop_region, elements))
    box = reduce(Region.union, map(bbox, elements))
    least = min([1.0, *map(confidence, elements)])
    return header, [
        SEG(None, kept_mask(draw_masks(elements, region)), least, region.as_list(), box.as_list(), "merged")
    ]


def mask_by_segs(segs: SEGS, others: SEGS) -> SEGS:
    """Each segment's mask only as far as those of ``others`` cover it (the smaller of both values).

    ``others`` made for another picture size are moved to this one's; of no known size they count as empty.
    ControlNet wrappers are left out, here and in the other operations on masks.
    """
    return _each(segs, torch.minimum, _canvas(segs, others))


def subtract_segs(segs: SEGS, others: SEGS) -> SEGS:
    """Each segment's mask less those of ``others``, at least 0; else as ``mask_by_segs``."""
    return _each(segs, _difference, _canvas(segs, others))


def mask_by_mask(segs: SEGS, masks: torch.Tensor) -> SEGS:
    """Each segment's mask only as far as a mask ``[n,H,W]`` covers it; several are put together by their largest value.

    The mask is resized to the SEGS' picture where that is known.
    """
    return _each(segs, torch.minimum, _fitted(segs, masks.amax(dim=0, keepdim=True)))


def mask_one_by_one(segs: SEGS, masks: torch.Tensor) -> SEGS:
    """Each segment's mask only as far as the mask of the same place in ``[n,H,W]`` covers it.

    Masks left over count for nothing; segments left over are left out with a warning.
    """
    header, elements = segs
    left = len(elements) - len(masks)
    if left > 0:
        logger.warning("there are %d masks for %d segments: the last %d are left out", len(masks), len(elements), left)
    canvases = _fitted(segs, masks)
    pairs = zip(elements, canvases, strict=False)
    return header, [_applied(seg, torch.minimum, canvas[None]) for seg, canvas in pairs]


def _canvas(segs: SEGS, others: SEGS) -> torch.Tensor:
    """The masks of ``others`` on the picture of ``segs``, ``[1,H,W]``."""
    size = header_size(segs)
    if 0 in header_size(others):
        return torch.zeros(1, *size)
    return to_combined_mask(others if 0 in size else rescale(others, size))


def _fitted(segs: SEGS, masks: torch.Tensor) -> torch.Tensor:
    masks, size = as_mask_batch(masks).cpu(), header_size(segs)
    return masks if 0 in size else resize_mask(masks, size)


def _difference(mask: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (mask - other).clamp_(min=0.0)


def _each(segs: SEGS, operation: Operation, canvas: torch.Tensor) -> SEGS:
    return segs[0], [_applied(seg, operation, canvas) for seg in segs[1]]


def _applied(seg: SEG, operation: Operation, canvas: torch.Tensor) -> SEG:
    """``operation`` on a segment's mask and its part of ``canvas`` ``[1,H,W]``, which is 0 outside."""
    region = crop_region(seg)
    visible = region.within(Size(*canvas.shape[-2:]))
    other = torch.zeros(1, *region.size)
    other[(..., *visible.relative_to(region).slices)] = canvas[(..., *visible.slices)]
    mask = resize_mask(seg_mask(seg).cpu(), region.size).clamp(0.0, 1.0)
    return with_fields(seg, cropped_mask=kept_mask(operation(mask, other)), control_net_wrapper=None)
