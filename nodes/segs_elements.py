"""Nodes of the segs group: SEGS taken apart into segments, segments into fields, and put together again."""

from __future__ import annotations

import torch

from ..core import SEG, SEGS, seg_image, seg_mask
from ..detailer import host
from ..segs import confidence, dilate_seg, kept_image, kept_mask, scale_bbox, with_fields
from . import schema
from .registry import UTIL, Node
from .schema import Input, InputTypes

SIDE_TOOLTIPS = (
    "Left side in pixels of the picture.",
    "Top side.",
    "Right side, just after the last column.",
    "Bottom side, just after the last row.",
)


def _segment() -> Input:
    return schema.link("SEG_ELT", "One segment, such as each one of 'Decompose (SEGS)'.")


class ImpactDecomposeSEGS(Node, name="Decompose (SEGS)", menu=UTIL):
    """SEGS as a header and a list of segments."""

    DESCRIPTION = "Takes SEGS apart: the nodes after it run once for each segment. 'Assemble (SEGS)' undoes it."
    SEARCH_ALIASES = ("split segments", "segs to list", "for each segment")
    RETURN_TYPES = ("SEGS_HEADER", "SEG_ELT")
    OUTPUT_IS_LIST = (False, True)
    OUTPUT_TOOLTIPS = ("The size of the picture that the SEGS are for.", "The list of segments, in their order.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"segs": schema.link("SEGS", "The segments to take apart.")}}

    def doit(self, segs: object) -> SEGS:
        return self.door.segs(segs)


class ImpactAssembleSEGS(Node, name="Assemble (SEGS)", menu=UTIL):
    """A header and a list of segments as SEGS."""

    DESCRIPTION = "Puts a list of segments together as SEGS again."
    SEARCH_ALIASES = ("join segments", "list to segs")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("All segments of the list, in its order.",)
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "seg_header": schema.link(
                    "SEGS_HEADER", "The size of the segments' picture, from 'Decompose (SEGS)'. The first one counts."
                ),
                "seg_elt": schema.link("SEG_ELT", "The list of segments."),
            }
        }

    def doit(self, seg_header: list[object], seg_elt: list[object]) -> tuple[SEGS]:
        door = self.door
        if not seg_header:
            raise door.error("seg_header", "the list is empty", "Connect the SEGS_HEADER of 'Decompose (SEGS)'")
        header = door.header(seg_header[0])
        return ((header, [door.seg(seg, number=number) for number, seg in enumerate(seg_elt, start=1)]),)


