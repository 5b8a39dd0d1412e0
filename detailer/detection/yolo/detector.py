"""YOLO nets as BBOX_DETECTOR and SEGM_DETECTOR, with the masks, boxes and order that workflows know of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch

from ....core import SEG, SEGS, Region, Size, dilate_mask
from ....segs.boxes import Crops, Found
from ... import host
from ...host.protocols import DetailerHook
from ..core_models import CoreDetector, Told
from .boxes import Frame, Kept, cut_off_bytes, frame_for, kept_of, shown_to_net
from .build import Yolo, build
from .heads import Seen
from .outlines import Outline, outlines_of
from .values import Checkpoint


@dataclass(frozen=True)
class Thing:
    """One thing that was found in a picture.

    Attributes:
        box: ``x1, y1, x2, y2`` in pixels of the picture, not rounded, within it.
        label: the name of its class.
        score: 0..1.
        outline: None where the net gives none.
    """

    box: tuple[float, float, float, float]
    label: str
    score: float
    outline: Outline | None = None

    def extent(self, size: Size) -> Region:
        """Outside of it the mask is 0."""
        if self.outline is not None:
            return self.outline.extent()
        corners = Region.of(self.box)  # both of them are pixels of the box
        return Region(corners.x1, corners.y1, corners.x2 + 1, corners.y2 + 1).within(size)

    def mask(self, region: Region, size: Size) -> torch.Tensor:
        """Its mask in a region of the picture: ``[h,w]`` float32 0..1."""
        if self.outline is not None:
            return self.outline.within(region)
        mask = torch.zeros(*region.size)
        mask[self.extent(size).intersection(region).relative_to(region).slices] = 1.0
        return mask

    def dilated(self, region: Region, size: Size, dilation: int) -> torch.Tensor:
        """The mask in a region of the picture, grown as if in the whole picture; it is never shrunk."""
        area = region.padded(max(dilation, 0)).within(size)
        return dilate_mask(self.mask(area, size)[None], max(dilation, 0))[0][region.relative_to(area).slices]


class YoloModel:
    """A net with what its file says of it, for as many detectors as share it.

    Raises:
        YoloError: for a file that can't be used.

    Attributes:
        has_outlines: it gives outlines too.
        source: the file's name.
        size: the longer side of a picture as the net is shown it, in pixels.
        stride: what both its sides are multiples of.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        net = build(checkpoint)
        self.has_outlines = net.masks
        self.source = checkpoint.source
        self._names: Mapping[int, str] = dict(checkpoint.names)
        self.size = checkpoint.size
        self._once, self.stride = net.once, net.stride
        half = any(tensor.dtype == torch.float16 for tensor in checkpoint.tensors.values())
        self._managed: host.nets.Managed[Yolo] = host.nets.Managed(net, half)

    def things_in(self, image: torch.Tensor, threshold: float, outlines: bool) -> Iterator[Thing]:
        """What is found in a picture ``[1,H,W,C]`` float 0..1, the surest first; of one channel, as grey.

        Args:
            threshold: 0..1; what is found has a higher score.
            outlines: they are wanted, where the net gives them.

        Raises:
            ValueError: for several pictures.
        """
        pixels = cut_off_bytes(one_picture(image))
        frame = frame_for(Size(*pixels.shape[:2]), self.size, self.stride)
        seen, kept = self._look(pixels, frame, threshold)
        return things_of(seen, kept, frame, self._names, outlines)

    def _look(self, pixels: np.ndarray, frame: Frame, threshold: float) -> tuple[Seen, Kept]:
        host.devices.check_interrupted()
        net = self._managed.ready()
        with torch.inference_mode():
            seen = net(shown_to_net(pixels, frame).to(self._managed.device, self._managed.dtype))
            return seen, kept_of(seen, threshold, self._once)


