"""Sampling a latent whose predictions are made tile by tile: one denoising loop, no seams, memory for one tile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch

from ...core import Region, Size
from .. import host
from ..host.conditioning import crop_conditioning
from ..host.cuts import LATENT_CELL, View
from ..host.protocols import Latent
from ..host.sampling import Guidance
from ..host.tiling import Tile, Tiling
from ..ksampler import Run, Stages, sample_latent
from ..once import Once
from ..values import KSampleCall
from .grid import Grid, TileGrid

logger = logging.getLogger("mask_detailer")


def sample_tiled(call: KSampleCall, tiles: TileGrid, name: str, progress: host.progress.Progress) -> Latent:
    """A KSampler that predicts tile by tile: at each step all tiles of the latent, blended where they overlap.

    Sampler, noise and noise mask are those of the whole latent. What conditioning says of the picture is cut to each
    tile. A latent that is no larger than one tile is sampled as ``sample_latent`` does, bit for bit.

    Args:
        name: who samples, for the log.

    Returns:
        as ``sample_latent``.

    Raises:
        ValueError: for noise levels that are not finite.
    """
    samples = call.latent["samples"]
    if call.denoise <= 0.0 or getattr(samples, "is_nested", False):
        return sample_latent(call, None, name, progress)
    latent = host.latents.fitted_to(call.model, call.latent)
    samples = latent["samples"]
    cells = Size(*samples.shape[-2:])
    grids = tiles.over(cells, call.seed)
    if len(grids[0]) == 1:
        return sample_latent(call, None, name, progress)
    logger.info("%s: %d tiles of %dx%d pixels", name, len(grids[0]), tiles.width, tiles.height)
    run = Run(name, call._replace(latent=latent), [call.seed], Stages.of(call.steps, call.denoise))
    noise = host.sampling.noise_for(latent, run.seeds)
    whole = run.stages.cut(run.levels(call.model))
    descent = run.descent(run.guidance(), noise, whole, whole[run.stages.start :], finish=True)
    if descent is None:
        return call.latent
    cut = _tiles(call, cells, grids)
    region = grids[0][0].region
    mask = latent.get("noise_mask")
    sampler = Tiling(descent.sampler, cut, noise).of(
        samples, None if mask is None else host.latents.noise_mask_at(mask, samples)
    )
    rows, columns = region.slices
    first: Latent = {"samples": samples[..., rows, columns]}
    guidance = Guidance(call.model, cut[0][0].positive, cut[0][0].negative, call.cfg)
    made = host.sampling.sample(guidance, first, noise[..., rows, columns], replace(descent, sampler=sampler), progress)
    return {**latent, "samples": made}


def _tiles(call: KSampleCall, cells: Size, grids: Sequence[Grid]) -> list[list[Tile]]:
    picture, once = Size(*(side * LATENT_CELL for side in cells)), Once()

    def tile(region: Region, weight: torch.Tensor) -> Tile:
        pixels = Region(*(side * LATENT_CELL for side in region.as_tuple()))
        view = View(picture, pixels, pixels.size, region.size, once=once)
        return Tile(region, weight, crop_conditioning(call.positive, view), crop_conditioning(call.negative, view))

    return [[tile(laid.region, laid.weight) for laid in grid] for grid in grids]
