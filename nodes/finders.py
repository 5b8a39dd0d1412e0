"""What finds things in a picture: the detectors, the SAM model and the hook of a node, checked together."""

from __future__ import annotations

from dataclasses import dataclass

from ..detailer.detection.detect import Detector, Sam
from ..detailer.host.protocols import DetailerHook
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


@dataclass(frozen=True)
class Finders:
    """A detector of rectangles, and what may limit the masks to outlines: SAM, else a detector of outlines."""

    bbox_detector: Detector
    segm_detector: Detector | None
    sam: Sam | None
    hook: DetailerHook | None

    @classmethod
    def of(cls, door: Door, pipe: DetailerPipe, inputs: FinderInputs) -> Finders:
        """Those of a pipe.

        Raises:
            InputError: for what can't detect and is needed.
        """
        sam = door.optional_sam(pipe.sam_model, inputs.sam)
        bbox_detector = door.detector(pipe.bbox_detector, BBOX, inputs.bbox_detector)
        segm_detector = door.optional_detector(pipe.segm_detector, SEGM, inputs.segm_detector, needed=sam is None)
        return cls(bbox_detector, segm_detector, sam, pipe.detailer_hook)
