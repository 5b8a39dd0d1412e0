"""Grain and sharpness: what the VAE took from the surroundings' fine structure, given back to the whole crop."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..frames import alike, alone, over_frames
from .ring import too_small

BANDS = (0.8, 1.6)  # pixels: the finest band lies below the first Gaussian, the next between the two
LEAST_GAIN, LARGEST_GAIN = 0.7, 1.5
UNSEEN_GAIN = 0.04  # so much more or less isn't seen; a factor acts by what it is beyond
LARGEST_GRAIN = 0.03  # standard deviation of a band, in 0..1
LEAST_GRAIN = 0.5 / 255  # what is less isn't seen
BLOCK = 16  # pixels: the ring's blocks, each of which has a factor of its own
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def match_detail(
    before: torch.Tensor, refined: torch.Tensor, ring: torch.Tensor, seed: int, in_place: bool = False
) -> tuple[torch.Tensor, str]:
    """The refined crop with the grain and sharpness that its surroundings had; in all frames as the median of them
    wants, which does not flicker.

    In each of two fine bands, on the ring: what of the picture's structure is still there but weaker (or stronger) is
    the regression of before on after, and is put right by that factor (a gentle unsharp mask, or blur), as far as the
    factor is above its own spread from place to place, ``1 - (spread / (gain - 1))^2`` of it or nothing, and only
    beyond what is seen at all: what a model has made is right in less of its fine structure than the surroundings are.
    What is then missing between the edges has no likeness in the refined crop: it is grain, and is added as noise, the
    same in all channels. It is measured by medians, so that missing edges, which are few and strong, don't pass for
    grain, and is never more than what the factor leaves unexplained, or its limits.
    Source of the shrinking: W. James and C. Stein, "Estimation with Quadratic Loss", 4th Berkeley Symposium (1961).

    Args:
        before: ``[N,h,w,3]`` float 0..1, the crop as it went into the VAE, at the picture's scale.
        refined: the same size, as it came out.
        ring: ``[N or 1,h,w]`` bool (``ring_of``).
        seed: of the grain, which lies the same in every frame.
        in_place: the refined crop is written to.

    Returns:
        ``[N,h,w,3]`` 0..1, or the refined crop itself; and what was done, in words.
    """
    frames = [_measured(*frame) for frame in alone(refined, before, ring)]
    measured = [one for one in frames if not isinstance(one, str)]
    if not measured:
        return refined, f"detail not matched: {frames[0]}"
    noise = np.random.default_rng(seed).standard_normal(tuple(refined.shape[1:3]), np.float32)[..., None]
    grains = _bands(noise)
    changes = [(float(gain), float(sigma)) for gain, sigma in np.median(measured, axis=0)]
    changes = [(gain, sigma if sigma >= LEAST_GRAIN else 0.0) for gain, sigma in changes]

    def change(frame: torch.Tensor) -> torch.Tensor:
        now = frame[0].detach().cpu().numpy().astype(np.float32)
        out = now.copy()
        for (gain, sigma), has, grain in zip(changes, _bands(now), grains, strict=True):
            out += (gain - 1) * has + sigma / float(grain.std()) * grain
        return torch.from_numpy(np.clip(out, 0.0, 1.0)).to(frame)[None]

    words = [f"x{gain:.2f} and grain {sigma * 255:.1f}" for gain, sigma in changes]
    text = f"detail matched: fine {', next '.join(words)}{over_frames(len(measured))}"
    return alike(change, refined, in_place), text


def _measured(refined: torch.Tensor, before: torch.Tensor, ring: torch.Tensor) -> list[tuple[float, float]] | str:
    """For each band a frame's factor, and the standard deviation of its missing grain; or why there are none."""
    reason = too_small(ring)
    if reason:
        return reason
    was, now = (image[0].detach().cpu().numpy().astype(np.float32) for image in (before, refined))
    seen = ring[0].numpy()
    rows, columns = np.nonzero(seen)
    blocks = rows // BLOCK * (seen.shape[1] // BLOCK + 1) + columns // BLOCK
    measured = []
    for had, has in zip(_bands(was @ LUMA), _bands(now), strict=True):
        wanted, given = (band[seen].astype(np.float64) for band in (had, has @ LUMA))
        whole, sure = _gain(wanted, given, blocks)
        gain = min(max(whole, LEAST_GAIN), LARGEST_GAIN)
        unlike = _spread(wanted - whole * given) ** 2 + (whole**2 - gain**2) * _spread(given) ** 2
        beyond = (gain - 1) * sure
        gain = 1 + math.copysign(max(abs(beyond) - UNSEEN_GAIN, 0.0), beyond)
        missing = min(_spread(wanted) ** 2 - (gain * _spread(given)) ** 2, unlike)
        measured.append((gain, min(max(missing, 0.0) ** 0.5, LARGEST_GRAIN)))
    return measured


def _gain(wanted: np.ndarray, given: np.ndarray, blocks: np.ndarray) -> tuple[float, float]:
    """The factor from ``given`` to ``wanted``, ``[n]`` each, and how far it stands out among the blocks', 0..1."""
    alike = np.bincount(blocks, weights=wanted * given)
    power = np.bincount(blocks, weights=given * given)
    gain = float(alike.sum() / max(power.sum(), 1e-9))
    apart = float(np.square(alike - gain * power).sum() / max(np.square(power).sum(), 1e-18))
    return gain, max(1.0 - apart / max((gain - 1) ** 2, 1e-12), 0.0)


def _spread(values: np.ndarray) -> float:
    """The standard deviation of what is normally distributed, whatever the tails: the median absolute value's."""
    return 1.4826 * float(np.median(np.abs(values)))


def _bands(image: np.ndarray) -> list[np.ndarray]:
    """The two finest bands of ``[h,w,C]``."""
    import cv2

    blurred = [cv2.GaussianBlur(image, (0, 0), sigma).reshape(image.shape) for sigma in BANDS]
    return [image - blurred[0], blurred[0] - blurred[1]]
