"""Noise of other seeds mixed into regions of the noise that a sampling starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from ...core.tables import chosen
from .. import host
from ..host.protocols import Latent
from ..values import wrapped_seed

NEARLY_THE_SAME = 1e-4  # of an angle


class Varied(Protocol):
    """A region with noise of its own."""

    @property
    def variation_seed(self) -> int: ...

    @property
    def variation_strength(self) -> float: ...

    @property
    def variation_method(self) -> str: ...


# strength and the two noises to the weights of both, one an item
Mix = Callable[[float, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def _linear(strength: float, one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """In a straight line, the deviation kept."""
    length = ((1.0 - strength) ** 2 + strength**2) ** 0.5
    each = torch.ones(len(one), dtype=torch.float64)
    return each * (1.0 - strength) / length, each * strength / length


def _slerp(strength: float, one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Along the arc between the two as vectors; in a straight line where they are as good as the same."""
    flat, flat_other = one.flatten(1).double(), other.flatten(1).double()
    cosine = torch.nn.functional.cosine_similarity(flat, flat_other, dim=1).clamp(-1.0, 1.0)
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    same = sine.abs() < NEARLY_THE_SAME
    safe = torch.where(same, torch.ones_like(sine), sine)
    near, far = torch.sin((1.0 - strength) * angle) / safe, torch.sin(strength * angle) / safe
    line = torch.full_like(near, strength)
    return torch.where(same, 1.0 - line, near), torch.where(same, line, far)


VARIATION_METHODS: dict[str, Mix] = {"linear": _linear, "slerp": _slerp}


def varied(
    noise: torch.Tensor, latent: Latent, regions: Sequence[Varied], weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    """The noise with each region's variation in it, region by region, its deviation kept in each cell.

    Args:
        noise: ``[B,C,...]``, that of the seed.
        latent: what it is for.
        weights: of each region, of the noise's last two axes.
    """
    for region, weight in zip(regions, weights, strict=True):
        if region.variation_strength <= 0.0 or not bool(weight.any()):
            continue
        other = host.sampling.noise_for(latent, [wrapped_seed(region.variation_seed)])
        mix = chosen(VARIATION_METHODS, region.variation_method, "variation method")
        shape = (-1, *(1,) * (noise.ndim - 1))
        own, its = (share.reshape(shape) for share in mix(region.variation_strength, noise, other))
        kept, added = 1.0 - weight + weight * own, weight * its
        length = (kept**2 + added**2).sqrt()
        # within the region as its method has it; at the fading edge neither noise would fill the deviation
        whole = (own**2 + its**2).sqrt()
        scale = (1.0 - weight + weight * whole) / length
        noise = ((kept * noise + added * other) * scale).to(noise.dtype)
    return noise
