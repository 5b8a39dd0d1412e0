"""What finds things in a picture, checked together: the detectors and the SAM model of a node or of its pipe.

And which of what they find is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from ..detailer.detection.detect import Finders
from ..detailer.values import DetailerPipe
from ..segs import AS_FOUND, Choice, numbers, split_text
from .door import Door

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
