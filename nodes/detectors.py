"""Nodes of the detectors group: things found in a picture, as segments and as masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypedDict

import torch

from ..core import SEGS
from ..detailer import host
from ..detailer.detection.detect import (
    DetectionSettings,
    FindSettings,
    SamSettings,
    choose,
    detect_simple,
    sam_mask,
    sam_masks,
)
from ..detailer.host.protocols import DetailerHook
from ..segs import Choice
from . import schema
from .detailer_pipes import detailer_pipe_of
from .finders import (
    BBOX,
    IN_PIPE,
    OWN_INPUTS,
    SEGM,
    PartsWidgets,
    SimpleWidgets,
    choice_of,
    finders_of,
    simple_settings,
    simple_widgets,
)
from .registry import DETECTOR, Node
from .schema import Inputs, InputTypes

if TYPE_CHECKING:
    from typing_extensions import Unpack

BBOX_TOOLTIP = "The detector of rectangles, from a detector provider."
SEGM_TOOLTIP = "The detector of outlines, from a detector provider."
IMAGE_TOOLTIP = "The picture to look at. One picture; of a batch make a list first."
SAM_TOOLTIP = "The SAM model, from SAMLoader (Impact) or Detector Provider (SAM3)."
SEGS_TOOLTIP = "What was found, each with its mask, its box and the crop around it."
DETECTOR_TOOLTIPS = {BBOX: BBOX_TOOLTIP, SEGM: SEGM_TOOLTIP}


def _widgets_for_segs() -> Inputs:
    labels = (
        "Labels to keep, separated by commas; case counts. 'all', or no text, keeps everything; 'eyes', 'eyebrows' and "
        "'pupils' also keep the left and the right one. A '-' before one leaves it out: '-hand' keeps all but hands."
    )
    placeholder = "List the types of segments to be allowed, separated by commas"
    return {
        "image": schema.link("IMAGE", IMAGE_TOOLTIP),
        "threshold": schema.detector_threshold(),
        "dilation": schema.dilation(),
        "crop_factor": schema.crop_factor(100),
        "drop_size": schema.drop_size(),
        "labels": (
            "STRING",
            {"multiline": True, "default": "all", "placeholder": placeholder, "tooltip": labels},
        ),
    }


class _SegsWidgets(TypedDict):
    threshold: float
    dilation: int
    crop_factor: float
    drop_size: int


class MoreSegsWidgets(_SegsWidgets, PartsWidgets, total=False):
    labels: str
    detailer_hook: DetailerHook | None


class _FindsSegs(Node):
    """What the detectors of rectangles and of outlines have in common where they give segments."""

    KIND: ClassVar[str]
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        detector = schema.link(cls.KIND, DETECTOR_TOOLTIPS[cls.KIND])
        return {
            "required": {cls.KIND.lower(): detector, **_widgets_for_segs()},
            "optional": {"detailer_hook": schema.detailer_hook(), **schema.parts()},
        }

    def _found(self, detector: object, image: object, widgets: MoreSegsWidgets) -> tuple[SEGS]:
        picture, choice = self.door.one_image(image), choice_of(self.door, widgets, widgets.get("labels", ""))
        settings = DetectionSettings(
            threshold=widgets["threshold"],
            dilation=widgets["dilation"],
            crop_factor=widgets["crop_factor"],
            drop_size=widgets["drop_size"],
        )
        found = self.door.detector(detector, self.KIND, self.KIND.lower())
        return (choose(found.detect(picture, settings, widgets.get("detailer_hook")), choice),)


class BboxDetectorSEGS(_FindsSegs, name="BBOX Detector (SEGS)", menu=DETECTOR):
    """What a detector of rectangles finds."""

    DESCRIPTION = "Finds things in a picture with a detector of rectangles, each as a segment."
    SEARCH_ALIASES = ("detect faces", "detect hands", "bbox detector", "yolo", "find objects")
    KIND = BBOX

    def doit(self, bbox_detector: object, image: object, **widgets: Unpack[MoreSegsWidgets]) -> tuple[SEGS]:
        return self._found(bbox_detector, image, widgets)


class SegmDetectorSEGS(_FindsSegs, name="SEGM Detector (SEGS)", menu=DETECTOR):
    """What a detector of outlines finds."""

    DESCRIPTION = "Finds things in a picture with a detector of outlines, each as a segment."
    SEARCH_ALIASES = ("segment objects", "segm detector", "yolo seg", "find outlines")
    KIND = SEGM

    def doit(self, segm_detector: object, image: object, **widgets: Unpack[MoreSegsWidgets]) -> tuple[SEGS]:
        return self._found(segm_detector, image, widgets)


class _FindsMask(Node):
    """The same where they give one mask."""

    KIND: ClassVar[str]
    DILATION: ClassVar[int]
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size; black where nothing was found.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                cls.KIND.lower(): schema.link(cls.KIND, DETECTOR_TOOLTIPS[cls.KIND]),
                "image": schema.link("IMAGE", IMAGE_TOOLTIP),
                "threshold": schema.detector_threshold(),
                "dilation": schema.dilation(cls.DILATION),
            }
        }

    def _found(self, detector: object, image: object, settings: DetectionSettings) -> tuple[torch.Tensor]:
        picture = self.door.one_image(image)
        mask = self.door.detector(detector, self.KIND, self.KIND.lower()).detect_combined(picture, settings)
        return (mask.to(host.devices.intermediate_device()),)


class BboxDetectorCombined_v2(_FindsMask, name="BBOX Detector (combined)", menu=DETECTOR):
    """What a detector of rectangles finds, as one mask."""

    DESCRIPTION = "Finds things in a picture with a detector of rectangles and marks all of them in one mask."
    SEARCH_ALIASES = ("detect mask", "bbox mask", "face mask")
    KIND = BBOX
    DILATION = 4

    def doit(self, bbox_detector: object, image: object, threshold: float, dilation: int) -> tuple[torch.Tensor]:
        return self._found(bbox_detector, image, DetectionSettings(threshold, dilation))


class SegmDetectorCombined_v2(_FindsMask, name="SEGM Detector (combined)", menu=DETECTOR):
    """What a detector of outlines finds, as one mask."""

    DESCRIPTION = "Finds things in a picture with a detector of outlines and marks all of them in one mask."
    SEARCH_ALIASES = ("detect mask", "segm mask", "outline mask")
    KIND = SEGM
    DILATION = 0

    def doit(self, segm_detector: object, image: object, threshold: float, dilation: int) -> tuple[torch.Tensor]:
        return self._found(segm_detector, image, DetectionSettings(threshold, dilation))


def _post_dilation() -> Inputs:
    tooltip = "Grows (above 0) or shrinks (below 0) each finished mask within its crop."
    return {"post_dilation": schema.dilation(0, tooltip)}


class _MoreSimpleWidgets(SimpleWidgets, PartsWidgets, total=False):
    post_dilation: int
    sam_model_opt: object
    segm_detector_opt: object


def _settings(widgets: _MoreSimpleWidgets, choice: Choice) -> FindSettings:
    return replace(simple_settings(widgets), post_dilation=widgets.get("post_dilation", 0), choice=choice)


class ImpactSimpleDetectorSEGS(Node, name="Simple Detector (SEGS)", menu=DETECTOR):
    """What a detector of rectangles finds, with outlines from SAM or a detector of outlines."""

    DESCRIPTION = (
        "Finds things with a detector of rectangles, then limits each one's mask to the outline that SAM, or else a "
        "detector of outlines, finds."
    )
    SEARCH_ALIASES = ("detect faces", "bbox and sam", "bbox and segm", "refine detection")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "bbox_detector": schema.link(BBOX, BBOX_TOOLTIP),
                "image": schema.link("IMAGE", IMAGE_TOOLTIP),
                **simple_widgets(),
            },
            "optional": {
                **_post_dilation(),
                "sam_model_opt": schema.link("SAM_MODEL", SAM_TOOLTIP + " Goes before a segm detector."),
                "segm_detector_opt": schema.link(SEGM, SEGM_TOOLTIP + " Used where there is no SAM."),
                **schema.parts_labels(),
                **schema.parts(),
            },
        }

    def doit(self, bbox_detector: object, image: object, **widgets: Unpack[_MoreSimpleWidgets]) -> tuple[SEGS]:
        picture, settings = self.door.one_image(image), _settings(widgets, choice_of(self.door, widgets))
        pipe = self.door.detailer_pipe(detailer_pipe_of({**widgets, "bbox_detector": bbox_detector}))
        return (detect_simple(picture, finders_of(self.door, pipe, OWN_INPUTS), settings),)


class ImpactSimpleDetectorSEGSPipe(Node, name="Simple Detector (SEGS/pipe)", menu=DETECTOR):
    """The same with the detectors, the SAM model and the hook of a pipe."""

    DESCRIPTION = (
        "Finds things with the bbox detector of a DETAILER_PIPE, then limits each one's mask to the outline that its "
        "SAM, or else its segm detector, finds. Its hook goes to both detectors."
    )
    SEARCH_ALIASES = ("detect faces", "bbox and sam", "bbox and segm", "detector pipe")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        pipe = "The detectors, the SAM model and the hook. Its other parts are not used."
        return {
            "required": {
                "detailer_pipe": schema.link("DETAILER_PIPE", pipe),
                "image": schema.link("IMAGE", IMAGE_TOOLTIP),
                **simple_widgets(),
            },
            "optional": {**_post_dilation(), **schema.parts_labels(), **schema.parts()},
        }

    def doit(self, detailer_pipe: object, image: object, **widgets: Unpack[_MoreSimpleWidgets]) -> tuple[SEGS]:
        pipe, picture = self.door.detailer_pipe(detailer_pipe), self.door.one_image(image)
        finders, settings = finders_of(self.door, pipe, IN_PIPE), _settings(widgets, choice_of(self.door, widgets))
        return (detect_simple(picture, finders, settings, pipe.detailer_hook),)


class _SamWidgets(TypedDict):
    detection_hint: str
    dilation: int
    threshold: float
    bbox_expansion: int
    mask_hint_threshold: float
    mask_hint_use_negative: str


class _AsksSam(Node):
    """What the nodes that ask SAM at segments have in common."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "sam_model": schema.link("SAM_MODEL", SAM_TOOLTIP),
                "segs": schema.link("SEGS", "Where SAM looks: their boxes, and their masks with the hint mask-area."),
                "image": schema.link("IMAGE", IMAGE_TOOLTIP),
                "detection_hint": schema.detection_hint(),
                "dilation": schema.dilation(0),
                "threshold": schema.sam_threshold(),
                "bbox_expansion": schema.bbox_expansion(),
                "mask_hint_threshold": schema.mask_hint_threshold(),
                "mask_hint_use_negative": schema.mask_hint_use_negative(),
            }
        }

    @staticmethod
    def _settings(widgets: _SamWidgets) -> SamSettings:
        return SamSettings(
            hint=widgets["detection_hint"],
            threshold=widgets["threshold"],
            dilation=widgets["dilation"],
            bbox_expansion=widgets["bbox_expansion"],
            mask_hint_threshold=widgets["mask_hint_threshold"],
            negative=widgets["mask_hint_use_negative"],
        )


