"""Nodes that make detectors of the files that people have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..detailer import host
from ..detailer.detection.yolo.values import YoloError
from .core_detectors import DETECTOR_TOOLTIP
from .door import Door
from .finders import BBOX, SEGM
from .registry import PACK, Node
from .schema import InputTypes
from .validate import InputError

if TYPE_CHECKING:  # what reads files is imported where one is read
    from ..detailer.detection.onnx.detector import OnnxNet
    from ..detailer.detection.onnx.yolo import OnnxYolo
    from ..detailer.detection.yolo.detector import YoloDetector, YoloModel

ONNX = ".onnx"
ALL = "ultralytics"
FOLDERS = {"bbox": "ultralytics_bbox", "segm": "ultralytics_segm"}
"""Where a choice's file lies, by what its name begins with."""
WHERE = "models/ultralytics/bbox or models/ultralytics/segm"


def register_folders() -> None:
    """Make the folders of YOLO files known to ComfyUI."""
    for kind, folder in {ALL: ALL, **{kind: f"{ALL}/{prefix}" for prefix, kind in FOLDERS.items()}}.items():
        host.folders.add_model_folder(kind, folder, also=(ONNX,))


def choices() -> list[str]:
    """The files to choose from, as saved workflows name them: ``bbox/NAME``, then ``segm/NAME``."""
    return [f"{prefix}/{name}" for prefix, kind in FOLDERS.items() for name in host.folders.model_files(kind)]


def file_of(choice: str) -> Path | None:
    """The file of a choice, None where there is none."""
    prefix, _, name = choice.partition("/")
    return host.folders.model_file(ALL, choice) or host.folders.model_file(FOLDERS.get(prefix, ALL), name)


def file_needed(door: Door, path: Path | None, choice: str, folders: str = WHERE) -> Path:
    """The file of a choice.

    Raises:
        InputError: where there is none; it says into which folders it belongs.
    """
    if path is None:
        raise door.error("model_name", f"there is no file {choice}", f"Put it into {folders}, or choose another")
    return path


@contextmanager
def readable(door: Door) -> Iterator[None]:
    """What is wrong with a file becomes an error of the node that reads it."""
    try:
        yield
    except YoloError as error:
        raise door.error("model_name", error.found, error.fix) from error


def state_of(path: Path | None) -> tuple[int, int] | str:
    """What differs once a file is another; nothing of one that isn't there."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        found = None
    return "" if found is None else (found.st_mtime_ns, found.st_size)


def model_of(path: Path) -> YoloModel | OnnxYolo | OnnxNet:
    """The net of a file, by what its name ends with.

    Raises:
        YoloError: for a file that can't be used.
    """
    if path.suffix.lower() == ONNX:
        from ..detailer.detection.onnx.detector import load_onnx

        return load_onnx(path)
    from ..detailer.detection.yolo.checkpoint import read_checkpoint
    from ..detailer.detection.yolo.detector import YoloModel

    return YoloModel(read_checkpoint(path))


@dataclass(frozen=True)
class NoOutlines:
    """What stands for the SEGM_DETECTOR of a model that has none: whoever asks it is told so.

    Attributes:
        node: who made it.
        choice: of which file.
    """

    node: str
    choice: str

    def setAux(self, text: str | None) -> None:
        """It is led by nothing."""

    def detect(self, *given: object, **named: object) -> NoReturn:
        self._refuse()

    def detect_combined(self, *given: object, **named: object) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        found = f"{self.choice} finds boxes only, so its SEGM_DETECTOR can't be used"
        fix = "Choose a model that finds outlines (mostly with -seg in its name), or connect its BBOX_DETECTOR alone"
        raise InputError(self.node, "model_name", found, fix)


class UltralyticsDetectorProvider(Node, menu=PACK):
    """A YOLO file as detectors."""

    DESCRIPTION = (
        "Makes detectors of a YOLO file, such as one that finds faces, hands or people. Of the file only numbers and "
        "names are read: no file can run code."
    )
    SEARCH_ALIASES = ("yolo", "adetailer model", "face detector", "face_yolov8m", "bbox detector provider", "load yolo")
    RETURN_TYPES = (BBOX, SEGM)
    OUTPUT_TOOLTIPS = (
        "Finds rectangles. " + DETECTOR_TOOLTIP,
        "Finds outlines, where the model can; else an error says so when it is used. " + DETECTOR_TOOLTIP,
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        which = (
            f"A YOLO file in {WHERE}: YOLOv8, v9, v10, 11 or 12, or YOLOv5u; "
            "detectors, and segmenters such as person_yolov8m-seg.pt."
        )
        return {"required": {"model_name": (choices(), {"tooltip": which})}}

    @classmethod
    def IS_CHANGED(cls, model_name: str | None = None) -> tuple[int, int] | str:
        """A file that was replaced is read anew."""
        return state_of(None if model_name is None else file_of(model_name))

    def doit(self, model_name: str) -> tuple[YoloDetector, YoloDetector | NoOutlines]:
        from ..detailer.detection.yolo.detector import YoloDetector

        path = file_needed(self.door, file_of(model_name), model_name)
        with readable(self.door):
            model = model_of(path)
        outlines = YoloDetector(model, outlines=True) if model.has_outlines else NoOutlines(self.ID, model_name)
        return YoloDetector(model), outlines
