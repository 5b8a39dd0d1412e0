"""How crops are resampled, reckoned the slow and obvious way: whole matrices, from the kernels' other definitions."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

SOFTER, AHEAD = 0.03, 0.75  # docs/benchmarks.md: the kernels tried


def keys(x: float) -> float:
    """Keys's cubic with slope -1/2 at the first zero: R. Keys, IEEE Trans. ASSP 29 (1981)."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


SPLINE = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)


def softer(x: float) -> float:
    """Between Keys's kernel and the cubic B-spline."""
    return (1 - SOFTER) * keys(x) + SOFTER * float(np.nan_to_num(SPLINE(x)))


def matrix(kernel: object, inputs: int, outputs: int) -> np.ndarray:
    """Rows of weights that sum to 1; stretched where it shrinks."""
    assert callable(kernel)
    ratio = inputs / outputs
    stretch = max(ratio, 1.0)
    rows = [
        [kernel((at + 0.5 - (out + 0.5) * ratio) / stretch) for at in range(inputs)]
        for out in range(outputs)
    ]  # fmt: skip
    made = np.array(rows)
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
    return np.einsum("yh,xw,hwc->yxc", rows, columns, image.astype(np.float64))