class SAMDetectorCombined(_AsksSam, name="SAMDetector (combined)", menu=DETECTOR):
    """What SAM finds at segments, as one mask."""

    DESCRIPTION = "Shows SAM where the segments are and gives all that it finds there as one mask."
    SEARCH_ALIASES = ("segment anything", "sam mask", "outline of segments")
    RETURN_TYPES = ("MASK",)
    OUTPUT_TOOLTIPS = ("One mask of the picture's size; black where nothing was found.",)

    def doit(
        self, sam_model: object, segs: object, image: object, **widgets: Unpack[_SamWidgets]
    ) -> tuple[torch.Tensor]:
        mask = sam_mask(
            self.door.one_image(image), self.door.segs(segs), self.door.sam(sam_model), self._settings(widgets)
        )
        return (mask.to(host.devices.intermediate_device()),)


class SAMDetectorSegmented(_AsksSam, name="SAMDetector (segmented)", menu=DETECTOR):
    """What SAM finds at segments, in one mask and one by one."""

    DESCRIPTION = "Shows SAM where the segments are and gives what it finds as one mask, and as one mask a segment."
    SEARCH_ALIASES = ("segment anything", "sam masks", "mask per segment")
    RETURN_TYPES = ("MASK", "MASK")
    RETURN_NAMES = ("combined_mask", "batch_masks")
    OUTPUT_TOOLTIPS = (
        "One mask of the picture's size, dilated.",
        "One mask for each segment, in their order, not dilated; black where nothing was found.",
    )

    def doit(
        self, sam_model: object, segs: object, image: object, **widgets: Unpack[_SamWidgets]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        union, each = sam_masks(
            self.door.one_image(image), self.door.segs(segs), self.door.sam(sam_model), self._settings(widgets)
        )
        device = host.devices.intermediate_device()
        return union.to(device), each[:, None].to(device)
