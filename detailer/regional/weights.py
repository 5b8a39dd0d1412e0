"""How much each region counts in each cell of a latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...core import Size, dilate_mask


def region_weights(masks: Sequence[torch.Tensor], overlap: int, cells: Size) -> list[torch.Tensor]:
    """The regions' weights; what they leave of 1 is the base's.

    A region is its mask above 0.5. It fades into what is around it over ``(overlap - 1) / 2`` pixels of the mask beyond
    its edge; where the weights of several would be more than 1 together, they are 1 together.

    Args:
        masks: ``[B,H,W]`` 0..1, each of any size; of several frames the largest values count.
        cells: the latent's size.

    Returns:
        ``[h,w]`` float32 on the CPU for each mask.
    """
    weights = [_at(_faded(mask, overlap), cells) for mask in masks]
    if not weights:
        return []
    total = torch.stack(weights).sum(dim=0).clamp(min=1.0)
    return [weight / total for weight in weights]


def _faded(mask: torch.Tensor, overlap: int) -> torch.Tensor:
    """``[B,H,W]`` -> ``[H,W]``: 1 in the region, 0 beyond what it may reach, a straight line between."""
    hard = (mask.detach().cpu().amax(dim=0, keepdim=True) > 0.5).to(torch.float32)
    side = min((overlap + 1) // 2, 2 * max(hard.shape))
    if side < 2:
        return hard[0]
    # grown by half of the way, then the mean over a window that lies in the grown region for each pixel of the mask
    before, after = (side - 1) // 2, side // 2
    grown = dilate_mask(hard, side)
    padded = torch.nn.functional.pad(grown[None].double(), (before, after, before, after), mode="replicate")[0, 0]
    for axis in (0, 1):
        sums = padded.cumsum(dim=axis)
        zero = torch.zeros_like(sums.narrow(axis, 0, 1))
        sums = torch.cat([zero, sums], dim=axis)
        length = sums.shape[axis] - side
        padded = (sums.narrow(axis, side, length) - sums.narrow(axis, 0, length)) / side
    return padded.clamp(0.0, 1.0).float()


def _at(weight: torch.Tensor, cells: Size) -> torch.Tensor:
    return torch.nn.functional.interpolate(weight[None, None], size=tuple(cells), mode="area")[0, 0]
