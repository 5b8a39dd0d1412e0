"""How far an upscaling goes from step to step, and pictures at another size."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...core import Size, resample
from ...core.tables import chosen
from .. import host
from ..host.upscale_model import UpscaleModel


def _even(factor: float, step: int, steps: int) -> float:
    return 1.0 + step * (factor - 1.0) / steps


def _geometric(factor: float, step: int, steps: int) -> float:
    return factor ** (step / steps)


STEP_MODES: dict[str, Callable[[float, int, int], float]] = {"simple": _even, "geometric": _geometric}


def scales(factor: float, steps: int, mode: str) -> list[float]:
    """The size after each step, over the size at first: in equal differences (``simple``) or ratios (``geometric``).

    The last is ``factor`` exactly.
    """
    scale = chosen(STEP_MODES, mode, "step mode")
    return [*(scale(factor, step, steps) for step in range(1, steps)), float(factor)]


def _interpolated(mode: str, antialias: bool = False) -> Callable[[torch.Tensor, Size], torch.Tensor]:
    def resized(pixels: torch.Tensor, size: Size) -> torch.Tensor:
        planes = pixels.movedim(-1, 1)
        more = {"antialias": True} if antialias else {}
        made = torch.nn.functional.interpolate(planes, size=tuple(size), mode=mode, **more)
        return made.movedim(1, -1).contiguous()

    return resized


# of ComfyUI's node that scales pictures
SCALE_METHODS: dict[str, Callable[[torch.Tensor, Size], torch.Tensor]] = {
    "nearest-exact": _interpolated("nearest-exact"),
    "bilinear": _interpolated("bilinear"),
    "lanczos": resample,
    "area": _interpolated("area"),
}
# of picture editors, which take the mean of what they shrink
RESAMPLING_METHODS: dict[str, Callable[[torch.Tensor, Size], torch.Tensor]] = {
    "lanczos": resample,
    "nearest": _interpolated("nearest-exact"),
    "bilinear": _interpolated("bilinear", antialias=True),
    "bicubic": _interpolated("bicubic", antialias=True),
}
_METHODS = SCALE_METHODS | {f"resampling {name}": method for name, method in RESAMPLING_METHODS.items()}


def scaled(pixels: torch.Tensor, size: Size, method: str) -> torch.Tensor:
    """Pictures ``[B,H,W,C]`` float at another size; the same tensor where they have it.

    Args:
        method: one of ``SCALE_METHODS``, or ``resampling`` and one of ``RESAMPLING_METHODS``.

    Returns:
        ``[B,size.height,size.width,C]``; where a method overshoots, cut off at 0 and 1.
    """
    if Size(*pixels.shape[1:3]) == size:
        return pixels
    if 0 in pixels.shape:  # a picture's alpha where it has none
        return pixels.new_empty(len(pixels), *size, pixels.shape[-1])
    return chosen(_METHODS, method, "scale method")(pixels, size).clamp_(0.0, 1.0)


def enlarged(pixels: torch.Tensor, size: Size, method: str, model: UpscaleModel | None = None) -> torch.Tensor:
    """The same by an upscale model: as often as it takes for both sides to be large enough, then scaled down to size.

    A model that doesn't enlarge is asked once.
    """
    while model is not None:
        now = Size(*pixels.shape[1:3])
        if now.height >= size.height and now.width >= size.width:
            break
        pixels = host.upscale_model.enlarged(model, pixels)
        if pixels.shape[1] <= now.height or pixels.shape[2] <= now.width:
            break
    return scaled(pixels, size, method)
