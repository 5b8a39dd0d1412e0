"""What the tests of the detector nodes share: the discs on the picture, the widgets and views of found segments."""

from __future__ import annotations

from typing import Any

import torch
from mask_detailer.core import SEGS, bbox, crop_region, seg_mask
from support.detectors import Disc

SIZE = (96, 128)
DISCS = [Disc(30, 30, 12, "red"), Disc(90, 28, 10, "green"), Disc(60.5, 70, 14, "blue")]
WIDGETS: dict[str, Any] = dict(threshold=0.5, dilation=0, crop_factor=2.0, drop_size=5)
SIMPLE: dict[str, Any] = dict(
    bbox_threshold=0.5, bbox_dilation=0, crop_factor=2.0, drop_size=5, sub_threshold=0.6, sub_dilation=0,
    sub_bbox_expansion=0, sam_mask_hint_threshold=0.7,
)  # fmt: skip
SAM: dict[str, Any] = dict(
    detection_hint="center-1", dilation=0, threshold=0.9, bbox_expansion=0, mask_hint_threshold=0.7,
    mask_hint_use_negative="False",
)  # fmt: skip
PIPE_OF_PARTS = 14


def by_name(segs: SEGS) -> dict[str, Any]:
    return {seg.label: seg for seg in segs[1]}


def pipe_of(**parts: Any) -> tuple[Any, ...]:
    names = {"bbox_detector": 6, "segm_detector": 7, "sam_model": 8, "detailer_hook": 9}
    pipe: list[Any] = [None] * PIPE_OF_PARTS
    for name, part in parts.items():
        pipe[names[name]] = part
    return tuple(pipe)


def whole(seg: Any) -> torch.Tensor:
    """A segment's mask on the picture, ``[H,W]``."""
    canvas = torch.zeros(SIZE)
    canvas[crop_region(seg).slices] = seg_mask(seg)[0]
    return canvas


def rectangle(seg: Any) -> torch.Tensor:
    """The mask the box detector gave it: both corners are in it."""
    canvas = torch.zeros(SIZE)
    box = bbox(seg)
    canvas[box.y1 : box.y2 + 1, box.x1 : box.x2 + 1] = 1.0
    return canvas
