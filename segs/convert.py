"""SEGS to masks and pictures."""

from __future__ import annotations

import torch

from ..core import SEGS, Region, Size, crop_region, header_size, resize_mask, seg_image, seg_mask
from .rescale import rescale

BLACK_PICTURE_SIDE = 64


def black_picture() -> torch.Tensor:
    """What stands where there is no picture to give: ``[1,64,64,3]`` zeros."""
    return torch.zeros(1, BLACK_PICTURE_SIDE, BLACK_PICTURE_SIDE, 3)


def to_combined_mask(segs: SEGS) -> torch.Tensor:
    """All segments' masks in one, ``[1,H,W]`` float32 of the SEGS' picture size; where they overlap, the largest value.

    SEGS of no known size give ``[1,64,64]`` zeros. What lies outside the picture is left out.
    """
    size = header_size(segs)
    if 0 in size:
        return torch.zeros(1, BLACK_PICTURE_SIDE, BLACK_PICTURE_SIDE)
    canvas = torch.zeros(1, *size)
    for seg in segs[1]:
        region = crop_region(seg)
        visible = region.intersection(Region.whole(size))
        whole = resize_mask(seg_mask(seg).cpu().amax(dim=0, keepdim=True), region.size)
        mask = whole[0][visible.relative_to(region).slices].clamp(0.0, 1.0)
        part = canvas[0][visible.slices]
        torch.maximum(part, mask, out=part)
    return canvas


def to_image_list(segs: SEGS, fallback: torch.Tensor | None = None) -> list[torch.Tensor]:
    """One picture ``[n,h,w,3]`` a segment: its own, else the fallback's crop with all its frames, else a black one.

    With a fallback ``[n,H,W,C]`` the SEGS are first moved to its size. No segments give one black picture.
    """
    if fallback is not None:
        segs = rescale(segs, Size(*fallback.shape[1:3]))
    pictures = []
    for seg in segs[1]:
        picture = seg_image(seg)
        if picture is None and fallback is not None:
            visible = crop_region(seg).intersection(Region.whole(Size(*fallback.shape[1:3])))
            rows, columns = visible.slices
            picture = None if visible.is_empty else fallback[:, rows, columns].clone()
        pictures.append(black_picture() if picture is None else picture)
    return pictures or [black_picture()]
