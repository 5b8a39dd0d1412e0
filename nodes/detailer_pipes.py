"""Detailers that take their models and prompts from a BASIC_PIPE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..detailer.values import Detailed
from . import inputs
from .checks import Door
from .detailers import CATEGORY, FRAMES, DetailerForEach, detail_frames, settings_of, shown_crops


class DetailerForEachPipe:
    """Details each segment of a picture, with a refiner where one is wanted."""

    DESCRIPTION = f"{DetailerForEach.DESCRIPTION} A second pipe can refine the last part of the steps."
    SEARCH_ALIASES = ("detailer pipe", "segs detailer pipe", "detailer refiner")
    RETURN_TYPES = ("IMAGE", "SEGS", "BASIC_PIPE", "IMAGE")
    RETURN_NAMES = ("image", "segs", "basic_pipe", "cnet_images")
    OUTPUT_IS_LIST = (False, False, False, True)
    OUTPUT_TOOLTIPS = (
        *DetailerForEach.OUTPUT_TOOLTIPS,
        "The segments with their refined crops as images; those skipped for their size have none.",
        "The basic_pipe that came in.",
        "The ControlNet hints, in the order of use.",
    )
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": inputs.link("IMAGE", FRAMES),
                "segs": inputs.link("SEGS", "The segments to detail, in the order of work."),
                **inputs.sizes(),
                **inputs.sampling(),
                **inputs.denoise_and_masks(),
                "basic_pipe": inputs.basic_pipe(),
                "wildcard": inputs.segment_text(),
                "refiner_ratio": inputs.refiner_ratio(),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "detailer_hook": inputs.detailer_hook(),
                "refiner_basic_pipe_opt": inputs.refiner_pipe(),
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "scheduler_func_opt": inputs.scheduler_func(),
                **inputs.vae_tiles(),
                **inputs.beyond(),
            },
        }

    def doit(self, image: Any, segs: Any, basic_pipe: Any, **widgets: Any) -> tuple[Any, ...]:
        done = _detail(Door("DetailerForEachPipe"), image, segs, basic_pipe, widgets)
        return done.image, done.segs, basic_pipe, shown_crops(done)[-1]


class DetailerForEachDebugPipe:
    """Details each segment of a picture and shows the crops, with a refiner where one is wanted."""

    DESCRIPTION = f"{DetailerForEachPipe.DESCRIPTION} Gives the crops before and after too."
    SEARCH_ALIASES = ("detailer debug pipe", "detailer crops pipe")
    RETURN_TYPES = ("IMAGE", "SEGS", "BASIC_PIPE", "IMAGE", "IMAGE", "IMAGE", "IMAGE")
    RETURN_NAMES = ("image", "segs", "basic_pipe", *inputs.CROP_LISTS)
    OUTPUT_IS_LIST = (False, False, False, True, True, True, True)
    OUTPUT_TOOLTIPS = (*DetailerForEachPipe.OUTPUT_TOOLTIPS[:3], *inputs.CROP_LIST_TOOLTIPS)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return DetailerForEachPipe.INPUT_TYPES()

    def doit(self, image: Any, segs: Any, basic_pipe: Any, **widgets: Any) -> tuple[Any, ...]:
        done = _detail(Door("DetailerForEachDebugPipe"), image, segs, basic_pipe, widgets)
        return done.image, done.segs, basic_pipe, *shown_crops(done)


def _detail(door: Door, image: Any, segs: Any, basic_pipe: Any, widgets: Mapping[str, Any]) -> Detailed:
    pipe = door.basic_pipe(basic_pipe)
    refiner = door.refiner(widgets.get("refiner_basic_pipe_opt"), widgets["refiner_ratio"])
    hook = widgets.get("detailer_hook")
    return detail_frames(door, image, segs, pipe, "basic_pipe", settings_of(door, widgets), refiner, hook)


NODE_CLASS_MAPPINGS = {
    "DetailerForEachPipe": DetailerForEachPipe,
    "DetailerForEachDebugPipe": DetailerForEachDebugPipe,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "DetailerForEachPipe": "Detailer (SEGS/pipe)",
    "DetailerForEachDebugPipe": "DetailerDebug (SEGS/pipe)",
}
