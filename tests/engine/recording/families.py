"""Runs on a model of every family."""

from __future__ import annotations

from typing import Any

import torch
from engine.families import FAMILIES, PLACEHOLDER, Family, family_mask, family_picture
from engine.recording.masks import detailed
from engine.recording.parts import Runs, asked, node, options
from engine.tiny_models import pipe_with

BY_NAME = {str(family): family for family in FAMILIES}


def run(family: Family, **changes: Any) -> Any:
    """Four equal squares and a wider part. Of a family that the running ComfyUI lacks: nothing."""
    if family.absent:
        return None
    widgets = dict(family.widgets) | changes
    with asked(family.pipe) as calls:
        return detailed(family_picture(), family_mask(), family.pipe, **widgets), calls


def of(name: str, **changes: Any) -> Any:
    return run(BY_NAME[name], **changes)


def placeholder() -> Any:
    """A model without negative, by the node that stands for one, with a refiner of the same kind."""
    family = BY_NAME["flux placeholder"]
    pipe = pipe_with(family.pipe, negative=node("ImpactNegativeConditioningPlaceholder")[0])
    return detailed(
        family_picture(), family_mask(), pipe, refiner_basic_pipe_opt=pipe, refiner_ratio=0.5, steps=4, cfg=2.5
    )


def wan_segs(**changes: Any) -> Any:
    family = BY_NAME["wan"]
    if family.absent:
        return None
    (given,) = node("MaskToSEGS", mask=family_mask(), combined=False, crop_factor=2.0, bbox_fill=False, drop_size=2)
    return node("SEGSDetailer", image=family_picture(), segs=given, basic_pipe=family.pipe, **changes)


RUNS: Runs = {
    **{f"family/{family}": lambda family=family: run(family) for family in FAMILIES},
    "family/flux placeholder with a refiner": placeholder,
    "family/wan, one at a time": lambda: of("wan", crop_batch=1, cycle=2),
    "family/wan, Differential Diffusion": lambda: of("wan", noise_mask_feather=5),
    "family/wan, apart": lambda: wan_segs(batch_size=2),
    "family/wan, tiles": lambda: of("wan", detail_options=options(tiling="always")),
    "family/wan inpaint, three at a time": lambda: of("wan inpaint", crop_batch=3),
    "family/flux fill, mirrored": lambda: of("flux fill", detail_options=options(min_context=20, border="mirror")),
    "family/flux2, fixed size": lambda: of(
        "flux2, 16 pixels a cell", detail_options=options(size_mode="fixed_size", width=96, height=80)
    ),
    "family/sd1 placeholder": lambda: detailed(
        pipe=pipe_with(BY_NAME["sd1 eps"].pipe, negative=PLACEHOLDER), cfg=3.0
    ),
    "family/kontext, mirrored": lambda: of("flux kontext", detail_options=options(min_context=24, border="mirror")),
    "family/pixel space, black and white": lambda: detailed(
        (family_picture() > 0.5).to(torch.float32), family_mask(), BY_NAME["pixel space"].pipe
    ) if not BY_NAME["pixel space"].absent else None,
}  # fmt: skip
