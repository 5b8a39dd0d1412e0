"""From a latent to its picture and back, at another size."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...core import Size
from .. import host
from ..host.protocols import Latent, Vae
from ..host.upscale_model import UpscaleModel
from .scaling import enlarged, scaled


@dataclass(frozen=True)
class PixelSpace:
    """With what latents are made pictures, enlarged, and made latents again.

    Attributes:
        method: one of ``SCALE_METHODS``.
        tile: the side in pixels of tiles in which the VAE goes; None: at once, as far as memory allows.
    """

    vae: Vae
    method: str = "lanczos"
    model: UpscaleModel | None = None
    tile: int | None = None

    @property
    def cell(self) -> int:
        """Pixels of a latent cell's side."""
        return host.vae.pixels_per_cell(self.vae)

    def size_of(self, samples: torch.Tensor) -> Size:
        """The size of a latent's picture."""
        height, width = samples.shape[-2:]
        return Size(height * self.cell, width * self.cell)

    def decoded(self, samples: torch.Tensor) -> torch.Tensor:
        """``[N,H,W,3]``: all frames of all clips."""
        return host.vae.decode_frames(self.vae, samples, self.tile is not None, self.tile or host.vae.TILE)

    def encoded(self, pixels: torch.Tensor, clips: int | None = None) -> torch.Tensor:
        """Pictures as latents. What isn't whole cells of the latent is scaled to that, so that nothing is cut off.

        Args:
            clips: how many clips they are the frames of; None: each is a picture of its own.
        """
        pixels = scaled(pixels, Size(*pixels.shape[1:3]).rounded_down(self.cell), "lanczos")
        frames = len(pixels) // clips if clips and len(pixels) % clips == 0 else 1
        return host.vae.encode(self.vae, pixels, self.tile is not None, self.tile or host.vae.TILE, frames)

    def enlarged(self, pixels: torch.Tensor, size: Size) -> torch.Tensor:
        return enlarged(pixels, size, self.method, self.model)


def clips_in(samples: torch.Tensor) -> int | None:
    """How many clips a latent holds; None where it holds pictures."""
    return len(samples) if samples.ndim == 5 else None


def with_samples(latent: Latent, samples: torch.Tensor) -> Latent:
    """The latent with other samples: noise mask and noise numbers stay, what said for which size it was made goes."""
    made: Latent = {**latent, "samples": samples}
    made.pop("downscale_ratio_spacial", None)
    made.pop("downscale_ratio_temporal", None)
    if len(samples) != len(latent["samples"]):
        made.pop("batch_index", None)
    return made


def reencoded(latent: Latent, source: PixelSpace, target: PixelSpace) -> Latent:
    """A latent of one VAE as one of another: decoded by the one, encoded by the other."""
    samples = latent["samples"]
    return with_samples(latent, target.encoded(source.decoded(samples), clips_in(samples)))


def rescaled(latent: Latent, space: PixelSpace, factor: float) -> tuple[Latent, torch.Tensor]:
    """A latent at ``factor`` times its size, by way of its picture; and that picture, before it is encoded."""
    samples = latent["samples"]
    pixels = space.decoded(samples)
    size = Size(*(max(int(side * factor), 1) for side in pixels.shape[1:3]))
    pixels = space.enlarged(pixels, size)
    return with_samples(latent, space.encoded(pixels, clips_in(samples))), pixels
