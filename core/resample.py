"""Enlarging and shrinking pictures: Lanczos-3, antialiased, in float."""

from __future__ import annotations

import numpy as np
import torch

from .banded import Band, along_height, along_width
from .kept import Kept
from .region import Size

LOBES = 3
MOST_KEPT = 2**22  # bytes of matrices that are kept: some forty of those for crops of usual sizes


def lanczos(x: np.ndarray) -> np.ndarray:
    """The Lanczos-3 kernel: ``sinc(x) * sinc(x / 3)`` within ``|x| < 3``, else 0.

    Source: C. Duchon, "Lanczos Filtering in One and Two Dimensions", J. Applied Meteorology 18 (1979).
    """
    return np.where(np.abs(x) < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0)


def _lanczos_band(inputs: int, outputs: int) -> Band:
    """The matrix that resamples ``inputs`` samples to ``outputs``, pixel areas aligned at both ends.

    When shrinking, the kernel is stretched by the ratio (antialiasing). At the borders the weights that fall outside
    are left out and the rest made to sum to 1.
    """
    ratio = inputs / outputs
    stretch = max(ratio, 1.0)
    support = LOBES * stretch
    centres = (np.arange(outputs) + 0.5) * ratio
    first = np.maximum(np.floor(centres - support + 0.5).astype(np.int64), 0)
    last = np.minimum(np.floor(centres + support + 0.5).astype(np.int64), inputs)
    taps = int((last - first).max())
    starts = np.minimum(first, inputs - taps)
    columns = starts[:, None] + np.arange(taps)
    weights = lanczos((columns + 0.5 - centres[:, None]) / stretch)
    weights[(columns < first[:, None]) | (columns >= last[:, None])] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return Band(weights, starts, inputs)


lanczos_band = Kept(_lanczos_band, size=lambda band: band.nbytes, most=MOST_KEPT)


def resample(image: torch.Tensor, size: Size) -> torch.Tensor:
    """A picture at another size.

    Args:
        image: ``[B,H,W,C]`` float of any range.
        size: the size wanted, at least 1x1.

    Returns:
        ``[B,size.height,size.width,C]``, a new tensor of the same dtype and device. Lanczos rings: values can
        overshoot the input's range by some percent beside hard edges.
    """
    if image.ndim != 4:
        raise ValueError(f"resample takes [B,H,W,C], not {list(image.shape)}")
    batch, height, width, channels = image.shape
    planes = image.movedim(-1, 1).reshape(batch * channels, height, width)
    if width != size.width:
        planes = along_width(planes, lanczos_band(width, size.width))
    if height != size.height:
        planes = along_height(planes, lanczos_band(height, size.height))
    out = planes.reshape(batch, channels, *size).movedim(1, -1)
    return out.clone() if (height, width) == size else out
