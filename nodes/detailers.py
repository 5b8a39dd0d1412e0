"""Nodes of the detailers group: the parts of a picture that a mask or segments mark, made anew in more detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..detailer.pipeline import run
from ..detailer.values import wrapped_seed
from ..segs import black_picture
from . import schema
from .compat import do_detail
from .detailing import Shot, shown_crops, work_on, work_on_each
from .registry import DETAILER, Detailer
from .schema import Input, InputTypes
from .settings import DetailerWidgets, MaskWidgets, mask_cut_of, recipe_of_parts, recipe_of_pipe

if TYPE_CHECKING:
    from typing_extensions import Unpack

FRAMES = "The picture. A batch is detailed frame by frame, each with the same segments."

# The lists that the Debug nodes give besides the picture.
CROP_LISTS = ("cropped", "cropped_refined", "cropped_refined_alpha", "cnet_images")
CROP_LIST_TOOLTIPS = (
    "The crops as they were, at their size in the picture, the tallest first.",
    "The refined crops at their size in the picture, the tallest first.",
    "The refined crops with the blend mask as alpha, in the same order.",
    "The ControlNet hints, in the order of use.",
)


class MaskDetailerPipe(Detailer, name="MaskDetailer (pipe)", menu=DETAILER):
    """Details the parts of a picture that a mask marks."""

    DESCRIPTION = (
        "The mask says where: each separate part of it is cut out with some context, enlarged, sampled anew and put "
        "back without a seam. Everything outside the feathered mask stays as it is, bit for bit."
    )
    SEARCH_ALIASES = (
        "inpaint", "hands", "eyes", "mask detailer", "inpaint mask", "detail masked area", "enhance masked area",
        "face detail", "fix hands", "fix eyes",
    )  # fmt: skip
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "BASIC_PIPE", "BASIC_PIPE")
    RETURN_NAMES = ("image", "cropped_refined", "cropped_enhanced_alpha", "basic_pipe", "refiner_basic_pipe_opt")
    OUTPUT_IS_LIST = (False, True, True, False, False)
    OUTPUT_TOOLTIPS = (
        "The finished picture, or batch_size of them.",
        "The refined crops at their size in the picture; for each picture, the tallest first.",
        "The same crops with the blend mask as alpha, in the same order.",
        "The basic_pipe that came in.",
        "The refiner pipe that came in.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        masked = "Sample only under the mask, or the whole crop. Either way only what is under the mask is put back."
        return {
            "required": {
                "image": schema.link("IMAGE", "The picture, or a batch of them. Alpha is kept."),
                "mask": schema.mask_to_detail(),
                "basic_pipe": schema.basic_pipe(),
                "guide_size": schema.guide_size(384),
                "guide_size_for": schema.guide_size_for("mask bbox", "crop region"),
                "max_size": schema.max_size(),
                "mask_mode": schema.switch(True, "masked only", "whole", masked, advanced=True),
                **schema.sampling(),
                "denoise": schema.denoise(),
                "feather": schema.feather(),
                "crop_factor": schema.crop_factor(10),
                "drop_size": schema.advanced(schema.drop_size()),
                "refiner_ratio": schema.refiner_ratio(),
                "batch_size": schema.batch_size("How many finished variants of each picture, each with the next seed."),
                "cycle": schema.cycle(),
            },
            "optional": {
                "refiner_basic_pipe_opt": schema.refiner_pipe(),
                "detailer_hook": schema.detailer_hook(),
                "inpaint_model": schema.inpaint_model(),
                "noise_mask_feather": schema.noise_mask_feather(),
                "bbox_fill": schema.advanced(schema.bbox_fill()),
                "contour_fill": schema.advanced(schema.contour_fill(True)),
                "scheduler_func_opt": schema.scheduler_func(),
                **schema.beyond(),
                **schema.choices(),
            },
        }

    def doit(
        self, image: object, mask: object, basic_pipe: object, **widgets: Unpack[MaskWidgets]
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor], object, object]:
        door, widgets = self.door, self.checked(widgets)
        frames = door.image(image)
        recipe = recipe_of_pipe(door, basic_pipe, widgets)
        cut = mask_cut_of(widgets)
        segs_of_frame, without = cut.segs_of_frames(door, frames, mask), cut.why_nothing(mask)
        shots = (
            Shot(frame, segs_of_frame(frame, variant == 0), wrapped_seed(widgets["seed"] + variant), without)
            for variant in range(widgets["batch_size"])
            for frame in range(len(frames))
        )
        work = work_on(door, frames, shots, widgets["batch_size"] * len(frames), recipe)
        refined: list[torch.Tensor] = []
        refined_alpha: list[torch.Tensor] = []
        for done in run.detail(work.pictures, work.count, work.recipe):
            refined += done.refined
            refined_alpha += done.refined_alpha
        return (
            work.images,
            refined or [black_picture()],
            refined_alpha or [black_picture()],
            basic_pipe,
            widgets.get("refiner_basic_pipe_opt"),
        )


class DetailerForEach(Detailer, name="Detailer (SEGS)", menu=DETAILER):
    """Details each segment of a picture."""

    DESCRIPTION = "Cuts out each segment, enlarges it, samples it anew and puts it back without a seam."
    SEARCH_ALIASES = ("detailer", "inpaint", "hands", "eyes", "segs detailer", "enhance segments", "inpaint segments")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = ("The picture with every segment detailed.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        parts = schema.pipe_parts()
        return {
            "required": {
                "image": schema.link("IMAGE", FRAMES),
                "segs": schema.link("SEGS", "The segments to detail, in the order of work."),
                "model": parts["model"],
                "clip": parts["clip"],
                "vae": parts["vae"],
                **schema.sizes(),
                **schema.sampling(),
                "positive": parts["positive"],
                "negative": parts["negative"],
                **schema.denoise_and_masks(),
                "wildcard": schema.segment_text(),
                "cycle": schema.cycle(),
            },
            "optional": {
                "detailer_hook": schema.detailer_hook(),
                "inpaint_model": schema.inpaint_model(),
                "noise_mask_feather": schema.noise_mask_feather(),
                "scheduler_func_opt": schema.scheduler_func(),
                **schema.vae_tiles(),
                **schema.beyond(),
                **schema.choices(),
            },
        }

    def doit(self, image: object, segs: object, **widgets: Unpack[DetailerWidgets]) -> tuple[torch.Tensor]:
        work = work_on_each(self.door, image, segs, recipe_of_parts(self.door, self.checked(widgets)))
        return (work.joined(list(run.detail(work.pictures, work.count, work.recipe))).image,)

    do_detail = staticmethod(do_detail)


class DetailerForEachDebug(Detailer, name="DetailerDebug (SEGS)", menu=DETAILER):
    """Details each segment of a picture and shows the crops."""

    DESCRIPTION = f"{DetailerForEach.DESCRIPTION} Gives the crops before and after too."
    SEARCH_ALIASES = ("detailer debug", "detailer crops", "segs detailer debug")
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "IMAGE", "IMAGE")
    RETURN_NAMES = ("image", *CROP_LISTS)
    OUTPUT_IS_LIST = (False, True, True, True, True)
    OUTPUT_TOOLTIPS = (*DetailerForEach.OUTPUT_TOOLTIPS, *CROP_LIST_TOOLTIPS)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return DetailerForEach.INPUT_TYPES()

    def doit(self, image: object, segs: object, **widgets: Unpack[DetailerWidgets]) -> tuple[object, ...]:
        work = work_on_each(self.door, image, segs, recipe_of_parts(self.door, self.checked(widgets)))
        done = work.joined(list(run.detail(work.pictures, work.count, work.recipe)))
        return done.image, *shown_crops(done)


class DetailerForEachAutoRetry(Detailer, name="Detailer (SEGS) with auto retry", menu=DETAILER):
    """Details each segment of a picture, again where a hook finds fault with the result."""

    DESCRIPTION = (
        "Like Detailer (SEGS), but asks the detailer_hook whether each finished part is good, and samples it again "
        "with the next seed where it isn't. Without a hook that judges, one attempt is made."
    )
    SEARCH_ALIASES = ("detailer retry", "auto retry", "black patch")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = DetailerForEach.OUTPUT_TOOLTIPS

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        tooltip = "How many times each part is sampled at most. If the last attempt is not good either, the run stops."
        retries: Input = "INT", {"default": 1, "min": 1, "max": 10, "step": 1, "tooltip": tooltip}
        types = DetailerForEach.INPUT_TYPES()
        return {**types, "required": {**types["required"], "max_retries": retries}}

    def doit(self, image: object, segs: object, **widgets: Unpack[DetailerWidgets]) -> tuple[torch.Tensor]:
        work = work_on_each(self.door, image, segs, recipe_of_parts(self.door, self.checked(widgets)))
        return (work.joined(list(run.detail(work.pictures, work.count, work.recipe))).image,)
