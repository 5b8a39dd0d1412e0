"""Nodes of detectors in ONNX files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import SEGS
from ..detailer import host
from . import schema
from .core_detectors import DETECTOR_TOOLTIP
from .detectors import BboxDetectorSEGS, MoreSegsWidgets
from .file_detectors import ONNX, file_needed, readable, state_of
from .finders import BBOX
from .registry import DETECTOR, PACK, Node
from .schema import InputTypes

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..detailer.detection.onnx.detector import OnnxDetector

FOLDER = "onnx"


def register_folders() -> None:
    """Make the folder of ONNX detectors known to ComfyUI."""
    host.folders.add_model_folder(FOLDER, FOLDER, (ONNX,))


class ONNXDetectorProvider(Node, menu=PACK):
    """An ONNX file as a detector."""

    DESCRIPTION = (
        "Makes a detector of rectangles from an ONNX file: YOLOv8 and 11 as exported by their library, RetinaNet, "
        "UltraFace or SSD MobileNet. It is run by onnxruntime where that is installed, else by OpenCV."
    )
    SEARCH_ALIASES = ("onnx detector", "load onnx", "nudenet", "ultraface", "bbox detector provider")
    RETURN_TYPES = (BBOX,)
    OUTPUT_TOOLTIPS = ("Finds rectangles. " + DETECTOR_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        which = "An ONNX file in models/onnx that finds things in pictures. Press R to see new ones."
        return {"required": {"model_name": (host.folders.model_files(FOLDER), {"tooltip": which})}}

    @classmethod
    def IS_CHANGED(cls, model_name: str | None = None) -> tuple[int, int] | str:
        """A file that was replaced is read anew."""
        return state_of(None if model_name is None else host.folders.model_file(FOLDER, model_name))

    def doit(self, model_name: str) -> tuple[OnnxDetector]:
        from ..detailer.detection.onnx.detector import OnnxDetector, load_onnx

        path = file_needed(self.door, host.folders.model_file(FOLDER, model_name), model_name, "models/onnx")
        with readable(self.door):
            return (OnnxDetector(load_onnx(path)),)


class ONNXDetectorSEGS(BboxDetectorSEGS, name="ONNX Detector (SEGS/legacy) - use BBOXDetector", menu=DETECTOR):
    """BBOX Detector (SEGS) under the id that it had for ONNX files, with that node's input beside its own."""

    DESCRIPTION = (
        "Finds things in a picture with a detector of rectangles. Use 'BBOX Detector (SEGS)', which does the same."
    )
    SEARCH_ALIASES = ("onnx detector old", "deprecated onnx detector")
    DEPRECATED = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        given = BboxDetectorSEGS.INPUT_TYPES()
        required = dict(given["required"])
        old = schema.link(BBOX, "What old workflows call the detector. Connect 'bbox_detector' instead.")
        own = {"bbox_detector": required.pop("bbox_detector")}
        return {"required": required, "optional": {**own, **given["optional"], "onnx_detector": old}}

    def doit(  # type: ignore[override]
        self,
        image: object,
        bbox_detector: object = None,
        onnx_detector: object = None,
        **widgets: Unpack[MoreSegsWidgets],
    ) -> tuple[SEGS]:
        detector = onnx_detector if bbox_detector is None else bbox_detector
        return self._found(detector, image, widgets)
