"""SEGS to masks and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from ..core import SEG, SEGS, Region, Size, crop_region, header_size, resize_mask, seg_image, seg_mask
from ..core.reflect import cut_inside
from .filters import confidence
from .rescale import rescale

BLACK_PICTURE_SIDE = 64


def black_picture() -> torch.Tensor:
    """What stands where there is no picture to give: ``[1,64,64,3]`` zeros."""
    return torch.zeros(1, BLACK_PICTURE_SIDE, BLACK_PICTURE_SIDE, 3)


def black_mask() -> torch.Tensor:
    """What stands where no picture's size is known: ``[1,64,64]`` zeros."""
    return torch.zeros(1, BLACK_PICTURE_SIDE, BLACK_PICTURE_SIDE)


def to_combined_mask(segs: SEGS) -> torch.Tensor:
    """All segments' masks in one, ``[1,H,W]`` float32 of the SEGS' picture size; where they overlap, the largest value.

    SEGS of no known size give ``[1,64,64]`` zeros. What lies outside the picture is left out.
    """
    size = header_size(segs)
    return black_mask() if 0 in size else draw_masks(segs[1], Region.whole(size))


def draw_masks(elements: Iterable[SEG], area: Region) -> torch.Tensor:
    """The segments' masks within ``area`` of their picture, ``[1,h,w]`` float32; overlaps keep the largest value."""
    canvas = torch.zeros(1, *area.size)
    for seg in elements:
        region = crop_region(seg)
        visible = region.intersection(area)
        whole = resize_mask(seg_mask(seg).cpu().amax(dim=0, keepdim=True), region.size)
        mask = whole[0][visible.relative_to(region).slices].clamp(0.0, 1.0)
        part = canvas[0][visible.relative_to(area).slices]
        torch.maximum(part, mask, out=part)
    return canvas


def to_mask_list(segs: SEGS) -> list[torch.Tensor]:
    """One mask ``[1,H,W]`` of the SEGS' picture size for each segment, and for each frame of its mask.

    No segments give one of zeros; so do SEGS of no known size, ``[1,64,64]``.
    """
    size = header_size(segs)
    if 0 in size:
        return [black_mask()]
    frames = [seg_frame for seg in segs[1] for seg_frame in _frames(seg)]
    return [draw_masks([frame], Region.whole(size)) for frame in frames] or [torch.zeros(1, *size)]


def _frames(seg: SEG) -> list[SEG]:
    """The segment once for each frame of its mask."""
    return [SEG(None, frame, 1.0, seg.crop_region, seg.bbox, seg.label) for frame in seg_mask(seg)]


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
            picture = cut_inside(fallback, crop_region(seg))
        pictures.append(black_picture() if picture is None else picture.to(torch.float32, copy=True))
    return pictures or [black_picture()]


@dataclass(frozen=True)
class Preview:
    """A segment's frames to look at.

    Attributes:
        picture: ``[n,h,w,3]``.
        mask: ``[n,h,w]`` of the same size.
        number: which of the SEGS it is, 1 is the first; those without a picture count too.
        seg: the segment.
    """

    picture: torch.Tensor
    mask: torch.Tensor
    number: int
    seg: SEG

    @property
    def confidence(self) -> float:
        """To two places."""
        return round(float(confidence(self.seg)), 2)


def to_previews(segs: SEGS, fallback: torch.Tensor | None = None) -> list[Preview]:
    """One preview for each segment that has a picture: its own, else the fallback's crop.

    With a fallback ``[n,H,W,C]`` the SEGS are first moved to its size. No more frames are shown than the first
    segment has, in its own image or else the fallback. A mask with another number of frames than the picture shows the
    largest values of all.
    """
    if fallback is not None:
        segs = rescale(segs, Size(*fallback.shape[1:3]))
    most = None
    previews = []
    for number, seg in enumerate(segs[1], start=1):
        picture = seg_image(seg)
        if picture is None and fallback is not None:
            picture = cut_inside(fallback, crop_region(seg))
        if picture is None or 0 in picture.shape:
            continue
        most = len(picture) if most is None else most
        picture = picture[:most, ..., :3].to(torch.float32)
        previews.append(Preview(picture, _preview_mask(seg, picture), number, seg))
    return previews


def _preview_mask(seg: SEG, picture: torch.Tensor) -> torch.Tensor:
    masks = seg_mask(seg).to(picture.device)
    if len(masks) != len(picture):
        masks = masks.amax(dim=0, keepdim=True).expand(len(picture), -1, -1)
    return resize_mask(masks, Size(*picture.shape[1:3])).clamp(0.0, 1.0)
