"""Detailing in two steps: segments refined by themselves, then put into a picture."""

from __future__ import annotations

from typing import Any

import torch

from ..core import SEGS, Size
from ..detailer import host
from ..detailer.pipeline import run as engine
from ..detailer.pipeline.recipe import Recipe
from ..segs import black_picture, paste
from . import inputs
from .checks import Door
from .detailers import CATEGORY, settings_of


class SEGSDetailer:
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
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        masked = "Sample only under the mask; off: the whole crop."
        return {
            "required": {
                "image": inputs.link("IMAGE", "One picture. Segments without an image of their own are cut from it."),
                "segs": inputs.link("SEGS", "The segments to detail. All of them get the same seed."),
                **inputs.sizes(longest=768),
                **inputs.sampling(),
                "denoise": inputs.denoise(),
                "noise_mask": inputs.switch(True, "enabled", "disabled", masked),
                "force_inpaint": inputs.force_inpaint(),
                "basic_pipe": inputs.basic_pipe(),
                "refiner_ratio": inputs.refiner_ratio(),
                "batch_size": inputs.batch_size("How many variants of each segment, each with the next seed."),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "refiner_basic_pipe_opt": inputs.refiner_pipe(),
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "scheduler_func_opt": inputs.scheduler_func(),
                **inputs.beyond(),
            },
        }

    def doit(self, image: Any, segs: Any, basic_pipe: Any, **widgets: Any) -> tuple[SEGS, list[torch.Tensor]]:
        door = Door("SEGSDetailer")
        frames = door.one_image(image)
        pipe = door.basic_pipe(basic_pipe)
        door.fits_latent(Size(*frames.shape[1:3]), pipe.vae)
        refiner = door.refiner(widgets.get("refiner_basic_pipe_opt"), widgets["refiner_ratio"])
        recipe = Recipe(pipe, settings_of(door, widgets), refiner, source=door.node)
        refined, hints = engine.refine(frames[..., :3], door.segs(segs), recipe, widgets["batch_size"])
        return refined, hints or [black_picture()]


class SEGSPaste:
    """Puts segments' images into a picture."""

    DESCRIPTION = "Puts each segment's own image (or a reference picture's crop) into the picture through its mask."
    SEARCH_ALIASES = ("segs paste", "paste segments", "put back", "composite segments")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = ("The picture with the segments in it; bit for bit the input where no feathered mask reaches.",)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        frames = "The picture. Frame by frame for a batch: frame i takes frame i of each segment's image and mask."
        alpha = "How much of the segments is put over the picture: 255 all, 128 half, 0 nothing."
        reference = "Take the segments from this picture instead of their own images."
        return {
            "required": {
                "image": inputs.link("IMAGE", frames),
                "segs": inputs.link("SEGS", "The segments, in the order in which they are put in; later ones on top."),
                "feather": inputs.feather(),
                "alpha": ("INT", {"default": 255, "min": 0, "max": 255, "step": 1, "tooltip": alpha}),
            },
            "optional": {"ref_image_opt": inputs.link("IMAGE", reference)},
        }

    def doit(
        self, image: Any, segs: Any, feather: int, alpha: int = 255, ref_image_opt: Any = None
    ) -> tuple[torch.Tensor]:
        door = Door("SEGSPaste")
        frames = door.image(image)
        reference = None
        if ref_image_opt is not None:
            reference = door.image(ref_image_opt, "ref_image_opt")[..., :3]
        pasted = paste(frames[..., :3], door.segs(segs), feather, alpha / 255, reference)
        return (torch.cat([pasted, frames[..., 3:]], dim=-1).to(host.devices.intermediate_device()),)


NODE_CLASS_MAPPINGS = {"SEGSDetailer": SEGSDetailer, "SEGSPaste": SEGSPaste}
NODE_DISPLAY_NAME_MAPPINGS = {"SEGSDetailer": "SEGSDetailer", "SEGSPaste": "SEGSPaste"}
