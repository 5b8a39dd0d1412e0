"""ComfyUI's own detection models, dressed as BBOX_DETECTOR, SEGM_DETECTOR and SAM_MODEL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...core import SEGS, Size, to_bytes
from ...segs.boxes import Crops, Found, found_in, limited, to_mask, to_segs
from .. import host
from ..host.protocols import Clip, DetailerHook, FaceModel, Model
from .faces import FAST, look_for_faces, part_of, sees

# A face's parts: each a label, and the set of landmarks whose hull is its outline. Left is the person's left.
FACE_PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "face": (("face", "face_oval"),),
    "eyes": (("left_eye", "left_eye"), ("right_eye", "right_eye")),
    "eyebrows": (("left_eyebrow", "left_eyebrow"), ("right_eyebrow", "right_eyebrow")),
    "mouth": (("mouth", "lips"),),
}


@dataclass(frozen=True)
class Told:
    """A detailer hook, as a detector calls it; it may lack either method."""

    hook: DetailerHook

    def post_crop_region(self, size: Size, bbox: Sequence[float], crop_region: Sequence[int]) -> Sequence[int]:
        function = getattr(self.hook, "post_crop_region", None)
        return crop_region if function is None else function(size.width, size.height, bbox, crop_region)

    def post_detection(self, segs: SEGS) -> SEGS:
        function = getattr(self.hook, "post_detection", None)
        return segs if function is None else function(segs)


class CoreDetector:
    """The detector protocol over ``found``, which each of them has for itself."""

    def found(self, image: torch.Tensor, threshold: float) -> list[Found]:
        """What is found in one picture ``[1,H,W,3]`` float 0..1 with at least that score (0..1)."""
        raise NotImplementedError

    def setAux(self, text: str | None) -> None:
        """What a detector that is led by text looks for where it was given none."""

    def detect(
        self,
        image: torch.Tensor,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int = 1,
        detailer_hook: DetailerHook = None,
    ) -> SEGS:
        hook = Told(detailer_hook)
        size = Size(*image.shape[1:3])
        crops = Crops(crop_factor, dilation, drop_size)
        return hook.post_detection(to_segs(self.found(image, threshold), size, crops, hook))

    def detect_combined(self, image: torch.Tensor, threshold: float, dilation: int) -> torch.Tensor | None:
        """Everything in one mask ``[H,W]``, None where nothing is found."""
        found = self.found(image, threshold)
        return to_mask(found, Size(*image.shape[1:3]), dilation)[0] if found else None


@dataclass(frozen=True)
class RTDETRDetector(CoreDetector):
    """RT-DETR: boxes of everyday things.

    Attributes:
        labels: which of them; ``all`` or none for everything.
    """

    model: Model
    labels: Sequence[str] = ()

    def found(self, image: torch.Tensor, threshold: float) -> list[Found]:
        boxes = host.detection.rtdetr_boxes(self.model, image[..., :3], threshold)
        return limited(found_in(boxes, "object"), self.labels)


@dataclass(frozen=True)
class TextSearch:
    """What SAM3 is asked to look for.

    Attributes:
        clip: SAM3's own; without it nothing can be looked for.
        text: what to look for, several things separated by commas; each is a label.
        most: no more finds than that for each of them.
        refinements: how often SAM3 looks closer at each outline.
        source: where clip and text are given, for messages.
    """

    model: Model
    clip: Clip | None
    text: str
    most: int
    refinements: int
    source: str


class SAM3TextDetector(CoreDetector):
    """SAM3 led by text: boxes, or outlines too.

    Args:
        outlines: the masks are outlines, not boxes.

    Attributes:
        bbox_detector: of the one that gives outlines, the one whose work it does too. Detector nodes look for the name.
    """

    bbox_detector: SAM3TextDetector

    def __init__(self, search: TextSearch, outlines: bool) -> None:
        self.search = search
        self.texts = _parts(search.text)
        self.outlines = outlines
        self.aux: list[str] = []

    def setAux(self, text: str | None) -> None:
        self.aux = _parts(text or "")

    def found(self, image: torch.Tensor, threshold: float) -> list[Found]:
        search = self.search
        if search.clip is None:
            raise ValueError(
                f"{search.source}, input 'clip': nothing is connected, and without it SAM3 can't look for a text. "
                "Connect the CLIP of the checkpoint loader that loads SAM3"
            )
        texts = self.texts or self.aux
        if not texts:
            raise ValueError(f"{search.source}, input 'text': it is empty. Write what to look for, such as face")
        refinements = search.refinements if self.outlines else 0
        found = []
        for text in texts:
            host.devices.check_interrupted()
            prompt = host.text.encode_text(search.clip, text)
            boxes, masks = host.detection.sam3_by_text(
                search.model, image[..., :3], prompt, threshold, search.most, refinements
            )
            for one, mask in zip(found_in(boxes, text), masks, strict=True):
                found.append(Found(one.box, text, one.score, mask.cpu() if self.outlines else None))
        return found


def sam3_text_detectors(search: TextSearch) -> tuple[SAM3TextDetector, SAM3TextDetector]:
    """One that gives boxes, and one that gives outlines and does the other's work itself."""
    boxes, outlines = (SAM3TextDetector(search, wanted) for wanted in (False, True))
    outlines.bbox_detector = boxes
    return boxes, outlines


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@dataclass(frozen=True)
class SAM3Wrapper:
    """SAM3 asked by points and boxes, in the form of a SAM wrapper."""

    model: Model
    refinements: int

    def prepare_device(self) -> None:
        host.detection.load_sam3(self.model)

    def release_device(self) -> None:
        """Nothing to do: ComfyUI unloads its models where it needs their room."""

    def predict(
        self,
        image: np.ndarray,
        points: Sequence[tuple[float, float]],
        labels: Sequence[int],
        box: Sequence[float] | None,
        threshold: float,
    ) -> list[np.ndarray]:
        """One mask ``[H,W]`` of booleans for a question about a picture ``[H,W,3]`` uint8.

        Args:
            threshold: has no effect: ComfyUI's SAM3 gives no score with its mask.
        """
        pixels = torch.from_numpy(np.ascontiguousarray(image))[None].float() / 255.0
        given_points = [(float(x), float(y)) for x, y in points or ()]
        given_box = None if box is None or not len(box) else [float(value) for value in box]
        mask = host.detection.sam3_by_hint(
            self.model, pixels, given_points, [int(label) for label in labels or ()], given_box, self.refinements
        )
        return [mask[0].numpy() > 0.5]


