"""Detectors and SAM models of any pack, and what is found with them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from ...core import SEGS, Size, crop_region, dilate_mask, to_bytes
from ...segs import (
    EVERY_PART,
    Choice,
    chosen,
    dilate,
    left_out,
    mask_by_mask,
    mask_by_segs,
    rescale,
    to_combined_mask,
)
from .. import host
from ..host import protocols
from .sam_hints import HINTS, NEGATIVES, Prompt, SamSettings, prompts

__all__ = [
    "HINTS",
    "NEGATIVES",
    "DetectionSettings",
    "Detector",
    "FindSettings",
    "Finders",
    "Sam",
    "SamSettings",
    "choose",
    "detect_faces",
    "detect_simple",
    "sam_mask",
    "sam_masks",
]

logger = logging.getLogger("mask_detailer")

FACE = "face"  # what a detector that is led by text looks for in FaceDetailer
CROP_FACTOR_FOR_MASKS = 3.0  # room for a mask's dilation where only segments can be had

ReadSegs = Callable[[object], SEGS]
ReadMask = Callable[[object, Size], torch.Tensor]


@dataclass(frozen=True)
class DetectionSettings:
    """What a detector is asked for.

    Attributes:
        threshold: 0..1, the least confidence.
        dilation: how far each mask is grown; what it means below 0 is the detector's affair.
        crop_factor: sides of the crop region over sides of the bounding box.
        drop_size: what is not wider and higher than this (pixels) is left out.
    """

    threshold: float
    dilation: int
    crop_factor: float = CROP_FACTOR_FOR_MASKS
    drop_size: int = 1


@dataclass(frozen=True)
class Detector:
    """A BBOX_DETECTOR or SEGM_DETECTOR: any object with ``detect``.

    Attributes:
        read_segs: checks what ``detect`` gave; raises where it is no SEGS.
        read_mask: checks a mask and brings it to ``[1,H,W]`` float32 0..1 of a size; raises where it is no mask.
    """

    detector: protocols.Detector
    read_segs: ReadSegs
    read_mask: ReadMask

    def detect(self, image: torch.Tensor, settings: DetectionSettings, hook: protocols.DetailerHook = None) -> SEGS:
        """What is found in one picture.

        Args:
            image: ``[1,H,W,3 or 4]``; a detector is shown a copy of the colours alone, since some write into it.
            hook: a DETAILER_HOOK as it is, or None. It is the detector's to call; some don't take one.

        Returns:
            the detector's own segments in its order, without those whose crop region has no pixels.
        """
        detect = self.detector.detect
        call = (_own(image), settings.threshold, settings.dilation, settings.crop_factor, settings.drop_size)
        if _takes_hook(detect):  # by keyword: its place differs from pack to pack
            found = detect(*call, detailer_hook=hook)
        else:
            if hook is not None:
                logger.warning("a %s takes no detailer_hook: the hook is not used", type(self.detector).__name__)
            found = detect(*call)
        return _with_pixels(self.read_segs(found))

    def detect_combined(self, image: torch.Tensor, settings: DetectionSettings) -> torch.Tensor:
        """Everything that is found as one mask ``[1,H,W]`` float32 0..1 on the CPU; zeros where nothing is."""
        size = Size(*image.shape[1:3])
        detect = getattr(self.detector, "detect_combined", None)
        if detect is None:
            return self.read_mask(to_combined_mask(rescale(self.detect(image, settings), size)), size)
        found = detect(_own(image), settings.threshold, settings.dilation)
        return torch.zeros(1, *size) if found is None else self.read_mask(found, size)

    def set_aux(self, text: str | None) -> None:
        """What a detector that is led by text looks for where it was given none; most have no use for it."""
        function = getattr(self.detector, "setAux", None)
        if function is not None:
            function(text)

    def contains(self, other: Detector) -> bool:
        """Whether it does the other's work itself: it finds the same things, with outlines."""
        return getattr(self.detector, "bbox_detector", None) is other.detector

    def replaces_boxes(self, hook: protocols.DetailerHook) -> bool:
        """Whether its segments stand instead of those a bbox detector found.

        A hook without an attribute ``override_bbox_by_segm`` forbids it; the attribute's value is not looked at.
        """
        wants = bool(getattr(self.detector, "override_bbox_by_segm", False))
        return wants and (hook is None or hasattr(hook, "override_bbox_by_segm"))


