"""Nodes of the control group: ControlNets for segments."""

from __future__ import annotations

from typing import cast

import torch

from ..core import SEGS
from ..detailer import host
from ..detailer.control import ControlNetWrapper, stored_hint, with_control_net, without_control_net
from ..detailer.host.protocols import ControlNet, Preprocessor, Vae
from ..segs import black_picture
from . import schema
from .door import Door
from .registry import UTIL, Node
from .schema import Input, Inputs, InputTypes, Shown


def _segs_control_and_strength() -> Inputs:
    strength = "How strongly the ControlNet steers: 0 not at all, 1 as it was trained, above 1 harder."
    return {
        "segs": schema.link("SEGS", "The segments that get the ControlNet, after any that they have."),
        "control_net": schema.link("CONTROL_NET", "The ControlNet; one that fits the detailer's model."),
        "strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 10.0, "step": 0.01, "tooltip": strength}),
    }


def _preprocessor_and_image() -> Inputs:
    preprocessor = (
        "Makes each segment's hint from its enlarged crop when it is detailed. Comes from a node that gives a "
        "SEGS_PREPROCESSOR, which other packs have. Not asked where a control_image is connected."
    )
    image = (
        "A finished hint for the whole picture, such as its depth or edges: brought to the picture's size, then cut to "
        "each segment. Without it and without a preprocessor the crop itself is the hint."
    )
    return {
        "segs_preprocessor": schema.link("SEGS_PREPROCESSOR", preprocessor),
        "control_image": schema.link("IMAGE", image),
    }


def _percent(default: float, tooltip: str) -> Input:
    return "FLOAT", {"default": default, "min": 0.0, "max": 1.0, "step": 0.001, "tooltip": tooltip}


def _checked_control_net(door: Door, control_net: object) -> ControlNet:
    if not hasattr(control_net, "set_cond_hint"):
        found = "it is missing (None)" if control_net is None else f"a {type(control_net).__name__} is no ControlNet"
        raise door.error("control_net", found, "Connect the CONTROL_NET output of 'Load ControlNet Model'")
    return cast(ControlNet, control_net)


def _checked_preprocessor(door: Door, preprocessor: object) -> Preprocessor | None:
    if preprocessor is not None and not hasattr(preprocessor, "apply"):
        found = f"a {type(preprocessor).__name__} has no apply(image, mask)"
        raise door.error("segs_preprocessor", found, "Connect a node that gives a SEGS_PREPROCESSOR")
    return cast("Preprocessor | None", preprocessor)


def _checked_image(door: Door, control_image: object) -> torch.Tensor | None:
    return None if control_image is None else door.image(control_image, "control_image")


class ImpactControlNetApplyAdvancedSEGS(Node, name="ControlNetApply (SEGS)", menu=UTIL):
    """A ControlNet on every segment."""

    DESCRIPTION = "Gives each segment a ControlNet, which steers the segment's sampling when a detailer works on it."
    SEARCH_ALIASES = ("controlnet segs", "controlnet detailer", "control net for segments")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the ControlNet; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        start = "The share of the whole schedule after which it works. At denoise 0.5 only the second half is sampled."
        end = "The share of the whole schedule up to which it works."
        vae = "Only for ControlNets that work on latents, such as those of SD3, Flux and Qwen-Image."
        return {
            "required": {
                **_segs_control_and_strength(),
                "start_percent": _percent(0.0, start),
                "end_percent": _percent(1.0, end),
            },
            "optional": {**_preprocessor_and_image(), "vae": schema.link("VAE", vae)},
        }

    def doit(
        self,
        segs: object,
        control_net: object,
        strength: float,
        start_percent: float,
        end_percent: float,
        segs_preprocessor: object = None,
        control_image: object = None,
        vae: Vae | None = None,
    ) -> tuple[SEGS]:
        """Raises InputError for what is no ControlNet, and where one that works on latents gets no VAE."""
        door = self.door
        checked = door.segs(segs)
        net = _checked_control_net(door, control_net)
        if vae is None and strength > 0 and host.control_net.needs_vae(net):
            fix = "Connect the VAE output of the checkpoint loader"
            raise door.error("vae", "it is missing, and this ControlNet works on latents", fix)
        preprocessor = _checked_preprocessor(door, segs_preprocessor)
        wrapper = ControlNetWrapper(net, strength, start_percent, end_percent, preprocessor, vae)
        return (with_control_net(checked, wrapper, _checked_image(door, control_image)),)


class ImpactControlNetApplySEGS(Node, name="ControlNetApply (SEGS) - DEPRECATED", menu=UTIL):
    """A ControlNet on every segment, in the older way."""

    DESCRIPTION = "The older form of 'ControlNetApply (SEGS)', for saved workflows: without percents and VAE."
    SEARCH_ALIASES = ("controlnet segs old", "deprecated controlnet")
    DEPRECATED = True
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the ControlNet; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": _segs_control_and_strength(), "optional": _preprocessor_and_image()}

    def doit(
        self,
        segs: object,
        control_net: object,
        strength: float,
        segs_preprocessor: object = None,
        control_image: object = None,
    ) -> tuple[SEGS]:
        """Raises InputError for what is no ControlNet, and for one that works on latents."""
        door = self.door
        checked = door.segs(segs)
        net = _checked_control_net(door, control_net)
        if strength > 0 and host.control_net.needs_vae(net):
            found = "it works on latents and needs a VAE, which this node has no input for"
            raise door.error("control_net", found, "Use the node 'ControlNetApply (SEGS)' and connect its vae")
        preprocessor = _checked_preprocessor(door, segs_preprocessor)
        wrapper = ControlNetWrapper(net, strength, preprocessor=preprocessor, positive_only=True)
        return (with_control_net(checked, wrapper, _checked_image(door, control_image)),)


class ImpactControlNetClearSEGS(Node, menu=UTIL):
    """Segments without ControlNets."""

    DESCRIPTION = "Takes all ControlNets and IPAdapters off the segments."
    SEARCH_ALIASES = ("remove controlnet segs", "clear controlnet")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments without ControlNets; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments to take ControlNets off.")}}

    def doit(self, segs: object) -> tuple[SEGS]:
        return (without_control_net(self.door.segs(segs)),)


class SEGSPreviewCNet(Node, name="SEGSPreview (CNET Image)", menu=UTIL):
    """The segments' control images shown on the node."""

    DESCRIPTION = "Shows each segment's part of the control image on the node; black where there is none."
    SEARCH_ALIASES = ("preview controlnet segs", "show control image", "segment hints")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("A list with the control images there are; segments without one have none in it.",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments whose control images are shown.")}}

    def doit(self, segs: object) -> Shown:
        elements = self.door.segs(segs)[1]
        hints = [stored_hint(getattr(seg, "control_net_wrapper", None)) for seg in elements]
        shown = [(black_picture() if hint is None else hint)[0] for hint in hints]
        device = host.devices.intermediate_device()
        return {
            "ui": {"images": host.folders.save_previews(shown, "impact_seg_cnet_preview")},
            "result": ([hint.to(device, torch.float32, copy=True) for hint in hints if hint is not None],),
        }
