"""What the tests of ComfyUI's own detection models share: the picture, the widgets and how a found box is rounded."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from engine.tiny_models import picture
from mask_detailer.core import Region, Size
from mask_detailer.detailer import host

SIZE = Size(96, 128)
WIDGETS: dict[str, Any] = dict(threshold=0.5, dilation=0, crop_factor=2.0, drop_size=1, labels="all")
FACE_WIDGETS: dict[str, Any] = dict(
    bbox_threshold=0.5, bbox_dilation=0, bbox_crop_factor=1.5, sam_detection_hint="center-1", sam_dilation=0,
    sam_threshold=0.93, sam_bbox_expansion=0, sam_mask_hint_threshold=0.7, sam_mask_hint_use_negative="False",
    drop_size=4, guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
    scheduler="normal", denoise=0.5, feather=4, noise_mask=True, force_inpaint=True, cycle=1, wildcard="",
)  # fmt: skip

needs_models = pytest.mark.skipif(not host.detection.has_rtdetr(), reason="this ComfyUI has no detection models")


def shown() -> torch.Tensor:
    """Whole steps of 1/255: a SAM model is shown bytes."""
    return picture(*SIZE, seed=3).mul(255).round().div(255)


def boxed(corners: list[float]) -> tuple[int, ...]:
    x1, y1, x2, y2 = corners
    box = Region(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    return box.within(SIZE).as_tuple()
