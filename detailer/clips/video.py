"""A window's frames as one clip for a video model: encoded, sampled in spans that overlap, decoded."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import cast

import torch

from ...core.clips.spans import Span, spans
from .. import host
from ..hooks.protocol import Hook
from ..host.protocols import Conditioning, Latent
from ..host.sampling import Guidance
from ..host.tiling import Stretch, Tile, Tiling, part_of
from ..ksampler import Run
from ..pipeline.crop import Crop
from ..pipeline.recipe import Recipe
from ..pipeline.sample import custom_of, left_unsampled, stages_of
from ..values import BasicPipe, KSampleCall, wrapped_seed
from .plan import ClipSettings

logger = logging.getLogger("mask_detailer")


def takes_clips(pipe: BasicPipe) -> bool:
    """Whether frames go to the model as one clip: a VAE with a time axis, and a model that is no image model."""
    return host.vae.is_of_clips(pipe.vae) and host.models.is_of_clips(pipe.model)


def sample_clip(crop: Crop, settings: ClipSettings, recipe: Recipe, progress: host.progress.Progress) -> Crop:
    """A prepared crop of N frames, sampled as one clip; its pixels as the VAE gave them, N frames.

    The clip is made as long as the VAE wants by its last frame; what is decoded of that is cut off. Where it is longer
    than a span, each step's predictions are made span by span and blended where they overlap: one descent, and no seam.
    """
    hook, sampling, pipe = recipe.hook, recipe.settings.sampling, crop.pipe
    frames = crop.frames
    if hook.skips_sampling():
        return replace(crop, pixels=_counted(hook.post_decode(crop.pixels), frames, hook))
    long = host.vae.clip_length(pipe.vae, frames)
    pixels = _lengthened(crop.pixels, long)
    encoded = host.vae.encode(pipe.vae, pixels, recipe.settings.vae_tiles.encode, frames=long)
    latent: Latent = host.latents.fitted_to(pipe.model, {"samples": encoded})
    if crop.noise_mask is not None:
        latent["noise_mask"] = _mask_of_cells(_lengthened(crop.noise_mask, long), latent["samples"], pipe)
    source = _unsampled(crop, latent["samples"], recipe)
    latent = hook.post_encode(latent)
    cells = latent["samples"].shape[2]
    latent = first = _with_references(latent, crop)
    head = latent["samples"].shape[2] - cells  # reference pictures, which all spans have
    progresses = progress.split(sampling.cycle)
    for cycle, part in enumerate(progresses):
        hook.set_steps(cycle, sampling.cycle)
        call = hook.pre_ksample(
            KSampleCall(
                pipe.model, wrapped_seed(crop.plan.seed + cycle), sampling.steps, sampling.cfg, sampling.sampler_name,
                sampling.scheduler, pipe.positive, pipe.negative, hook.cycle_latent(latent), crop.plan.denoise,
            )
        )  # fmt: skip
        if call.denoise <= 0.0:
            continue
        noise = hook.custom_noise(call.seed, first["samples"])
        if noise is None:
            noise = host.sampling.noise_for(call.latent, (call.seed,))
        try:
            latent = {**call.latent, "samples": _descended(call, noise, Way(crop, settings, recipe, head), part)}
        except host.fits.MisfitError as misfit:
            raise recipe.error(misfit) from misfit.__cause__
    without = {name: value for name, value in latent.items() if name != "noise_mask"} if head else latent
    samples = hook.pre_decode(cast("Latent", {**without, "samples": latent["samples"][:, :, head:]}))["samples"]
    decoded = hook.post_decode(host.vae.decode_frames(pipe.vae, samples, recipe.settings.vae_tiles.decode))
    return replace(crop, pixels=_counted(decoded, frames, hook), source=source)


def _counted(decoded: torch.Tensor, frames: int, hook: Hook) -> torch.Tensor:
    """As many frames as there are to put back."""
    if len(decoded) < frames:
        raise hook.miscounted(len(decoded), frames)
    return decoded[:frames]


def _unsampled(crop: Crop, samples: torch.Tensor, recipe: Recipe) -> torch.Tensor | None:
    """The frames through the VAE and back, where they are asked for."""
    vae, tiles = crop.pipe.vae, recipe.settings.vae_tiles

    def encoded() -> torch.Tensor:
        source = crop.pixels if crop.source is None else crop.source
        long = host.vae.clip_length(vae, crop.frames)
        return host.vae.encode(vae, _lengthened(source, long), tiles.encode, frames=long)

    latent = left_unsampled(samples, encoded, crop.pipe.model, recipe)
    return None if latent is None else host.vae.decode_frames(vae, latent, tiles.decode)[: crop.frames]


def _lengthened(frames: torch.Tensor, count: int) -> torch.Tensor:
    if len(frames) == count:
        return frames
    return frames[torch.arange(count).clamp(max=len(frames) - 1)]


def _mask_of_cells(masks: torch.Tensor, samples: torch.Tensor, pipe: BasicPipe) -> torch.Tensor:
    """Noise masks ``[n,h,w]`` as a latent's ``[1,1,T,h,w]``: of the frames of each cell the largest values."""
    each = host.vae.frames_of_cells(pipe.vae, samples.shape[2], len(masks))
    joined = torch.stack([masks[first:last].amax(dim=0) for first, last in each])
    small = torch.nn.functional.interpolate(joined[:, None], size=tuple(samples.shape[-2:]), mode="bilinear")
    return small[None, :, 0]


