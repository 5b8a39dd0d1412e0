"""How well a part fits into its picture, by what can be measured without a model of taste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from ..frames import alone
from .grain import LUMA
from .registration import LEAST_VOTES, measure_drift
from .ring import LEAST

LEVEL = 1 / 255
LEAST_JUMP = 0.5 * LEVEL
TINT, DRIFT = 4 * LEVEL, 1.0  # what counts as much as a seam twice as strong as the picture's; drift in pixels
FREE = 0.5  # octaves by which sharpness and grain may differ from the surroundings': not all of a picture is alike
FINEST = 0.8  # pixels: grain is what lies below this blur
SATURATION = 10.0  # for each share of 1 that is burnt out
ALIKE = 0.25  # by which candidates may differ in all but the seam, and are as good


@dataclass(frozen=True)
class Measures:
    """What is wrong with a part, 0 for nothing; at 1 each is easily seen.

    Attributes:
        seam: the jump across the mask's edge, over what it was before the part was made anew.
        tint, drift: by how much the surroundings came back in another colour, or moved.
        sharpness, grain: octaves by which the part differs from its surroundings beyond ``FREE``.
        saturation: what is burnt out now and was not, and octaves by which colours are stronger or paler than before.
    """

    seam: float
    tint: float
    drift: float
    sharpness: float
    grain: float
    saturation: float

    def cells(self) -> list[str]:
        """The values for a table, in the order of ``NAMES``."""
        return [f"{getattr(self, name):.2f}" for name in NAMES]


NAMES = tuple(field.name for field in fields(Measures))


def totals(candidates: Sequence[Measures]) -> list[float]:
    """What is wrong with each of a part's candidates in one number, 0 and more.

    The seam decides, to which every draw gives another one. Of all else only that counts by which a candidate is more
    than ``ALIKE`` worse than the best of them: less is chance, or the part's own.
    """
    least = {name: min(getattr(one, name) for one in candidates) for name in NAMES if name != "seam"}
    return [
        one.seam + sum(max(getattr(one, name) - best - ALIKE, 0.0) for name, best in least.items())
        for one in candidates
    ]


def measured(
    before: torch.Tensor, refined: torch.Tensor, pasted: torch.Tensor, mask: torch.Tensor, ring: torch.Tensor
) -> Measures:
    """The measures of a crop, the mean of its frames.

    Args:
        before: ``[N,h,w,3]`` float 0..1, the crop as it was.
        refined: the same size, as it came out of the model.
        pasted: the same, as the picture would have it.
        mask: ``[N or 1,h,w]`` 0..1, the part's.
        ring: ``[N or 1,h,w]`` bool, its surroundings (``ring_of``).
    """
    frames = [_of_frame(*frame) for frame in alone(before, refined, pasted, mask, ring)]
    return Measures(**{name: float(np.mean([getattr(one, name) for one in frames])) for name in NAMES})


def _of_frame(*frame: torch.Tensor) -> Measures:
    was, now, put = (one[0].detach().cpu().to(torch.float32).numpy() for one in frame[:3])
    inside, around = frame[3][0].detach().cpu().numpy() > 0.5, frame[4][0].detach().cpu().numpy().astype(bool)
    seam = _jump(put, inside) / max(_jump(was, inside), LEAST_JUMP)
    if not inside.any():
        return Measures(seam, 0.0, 0.0, 0.0, 0.0, 0.0)
    tint = drift = sharpness = grain = 0.0
    if around.sum() >= LEAST:
        tint = float(np.linalg.norm((now - was)[around].mean(axis=0))) / TINT
        (found,) = measure_drift(frame[0], frame[1], frame[4])
        sure = found.confidence >= LEAST_VOTES
        drift = float(np.hypot(found.dx, found.dy)) / DRIFT if sure else 0.0
        sharpness = _apart(_gradient(put)[inside].mean(), _gradient(was)[around].mean())
        grain = _apart(_grain(put)[inside].mean(), _grain(was)[around].mean())
    return Measures(seam, tint, drift, sharpness, grain, _saturation(was[inside], put[inside]))


def _jump(picture: np.ndarray, inside: np.ndarray) -> float:
    """Mean absolute difference between neighbours on both sides of the mask's edge; 0 where it has none."""
    down = np.abs(np.diff(picture, axis=0)).mean(axis=-1)[inside[1:] != inside[:-1]]
    across = np.abs(np.diff(picture, axis=1)).mean(axis=-1)[inside[:, 1:] != inside[:, :-1]]
    both = np.concatenate([down, across])
    return float(both.mean()) if len(both) else 0.0


def _gradient(picture: np.ndarray) -> np.ndarray:
    if min(picture.shape[:2]) < 2:
        return np.zeros(picture.shape[:2], np.float32)
    rows, columns = np.gradient(picture, axis=(0, 1))
    return np.hypot(rows, columns).mean(axis=-1)


def _grain(picture: np.ndarray) -> np.ndarray:
    import cv2

    luma = picture @ LUMA
    return np.abs(luma - cv2.GaussianBlur(luma, (0, 0), FINEST))


def _apart(part: np.floating, surroundings: np.floating) -> float:
    octaves = abs(float(np.log2((part + LEVEL / 8) / (surroundings + LEVEL / 8))))
    return max(octaves - FREE, 0.0)


def _saturation(was: np.ndarray, put: np.ndarray) -> float:
    burnt = [((one <= LEVEL / 2) | (one >= 1 - LEVEL / 2)).any(axis=-1).mean() for one in (was, put)]
    chroma = [float((one.max(axis=-1) - one.min(axis=-1)).mean()) + 2 * LEVEL for one in (was, put)]
    return SATURATION * max(float(burnt[1] - burnt[0]), 0.0) + max(
        abs(float(np.log2(chroma[1] / chroma[0]))) - FREE, 0.0
    )
