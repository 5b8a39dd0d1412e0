"""What finds things in a picture, checked together: the detectors and the SAM model of a node or of its pipe."""

from __future__ import annotations

from dataclasses import dataclass

from ..detailer.detection.detect import Finders
from ..detailer.values import DetailerPipe
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
