"""Small real detectors, as other packs might make them: OpenCV looks for colour on drawn pictures.

They share no code with the pack. What they find is known exactly: discs of pure colour on black, whose saturation is
their coverage of each pixel.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

COLOURS = ("red", "green", "blue")
OVERSAMPLE = 4
COLOURED = 0.25  # of full saturation

# Not the pack's own type, and without a default.
FoundSEG = namedtuple(
    "FoundSEG",
    ["cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label", "control_net_wrapper"],
)

Box = tuple[float, float, float, float]
Found = tuple[tuple[int, int], list[Any]]


class Disc(NamedTuple):
    """A disc of pure colour: centre and radius in pixels, 0..1 how bright, and which of ``COLOURS``."""

    x: float
    y: float
    radius: float
    label: str
    brightness: float = 1.0


def drawn(height: int, width: int, discs: Sequence[Disc]) -> tuple[torch.Tensor, torch.Tensor]:
    """The discs on black, ``[1,H,W,3]``, and how much of each pixel each of them covers, ``[n,H,W]``."""
    picture = np.zeros((height, width, 3), np.float32)
    covers = []
    for disc in discs:
        rows, columns = np.mgrid[: height * OVERSAMPLE, : width * OVERSAMPLE] / OVERSAMPLE + 0.5 / OVERSAMPLE
        inside = ((columns - disc.x) ** 2 + (rows - disc.y) ** 2 <= disc.radius**2).astype(np.float32)
        cover = inside.reshape(height, OVERSAMPLE, width, OVERSAMPLE).mean(axis=(1, 3))
        picture[..., COLOURS.index(disc.label)] += cover * disc.brightness
        covers.append(cover)
    return torch.from_numpy(picture)[None], torch.from_numpy(np.stack(covers))


class BoxDetector:
    """Finds blobs of colour: the rectangle around each as its mask. Confidence is the blob's mean saturation.

    Attributes:
        calls: the arguments of each ``detect``, the picture left out.
        aux: what ``setAux`` was given.
    """

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.aux: list[str | None] = []

    def setAux(self, text: str | None) -> None:
        self.aux.append(text)

    def detect(
        self,
        image: torch.Tensor,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int = 1,
        detailer_hook: Any = None,
    ) -> Found:
        self.calls.append(
            {
                "threshold": threshold,
                "dilation": dilation,
                "crop_factor": crop_factor,
                "drop_size": drop_size,
                "detailer_hook": detailer_hook,
            }
        )
        height, width = image.shape[1:3]
        segs = []
        for mask, box, label, confidence in self._found(image, threshold, dilation):
            if box[2] - box[0] <= drop_size or box[3] - box[1] <= drop_size:
                continue
            crop = _around(box, crop_factor, width, height)
            if detailer_hook is not None:
                crop = detailer_hook.post_crop_region(width, height, box, crop)
            x1, y1, x2, y2 = crop
            cut = image[:, y1:y2, x1:x2]
            segs.append(
                FoundSEG(cut, mask[y1:y2, x1:x2], np.array([confidence]), crop, np.array(box, np.float32), label, None)
            )
        found = (int(height), int(width)), segs
        return found if detailer_hook is None else detailer_hook.post_detection(found)

    def detect_combined(self, image: torch.Tensor, threshold: float, dilation: int) -> torch.Tensor | None:
        masks = [mask for mask, *_ in self._found(image, threshold, dilation)]
        return torch.from_numpy(np.max(masks, axis=0)) if masks else None

    def _found(
        self, image: torch.Tensor, threshold: float, dilation: int
    ) -> list[tuple[NDArray[np.float32], Box, str, float]]:
        pixels = image[0].numpy()
        saturation = pixels.max(axis=-1) - pixels.min(axis=-1)
        count, labels, stats, _ = cv2.connectedComponentsWithStats((saturation > COLOURED).astype(np.uint8))
        found = []
        for number in range(1, count):
            inside = labels == number
            confidence = float(saturation[inside].mean())
            if confidence < threshold:
                continue
            left, top, width, height = (int(value) for value in stats[number][:4])
            box = (left + 0.25, top + 0.25, left + width - 0.25, top + height - 0.25)
            mask = self._mask(saturation, inside, box)
            if dilation > 0:
                mask = cv2.dilate(mask, np.ones((dilation, dilation), np.uint8)).astype(np.float32)
            colour = int(pixels[inside].mean(axis=0).argmax())
            found.append((mask, box, COLOURS[colour], confidence))
        return found

    def _mask(self, saturation: NDArray[np.float32], inside: NDArray[np.bool_], box: Box) -> NDArray[np.float32]:
        mask = np.zeros(saturation.shape, np.float32)
        x1, y1, x2, y2 = (int(value) for value in box)
        mask[y1 : y2 + 1, x1 : x2 + 1] = 1.0
        return mask


class OutlineDetector(BoxDetector):
    """Finds the same with soft outlines: each pixel's saturation, as far as the blob and the pixels beside it reach."""

    def _mask(self, saturation: NDArray[np.float32], inside: NDArray[np.bool_], box: Box) -> NDArray[np.float32]:
        near = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8))
        return saturation * near


