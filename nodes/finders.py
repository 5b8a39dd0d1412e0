"""What finds things in a picture, checked together: the detectors and the SAM model of a node or of its pipe.

And which of what they find is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from ..detailer.detection.detect import DetectionSettings, Finders, FindSettings, SamSettings
from ..detailer.values import DetailerPipe
from ..segs import AS_FOUND, Choice, numbers, split_text
from . import schema
from .door import Door
from .schema import Inputs

BBOX = "BBOX_DETECTOR"
SEGM = "SEGM_DETECTOR"


@dataclass(frozen=True)
class FinderInputs:
    """The inputs that hold them, for errors."""

    bbox_detector: str
    segm_detector: str
    sam: str


OWN_INPUTS = FinderInputs("bbox_detector", "segm_detector_opt", "sam_model_opt")
IN_PIPE = FinderInputs("detailer_pipe", "detailer_pipe", "detailer_pipe")


class PartsWidgets(TypedDict, total=False):
    """The inputs from which a choice is made; see ``schema.parts``."""

    parts_labels: str
    parts_order: str
    parts_most: int
    parts_only: str


def choice_of(door: Door, widgets: PartsWidgets, labels: str | None = None) -> Choice:
    """Which parts are meant.

    Args:
        labels: the text of the node's own ``labels``, where it has that instead of ``parts_labels``.

    Raises:
        InputError: for numbers that can't be read.
    """
    names = widgets.get("parts_labels", "") if labels is None else labels
    try:
        only = numbers(widgets.get("parts_only", ""))
    except ValueError as error:
        fix = "Write the numbers that SEGSPreview shows, such as 1, 3-5, or leave it empty"
        raise door.error("parts_only", str(error), fix) from None
    return Choice(
        labels=tuple(split_text(names)) if names.strip() else None,
        order=widgets.get("parts_order", AS_FOUND),
        most=widgets.get("parts_most", 0),
        only=only,
    )


class SimpleWidgets(TypedDict):
    """The inputs of a detector of rectangles whose finds SAM, or a detector of outlines, limits."""

    bbox_threshold: float
    bbox_dilation: int
    crop_factor: float
    drop_size: int
    sub_threshold: float
    sub_dilation: int
    sub_bbox_expansion: int
    sam_mask_hint_threshold: float


def simple_widgets(farthest: int = 512) -> Inputs:
    """They as a node has them.

    Args:
        farthest: of both dilations, either way.
    """
    sub = "How sure the segm detector must be, or the least score of a mask that SAM gives."
    sub_dilation = "Grows (above 0) or shrinks (below 0) what SAM or the segm detector found."
    hint = "Here for saved workflows. Has no effect: SAM is shown the middle of each segment."
    reach = {"min": -farthest, "max": farthest}
    return {
        "bbox_threshold": schema.detector_threshold(),
        "bbox_dilation": ("INT", schema.dilation(0)[1] | reach),
        "crop_factor": schema.crop_factor(100),
        "drop_size": schema.drop_size(),
        "sub_threshold": schema.threshold(sub),
        "sub_dilation": ("INT", schema.dilation(0, sub_dilation)[1] | reach),
        "sub_bbox_expansion": schema.advanced(schema.bbox_expansion()),
        "sam_mask_hint_threshold": schema.advanced(schema.threshold(hint, 0.7)),
    }


def simple_settings(widgets: SimpleWidgets) -> FindSettings:
    """What they say."""
    crop_factor, drop_size = widgets["crop_factor"], widgets["drop_size"]
    threshold, dilation = widgets["sub_threshold"], widgets["sub_dilation"]
    return FindSettings(
        bbox=DetectionSettings(widgets["bbox_threshold"], widgets["bbox_dilation"], crop_factor, drop_size),
        segm=DetectionSettings(threshold, dilation, crop_factor, drop_size),
        sam=SamSettings("center-1", threshold, dilation, widgets["sub_bbox_expansion"]),
    )


def finders_of(door: Door, pipe: DetailerPipe, inputs: FinderInputs) -> Finders:
    """The finders of a pipe.

    Raises:
        InputError: for what can't detect and is needed.
    """
    sam = door.optional_sam(pipe.sam_model, inputs.sam)
    return Finders(
        bbox_detector=door.detector(pipe.bbox_detector, BBOX, inputs.bbox_detector),
        segm_detector=door.optional_detector(pipe.segm_detector, SEGM, inputs.segm_detector, needed=sam is None),
        sam=sam,
    )
