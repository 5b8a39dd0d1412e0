"""From the crop as it was cut to what is encoded: enlarged, filled, with a noise mask and conditioning of its own."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from ...core import Region, Size, blur_mask, to_working_size
from ...core.fill import filled
from .. import host
from ..control import adapted_model
from ..host.conditioning import crop_conditioning, kept_options
from ..host.cuts import View
from ..host.frames import Chooser, of_frame, wrapper_of_frame
from ..host.moving import crop_clip
from ..host.protocols import Model
from ..host.shown import Codec, Cutter
from ..prompts.reader import Prompts, encoded
from ..values import BasicPipe, Conditioning
from .crop import Crop
from .plan import CropPlan
from .recipe import Recipe
from .together import Laid, cells_of, weights

logger = logging.getLogger("mask_detailer")


def prepare(crop: Crop, recipe: Recipe, prompts: Prompts) -> Crop:
    """The crop ready to be encoded.

    The ControlNets' hints are taken from the enlarged crop before anything is filled.
    """
    hook = recipe.hook
    crop = crop.planned(crop.plan.resized(hook.touch_scaled_size(crop.plan.wished)))
    logger.info("%s: %s", crop.name, crop.plan.words)
    noise_mask = noise_mask_of(crop.mask, recipe)
    pixels = to_working_size(crop.before, crop.plan.working).clamp_(0.0, 1.0)
    crop = replace(crop, noise_mask=noise_mask, pixels=hook.post_upscale(pixels, noise_mask))
    whole = crop
    crop = _with_control(_with_text(_conditioned(crop, recipe), prompts), recipe)
    if crop.plan.parts:
        crop = replace(crop, laid=_laid(whole, crop.pipe.model, recipe, prompts))
    under, options = crop.mask if noise_mask is None else noise_mask, recipe.settings.options
    source = crop.pixels if options.needs_source else None
    return replace(crop, source=source, pixels=filled(crop.pixels, under, options.fill, crop.plan.seed))


def noise_mask_of(mask: torch.Tensor, recipe: Recipe) -> torch.Tensor | None:
    """Under what is sampled, of a segment's mask ``[N,h,w]``; None where all is."""
    masks = recipe.settings.mask
    return blur_mask(mask, masks.noise_mask_feather) if masks.noise_mask else None


def _laid(crop: Crop, model: Model, recipe: Recipe, prompts: Prompts) -> tuple[Laid, ...]:
    """The parts of several as one, each with its own text and ControlNets; and the whole, where they leave a cell out.

    Args:
        crop: the joint one, enlarged, with the recipe's conditioning.
    """
    joint, cells = crop.plan, recipe.cells(crop.plan.working)
    regions = [cells_of(part, joint, cells) for part in joint.parts]
    whole = Region.whole(cells)
    covered = torch.zeros(*cells, dtype=torch.bool)
    for region in regions:
        covered[region.slices] = True
    parts = [
        _with_control(_with_text(_conditioned(_part_of(crop, plan, region, cells), recipe), prompts), recipe).pipe
        for plan, region in zip(joint.parts, regions, strict=True)
    ]
    laid = [
        Laid(region, weight, pipe._replace(model=model))
        for region, weight, pipe in zip(regions, weights(regions, cells), parts, strict=True)
    ]
    if not bool(covered.all()):
        laid.append(Laid(whole, (~covered).to(torch.float32), _conditioned(crop, recipe).pipe))
    return tuple(laid)


def _part_of(crop: Crop, plan: CropPlan, region: Region, cells: Size) -> Crop:
    """A part of a joint crop as a crop of its own, at the size that it has there."""
    scaled = region.rescaled(cells, crop.plan.working)
    rows, columns = plan.region.relative_to(crop.plan.region).slices
    inside = (slice(None), rows, columns)
    part = crop.planned(replace(plan, wished=scaled.size, multiple=1))
    tall, wide = scaled.slices
    return replace(
        part,
        before=crop.before[inside],
        mask=crop.mask[inside],
        noise_mask=None if crop.noise_mask is None else crop.noise_mask[inside],
        pixels=crop.pixels[:, tall, wide],
    )


def _conditioned(crop: Crop, recipe: Recipe) -> Crop:
    """With its frame's items of all conditionings, and what they say of the picture cut to the crop."""
    plan = crop.plan
    references = recipe.settings.options.references
    region = plan.region if crop.path is None else crop.path.covered
    cells = recipe.cells(plan.working)
    view = View(crop.picture, region, plan.working, cells, references, crop.path, recipe.once)
    cutter = None if crop.path is None or not crop.is_clip else Cutter(view, crop.path, _codec(recipe))

    def own(conditioning: Conditioning, which: str) -> Conditioning:
        if cutter is not None:
            return crop_clip(conditioning, cutter)
        return crop_conditioning(of_frame(conditioning, crop.frame, f"{recipe.source}, {which}"), view)

    patched = Chooser(crop.frame, f"{recipe.source}, a patch on the model")
    pipe, refiner = crop.pipe, crop.refiner
    model = host.patches.model_for_crop(pipe.model, view, patched)
    pipe = BasicPipe(model, pipe.clip, pipe.vae, own(pipe.positive, "positive"), own(pipe.negative, "negative"))
    if refiner is not None:
        positive, negative = own(refiner.positive, "refiner's positive"), own(refiner.negative, "refiner's negative")
        model = host.patches.model_for_crop(refiner.model, view, patched)
        refiner = replace(refiner, model=model, positive=positive, negative=negative)
    others = {name: own(one, f"the guider's {name}") for name, one in recipe.guider_prompts.items()}
    return replace(crop, pipe=pipe, refiner=refiner, others=others)


def _codec(recipe: Recipe) -> Codec:
    tiles = recipe.settings.vae_tiles
    return Codec(recipe.pipe.vae, recipe.pipe.model, (tiles.encode, tiles.decode))


def _with_text(crop: Crop, prompts: Prompts) -> Crop:
    """With the segment's own text, where it has one: instead of the positive, or added to it."""
    plan = crop.plan
    if plan.text is None:
        return crop
    pipe, parts = prompts.read(plan.text, plan.seed, crop.pipe)
    own = encoded(pipe.clip, parts)
    positive = host.text.join_conditioning(pipe.positive, own) if plan.adds_text else kept_options(own, pipe.positive)
    return replace(crop, pipe=pipe._replace(positive=positive))


def _with_control(crop: Crop, recipe: Recipe) -> Crop:
    """With the segment's ControlNets and adapters, and their hints. Some preprocessors write into what they see."""
    wrapper = getattr(crop.plan.seg, "control_net_wrapper", None)
    wrapper = wrapper_of_frame(wrapper, crop.frame, f"{recipe.source}, segs")
    if wrapper is None:
        return crop
    pipe = crop.pipe
    mask = None if crop.noise_mask is None else crop.noise_mask.clone()
    positive, negative, hints = wrapper.apply(pipe.positive, pipe.negative, crop.pixels.clone(), mask)
    model, more_hints = adapted_model(wrapper, pipe.model)
    pipe = pipe._replace(model=model, positive=positive, negative=negative)
    return replace(crop, pipe=pipe, hints=[*hints, *more_hints])
