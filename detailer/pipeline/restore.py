"""From what was decoded back to the crop's size: shrunk, drift undone, colour and grain matched to its surroundings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import torch

from ...core import from_working_size
from ...core.decoded import fault_of
from ...core.surroundings.colour import match_colour
from ...core.surroundings.grain import match_detail
from ...core.surroundings.registration import undo_drift
from ...core.surroundings.ring import ring_of
from ...core.tables import chosen
from .crop import Crop
from .recipe import Recipe

logger = logging.getLogger("mask_detailer")

# from the crop before and after, the ring and whether the crop is written to: the crop, and what was done in words
DRIFTS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor, bool], tuple[torch.Tensor, str]]] = {
    "off": lambda before, pixels, ring, in_place: (pixels, ""),
    "correct": undo_drift,
}

# the same, with the seed of what is added
DETAILS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int, bool], tuple[torch.Tensor, str]]] = {
    "off": lambda before, pixels, ring, seed, in_place: (pixels, ""),
    "match": match_detail,
}


def _direct(crop: Crop, decoded: torch.Tensor) -> torch.Tensor:
    return _shrunk(decoded, crop)


def _residual(crop: Crop, decoded: torch.Tensor) -> torch.Tensor:
    """What sampling has changed, added to the crop as it was: what the VAE and the resampling do to both cancels."""
    if crop.source is None:
        raise ValueError("the crop's source is missing")
    return crop.before.float() + (_shrunk(decoded, crop) - _shrunk(crop.source, crop))


# from a crop and its decoded pixels: what goes back, at the crop's size and of any range
PASTES: dict[str, Callable[[Crop, torch.Tensor], torch.Tensor]] = {"direct": _direct, "residual": _residual}


def _shrunk(decoded: torch.Tensor, crop: Crop) -> torch.Tensor:
    return from_working_size(decoded.to(crop.before.device, torch.float32), crop.plan.region.size)


def restore(crop: Crop, recipe: Recipe) -> Crop:
    """The decoded crop at its size in the picture, within 0..1; as it was, with the fault, where it can't be used."""
    retries = recipe.settings.options.retries
    fault = fault_of(crop.pixels, crop.before, flat_too=retries > 0)
    if fault is not None:
        logger.warning(
            "%s: the decoded picture is %s (black squares); its crop is kept as it was%s. A VAE in fp16 often does "
            "this: try an fp32 or bf16 VAE",
            crop.name, fault, " if no retry is better" if retries else "",
        )  # fmt: skip
        return replace(crop, pixels=crop.before, fault=fault)
    put_back = chosen(PASTES, recipe.settings.options.paste, "paste")
    small = put_back(crop, crop.pixels).clamp_(0.0, 1.0)
    sampled = None
    if recipe.keeps_sampled:
        sampled = crop.pixels.to(crop.before.device, torch.float32).clamp(0.0, 1.0)
    crop = replace(crop, pixels=small, source=None, sampled=sampled)
    return matched(crop, recipe, ring_of(crop.mask, crop.noise_mask)) if recipe.settings.options.matches else crop


def matched(crop: Crop, recipe: Recipe, ring: torch.Tensor, in_place: bool = False) -> Crop:
    """The crop fitted to its surroundings by what it shows of them before and after; all its frames alike.

    Args:
        ring: ``[N or 1,h,w]`` (``ring_of``); a frame without any is not measured.
        in_place: its pixels are written to.
    """
    options, colour = recipe.settings.options, recipe.settings.options.colour
    before, said = crop.before, ["", "", ""]
    # drift first: the others compare pixel by pixel
    pixels, said[0] = chosen(DRIFTS, options.drift, "drift correction")(before, crop.pixels, ring, in_place)
    pixels, said[1] = match_colour(before, pixels, ring, colour.match, colour.limit, in_place)
    detailed = chosen(DETAILS, options.detail, "detail match")
    pixels, said[2] = detailed(before, pixels, ring, crop.plan.seed, in_place)
    logger.info("%s: %s", crop.name, "; ".join(filter(None, said)))
    return replace(crop, pixels=pixels)
