"""Drift: models that put out a crop a little shifted or zoomed. Measured on the surroundings, and undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..banded import Band, along_height, along_width
from ..frames import alike, alone, over_frames
from ..region import Size
from ..resample import LOBES, lanczos
from .ring import LEAST, too_small

LEAST_DRIFT = 0.25  # pixels; resampling costs more than less than this would
LARGEST_DRIFT = 16.0  # pixels
LARGEST_ZOOM = 0.05
SIGMAS = (2.5, 1.0)  # pixels: the blurs under which the two crops are compared, coarse first
STEPS = 8  # under each
PLACES = 16384  # pixels of the surroundings at most that the steps look at, spread evenly
BLOCK = 16  # pixels
LEAST_GAIN = 0.2  # share of the difference on the surroundings that undoing must remove
LEAST_VOTES = 0.6  # share of the blocks in which it must be less
LARGEST_DOUBT = 0.1  # pixels: standard error


@dataclass(frozen=True)
class Drift:
    """How a crop came out displaced: what was at ``x`` is now at ``x + shift + zoom * (x - middle)``.

    Attributes:
        dx, dy: shift in pixels, to the right and down.
        zoom: 0.01 for 1 % larger.
        confidence: 0..1: the share of the surroundings' blocks that agree; 0 where the measure can't be trusted.
    """

    dx: float
    dy: float
    zoom: float
    confidence: float

    def largest(self, size: Size) -> float:
        """The largest displacement in a crop of ``size``, in pixels, at a corner."""
        x = abs(self.dx) + abs(self.zoom) * (size.width - 1) / 2
        y = abs(self.dy) + abs(self.zoom) * (size.height - 1) / 2
        return float(np.hypot(x, y))

    def __str__(self) -> str:
        return f"{self.dx:+.2f},{self.dy:+.2f} px, zoom {100 * self.zoom:+.2f} %"


def undo_drift(
    before: torch.Tensor, refined: torch.Tensor, ring: torch.Tensor, in_place: bool = False
) -> tuple[torch.Tensor, str]:
    """The refined crop moved back to where the surroundings were, if that is certain; all frames by the same, which
    does not shake: the median of those that are certain, or if they are fewer than half, of all.

    Args:
        before: ``[N,h,w,3]`` float 0..1, the crop as it went into the VAE, at the picture's scale.
        refined: the same size, as it came out.
        ring: ``[N or 1,h,w]`` bool (``ring_of``).
        in_place: the refined crop is written to.

    Returns:
        ``[N,h,w,3]``, resampled by Lanczos-3, or the refined crop itself; and what was done, in words.
    """
    frames = [frame for frame in alone(before, refined, ring) if too_small(frame[-1]) is None]
    if not frames:
        return refined, f"drift not measured: {too_small(ring[:1])}"
    found = _together([_measured(*frame) for frame in frames])
    size, over = Size(*refined.shape[1:3]), over_frames(len(frames))
    moved = found.largest(size)
    if moved < LEAST_DRIFT:
        return refined, f"no drift: its surroundings moved by {moved:.2f} px at most{over}"
    if found.confidence < LEAST_VOTES:
        return refined, f"drift not undone: {found} is not certain{over}"
    across, down = _moving_band(size.width, found.dx, found.zoom), _moving_band(size.height, found.dy, found.zoom)

    def change(frame: torch.Tensor) -> torch.Tensor:
        planes = along_height(along_width(frame[0].movedim(-1, 0), across), down)
        return planes.movedim(0, -1)[None].clamp(0.0, 1.0)

    return alike(change, refined, in_place), f"drift undone: {found}{over}"


def _together(found: Sequence[Drift]) -> Drift:
    sure = [one for one in found if one.confidence >= LEAST_VOTES]
    counted = sure if 2 * len(sure) >= len(found) else found
    dx, dy, zoom, confidence = np.median([(one.dx, one.dy, one.zoom, one.confidence) for one in counted], axis=0)
    return Drift(float(dx), float(dy), float(zoom), float(confidence))


def measure_drift(before: torch.Tensor, refined: torch.Tensor, ring: torch.Tensor) -> tuple[Drift, ...]:
    """For each frame the shift and zoom that explain best how the ring changed; a gain and an offset don't count.

    Phase correlation gives a first guess; from there and from no drift, weighted least squares on the gradients go on,
    and the better one counts. It is trusted where it removes a good share of the difference, in most of the ring's
    blocks, and where the ring has texture enough both ways.
    Source: B. Lucas and T. Kanade, "An Iterative Image Registration Technique", IJCAI 1981; C. Kuglin and D. Hines,
    "The Phase Correlation Image Alignment Method", IEEE Cybernetics and Society 1975.

    Args: as for ``undo_drift``.
    """
    return tuple(_measured(*frame) for frame in alone(before, refined, ring))


def _measured(before: torch.Tensor, refined: torch.Tensor, ring: torch.Tensor) -> Drift:
    import cv2

    was, now = (image[0].detach().cpu().to(torch.float32).mean(dim=-1).numpy() for image in (before, refined))
    around = ring[0].numpy()
    square = np.ones((7, 7), np.uint8)
    seen = cv2.erode(around.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if seen.sum() < LEAST:
        seen = around
    dx, dy = _phase_correlated(was, now, around)
    guesses = [(0.0, 0.0, 0.0), (dx, dy, 0.0)]
    near = np.hypot(dx, dy) < SIGMAS[0] / 2  # both would end at the same place
    fits = [_least_squares(was, now, seen, guess) for guess in guesses[: 1 if near else 2]]
    fit = min(fits, key=lambda one: one.left)
    moved = Drift(*fit.place, 0.0)
    size = Size(*was.shape)
    possible = moved.largest(size) <= LARGEST_DRIFT and abs(moved.zoom) <= LARGEST_ZOOM
    sure = possible and fit.doubt <= LARGEST_DOUBT and fit.left <= (1 - LEAST_GAIN) * fit.at_first
    return Drift(*fit.place, fit.votes if sure else 0.0)


@dataclass(frozen=True)
class _Fit:
    """A fit: where, the mean squared difference there and without drift, blocks in favour, standard error in pixels."""

    place: tuple[float, float, float]
    left: float
    at_first: float
    votes: float
    doubt: float


def _phase_correlated(was: np.ndarray, now: np.ndarray, ring: np.ndarray) -> tuple[float, float]:
    """The shift by phase correlation of the ring's fine structure."""
    import cv2

    weights = cv2.GaussianBlur(ring.astype(np.float32), (0, 0), 2.0)
    fine = [
        weights * (cv2.GaussianBlur(image, (0, 0), 1.0) - cv2.GaussianBlur(image, (0, 0), 4.0)) for image in (was, now)
    ]
    (dx, dy), _ = cv2.phaseCorrelate(*(image.astype(np.float64) for image in fine))
    return (dx, dy) if np.hypot(dx, dy) <= LARGEST_DRIFT else (0.0, 0.0)


