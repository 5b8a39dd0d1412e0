"""What a detailer would do, before it does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..detailer import host
from ..detailer.pipeline import run
from ..detailer.plan_table import as_dicts, as_json, as_text, drawn_over, rows_of
from ..detailer.values import wrapped_seed
from . import schema
from .registry import DETAILER, Node
from .schema import InputTypes, Shown
from .settings import MaskWidgets, mask_cut_of, recipe_of_pipe

if TYPE_CHECKING:
    from typing_extensions import Unpack


class MaskDetailerPlan(Node, name="Detail Plan", menu=DETAILER, own=True):
    """Shows what a detailer would do with the same inputs, and samples nothing."""

    DESCRIPTION = (
        "Shows which crops a detailer would work on, at which size, with which seed and in which batches, and why it "
        "would leave a segment out. Takes the widgets of the detailers, which a button sends on, and samples nothing."
    )
    SEARCH_ALIASES = ("detailer plan", "preview crops", "crop regions", "segment sizes", "dry run")
    RETURN_TYPES = ("IMAGE", "STRING", "STRING")
    RETURN_NAMES = ("image", "text", "json")
    OUTPUT_TOOLTIPS = (
        "The picture with masks tinted, bounding boxes thin and crop regions thick; a colour for each batch.",
        "A Markdown table: segment, label, working size, scale, crop, bbox, seed, batch and share of all work.",
        "The same as a JSON list, for scripts.",
    )
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        variants = "How many variants the detailer would make, each with the next seed."
        return {
            "required": {
                "image": schema.link("IMAGE", "The picture, or a batch of them. Nothing is changed in it."),
                "basic_pipe": schema.basic_pipe(),
                **schema.sizes(),
                "seed": schema.seed(),
                "sampler_name": schema.sampler_name(),
                "feather": schema.feather(),
                "force_inpaint": schema.force_inpaint(),
                "crop_factor": schema.crop_factor(10),
                "drop_size": schema.advanced(schema.drop_size()),
                "batch_size": schema.batch_size(variants),
            },
            "optional": {
                "mask": schema.link("MASK", "The mask of 'MaskDetailer (pipe)'; segs, where connected, count instead."),
                "segs": schema.link("SEGS", "The segments of a 'Detailer (SEGS)', instead of a mask."),
                "detailer_hook": schema.detailer_hook(),
                "wildcard": schema.segment_text(),
                "bbox_fill": schema.advanced(schema.bbox_fill()),
                "contour_fill": schema.advanced(schema.contour_fill(True)),
                **schema.beyond(),
                **schema.choices(),
            },
        }

    def doit(
        self,
        image: object,
        basic_pipe: object,
        mask: object = None,
        segs: object = None,
        **widgets: Unpack[MaskWidgets],
    ) -> Shown:
        door, variants = self.door, widgets["batch_size"]
        frames = door.image(image)
        recipe = recipe_of_pipe(door, basic_pipe, _NOT_PLANNED | widgets)
        of_mask = mask_cut_of(widgets).segs_of_frames(door, frames, mask)
        of_segs = None if segs is None else door.segs(segs)
        pictures = [
            run.Picture(
                frames[index : index + 1, ..., :3],
                of_segs or of_mask(index, j == 0),
                wrapped_seed(recipe.settings.seed + j),
            )
            for j in range(variants)
            for index in range(len(frames))
        ]
        plans, groups = run.foresee(pictures, recipe)
        rows = rows_of(plans, groups)
        shown = [
            drawn_over(picture.image, plan, [row for row in rows if row.picture == number])
            for number, (picture, plan) in enumerate(zip(pictures, plans, strict=True), start=1)
        ]
        drawn = torch.cat(shown)
        alpha = frames[..., 3:].repeat(variants, 1, 1, 1).to(drawn.device)
        text = as_text(rows)
        return {
            "ui": {
                "images": host.folders.save_previews((picture[0] for picture in shown), "mask_detailer_plan"),
                "text": [text],
                "rows": as_dicts(rows),
                "seed": [recipe.settings.seed],
            },
            "result": (torch.cat([drawn, alpha], dim=-1).to(host.devices.intermediate_device()), text, as_json(rows)),
        }


# what a plan does not depend on
_NOT_PLANNED: dict[str, object] = {"steps": 1, "cfg": 1.0, "scheduler": "normal", "denoise": 1.0, "noise_mask": True}
