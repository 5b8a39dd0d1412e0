"""Nodes of the segs group: SEGS made, and turned into masks and pictures."""

from __future__ import annotations

import torch

from ..core import SEGS, Size, mask_to_segs
from ..detailer import host
from ..segs import (
    IRREGULAR_MODES,
    Tiling,
    black_picture,
    make_tiles,
    to_combined_mask,
    to_image_list,
    to_mask_list,
    to_previews,
)
from . import schema
from .registry import OPERATION, TESTING, UTIL, Node
from .schema import InputTypes, Shown


class MaskToSEGS(Node, name="MASK to SEGS", menu=OPERATION):
    """A mask's connected parts as SEGS."""

    DESCRIPTION = "Splits a mask into its separate parts, each with the crop region around it, as SEGS."
    SEARCH_ALIASES = ("mask to segments", "split mask", "connected components")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (
        "One segment for each separate part; the one whose top edge is lowest comes first. They hold no pictures.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        whole = "One segment for the whole mask instead of one for each part."
        return {
            "required": {
                "mask": schema.link("MASK", "White marks the parts. A batch of masks gives one list, mask after mask."),
                "combined": schema.switch(False, "True", "False", whole),
                "crop_factor": schema.crop_factor(100),
                "bbox_fill": schema.bbox_fill(),
                "drop_size": schema.drop_size(),
                "contour_fill": schema.contour_fill(False),
            }
        }

    def doit(
        self,
        mask: object,
        combined: bool,
        crop_factor: float,
        bbox_fill: bool,
        drop_size: int,
        contour_fill: bool = False,
    ) -> tuple[SEGS]:
        masks = self.door.mask_of_any_size(mask)
        return (mask_to_segs(masks, combined, crop_factor, bbox_fill, drop_size, is_contour=contour_fill),)


class EmptySegs(Node, menu=UTIL):
    """SEGS without a segment."""

    DESCRIPTION = "SEGS without any segment, to stand where a node wants SEGS and there is nothing to give."
    SEARCH_ALIASES = ("empty segments", "no segments")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("No segments, and no known picture size.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {}

    def doit(self) -> tuple[SEGS]:
        return (((0, 0), []),)


class ImpactMakeTileSEGS(Node, name="Make Tile SEGS", menu=TESTING):
    """A picture in overlapping tiles."""

    DESCRIPTION = "Lays overlapping square tiles over a picture, each a segment, to detail all of it piece by piece."
    SEARCH_ALIASES = ("tiles", "tiled detailer", "split picture", "grid segments")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("One segment for each tile, row by row, left to right. They hold no pictures.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        side = "Sides of a tile in pixels of the picture. Tiles are never larger than the picture."
        crop = "How much of the surroundings the model sees: the crop's sides over the tile's."
        overlap = "Pixels that neighbouring tiles share at least; at most half a tile is used."
        dilation = "Grows (above 0) or shrinks (below 0) the masks of both filters: 20 moves their edges by about 10."
        irregularity = (
            "0 makes square masks. Above, tiles get larger and their masks rough rims, which hides the seams: 0.3 to "
            "0.7 are good values."
        )
        mode = (
            "Reuse draws one rough mask for all tiles, All random one for each. Reuse fast draws smaller, which makes "
            "less room for the rims. Looked at only where mask_irregularity is above 0."
        )
        return {
            "required": {
                "images": schema.link("IMAGE", "The picture to tile. Only its size counts."),
                "bbox_size": ("INT", {"default": 512, "min": 64, "max": 4096, "step": 8, "tooltip": side}),
                "crop_factor": ("FLOAT", {"default": 3.0, "min": 1.0, "max": 10, "step": 0.01, "tooltip": crop}),
                "min_overlap": ("INT", {"default": 5, "min": 0, "max": 512, "step": 1, "tooltip": overlap}),
                "filter_segs_dilation": (
                    "INT",
                    {"default": 20, "min": -255, "max": 255, "step": 1, "tooltip": dilation},
                ),
                "mask_irregularity": (
                    "FLOAT",
                    {"default": 0, "min": 0, "max": 1.0, "step": 0.01, "tooltip": irregularity},
                ),
                "irregular_mask_mode": (list(IRREGULAR_MODES), {"tooltip": mode}),
            },
            "optional": {
                "filter_in_segs_opt": schema.link("SEGS", "Tile only what these segments' masks cover."),
                "filter_out_segs_opt": schema.link("SEGS", "Leave out what these segments' masks cover."),
            },
        }

    def doit(
        self,
        images: object,
        bbox_size: int,
        crop_factor: float,
        min_overlap: int,
        filter_segs_dilation: int,
        mask_irregularity: float = 0.0,
        irregular_mask_mode: str = IRREGULAR_MODES[0],
        filter_in_segs_opt: object = None,
        filter_out_segs_opt: object = None,
    ) -> tuple[SEGS]:
        door = self.door
        size = Size(*door.image(images, "images").shape[1:3])
        inside, outside = (
            None if segs is None else door.segs(segs, name)
            for name, segs in (
                ("filter_in_segs_opt", filter_in_segs_opt),
                ("filter_out_segs_opt", filter_out_segs_opt),
            )
        )
        tiling = Tiling(
            side=bbox_size,
            overlap=min_overlap,
            crop_factor=crop_factor,
            irregularity=mask_irregularity,
            mode=irregular_mask_mode,
            dilation=filter_segs_dilation,
        )
        return (make_tiles(size, tiling, inside, outside),)


class SegsToCombinedMask(Node, name="SEGS to MASK (combined)", menu=OPERATION):
    """All segments' masks in one."""

    DESCRIPTION = "Puts the masks of all segments into one mask of the picture's size; overlaps keep the larger value."
    SEARCH_ALIASES = ("segments to mask", "merge segs masks")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments whose masks are put together.")}}

    def doit(self, segs: object) -> tuple[torch.Tensor]:
        mask = to_combined_mask(self.door.segs(segs))
        return (mask.to(host.devices.intermediate_device()),)


class SEGSToImageList(Node, menu=UTIL):
    """The segments' pictures as a list."""

    DESCRIPTION = "One picture a segment: its own, else cut out of the fallback image, else a black one."
    SEARCH_ALIASES = ("segments to images", "segs crops")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("A list with one picture (or batch of frames) a segment.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {"segs": schema.link("SEGS", "The segments to show.")},
            "optional": {
                "fallback_image_opt": schema.link(
                    "IMAGE", "The picture to cut from where a segment holds none of its own."
                )
            },
        }

    def doit(self, segs: object, fallback_image_opt: object = None) -> tuple[list[torch.Tensor]]:
        door = self.door
        fallback = None if fallback_image_opt is None else door.image(fallback_image_opt, "fallback_image_opt")
        device = host.devices.intermediate_device()
        return ([picture.to(device) for picture in to_image_list(door.segs(segs), fallback)],)


class ImpactSEGSToMaskList(Node, name="SEGS to Mask List", menu=UTIL):
    """The segments' masks as a list."""

    DESCRIPTION = "One mask of the picture's size for each segment, as a list."
    SEARCH_ALIASES = ("segments to masks", "segs masks", "split masks")
    RETURN_TYPES = ("MASK",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = ("A list with one mask a segment; one black mask where there are no segments.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments whose masks are wanted.")}}

    def doit(self, segs: object) -> tuple[list[torch.Tensor]]:
        device = host.devices.intermediate_device()
        return ([mask.to(device) for mask in to_mask_list(self.door.segs(segs))],)


class ImpactSEGSToMaskBatch(Node, name="SEGS to Mask Batch", menu=UTIL):
    """The segments' masks as a batch."""

    DESCRIPTION = "One mask of the picture's size for each segment, as a batch."
    SEARCH_ALIASES = ("segments to masks", "segs masks", "mask batch")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("A batch with one mask a segment; one black mask where there are no segments.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments whose masks are wanted.")}}

    def doit(self, segs: object) -> tuple[torch.Tensor]:
        masks = to_mask_list(self.door.segs(segs))
        return (torch.cat(masks).to(host.devices.intermediate_device()),)


