"""What a detailer would do, before it does it."""

from __future__ import annotations

from typing import Any

import torch

from ..detailer import host
from ..detailer.hooks.protocol import Hook
from ..detailer.pipeline import run as engine
from ..detailer.pipeline.recipe import Recipe
from ..detailer.plan_table import as_json, as_text, drawn_over, rows_of
from ..detailer.values import wrapped_seed
from . import inputs
from .checks import Door
from .detailers import CATEGORY, segs_of_frames, settings_of


class MaskDetailerPlan:
    """Shows what a detailer would do with the same inputs, and samples nothing."""

    DESCRIPTION = (
        "Shows which crops a detailer would work on, at which size, with which seed and in which batches, and why it "
        "would leave a segment out. Takes the widgets of the detailers and samples nothing."
    )
    SEARCH_ALIASES = ("detailer plan", "preview crops", "crop regions", "segment sizes", "dry run")
    RETURN_TYPES = ("IMAGE", "STRING", "STRING")
    RETURN_NAMES = ("image", "text", "json")
    OUTPUT_TOOLTIPS = (
        "The picture with masks tinted, bounding boxes thin and crop regions thick; a colour for each batch.",
        "A table: segment, label, bbox, crop, scale, working size, seed, batch and share of all work.",
        "The same as a JSON list, for scripts.",
    )
    OUTPUT_NODE = True
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        variants = "How many variants the detailer would make, each with the next seed."
        return {
            "required": {
                "image": inputs.link("IMAGE", "The picture, or a batch of them. Nothing is changed in it."),
                "basic_pipe": inputs.basic_pipe(),
                **inputs.sizes(),
                "seed": inputs.seed(),
                "sampler_name": inputs.sampler_name(),
                "feather": inputs.feather(),
                "force_inpaint": inputs.force_inpaint(),
                "crop_factor": inputs.crop_factor(10),
                "drop_size": inputs.drop_size(),
                "batch_size": inputs.batch_size(variants),
            },
            "optional": {
                "mask": inputs.link("MASK", "The mask of 'MaskDetailer (pipe)'; segs, where connected, count instead."),
                "segs": inputs.link("SEGS", "The segments of a 'Detailer (SEGS)', instead of a mask."),
                "detailer_hook": inputs.detailer_hook(),
                "wildcard": inputs.segment_text(),
                "bbox_fill": inputs.bbox_fill(),
                "contour_fill": inputs.contour_fill(True),
                **inputs.beyond(),
            },
        }

    def doit(
        self,
        image: Any,
        basic_pipe: Any,
        crop_factor: float,
        drop_size: int,
        batch_size: int,
        mask: Any = None,
        segs: Any = None,
        detailer_hook: Any = None,
        bbox_fill: bool = False,
        contour_fill: bool = True,
        **widgets: Any,
    ) -> dict[str, Any]:
        door = Door("MaskDetailerPlan")
        frames = door.image(image)
        pipe = door.basic_pipe(basic_pipe)
        of_mask = segs_of_frames(door, frames, mask, crop_factor, bbox_fill, drop_size, contour_fill)
        of_segs = None if segs is None else door.segs(segs)
        settings = settings_of(door, _NOT_PLANNED | widgets)
        pictures = [
            engine.Picture(
                frames[index : index + 1, ..., :3],
                of_segs or of_mask(index, j == 0),
                wrapped_seed(settings.seed + j),
            )
            for j in range(batch_size)
            for index in range(len(frames))
        ]
        plans, groups = engine.foresee(pictures, Recipe(pipe, settings, hook=Hook(detailer_hook), source=door.node))
        rows = rows_of(plans, groups)
        shown = [
            drawn_over(picture.image, plan, [row for row in rows if row.picture == number])
            for number, (picture, plan) in enumerate(zip(pictures, plans, strict=True), start=1)
        ]
        drawn = torch.cat(shown)
        alpha = frames[..., 3:].repeat(batch_size, 1, 1, 1).to(drawn.device)
        text = as_text(rows)
        return {
            "ui": {
                "images": host.folders.save_previews((picture[0] for picture in shown), "mask_detailer_plan"),
                "text": [text],
            },
            "result": (torch.cat([drawn, alpha], dim=-1).to(host.devices.intermediate_device()), text, as_json(rows)),
        }


# what a plan does not depend on
_NOT_PLANNED: dict[str, Any] = {"steps": 1, "cfg": 1.0, "scheduler": "normal", "denoise": 1.0, "noise_mask": True}

NODE_CLASS_MAPPINGS = {"MaskDetailerPlan": MaskDetailerPlan}
NODE_DISPLAY_NAME_MAPPINGS = {"MaskDetailerPlan": "Detail Plan"}
