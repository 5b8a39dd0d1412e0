"""What other packs call by name and with their arguments in order."""

from __future__ import annotations

from typing import cast

import torch

from ..core import SEGS
from ..detailer.pipeline import run
from . import schema, validate
from .detailer_pipes import detailer_pipe_of
from .detailing import work_on_each
from .schema import Inputs
from .settings import recipe_of, refiner_of

OTHER_NAMES = {"guide_size_for_bbox": "guide_size_for", "wildcard_opt": "wildcard"}
"""Arguments of ``do_detail`` that the node's inputs have under another name."""

RANGED = ("seed", "crop_batch")
"""Arguments within the widgets' ranges."""

LEAST: dict[str, dict[str, object]] = {
    "guide_size": {"min": 0},
    "max_size": {"min": 1},
    "steps": {"min": 1},
    "cycle": {"min": 1},
    "denoise": {"min": 0.0, "max": 1.0},
}
"""Ranges of others: what lies beyond has no meaning."""


def do_detail(
    image: object,
    segs: object,
    model: object,
    clip: object,
    vae: object,
    guide_size: float,
    guide_size_for_bbox: bool,
    max_size: float,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: object,
    negative: object,
    denoise: float,
    feather: int,
    noise_mask: bool,
    force_inpaint: bool,
    wildcard_opt: str | None = None,
    detailer_hook: object = None,
    refiner_ratio: float | None = None,
    refiner_model: object = None,
    refiner_clip: object = None,
    refiner_positive: object = None,
    refiner_negative: object = None,
    cycle: int = 1,
    inpaint_model: bool = False,
    noise_mask_feather: int = 0,
    scheduler_func_opt: object = None,
    crop_batch: int = 0,
    detail_options: object = None,
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], SEGS]:
    """Detail the segments of a picture, as other packs call it.

    Args:
        image: ``[B,H,W,3]``, or with alpha, which is kept. Each frame gets all segments.
        segs: SEGS made for any size.

    Returns:
        image ``[B,H,W,C]``, crops before, refined crops, refined crops as RGBA, control images, refined SEGS.

    Raises:
        InputError: for what cannot be worked with, naming node, input and fix.
    """
    given = dict(locals())
    from .detailers import DetailerForEach  # which has this function

    door = DetailerForEach.door
    values = validate.checked(door.node, {"required": _types()}, given)
    values |= {name: values[argument] for argument, name in OTHER_NAMES.items()}
    pipe = door.detailer_pipe(detailer_pipe_of(values))
    recipe = recipe_of(door, pipe.base, None, values, refiner_of(pipe, cast("float | None", values["refiner_ratio"])))
    work = work_on_each(door, image, segs, recipe)
    done = work.joined(list(run.detail(work.pictures, work.count, work.recipe)))
    return done.image, done.crops, done.refined, done.refined_alpha, done.control_images, done.segs


def _types() -> Inputs:
    """Kinds and choices of the arguments. Most ranges are the widgets' alone: packs that call it go beyond them."""
    from .detailers import DetailerForEach

    made: Inputs = {}
    for group in DetailerForEach.INPUT_TYPES().values():
        for name, declared in group.items():
            if not isinstance(declared, str):
                kind, facts = declared
                made[name] = kind, facts if name in RANGED else LEAST.get(name, {})
    kind, facts = schema.refiner_ratio()
    made["refiner_ratio"] = kind, {**facts, "forceInput": True}  # None: no refiner
    return made | {argument: made.pop(name) for argument, name in OTHER_NAMES.items()}
