"""Nodes of the segs group: every segment's mask or picture changed."""

from __future__ import annotations

from typing import Any

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
from . import inputs
from .checks import Door


class ImpactDilateMaskInSEGS:
    """Segments with their masks grown or shrunk."""

    DESCRIPTION = "Grows or shrinks every segment's mask within its crop."
    SEARCH_ALIASES = ("grow masks", "erode masks", "expand segs mask")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the changed masks; all else stays.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments whose masks are changed."),
                "dilation": inputs.dilation(),
            }
        }

    def doit(self, segs: Any, dilation: int) -> tuple[SEGS]:
        return (dilate(Door("ImpactDilateMaskInSEGS").segs(segs), dilation),)


class ImpactGaussianBlurMaskInSEGS:
    """Segments with softer masks."""

    DESCRIPTION = "Softens the edges of every segment's mask within its crop."
    SEARCH_ALIASES = ("blur masks", "feather segs", "soften segment mask")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the softened masks; all else stays.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        reach = "How far, in pixels, a value spreads at most. 0 changes nothing."
        sigma = "The width of the blur in pixels. Larger than about a third of kernel_size, it is cut off there."
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments whose masks are softened."),
                "kernel_size": ("INT", {"default": 10, "min": 0, "max": 100, "step": 1, "tooltip": reach}),
                "sigma": ("FLOAT", {"default": 10.0, "min": 0.1, "max": 100.0, "step": 0.1, "tooltip": sigma}),
            }
        }

    def doit(self, segs: Any, kernel_size: int, sigma: float) -> tuple[SEGS]:
        return (blur(Door("ImpactGaussianBlurMaskInSEGS").segs(segs), kernel_size, sigma),)


class SetDefaultImageForSEGS:
    """Segments with pictures of their own."""

    DESCRIPTION = "Cuts each segment's picture out of an image and stores it in the segment."
    SEARCH_ALIASES = ("segs image", "store crops", "attach picture")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with their pictures, moved to the image's size.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        override = "On: replace pictures that segments hold already. Off: keep those."
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments that get pictures."),
                "image": inputs.link("IMAGE", "The picture to cut from. Of a batch, each segment gets all frames."),
                "override": ("BOOLEAN", {"default": True, "tooltip": override}),
            }
        }

    def doit(self, segs: Any, image: Any, override: bool) -> tuple[SEGS]:
        door = Door("SetDefaultImageForSEGS")
        return (with_default_images(door.segs(segs), door.image(image), override),)


class RemoveImageFromSEGS:
    """Segments without pictures of their own."""

    DESCRIPTION = "Takes the pictures out of the segments, so that nodes cut them from the image again."
    SEARCH_ALIASES = ("clear segs image", "drop crops")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments without pictures; all else stays.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"segs": inputs.link("SEGS", "The segments that lose their pictures.")}}

    def doit(self, segs: Any) -> tuple[SEGS]:
        return (without_images(Door("RemoveImageFromSEGS").segs(segs)),)


class BitwiseAndMaskForEach:
    """Segments' masks only where other segments are."""

    DESCRIPTION = "Keeps of each segment's mask what the masks of other segments cover."
    SEARCH_ALIASES = ("segs and segs", "intersect segments", "mask intersection")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The base segments with the remaining masks; ones that nothing remains of stay in the list.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Operation"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "base_segs": inputs.link("SEGS", "The segments whose masks are changed."),
                "mask_segs": inputs.link("SEGS", "What may remain: the smaller of both values is taken."),
            }
        }

    def doit(self, base_segs: Any, mask_segs: Any) -> tuple[SEGS]:
        door = Door("BitwiseAndMaskForEach")
        return (mask_by_segs(door.segs(base_segs, "base_segs"), door.segs(mask_segs, "mask_segs")),)


