"""IPAdapter, as the pack IPAdapter Plus has it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .nodes import outputs_of, registered_nodes
from .protocols import Model

NODE = "IPAdapterAdvanced"
PACK = "ComfyUI_IPAdapter_plus"


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What an IPAdapter does to a model.

    Attributes:
        ipadapter, clip_vision, insightface: its parts, as IPAdapter Plus wants them.
        weight: how strongly it works.
        weight_type: one of IPAdapter Plus.
        start_at, end_at: the part of the schedule where it works, 0..1.
        weight_faceidv2: how strongly FaceID V2 works.
        combine_embeds: what becomes of several pictures.
        negative: None, or pictures ``[n,h,w,3]`` of what is not wanted.
    """

    ipadapter: object
    clip_vision: object
    insightface: object
    weight: float
    weight_type: str
    start_at: float
    end_at: float
    weight_faceidv2: float
    combine_embeds: str
    negative: torch.Tensor | None = None


def has_ip_adapter() -> bool:
    return NODE in registered_nodes()


def adapted(model: Model, pictures: torch.Tensor, by: Adaptation) -> Model:
    """A copy of the model that also follows pictures ``[n,h,w,3]``.

    Raises:
        ValueError: where IPAdapter Plus is not installed.
    """
    node = registered_nodes().get(NODE)
    if node is None:
        raise ValueError(f"the node {NODE} is not there. Install the pack {PACK}")
    return outputs_of(
        node,
        model=model,
        ipadapter=by.ipadapter,
        weight=by.weight,
        weight_type=by.weight_type,
        start_at=by.start_at,
        end_at=by.end_at,
        combine_embeds=by.combine_embeds,
        weight_faceidv2=by.weight_faceidv2,
        image=pictures,
        image_negative=by.negative,
        clip_vision=by.clip_vision,
        attn_mask=None,
        insightface=by.insightface,
    )[0]
