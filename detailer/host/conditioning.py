"""Conditioning made for the whole picture, as one crop's conditioning."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ...core import Region, Size, resize_mask
from ...core.reflect import cut_mirrored
from .. import host
from ..values import Conditioning

logger = logging.getLogger("mask_detailer")

LATENT_CELL = 8  # areas and GLIGEN boxes count in cells of eight pixels, whatever the model


@dataclass(frozen=True)
class View:
    """A crop as a window on the whole picture: ``region`` of ``picture``, worked on at ``working``."""

    picture: Size
    region: Region
    working: Size


def crop_conditioning(conditioning: Conditioning, view: View) -> Conditioning:
    """The conditioning with all that speaks of the whole picture cut to the crop.

    Masks, areas, ControlNet hints, GLIGEN boxes, concatenated latents and masks, and reference latents of the picture's
    shape are cut; every other key stays. What cannot be cut is dropped with a warning. Entries that don't touch
    the crop are left out unless nothing else would be left. A string (the negative placeholder) is passed on.
    """
    if isinstance(conditioning, str):
        return conditioning
    cropped = [(embedding, _crop_options(options, view)) for embedding, options in conditioning]
    touching = [[embedding, options] for embedding, options in cropped if options is not None]
    if touching or not cropped:
        return touching
    logger.warning("no area of the conditioning touches the crop %s: it is used without areas", view.region)
    whole = ({key: value for key, value in options.items() if key != "area"} for _, options in conditioning)
    return [[entry[0], _crop_options(options, view)] for entry, options in zip(conditioning, whole, strict=True)]


def _crop_options(options: dict[str, Any], view: View) -> dict[str, Any] | None:
    """A new options dictionary, None where the entry's area lies elsewhere."""
    cropped = dict(options)
    for key, crop in _CROPS.items():
        value = cropped.get(key)
        if value is None:
            continue
        value = crop(value, view)
        if value is not None:
            cropped[key] = value
        elif key == "area":
            return None
        else:
            del cropped[key]
    return cropped


def _mask(mask: torch.Tensor, view: View) -> torch.Tensor:
    """``[H,W]`` or ``[B,H,W]`` -> ``[B,h,w]``."""
    frames = resize_mask(mask if mask.ndim == 3 else mask.reshape(-1, *mask.shape[-2:]), view.picture)
    return _cut(frames, view.region)


def _area(area: Any, view: View) -> tuple[Any, ...] | None:
    """``(h, w, y, x)`` in cells, or ``("percentage", h, w, y, x)``, as percentages of the crop.

    Percentages may begin each half with a share of the frames (``t, h, w, t, y, x``), which stays.
    """
    if area[0] == "percentage":
        numbers, (unit_y, unit_x) = area[1:], view.picture
    else:
        numbers, (unit_y, unit_x) = area, (LATENT_CELL, LATENT_CELL)
    middle = len(numbers) // 2
    *frames, height, width = numbers[:middle]
    *first_frame, y, x = numbers[middle:]
    region = view.region
    top, bottom = max(y * unit_y, region.y1), min((y + height) * unit_y, region.y2)
    left, right = max(x * unit_x, region.x1), min((x + width) * unit_x, region.x2)
    if top >= bottom or left >= right:
        return None
    return (
        "percentage",
        *frames,
        (bottom - top) / region.height,
        (right - left) / region.width,
        *first_frame,
        (top - region.y1) / region.height,
        (left - region.x1) / region.width,
    )


def _gligen(gligen: Any, view: View) -> Any:
    """``("position", model, [(embedding, h, w, y, x) in cells])``, boxes moved to the crop's latent."""
    kind, model, boxes = gligen
    if kind != "position":
        logger.warning("GLIGEN of the kind %r can't be cut to a segment: left out", kind)
        return None
    rows, columns = view.working.height / LATENT_CELL, view.working.width / LATENT_CELL
    moved = []
    for embedding, *cells in boxes:
        area = _area(cells, view)
        if area is not None:
            _, height, width, y, x = area
            size = (max(1, round(height * rows)), max(1, round(width * columns)))
            moved.append((embedding, *size, round(y * rows), round(x * columns)))
    return (kind, model, moved) if moved else None


def _spatial(tensor: torch.Tensor, view: View) -> torch.Tensor:
    """``[..., h, w]`` over the whole picture, at any resolution -> the crop's part, at least one cell."""
    size = Size(*tensor.shape[-2:])
    part = view.region.rescaled(view.picture, size)
    x1, y1 = min(part.x1, size.width - 1), min(part.y1, size.height - 1)
    return _cut(tensor, Region(x1, y1, max(part.x2, x1 + 1), max(part.y2, y1 + 1)))


def _cut(tensor: torch.Tensor, region: Region) -> torch.Tensor:
    """A region of the last two axes, mirrored past their ends as the crop is."""
    if region.inside(Size(*tensor.shape[-2:])):
        rows, columns = region.slices
        return tensor[..., rows, columns]
    planes = tensor.reshape(-1, *tensor.shape[-2:], 1)
    return cut_mirrored(planes, region).reshape(*tensor.shape[:-2], *region.size)


def _references(latents: list[torch.Tensor], view: View) -> list[torch.Tensor]:
    """Reference latents of the picture's shape are cut; others show something else and stay."""
    return [_spatial(latent, view) if _has_shape_of(latent, view.picture) else latent for latent in latents]


def _has_shape_of(latent: torch.Tensor, picture: Size) -> bool:
    """Whether both sides fit one ratio to within a cell."""
    height, width = latent.shape[-2:]
    return abs(height * picture.width - width * picture.height) <= picture.longer


def _control(control: Any, view: View) -> Any:
    return host.control_net.crop_control(control, lambda hint: _spatial(hint, view))


_CROPS: dict[str, Callable[[Any, View], Any]] = {
    "mask": _mask,
    "area": _area,
    "control": _control,
    "gligen": _gligen,
    "concat_latent_image": _spatial,
    "concat_mask": _spatial,
    "reference_latents": _references,
}
