"""Conditionings of several crops as one of their batch, where they can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...core import Size, as_mask_batch, resize_mask
from ..values import Conditioning

# ComfyUI takes these item by item from a batch of as many as there are latents.
_ITEM_BY_ITEM = {"pooled_output", "conditioning_llama3", "concat_latent_image", "concat_mask", "reference_latents"}


def what_differs(first: Conditioning, other: Conditioning) -> str | None:
    """Why two crops' conditionings can't go into one batch, None where they can.

    What ComfyUI reads item by item may differ in its values; all else, such as areas and ControlNets, must be the same.
    """
    if isinstance(first, str) or isinstance(other, str):
        return None if first is other or (isinstance(first, str) and first == other) else "the negative's kind"
    if len(first) != len(other):
        return "how many prompts there are"
    for (embedding, options), (other_embedding, other_options) in zip(first, other, strict=True):
        if embedding.shape[1:] != other_embedding.shape[1:]:
            return "the prompts' lengths"
        if options.keys() != other_options.keys():
            return ", ".join(sorted(options.keys() ^ other_options.keys()))
        for key, value in options.items():
            if not _fit(key, value, other_options[key], options):
                return key
    return None


def _fit(key: str, value: Any, other: Any, options: dict[str, Any]) -> bool:
    if key in _ITEM_BY_ITEM:
        return _same_shapes(value, other)
    if key == "mask" and not options.get("set_area_to_bounds", False):
        return True  # each is scaled to the latent
    return _equal(value, other)


def _same_shapes(value: Any, other: Any) -> bool:
    if isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor):
        return value.shape[1:] == other.shape[1:]
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_same_shapes, value, other))
    return _equal(value, other)


def _equal(value: Any, other: Any) -> bool:
    if value is other:
        return True
    if isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(value, other)
    if isinstance(value, list | tuple) and type(value) is type(other):
        return len(value) == len(other) and all(map(_equal, value, other))
    if isinstance(value, str | int | float | bool | type(None)):
        return bool(value == other)
    return False


def stacked(conditionings: Sequence[Conditioning], cells: Size) -> Conditioning:
    """Conditionings of which none differs from the first (``what_differs``), as one for the batch of their crops.

    Args:
        cells: the latent's size; masks are scaled to it as ComfyUI does.
    """
    first = conditionings[0]
    if len(conditionings) == 1 or isinstance(first, str):
        return first
    batch: Conditioning = []
    for entries in zip(*conditionings, strict=True):
        embeddings, options = zip(*entries, strict=True)
        joined = {key: _stacked(key, [option[key] for option in options]) for key in options[0]}
        if "mask" in joined and not joined.get("set_area_to_bounds", False):
            joined["mask"] = torch.cat([resize_mask(as_mask_batch(option["mask"]), cells)[:1] for option in options])
        batch.append([_cat(embeddings), joined])
    return batch


def _stacked(key: str, values: Sequence[Any]) -> Any:
    if key not in _ITEM_BY_ITEM or values[0] is None:
        return values[0]
    if isinstance(values[0], list):
        return [_cat(tensors) for tensors in zip(*values, strict=True)]
    return _cat(values)


def _cat(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """One after another; a tensor that all share as it is: ComfyUI repeats it. Of several items a crop takes the
    first.
    """
    first = tensors[0]
    if all(tensor is first for tensor in tensors):
        return first[:1]
    return torch.cat([tensor[:1] for tensor in tensors])
