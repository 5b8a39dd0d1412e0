"""How crops are resampled, reckoned the slow and obvious way: whole matrices, from the kernels' other definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import BSpline

SOFTER, AHEAD = 0.03, 0.75  # docs/benchmarks.md: the kernels tried


def keys(x: np.ndarray) -> np.ndarray:
    """Keys's cubic with slope -1/2 at the first zero: R. Keys, IEEE Trans. ASSP 29 (1981)."""
    x = np.abs(x)
    far = np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0.0)
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, far)


SPLINE = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)


def softer(x: np.ndarray) -> np.ndarray:
    """Between Keys's kernel and the cubic B-spline."""
    return (1 - SOFTER) * keys(x) + SOFTER * np.nan_to_num(SPLINE(x))


def matrix(kernel: Callable[[np.ndarray], np.ndarray], inputs: int, outputs: int) -> np.ndarray:
    """Rows of weights that sum to 1; stretched where it shrinks."""
    ratio = inputs / outputs
    stretch = max(ratio, 1.0)
    at, out = np.arange(inputs) + 0.5, np.arange(outputs)[:, None] + 0.5
    made = kernel((at - out * ratio) / stretch)
    return made / made.sum(axis=1, keepdims=True)


def enlarging(inputs: int, outputs: int) -> np.ndarray:
    """Keys's enlarging, of samples sharpened by a part of what shrinking will take."""
    plain = matrix(keys, inputs, outputs)
    back = shrinking(outputs, inputs)
    made = plain @ np.linalg.inv((1 - AHEAD) * np.eye(inputs) + AHEAD * back @ plain)
    return made / made.sum(axis=1, keepdims=True)


def shrinking(inputs: int, outputs: int) -> np.ndarray:
    return matrix(softer, inputs, outputs)


def resized(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """``[h,w,C]`` by a matrix for its rows and one for its columns."""
    return np.einsum("yh,xw,hwc->yxc", rows, columns, image.astype(np.float64), optimize=True)