class ImpactFrom_SEG_ELT(Node, name="From SEG_ELT", menu=UTIL):
    """A segment's fields."""

    DESCRIPTION = "Shows what a segment is made of: its image, mask, regions, confidence and label."
    SEARCH_ALIASES = ("segment fields", "split seg", "segment to mask")
    RETURN_TYPES = (
        "SEG_ELT",
        "IMAGE",
        "MASK",
        "SEG_ELT_crop_region",
        "SEG_ELT_bbox",
        "SEG_ELT_control_net_wrapper",
        "FLOAT",
        "STRING",
    )
    RETURN_NAMES = (
        "seg_elt",
        "cropped_image",
        "cropped_mask",
        "crop_region",
        "bbox",
        "control_net_wrapper",
        "confidence",
        "label",
    )
    OUTPUT_TOOLTIPS = (
        "The same segment.",
        "The image that the segment holds; nothing (None) where it holds none.",
        "Its mask, of its crop region's size.",
        "The region that is cut out of the picture.",
        "The rectangle around the thing itself.",
        "Its ControlNet, or nothing (None).",
        "How sure the detector was, 0 to 1. 1 for segments made from masks.",
        "What it is.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"seg_elt": _segment()}}

    def doit(self, seg_elt: object) -> tuple[object, ...]:
        seg = self.door.seg(seg_elt)
        device, image = host.devices.intermediate_device(), seg_image(seg)
        return (
            seg,
            None if image is None else image.to(device, torch.float32, copy=True),
            seg_mask(seg).to(device, copy=True),
            seg.crop_region,
            seg.bbox,
            getattr(seg, "control_net_wrapper", None),
            float(confidence(seg)),
            "" if seg.label is None else seg.label,
        )


class ImpactEdit_SEG_ELT(Node, name="Edit SEG_ELT", menu=UTIL):
    """A segment with some fields replaced."""

    DESCRIPTION = "Replaces the fields of a segment that are connected and keeps the others."
    SEARCH_ALIASES = ("change segment", "edit seg", "replace segment mask")
    RETURN_TYPES = ("SEG_ELT",)
    OUTPUT_TOOLTIPS = ("The changed segment.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        sure = "How sure the detector was, 0 to 1."
        return {
            "required": {"seg_elt": _segment()},
            "optional": {
                "cropped_image_opt": schema.link("IMAGE", "Its image: what stands in the crop region."),
                "cropped_mask_opt": schema.link("MASK", "Its mask, of the crop region's size."),
                "crop_region_opt": schema.link("SEG_ELT_crop_region", "The region that is cut out of the picture."),
                "bbox_opt": schema.link("SEG_ELT_bbox", "The rectangle around the thing itself."),
                "control_net_wrapper_opt": schema.link("SEG_ELT_control_net_wrapper", "Its ControlNet."),
                "confidence_opt": (
                    "FLOAT",
                    {"min": 0, "max": 1.0, "step": 0.1, "forceInput": True, "tooltip": sure},
                ),
                "label_opt": ("STRING", {"multiline": False, "forceInput": True, "tooltip": "What it is."}),
            },
        }

    def doit(
        self,
        seg_elt: object,
        cropped_image_opt: object = None,
        cropped_mask_opt: object = None,
        crop_region_opt: object = None,
        bbox_opt: object = None,
        control_net_wrapper_opt: object = None,
        confidence_opt: float | None = None,
        label_opt: str | None = None,
    ) -> tuple[SEG]:
        door = self.door
        fields: dict[str, object] = {
            "control_net_wrapper": control_net_wrapper_opt,
            "confidence": confidence_opt,
            "label": label_opt,
        }
        if cropped_image_opt is not None:
            fields["cropped_image"] = kept_image(door.image(cropped_image_opt, "cropped_image_opt"))
        if cropped_mask_opt is not None:
            fields["cropped_mask"] = kept_mask(door.mask_of_any_size(cropped_mask_opt, "cropped_mask_opt"))
        if crop_region_opt is not None:
            fields["crop_region"] = door.region(crop_region_opt, "crop_region_opt").as_list()
        if bbox_opt is not None:
            fields["bbox"] = door.region(bbox_opt, "bbox_opt").as_tuple()
        changes = {field: value for field, value in fields.items() if value is not None}
        return (with_fields(door.seg(seg_elt), **changes),)


class ImpactDilate_Mask_SEG_ELT(Node, name="Dilate Mask (SEG_ELT)", menu=UTIL):
    """A segment with its mask grown or shrunk."""

    DESCRIPTION = "Grows or shrinks one segment's mask within its crop."
    SEARCH_ALIASES = ("grow mask", "erode mask", "expand segment mask")
    RETURN_TYPES = ("SEG_ELT",)
    OUTPUT_TOOLTIPS = ("The segment with the changed mask; all else stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"seg_elt": _segment(), "dilation": schema.dilation()}}

    def doit(self, seg_elt: object, dilation: int) -> tuple[SEG]:
        return (dilate_seg(self.door.seg(seg_elt), dilation),)


class ImpactScaleBy_BBOX_SEG_ELT(Node, name="ScaleBy BBOX (SEG_ELT)", menu=UTIL):
    """A segment with its bounding box scaled."""

    DESCRIPTION = "Scales one segment's rectangle about its centre and cuts its mask to it."
    SEARCH_ALIASES = ("scale bbox", "resize bounding box", "shrink segment")
    RETURN_TYPES = ("SEG_ELT",)
    OUTPUT_TOOLTIPS = ("The segment with the changed rectangle and mask; its crop region stays.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        scale = "The new rectangle's sides over the old one's. Below 1 the mask is cut; above 1 nothing is added to it."
        return {
            "required": {
                "seg": _segment(),
                "scale_by": ("FLOAT", {"default": 1.0, "min": 0.01, "max": 8.0, "step": 0.01, "tooltip": scale}),
            }
        }

    def doit(self, seg: object, scale_by: float) -> tuple[SEG]:
        door = self.door
        door.region(getattr(seg, "bbox", (0, 0, 0, 0)), "seg", " of the segment's bbox")
        return (scale_bbox(door.seg(seg, "seg"), scale_by),)


class ImpactFrom_SEG_ELT_bbox(Node, name="From SEG_ELT bbox", menu=UTIL):
    """A bounding box as four numbers."""

    DESCRIPTION = "The four sides of a segment's rectangle as numbers."
    SEARCH_ALIASES = ("bbox to ints", "bounding box coordinates")
    RETURN_TYPES = ("INT", "INT", "INT", "INT")
    RETURN_NAMES = ("left", "top", "right", "bottom")
    OUTPUT_TOOLTIPS = SIDE_TOOLTIPS

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"bbox": schema.link("SEG_ELT_bbox", "The bbox of 'From SEG_ELT'.")}}

    def doit(self, bbox: object) -> tuple[int, int, int, int]:
        return self.door.region(bbox, "bbox").as_tuple()


class ImpactFrom_SEG_ELT_crop_region(Node, name="From SEG_ELT crop_region", menu=UTIL):
    """A crop region as four numbers."""

    DESCRIPTION = "The four sides of a segment's crop region as numbers."
    SEARCH_ALIASES = ("crop region to ints", "crop coordinates")
    RETURN_TYPES = ("INT", "INT", "INT", "INT")
    RETURN_NAMES = ("left", "top", "right", "bottom")
    OUTPUT_TOOLTIPS = SIDE_TOOLTIPS

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"crop_region": schema.link("SEG_ELT_crop_region", "The crop_region of 'From SEG_ELT'.")}}

    def doit(self, crop_region: object) -> tuple[int, int, int, int]:
        return self.door.region(crop_region, "crop_region").as_tuple()
