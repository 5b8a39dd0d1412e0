"""IPAdapter on segments: each follows its own part of a reference picture while it is detailed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..core import SEG, SEGS, Size, crop_region, header_size, resample
from ..core.reflect import cut_inside
from ..segs import with_fields
from . import host
from .control import adapted_model
from .host.ip_adapter import Adaptation
from .host.protocols import Conditioning, Model, SegControlNet

Loras = Callable[[Model], Model]
"""What puts a LoRA on a model, as FaceID wants one."""


@dataclass(frozen=True, eq=False)
class IPAdapterWrapper:
    """An IPAdapter for one segment, in the form that ControlNets on segments have.

    Attributes:
        loras: comes before everything else that a model gets on a segment.
        pictures: what the segment follows, ``[n,h,w,3]``.
        prev_control_net: None, or the wrapper of any pack that comes before this one.
    """

    adaptation: Adaptation
    loras: Loras
    pictures: torch.Tensor
    prev_control_net: SegControlNet | None = None

    def apply(
        self,
        positive: Conditioning,
        negative: Conditioning,
        image: torch.Tensor,
        mask: torch.Tensor | None = None,
        use_acn: bool = False,
    ) -> tuple[Conditioning, Conditioning, list[torch.Tensor]]:
        """The conditionings with the ControlNets before this one, and their hints; it adds nothing to them itself."""
        if self.prev_control_net is None:
            return positive, negative, []
        return self.prev_control_net.apply(positive, negative, image, mask, use_acn)

    def doit_ipadapter(self, model: Model) -> tuple[Model, list[torch.Tensor]]:
        """The model with its LoRA, then with what the wrappers before this one do, then with this one; and the pictures
        in that order.
        """
        model, pictures = adapted_model(self.prev_control_net, self.loras(model))
        return host.ip_adapter.adapted(model, self.pictures, self.adaptation), [*pictures, self.pictures]


def with_ip_adapter(segs: SEGS, adaptation: Adaptation, loras: Loras, reference: torch.Tensor, context: float) -> SEGS:
    """The segments, each with the wrapper after the one that it has.

    Args:
        reference: ``[n,H,W,3 or 4]`` float 0..1, brought to the size that the SEGS were made for and cut to each
            segment. SEGS of no known size (a header with a 0) take it at its own size.
        context: sides of what is cut out over those of the segment's crop region, at least 1.
    """
    picture, size = reference[..., :3], header_size(segs)
    if 0 in size:
        size = Size(*picture.shape[1:3])
    picture = resample(picture, size).clamp_(0.0, 1.0)

    def wrapped(seg: SEG) -> SEG:
        part = cut_inside(picture, crop_region(seg).grown(context, size))
        if part is None:  # of a region without pixels
            return seg
        previous = getattr(seg, "control_net_wrapper", None)
        return with_fields(seg, control_net_wrapper=IPAdapterWrapper(adaptation, loras, part.clone(), previous))

    return segs[0], [wrapped(seg) for seg in segs[1]]