def _with_references(latent: Latent, crop: Crop) -> Latent:
    """With the reference pictures of VACE's control before the clip, as they are: the model sees them in each step."""
    samples = latent["samples"]
    before = host.moving.references_before(crop.pipe.positive, samples.shape[2], samples.shape[1])
    if before is None:
        return latent
    mask = latent.get("noise_mask")
    masks = samples.new_ones(1, 1, *samples.shape[2:]) if mask is None else host.latents.noise_mask_at(mask, samples)
    masks = masks[:, :1]
    made: Latent = {**latent, "samples": torch.cat([before.to(samples), samples], dim=2)}
    made["noise_mask"] = torch.cat([masks.new_zeros(*masks.shape[:2], before.shape[2], *masks.shape[3:]), masks], dim=2)
    return made


@dataclass(frozen=True)
class Way:
    """What a descent is of.

    Attributes:
        head: so many latent frames before the clip's own.
    """

    crop: Crop
    settings: ClipSettings
    recipe: Recipe
    head: int


def _descended(call: KSampleCall, noise: torch.Tensor, way: Way, progress: host.progress.Progress) -> torch.Tensor:
    crop, recipe, head = way.crop, way.recipe, way.head
    samples, refiner = call.latent["samples"], crop.refiner
    stages = stages_of(call, refiner, recipe)
    scheduler = recipe.settings.sampling.scheduler_func
    run = Run(crop.name, call, (call.seed,), stages, scheduler, custom_of(recipe), crop.others)
    cells = samples.shape[2] - head
    most = host.vae.cells_of_clip(recipe.pipe.vae, way.settings.span)
    shared = max(cells_shared(recipe.pipe, way.settings.overlap), 0)
    if cells <= most:
        return run.sample(refiner, noise, progress)
    laid = spans(cells, most, min(shared, most - 1))
    logger.info("%s: %d spans of %d latent frames", crop.name, len(laid), most)
    if refiner is not None:
        logger.info("%s: longer than a span, it is sampled without the refiner", crop.name)
    tiles = [_tile(span, call, head, len(laid)) for span in laid]
    whole = run.stages.cut(run.levels(call.model))
    descent = run.descent(run.guidance(), noise, whole, whole[stages.start :], finish=True)
    if descent is None:
        return samples
    mask = call.latent.get("noise_mask")
    masks = None if mask is None else host.latents.noise_mask_at(mask, samples)
    sampler = Tiling(descent.sampler, [tiles], noise).of(samples, masks)
    first = tiles[0]
    start: Latent = {"samples": part_of(samples, first.region)}
    if recipe.custom.guider is not None:
        logger.info("%s: longer than a span, its guider gives model, prompts and cfg alone", crop.name)
    cfg = host.custom_sampling.cfg_of(recipe.custom.guider, call.cfg)
    guidance = Guidance(call.model, first.positive, first.negative, cfg)
    return host.sampling.sample(
        guidance, start, part_of(noise, first.region), replace(descent, sampler=sampler), progress
    )


def cells_shared(pipe: BasicPipe, frames: int) -> int:
    """Latent frames that so many frames of overlap are."""
    return host.vae.cells_of_clip(pipe.vae, frames) if frames > 0 else 0


def _tile(span: Span, call: KSampleCall, head: int, count: int) -> Tile:
    """One of ``count``: what is at the head is predicted by all alike."""
    weights = [*[1 / count] * head, *span.weights]
    stretch, cells = Stretch(span.first, span.last, head), call.latent["samples"].shape[2]

    def own(conditioning: Conditioning) -> Conditioning:
        return host.moving.of_span(conditioning, cells, lambda latent: part_of(latent, stretch))

    weight = torch.tensor(weights, dtype=torch.float32)[:, None, None]
    return Tile(stretch, weight, own(call.positive), own(call.negative))
