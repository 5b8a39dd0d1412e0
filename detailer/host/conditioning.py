"""Conditioning made for the whole picture, as one crop's: which of ComfyUI's keys speak of the picture, and how each
is cut. The same table says what crops of one batch may have of a key (``host.stacking``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import torch

from ...core import Region, Size, resize_mask
from ...core.reflect import cut_mirrored
from .control_net import crop_control
from .protocols import CondEntry, Conditioning, CondOptions, ControlNet

logger = logging.getLogger("mask_detailer")

LATENT_CELL = 8  # areas and GLIGEN boxes count in cells of eight pixels, whatever the model


@dataclass(frozen=True)
class View:
    """A crop as a window on the whole picture: ``region`` of ``picture``, worked on at ``working``."""

    picture: Size
    region: Region
    working: Size


def entry(embedding: torch.Tensor, options: CondOptions) -> CondEntry:
    """An entry of a conditioning, in the form that ComfyUI wants: a list of the two."""
    return cast(CondEntry, [embedding, options])


def crop_conditioning(conditioning: Conditioning, view: View) -> Conditioning:
    """The conditioning with all that speaks of the whole picture cut to the crop.

    Masks, areas, ControlNet hints, GLIGEN boxes, concatenated latents and masks, and reference latents of the picture's
    shape are cut; every other key stays. What cannot be cut is dropped with a warning. Entries that don't touch
    the crop are left out unless nothing else would be left. A string (the negative placeholder) is passed on.
    """
    if isinstance(conditioning, str):
        return conditioning
    cropped = [(embedding, _crop_options(options, view)) for embedding, options in conditioning]
    touching = [entry(embedding, options) for embedding, options in cropped if options is not None]
    if touching or not cropped:
        return touching
    logger.warning("no area of the conditioning touches the crop %s: it is used without areas", view.region)
    without_area = [
        (embedding, _crop_options({key: value for key, value in options.items() if key != "area"}, view))
        for embedding, options in conditioning
    ]
    return [entry(embedding, options) for embedding, options in without_area if options is not None]


def _crop_options(options: CondOptions, view: View) -> CondOptions | None:
    """New options, None where the entry's area lies elsewhere."""
    cropped = dict(options)
    for name, key in KEYS.items():
        value = cropped.get(name)
        if value is None or key.cut is None:
            continue
        value = key.cut(value, view)
        if value is not None:
            cropped[name] = value
        elif name == "area":
            return None
        else:
            del cropped[name]
    return cropped


def _mask(mask: torch.Tensor, view: View) -> torch.Tensor:
    """``[H,W]`` or ``[B,H,W]`` -> ``[B,h,w]``."""
    frames = resize_mask(mask if mask.ndim == 3 else mask.reshape(-1, *mask.shape[-2:]), view.picture)
    return _cut(frames, view.region)


def _area(area: Sequence[float | str], view: View) -> tuple[float | str, ...] | None:
    """``(h, w, y, x)`` in cells, or ``("percentage", h, w, y, x)``, as percentages of the crop.

    Percentages may begin each half with a share of the frames (``t, h, w, t, y, x``), which stays.
    """
    is_share = area[0] == "percentage"
    numbers = cast("Sequence[float]", area[1:] if is_share else area)
    unit_y, unit_x = view.picture if is_share else (LATENT_CELL, LATENT_CELL)
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


_Gligen = tuple[str, object, list[tuple[Any, ...]]]


def _gligen(gligen: _Gligen, view: View) -> _Gligen | None:
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
            height, width, y, x = cast("Sequence[float]", area[1:])
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


def _control(control: ControlNet, view: View) -> ControlNet | None:
    return crop_control(control, lambda hint: _spatial(hint, view))


class Items(Enum):
    """What the crops of one batch may have of a key."""

    SAME = "the same"  # ComfyUI reads it once for the whole batch
    OWN = "each its own"  # ComfyUI reads it item by item
    SCALED = "each its own, brought to the latent's size"  # but the same where it sets an area (``items_of``)


@dataclass(frozen=True)
class Key:
    """What becomes of a key of the conditioning on its way to a batch of crops.

    Attributes:
        cut: ``(value, view)`` to the crop's value, None for what can't be cut; without it the value stays.
    """

    cut: Callable[[Any, View], object] | None = None
    items: Items = Items.SAME


# All that is more than a value for all crops, cut in this order.
KEYS = {
    "mask": Key(_mask, Items.SCALED),
    "area": Key(_area),
    "control": Key(_control),
    "gligen": Key(_gligen),
    "concat_latent_image": Key(_spatial, Items.OWN),
    "concat_mask": Key(_spatial, Items.OWN),
    "reference_latents": Key(_references, Items.OWN),
    "pooled_output": Key(items=Items.OWN),
    "conditioning_llama3": Key(items=Items.OWN),
}


def items_of(key: str, options: CondOptions) -> Items:
    """What the crops of one batch may have of a key, where ``options`` are one crop's.

    A mask that sets an area has a place in the crop, which ComfyUI reads once for the batch.
    """
    items = KEYS[key].items if key in KEYS else Items.SAME
    return Items.SAME if items is Items.SCALED and options.get("set_area_to_bounds", False) else items