class SubtractMaskForEach:
    """Segments' masks without those of other segments."""

    DESCRIPTION = "Takes the masks of other segments away from each segment's mask."
    SEARCH_ALIASES = ("segs minus segs", "subtract segments", "cut out segments")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The base segments with the remaining masks; ones that nothing remains of stay in the list.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Operation"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "base_segs": inputs.link("SEGS", "The segments whose masks are changed."),
                "mask_segs": inputs.link("SEGS", "What is taken away."),
            }
        }

    def doit(self, base_segs: Any, mask_segs: Any) -> tuple[SEGS]:
        door = Door("SubtractMaskForEach")
        return (subtract_segs(door.segs(base_segs, "base_segs"), door.segs(mask_segs, "mask_segs")),)


class ImpactSegsAndMask:
    """Segments' masks only where a mask is."""

    DESCRIPTION = "Keeps of each segment's mask what a mask covers."
    SEARCH_ALIASES = ("segs and mask", "intersect mask", "limit segments")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the remaining masks; ones that nothing remains of stay in the list.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Operation"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        mask = "What may remain: the smaller of both values is taken. The masks of a batch are put together."
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments whose masks are changed."),
                "mask": inputs.link("MASK", mask),
            }
        }

    def doit(self, segs: Any, mask: Any) -> tuple[SEGS]:
        door = Door("ImpactSegsAndMask")
        checked = door.segs(segs)
        return (mask_by_mask(checked, _mask_for(checked, mask, door, "mask")),)


class ImpactSegsAndMaskForEach:
    """Segments' masks only where the mask of the same number is."""

    DESCRIPTION = "Keeps of the first segment's mask what the first mask covers, of the second's the second, and so on."
    SEARCH_ALIASES = ("segs and masks", "mask per segment", "intersect masks")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("The segments with the remaining masks, as many as there are masks.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Operation"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        masks = "A batch with one mask a segment. Segments left over are left out, masks left over don't matter."
        return {
            "required": {
                "segs": inputs.link("SEGS", "The segments whose masks are changed."),
                "masks": inputs.link("MASK", masks),
            }
        }

    def doit(self, segs: Any, masks: Any) -> tuple[SEGS]:
        door = Door("ImpactSegsAndMaskForEach")
        checked = door.segs(segs)
        if masks is None:
            return ((checked[0], []),)
        return (mask_one_by_one(checked, _mask_for(checked, masks, door, "masks")),)


def _mask_for(segs: SEGS, mask: Any, door: Door, name: str) -> Any:
    """A MASK as ``[B,H,W]`` of the SEGS' picture size, where that is known."""
    size = header_size(segs)
    return door.mask_of_any_size(mask, name) if 0 in size else door.mask(mask, size, name)


NODE_CLASS_MAPPINGS = {
    "ImpactDilateMaskInSEGS": ImpactDilateMaskInSEGS,
    "ImpactGaussianBlurMaskInSEGS": ImpactGaussianBlurMaskInSEGS,
    "SetDefaultImageForSEGS": SetDefaultImageForSEGS,
    "RemoveImageFromSEGS": RemoveImageFromSEGS,
    "BitwiseAndMaskForEach": BitwiseAndMaskForEach,
    "SubtractMaskForEach": SubtractMaskForEach,
    "ImpactSegsAndMask": ImpactSegsAndMask,
    "ImpactSegsAndMaskForEach": ImpactSegsAndMaskForEach,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ImpactDilateMaskInSEGS": "Dilate Mask (SEGS)",
    "ImpactGaussianBlurMaskInSEGS": "Gaussian Blur Mask (SEGS)",
    "SetDefaultImageForSEGS": "Set Default Image for SEGS",
    "RemoveImageFromSEGS": "Remove Image from SEGS",
    "BitwiseAndMaskForEach": "Pixelwise(SEGS & SEGS)",
    "SubtractMaskForEach": "Pixelwise(SEGS - SEGS)",
    "ImpactSegsAndMask": "Pixelwise(SEGS & MASK)",
    "ImpactSegsAndMaskForEach": "Pixelwise(SEGS & MASKS ForEach)",
}
