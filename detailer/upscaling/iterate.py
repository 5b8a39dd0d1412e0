"""A latent or a picture made larger in several steps by an UPSCALER of any pack."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from ...core import Size
from .. import host
from ..host.progress import Progress
from ..host.protocols import Latent, Vae
from .scaling import scaled, scales
from .space import PixelSpace
from .upscalers import Step

logger = logging.getLogger("mask_detailer")


class AnyUpscaler(Protocol):
    """An UPSCALER. It may have ``is_tiled`` and ``tile_size``, of the VAE, and ``upscale_along``."""

    vae: Vae

    @property
    def upscale_shape(self) -> Callable[..., Latent]: ...


@dataclass(frozen=True)
class Climb:
    """How far, in how many steps, and how they are spread (one of ``STEP_MODES``).

    Attributes:
        prefix: under which name previews of the steps are kept; "": none are.
    """

    factor: float
    steps: int
    mode: str
    prefix: str = ""


def upscaled(upscaler: AnyUpscaler, latent: Latent, climb: Climb, progress: Progress) -> Latent:
    """The latent after all steps. Its noise mask holds in each; the latent that came in is left as it is."""
    along = getattr(upscaler, "upscale_along", None)
    first = PixelSpace(upscaler.vae).size_of(latent["samples"])
    now: Latent = latent
    parts = progress.split(climb.steps)
    for index, scale in enumerate(scales(climb.factor, climb.steps, climb.mode)):
        host.devices.check_interrupted()
        height, width = first.height * scale, first.width * scale
        if index and "noise_mask" in latent:
            now = {**now, "noise_mask": latent["noise_mask"]}
        logger.info("step %d of %d: to %dx%d pixels", index + 1, climb.steps, width, height)
        if along is not None:
            now = along(Step(index, climb.steps, Size(int(height), int(width)), climb.prefix), now, parts[index])
        else:
            now = upscaler.upscale_shape((index, climb.steps), now, width, height, climb.prefix)
        parts[index].done()
    return now


def upscaled_pictures(
    upscaler: AnyUpscaler, pixels: torch.Tensor, vae: Vae, climb: Climb, progress: Progress
) -> torch.Tensor:
    """Pictures ``[B,H,W,3]`` float 0..1 after all steps, ``factor`` times as large to the pixel.

    Args:
        vae: encodes them at first and decodes them in the end; the steps go by the upscaler's own.
    """
    tile = int(getattr(upscaler, "tile_size", host.vae.TILE)) if getattr(upscaler, "is_tiled", False) else None
    space = PixelSpace(vae, tile=tile)
    made = upscaled(upscaler, {"samples": space.encoded(pixels)}, climb, progress)
    size = Size(*(int(side * climb.factor) for side in pixels.shape[1:3]))
    return scaled(space.decoded(made["samples"]).clamp(0.0, 1.0), size, "lanczos")
