"""Nodes of the masks group: masks reckoned with, grown, blurred, and batches to lists and back."""

from __future__ import annotations

import logging

import torch

from ..core import Size, blur_mask, dilate_mask, joined, resize_mask
from ..detailer import host
from ..segs import black_picture
from . import schema
from .door import Door
from .registry import OPERATION, UTIL, Node
from .schema import InputTypes

logger = logging.getLogger("mask_detailer")


def _pair(door: Door, mask1: object, mask2: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Two MASKs that can be reckoned with pixel by pixel: ``[B,H,W]`` float32 0..1 on the intermediate device.

    The second is rescaled to the first's size. Either may have one mask where the other has several.

    Raises:
        InputError: as for one mask, and for two numbers of masks that do not pair.
    """
    device = host.devices.intermediate_device()
    first = door.mask_of_any_size(mask1, "mask1").to(device)
    second = door.mask_of_any_size(mask2, "mask2").to(device)
    size, other = Size(*first.shape[-2:]), Size(*second.shape[-2:])
    if other != size:
        logger.info("%s: the %s mask2 is rescaled to mask1's %s", door.node, other, size)
    if len(first) != len(second) and 1 not in (len(first), len(second)):
        found = f"{len(second)} masks for the {len(first)} of mask1"
        raise door.error("mask2", found, "Give as many masks to both inputs, or one mask to either")
    return first, resize_mask(second, size)


def _two_masks(first: str, second: str) -> InputTypes:
    pairing = " A mask of another size is rescaled to mask1's; one mask pairs with each of a batch."
    return {"required": {"mask1": schema.link("MASK", first), "mask2": schema.link("MASK", second + pairing)}}


class BitwiseAndMask(Node, name="Pixelwise(MASK & MASK)", menu=OPERATION):
    """Where both masks are."""

    DESCRIPTION = "Keeps what is in both masks: at each pixel the smaller of the two values."
    SEARCH_ALIASES = ("mask and", "intersect masks", "mask intersection")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("What is in both masks.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return _two_masks("One mask. The result has its size.", "The other mask.")

    def doit(self, mask1: object, mask2: object) -> tuple[torch.Tensor]:
        return (torch.minimum(*_pair(self.door, mask1, mask2)),)


class SubtractMask(Node, name="Pixelwise(MASK - MASK)", menu=OPERATION):
    """One mask without another."""

    DESCRIPTION = "Takes the second mask away from the first: the difference of the values, not below 0."
    SEARCH_ALIASES = ("mask minus", "subtract masks", "mask difference", "cut out of mask")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("The first mask without the second.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return _two_masks("The mask to take away from. The result has its size.", "The mask to take away.")

    def doit(self, mask1: object, mask2: object) -> tuple[torch.Tensor]:
        first, second = _pair(self.door, mask1, mask2)
        return ((first - second).clamp_(0.0, 1.0),)


class AddMask(Node, name="Pixelwise(MASK + MASK)", menu=OPERATION):
    """Two masks in one."""

    DESCRIPTION = "Puts two masks together: the sum of the values, not above 1."
    SEARCH_ALIASES = ("mask plus", "mask or", "union of masks", "combine masks")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("What is in either mask.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return _two_masks("One mask. The result has its size.", "The mask to add.")

    def doit(self, mask1: object, mask2: object) -> tuple[torch.Tensor]:
        first, second = _pair(self.door, mask1, mask2)
        return ((first + second).clamp_(0.0, 1.0),)


class ToBinaryMask(Node, menu=OPERATION):
    """A soft mask made hard."""

    DESCRIPTION = "Makes a mask hard: what lies above the threshold becomes white, all else black."
    SEARCH_ALIASES = ("mask threshold", "binarize mask", "hard mask", "binary mask")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("The mask with nothing but 0 and 1.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        tooltip = "In 255ths: brighter than this is white. 20 keeps faint haze out, 127 is the middle, 255 gives black."
        return {
            "required": {
                "mask": schema.link("MASK", "The mask, or a batch of them."),
                "threshold": ("INT", {"default": 20, "min": 1, "max": 255, "tooltip": tooltip}),
            }
        }

    def doit(self, mask: object, threshold: int) -> tuple[torch.Tensor]:
        masks = self.door.mask_of_any_size(mask)
        return ((masks > threshold / 255).to(host.devices.intermediate_device(), torch.float32),)


class ImpactDilateMask(Node, name="Dilate Mask", menu=UTIL):
    """A mask grown or shrunk."""

    DESCRIPTION = "Grows a mask, or shrinks it where the number is negative. Soft values stay soft."
    SEARCH_ALIASES = ("grow mask", "dilate mask", "erode mask", "expand mask", "shrink mask")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("The mask grown or shrunk.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        tooltip = (
            "Each part grows by about half this many pixels on every side: 10 by 4 or 5, 20 by 9 or 10. Negative "
            "shrinks it. Odd numbers do the same on all sides."
        )
        return {
            "required": {
                "mask": schema.link("MASK", "The mask, or a batch of them."),
                "dilation": ("INT", {"default": 10, "min": -512, "max": 512, "step": 1, "tooltip": tooltip}),
            }
        }

    def doit(self, mask: object, dilation: int) -> tuple[torch.Tensor]:
        masks = self.door.mask_of_any_size(mask)
        return (dilate_mask(masks, dilation).to(host.devices.intermediate_device()),)


class ImpactGaussianBlurMask(Node, name="Gaussian Blur Mask", menu=UTIL):
    """A mask with soft edges."""

    DESCRIPTION = "Softens a mask's edges with a Gaussian blur."
    SEARCH_ALIASES = ("blur mask", "feather mask", "soften mask")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("The mask with soft edges.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        reach = (
            "How many pixels far a value can spread. 0 leaves the mask as it is; less in masks smaller than the blur."
        )
        width = "The blur's strength within that reach: 1 keeps edges fairly crisp, 10 or more makes an even ramp."
        return {
            "required": {
                "mask": schema.link("MASK", "The mask, or a batch of them."),
                "kernel_size": ("INT", {"default": 10, "min": 0, "max": 100, "step": 1, "tooltip": reach}),
                "sigma": ("FLOAT", {"default": 10.0, "min": 0.1, "max": 100.0, "step": 0.1, "tooltip": width}),
            }
        }

    def doit(self, mask: object, kernel_size: int, sigma: float) -> tuple[torch.Tensor]:
        masks = self.door.mask_of_any_size(mask).to(host.devices.intermediate_device())
        blurred = blur_mask(masks, kernel_size, sigma)
        return (blurred.clone() if blurred is masks else blurred,)


class ImpactFlattenMask(Node, name="Flatten Mask Batch", menu=OPERATION):
    """A batch of masks in one."""

    DESCRIPTION = "Puts all masks of a batch into one: at each pixel the largest value."
    SEARCH_ALIASES = ("flatten masks", "merge mask batch", "combine mask batch")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask with all of the batch.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"masks": schema.link("MASK", "The batch of masks to put into one.")}}

    def doit(self, masks: object) -> tuple[torch.Tensor]:
        frames = self.door.mask_of_any_size(masks, "masks")
        return (frames.amax(dim=0, keepdim=True).to(host.devices.intermediate_device()),)


class MasksToMaskList(Node, name="Mask Batch to Mask List", menu=OPERATION):
    """A batch of masks as a list."""

    DESCRIPTION = "Splits a batch of masks into a list of single ones, so that nodes after it run once for each."
    SEARCH_ALIASES = ("split mask batch", "unbatch masks", "mask list")
    RETURN_TYPES = ("MASK",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("The masks one by one, in their order.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"masks": schema.link("MASK", "The batch to split.")}}

    def doit(self, masks: object) -> tuple[list[torch.Tensor]]:
        frames = _black_mask() if masks is None else self.door.mask_frames(masks, "masks")
        return (list(frames.to(host.devices.intermediate_device()).split(1)) if len(frames) else [],)


class MaskListToMaskBatch(Node, name="Mask List to Mask Batch", menu=OPERATION):
    """A list of masks as a batch."""

    DESCRIPTION = "Puts a list of masks into one batch. Masks of another size are cut and rescaled to the first's size."
    SEARCH_ALIASES = ("batch masks", "join mask list", "mask batch")
    INPUT_IS_LIST = True
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("All masks in one batch, in their order.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"mask": schema.link("MASK", "The list of masks. The first one sets the size.")}}

    def doit(self, mask: list[object]) -> tuple[torch.Tensor]:
        door, device = self.door, host.devices.intermediate_device()
        masks = [door.mask_frames(item).to(device) for item in mask]
        pictures = [frames[..., None] for frames in masks if frames.numel()]
        return (joined(pictures)[..., 0] if pictures else _black_mask().to(device),)


class ImageListToImageBatch(Node, name="Image List to Image Batch", menu=OPERATION):
    """A list of pictures as a batch."""

    DESCRIPTION = (
        "Puts a list of pictures into one batch. Pictures of another size are cut and rescaled to the first's size."
    )
    SEARCH_ALIASES = ("batch images", "join image list", "image batch")
    INPUT_IS_LIST = True
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = ("All pictures in one batch, in their order.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"images": schema.link("IMAGE", "The list of pictures. The first one sets the size.")}}

    def doit(self, images: list[object]) -> tuple[torch.Tensor]:
        door, device = self.door, host.devices.intermediate_device()
        frames = [door.picture_frames(item, "images").to(device) for item in images]
        pictures = [batch for batch in frames if batch.numel()]
        if len({batch.shape[-1] for batch in pictures}) > 1:
            channels = ", ".join(str(batch.shape[-1]) for batch in pictures)
            fix = "Give all of them alpha, or none (four channels or three)"
            raise door.error("images", f"the pictures have {channels} channels", fix)
        return (joined(pictures) if pictures else black_picture().to(device),)


class ImpactImageBatchToImageList(Node, name="Image Batch to Image List", menu=UTIL):
    """A batch of pictures as a list."""

    DESCRIPTION = "Splits a batch of pictures into a list of single ones, so that nodes after it run once for each."
    SEARCH_ALIASES = ("split image batch", "unbatch images", "image list")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("The pictures one by one, in their order.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"image": schema.link("IMAGE", "The batch to split.")}}

    def doit(self, image: object) -> tuple[list[torch.Tensor]]:
        frames = self.door.picture_frames(image)
        return (list(frames.to(host.devices.intermediate_device()).split(1)) if len(frames) else [],)


def _black_mask() -> torch.Tensor:
    return black_picture()[..., 0]
