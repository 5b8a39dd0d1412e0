"""ControlNet on segments: what a segment carries with it, and what that does when the segment is detailed.

Other packs hang wrappers of their own on segments. A wrapper of any pack has ``apply(positive, negative, image, mask,
use_acn=False)``, and may have ``doit_ipadapter(model)``, ``prev_control_net`` (the wrapper before it) and
``control_image``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from ..core import SEG, SEGS, Region, Size, crop_region, header_size, resample
from ..core.reflect import cut_inside
from ..segs import with_fields
from . import host
from .host.control_net import Steering
from .host.protocols import Conditioning, ControlNet, Model, Preprocessor, SegControlNet, Vae

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True, eq=False)
class ControlNetWrapper:
    """A ControlNet for one segment, in the form that also works with detailers of other packs.

    Attributes:
        strength: 0 and up; 0 does nothing.
        start_percent, end_percent: the part of the whole schedule where it works, 0..1.
        preprocessor: None, or an object with ``apply(image, mask=None)`` that makes the hint when it is wanted.
        vae: None, or the VAE for a ControlNet that works on latents.
        prev_control_net: None, or the wrapper of any pack that comes before this one.
        control_image: None, or the hint ``[n,h,w,3]`` of the segment's crop region, of which as many frames are used as
            are sampled at once; a preprocessor is not asked then.
        positive_only: work as ComfyUI's older ControlNetApply: set on the positive, for all of the schedule and without
            the VAE, and used for the negative too while sampling with CFG.
    """

    control_net: ControlNet
    strength: float
    start_percent: float = 0.0
    end_percent: float = 1.0
    preprocessor: Preprocessor | None = None
    vae: Vae | None = None
    prev_control_net: SegControlNet | None = None
    control_image: torch.Tensor | None = None
    positive_only: bool = False

    def apply(
        self,
        positive: Conditioning,
        negative: Conditioning,
        image: torch.Tensor,
        mask: torch.Tensor | None = None,
        use_acn: bool = False,
    ) -> tuple[Conditioning, Conditioning, list[torch.Tensor]]:
        """The conditionings with the ControlNets before this one, then with this one; and the hints in that order.

        Args:
            negative: a string (the negative placeholder) is passed on.
            image: the crop ``[n,H,W,3]`` at the size it is sampled at, of one frame here; the hint where there is no
                other.
            mask: the noise mask of the crop at its size in the picture, for preprocessors.
            use_acn: only handed to the wrapper before this one.
        """
        images: list[torch.Tensor] = []
        if self.prev_control_net is not None:
            positive, negative, images = self.prev_control_net.apply(positive, negative, image, mask, use_acn)
        hint = self._hint(image, mask)
        if self.positive_only:
            positive = host.control_net.with_control_net_on_positive(positive, self.control_net, hint, self.strength)
        else:
            steering = Steering(self.control_net, self.strength, self.start_percent, self.end_percent, self.vae)
            positive, negative = host.control_net.with_control_net(positive, negative, hint, steering)
        return positive, negative, [*images, hint]

    def _hint(self, image: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        if self.control_image is not None:
            # ComfyUI would take a second frame for the negative's, sampling both at once
            return self.control_image[: len(image)]
        return image if self.preprocessor is None else self.preprocessor.apply(image, mask)

    def doit_ipadapter(self, model: Model) -> tuple[Model, list[torch.Tensor]]:
        """The model with what the wrappers before this one do to it, and the pictures they used."""
        return adapted_model(self.prev_control_net, model)


def adapted_model(wrapper: object, model: Model) -> tuple[Model, list[torch.Tensor]]:
    """The model with what a wrapper of any pack does to it, and the pictures used; as it is for None and for others."""
    adapt = getattr(wrapper, "doit_ipadapter", None)
    return (model, []) if adapt is None else adapt(model)


def with_control_net(segs: SEGS, wrapper: ControlNetWrapper, control_image: torch.Tensor | None) -> SEGS:
    """The segments, each with the wrapper after the one that it has.

    Args:
        control_image: None, or ``[n,h,w,3 or 4]`` float, a hint for the whole picture: brought to the size that the
            SEGS were made for, then cut to each crop region. SEGS of no known size (a header with a 0) take it at its
            own size. Its values stay within the range they had.
    """
    picture = None if control_image is None else _fitted(control_image, header_size(segs))
    return segs[0], [_wrapped(seg, wrapper, picture) for seg in segs[1]]


def without_control_net(segs: SEGS) -> SEGS:
    """The segments without any wrapper."""
    return segs[0], [with_fields(seg, control_net_wrapper=None) for seg in segs[1]]


def stored_hint(wrapper: object) -> torch.Tensor | None:
    """The first control image ``[n,h,w,3]`` along a chain of wrappers, from the last one set back; None without one."""
    hints = (getattr(link, "control_image", None) for link in _chain(wrapper))
    return next((hint for hint in hints if hint is not None), None)


def is_bound_to_region(seg: SEG) -> bool:
    """Whether something on a segment was cut for its own crop region, so that no other will do."""
    wrappers = _chain(getattr(seg, "control_net_wrapper", None))
    return any(not getattr(wrapper, "suits_any_region", False) for wrapper in wrappers)


def _chain(wrapper: object) -> Iterator[object]:
    while wrapper is not None:
        yield wrapper
        wrapper = getattr(wrapper, "prev_control_net", None)


def _fitted(control_image: torch.Tensor, size: Size) -> torch.Tensor:
    hint = control_image[..., :3]
    own = Size(*hint.shape[1:3])
    if 0 in size:
        logger.info("the SEGS say no picture size: the control image is cut at its own %s", own)
        return hint
    # hints may hold more than 0..1, such as the -1 that marks what is to be inpainted
    return resample(hint, size).clamp_(*(float(value) for value in hint.aminmax()))


def _wrapped(seg: SEG, wrapper: ControlNetWrapper, picture: torch.Tensor | None) -> SEG:
    previous = getattr(seg, "control_net_wrapper", None)
    hint = None if picture is None else _cut(picture, crop_region(seg))
    return with_fields(seg, control_net_wrapper=replace(wrapper, prev_control_net=previous, control_image=hint))


def _cut(picture: torch.Tensor, region: Region) -> torch.Tensor | None:
    """The part that a detailer cuts out too, with memory of its own; None where the region lies outside."""
    part = cut_inside(picture, region)
    return None if part is None else part.clone()
