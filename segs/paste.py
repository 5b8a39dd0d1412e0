"""Segments put into a picture."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..core import SEG, SEGS, Region, Size, blur_mask, crop_region, own_image, paste_, resample, resize_mask, seg_mask
from ..core.reflect import cut_inside
from .rescale import rescale

logger = logging.getLogger("mask_detailer")


def paste(
    frames: torch.Tensor, segs: SEGS, feather: int, alpha: float, reference: torch.Tensor | None = None
) -> torch.Tensor:
    """The segments' images put into a picture, one over another, each through its blurred mask.

    Args:
        frames: ``[B,H,W,3]`` float32, never written to.
        segs: moved to the picture's size where they were made for another. Frame ``i`` takes frame ``i`` of each
            segment's image and mask; one image serves all, so does the last of too few; as many masks as frames pair
            up, another number is merged by the largest value.
        feather: reach of the masks' blur in pixels.
        alpha: 0..1, how much of the segment is put over the picture.
        reference: ``[n,h,w,3]``, taken instead of the segments' own images; moved to the picture's size.

    Returns:
        ``[B,H,W,3]``, a new tensor.
    """
    picture = Size(*frames.shape[1:3])
    out = frames.clone()
    if reference is not None and Size(*reference.shape[1:3]) != picture:
        logger.info("the reference picture %s is resized to %s", Size(*reference.shape[1:3]), picture)
        reference = resample(reference, picture).clamp_(0.0, 1.0)
    for number, seg in enumerate(rescale(segs, picture)[1], start=1):
        region = crop_region(seg)
        visible = region.within(picture)
        if visible.is_empty:
            logger.info("segment %d: not pasted, it lies outside the picture", number)
            continue
        image = own_image(seg, visible) if reference is None else cut_inside(reference, visible)
        if image is None:
            logger.info("segment %d: not pasted, it has no image of its own", number)
            continue
        alphas = (_alphas(seg, visible, feather, len(frames)) * alpha).to(out.device)
        image = image.to(out.device)
        for index in range(len(out)):
            patch = image[min(index, len(image) - 1)][None]
            paste_(out[index : index + 1], patch, alphas[min(index, len(alphas) - 1)][None], visible)
    return out


@dataclass(frozen=True)
class Placed:
    """A segment's image in its place.

    Attributes:
        number: the segment's, from 1.
        region: where it lies in the picture.
        image: ``[1,h,w,3]`` float32 0..1 of the region's size.
        alpha: ``[1,h,w]`` 0..1, what of it is seen.
    """

    number: int
    label: str
    region: Region
    image: torch.Tensor
    alpha: torch.Tensor


def placed(segs: SEGS, picture: Size, feather: int) -> Iterator[Placed]:
    """What ``paste`` puts into a picture of that size, one after another; segments without image are left out."""
    for number, seg in enumerate(rescale(segs, picture)[1], start=1):
        visible = crop_region(seg).within(picture)
        image = None if visible.is_empty else own_image(seg, visible, most=1)
        if image is not None:
            yield Placed(number, str(seg.label), visible, image, _alphas(seg, visible, feather, 1).to(image.device))


def _alphas(seg: SEG, visible: Region, feather: int, frames: int) -> torch.Tensor:
    """The blurred masks of what of a segment is visible, ``[frames or 1,h,w]``: another number of masks is merged."""
    region = crop_region(seg)
    masks = resize_mask(seg_mask(seg), region.size)[(slice(None), *visible.relative_to(region).slices)]
    masks = masks if len(masks) == frames else masks.amax(dim=0, keepdim=True)
    return blur_mask(masks.clamp(0.0, 1.0), feather)
