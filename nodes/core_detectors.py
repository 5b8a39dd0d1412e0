"""Nodes of the detectors group that use what ComfyUI itself ships: its boxes, detection models and face landmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from ..core import SEGS, Size
from ..detailer import host
from ..detailer.detection.core_models import (
    FACE_PARTS,
    FaceLandmarkDetector,
    RTDETRDetector,
    SAM3Model,
    SAM3TextDetector,
    SAM3Wrapper,
    TextSearch,
    sam3_text_detectors,
)
from ..detailer.detection.faces import FACE_DETAILS, FACE_VARIANTS, NORMAL
from ..detailer.hooks.upright_faces import FaceFinder, UprightFaceHook
from ..detailer.host.protocols import Clip, FaceModel, Model
from ..segs.boxes import BoundingBox, Crops, found_in, frames_of, to_boxes, to_segs
from ..segs.filters import ALL, split_text
from . import schema
from .detectors import SEGS_TOOLTIP
from .door import Door
from .hooks import HOOK_TOOLTIP
from .registry import DETAILER, DETECTOR, Node
from .schema import Input, InputTypes

BOXES = "BOUNDING_BOX"
BBOX, CROP = "bounding box", "crop region"
BOXES_SOURCE = "Connect a BOUNDING_BOX, such as the bboxes of 'SAM3 Detect' or of 'Bounding Box'"
RTDETR_SOURCE = "Load an RT-DETR file from models/diffusion_models with 'Load Diffusion Model' and connect its MODEL"
SAM3_SOURCE = "Load a SAM3 file from models/checkpoints with 'Load Checkpoint' and connect its MODEL"
FACE_SOURCE = (
    "Load the face model from models/detection with 'Load Face Detection Model (MediaPipe)' and connect it here"
)
DETECTOR_TOOLTIP = "Connect it to a detector node, or to a detailer that detects by itself."


def _boxes_input(tooltip: str) -> Input:
    return BOXES, {"forceInput": True, "tooltip": tooltip}  # else the browser makes four number fields of it


def _face_model() -> Input:
    tooltip = "The face model, from Load Face Detection Model (MediaPipe)."
    return schema.link(host.detection.FACE_MODEL, tooltip)


def _variant() -> Input:
    tooltip = "short: for faces that fill a good part of the picture. full: for small and distant faces; slower."
    return list(FACE_VARIANTS), {"default": FACE_VARIANTS[0], "tooltip": tooltip}


@dataclass(frozen=True)
class _Wanted:
    """A model that a node works with.

    Attributes:
        what: its name, for errors.
        fits: tells whether a model is one.
        source: where to get one.
    """

    what: str
    fits: Callable[[object], bool]
    source: str

    def checked(self, door: Door, model: object, name: str = "model") -> object:
        """The model, where it is the one that is meant.

        Raises:
            InputError: for None, for a model of another kind, and for what is none.
        """
        if model is None:
            raise door.error(name, "it is missing (None)", self.source)
        if not self.fits(model):
            kind = type(getattr(model, "model", model)).__name__
            raise door.error(name, f"a {kind} is no {self.what}", self.source)
        return model


_RTDETR = _Wanted("RT-DETR model", host.detection.is_rtdetr, RTDETR_SOURCE)
_SAM3 = _Wanted("SAM3 model", host.detection.is_sam3, SAM3_SOURCE)
_FACE_MODEL = _Wanted("face detection model", host.detection.is_face_model, FACE_SOURCE)


class MaskDetailerBoxesToSEGS(Node, name="Boxes to SEGS", menu=DETECTOR, own=True):
    """ComfyUI's boxes as segments."""

    DESCRIPTION = "Makes segments of ComfyUI's bounding boxes: those of its detectors, and those drawn by hand."
    SEARCH_ALIASES = ("bounding box to segs", "bbox to segs", "boxes to segments", "rt-detr to segs")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = (SEGS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        boxes = "One box, or all boxes of one picture, from any of ComfyUI's nodes that give a BOUNDING_BOX."
        label = "What boxes without a label of their own are called."
        return {
            "required": {
                "bounding_boxes": _boxes_input(boxes),
                "image": schema.link("IMAGE", "The picture that the boxes are from; only its size is used."),
                "dilation": schema.dilation(0),
                "crop_factor": schema.crop_factor(100),
                "drop_size": schema.drop_size(),
                "label": ("STRING", {"default": "object", "tooltip": label}),
            }
        }

    def doit(
        self, bounding_boxes: object, image: object, dilation: int, crop_factor: float, drop_size: int, label: str
    ) -> tuple[SEGS]:
        door = self.door
        size = Size(*door.one_image(image).shape[1:3])
        try:
            frames = frames_of(bounding_boxes)
        except ValueError as error:
            raise door.error("bounding_boxes", str(error), BOXES_SOURCE) from error
        if len(frames) > 1:
            found = f"it holds the boxes of {len(frames)} pictures, this node takes those of one"
            fix = "Put 'Image Batch to Image List' before the detector; it then runs once for each picture"
            raise door.error("bounding_boxes", found, fix)
        return (to_segs(found_in(frames[0], label), size, Crops(crop_factor, dilation, drop_size)),)


class MaskDetailerSEGSToBoxes(Node, name="SEGS to Boxes", menu=DETECTOR, own=True):
    """Segments as ComfyUI's boxes."""

    DESCRIPTION = "Gives the segments' rectangles as ComfyUI's bounding boxes: all together, and one by one."
    SEARCH_ALIASES = ("segs to bounding box", "segs to bbox", "segments to boxes", "crop segments")
    RETURN_TYPES = (BOXES, BOXES)
    RETURN_NAMES = ("bounding_boxes", "each_box")
    OUTPUT_IS_LIST = (False, True)
    OUTPUT_TOOLTIPS = (
        "All boxes as those of one picture, with labels and scores: for Draw BBoxes and SAM3 Detect.",
        "A list of single boxes: a node such as Crop Image runs once for each.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        which = "bounding box: the found thing's own rectangle. crop region: the rectangle with its surroundings."
        return {
            "required": {
                "segs": schema.link("SEGS", "The segments."),
                "rectangle": ([BBOX, CROP], {"default": BBOX, "tooltip": which}),
            }
        }

    def doit(self, segs: object, rectangle: str) -> tuple[list[list[BoundingBox]], list[BoundingBox]]:
        boxes = to_boxes(self.door.segs(segs), rectangle == CROP)
        return [boxes], [dict(box) for box in boxes]


class MaskDetailerRTDETRProvider(
    Node, name="Detector Provider (RT-DETR)", menu=DETECTOR, own=True, needs=host.detection.has_rtdetr
):
    """RT-DETR as a detector."""

    DESCRIPTION = "Makes a detector of rectangles of an RT-DETR model, which finds 80 kinds of everyday things."
    SEARCH_ALIASES = ("rt-detr detector", "object detector", "bbox detector provider", "coco", "find people")
    RETURN_TYPES = ("BBOX_DETECTOR",)
    OUTPUT_TOOLTIPS = (DETECTOR_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        labels = "What to look for, separated by commas: person, cat, car and so on. 'all', or no text: everything."
        return {
            "required": {
                "model": schema.link("MODEL", "An RT-DETR model, from Load Diffusion Model."),
                "labels": ("STRING", {"default": "person", "tooltip": labels}),
            }
        }

    def doit(self, model: object, labels: str) -> tuple[RTDETRDetector]:
        door = self.door
        checked = cast(Model, _RTDETR.checked(door, model))
        wanted = [label for label in split_text(labels) if label]
        known = host.detection.rtdetr_labels()
        unknown = [label for label in wanted if label not in (ALL, *known)]
        if unknown:
            raise door.error("labels", f"RT-DETR knows no {', '.join(unknown)}", f"Write some of: {', '.join(known)}")
        return (RTDETRDetector(checked, wanted),)


class MaskDetailerSAM3Provider(
    Node, name="Detector Provider (SAM3)", menu=DETECTOR, own=True, needs=host.detection.has_sam3
):
    """SAM3 as detectors and as a SAM model."""

    DESCRIPTION = (
        "Makes of a SAM3 model what detailers work with: detectors that find what a text names, as rectangles or with "
        "outlines, and a SAM model."
    )
    SEARCH_ALIASES = ("sam3 detector", "segment anything 3", "text detector", "segm detector provider", "sam loader")
    RETURN_TYPES = ("BBOX_DETECTOR", "SEGM_DETECTOR", "SAM_MODEL")
    OUTPUT_TOOLTIPS = (
        "Finds what the text names, as rectangles. Needs the clip.",
        "Finds what the text names, with outlines. Needs the clip.",
        "Finds the outline of what is at a point or in a rectangle. Needs no clip.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        text = (
            "What the detectors look for, several things separated by commas; each becomes the label of what is found. "
            "Every further thing takes the time of a run."
        )
        most = "No more finds than that for each thing, the surest first."
        refine = "How often SAM3 looks closer at an outline. 0 is fastest and coarsest; 2 is what SAM3 Detect has."
        return {
            "required": {
                "model": schema.link("MODEL", "A SAM3 model, from Load Checkpoint."),
                "text": ("STRING", {"default": "face", "tooltip": text}),
                "max_detections": ("INT", {"default": 20, "min": 1, "max": 200, "tooltip": most}),
                "refine_iterations": ("INT", {"default": 2, "min": 0, "max": 5, "tooltip": refine}),
            },
            "optional": {"clip": schema.link("CLIP", "The CLIP that came with the SAM3 model. The detectors need it.")},
        }

    def doit(
        self, model: object, text: str, max_detections: int, refine_iterations: int, clip: Clip | None = None
    ) -> tuple[SAM3TextDetector, SAM3TextDetector, SAM3Model]:
        checked = cast(Model, _SAM3.checked(self.door, model))
        boxes, outlines = sam3_text_detectors(
            TextSearch(checked, clip, text, max_detections, refine_iterations, self.ID)
        )
        return boxes, outlines, SAM3Model(SAM3Wrapper(checked, refine_iterations))


class MaskDetailerFaceLandmarkProvider(
    Node, name="Detector Provider (Face Landmarks)", menu=DETECTOR, own=True, needs=host.detection.has_face_landmarks
):
    """MediaPipe's face landmarks as detectors."""

    DESCRIPTION = "Makes detectors of MediaPipe's face model: they find faces, or their eyes, eyebrows or mouths."
    SEARCH_ALIASES = ("face detector", "mediapipe detector", "eye detector", "mouth detector", "face mesh")
    RETURN_TYPES = ("BBOX_DETECTOR", "SEGM_DETECTOR")
    OUTPUT_TOOLTIPS = (
        "Finds the part as rectangles.",
        "Finds the part with its outline: the hull of its landmarks.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        part = (
            "What each face gives: itself, its two eyes, its two eyebrows, or its mouth. Left is the person's left. "
            "What a face in profile hides is left out."
        )
        detail = (
            "fast: one look at the picture, which finds upright faces. normal: looks in four quarter turns, and once "
            "more at each face alone: faces at any angle. thorough: overlapping parts of the picture too, for faces as "
            "small as a fortieth of it; takes seconds on a CPU."
        )
        return {
            "required": {
                "face_detection_model": _face_model(),
                "part": (list(FACE_PARTS), {"default": "face", "tooltip": part}),
                "detector_variant": _variant(),
            },
            "optional": {"detail": (list(FACE_DETAILS), {"default": NORMAL, "tooltip": detail})},
        }

    def doit(
        self, face_detection_model: object, part: str, detector_variant: str, detail: str = NORMAL
    ) -> tuple[FaceLandmarkDetector, FaceLandmarkDetector]:
        door = self.door
        model = _checked_face_model(door, face_detection_model)
        boxes, outlines = (
            FaceLandmarkDetector(model, part, detector_variant, wanted, detail) for wanted in (False, True)
        )
        return boxes, outlines


class MaskDetailerUprightFaceHook(
    Node, name="Upright Faces (hook)", menu=DETAILER, own=True, needs=host.detection.has_face_landmarks
):
    """Leaning faces sampled upright."""

    DESCRIPTION = (
        "Turns a leaning face upright before its crop is sampled, and back afterwards: models draw upright faces best."
    )
    SEARCH_ALIASES = ("rotate face", "upright face", "tilted face", "align face", "lying face")
    RETURN_TYPES = ("DETAILER_HOOK",)
    OUTPUT_TOOLTIPS = (HOOK_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        least = "Faces that lean by fewer degrees than this stay as they are: turning costs a little sharpness."
        confidence = "How sure the face model must be in the enlarged crop."
        return {
            "required": {
                "face_detection_model": _face_model(),
                "min_angle": ("FLOAT", {"default": 15.0, "min": 0.0, "max": 180.0, "step": 1.0, "tooltip": least}),
                "detector_variant": _variant(),
                "min_confidence": schema.threshold(confidence),
            }
        }

    def doit(
        self, face_detection_model: object, min_angle: float, detector_variant: str, min_confidence: float
    ) -> tuple[UprightFaceHook]:
        model = _checked_face_model(self.door, face_detection_model)
        return (UprightFaceHook(FaceFinder(model, detector_variant, min_confidence), min_angle),)


def _checked_face_model(door: Door, model: object) -> FaceModel:
    return cast(FaceModel, _FACE_MODEL.checked(door, model, "face_detection_model"))