class SEGSPreview(Node, menu=UTIL):
    """The segments' pictures shown on the node, and under each its number, label and confidence."""

    DESCRIPTION = (
        "Shows each segment's picture on the node, see-through where its mask is dark, with its number, label and "
        "confidence: the numbers that parts_only and 'Picker (SEGS)' take."
    )
    SEARCH_ALIASES = ("preview segments", "show segs", "segment preview")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    OUTPUT_TOOLTIPS = (
        "A list with one picture (or batch of frames) a segment, darkened by its mask where alpha_mode is on.",
    )
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        alpha = "On: shown see-through outside the mask, given out black there. Off: the whole crop."
        least = "How visible the crop stays outside the mask: 0 is invisible, 1 as visible as inside."
        fallback = "The picture to cut from where a segment holds none of its own."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments to show."),
                "alpha_mode": schema.switch(True, "enable", "disable", alpha),
                "min_alpha": ("FLOAT", {"default": 0.2, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": least}),
            },
            "optional": {"fallback_image_opt": schema.link("IMAGE", fallback)},
        }

    def doit(self, segs: object, alpha_mode: bool, min_alpha: float = 0.0, fallback_image_opt: object = None) -> Shown:
        door = self.door
        fallback = None if fallback_image_opt is None else door.image(fallback_image_opt, "fallback_image_opt")
        shown: list[torch.Tensor] = []
        pictures: list[torch.Tensor] = []
        parts: list[dict[str, object]] = []
        for preview in to_previews(door.segs(segs), fallback):
            picture, mask = preview.picture, preview.mask[..., None]
            shown += torch.cat([picture, mask.clamp(min=min_alpha)], dim=-1) if alpha_mode else picture
            pictures.append(picture * mask if alpha_mode else picture.clone())
            part = {"number": preview.number, "label": str(preview.seg.label), "confidence": preview.confidence}
            parts += [part] * len(picture)
        device = host.devices.intermediate_device()
        return {
            "ui": {"images": host.folders.save_previews(shown, "impact_seg_preview"), "parts": parts},
            "result": ([picture.to(device) for picture in pictures or [black_picture()]],),
        }
