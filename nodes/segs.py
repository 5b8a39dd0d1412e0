"""Nodes of the segs group: masks to SEGS and back."""

from __future__ import annotations

from typing import Any

import torch

from ..core import SEGS, mask_to_segs
from ..detailer import host
from ..segs import to_combined_mask, to_image_list
from . import inputs
from .checks import Door


class MaskToSEGS:
    """A mask's connected parts as SEGS."""

    DESCRIPTION = "Splits a mask into its separate parts, each with the crop region around it, as SEGS."
    SEARCH_ALIASES = ("mask to segments", "split mask", "connected components")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (
        "One segment for each separate part; the one whose top edge is lowest comes first. They hold no pictures.",
    )
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Operation"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        whole = "One segment for the whole mask instead of one for each part."
        return {
            "required": {
                "mask": inputs.link("MASK", "White marks the parts. A batch of masks gives one list, mask after mask."),
                "combined": inputs.switch(False, "True", "False", whole),
                "crop_factor": inputs.crop_factor(100),
                "bbox_fill": inputs.bbox_fill(),
                "drop_size": inputs.drop_size(),
                "contour_fill": inputs.contour_fill(False),
            }
        }

    def doit(
        self,
        mask: Any,
        combined: bool,
        crop_factor: float,
        bbox_fill: bool,
        drop_size: int,
        contour_fill: bool = False,
    ) -> tuple[SEGS]:
        masks = Door("MaskToSEGS").mask_of_any_size(mask)
        return (mask_to_segs(masks, combined, crop_factor, bbox_fill, drop_size, is_contour=contour_fill),)


class SegsToCombinedMask:
    """All segments' masks in one."""

    DESCRIPTION = "Puts the masks of all segments into one mask of the picture's size; overlaps keep the larger value."
    SEARCH_ALIASES = ("segments to mask", "merge segs masks")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Operation"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"segs": inputs.link("SEGS", "The segments whose masks are put together.")}}

    def doit(self, segs: Any) -> tuple[torch.Tensor]:
        mask = to_combined_mask(Door("SegsToCombinedMask").segs(segs))
        return (mask.to(host.intermediate_device()),)


class SEGSToImageList:
    """The segments' pictures as a list."""

    DESCRIPTION = "One picture a segment: its own, else cut out of the fallback image, else a black one."
    SEARCH_ALIASES = ("segments to images", "segs crops")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("A list with one picture (or batch of frames) a segment.",)
    FUNCTION = "doit"
    CATEGORY = "ImpactPack/Util"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"segs": inputs.link("SEGS", "The segments to show.")},
            "optional": {
                "fallback_image_opt": inputs.link(
                    "IMAGE", "The picture to cut from where a segment holds none of its own."
                )
            },
        }

    def doit(self, segs: Any, fallback_image_opt: Any = None) -> tuple[list[torch.Tensor]]:
        door = Door("SEGSToImageList")
        fallback = None if fallback_image_opt is None else door.image(fallback_image_opt, "fallback_image_opt")
        device = host.intermediate_device()
        return ([picture.to(device) for picture in to_image_list(door.segs(segs), fallback)],)


NODE_CLASS_MAPPINGS = {
    "MaskToSEGS": MaskToSEGS,
    "SegsToCombinedMask": SegsToCombinedMask,
    "SEGSToImageList": SEGSToImageList,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "MaskToSEGS": "MASK to SEGS",
    "SegsToCombinedMask": "SEGS to MASK (combined)",
    "SEGSToImageList": "SEGSToImageList",
}
