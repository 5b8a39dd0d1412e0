"""Pictures of the segments that a picker node had to choose from in its last run, for the browser's dialog."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
import torch

from ..core import SEG, SEGS, Size, crop_region, encoded, resample, resize_mask, seg_mask, to_bytes
from ..segs import to_image_list

LONGEST_SIDE = 512
DIMMED = 0.3  # how bright what lies outside a segment's mask is shown


class Candidates:
    """Thumbnails by node id. The server reads while nodes run: every method may be called from any thread."""

    def __init__(self) -> None:
        self._pictures: dict[str, list[np.ndarray]] = {}
        self._lock = threading.Lock()

    def keep(self, node_id: str, segs: SEGS, image: torch.Tensor | None) -> None:
        """Remember a node's segments, each by its own image, else its crop of ``image`` ``[n,H,W,C]``, else black."""
        pictures = to_image_list(segs, image) if segs[1] else []
        shown = [
            _thumbnail(_black(seg) if image is None and seg.cropped_image is None else picture, seg)
            for picture, seg in zip(pictures, segs[1], strict=True)
        ]
        with self._lock:
            self._pictures[node_id] = shown

    def forget_all_but(self, node_ids: Iterable[str]) -> None:
        """Drop the nodes that a new prompt doesn't have."""
        kept = set(node_ids)
        with self._lock:
            self._pictures = {node_id: shown for node_id, shown in self._pictures.items() if node_id in kept}

    def count(self, node_id: str) -> int | None:
        """How many segments a node had; None where nothing is known of it."""
        with self._lock:
            pictures = self._pictures.get(node_id)
        return None if pictures is None else len(pictures)

    def png(self, node_id: str, index: int) -> bytes | None:
        """A segment's thumbnail as a PNG file, counted from 0; None where there is none."""
        with self._lock:
            pictures = self._pictures.get(node_id, [])
        if not 0 <= index < len(pictures):
            return None
        return encoded(pictures[index], "png")


def _black(seg: SEG) -> torch.Tensor:
    """``[1,h,w,3]`` of the crop's size, a pixel at the least."""
    size = crop_region(seg).size
    return torch.zeros(1, max(size.height, 1), max(size.width, 1), 3)


def _thumbnail(picture: torch.Tensor, seg: SEG) -> np.ndarray:
    """The first frame as ``[h,w,3]`` bytes, dimmed outside the mask, no side above ``LONGEST_SIDE``."""
    picture = picture[:1, ..., :3].cpu()
    size = Size(*picture.shape[1:3])
    if size.longer > LONGEST_SIDE:
        scale = LONGEST_SIDE / size.longer
        size = Size(max(int(size.height * scale), 1), max(int(size.width * scale), 1))
        picture = resample(picture, size)
    mask = resize_mask(seg_mask(seg).cpu().amax(dim=0, keepdim=True), size)
    shown = picture.clamp(0.0, 1.0) * mask.clamp(DIMMED, 1.0)[..., None]
    return to_bytes(shown[0])
