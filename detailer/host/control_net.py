"""ControlNets on conditioning."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from .nodes import first_output, node_class, outputs_of
from .protocols import Conditioning

logger = logging.getLogger("mask_detailer")


def with_control_net(
    positive: Conditioning,
    negative: Conditioning,
    control_net: Any,
    hint: torch.Tensor,
    strength: float,
    percents: tuple[float, float],
    vae: Any = None,
) -> tuple[Conditioning, Conditioning]:
    """Both conditionings with a ControlNet (ComfyUI's ControlNetApplyAdvanced); a negative placeholder is passed on.

    Args:
        hint: ``[n,h,w,3]`` of any size: ComfyUI brings it to the size that is sampled.
        percents: the part of the schedule where it works, 0..1.
        vae: for ControlNets that work on latents.
    """
    has_negative = not isinstance(negative, str)
    arguments = [positive, negative if has_negative else [], control_net, hint, strength, *percents]
    if vae is not None:
        arguments.append(vae)
    positive, other = outputs_of(node_class("nodes", "ControlNetApplyAdvanced"), *arguments)
    return positive, other if has_negative else negative


def with_control_net_on_positive(
    positive: Conditioning, control_net: Any, hint: torch.Tensor, strength: float
) -> Conditioning:
    """The positive with a ControlNet, used for the negative too while sampling (ComfyUI's older ControlNetApply)."""
    return first_output(node_class("nodes", "ControlNetApply"), positive, control_net, hint, strength)


def needs_vae(control_net: Any) -> bool:
    """Whether a ControlNet works on latents, so that its hint must be encoded."""
    return getattr(control_net, "latent_format", None) is not None


def crop_control(control: Any, crop: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A copy of a ControlNet, and of all that it is chained to, with cropped hints.

    One that cannot be cut is left out of the chain with a warning; None where nothing is left.
    """
    if control is None:
        return None
    previous = crop_control(getattr(control, "previous_controlnet", None), crop)
    hint = getattr(control, "cond_hint_original", None)
    if hint is None or not hasattr(control, "copy"):
        logger.warning("a ControlNet of the kind %s can't be cut to a segment: left out", type(control).__name__)
        return previous
    copied = control.copy()
    copied.cond_hint_original = crop(hint)
    copied.extra_concat_orig = [
        crop(extra) if min(extra.shape[-2:]) > 1 else extra for extra in getattr(control, "extra_concat_orig", [])
    ]
    copied.set_previous_controlnet(previous)
    return copied
