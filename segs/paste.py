"""Segments put into a picture."""

from __future__ import annotations

import logging

import torch

from ..core import SEG, SEGS, Region, Size, blur_mask, crop_region, paste_, resample, resize_mask, seg_image, seg_mask
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
        visible = region.intersection(Region.whole(picture))
        image = _image(seg, region) if reference is None else reference[(slice(None), *visible.slices)]
        if visible.is_empty or image is None or not len(image):
            why = "it lies outside the picture" if visible.is_empty else "it has no image of its own"
            logger.info("segment %d: not pasted, %s", number, why)
            continue
        if reference is None:
            image = image[(slice(None), *visible.relative_to(region).slices)]
        masks = resize_mask(seg_mask(seg), region.size)[(slice(None), *visible.relative_to(region).slices)]
        masks = masks if len(masks) == len(frames) else masks.amax(dim=0, keepdim=True)
        alphas = (blur_mask(masks.clamp(0.0, 1.0), feather) * alpha).to(out.device)
        image = image.to(out.device)
        for index in range(len(out)):
            patch = image[min(index, len(image) - 1)][None]
            paste_(out[index : index + 1], patch, alphas[min(index, len(alphas) - 1)][None], visible)
    return out


def _image(seg: SEG, region: Region) -> torch.Tensor | None:
    """The segment's own image ``[n,h,w,3]`` float32 at the size of its region."""
    image = seg_image(seg)
    if image is None or 0 in image.shape:
        return None
    image = image[..., :3].to(torch.float32)
    if Size(*image.shape[1:3]) == region.size:
        return image
    return resample(image, region.size).clamp_(0.0, 1.0)
