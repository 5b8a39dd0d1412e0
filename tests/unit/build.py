"""Small makers of masks and segments."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np
from mask_detailer.core import SEG
from mask_detailer.detailer.options import UNTURNED, DetailOptions
from mask_detailer.detailer.values import DetailSettings, MaskSettings, SamplingSettings, SizeOptions

Box = tuple[int, int, int, int]

# A segment as another pack would make it: the same field names, another type.
ForeignSEG = namedtuple(
    "ForeignSEG",
    ["cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label", "control_net_wrapper"],
    defaults=[None],
)


def seg(crop: Sequence[int], box: Any = None, mask: Any = 1.0, label: Any = "A", image: Any = None) -> SEG:
    """A segment cut at ``crop``; ``mask`` is an array of its size, or a number to fill it with."""
    if isinstance(mask, float | int):
        mask = np.full((crop[3] - crop[1], crop[2] - crop[0]), mask, np.float32)
    return SEG(image, mask, 1.0, list(crop), tuple(crop) if box is None else box, label)


def drawn(height: int, width: int, *boxes: Box, value: float = 1.0) -> np.ndarray:
    """A mask ``[height, width]`` of 0 with rectangles ``x1, y1, x2, y2`` (exclusive) of ``value``."""
    mask = np.zeros((height, width), np.float32)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = value
    return mask


def settings(
    size: SizeOptions, text: str | None = None, feather: int = 0, options: DetailOptions = UNTURNED
) -> DetailSettings:
    """A detailer's settings, of which a plan looks at these."""
    sampling = SamplingSettings(20, 7.0, "euler", "normal", 0.5)
    return DetailSettings(0, size, sampling, MaskSettings(feather, True, 0, False), text, options=options)
