"""Enlarging and shrinking pictures: Lanczos-3, antialiased, in float; and crops to the size they are worked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from .banded import Band, along_height, along_width
from .kept import Kept
from .region import Size

LOBES = 3
SOFTER = 0.03  # of 0 for Keys's cubic kernel to 1 for the B-spline
AHEAD = 0.75  # share of what shrinking takes that enlarging gives beforehand: grain is kept as by Lanczos-3 both ways
BESIDE = 8  # samples, after which the weights of that are below a thousandth
MOST_KEPT = 2**22  # bytes of matrices that are kept: some forty of those for crops of usual sizes


def lanczos(x: np.ndarray) -> np.ndarray:
    """The Lanczos-3 kernel: ``sinc(x) * sinc(x / 3)`` within ``|x| < 3``, else 0.

    Source: C. Duchon, "Lanczos Filtering in One and Two Dimensions", J. Applied Meteorology 18 (1979).
    """
    return np.where(np.abs(x) < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0)


def cubic(x: np.ndarray, b: float = 0.0) -> np.ndarray:
    """The cubic kernels with ``b + 2c = 1``, 0 from ``|x| = 2`` on: through the samples for ``b`` 0, softer above.

    Source: D. Mitchell and A. Netravali, "Reconstruction Filters in Computer Graphics", SIGGRAPH 1988.
    """
    x, c = np.abs(x), (1 - b) / 2
    near = ((12 - 9 * b - 6 * c) * x + (12 * b + 6 * c - 18)) * x * x + 6 - 2 * b
    far = (((-b - 6 * c) * x + 6 * b + 30 * c) * x - 12 * b - 48 * c) * x + 8 * b + 24 * c
    return np.where(x < 1, near, np.where(x < 2, far, 0.0)) / 6


@dataclass(frozen=True)
class Kernel:
    """What samples count by, as far away as ``lobes`` of the coarser grid's pixels."""

    weights: Callable[[np.ndarray], np.ndarray]
    lobes: int


LANCZOS = Kernel(lanczos, LOBES)
KEYS = Kernel(cubic, 2)
GENTLE = Kernel(partial(cubic, b=SOFTER), 2)  # by it crops are shrunk: as soft as leaves their parts as sharp as wanted


def kernel_band(kernel: Kernel, inputs: int, outputs: int) -> Band:
    """The matrix that resamples ``inputs`` samples to ``outputs``, pixel areas aligned at both ends.

    When shrinking, the kernel is stretched by the ratio (antialiasing). At the borders the weights that fall outside
    are left out and the rest made to sum to 1.
    """
    ratio = inputs / outputs
    stretch = max(ratio, 1.0)
    support = kernel.lobes * stretch
    centres = (np.arange(outputs) + 0.5) * ratio
    first = np.maximum(np.floor(centres - support + 0.5).astype(np.int64), 0)
    last = np.minimum(np.floor(centres + support + 0.5).astype(np.int64), inputs)
    taps = int((last - first).max())
    starts = np.minimum(first, inputs - taps)
    columns = starts[:, None] + np.arange(taps)
    weights = kernel.weights((columns + 0.5 - centres[:, None]) / stretch)
    weights[(columns < first[:, None]) | (columns >= last[:, None])] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return Band(weights, starts, inputs)


