"""Nodes of the detectors group: things found in a picture, as segments and as masks."""

from __future__ import annotations

from typing import Any

import torch

from ..core import SEGS
from ..detailer import host
from ..detailer.detection.detect import (
    DetectionSettings,
    Finders,
    FindSettings,
    SamSettings,
    detect_simple,
    sam_mask,
    sam_masks,
)
from ..segs.filters import by_label, split_text
from . import inputs
from .checks import Door

CATEGORY = "ImpactPack/Detector"
BBOX = "BBOX_DETECTOR"
SEGM = "SEGM_DETECTOR"
BBOX_TOOLTIP = "The detector of rectangles, from a detector provider."
SEGM_TOOLTIP = "The detector of outlines, from a detector provider."
IMAGE_TOOLTIP = "The picture to look at. One picture; of a batch make a list first."
SAM_TOOLTIP = "The SAM model, from SAMLoader (Impact) or Detector Provider (SAM3)."
SEGS_TOOLTIP = "What was found, each with its mask, its box and the crop around it."


def _widgets_for_segs() -> dict[str, Any]:
    labels = (
        "Labels to keep, separated by commas; case counts. 'all', or no text, keeps everything; 'eyes', 'eyebrows' and "
        "'pupils' also keep the left and the right one."
    )
    placeholder = "List the types of segments to be allowed, separated by commas"
    return {
        "image": inputs.link("IMAGE", IMAGE_TOOLTIP),
        "threshold": inputs.detector_threshold(),
        "dilation": inputs.dilation(),
        "crop_factor": inputs.crop_factor(100),
        "drop_size": inputs.drop_size(),
        "labels": (
            "STRING",
            {"multiline": True, "default": "all", "placeholder": placeholder, "tooltip": labels},
        ),
    }


def _widgets_for_mask(dilation: int) -> dict[str, Any]:
    return {
        "image": inputs.link("IMAGE", IMAGE_TOOLTIP),
        "threshold": inputs.detector_threshold(),
        "dilation": inputs.dilation(dilation),
    }


def _found(
    door: Door,
    kind: str,
    detector: Any,
    image: Any,
    settings: DetectionSettings,
    labels: str | None,
    detailer_hook: Any,
) -> tuple[SEGS]:
    picture = door.one_image(image)
    segs = door.detector(detector, kind, kind.lower()).detect(picture, settings, detailer_hook)
    return (by_label(segs, split_text(labels))[0] if labels and labels.strip() else segs,)


def _found_mask(door: Door, kind: str, detector: Any, image: Any, settings: DetectionSettings) -> tuple[torch.Tensor]:
    picture = door.one_image(image)
    mask = door.detector(detector, kind, kind.lower()).detect_combined(picture, settings)
    return (mask.to(host.devices.intermediate_device()),)


class BboxDetectorSEGS:
    """What a detector of rectangles finds."""

    DESCRIPTION = "Finds things in a picture with a detector of rectangles, each as a segment."
    SEARCH_ALIASES = ("detect faces", "bbox detector", "yolo", "find objects")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"bbox_detector": inputs.link(BBOX, BBOX_TOOLTIP), **_widgets_for_segs()},
            "optional": {"detailer_hook": inputs.detailer_hook()},
        }

    def doit(
        self,
        bbox_detector: Any,
        image: Any,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int,
        labels: str | None = None,
        detailer_hook: Any = None,
    ) -> tuple[SEGS]:
        settings = DetectionSettings(threshold, dilation, crop_factor, drop_size)
        return _found(Door("BboxDetectorSEGS"), BBOX, bbox_detector, image, settings, labels, detailer_hook)


class SegmDetectorSEGS:
    """What a detector of outlines finds."""

    DESCRIPTION = "Finds things in a picture with a detector of outlines, each as a segment."
    SEARCH_ALIASES = ("segment objects", "segm detector", "yolo seg", "find outlines")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"segm_detector": inputs.link(SEGM, SEGM_TOOLTIP), **_widgets_for_segs()},
            "optional": {"detailer_hook": inputs.detailer_hook()},
        }

    def doit(
        self,
        segm_detector: Any,
        image: Any,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int,
        labels: str | None = None,
        detailer_hook: Any = None,
    ) -> tuple[SEGS]:
        settings = DetectionSettings(threshold, dilation, crop_factor, drop_size)
        return _found(Door("SegmDetectorSEGS"), SEGM, segm_detector, image, settings, labels, detailer_hook)


class BboxDetectorCombined_v2:
    """What a detector of rectangles finds, as one mask."""

    DESCRIPTION = "Finds things in a picture with a detector of rectangles and marks all of them in one mask."
    SEARCH_ALIASES = ("detect mask", "bbox mask", "face mask")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size; black where nothing was found.",)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"bbox_detector": inputs.link(BBOX, BBOX_TOOLTIP), **_widgets_for_mask(4)}}

    def doit(self, bbox_detector: Any, image: Any, threshold: float, dilation: int) -> tuple[torch.Tensor]:
        settings = DetectionSettings(threshold, dilation)
        return _found_mask(Door("BboxDetectorCombined_v2"), BBOX, bbox_detector, image, settings)


