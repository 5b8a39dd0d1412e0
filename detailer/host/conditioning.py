"""Conditioning made for the whole picture, as one crop's: which of ComfyUI's keys speak of the picture, and how each
is cut. The same table says what crops of one batch may have of a key (``host.stacking``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import torch

from ...core import Size
from . import cuts
from .cuts import View
from .protocols import CondEntry, Conditioning, CondOptions
from .references import references

logger = logging.getLogger("mask_detailer")


def entry(embedding: torch.Tensor, options: CondOptions) -> CondEntry:
    """An entry of a conditioning, in the form that ComfyUI wants: a list of the two."""
    return cast(CondEntry, [embedding, options])


def crop_conditioning(conditioning: Conditioning, view: View, kept: Collection[str] = ()) -> Conditioning:
    """The conditioning with all that speaks of the whole picture cut to the crop.

    Masks, areas, ControlNet hints, GLIGEN boxes, concatenated latents and masks, and reference latents of the picture's
    shape are cut; every other key stays. What cannot be cut is dropped with a warning. Entries that don't touch
    the crop are left out unless nothing else would be left. A string (the negative placeholder) is passed on.

    Args:
        kept: keys that are the crop's already.
    """
    if isinstance(conditioning, str):
        return conditioning
    cropped = [(embedding, _crop_options(options, view, kept)) for embedding, options in conditioning]
    touching = [entry(embedding, options) for embedding, options in cropped if options is not None]
    if touching or not cropped:
        return touching
    logger.warning("no area of the conditioning touches the crop %s: it is used without areas", view.region)
    without_area = [
        (embedding, _crop_options({key: value for key, value in options.items() if key != "area"}, view, kept))
        for embedding, options in conditioning
    ]
    return [entry(embedding, options) for embedding, options in without_area if options is not None]


def _crop_options(options: CondOptions, view: View, kept: Collection[str]) -> CondOptions | None:
    """New options, None where the entry's area lies elsewhere."""
    cropped: CondOptions = {}
    for name, value in options.items():
        key = KEYS.get(name)
        if name in kept:
            cropped[name] = value
        elif key is None and speaks_of(value, view.picture):
            view.once.warning(f"the conditioning's {name} speaks of the whole picture and can't be cut: left out")
        elif key is None or key.cut is None or value is None:
            cropped[name] = value
        elif (part := key.cut(value, view)) is not None:
            cropped[name] = part
        elif name == "area":
            return None
        elif name not in ("control", "gligen"):  # these say it themselves
            view.once.warning(f"the conditioning's {name} is a clip's and can't be cut to a still: left out")
    return cropped


def speaks_of(value: object, picture: Size) -> bool:
    """Whether a value has an axis for each of the picture's sides, in pixels or latent cells."""
    if isinstance(value, list):
        return any(speaks_of(one, picture) for one in value)
    if not isinstance(value, torch.Tensor) or value.ndim < 4:
        return False
    sizes = [Size(*(side // ratio for side in picture)) for ratio in (1, 8, 16)]
    return any(Size(*shape) in sizes for shape in (value.shape[-2:], value.shape[-3:-1]))


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
    "mask": Key(cuts.mask, Items.SCALED),
    "area": Key(cuts.area),
    "control": Key(cuts.control),
    "gligen": Key(cuts.gligen),
    "concat_latent_image": Key(cuts.spatial, Items.OWN),
    "concat_mask": Key(cuts.spatial, Items.OWN),
    "reference_latents": Key(references, Items.OWN),
    "vace_frames": Key(cuts.latents, Items.OWN),
    "vace_mask": Key(cuts.folded_masks, Items.OWN),
    "pooled_output": Key(items=Items.OWN),
    "conditioning_llama3": Key(items=Items.OWN),
}


def items_of(key: str, options: CondOptions) -> Items:
    """What the crops of one batch may have of a key, where ``options`` are one crop's.

    A mask that sets an area has a place in the crop, which ComfyUI reads once for the batch.
    """
    items = KEYS[key].items if key in KEYS else Items.SAME
    return Items.SAME if items is Items.SCALED and options.get("set_area_to_bounds", False) else items


# What a prompt says of where and when it holds, and what its encoder made of the text: another text has its own.
_OF_THE_TEXT = {
    "area", "mask", "mask_strength", "set_area_to_bounds", "strength", "start_percent", "end_percent", "gligen",
    "pooled_output", "conditioning_llama3", "attention_mask", "conditioning_byt5small", "conditioning_mt5xl",
    "attention_mask_mt5xl", "attention_mask_img_shape", "t5xxl_ids", "t5xxl_weights", "text_input_ids",
}  # fmt: skip


def kept_options(own: Conditioning, before: Conditioning) -> Conditioning:
    """A new text's conditioning with what the one before it said beside its text: guidance, references, ControlNets.

    What the new one says itself counts; of several prompts before, the first that says a thing.
    """
    if isinstance(own, str) or isinstance(before, str):
        return own
    kept: CondOptions = {}
    for _, options in reversed(before):
        kept |= {name: value for name, value in options.items() if name not in _OF_THE_TEXT}
    return [entry(embedding, kept | options) for embedding, options in own] if kept else own