def sharpened_band(kernel: Kernel, back: Kernel, ahead: float, inputs: int, outputs: int) -> Band:
    """A kernel on samples that are sharpened beforehand by a part of what shrinking takes from them afterwards.

    Args:
        back: what is shrunk by.
        ahead: the part, 0..1.

    With ``M`` for enlarging by the kernel and shrinking again, it goes after ``(1 - ahead + ahead * M)^-1``.
    That matrix's weights fall off fast, so its rows are solved for in blocks with some samples beside them.
    Source of the idea: M. Unser and A. Aldroubi, "A General Sampling Theory for Nonideal Acquisition Devices", IEEE
    Trans. Signal Processing 42 (1994).
    """
    plain, shrinking = kernel_band(kernel, inputs, outputs), kernel_band(back, outputs, inputs)
    taps = min(plain.weights.shape[1] + 2 * BESIDE, inputs)
    starts = np.clip(plain.starts - BESIDE, 0, inputs - taps)
    weights = np.empty((outputs, taps))
    height = max(64, outputs // max(inputs // 128, 1))
    for first in range(0, outputs, height):
        last = min(first + height, outputs)
        low, high = max(int(starts[first]) - 2 * BESIDE, 0), min(int(starts[last - 1]) + taps + 2 * BESIDE, inputs)
        rows, forth = plain.block(first, last)
        near, shrink = shrinking.block(low, high)
        spread, enlarge = plain.block(near.start, near.stop)
        round_trip = shrink @ _columns(enlarge, spread, low, high)
        blurred = np.eye(high - low) * (1 - ahead) + ahead * round_trip
        made = np.linalg.solve(blurred.T, _columns(forth, rows, low, high).T).T
        columns = (starts[first:last] - low)[:, None] + np.arange(taps)
        weights[first:last] = np.take_along_axis(made, columns, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    return Band(weights, starts, inputs)


def _columns(dense: np.ndarray, at: slice, low: int, high: int) -> np.ndarray:
    """The columns ``low..high-1`` of a matrix whose columns ``at`` are ``dense`` and all others 0."""
    out = np.zeros((len(dense), high - low))
    first, last = max(at.start, low), min(at.stop, high)
    out[:, first - low : last - low] = dense[:, first - at.start : last - at.start]
    return out


def kept(make: Callable[[int, int], Band]) -> Kept[Band]:
    """Matrices by numbers of inputs and outputs."""
    return Kept(make, size=lambda band: band.nbytes, most=MOST_KEPT)


lanczos_band = kept(partial(kernel_band, LANCZOS))
shrinking_band = kept(partial(kernel_band, GENTLE))
enlarging_band = kept(partial(sharpened_band, KEYS, GENTLE, AHEAD))


def resample(image: torch.Tensor, size: Size) -> torch.Tensor:
    """A picture at another size.

    Args:
        image: ``[B,H,W,C]`` float of any range.
        size: the size wanted, at least 1x1.

    Returns:
        ``[B,size.height,size.width,C]``, a new tensor of the same dtype and device. Lanczos rings: values can
        overshoot the input's range by some percent beside hard edges.
    """
    return _along_both(image, size, lanczos_band, lanczos_band)


def to_working_size(crop: torch.Tensor, size: Size) -> torch.Tensor:
    """A crop at the size it is worked on: enlarged so that ``from_working_size`` gives back most of its grain; where
    it is shrunk, by Lanczos-3. Takes and gives what ``resample`` does.

    The kernels were chosen by measurement (``docs/benchmarks.md``): shrinking by a gentler kernel than Lanczos-3 takes
    less from what a model has drawn, and rings less at the seam.
    """
    return _along_both(crop, size, enlarging_band, lanczos_band)


def from_working_size(worked_on: torch.Tensor, size: Size) -> torch.Tensor:
    """A crop back at its size in the picture: shrunk by a cubic kernel; where it is enlarged, by Lanczos-3."""
    return _along_both(worked_on, size, lanczos_band, shrinking_band)


def _along_both(
    image: torch.Tensor, size: Size, enlarging: Callable[[int, int], Band], shrinking: Callable[[int, int], Band]
) -> torch.Tensor:
    if image.ndim != 4:
        raise ValueError(f"resample takes [B,H,W,C], not {list(image.shape)}")
    batch, height, width, channels = image.shape
    planes = image.movedim(-1, 1).reshape(batch * channels, height, width)
    if width != size.width:
        planes = along_width(planes, (enlarging if width < size.width else shrinking)(width, size.width))
    if height != size.height:
        planes = along_height(planes, (enlarging if height < size.height else shrinking)(height, size.height))
    out = planes.reshape(batch, channels, *size).movedim(1, -1)
    return out.clone() if (height, width) == size else out
