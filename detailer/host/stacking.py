"""Conditionings of several crops as one of their batch, where they can be: what must be the same, and how the rest goes
side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...core import Size, as_mask_batch, resize_mask
from .conditioning import Items, entry, items_of
from .protocols import CondEntry, Conditioning, CondOptions


def what_differs(first: Conditioning, other: Conditioning) -> str | None:
    """Why two crops' conditionings can't go into one batch, None where they can.

    What ComfyUI reads item by item may differ in its values; all else, such as areas and ControlNets, must be the same
    (``host.conditioning.KEYS``).
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


def _fit(key: str, value: object, other: object, options: CondOptions) -> bool:
    items = items_of(key, options)
    if items is Items.OWN:
        return _same_shapes(value, other)
    return items is Items.SCALED or _equal(value, other)


def _same_shapes(value: object, other: object) -> bool:
    if isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor):
        return value.shape[1:] == other.shape[1:]
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_same_shapes, value, other))
    return _equal(value, other)


def _equal(value: object, other: object) -> bool:
    if value is other:
        return True
    if isinstance(value, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(value, other)
    if isinstance(value, list | tuple) and isinstance(other, list | tuple) and type(value) is type(other):
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
    entries = [conditioning for conditioning in conditionings if not isinstance(conditioning, str)]
    return [_stacked(own, cells) for own in zip(*entries, strict=True)]


def _stacked(entries: Sequence[CondEntry], cells: Size) -> CondEntry:
    """One entry of each crop as one of the batch."""
    options = [options for _, options in entries]
    joined = {key: _joined(items_of(key, options[0]), [own[key] for own in options], cells) for key in options[0]}
    return entry(_cat([embedding for embedding, _ in entries]), joined)


def _joined(items: Items, values: Sequence[object], cells: Size) -> object:
    first = values[0]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    if items is Items.SAME or first is None:
        return first
    if items is Items.SCALED:
        return torch.cat([resize_mask(as_mask_batch(mask), cells)[:1] for mask in tensors])
    if isinstance(first, list):
        return [_cat(parts) for parts in zip(*(value for value in values if isinstance(value, list)), strict=True)]
    return _cat(tensors) if tensors else first


def _cat(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """One after another, of several items of a crop the first; one that all share goes once: ComfyUI repeats it."""
    first = tensors[0]
    if all(tensor is first for tensor in tensors):
        return first[:1]
    return torch.cat([tensor[:1] for tensor in tensors])
