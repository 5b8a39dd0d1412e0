"""Detectors in ONNX files, as BBOX_DETECTOR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ....core import SEG, SEGS, Region, Size, dilate_mask
from ....core.kept import Kept
from ....segs.boxes import Found
from ...host.protocols import DetailerHook
from ..core_models import CoreDetector, Told
from ..yolo.boxes import cut_off_bytes
from ..yolo.detector import Thing, one_picture
from ..yolo.values import YoloError
from .engines import ENGINES, Make, Run, runner
from .families import Family, LabelsScoresBoxes, SsdMobileNet, UltraFace
from .header import OnnxHeaderError, read_header
from .yolo import OnnxYolo, class_names, layout_of

MOST_FILE = 2**31  # bytes; what protocol buffers bear
MOST_KEPT = 2**29  # bytes of all files whose nets may be wanted again

_FAMILIES: tuple[type[LabelsScoresBoxes] | type[UltraFace] | type[SsdMobileNet], ...] = (
    LabelsScoresBoxes,
    UltraFace,
    SsdMobileNet,
)
_KNOWN = (
    "Use YOLOv8 or 11 as exported by its library, a RetinaNet that gives labels, scores and boxes, UltraFace, or SSD "
    "MobileNet"
)


class OnnxNet:
    """A detector of one of the families, of boxes only.

    Attributes:
        source: the file's name.
    """

    has_outlines = False

    def __init__(self, run: Run, family: Family, source: str) -> None:
        self._run = run
        self._family = family
        self.source = source

    def things_in(self, image: torch.Tensor, threshold: float, outlines: bool = False) -> Iterator[Thing]:
        """What is found in a picture ``[1,H,W,C]`` float 0..1, in the net's order.

        Args:
            threshold: 0..1; what is found has a higher score.

        Raises:
            YoloError: where the net gives something else than its file says.
        """
        pixels = cut_off_bytes(one_picture(image))
        height, width = pixels.shape[:2]
        try:
            found = self._family.look(self._run, pixels, threshold)
        except (KeyError, IndexError, ValueError) as error:
            if isinstance(error, YoloError):
                raise
            raise YoloError(f"{self.source} gives something else than its file says ({error})", _KNOWN) from error
        whole = np.isfinite(found.boxes).all(axis=1)
        boxes = found.boxes[whole].clip(0, [width, height, width, height]).tolist()
        for box, score, number in zip(boxes, found.scores[whole].tolist(), found.classes[whole].tolist(), strict=True):
            yield Thing(tuple(box), self._family.names.get(number, str(number)), score)


def load_onnx(path: Path) -> OnnxYolo | OnnxNet:
    """The net of an ONNX file; kept while the file stays the same.

    Raises:
        YoloError: for what is no ONNX file, for one that needs other files, for an unknown kind of net, where nobody
            can run it, and where it can't be read.
    """
    try:
        found = path.stat()
        if found.st_size > MOST_FILE:
            raise YoloError(f"{path.name} has {found.st_size} bytes, more than any detector", _KNOWN)
        return _kept(path, found.st_mtime_ns, found.st_size)[0]
    except OSError as error:
        fix = "Look whether it is there and may be read"
        raise YoloError(f"{path.name} can't be read ({error.strerror})", fix) from error


def net_of(file: bytes, source: str, engines: Mapping[str, Make] = ENGINES) -> OnnxYolo | OnnxNet:
    """The net of an ONNX file's bytes; see ``load_onnx``.

    Args:
        source: the file's name, for messages.
        engines: who may run it.
    """
    try:
        header = read_header(file)
    except OnnxHeaderError as error:
        raise YoloError(f"{source} {error}", f"{_KNOWN}, in one file") from error
    if len(header.inputs) != 1 or not header.outputs:
        raise YoloError(f"{source} is no detector that is known here: {header}", _KNOWN)
    family = next((family for kind in _FAMILIES if (family := kind.of(header)) is not None), None)
    layout = layout_of(header, source) if family is None else None
    if family is None and layout is None:
        raise YoloError(f"{source} is no detector that is known here: {header}", _KNOWN)
    run = runner(file, header, source, engines)
    if layout is not None:
        return OnnxYolo(run, layout, source)
    assert family is not None
    named = class_names(header.metadata.get("names", ""))
    return OnnxNet(run, replace(family, names=named) if named else family, source)


def _load(path: Path, _changed: int, size: int) -> tuple[OnnxYolo | OnnxNet, int]:
    return net_of(path.read_bytes(), path.name), size


_kept = Kept(_load, lambda loaded: loaded[1], MOST_KEPT)


@dataclass(frozen=True)
class OnnxDetector(CoreDetector):
    """A net as ONNXDetectorProvider's workflows know it: boxes of whole pixels, and no picture in its segments."""

    net: OnnxYolo | OnnxNet

    def found(self, image: torch.Tensor, threshold: float) -> list[Found]:
        things = self.net.things_in(image, threshold, False)
        return [Found(_box(thing).as_tuple(), thing.label, thing.score) for thing in things]

    def detect(
        self,
        image: torch.Tensor,
        threshold: float,
        dilation: int,
        crop_factor: float,
        drop_size: int = 1,
        detailer_hook: DetailerHook = None,
    ) -> SEGS:
        """Segments of what is found, in the net's order. Each mask is grown or shrunk within its crop."""
        size, hook = Size(*image.shape[-3:-1]), Told(detailer_hook)
        segs = []
        for thing in self.net.things_in(image, threshold, False):
            box = _box(thing)
            if box.width <= drop_size or box.height <= drop_size:
                continue
            region = box.grown(crop_factor, size)
            region = Region.of(hook.post_crop_region(size, box.as_tuple(), region.as_list())).within(size)
            if region.is_empty:
                continue
            mask = torch.zeros(1, *region.size)
            mask[0][box.intersection(region).relative_to(region).slices] = 1.0
            mask = dilate_mask(mask, dilation)[0].numpy()
            segs.append(SEG(None, mask, np.float32(thing.score), region.as_list(), box.as_tuple(), thing.label))
        return hook.post_detection(((size.height, size.width), segs))


def _box(thing: Thing) -> Region:
    """A thing's box in whole pixels, cut off and not rounded."""
    return Region(*(int(side) for side in thing.box))
