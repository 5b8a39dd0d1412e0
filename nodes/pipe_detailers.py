"""Detailers that take their models and prompts from a BASIC_PIPE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..detailer.pipeline import run
from . import schema
from .detailers import CROP_LIST_TOOLTIPS, CROP_LISTS, FRAMES, DetailerForEach
from .detailing import shown_crops, work_on_each
from .registry import DETAILER, Detailer
from .schema import InputTypes
from .settings import DetailerWidgets, recipe_of_pipe

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DetailerForEachPipe(Detailer, name="Detailer (SEGS/pipe)", menu=DETAILER):
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

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "image": schema.link("IMAGE", FRAMES),
                "segs": schema.link("SEGS", "The segments to detail, in the order of work."),
                **schema.sizes(),
                **schema.sampling(),
                **schema.denoise_and_masks(),
                "basic_pipe": schema.basic_pipe(),
                "wildcard": schema.segment_text(),
                "refiner_ratio": schema.refiner_ratio(),
                "cycle": schema.cycle(),
            },
            "optional": {
                "detailer_hook": schema.detailer_hook(),
                "refiner_basic_pipe_opt": schema.refiner_pipe(),
                "inpaint_model": schema.inpaint_model(),
                "noise_mask_feather": schema.noise_mask_feather(),
                "scheduler_func_opt": schema.scheduler_func(),
                **schema.vae_tiles(),
                **schema.beyond(),
                **schema.choices(),
            },
        }

    def doit(
        self, image: object, segs: object, basic_pipe: object, **widgets: Unpack[DetailerWidgets]
    ) -> tuple[object, ...]:
        recipe = recipe_of_pipe(self.door, basic_pipe, self.checked(widgets))
        work = work_on_each(self.door, image, segs, recipe)
        done = work.joined(list(run.detail(work.pictures, work.count, work.recipe)))
        return done.image, done.segs, basic_pipe, shown_crops(done)[-1]


class DetailerForEachDebugPipe(Detailer, name="DetailerDebug (SEGS/pipe)", menu=DETAILER):
    """Details each segment of a picture and shows the crops, with a refiner where one is wanted."""

    DESCRIPTION = f"{DetailerForEachPipe.DESCRIPTION} Gives the crops before and after too."
    SEARCH_ALIASES = ("detailer debug pipe", "detailer crops pipe")
    RETURN_TYPES = ("IMAGE", "SEGS", "BASIC_PIPE", "IMAGE", "IMAGE", "IMAGE", "IMAGE")
    RETURN_NAMES = ("image", "segs", "basic_pipe", *CROP_LISTS)
    OUTPUT_IS_LIST = (False, False, False, True, True, True, True)
    OUTPUT_TOOLTIPS = (*DetailerForEachPipe.OUTPUT_TOOLTIPS[:3], *CROP_LIST_TOOLTIPS)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return DetailerForEachPipe.INPUT_TYPES()

    def doit(
        self, image: object, segs: object, basic_pipe: object, **widgets: Unpack[DetailerWidgets]
    ) -> tuple[object, ...]:
        recipe = recipe_of_pipe(self.door, basic_pipe, self.checked(widgets))
        work = work_on_each(self.door, image, segs, recipe)
        done = work.joined(list(run.detail(work.pictures, work.count, work.recipe)))
        return done.image, done.segs, basic_pipe, *shown_crops(done)
