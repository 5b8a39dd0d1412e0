"""Pictures of the segments that a picker node had to choose from in its last run, for the browser's dialog."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
import torch

from ..core import SEG, SEGS, Size, crop_region, encoded, resample, resize_mask, seg_mask, to_bytes
from ..segs import confidence, to_image_list

LONGEST_SIDE = 512
SHORTEST_SIDE = 32
DIMMED = 0.3  # how bright what lies outside a segment's mask is shown
MOST_BYTES = 64 * 2**20  # of all thumbnails; those of one node are made smaller, those of older nodes go
MOST_NODES = 256
MOST_SEGMENTS = 2000  # of a node; those after them are not shown
MOST_LETTERS = 200  # of an id
MOST_LETTERS_SHOWN = 100  # of a label


@dataclass(frozen=True)
class Candidate:
    """A segment to choose: its thumbnail as ``[h,w,3]`` bytes, what it is and how sure the detector was, 0 to 1."""

    picture: np.ndarray
    label: str
    confidence: float | None


class Candidates:
    """Thumbnails by workflow and node id. The server reads while nodes run: any method may be called from any thread.

    They stay until there are too many of them: a prompt that lacks a node may be another workflow's, or be refused, and
    one that has it may find its result in ComfyUI's cache.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str | None, str], list[Candidate]] = {}  # the last ones made come last
        self._lock = threading.Lock()

    def keep(self, node_id: str, segs: SEGS, image: torch.Tensor | None, workflow: str | None = None) -> None:
        """Remember a node's segments, each by its own image, else its crop of ``image`` ``[n,H,W,C]``, else black.

        Args:
            workflow: the id of the one that runs, None where that is not known.
        """
        if len(node_id) > MOST_LETTERS or len(workflow or "") > MOST_LETTERS:
            return
        segs = segs[0], segs[1][:MOST_SEGMENTS]
        longest = _longest_side(len(segs[1]))
        pictures = to_image_list(segs, image) if segs[1] else []
        shown = [
            _candidate(_black(seg) if image is None and seg.cropped_image is None else picture, seg, longest)
            for picture, seg in zip(pictures, segs[1], strict=True)
        ]
        with self._lock:
            self._kept.pop((workflow, node_id), None)
            self._kept[workflow, node_id] = shown
            while len(self._kept) > 1 and (len(self._kept) > MOST_NODES or self._bytes() > MOST_BYTES):
                self._kept.pop(next(iter(self._kept)))

    def of(self, node_id: str, workflow: str | None = None) -> list[Candidate] | None:
        """The segments that a node had, in their order; None where nothing is known of it.

        Args:
            workflow: the node is looked for there, and in runs that named none; None: wherever it ran last.
        """
        with self._lock:
            return self._of(node_id, workflow)

    def count(self, node_id: str, workflow: str | None = None) -> int | None:
        """How many they are; None where nothing is known of the node."""
        candidates = self.of(node_id, workflow)
        return None if candidates is None else len(candidates)

    def png(self, node_id: str, index: int, workflow: str | None = None) -> bytes | None:
        """A segment's thumbnail as a PNG file, counted from 0; None where there is none."""
        candidates = self.of(node_id, workflow) or []
        if not 0 <= index < len(candidates):
            return None
        return encoded(candidates[index].picture, "png")

    def _of(self, node_id: str, workflow: str | None) -> list[Candidate] | None:
        places = [place for place in self._kept if place[1] == node_id]
        if workflow is not None:
            places = [place for place in places if place[0] in (None, workflow)]
            places.sort(key=lambda place: place[0] is not None)
        return self._kept[places[-1]] if places else None

    def _bytes(self) -> int:
        return sum(one.picture.nbytes for candidates in self._kept.values() for one in candidates)


def _longest_side(count: int) -> int:
    """The thumbnails' side with which so many of them fit."""
    return max(min(LONGEST_SIDE, math.isqrt(MOST_BYTES // (3 * max(count, 1)))), SHORTEST_SIDE)


def _black(seg: SEG) -> torch.Tensor:
    """``[1,h,w,3]`` of the crop's size, a pixel at the least."""
    size = crop_region(seg).size
    return torch.zeros(1, max(size.height, 1), max(size.width, 1), 3)


def _candidate(picture: torch.Tensor, seg: SEG, longest: int) -> Candidate:
    sure = float(confidence(seg))
    label = str(seg.label or "")[:MOST_LETTERS_SHOWN]
    return Candidate(_thumbnail(picture, seg, longest), label, round(sure, 2) if math.isfinite(sure) else None)


def _thumbnail(picture: torch.Tensor, seg: SEG, longest: int) -> np.ndarray:
    """The first frame as ``[h,w,3]`` bytes, dimmed outside the mask, no side above ``longest``."""
    picture = picture[:1, ..., :3].cpu()
    size = Size(*picture.shape[1:3])
    if size.longer > longest:
        scale = longest / size.longer
        size = Size(max(int(size.height * scale), 1), max(int(size.width * scale), 1))
        picture = resample(picture, size)
    mask = resize_mask(seg_mask(seg).cpu().amax(dim=0, keepdim=True), size)
    shown = picture.clamp(0.0, 1.0) * mask.clamp(DIMMED, 1.0)[..., None]
    return to_bytes(shown[0])
