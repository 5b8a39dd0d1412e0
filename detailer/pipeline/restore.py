"""What the detail options do to a refined crop before it is put back: drift undone, colour and grain matched."""

from __future__ import annotations

import logging

import torch

from ...core.surroundings.colour import match_colour
from ...core.surroundings.grain import match_detail
from ...core.surroundings.registration import undo_drift
from ...core.surroundings.ring import ring_of
from ..options import DetailOptions

logger = logging.getLogger("mask_detailer")


def matched(
    before: torch.Tensor,
    refined: torch.Tensor,
    mask: torch.Tensor,
    noise_mask: torch.Tensor | None,
    options: DetailOptions,
    seed: int,
    name: str,
) -> torch.Tensor:
    """The refined crop, fitted to its surroundings by what the crop shows of them before and after.

    Args:
        before, refined: ``[1,h,w,3]`` float 0..1.
        mask, noise_mask: ``[1,h,w]``; where both are 0, nothing should have changed.
        seed: of added grain.
        name: the segment's, for the log.

    Returns:
        ``[1,h,w,3]``; the refined crop itself where the options ask for nothing.
    """
    colour = options.colour
    if (options.drift, colour.match, options.detail) == ("off", "off", "off"):
        return refined
    ring = ring_of(mask, noise_mask)
    words = []
    if options.drift != "off":  # first: the others compare pixel by pixel
        refined, said = undo_drift(before, refined, ring)
        words.append(said)
    if colour.match != "off":
        refined, said = match_colour(before, refined, ring, colour.match, colour.limit)
        words.append(said)
    if options.detail != "off":
        refined, said = match_detail(before, refined, ring, seed)
        words.append(said)
    logger.info("%s: %s", name, "; ".join(words))
    return refined
