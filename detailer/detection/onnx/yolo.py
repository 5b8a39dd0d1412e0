"""YOLO nets as their library exports them to ONNX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ....core import Size
from ..yolo.boxes import Frame, Kept, cut_off_bytes, frame_for, frame_in, kept_of, shown_to_net
from ..yolo.detector import Thing, one_picture, things_of
from ..yolo.heads import SIDES, Seen
from ..yolo.values import DETECT, SEGMENT, YoloError
from .engines import Run
from .families import MOST_SIDE
from .header import FLOAT, FLOAT16, Header

STRIDE = 32  # pixels of the coarsest level's cells, where the file does not say
USABLE = "Use a detector or segmenter of YOLOv8, v9, v10, 11 or 12"

# A dictionary as Python shows it: numbers and texts in quotes
_NAME = re.compile(r"(\d{1,6})\s*:\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Layout:
    """What a net's file says of it.

    Attributes:
        found: the output with boxes and scores.
        prototypes: the output that masks are sums of; None of a net without masks.
        channels: of prototypes.
        once: it gives each thing once: ``x1, y1, x2, y2, score, class``, then what masks need.
        shown: the size of what it is shown; None where any will do.
        longest: the longer side of what it was trained with.
        stride: what both sides of what it is shown are multiples of.
        half: it takes half precision.
        names: of its classes.
    """

    found: str
    prototypes: str | None
    channels: int
    once: bool
    shown: Size | None
    longest: int
    stride: int
    half: bool
    names: Mapping[int, str]


def layout_of(header: Header, source: str) -> Layout | None:
    """None for what is no YOLO net as the library exports it.

    Raises:
        YoloError: for one that is, but finds something else than boxes and outlines.
    """
    given = header.inputs[0]
    found = [output for output in header.outputs if len(output.shape) == 3]
    prototypes = [output for output in header.outputs if len(output.shape) == 4]
    if len(given.shape) != 4 or given.shape[1] != 3 or given.kind not in (FLOAT, FLOAT16):
        return None
    if len(found) != 1 or len(prototypes) > 1 or len(header.outputs) != 1 + len(prototypes):
        return None
    task = header.metadata.get("task", "")
    if task and task not in (DETECT, SEGMENT):
        raise YoloError(f"{source} is a YOLO net for another task ({task})", USABLE)
    channels = prototypes[0].shape[1] if prototypes else 0
    rows, columns = found[0].shape[1:]
    once = columns == SIDES + 2 + channels or header.metadata.get("end2end") == "True"
    names = class_names(header.metadata.get("names", ""))
    several = rows - SIDES - channels if rows else len(names)  # where the file leaves it open
    raw = several > 0 and (columns == 0 or columns > rows) and len(names) in (0, several)
    if not (once or raw) or given.shape[0] > 1 or (prototypes and not channels):
        return None
    sides = [int(side) for side in re.findall(r"\d{1,5}", header.metadata.get("imgsz", ""))[:2]]
    stride = header.metadata.get("stride", "")
    return Layout(
        found=found[0].name,
        prototypes=prototypes[0].name if prototypes else None,
        channels=channels,
        once=once,
        shown=Size(*given.shape[2:]) if all(given.shape[2:]) else None,
        longest=min(max([*sides, STRIDE]), MOST_SIDE) if sides else 640,
        stride=int(stride) if re.fullmatch(r"[1-9]\d{0,2}", stride) else STRIDE,
        half=given.kind == FLOAT16,
        names=names,
    )


def class_names(text: str) -> dict[int, str]:
    """Names by number, from a dictionary as Python shows it, such as ``{0: 'face'}``."""
    return {
        int(number): _ESCAPED.sub(r"\1", single or double) for number, single, double in _NAME.findall(text[:1_000_000])
    }


class OnnxYolo:
    """A YOLO net in an ONNX file, as ``YoloModel`` is one of torch.

    Attributes:
        has_outlines: it gives outlines too.
        source: the file's name.
        size: the longer side of a picture as the net is shown it, in pixels.
        stride: what both its sides are multiples of.
    """

    def __init__(self, run: Run, layout: Layout, source: str) -> None:
        self._run = run
        self._layout = layout
        self.has_outlines = layout.prototypes is not None
        self.source = source
        self.size = layout.shown.longer if layout.shown is not None else layout.longest
        self.stride = layout.stride

    def things_in(self, image: torch.Tensor, threshold: float, outlines: bool) -> Iterator[Thing]:
        """What is found in a picture ``[1,H,W,C]`` float 0..1, the surest first; see ``YoloModel``.

        Raises:
            YoloError: where the net gives something else than its file says.
        """
        pixels = cut_off_bytes(one_picture(image))
        frame = self._frame(Size(*pixels.shape[:2]))
        shown = shown_to_net(pixels, frame).numpy()
        said = self._run(shown.astype(np.float16) if self._layout.half else shown)
        seen, kept = self._kept(said, frame, threshold)
        return things_of(seen, kept, frame, self._layout.names, outlines)

    def _frame(self, picture: Size) -> Frame:
        shown = self._layout.shown
        return frame_for(picture, self.size, self.stride) if shown is None else frame_in(picture, shown)

    def _kept(self, said: Mapping[str, np.ndarray], frame: Frame, threshold: float) -> tuple[Seen, Kept]:
        layout = self._layout
        found = torch.from_numpy(said[layout.found].astype(np.float32))
        prototypes = None
        if layout.prototypes is not None:
            prototypes = torch.from_numpy(said[layout.prototypes].astype(np.float32))
            if prototypes.ndim != 4 or prototypes.shape[:2] != (1, layout.channels) or 0 in prototypes.shape:
                raise self._odd(prototypes)
            prototypes = prototypes[0]
        if found.ndim != 3 or len(found) != 1:
            raise self._odd(found)
        rows = found[0] if layout.once else found[0].T
        least = SIDES + layout.channels + (2 if layout.once else 1)
        if rows.shape[1] < least or not bool(torch.isfinite(rows).all()):
            raise self._odd(found)
        coefficients = rows[:, rows.shape[1] - layout.channels :] if layout.channels else None
        if layout.once:
            scores = rows[:, SIDES]
            seen = Seen(rows[:, :SIDES], scores[:, None], coefficients, prototypes)
            places = torch.nonzero(scores > threshold)[:, 0]
            return seen, Kept(rows[places, :SIDES], scores[places], rows[places, SIDES + 1].long(), places)
        middle, half = rows[:, :2], rows[:, 2:SIDES] / 2
        boxes = torch.cat([middle - half, middle + half], dim=1)
        seen = Seen(boxes, rows[:, SIDES : rows.shape[1] - layout.channels], coefficients, prototypes)
        return seen, kept_of(seen, threshold, once=False)

    def _odd(self, found: torch.Tensor) -> YoloError:
        shape = list(found.shape)
        return YoloError(f"{self.source} gives something else than its file says (a tensor of {shape})", USABLE)
