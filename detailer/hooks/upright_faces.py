"""A hook that turns the face in a crop upright before it is sampled, and back afterwards."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import torch

from ...core import Size, Turn, resample, resize_mask, to_bytes
from ..detection.faces import NORMAL, eyes_of, look_for_faces
from ..host.protocols import FaceModel
from ..values import Latent
from .events import DetailerHook

logger = logging.getLogger("mask_detailer")

RAMP = 1 / 32  # of the shorter side: how softly the turned crop ends where the crop's corners begin


@dataclass(frozen=True)
class FaceFinder:
    """How faces are found in a crop.

    Attributes:
        model: of the kind FACE_DETECTION_MODEL.
        variant: ``short`` or ``full``.
        threshold: 0..1, the least score.
    """

    model: FaceModel
    variant: str
    threshold: float

    def turn(self, pixels: torch.Tensor, near: tuple[float, float]) -> Turn | None:
        """How to turn the face that is nearest to a point upright; None where there is none.

        Args:
            pixels: ``[B,H,W,C]`` float 0..1; the first picture counts.
        """
        turns = []
        seen = to_bytes(pixels[0, ..., :3])
        for face in look_for_faces(self.model, seen, self.threshold, self.variant, NORMAL):
            left, right = eyes_of(face, self.model)
            try:
                turns.append(Turn.of_eyes((float(left[0]), float(left[1])), (float(right[0]), float(right[1]))))
            except ValueError:
                continue
        return min(turns, key=lambda turn: math.dist(turn.centre, near), default=None)


class UprightFaceHook(DetailerHook):
    """Between ``post_upscale`` and ``post_decode`` the crop's face stands upright, and the noise mask with it.

    It keeps what it did to one crop until that crop is decoded: crops go through it one after another.

    Args:
        least_degrees: faces that lean less than that stay as they are.
    """

    def __init__(self, finder: FaceFinder, least_degrees: float) -> None:
        self.finder = finder
        self.least_degrees = least_degrees
        self._turned: tuple[Turn, torch.Tensor] | None = None

    def fingerprint(self) -> object:
        return self.finder, self.least_degrees

    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        self._turned = None
        turn = self.finder.turn(pixels, _middle(Size(*pixels.shape[1:3]), mask))
        if turn is None:
            logger.info("upright faces: no face is found in this crop; it stays as it is")
            return pixels
        if abs(turn.degrees) < self.least_degrees:
            return pixels
        logger.info("upright faces: the face leans by %.0f degrees and is turned upright", turn.degrees)
        self._turned = turn, pixels
        return turn.upright(pixels).clamp_(0.0, 1.0)

    def post_encode(self, samples: Latent) -> Latent:
        mask = samples.get("noise_mask")
        if self._turned is None or mask is None:
            return samples
        turn, before = self._turned
        frames = resize_mask(mask.reshape(-1, *mask.shape[-2:]).float(), Size(*before.shape[1:3]))
        turned = turn.upright_mask(frames)
        return {**samples, "noise_mask": turned.reshape(*mask.shape[:-2], *turned.shape[-2:])}

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        if self._turned is None:
            return pixels
        (turn, before), self._turned = self._turned, None
        size, old = Size(*pixels.shape[1:3]), Size(*before.shape[1:3])
        back = turn.scaled(old, size).back(pixels)
        known = turn.scaled(old, size).coverage(size, RAMP * size.shorter).to(pixels)[..., None]
        around = before[..., : pixels.shape[-1]].to(pixels)
        return back * known + (around if old == size else resample(around, size)) * (1.0 - known)


def _middle(size: Size, mask: torch.Tensor | None) -> tuple[float, float]:
    """The mask's centre of mass in a picture of ``size``, which may have another than the mask; or its middle."""
    weights = None if mask is None else mask.reshape(-1, *mask.shape[-2:]).amax(dim=0)
    if weights is None or not bool(weights.sum() > 0):
        return size.width / 2, size.height / 2
    total = weights.sum()
    height, width = weights.shape
    x = (weights.sum(dim=0) * (torch.arange(width).to(weights) + 0.5)).sum() / total
    y = (weights.sum(dim=1) * (torch.arange(height).to(weights) + 0.5)).sum() / total
    return float(x) * size.width / width, float(y) * size.height / height
