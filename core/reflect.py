"""Cutting regions out of pictures and masks; past the border a picture goes on mirrored, and a mask is empty."""

from __future__ import annotations

import torch

from .region import Region, Size


def cut_mirrored(image: torch.Tensor, region: Region) -> torch.Tensor:
    """A region of a picture, mirrored past its borders without repeating the outermost pixels, as often as it takes.

    Args:
        image: ``[N,H,W,C]``, at least 1x1.
        region: of any place and size, not empty.

    Returns:
        ``[N,region.height,region.width,C]``, a new tensor.
    """
    rows = _mirrored(region.y1, region.y2, image.shape[1]).to(image.device)
    columns = _mirrored(region.x1, region.x2, image.shape[2]).to(image.device)
    return image[:, rows[:, None], columns]


def _mirrored(start: int, end: int, length: int) -> torch.Tensor:
    period = max(2 * (length - 1), 1)
    place = torch.arange(start, end) % period
    return torch.where(place < length, place, period - place)


def moved_mask(mask: torch.Tensor, old: Region, new: Region) -> torch.Tensor:
    """A mask of one region over another: 0 where the old one did not reach.

    Args:
        mask: ``[N,h,w]`` of the old region's size.

    Returns:
        ``[N,new.height,new.width]``, a new tensor.
    """
    moved = mask.new_zeros(mask.shape[0], *new.size)
    common = old.intersection(new)
    if not common.is_empty:
        rows, columns = common.relative_to(new).slices
        old_rows, old_columns = common.relative_to(old).slices
        moved[:, rows, columns] = mask[:, old_rows, old_columns]
    return moved


def cut_inside(image: torch.Tensor, region: Region) -> torch.Tensor | None:
    """The part of a region that lies in a picture ``[N,H,W,C]``, a view of it; None where there is none."""
    visible = region.within(Size(*image.shape[1:3]))
    return None if visible.is_empty else image[(slice(None), *visible.slices)]


def inside_picture(region: Region, picture: Size) -> tuple[Region, tuple[slice, slice]]:
    """The part of a region that lies in the picture, and the rows and columns of a crop of the region that show it."""
    inside = region.within(picture)
    return inside, inside.relative_to(region).slices
