"""IPAdapters for segments."""

from __future__ import annotations

import logging
from typing import NamedTuple, cast

from ..core import SEGS
from ..detailer import host
from ..detailer.host.ip_adapter import Adaptation
from ..detailer.ip_adapter import Loras, with_ip_adapter
from . import schema
from .registry import UTIL, Node
from .schema import Input, InputTypes

logger = logging.getLogger("mask_detailer")

WEIGHT_TYPES = ("original", "linear", "channel penalty")
TODAYS = "linear"  # the one of them that IPAdapter Plus still has
COMBINATIONS = ("concat", "add", "subtract", "average", "norm average")
PIPE_SOURCE = "Connect the IPADAPTER_PIPE of an IPAdapter loader node of the Inspire Pack"
UPDATE = "Update the Inspire Pack, and connect its IPADAPTER_PIPE anew"


class _Pipe(NamedTuple):
    """What an IPADAPTER_PIPE holds."""

    ipadapter: object
    model: object
    clip_vision: object
    insightface: object
    loras: Loras


def _weight(default: float, tooltip: str) -> Input:
    return "FLOAT", {"default": default, "min": -1, "max": 3, "step": 0.05, "tooltip": tooltip}


def _share(default: float, tooltip: str) -> Input:
    return "FLOAT", {"default": default, "min": 0.0, "max": 1.0, "step": 0.001, "tooltip": tooltip}


class ImpactIPAdapterApplySEGS(Node, name="IPAdapterApply (SEGS)", menu=UTIL):
    """An IPAdapter on every segment."""

    DESCRIPTION = (
        "Lets each segment follow its own part of a reference picture when a detailer works on it. Needs the pack "
        "ComfyUI_IPAdapter_plus, and an IPADAPTER_PIPE of the Inspire Pack."
    )
    SEARCH_ALIASES = ("ipadapter segs", "ip-adapter detailer", "reference face", "faceid", "style reference segs")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the IPAdapter; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        pipe = "An IPAdapter with all that belongs to it, from a loader of the Inspire Pack."
        gone = "Without effect: IPAdapter Plus has no such setting any more. It is here so that saved workflows open."
        kind = "How the weight is spread. IPAdapter Plus has only linear of these; the others count as linear."
        context = "How much of the reference picture is shown: the sides of what is cut out over those of the crop."
        reference = "The picture to follow. It is brought to the size that the segments were made for, then cut."
        combine = "What becomes of several reference pictures: one after another, or one of them all."
        negative = "A picture of what is not wanted. It is not cut."
        faceid = {"default": False, "tooltip": gone}
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments that get the IPAdapter, after what they have."),
                "ipadapter_pipe": schema.link("IPADAPTER_PIPE", pipe),
                "weight": _weight(0.7, "How strongly the reference counts."),
                "noise": ("FLOAT", {"default": 0.4, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": gone}),
                "weight_type": (list(WEIGHT_TYPES), {"default": "channel penalty", "tooltip": kind}),
                "start_at": _share(0.0, "The share of the whole schedule after which it works."),
                "end_at": _share(0.9, "The share of the whole schedule up to which it works."),
                "unfold_batch": ("BOOLEAN", {"default": False, "tooltip": gone}),
                "faceid_v2": ("BOOLEAN", faceid),
                "weight_v2": _weight(1.0, "How strongly FaceID V2 counts."),
                "context_crop_factor": (
                    "FLOAT",
                    {"default": 1.2, "min": 1.0, "max": 100, "step": 0.1, "tooltip": context},
                ),
                "reference_image": schema.link("IMAGE", reference),
            },
            "optional": {
                "combine_embeds": (list(COMBINATIONS), {"tooltip": combine}),
                "neg_image": schema.link("IMAGE", negative),
            },
        }

    def doit(
        self,
        segs: object,
        ipadapter_pipe: object,
        weight: float,
        weight_type: str,
        start_at: float,
        end_at: float,
        weight_v2: float,
        context_crop_factor: float,
        reference_image: object,
        combine_embeds: str = COMBINATIONS[0],
        neg_image: object = None,
        **without_effect: object,
    ) -> tuple[SEGS]:
        """Raises InputError for what is no IPADAPTER_PIPE, and where IPAdapter Plus is not installed."""
        door = self.door
        checked = door.segs(segs)
        pipe = self._pipe(ipadapter_pipe)
        reference = door.image(reference_image, "reference_image")
        negative = None if neg_image is None else door.image(neg_image, "neg_image")[..., :3]
        if weight_type != TODAYS:
            logger.info("%s: IPAdapter Plus has no weight type %s any more, taken as %s", self.ID, weight_type, TODAYS)
        adaptation = Adaptation(
            ipadapter=pipe.ipadapter,
            clip_vision=pipe.clip_vision,
            insightface=pipe.insightface,
            weight=weight,
            weight_type=TODAYS,
            start_at=start_at,
            end_at=end_at,
            weight_faceidv2=weight_v2,
            combine_embeds=combine_embeds,
            negative=negative,
        )
        return (with_ip_adapter(checked, adaptation, pipe.loras, reference, context_crop_factor),)

    def _pipe(self, value: object) -> _Pipe:
        error, name = self.door.error, "ipadapter_pipe"
        if not host.ip_adapter.has_ip_adapter():
            found = f"it needs the node {host.ip_adapter.NODE}, which is not there"
            raise error(name, found, f"Install the pack {host.ip_adapter.PACK}")
        if not isinstance(value, tuple | list):
            found = "it is missing (None)" if value is None else f"a {type(value).__name__} is no IPADAPTER_PIPE"
            raise error(name, found, PIPE_SOURCE)
        if len(value) != len(_Pipe._fields) or not callable(value[-1]):
            found = f"an IPADAPTER_PIPE holds 5 things, the last a function that puts LoRAs on; this holds {len(value)}"
            raise error(name, found, UPDATE if len(value) == 4 else PIPE_SOURCE)
        return _Pipe(*cast("_Pipe", value))
