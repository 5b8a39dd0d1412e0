"""Nodes of the segs group: every segment's mask or picture changed."""

from __future__ import annotations

import torch

from ..core import SEGS, header_size
from ..segs import (
    blur,
    dilate,
    mask_by_mask,
    mask_by_segs,
    mask_one_by_one,
    subtract_segs,
    with_default_images,
    without_images,
)
from . import schema
from .door import Door
from .registry import OPERATION, UTIL, Node
from .schema import InputTypes


class ImpactDilateMaskInSEGS(Node, name="Dilate Mask (SEGS)", menu=UTIL):
    """Segments with their masks grown or shrunk."""

    DESCRIPTION = "Grows or shrinks every segment's mask within its crop."
    SEARCH_ALIASES = ("grow masks", "erode masks", "expand segs mask")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the changed masks; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments whose masks are changed."),
                "dilation": schema.dilation(),
            }
        }

    def doit(self, segs: object, dilation: int) -> tuple[SEGS]:
        return (dilate(self.door.segs(segs), dilation),)


class ImpactGaussianBlurMaskInSEGS(Node, name="Gaussian Blur Mask (SEGS)", menu=UTIL):
    """Segments with softer masks."""

    DESCRIPTION = "Softens the edges of every segment's mask within its crop."
    SEARCH_ALIASES = ("blur masks", "feather segs", "soften segment mask")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the softened masks; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        reach = "How far, in pixels, a value spreads at most. 0 changes nothing."
        sigma = "The width of the blur in pixels. Larger than about a third of kernel_size, it is cut off there."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments whose masks are softened."),
                "kernel_size": ("INT", {"default": 10, "min": 0, "max": 100, "step": 1, "tooltip": reach}),
                "sigma": ("FLOAT", {"default": 10.0, "min": 0.1, "max": 100.0, "step": 0.1, "tooltip": sigma}),
            }
        }

    def doit(self, segs: object, kernel_size: int, sigma: float) -> tuple[SEGS]:
        return (blur(self.door.segs(segs), kernel_size, sigma),)


class SetDefaultImageForSEGS(Node, name="Set Default Image for SEGS", menu=UTIL):
    """Segments with pictures of their own."""

    DESCRIPTION = "Cuts each segment's picture out of an image and stores it in the segment."
    SEARCH_ALIASES = ("segs image", "store crops", "attach picture")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with their pictures, moved to the image's size.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        override = "On: replace pictures that segments hold already. Off: keep those."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments that get pictures."),
                "image": schema.link("IMAGE", "The picture to cut from. Of a batch, each segment gets all frames."),
                "override": ("BOOLEAN", {"default": True, "tooltip": override}),
            }
        }

    def doit(self, segs: object, image: object, override: bool) -> tuple[SEGS]:
        door = self.door
        return (with_default_images(door.segs(segs), door.image(image), override),)


class RemoveImageFromSEGS(Node, name="Remove Image from SEGS", menu=UTIL):
    """Segments without pictures of their own."""

    DESCRIPTION = "Takes the pictures out of the segments, so that nodes cut them from the image again."
    SEARCH_ALIASES = ("clear segs image", "drop crops")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments without pictures; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments that lose their pictures.")}}

    def doit(self, segs: object) -> tuple[SEGS]:
        return (without_images(self.door.segs(segs)),)


class BitwiseAndMaskForEach(Node, name="Pixelwise(SEGS & SEGS)", menu=OPERATION):
    """Segments' masks only where other segments are."""

    DESCRIPTION = "Keeps of each segment's mask what the masks of other segments cover."
    SEARCH_ALIASES = ("segs and segs", "intersect segments", "mask intersection")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The base segments with the remaining masks; ones that nothing remains of stay in the list.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "base_segs": schema.link("SEGS", "The segments whose masks are changed."),
                "mask_segs": schema.link("SEGS", "What may remain: the smaller of both values is taken."),
            }
        }

    def doit(self, base_segs: object, mask_segs: object) -> tuple[SEGS]:
        door = self.door
        return (mask_by_segs(door.segs(base_segs, "base_segs"), door.segs(mask_segs, "mask_segs")),)


class SubtractMaskForEach(Node, name="Pixelwise(SEGS - SEGS)", menu=OPERATION):
    """Segments' masks without those of other segments."""

    DESCRIPTION = "Takes the masks of other segments away from each segment's mask."
    SEARCH_ALIASES = ("segs minus segs", "subtract segments", "cut out segments")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The base segments with the remaining masks; ones that nothing remains of stay in the list.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "base_segs": schema.link("SEGS", "The segments whose masks are changed."),
                "mask_segs": schema.link("SEGS", "What is taken away."),
            }
        }

    def doit(self, base_segs: object, mask_segs: object) -> tuple[SEGS]:
        door = self.door
        return (subtract_segs(door.segs(base_segs, "base_segs"), door.segs(mask_segs, "mask_segs")),)


class ImpactSegsAndMask(Node, name="Pixelwise(SEGS & MASK)", menu=OPERATION):
    """Segments' masks only where a mask is."""

    DESCRIPTION = "Keeps of each segment's mask what a mask covers."
    SEARCH_ALIASES = ("segs and mask", "intersect mask", "limit segments")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the remaining masks; ones that nothing remains of stay in the list.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        mask = "What may remain: the smaller of both values is taken. The masks of a batch are put together."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments whose masks are changed."),
                "mask": schema.link("MASK", mask),
            }
        }

    def doit(self, segs: object, mask: object) -> tuple[SEGS]:
        door = self.door
        checked = door.segs(segs)
        return (mask_by_mask(checked, _mask_for(checked, mask, door, "mask")),)


class ImpactSegsAndMaskForEach(Node, name="Pixelwise(SEGS & MASKS ForEach)", menu=OPERATION):
    """Segments' masks only where the mask of the same number is."""

    DESCRIPTION = "Keeps of the first segment's mask what the first mask covers, of the second's the second, and so on."
    SEARCH_ALIASES = ("segs and masks", "mask per segment", "intersect masks")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the remaining masks, as many as there are masks.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        masks = "A batch with one mask a segment. Segments left over are left out, masks left over don't matter."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments whose masks are changed."),
                "masks": schema.link("MASK", masks),
            }
        }

    def doit(self, segs: object, masks: object) -> tuple[SEGS]:
        door = self.door
        checked = door.segs(segs)
        if masks is None:
            return ((checked[0], []),)
        return (mask_one_by_one(checked, _mask_for(checked, masks, door, "masks")),)


def _mask_for(segs: SEGS, mask: object, door: Door, name: str) -> torch.Tensor:
    """A MASK as ``[B,H,W]`` of the SEGS' picture size, where that is known."""
    size = header_size(segs)
    return door.mask_of_any_size(mask, name) if 0 in size else door.mask(mask, size, name)
