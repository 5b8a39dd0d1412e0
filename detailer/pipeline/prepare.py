"""From the crop as it was cut to what is encoded: enlarged, filled, with a noise mask and conditioning of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from ...core import blur_mask, resample
from ...core.fill import filled
from .. import host
from ..control import adapted_model
from ..host.conditioning import View, crop_conditioning
from ..prompts.reader import Prompts
from ..values import BasicPipe, Conditioning, Refiner
from .crop import Crop
from .recipe import Recipe

logger = logging.getLogger("mask_detailer")


def prepare(crop: Crop, recipe: Recipe, prompts: Prompts) -> Crop:
    """The crop ready to be encoded.

    The ControlNets' hints are taken from the enlarged crop before anything is filled.
    """
    mask, hook = recipe.settings.mask, recipe.hook
    crop = crop.planned(crop.plan.resized(hook.touch_scaled_size(crop.plan.wished)))
    logger.info("%s: %s", crop.name, crop.plan.words)
    noise_mask = blur_mask(crop.mask, mask.noise_mask_feather) if mask.noise_mask else None
    pixels = resample(crop.before, crop.plan.working).clamp_(0.0, 1.0)
    crop = replace(crop, noise_mask=noise_mask, pixels=hook.post_upscale(pixels, noise_mask))
    crop = _with_control(_with_text(_conditioned(crop), prompts))
    under = crop.mask if noise_mask is None else noise_mask
    return replace(crop, pixels=filled(crop.pixels, under, recipe.settings.options.fill, crop.plan.seed))


def _conditioned(crop: Crop) -> Crop:
    """With all that its conditionings say of the whole picture cut to the crop, the refiner's too."""
    view = View(crop.picture, crop.plan.region, crop.plan.working)
    pipe, refiner = crop.pipe, crop.refiner
    positive, negative = (crop_conditioning(one, view) for one in (pipe.positive, pipe.negative))
    if refiner is not None:
        refiner = Refiner(
            refiner.model,
            crop_conditioning(refiner.positive, view),
            crop_conditioning(refiner.negative, view),
            refiner.ratio,
        )
    return replace(crop, pipe=pipe._replace(positive=positive, negative=negative), refiner=refiner)


def _with_text(crop: Crop, prompts: Prompts) -> Crop:
    """With the segment's own text, where it has one: instead of the positive, or added to it."""
    plan = crop.plan
    if plan.text is None:
        return crop
    pipe, parts = prompts.read(plan.text, plan.seed, crop.pipe)
    own = _encoded(pipe, parts)
    positive = host.text.join_conditioning(pipe.positive, own) if plan.adds_text else own
    return replace(crop, pipe=pipe._replace(positive=positive))


def _encoded(pipe: BasicPipe, parts: Sequence[str]) -> Conditioning:
    """A text's parts, each encoded by itself."""
    own = host.text.encode_text(pipe.clip, parts[0])
    for part in parts[1:]:
        own = host.text.join_conditioning(own, host.text.encode_text(pipe.clip, part))
    return own


def _with_control(crop: Crop) -> Crop:
    """With the segment's ControlNets and adapters, and their hints."""
    wrapper = getattr(crop.plan.seg, "control_net_wrapper", None)
    if wrapper is None:
        return crop
    pipe = crop.pipe
    positive, negative, hints = wrapper.apply(pipe.positive, pipe.negative, crop.pixels, crop.noise_mask)
    model, more_hints = adapted_model(wrapper, pipe.model)
    pipe = pipe._replace(model=model, positive=positive, negative=negative)
    return replace(crop, pipe=pipe, hints=[*hints, *more_hints])