def things_of(seen: Seen, kept: Kept, frame: Frame, names: Mapping[int, str], outlines: bool) -> Iterator[Thing]:
    """What counts as found, in pixels of the picture; of a net that gives masks only what has one.

    Args:
        names: of the classes; one without a name goes by its number.
        outlines: they are wanted, where the net gives them.
    """
    boxes, scores = frame.boxes_in_picture(kept.boxes).tolist(), kept.scores.tolist()
    has_outlines = seen.prototypes is not None
    there = outlines_of(seen, kept, frame) if has_outlines else [None] * len(boxes)
    for box, score, number, outline in zip(boxes, scores, kept.classes.tolist(), there, strict=True):
        if outline is not None or not has_outlines:
            yield Thing(tuple(box), str(names.get(number, number)), score, outline if outlines else None)


def one_picture(image: torch.Tensor) -> torch.Tensor:
    """``[H,W,3]`` of a picture ``[1,H,W,C]`` or ``[H,W,C]``."""
    frames = image[None] if image.ndim == 3 else image
    if len(frames) != 1:
        raise ValueError(f"a detector is shown one picture at a time, not {len(frames)}: make a list of the batch")
    return frames[0].expand(-1, -1, 3) if frames.shape[-1] == 1 else frames[0, ..., :3]


class FindsThings(Protocol):
    """A net that finds things, whoever runs it."""

    def things_in(self, image: torch.Tensor, threshold: float, outlines: bool) -> Iterator[Thing]: ...


@dataclass(frozen=True)
class YoloDetector(CoreDetector):
    """A YOLO net as a detector.

    Attributes:
        outlines: the masks are outlines, not boxes.
    """

    model: FindsThings
    outlines: bool = False

    def found(self, image: torch.Tensor, threshold: float) -> list[Found]:
        size = _size_of(image)
        whole = Region.whole(size)
        return [
            Found(thing.box, thing.label, thing.score, thing.mask(whole, size) if self.outlines else None)
            for thing in self.model.things_in(image, threshold, self.outlines)
        ]

    def detect(
        self,
        image: torch.Tensor,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int = 1,
        detailer_hook: DetailerHook = None,
    ) -> SEGS:
        """Segments of what is found, the surest first, each with its crop of the picture.

        The box of each is as the net gives it, and what is not wider and higher than ``drop_size`` is left out by it.
        """
        hook, size = Told(detailer_hook), _size_of(image)
        crops = Crops(crop_factor, dilation, drop_size)
        segs = []
        for thing in self.model.things_in(image, threshold, self.outlines):
            seg = _segment(thing, image, crops, hook)
            if seg is not None:
                segs.append(seg)
        return hook.post_detection(((size.height, size.width), segs))

    def detect_combined(self, image: torch.Tensor, threshold: float, dilation: int) -> torch.Tensor | None:
        size = _size_of(image)
        union: torch.Tensor | None = None
        for thing in self.model.things_in(image, threshold, self.outlines):
            union = torch.zeros(*size) if union is None else union
            area = thing.extent(size).padded(max(dilation, 0)).within(size)
            part = union[area.slices]
            torch.maximum(part, thing.dilated(area, size, dilation), out=part)
        return union


def _size_of(image: torch.Tensor) -> Size:
    return Size(*image.shape[-3:-1])


def _segment(thing: Thing, image: torch.Tensor, crops: Crops, hook: Told) -> SEG | None:
    """A thing as a segment; None where it is too small, or a hook leaves nothing of its crop."""
    size = _size_of(image)
    x1, y1, x2, y2 = thing.box
    if x2 - x1 <= crops.drop_size or y2 - y1 <= crops.drop_size:
        return None
    box = np.array(thing.box, np.float32)
    region = Region.around(thing.box, crops.crop_factor, size)
    region = Region.of(hook.post_crop_region(size, cast("Sequence[float]", box), region.as_list())).within(size)
    if region.is_empty:
        return None
    frames = image[None] if image.ndim == 3 else image
    crop = frames[:, region.y1 : region.y2, region.x1 : region.x2].clone()
    mask = thing.dilated(region, size, crops.dilation).numpy().copy()
    return SEG(crop, mask, np.array([thing.score], np.float32), region.as_list(), box, thing.label)