class WorldDetector(OutlineDetector):
    """Outlines and, as ``bbox_detector``, the detector of rectangles that belongs to it."""

    def __init__(self) -> None:
        super().__init__()
        self.bbox_detector = BoxDetector()


class OverridingDetector(OutlineDetector):
    """Outlines that want to stand instead of rectangles."""

    override_bbox_by_segm = True


class MinSizeDetector:
    """One with a sixth argument before the hook, without ``detect_combined`` and ``setAux``."""

    def __init__(self) -> None:
        self.inner = BoxDetector()
        self.crop_min_sizes: list[Any] = []

    def detect(
        self,
        image: torch.Tensor,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int = 1,
        crop_min_size: Any = None,
        detailer_hook: Any = None,
    ) -> Found:
        self.crop_min_sizes.append(crop_min_size)
        return self.inner.detect(image, threshold, dilation, crop_factor, drop_size, detailer_hook)


class HooklessDetector:
    """One that knows nothing of hooks."""

    def detect(
        self, image: torch.Tensor, threshold: float, dilation: int, crop_factor: float, drop_size: int = 1
    ) -> Found:
        return BoxDetector().detect(image, threshold, dilation, crop_factor, drop_size)


class NoDetector:
    """What a provider gives where its model finds no outlines."""


class GivenDetector:
    """Gives what it was made with, whatever it is shown."""

    def __init__(self, segs: Any = None, mask: Any = None) -> None:
        self.segs, self.mask = segs, mask

    def detect(self, image: torch.Tensor, *settings: Any, detailer_hook: Any = None) -> Any:
        return self.segs

    def detect_combined(self, image: torch.Tensor, threshold: float, dilation: int) -> Any:
        return self.mask


def _around(box: Box, factor: float, width: int, height: int) -> list[int]:
    sides = []
    for start, end, limit in ((box[0], box[2], width), (box[1], box[3], height)):
        length = min(int((end - start) * factor), limit)
        first = min(max(int((start + end) / 2 - length / 2), 0), limit - length)
        sides.append((first, first + length))
    (x1, x2), (y1, y2) = sides
    return [x1, y1, x2, y2]


class FloodSam:
    """A wrapper as SAM's: floods the picture from points, or takes all that is coloured in a box.

    Attributes:
        events: the wrapper's methods in the order of their calls.
        asked: points, labels, box and threshold of each ``predict``.
        seen: the pixels it was shown last.
    """

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.events: list[str] = []
        self.asked: list[tuple[Any, Any, Any, float]] = []
        self.seen: Any = None

    def prepare_device(self) -> None:
        self.events.append("prepare")

    def release_device(self) -> None:
        self.events.append("release")

    def predict(self, image: NDArray[np.uint8], points: Any, labels: Any, box: Any, threshold: float) -> list[Any]:
        self.events.append("predict")
        self.asked.append((points, labels, box, threshold))
        self.seen = image
        if self.fails:
            raise RuntimeError("the model fails")
        if 1 not in labels:
            x1, y1 = (int(value) for value in box[:2])
            x2, y2 = (int(np.ceil(value)) for value in box[2:])
            mask = np.zeros(image.shape[:2], bool)
            mask[y1:y2, x1:x2] = image[y1:y2, x1:x2].max(axis=-1) > 127
            return [mask]
        wanted, unwanted = (
            [_flooded(image, point) for point, label in zip(points, labels, strict=True) if label == kind]
            for kind in (1, 0)
        )
        return [mask & ~np.any([*unwanted, np.zeros_like(mask)], axis=0) for mask in wanted]


def _flooded(image: NDArray[np.uint8], point: tuple[float, float]) -> NDArray[np.bool_]:
    canvas = np.zeros((image.shape[0] + 2, image.shape[1] + 2), np.uint8)
    seed = int(point[0]), int(point[1])
    flags = 4 | (1 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    cv2.floodFill(image.copy(), canvas, seed, (0, 0, 0), (127,) * 3, (127,) * 3, flags)
    return canvas[1:-1, 1:-1] > 0


class SamModel:
    """A SAM_MODEL: something that carries a wrapper."""

    def __init__(self, wrapper: Any) -> None:
        self.sam_wrapper = wrapper
