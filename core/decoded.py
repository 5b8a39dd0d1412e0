"""What can be wrong with a decoded crop."""

from __future__ import annotations

import torch

from .frames import alone

FLAT = 2 / 255


def fault_of(decoded: torch.Tensor, before: torch.Tensor, flat_too: bool = True) -> str | None:
    """Why a decoded crop can't be used, or None. One bad frame makes all of the crop bad.

    Args:
        decoded: ``[N,H,W,3]`` float, as the VAE gave it.
        before: ``[N or 1,h,w,3]``, the crop that went in, any size; where a frame is as dark itself, a dark one is no
            fault.
        flat_too: look for flat black besides values that are not finite.

    Returns:
        ``"not finite"`` where any value is NaN or infinite; ``"flat black"`` where a frame has no value above 2/255.
    """
    if not bool(torch.isfinite(decoded).all()):
        return "not finite"
    if flat_too and any(float(now.max()) <= FLAT < float(was.max()) for now, was in alone(decoded, before)):
        return "flat black"
    return None
