"""Crops of one size, encoded, sampled and decoded at once; each comes out as it would alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from ...core import Size, resize_mask
from ...core.tables import chosen
from .. import host
from ..host.custom_sampling import CustomSampling
from ..host.protocols import Model
from ..host.stacking import stacked
from ..host.tiling import Tile, part_of
from ..ksampler import Run, Stages
from ..options import UNTURNED
from ..values import BasicPipe, Conditioning, KSampleCall, Latent, Refiner, wrapped_seed
from .crop import Crop
from .recipe import Recipe

logger = logging.getLogger("mask_detailer")


def _share_of_steps(call: KSampleCall, refiner_ratio: float) -> Stages:
    return Stages.of(call.steps, call.denoise, refiner_ratio)


def _share_of_noise(call: KSampleCall, refiner_ratio: float) -> Stages:
    top = host.schedules.level_of_share(call.model, call.denoise)
    if top is None:
        return Stages.of(call.steps, 1.0, refiner_ratio)
    return Stages.below(top, call.steps, refiner_ratio)


# what a denoise says: the share of a schedule's steps that is run, or of noise in what sampling starts from
DENOISE_SCALES: dict[str, Callable[[KSampleCall, float], Stages]] = {
    "schedule": _share_of_steps,
    "noise_level": _share_of_noise,
}


def stages_of(call: KSampleCall, refiner: Refiner | None, recipe: Recipe) -> Stages:
    """What of a schedule a call runs: given sigmas whole, else what the denoise says on its scale."""
    ratio = refiner.ratio if refiner else 0.0
    if recipe.custom.sigmas is not None:
        return Stages.all_of(recipe.custom.sigmas, ratio)
    return chosen(DENOISE_SCALES, recipe.settings.options.denoise.scale, "denoise scale")(call, ratio)


def custom_of(recipe: Recipe) -> CustomSampling:
    """What stands for the node's sampling: that of all crops, with the hook's sampler of each where it has none."""
    custom, of_each_crop = recipe.custom, recipe.hook.custom_sampler()
    return replace(custom, sampler=of_each_crop) if custom.sampler is None and of_each_crop is not None else custom


def left_unsampled(
    samples: torch.Tensor, encoded: Callable[[], torch.Tensor], model: Model, recipe: Recipe
) -> torch.Tensor | None:
    """The latent of crops as they were, where they are to go through the VAE without sampling too: ``samples``, which
    will be sampled, unless a fill was encoded in their place.
    """
    options = recipe.settings.options
    if options.paste != "residual":
        return None
    if options.fill == UNTURNED.fill:
        return samples
    return host.latents.fitted_to(model, {"samples": encoded()})["samples"]


def sample(crops: Sequence[Crop], recipe: Recipe, progress: host.progress.Progress) -> list[Crop]:
    """Crops that go into one batch (``batching.alike``), each with what was decoded.

    The hook sees the batch: with a hook that acts on crops there is one crop in it.

    Returns:
        the crops, their pixels as the VAE gave them: of the working size, and of any range. Their source likewise.
    """
    first, hook = crops[0], recipe.hook
    pixels = torch.cat([crop.pixels for crop in crops])
    sources = [crop.source for crop in crops]
    if not hook.skips_sampling():
        cells = recipe.cells(first.plan.working)
        shown = _shown(crops, recipe)
        pipe, latent = _encoded(crops, pixels, recipe, cells)
        positive, negative = (host.references.with_references(one, shown, first=True) for one in pipe[3:])
        others = _stacked_others(crops, cells, positive, shown)
        sources = _unsampled(crops, latent, recipe)
        sampling = recipe.settings.sampling
        call = KSampleCall(
            model=pipe.model,
            seed=first.plan.seed,
            steps=sampling.steps,
            cfg=sampling.cfg,
            sampler_name=sampling.sampler_name,
            scheduler=sampling.scheduler,
            positive=positive,
            negative=negative,
            latent=hook.post_encode(latent),
            denoise=first.plan.denoise,
        )
        try:
            refiner = _stacked_refiner(crops, cells, shown)
            latent = _cycles(call, crops, _Beside(refiner, others, _tiles(first, shown)), recipe, progress)
        except host.fits.MisfitError as misfit:
            raise recipe.error(misfit) from misfit.__cause__
        tiled = recipe.settings.vae_tiles.decode
        pixels = host.vae.decode(pipe.vae, hook.pre_decode(latent)["samples"], tiled)
    pixels = hook.post_decode(pixels)
    frames = sum(crop.frames for crop in crops)
    if len(pixels) != frames:
        raise hook.miscounted(len(pixels), frames)
    each = zip(crops, _of_each(pixels, crops), sources, strict=True)
    return [replace(crop, pixels=own, source=source) for crop, own, source in each]


def _of_each(pixels: torch.Tensor, crops: Sequence[Crop]) -> Sequence[torch.Tensor]:
    """A batch's pictures by crop."""
    return [pixels] if len(crops) == 1 else pixels.split([crop.frames for crop in crops])


def _unsampled(crops: Sequence[Crop], latent: Latent, recipe: Recipe) -> Sequence[torch.Tensor | None]:
    """The crops' sources through the VAE and back, where they are asked for."""
    pipe, tiles = crops[0].pipe, recipe.settings.vae_tiles

    def encoded() -> torch.Tensor:
        sources = torch.cat([crop.source for crop in crops if crop.source is not None])
        return host.vae.encode(pipe.vae, sources, tiles.encode)

    samples = left_unsampled(latent["samples"], encoded, pipe.model, recipe)
    if samples is None:
        return [None] * len(crops)
    return _of_each(host.vae.decode(pipe.vae, samples, tiles.decode), crops)


