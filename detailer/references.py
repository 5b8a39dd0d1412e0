"""Reference pictures on segments: what an edit model is shown of each beside the part itself."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..core import SEG, SEGS, Size, resample
from ..segs import with_fields
from . import host
from .control import adapted_model
from .host.protocols import Conditioning, Model, SegControlNet, Vae

logger = logging.getLogger("mask_detailer")
MULTIPLE = 16  # pixels: what ComfyUI's edit models take sides in


@dataclass(frozen=True, eq=False)
class ReferenceWrapper:
    """Reference latents for one segment, in the form that ControlNets on segments have.

    Attributes:
        latents: what an edit model is shown.
        prev_control_net: None, or the wrapper of any pack that comes before this one.
        suits_any_region: nothing of it is cut for the segment's crop region.
    """

    latents: Sequence[torch.Tensor]
    prev_control_net: SegControlNet | None = None
    suits_any_region: bool = True

    def apply(
        self,
        positive: Conditioning,
        negative: Conditioning,
        image: torch.Tensor,
        mask: torch.Tensor | None = None,
        use_acn: bool = False,
    ) -> tuple[Conditioning, Conditioning, list[torch.Tensor]]:
        """The conditionings with what comes before this one, then with its latents after those that they have; and the
        hints of the ones before.
        """
        hints: list[torch.Tensor] = []
        if self.prev_control_net is not None:
            positive, negative, hints = self.prev_control_net.apply(positive, negative, image, mask, use_acn)
        positive, negative = (host.references.with_references(one, [*self.latents]) for one in (positive, negative))
        return positive, negative, hints

    def doit_ipadapter(self, model: Model) -> tuple[Model, list[torch.Tensor]]:
        """The model with what the wrappers before this one do to it, and the pictures they used."""
        return adapted_model(self.prev_control_net, model)


def with_references(segs: SEGS, pictures: torch.Tensor, vae: Vae, megapixels: float) -> SEGS:
    """The segments, each with a picture of its own; one picture is for all, and of several, segments beyond the last
    get none.

    Args:
        pictures: ``[n,H,W,3]`` float 0..1.
        megapixels: what they are brought to, in their own shape.
    """
    height, width = pictures.shape[1:3]
    scale = math.sqrt(megapixels * 2**20 / (height * width))
    size = Size(*(max(round(side * scale / MULTIPLE), 1) * MULTIPLE for side in (height, width)))
    fitted = resample(pictures, size).clamp_(0.0, 1.0)
    latents = [host.vae.encode(vae, one) for one in fitted.split(1)]

    if len(latents) > 1 and len(latents) != len(segs[1]):
        logger.info("%d pictures for %d segments: the rest is left as it is", len(latents), len(segs[1]))

    def wrapped(index: int, seg: SEG) -> SEG:
        if 1 < len(latents) <= index:
            return seg
        own = latents[0] if len(latents) == 1 else latents[index]
        previous = getattr(seg, "control_net_wrapper", None)
        return with_fields(seg, control_net_wrapper=ReferenceWrapper([own], previous))

    return segs[0], [wrapped(index, seg) for index, seg in enumerate(segs[1])]