class SegmDetectorCombined_v2:
    """What a detector of outlines finds, as one mask."""

    DESCRIPTION = "Finds things in a picture with a detector of outlines and marks all of them in one mask."
    SEARCH_ALIASES = ("detect mask", "segm mask", "outline mask")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size; black where nothing was found.",)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"segm_detector": inputs.link(SEGM, SEGM_TOOLTIP), **_widgets_for_mask(0)}}

    def doit(self, segm_detector: Any, image: Any, threshold: float, dilation: int) -> tuple[torch.Tensor]:
        settings = DetectionSettings(threshold, dilation)
        return _found_mask(Door("SegmDetectorCombined_v2"), SEGM, segm_detector, image, settings)


def _widgets_for_both() -> dict[str, Any]:
    sub = "How sure the segm detector must be, or the least score of a mask that SAM gives."
    sub_dilation = "Grows (above 0) or shrinks (below 0) what SAM or the segm detector found."
    hint = "Here for saved workflows. Has no effect: SAM is shown the middle of each segment."
    return {
        "image": inputs.link("IMAGE", IMAGE_TOOLTIP),
        "bbox_threshold": inputs.detector_threshold(),
        "bbox_dilation": inputs.dilation(0),
        "crop_factor": inputs.crop_factor(100),
        "drop_size": inputs.drop_size(),
        "sub_threshold": inputs.threshold(sub),
        "sub_dilation": ("INT", inputs.dilation(0)[1] | {"tooltip": sub_dilation}),
        "sub_bbox_expansion": inputs.bbox_expansion(),
        "sam_mask_hint_threshold": inputs.threshold(hint, 0.7),
    }


def _post_dilation() -> dict[str, Any]:
    tooltip = "Grows (above 0) or shrinks (below 0) each finished mask within its crop."
    return {"post_dilation": ("INT", inputs.dilation(0)[1] | {"tooltip": tooltip})}


class ImpactSimpleDetectorSEGS:
    """What a detector of rectangles finds, with outlines from SAM or a detector of outlines."""

    DESCRIPTION = (
        "Finds things with a detector of rectangles, then limits each one's mask to the outline that SAM, or else a "
        "detector of outlines, finds."
    )
    SEARCH_ALIASES = ("detect faces", "bbox and sam", "bbox and segm", "refine detection")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"bbox_detector": inputs.link(BBOX, BBOX_TOOLTIP), **_widgets_for_both()},
            "optional": {
                **_post_dilation(),
                "sam_model_opt": inputs.link("SAM_MODEL", SAM_TOOLTIP + " Goes before a segm detector."),
                "segm_detector_opt": inputs.link(SEGM, SEGM_TOOLTIP + " Used where there is no SAM."),
            },
        }

    def doit(
        self,
        bbox_detector: Any,
        image: Any,
        bbox_threshold: float,
        bbox_dilation: int,
        crop_factor: float,
        drop_size: int,
        sub_threshold: float,
        sub_dilation: int,
        sub_bbox_expansion: int,
        sam_mask_hint_threshold: float,
        post_dilation: int = 0,
        sam_model_opt: Any = None,
        segm_detector_opt: Any = None,
    ) -> tuple[SEGS]:
        door = Door("ImpactSimpleDetectorSEGS")
        picture = door.one_image(image)
        sam = door.optional_sam(sam_model_opt, "sam_model_opt")
        segs = detect_simple(
            picture,
            Finders(
                door.detector(bbox_detector, BBOX, "bbox_detector"),
                door.optional_detector(segm_detector_opt, SEGM, "segm_detector_opt", needed=sam is None),
                sam,
            ),
            FindSettings(
                DetectionSettings(bbox_threshold, bbox_dilation, crop_factor, drop_size),
                DetectionSettings(sub_threshold, sub_dilation, crop_factor, drop_size),
                SamSettings("center-1", sub_threshold, sub_dilation, sub_bbox_expansion),
                post_dilation,
            ),
        )
        return (segs,)


class ImpactSimpleDetectorSEGSPipe:
    """The same with the detectors, the SAM model and the hook of a pipe."""

    DESCRIPTION = (
        "Finds things with the bbox detector of a DETAILER_PIPE, then limits each one's mask to the outline that its "
        "SAM, or else its segm detector, finds. Its hook goes to both detectors."
    )
    SEARCH_ALIASES = ("detect faces", "bbox and sam", "bbox and segm", "detector pipe")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        pipe = "The detectors, the SAM model and the hook. Its other parts are not used."
        return {
            "required": {"detailer_pipe": inputs.link("DETAILER_PIPE", pipe), **_widgets_for_both()},
            "optional": _post_dilation(),
        }

    def doit(
        self,
        detailer_pipe: Any,
        image: Any,
        bbox_threshold: float,
        bbox_dilation: int,
        crop_factor: float,
        drop_size: int,
        sub_threshold: float,
        sub_dilation: int,
        sub_bbox_expansion: int,
        sam_mask_hint_threshold: float,
        post_dilation: int = 0,
    ) -> tuple[SEGS]:
        door = Door("ImpactSimpleDetectorSEGSPipe")
        pipe = door.detailer_pipe(detailer_pipe)
        picture = door.one_image(image)
        sam = door.optional_sam(pipe.sam_model, "detailer_pipe")
        segs = detect_simple(
            picture,
            Finders(
                door.detector(pipe.bbox_detector, BBOX, "detailer_pipe"),
                door.optional_detector(pipe.segm_detector, SEGM, "detailer_pipe", needed=sam is None),
                sam,
            ),
            FindSettings(
                DetectionSettings(bbox_threshold, bbox_dilation, crop_factor, drop_size),
                DetectionSettings(sub_threshold, sub_dilation, crop_factor, drop_size),
                SamSettings("center-1", sub_threshold, sub_dilation, sub_bbox_expansion),
                post_dilation,
            ),
            pipe.detailer_hook,
        )
        return (segs,)


