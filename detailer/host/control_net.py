"""ControlNets: set on conditioning, and their hints cut to a crop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..once import Once
from .nodes import first_output, node_class, outputs_of
from .protocols import Conditioning, ControlNet, Vae

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class Steering:
    """A ControlNet, and how it steers.

    Attributes:
        strength: 0 and up; 0 does nothing.
        start_percent, end_percent: the part of the whole schedule where it works, 0..1.
        vae: for ControlNets that work on latents.
    """

    control_net: ControlNet
    strength: float
    start_percent: float = 0.0
    end_percent: float = 1.0
    vae: Vae | None = None


def with_control_net(
    positive: Conditioning, negative: Conditioning, hint: torch.Tensor, steering: Steering
) -> tuple[Conditioning, Conditioning]:
    """Both conditionings with a ControlNet (ComfyUI's ControlNetApplyAdvanced); a negative placeholder is passed on.

    Args:
        hint: ``[n,h,w,3]`` of any size: ComfyUI brings it to the size that is sampled.
    """
    has_negative = not isinstance(negative, str)
    settings = (steering.strength, steering.start_percent, steering.end_percent)
    vae = () if steering.vae is None else (steering.vae,)
    positive, other = outputs_of(
        node_class("nodes", "ControlNetApplyAdvanced"),
        positive, negative if has_negative else [], steering.control_net, hint, *settings, *vae,
    )  # fmt: skip
    return positive, other if has_negative else negative


def with_control_net_on_positive(
    positive: Conditioning, control_net: ControlNet, hint: torch.Tensor, strength: float
) -> Conditioning:
    """The positive with a ControlNet, used for the negative too while sampling (ComfyUI's older ControlNetApply)."""
    return first_output(node_class("nodes", "ControlNetApply"), positive, control_net, hint, strength)


def needs_vae(control_net: ControlNet) -> bool:
    """Whether a ControlNet works on latents, so that its hint must be encoded."""
    return getattr(control_net, "latent_format", None) is not None


def crop_control(
    control: object, crop: Callable[[torch.Tensor], torch.Tensor], once: Once | None = None
) -> ControlNet | None:
    """A copy of a ControlNet, and of all that it is chained to, with cropped hints.

    One that cannot be cut is left out of the chain with a warning; None where nothing is left.
    """
    if control is None:
        return None
    once = once or Once()
    previous = crop_control(getattr(control, "previous_controlnet", None), crop, once)
    hint = getattr(control, "cond_hint_original", None)
    copy = getattr(control, "copy", None)
    if hint is None or copy is None:
        once.warning(f"a ControlNet of the kind {type(control).__name__} can't be cut to a segment: left out")
        return previous
    copied = copy()
    copied.cond_hint_original = crop(hint)
    copied.extra_concat_orig = [
        crop(extra) if min(extra.shape[-2:]) > 1 else extra for extra in getattr(control, "extra_concat_orig", [])
    ]
    copied.set_previous_controlnet(previous)
    return copied
