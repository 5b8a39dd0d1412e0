"""Detailing in two steps: segments refined by themselves, then put into a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..core import SEGS, Size
from ..detailer import host
from ..detailer.pipeline import run
from ..segs import black_picture, paste
from . import schema
from .registry import DETAILER, Detailer, Node
from .schema import InputTypes
from .settings import VariantWidgets, recipe_of_pipe

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SEGSDetailer(Detailer, menu=DETAILER):
    """Details segments without putting them back."""

    DESCRIPTION = (
        "Samples each segment anew at a larger size and keeps the result as the segment's own image. 'SEGSPaste' puts "
        "them into a picture."
    )
    SEARCH_ALIASES = ("segs detailer", "refine segments", "detail without paste", "segment variants")
    RETURN_TYPES = ("SEGS", "IMAGE")
    RETURN_NAMES = ("segs", "cnet_images")
    OUTPUT_IS_LIST = (False, True)
    OUTPUT_TOOLTIPS = (
        "The segments with their refined crops as images: all of the first variant, then all of the next.",
        "The ControlNet hints, in the order of use.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        masked = "Sample only under the mask; off: the whole crop."
        return {
            "required": {
                "image": schema.link("IMAGE", "One picture. Segments without an image of their own are cut from it."),
                "segs": schema.link("SEGS", "The segments to detail. All of them get the same seed."),
                **schema.sizes(longest=768),
                **schema.sampling(),
                "denoise": schema.denoise(),
                "noise_mask": schema.switch(True, "enabled", "disabled", masked, advanced=True),
                "force_inpaint": schema.force_inpaint(),
                "basic_pipe": schema.basic_pipe(),
                "refiner_ratio": schema.refiner_ratio(),
                "batch_size": schema.batch_size("How many variants of each segment, each with the next seed."),
                "cycle": schema.cycle(),
            },
            "optional": {
                "refiner_basic_pipe_opt": schema.refiner_pipe(),
                "inpaint_model": schema.inpaint_model(),
                "noise_mask_feather": schema.noise_mask_feather(),
                "scheduler_func_opt": schema.scheduler_func(),
                **schema.beyond(),
                **schema.choices(),
            },
        }

    def doit(
        self, image: object, segs: object, basic_pipe: object, **widgets: Unpack[VariantWidgets]
    ) -> tuple[SEGS, list[torch.Tensor]]:
        door, widgets = self.door, self.checked(widgets)
        frames = door.one_image(image)
        recipe = recipe_of_pipe(door, basic_pipe, widgets)
        door.fits_latent(Size(*frames.shape[1:3]), recipe.pipe.vae)
        refined, hints = run.refine(frames[..., :3], door.segs_to_detail(segs), recipe, widgets["batch_size"])
        return refined, hints or [black_picture()]


class SEGSPaste(Node, menu=DETAILER):
    """Puts segments' images into a picture."""

    DESCRIPTION = "Puts each segment's own image (or a reference picture's crop) into the picture through its mask."
    SEARCH_ALIASES = ("segs paste", "paste segments", "put back", "composite segments")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = ("The picture with the segments in it; bit for bit the input where no feathered mask reaches.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        frames = "The picture. Frame by frame for a batch: frame i takes frame i of each segment's image and mask."
        alpha = "How much of the segments is put over the picture: 255 all, 128 half, 0 nothing."
        reference = "Take the segments from this picture instead of their own images."
        return {
            "required": {
                "image": schema.link("IMAGE", frames),
                "segs": schema.link("SEGS", "The segments, in the order in which they are put in; later ones on top."),
                "feather": schema.feather(),
                "alpha": ("INT", {"default": 255, "min": 0, "max": 255, "step": 1, "tooltip": alpha}),
            },
            "optional": {"ref_image_opt": schema.link("IMAGE", reference)},
        }

    def doit(
        self, image: object, segs: object, feather: int, alpha: int = 255, ref_image_opt: object = None
    ) -> tuple[torch.Tensor]:
        door = self.door
        frames = door.image(image)
        reference = None
        if ref_image_opt is not None:
            reference = door.image(ref_image_opt, "ref_image_opt")[..., :3]
        pasted = paste(frames[..., :3], door.segs(segs), feather, alpha / 255, reference)
        return (torch.cat([pasted, frames[..., 3:]], dim=-1).to(host.devices.intermediate_device()),)