def _encoded(crops: Sequence[Crop], pixels: torch.Tensor, recipe: Recipe, cells: Size) -> tuple[BasicPipe, Latent]:
    """The crops' pipe, and their latent with their noise masks; for inpaint models the pipe knows what is masked."""
    pipe = first = crops[0].pipe
    each = [crop.pipe for crop in crops for _ in range(crop.items)]
    pipe = first._replace(
        positive=stacked([one.positive for one in each], cells), negative=stacked([one.negative for one in each], cells)
    )
    tiled = recipe.settings.vae_tiles.encode
    masks = [mask for crop in crops if crop.noise_mask is not None for mask in crop.noise_mask.split(1)]
    if recipe.settings.mask.inpaint_model and masks:
        size = Size(*pixels.shape[1:3])
        mask = masks[0] if len(masks) == 1 else torch.cat([resize_mask(mask, size) for mask in masks])
        positive, negative, latent = host.vae.encode_for_inpainting(
            (pipe.positive, pipe.negative), pipe.vae, pixels, mask, tiled
        )
        return pipe._replace(positive=positive, negative=negative), host.latents.fitted_to(pipe.model, latent)
    latent = host.latents.fitted_to(pipe.model, {"samples": host.vae.encode(pipe.vae, pixels, tiled)})
    if masks:
        latent["noise_mask"] = masks[0] if len(masks) == 1 else host.latents.noise_masks_at(masks, latent["samples"])
    return pipe, latent


def _shown(crops: Sequence[Crop], recipe: Recipe) -> list[torch.Tensor]:
    """What edit models are shown before all other references: the crops as they were, at the size that is sampled."""
    if not recipe.settings.options.shows_crop:
        return []
    sources = torch.cat([crop.source for crop in crops if crop.source is not None])
    return [host.vae.encode(crops[0].pipe.vae, sources, recipe.settings.vae_tiles.encode)]


def _stacked_refiner(crops: Sequence[Crop], cells: Size, shown: list[torch.Tensor]) -> Refiner | None:
    each = [crop.refiner for crop in crops for _ in range(crop.items) if crop.refiner is not None]
    if not each:
        return None
    positive, negative = (
        host.references.with_references(stacked(every, cells), shown, first=True)
        for every in ([one.positive for one in each], [one.negative for one in each])
    )
    return replace(each[0], positive=positive, negative=negative)


def _tiles(crop: Crop, shown: Sequence[torch.Tensor]) -> list[Tile]:
    """The parts of a joint crop, each shown its own part of what the model is shown."""
    tiles = []
    for laid in crop.laid:
        tile, own = laid.tile, [part_of(latent, laid.region) for latent in shown]
        positive, negative = (
            host.references.with_references(one, own, first=True) for one in (tile.positive, tile.negative)
        )
        tiles.append(replace(tile, positive=positive, negative=negative))
    return tiles


@dataclass(frozen=True)
class _Beside:
    """What a batch is sampled with beside its call.

    Attributes:
        refiner: takes over the last steps of each cycle.
        others: a guider's other prompts.
        tiles: the parts of a joint crop.
    """

    refiner: Refiner | None
    others: Mapping[str, Conditioning]
    tiles: Sequence[Tile]


def _stacked_others(
    crops: Sequence[Crop], cells: Size, positive: Conditioning, shown: list[torch.Tensor]
) -> dict[str, Conditioning]:
    """The guider's other prompts for the batch."""
    each = [crop.others for crop in crops for _ in range(crop.items)]
    prompts = {
        name: host.references.with_references(stacked([others[name] for others in each], cells), shown, first=True)
        for name in each[0]
    }
    return host.custom_sampling.with_concatenated(prompts, positive)


def _cycles(
    call: KSampleCall,
    crops: Sequence[Crop],
    beside: _Beside,
    recipe: Recipe,
    progress: host.progress.Progress,
) -> Latent:
    """All cycles: each on the result before, with the seeds one higher.

    The hook may change each cycle's arguments, latent, noise and sampler. Changes never add up: every cycle starts from
    ``call``.

    Args:
        call: the first cycle's arguments, its seed that of the first crop; its latent is the encoded crops.

    Returns:
        the latent with the refined samples, its noise mask kept.
    """
    hook, sampling, refiner = recipe.hook, recipe.settings.sampling, beside.refiner
    name = ", ".join(crop.name for crop in crops)
    seeds = [crop.plan.seed for crop in crops for _ in range(crop.items)]
    custom = custom_of(recipe)
    latent: Latent = call.latent
    for cycle, part in enumerate(progress.split(sampling.cycle)):
        hook.set_steps(cycle, sampling.cycle)
        latent = hook.cycle_latent(latent)
        seed = wrapped_seed(call.seed + cycle)
        this = hook.pre_ksample(call._replace(seed=seed))._replace(latent=latent)
        noise = hook.custom_noise(seed, call.latent["samples"])
        if this.denoise <= 0.0:
            logger.info("%s: denoise is 0, the latent stays as it is", name)
            continue
        now = tuple(wrapped_seed(this.seed + other - call.seed) for other in seeds)
        if noise is None:
            noise = host.sampling.noise_for(latent, now)
        stages = stages_of(this, refiner, recipe)
        run = Run(name, this, now, stages, sampling.scheduler_func, custom, beside.others, beside.tiles)
        latent = {**latent, "samples": run.sample(refiner, noise, part)}
    return latent