def _least_squares(was: np.ndarray, now: np.ndarray, seen: np.ndarray, place: tuple[float, float, float]) -> _Fit:
    """Gauss-Newton steps from a place, under a coarse blur and then a fine one, and how well the end fits."""
    import cv2

    at, normal = np.array(place), np.eye(3)
    source, target = now, was
    for sigma in SIGMAS:
        source, target = (cv2.GaussianBlur(image, (0, 0), sigma) for image in (now, was))
        at, normal = _nearer(source, target, seen, at)
        if np.abs(at[:2]).max() > 2 * LARGEST_DRIFT or abs(at[2]) > 2 * LARGEST_ZOOM:
            break
    wanted = target[seen]
    first = _without_gain(source[seen], wanted) ** 2
    last = _without_gain(_moved(source, at)[seen], wanted) ** 2
    rows, columns = np.nonzero(seen)
    gained = np.bincount(rows // BLOCK * (seen.shape[1] // BLOCK + 1) + columns // BLOCK, weights=first - last)
    counted = np.abs(gained) > 0.01 * np.abs(gained).max() + 1e-12
    votes = float((gained[counted] > 0).mean()) if counted.any() else 0.0
    # what is left is as smooth as the blur: so many pixels say no more than one
    alike = 4 * np.pi * SIGMAS[-1] ** 2
    doubt = np.sqrt(np.diag(np.linalg.inv(normal)) * float(last.mean()) * alike) * (1, 1, np.hypot(*seen.shape) / 2)
    dx, dy, zoom = (float(value) for value in at)
    return _Fit((dx, dy, zoom), float(last.mean()), float(first.mean()), votes, float(doubt.max()))


def _nearer(source: np.ndarray, target: np.ndarray, seen: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place after at most ``STEPS`` steps, weighted against outliers (Huber), and the equations' matrix there."""
    import cv2

    height, width = source.shape
    places = np.flatnonzero(seen)
    stride = -(-len(places) // PLACES)
    places = places[::stride]
    rows, columns = np.divmod(places, width)
    y, x = (rows - (height - 1) / 2).astype(np.float32), (columns - (width - 1) / 2).astype(np.float32)
    wanted = target.take(places)
    reach = np.hypot(height, width) / 2
    normal = np.eye(3)
    for _ in range(STEPS):
        given = _moved(source, at)
        across, down = (cv2.Sobel(given, cv2.CV_32F, i, 1 - i, ksize=1, scale=0.5).take(places) for i in (1, 0))
        residual = _without_gain(given.take(places), wanted)
        spread = 1.4826 * float(np.median(np.abs(residual))) + 1e-4
        weights = 1.0 / np.maximum(np.abs(residual) / (2 * spread), 1.0)
        slopes = np.stack([across, down, across * x + down * y])
        normal = (slopes * weights) @ slopes.T + 1e-9 * np.diag([1.0, 1.0, reach**2])
        step = np.linalg.solve(normal, (slopes * weights) @ residual)
        at = at - step
        if np.abs(step[:2]).max() < 0.005 and abs(step[2]) * reach < 0.005:
            break
    return at, normal * stride


def _moved(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The image with what drifted to ``x + drift(x)`` back at ``x``, by cubic interpolation."""
    import cv2

    height, width = image.shape
    dx, dy, zoom = at
    matrix = np.array([[1 + zoom, 0, dx - zoom * (width - 1) / 2], [0, 1 + zoom, dy - zoom * (height - 1) / 2]])
    return cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
    )


def _without_gain(given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """``given`` less the ``gain * wanted + offset`` nearest to it: differences that a tint doesn't explain."""
    centred = wanted - wanted.mean()
    gain = float(centred @ given) / max(float(centred @ centred), 1e-9)
    return given - given.mean() - gain * centred


def _moving_band(length: int, shift: float, zoom: float) -> Band:
    """The matrix whose sample ``i`` is the line at ``i + shift + zoom * (i - middle)``, within the line."""
    places = np.arange(length) + shift + zoom * (np.arange(length) - (length - 1) / 2)
    places = np.clip(places, 0, length - 1)
    taps = min(2 * LOBES, length)
    starts = np.clip(np.floor(places).astype(np.int64) - LOBES + 1, 0, length - taps)
    weights = lanczos(starts[:, None] + np.arange(taps) - places[:, None])
    return Band(weights / weights.sum(axis=1, keepdims=True), starts, length)
