"""What the code under test must give, restated slowly and plainly, by other means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.ndimage
import scipy.signal
from PIL import Image


@dataclass(frozen=True)
class Options:
    """The options of ``mask_to_segs`` in separate mode."""

    crop_factor: float = 3.0
    bbox_fill: bool = False
    drop_size: int = 1
    crop_min_size: int | None = None
    is_contour: bool = True


@dataclass(frozen=True)
class Part:
    """One expected segment."""

    bbox: tuple[int, int, int, int]
    crop: tuple[int, int, int, int]
    mask: np.ndarray


def grown_axis(start: int, end: int, factor: float, limit: int, minimum: int | None) -> tuple[int, int]:
    """One axis of a crop region, in exact fractions."""
    length = (end - start) * Fraction(factor)
    if minimum is not None and minimum > length:
        length = Fraction(minimum)
    first = math.trunc(Fraction(start + end, 2) - length / 2)
    if first < 0:
        return 0, math.trunc(min(Fraction(limit), length))
    if first + length > limit:
        return math.trunc(max(Fraction(0), limit - length)), limit
    return first, math.trunc(first + length)


def grown(
    box: tuple[int, int, int, int], factor: float, height: int, width: int, minimum: int | None = None
) -> tuple[int, int, int, int]:
    """The crop region around a box of a ``width`` x ``height`` picture."""
    x1, x2 = grown_axis(box[0], box[2], factor, width, minimum)
    y1, y2 = grown_axis(box[1], box[3], factor, height, minimum)
    return x1, y1, x2, y2


def separate(mask: np.ndarray, options: Options) -> list[Part]:
    """The connected parts of one mask ``[H,W]``: every part costs several passes over the whole picture."""
    height, width = mask.shape
    values = np.where(np.isnan(mask), 0.0, np.clip(mask.astype(np.float64), 0.0, 1.0))
    labels, count = scipy.ndimage.label(values * 255.0 >= 1.0, structure=np.ones((3, 3)))
    parts = [labels == label for label in range(1, count + 1)]
    filled = [scipy.ndimage.binary_fill_holes(part) for part in parts]
    enclosed = {int(other) - 1 for i, whole in enumerate(filled) for other in labels[whole & ~parts[i]] if other}
    top_level = [i for i in range(count) if i not in enclosed]
    top_level.sort(key=lambda i: np.argwhere(parts[i]).tolist()[0], reverse=True)
    expected = []
    for i in top_level:
        rows, columns = np.nonzero(parts[i])
        box = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
        if min(box[2] - box[0], box[3] - box[1]) <= max(options.drop_size, 1):
            continue
        whole = filled[i].astype(np.float64) if options.is_contour else values * filled[i]
        if options.bbox_fill:
            whole[box[1] : box[3], box[0] : box[2]] = 1.0
        x1, y1, x2, y2 = crop = grown(box, options.crop_factor, height, width, options.crop_min_size)
        expected.append(Part(box, crop, whole[y1:y2, x1:x2]))
    return expected


def pillow_lanczos(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """``[H,W,C]`` resampled by Pillow, channel by channel in its 32-bit float mode."""
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image[..., c], np.float32), mode="F").resize(
                (width, height), Image.Resampling.LANCZOS
            )
        )
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def gaussian_kernel(size: int, sigma: float = 10.0) -> np.ndarray:
    """A square Gaussian kernel that sums to 1, from the formula in two dimensions."""
    middle = size // 2
    kernel = np.array(
        [
            [math.exp(-((x - middle) ** 2 + (y - middle) ** 2) / (2 * sigma**2)) for x in range(size)]
            for y in range(size)
        ]
    )
    return kernel / kernel.sum()


def blurred(mask: np.ndarray, kernel_size: int) -> np.ndarray:
    """One mask ``[H,W]`` convolved in two dimensions at once, in float64, its edges reflected."""
    reach = kernel_size // 2
    padded = np.pad(mask.astype(np.float64), reach, mode="reflect")
    return scipy.signal.convolve2d(padded, gaussian_kernel(kernel_size), mode="valid")
