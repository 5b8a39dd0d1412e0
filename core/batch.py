"""Pictures of several sizes in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .region import Region, Size
from .resample import resample


def joined(batches: Sequence[torch.Tensor]) -> torch.Tensor:
    """Pictures one after another, all in the size of the first.

    Args:
        batches: at least one, each ``[B,H,W,C]`` float 0..1 with the same C.

    Returns:
        ``[sum of B,H,W,C]``; a single batch as it is. A picture of another size is cut around its middle to the
        first's aspect and resampled, its values kept within 0..1.
    """
    if len(batches) == 1:
        return batches[0]
    size = Size(*batches[0].shape[1:3])
    return torch.cat([_fitted(batch, size) for batch in batches])


def _fitted(images: torch.Tensor, size: Size) -> torch.Tensor:
    old = Size(*images.shape[1:3])
    if old == size:
        return images
    rows, columns = _middle(old, size).slices
    return resample(images[:, rows, columns], size).clamp_(0.0, 1.0)


def _middle(old: Size, new: Size) -> Region:
    """The part of a picture that ComfyUI's centre crop keeps for the aspect of ``new``; at least a pixel."""
    old_aspect, new_aspect = old.width / old.height, new.width / new.height
    left = round((old.width - old.width * (new_aspect / old_aspect)) / 2) if old_aspect > new_aspect else 0
    top = round((old.height - old.height * (old_aspect / new_aspect)) / 2) if old_aspect < new_aspect else 0
    left, top = min(left, (old.width - 1) // 2), min(top, (old.height - 1) // 2)
    return Region(left, top, old.width - left, old.height - top)


def with_channels(images: torch.Tensor, channels: int) -> torch.Tensor:
    """Pictures ``[B,H,W,C]`` with 1, 3 or 4 channels as ``[B,H,W,channels]``; as they are where they fit.

    Alpha is left out, or added as opaque; grey becomes three equal colours; colours become grey by their mean.
    """
    if images.shape[-1] == channels:
        return images
    colours = images[..., : min(images.shape[-1], 3)]
    if channels == 1:
        return colours.mean(dim=-1, keepdim=True)
    colours = colours if colours.shape[-1] == 3 else colours[..., :1].expand(*colours.shape[:3], 3)
    return torch.cat([colours, torch.ones_like(colours[..., :1])], dim=-1) if channels == 4 else colours