@dataclass(frozen=True)
class SAM3Model:
    """A SAM_MODEL: something that carries a wrapper."""

    sam_wrapper: SAM3Wrapper


@dataclass(frozen=True)
class FaceLandmarkDetector(CoreDetector):
    """Faces, or parts of them, by MediaPipe's landmarks.

    Attributes:
        part: one of ``FACE_PARTS``.
        variant: one of ``FACE_VARIANTS``.
        outlines: the masks are the landmarks' hulls, not boxes.
        detail: one of ``FACE_DETAILS``.
    """

    model: FaceModel
    part: str
    variant: str
    outlines: bool
    detail: str = FAST

    def found(self, image: torch.Tensor, threshold: float) -> list[Found]:
        size = Size(*image.shape[1:3])
        found = []
        for face in look_for_faces(self.model, to_bytes(image[0, ..., :3]), threshold, self.variant, self.detail):
            for label, landmarks in FACE_PARTS[self.part]:
                if not sees(face, self.model, landmarks):
                    continue
                points = part_of(face, self.model, landmarks)
                (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
                mask = hull(points, size) if self.outlines else None
                found.append(Found((x1, y1, x2, y2), label, face.score, mask))
        return found


def hull(points: np.ndarray, size: Size) -> torch.Tensor:
    """What lies within the convex hull of points ``[n,2]``, as a mask ``[H,W]`` of 0 and 1."""
    import cv2

    bits = 4  # of a pixel's fraction, for OpenCV's whole numbers
    corners = cv2.convexHull(((points - 0.5) * 2**bits).round().astype(np.int32))  # its pixels' centres are whole
    mask = np.zeros(size, np.float32)
    cv2.fillConvexPoly(mask, corners, 1.0, shift=bits)
    return torch.from_numpy(mask)
