"""Nodes of the lists group: batches and lists made of single inputs, and what pictures and latents measure."""

from __future__ import annotations

import torch

from ..core import joined, with_channels
from ..detailer import host
from ..segs import black_picture
from . import schema
from .growing import Growing, in_order
from .registry import LOGIC_TEST, UTIL, Node
from .schema import ANY, Inputs, InputTypes

LATENT_CELL = 8  # pixels, whatever the VAE: what saved workflows reckon with
CHANNELS = (1, 3, 4)


def _first(kind: str, name: str) -> Inputs:
    tooltip = f"The first; {name}2, {name}3 and so on follow: there is always one free input."
    return {f"{name}1": schema.link(kind, tooltip)}


class ImpactMakeImageBatch(Node, name="Make Image Batch", menu=UTIL):
    """Pictures from several inputs as a batch."""

    DESCRIPTION = (
        "Puts the pictures of its inputs into one batch. Pictures of another size are cut and rescaled to the first's "
        "size, and get its alpha or lose theirs."
    )
    SEARCH_ALIASES = ("batch images", "join images", "image batch")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = ("All pictures in one batch, in the order of the inputs.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": _first("IMAGE", "image")}

    def doit(self, **images: object) -> tuple[torch.Tensor]:
        """Raises InputError for what is no picture, and for pictures that have neither 1, 3 nor 4 channels."""
        door, device = self.door, host.devices.intermediate_device()
        pictures: list[torch.Tensor] = []
        for name, image in in_order(images, ("image",)).items():
            frames = door.picture_frames(image, name).to(device)
            if frames.shape[-1] not in CHANNELS and (not pictures or frames.shape[-1] != pictures[0].shape[-1]):
                found = f"its pictures have {frames.shape[-1]} channels"
                raise door.error(name, found, "Connect an IMAGE with 1, 3 or 4")
            if frames.numel():
                pictures.append(with_channels(frames, pictures[0].shape[-1]) if pictures else frames)
        return (joined(pictures) if pictures else black_picture().to(device),)


class ImpactMakeMaskBatch(Node, name="Make Mask Batch", menu=UTIL):
    """Masks from several inputs as a batch."""

    DESCRIPTION = (
        "Puts the masks of its inputs into one batch. Masks of another size are cut and rescaled to the first's size."
    )
    SEARCH_ALIASES = ("batch masks", "join masks", "mask batch")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("All masks in one batch, in the order of the inputs.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": _first("MASK", "mask")}

    def doit(self, **masks: object) -> tuple[torch.Tensor]:
        device = host.devices.intermediate_device()
        given = [self.door.mask_frames(mask, name).to(device) for name, mask in in_order(masks, ("mask",)).items()]
        pictures = [frames[..., None] for frames in given if frames.numel()]
        return ((joined(pictures) if pictures else black_picture()[..., :1].to(device))[..., 0],)


class ImpactMakeImageList(Node, name="Make Image List", menu=UTIL):
    """Pictures from several inputs as a list."""

    DESCRIPTION = "Makes a list of the pictures of its inputs, so that nodes after it run once for each input."
    SEARCH_ALIASES = ("list of images", "image list")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("What came in, in the order of the inputs; each stays as large as it is.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": _first("IMAGE", "image")}

    def doit(self, **images: object) -> tuple[list[torch.Tensor]]:
        return ([self.door.picture_frames(image, name) for name, image in in_order(images, ("image",)).items()],)


class ImpactMakeMaskList(Node, name="Make Mask List", menu=UTIL):
    """Masks from several inputs as a list."""

    DESCRIPTION = "Makes a list of the masks of its inputs, so that nodes after it run once for each input."
    SEARCH_ALIASES = ("list of masks", "mask list")
    RETURN_TYPES = ("MASK",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("What came in, in the order of the inputs; each stays as large as it is.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": _first("MASK", "mask")}

    def doit(self, **masks: object) -> tuple[list[torch.Tensor]]:
        return ([self.door.mask_frames(mask, name) for name, mask in in_order(masks, ("mask",)).items()],)


class ImpactMakeAnyList(Node, name="Make List (Any)", menu=UTIL):
    """Whatever comes in at several inputs as a list."""

    DESCRIPTION = "Makes a list of whatever comes in at its inputs, so that nodes after it run once for each."
    SEARCH_ALIASES = ("list of anything", "make list", "any list")
    RETURN_TYPES = (ANY,)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("What came in, in the order of the inputs; nothing (None) is left out.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {}, "optional": Growing(_first(ANY, "value"), "value")}

    def doit(self, **values: object) -> tuple[list[object]]:
        return (list(in_order(values, ("value",)).values()),)


class ImpactListBridge(Node, name="List Bridge", menu=UTIL):
    """A list, once all of it is there."""

    DESCRIPTION = "Waits until a whole list is made before anything after it runs."
    SEARCH_ALIASES = ("wait for list", "collect list", "list barrier")
    INPUT_IS_LIST = True
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("list_output",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("The same list.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"list_input": schema.link(ANY, "The list to wait for.")}}

    def doit(self, list_input: list[object]) -> tuple[list[object]]:
        return (list(list_input),)


class _Measures(Node):
    """What is measured of pictures and of latents."""

    RETURN_TYPES = ("INT", "INT", "INT", "INT")
    RETURN_NAMES = ("batch", "height", "width", "channel")


class ImpactImageInfo(_Measures, menu=LOGIC_TEST):
    """What pictures measure."""

    DESCRIPTION = "Tells how many pictures there are, their size in pixels and their channels."
    SEARCH_ALIASES = ("image size", "get image size", "image count")
    OUTPUT_TOOLTIPS = ("How many there are.", "Their height in pixels.", "Their width in pixels.", "Their channels.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"value": schema.link("IMAGE", "The pictures to measure.")}}

    def doit(self, value: object) -> tuple[int, ...]:
        return tuple(self.door.picture_frames(value, "value").shape)


class ImpactLatentInfo(_Measures, menu=LOGIC_TEST):
    """What latents measure."""

    DESCRIPTION = "Tells how many latents there are, the size in pixels they stand for (8 a cell) and their channels."
    SEARCH_ALIASES = ("latent size", "get latent size", "latent count")
    OUTPUT_TOOLTIPS = ("How many there are.", "Their height in pixels.", "Their width in pixels.", "Their channels.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"value": schema.link("LATENT", "The latents to measure.")}}

    def doit(self, value: object) -> tuple[int, int, int, int]:
        samples = self.door.latent(value, "value")["samples"]
        if samples.is_nested:
            samples = samples.unbind()[0]
        shape = samples.shape
        if len(shape) < 4:
            raise self.door.error("value", f"its samples have the shape {list(shape)}", "Connect a LATENT of pictures")
        return shape[0], shape[-2] * LATENT_CELL, shape[-1] * LATENT_CELL, shape[1]
