"""SAM as a SAM_MODEL: what carries a wrapper that is asked for masks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ....core import Size
from ...host.placement import Placement
from .networks import Embedding, Question, SamNetwork


class SamFileWrapper:
    """SAM 1 or SAM 2 in the form of a SAM wrapper. Of the last picture it keeps what it was encoded to."""

    def __init__(self, network: SamNetwork, placement: Placement) -> None:
        self.network = network
        self.placement = placement
        self._seen: tuple[bytes, Embedding] | None = None

    def prepare_device(self) -> None:
        self.placement.load()

    def release_device(self) -> None:
        self.placement.release()
        if self._seen is not None and not self.placement.stays:
            key, embedding = self._seen
            self._seen = key, tuple(each.cpu() for each in embedding)

    def predict(
        self,
        image: np.ndarray,
        points: Sequence[tuple[float, float]],
        labels: Sequence[int],
        box: Sequence[float] | None,
        threshold: float,
    ) -> list[np.ndarray]:
        """The masks ``[H,W]`` of booleans that SAM takes to be good enough, or the best one where none is.

        Args:
            image: ``[H,W,3]`` uint8; encoded once, however often it is asked about one after another.
            threshold: the least score; SAM's estimate of how well a mask fits, about 0..1.

        Returns:
            nothing where there is neither point nor box, and where even the best has no score above 0.
        """
        given_points = [(float(x), float(y)) for x, y in (() if points is None else points)]
        given_labels = [int(label) for label in (() if labels is None else labels)]
        given_box = None if box is None or not len(box) else [float(value) for value in box]
        question = Question(given_points, given_labels, given_box)
        if not given_points and given_box is None:
            return []
        with torch.inference_mode():
            logits, scores = self.network.masks(self._embedding(image), question, Size(*image.shape[:2]))
            return [(logits[place] > 0).cpu().numpy() for place in kept(scores.tolist(), threshold)]

    def _embedding(self, image: np.ndarray) -> Embedding:
        key = _key(image)
        if self._seen is None or self._seen[0] != key:
            self._seen = None
            self._seen = key, self.network.encode(image)
        return self._seen[1]


def kept(scores: Sequence[float], threshold: float) -> list[int]:
    """Which masks are good enough: those with at least that score, else the best, unless it has none above 0."""
    good = [place for place, score in enumerate(scores) if score >= threshold]
    best = max(range(len(scores)), key=lambda place: scores[place])
    return good or ([best] if scores[best] > 0 else [])


def _key(image: np.ndarray) -> bytes:
    """What tells pictures apart: 16 bytes of their values and size."""
    digest = hashlib.blake2b(repr((image.shape, image.dtype.str)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


@dataclass(frozen=True)
class SamModel:
    """A SAM_MODEL: something that carries a wrapper.

    Attributes:
        name: which SAM it is.
    """

    name: str
    sam_wrapper: SamFileWrapper
