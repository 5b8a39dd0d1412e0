"""The kinds of detectors that come as ONNX files, told apart by what they take and give.

Each shows a picture to the net in its way and reads what it says: boxes in pixels of the picture, scores, classes.
Sources: the nets' published inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ....core import Size
from .engines import Run
from .header import FLOAT, FLOAT16, UINT8, WHOLE, Header, Value

MOST_SIDE = 4096  # pixels that a net may want to be shown
FACE_OVERLAP = 0.3  # intersection over union from which two faces are one


@dataclass(frozen=True)
class Boxes:
    """What is found, in the net's order.

    Attributes:
        boxes: ``[n,4]`` float32 ``x1, y1, x2, y2`` in pixels of the picture, not cut off at its edges.
        scores: ``[n]`` float32.
        classes: ``[n]`` whole numbers.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class Family(Protocol):
    """A kind of detector."""

    @property
    def names(self) -> Mapping[int, str]: ...

    def look(self, run: Run, pixels: np.ndarray, threshold: float) -> Boxes:
        """What is found in a picture ``[H,W,3]`` uint8 RGB with a score above the threshold.

        Raises:
            ValueError: where the net gives something else than its file says.
        """
        ...


@dataclass(frozen=True)
class LabelsScoresBoxes:
    """RetinaNet as it was converted from Keras: it takes a picture of any size and gives labels, scores and boxes; the
    first label -1 ends the list.

    Attributes:
        labels, scores, boxes: which output is which.
        names: none; a label is its number.
    """

    labels: str
    scores: str
    boxes: str
    names: Mapping[int, str]

    MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # blue, green, red: what the net was trained without

    @classmethod
    def of(cls, header: Header) -> LabelsScoresBoxes | None:
        shapes = header.inputs[0].shape
        if len(header.outputs) != 3 or len(shapes) != 4 or shapes[3] not in (0, 3) or header.inputs[0].kind != FLOAT:
            return None
        by_kind = {output.kind in WHOLE: output.name for output in header.outputs if len(output.shape) == 2}
        boxes = [output.name for output in header.outputs if len(output.shape) == 3 and output.shape[2] in (0, 4)]
        if len(boxes) != 1 or len(by_kind) != 2:
            return None
        return cls(by_kind[True], by_kind[False], boxes[0], {})

    def look(self, run: Run, pixels: np.ndarray, threshold: float) -> Boxes:
        said = run((pixels[..., ::-1].astype(np.float32) - self.MEAN)[None])
        labels, scores = said[self.labels].reshape(-1), said[self.scores].reshape(-1)
        boxes = said[self.boxes].reshape(-1, 4)
        if not len(labels) == len(scores) == len(boxes):
            raise ValueError(f"it gives {len(labels)} labels, {len(scores)} scores and {len(boxes)} boxes")
        ends = np.flatnonzero(labels == -1)
        there = np.arange(ends[0] if len(ends) else len(labels))
        kept = there[scores[there] > threshold]
        return Boxes(boxes[kept].astype(np.float32), scores[kept].astype(np.float32), labels[kept].astype(np.int64))


@dataclass(frozen=True)
class UltraFace:
    """The small face detector of that name: a picture of a fixed size, scores of background and face, boxes 0..1.

    Attributes:
        shown: the size that the net is shown.
    """

    scores: str
    boxes: str
    shown: Size
    names: Mapping[int, str]

    @classmethod
    def of(cls, header: Header) -> UltraFace | None:
        shown = _fixed(header.inputs[0])
        outputs = {output.shape[2]: output.name for output in header.outputs if len(output.shape) == 3}
        if shown is None or len(header.outputs) != 2 or set(outputs) != {2, 4}:
            return None
        return cls(outputs[2], outputs[4], shown, {1: "face"})

    def look(self, run: Run, pixels: np.ndarray, threshold: float) -> Boxes:
        import cv2
        import torch
        import torchvision

        size = Size(*pixels.shape[:2])
        shown = cv2.resize(pixels, (self.shown.width, self.shown.height)).astype(np.float32)
        said = run(np.ascontiguousarray(((shown - 127) / 128).transpose(2, 0, 1)[None]))
        scores, boxes = said[self.scores].reshape(-1, 2)[:, 1], said[self.boxes].reshape(-1, 4)
        kept = np.flatnonzero(scores > threshold)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        made = boxes[kept].astype(np.float32) * np.array([size.width, size.height] * 2, np.float32)
        sure = scores[kept].astype(np.float32)
        apart = torchvision.ops.nms(torch.from_numpy(made), torch.from_numpy(sure), FACE_OVERLAP).numpy()
        return Boxes(made[apart], sure[apart], np.ones(len(apart), np.int64))


@dataclass(frozen=True)
class SsdMobileNet:
    """SSD as converted from TensorFlow: a picture of bytes of any size, boxes 0..1 as top, left, bottom, right."""

    names: Mapping[int, str]

    BOXES, SCORES, CLASSES, COUNT = "detection_boxes", "detection_scores", "detection_classes", "num_detections"

    @classmethod
    def of(cls, header: Header) -> SsdMobileNet | None:
        given = {output.name.split(":")[0] for output in header.outputs}
        shape = header.inputs[0].shape
        if header.inputs[0].kind != UINT8 or len(shape) != 4 or shape[3] not in (0, 3):
            return None
        return cls({}) if given >= {cls.BOXES, cls.SCORES, cls.CLASSES} else None

    def look(self, run: Run, pixels: np.ndarray, threshold: float) -> Boxes:
        size = Size(*pixels.shape[:2])
        said = {name.split(":")[0]: value for name, value in run(np.ascontiguousarray(pixels[None])).items()}
        scores, boxes = said[self.SCORES].reshape(-1), said[self.BOXES].reshape(-1, 4)
        count = int(said[self.COUNT].reshape(-1)[0]) if self.COUNT in said else len(scores)
        kept = np.flatnonzero(scores[: max(count, 0)] > threshold)
        sides = boxes[kept][:, [1, 0, 3, 2]].astype(np.float32) * np.array([size.width, size.height] * 2, np.float32)
        classes = said[self.CLASSES].reshape(-1)[kept].astype(np.int64)
        return Boxes(sides, scores[kept].astype(np.float32), classes)


def _fixed(value: Value) -> Size | None:
    """The size of a picture ``[1,3,h,w]`` of floats that a net takes; None where it is open or another."""
    if len(value.shape) != 4 or value.shape[1] != 3 or value.kind not in (FLOAT, FLOAT16):
        return None
    size = Size(*value.shape[2:])
    return size if size.shorter > 0 and max(size) <= MOST_SIDE else None