def _sam_inputs() -> dict[str, Any]:
    return {
        "required": {
            "sam_model": inputs.link("SAM_MODEL", SAM_TOOLTIP),
            "segs": inputs.link("SEGS", "Where SAM looks: their boxes, and their masks with the hint mask-area."),
            "image": inputs.link("IMAGE", IMAGE_TOOLTIP),
            "detection_hint": inputs.detection_hint(),
            "dilation": inputs.dilation(0),
            "threshold": inputs.sam_threshold(),
            "bbox_expansion": inputs.bbox_expansion(),
            "mask_hint_threshold": inputs.mask_hint_threshold(),
            "mask_hint_use_negative": inputs.mask_hint_use_negative(),
        }
    }


class SAMDetectorCombined:
    """What SAM finds at segments, as one mask."""

    DESCRIPTION = "Shows SAM where the segments are and gives all that it finds there as one mask."
    SEARCH_ALIASES = ("segment anything", "sam mask", "outline of segments")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size; black where nothing was found.",)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return _sam_inputs()

    def doit(
        self,
        sam_model: Any,
        segs: Any,
        image: Any,
        detection_hint: str,
        dilation: int,
        threshold: float,
        bbox_expansion: int,
        mask_hint_threshold: float,
        mask_hint_use_negative: str,
    ) -> tuple[torch.Tensor]:
        door = Door("SAMDetectorCombined")
        mask = sam_mask(
            door.one_image(image),
            door.segs(segs),
            door.sam(sam_model),
            SamSettings(
                detection_hint, threshold, dilation, bbox_expansion, mask_hint_threshold, mask_hint_use_negative
            ),
        )
        return (mask.to(host.devices.intermediate_device()),)


class SAMDetectorSegmented:
    """What SAM finds at segments, in one mask and one by one."""

    DESCRIPTION = "Shows SAM where the segments are and gives what it finds as one mask, and as one mask a segment."
    SEARCH_ALIASES = ("segment anything", "sam masks", "mask per segment")
    RETURN_TYPES = ("MASK", "MASK")
    RETURN_NAMES = ("combined_mask", "batch_masks")
    OUTPUT_TOOLTIPS = (
        "One mask of the picture's size, dilated.",
        "One mask for each segment, in their order, not dilated; black where nothing was found.",
    )
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return _sam_inputs()

    def doit(
        self,
        sam_model: Any,
        segs: Any,
        image: Any,
        detection_hint: str,
        dilation: int,
        threshold: float,
        bbox_expansion: int,
        mask_hint_threshold: float,
        mask_hint_use_negative: str,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        door = Door("SAMDetectorSegmented")
        union, each = sam_masks(
            door.one_image(image),
            door.segs(segs),
            door.sam(sam_model),
            SamSettings(
                detection_hint, threshold, dilation, bbox_expansion, mask_hint_threshold, mask_hint_use_negative
            ),
        )
        device = host.devices.intermediate_device()
        return union.to(device), each[:, None].to(device)


NODE_CLASS_MAPPINGS = {
    "BboxDetectorSEGS": BboxDetectorSEGS,
    "SegmDetectorSEGS": SegmDetectorSEGS,
    "BboxDetectorCombined_v2": BboxDetectorCombined_v2,
    "SegmDetectorCombined_v2": SegmDetectorCombined_v2,
    "ImpactSimpleDetectorSEGS": ImpactSimpleDetectorSEGS,
    "ImpactSimpleDetectorSEGSPipe": ImpactSimpleDetectorSEGSPipe,
    "SAMDetectorCombined": SAMDetectorCombined,
    "SAMDetectorSegmented": SAMDetectorSegmented,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "BboxDetectorSEGS": "BBOX Detector (SEGS)",
    "SegmDetectorSEGS": "SEGM Detector (SEGS)",
    "BboxDetectorCombined_v2": "BBOX Detector (combined)",
    "SegmDetectorCombined_v2": "SEGM Detector (combined)",
    "ImpactSimpleDetectorSEGS": "Simple Detector (SEGS)",
    "ImpactSimpleDetectorSEGSPipe": "Simple Detector (SEGS/pipe)",
    "SAMDetectorCombined": "SAMDetector (combined)",
    "SAMDetectorSegmented": "SAMDetector (segmented)",
}