def choose(found: SEGS, choice: Choice) -> SEGS:
    """The parts that a choice takes, see ``chosen``; the log says how many it leaves out."""
    kept = chosen(found, choice)
    if missing := left_out(found, kept):
        count = len(found[1]) - len(kept[1])
        logger.info("%d of %d parts found are left out, as was asked: %s", count, len(found[1]), missing)
    return kept


def _own(image: torch.Tensor) -> torch.Tensor:
    """The colours of a picture for a detector to do with as it likes."""
    return image[..., :3].clone()


def _takes_hook(detect: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(detect).parameters.values()
    except (TypeError, ValueError):  # it doesn't say
        return True
    return any(each.name == "detailer_hook" or each.kind is each.VAR_KEYWORD for each in parameters)


def _with_pixels(segs: SEGS) -> SEGS:
    kept = [seg for seg in segs[1] if not crop_region(seg).is_empty]
    if len(kept) < len(segs[1]):
        logger.warning("%d detections without a pixel in the picture are left out", len(segs[1]) - len(kept))
    return segs[0], kept


@dataclass(frozen=True)
class Sam:
    """A SAM model, by its wrapper: any object with ``predict``.

    Attributes:
        read_mask: as a Detector's.
    """

    wrapper: protocols.SamWrapper
    read_mask: ReadMask

    def masks(
        self, image: torch.Tensor, questions: list[Prompt], threshold: float
    ) -> Generator[torch.Tensor, None, None]:
        """For each prompt one mask ``[1,H,W]`` float32 0..1: the largest values of all that SAM gives for it.

        The wrapper's device is prepared before the first and released after the last, and on any error. An empty
        prompt is not asked and gives zeros.
        """
        size = Size(*image.shape[1:3])
        if all(question.is_empty for question in questions):
            yield from (torch.zeros(1, *size) for _ in questions)
            return
        pixels = to_bytes(image[0, ..., :3])
        try:
            self._call("prepare_device")
            for question in questions:
                host.devices.check_interrupted()
                yield self._predict(pixels, question, threshold, size)
        finally:
            self._call("release_device")

    def _predict(self, pixels: np.ndarray, question: Prompt, threshold: float, size: Size) -> torch.Tensor:
        mask = torch.zeros(1, *size)
        if not question.is_empty:
            given = list(question.points), list(question.labels), question.box, threshold
            masks = self.wrapper.predict(pixels.copy(), *given)  # some write into it
            for found in () if masks is None else masks:
                mask = torch.maximum(mask, self.read_mask(found, size))
        return mask

    def _call(self, method: str) -> None:
        function = getattr(self.wrapper, method, None)
        if function is not None:
            function()


def sam_mask(image: torch.Tensor, segs: SEGS, sam: Sam, settings: SamSettings) -> torch.Tensor:
    """What SAM finds at the segments as one mask ``[1,H,W]`` float32, dilated; zeros where it finds nothing.

    Args:
        image: ``[1,H,W,3 or 4]`` float32 0..1.
        segs: moved to the picture's size where they were made for another.
    """
    union = torch.zeros(1, *image.shape[1:3])
    with closing(_asked(image, segs, sam, settings)) as masks:
        for mask in masks:
            torch.maximum(union, mask, out=union)
    return dilate_mask(union, settings.dilation)


def sam_masks(image: torch.Tensor, segs: SEGS, sam: Sam, settings: SamSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """The same mask as ``sam_mask``, and what SAM finds at each segment, ``[n,H,W]`` float32, not dilated.

    No segments give one mask of zeros. The hint ``mask-points`` asks once for all segments: each gets that mask.
    """
    with closing(_asked(image, segs, sam, settings)) as masks:
        found = list(masks)
    each = torch.cat(found or [torch.zeros(1, *image.shape[1:3])])
    union = dilate_mask(each.amax(dim=0, keepdim=True), settings.dilation)
    return union, each.expand(max(len(segs[1]), 1), -1, -1).clone() if len(found) == 1 else each


def _asked(image: torch.Tensor, segs: SEGS, sam: Sam, settings: SamSettings) -> Generator[torch.Tensor, None, None]:
    size = Size(*image.shape[1:3])
    questions = prompts(rescale(segs, size), size, settings)
    return sam.masks(image, questions, settings.threshold)


@dataclass(frozen=True)
class Finders:
    """Who looks: a detector of boxes, and SAM or a detector of outlines that limits what it finds."""

    bbox_detector: Detector
    segm_detector: Detector | None = None
    sam: Sam | None = None


@dataclass(frozen=True)
class FindSettings:
    """What each of them is asked for.

    Attributes:
        post_dilation: how far each finished mask is grown within its crop, see ``dilate_mask``.
        choice: which of what the bbox detector finds is meant; the others are not limited by SAM either.
    """

    bbox: DetectionSettings
    segm: DetectionSettings
    sam: SamSettings
    post_dilation: int = 0
    choice: Choice = EVERY_PART


def detect_faces(
    image: torch.Tensor, finders: Finders, settings: FindSettings, hook: protocols.DetailerHook = None
) -> SEGS:
    """What FaceDetailer details: what the bbox detector finds, its masks limited by SAM or by a segm detector.

    A detector that is led by text and was given none looks for faces.

    Args:
        image: one picture, ``[1,H,W,3 or 4]`` float32 0..1.
        hook: a DETAILER_HOOK as it is; it sees what the bbox detector finds, and nothing else.

    Returns:
        the bbox detector's segments that ``settings.choice`` takes, those with nothing left of their mask too; or the
        segm detector's own where it replaces them (``Detector.replaces_boxes``) and there is no SAM.
    """
    finders.bbox_detector.set_aux(FACE)
    try:
        found = finders.bbox_detector.detect(image, settings.bbox, hook)
    finally:
        finders.bbox_detector.set_aux(None)
    segm = finders.segm_detector
    if finders.sam is None and segm is not None and segm.replaces_boxes(hook):
        return choose(segm.detect(image, settings.segm), settings.choice)
    segs = choose(found, settings.choice)
    if finders.sam is not None:
        return mask_by_mask(segs, sam_mask(image, segs, finders.sam, settings.sam))
    return segs if segm is None else mask_by_segs(segs, segm.detect(image, settings.segm))


def detect_simple(
    image: torch.Tensor, finders: Finders, settings: FindSettings, hook: protocols.DetailerHook = None
) -> SEGS:
    """What the bbox detector finds, its masks limited by SAM or by a segm detector, then dilated within their crops.

    A segm detector that contains the bbox detector does all by itself.

    Args:
        image: one picture, ``[1,H,W,3 or 4]`` float32 0..1.
        hook: a DETAILER_HOOK as it is, for both detectors.
    """
    segm = finders.segm_detector
    if segm is not None and segm.contains(finders.bbox_detector):
        segs = choose(segm.detect(image, settings.segm, hook), settings.choice)
    else:
        segs = choose(finders.bbox_detector.detect(image, settings.bbox, hook), settings.choice)
        if finders.sam is not None:
            segs = mask_by_mask(segs, sam_mask(image, segs, finders.sam, settings.sam))
        elif segm is not None:
            segs = mask_by_segs(segs, segm.detect(image, settings.segm, hook))
    return dilate(segs, settings.post_dilation) if settings.post_dilation else segs
