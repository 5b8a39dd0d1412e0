"""What can be wrong with a decoded crop."""

from __future__ import annotations

import torch

FLAT = 2 / 255


def fault_of(decoded: torch.Tensor, before: torch.Tensor, flat_too: bool = True) -> str | None:
    """Why a decoded crop can't be used, or None.

    Args:
        decoded: ``[...,3]`` float, as the VAE gave it.
        before: the crop that went in, any size; where it is as dark itself, a dark crop is no fault.
        flat_too: look for flat black besides values that are not finite.

    Returns:
        ``"not finite"`` where any value is NaN or infinite; ``"flat black"`` where no value is above 2/255.
    """
    if not bool(torch.isfinite(decoded).all()):
        return "not finite"
    if flat_too and float(decoded.max()) <= FLAT < float(before.max()):
        return "flat black"
    return None
