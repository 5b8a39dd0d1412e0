"""Nodes of the Impact Pack for clips: a part keeps one crop region, and its frames are sampled at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ..core import SEGS, Size
from ..detailer import host
from ..detailer.detection.detect import detect_simple
from ..detailer.pipeline import run
from ..detailer.values import Detailed
from ..segs import black_picture
from ..segs.clips import MASKINGS, PIVOTS, Joining, Parts, of_frames, of_masks
from . import schema
from .detailer_pipes import detailer_pipe_of
from .finders import BBOX, OWN_INPUTS, SEGM, SimpleWidgets, finders_of, simple_settings, simple_widgets
from .registry import DETAILER, DETECTOR, OPERATION, Detailer, Node
from .schema import Inputs, InputTypes
from .settings import DetailerWidgets, recipe_of_pipe

if TYPE_CHECKING:
    from typing_extensions import Unpack

FRAMES = "The clip's frames. All of a part's are sampled at once."
SEGMENTS = (
    "The parts, each with one crop region for all frames and a mask for each ('MASK to SEGS for AnimateDiff', 'Simple "
    "Detector for AnimateDiff (SEGS)'), or with one mask for all."
)


class MaskToSEGS_for_AnimateDiff(Node, name="MASK to SEGS for AnimateDiff", menu=OPERATION):
    """The parts of a clip's masks as SEGS."""

    DESCRIPTION = (
        "Splits a clip's masks into the separate parts of what they cover together. Each has one crop region for all "
        "frames, and a mask for each."
    )
    SEARCH_ALIASES = ("mask to segments", "video mask", "animatediff mask", "clip mask")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("One segment for each separate part, its mask a batch with one for each frame.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        whole = "One segment for the whole mask instead of one for each part."
        fill = "Take the whole rectangle around each part as its mask, in each frame anew."
        outline = "Fill each part's outline. Of a batch each frame's own values are kept, whatever it says."
        return {
            "required": {
                "mask": schema.link("MASK", "White marks the parts: a batch with a mask for each frame."),
                "combined": schema.switch(False, "True", "False", whole),
                "crop_factor": schema.crop_factor(100),
                "bbox_fill": schema.switch(False, "enabled", "disabled", fill),
                "drop_size": schema.drop_size(),
                "contour_fill": schema.switch(False, "enabled", "disabled", outline),
            }
        }

    def doit(
        self,
        mask: object,
        combined: bool,
        crop_factor: float,
        bbox_fill: bool,
        drop_size: int,
        contour_fill: bool = False,
    ) -> tuple[SEGS]:
        parts = Parts(combined, crop_factor, bbox_fill, drop_size, contour_fill)
        return (of_masks(self.door.mask_of_any_size(mask), parts),)


class _FrameWidgets(SimpleWidgets, total=False):
    masking_mode: str
    segs_pivot: str
    sam_model_opt: object
    segm_detector_opt: object


class ImpactSimpleDetectorSEGS_for_AD(Node, name="Simple Detector for AnimateDiff (SEGS)", menu=DETECTOR):
    """What detectors find in a clip's frames, as parts of the clip."""

    DESCRIPTION = (
        "Finds things in every frame with a detector of rectangles, limits them to the outlines that SAM, or else a "
        "detector of outlines, finds, and joins them to parts that have one crop region for all frames."
    )
    SEARCH_ALIASES = ("detect faces in video", "video detector", "animatediff detector", "clip detector")
    RETURN_TYPES = ("SEGS",)
    OUTPUT_TOOLTIPS = ("One segment for each separate part of what was found in all frames together.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        masking = (
            "The mask in each frame. Pivot SEGS: the same in all, what was found in any. Combine neighboring frames: "
            "what was found there, in the frame before or in the next. Don't combine: only what was found there."
        )
        pivot = "Where the parts come from: what was found in all frames together, or in the first alone."
        sam, segm = "The SAM model. Goes before a segm detector.", "The detector of outlines, where there is no SAM."
        return {
            "required": {
                "bbox_detector": schema.link(BBOX, "The detector of rectangles, from a detector provider."),
                "image_frames": schema.link("IMAGE", "The clip's frames."),
                **simple_widgets(255),
            },
            "optional": {
                "masking_mode": (list(MASKINGS), {"tooltip": masking}),
                "segs_pivot": (list(PIVOTS), {"tooltip": pivot}),
                "sam_model_opt": schema.link("SAM_MODEL", sam),
                "segm_detector_opt": schema.link(SEGM, segm),
            },
        }

    def doit(self, bbox_detector: object, image_frames: object, **widgets: Unpack[_FrameWidgets]) -> tuple[SEGS]:
        frames = self.door.image(image_frames, "image_frames")
        pipe = self.door.detailer_pipe(detailer_pipe_of({**widgets, "bbox_detector": bbox_detector}))
        finders, settings = finders_of(self.door, pipe, OWN_INPUTS), simple_settings(widgets)
        found = []
        for frame in frames.split(1):
            host.devices.check_interrupted()
            found.append(detect_simple(frame, finders, settings))
        joining = Joining(
            widgets.get("masking_mode", MASKINGS[0]),
            widgets.get("segs_pivot", PIVOTS[0]),
            widgets["crop_factor"],
            widgets["drop_size"],
        )
        return (of_frames(found, Size(*frames.shape[1:3]), joining),)


class _ForClips(Detailer):
    """What the two detailers of clips have in common."""

    def _detailed(
        self, frames: object, segs: object, pipe: object, widgets: DetailerWidgets, pastes: bool
    ) -> tuple[Detailed, list[torch.Tensor]]:
        """What came out, and the ControlNet hints or a black picture."""
        door, widgets = self.door, self.checked(widgets)
        pictures = door.image(frames, "image_frames")
        recipe = recipe_of_pipe(door, pipe, widgets)
        # a motion model looks at all frames of one part, and at no other's
        recipe = replace(recipe, settings=replace(recipe.settings, crop_batch=1))
        door.fits_latent(Size(*pictures.shape[1:3]), recipe.pipe.vae, "image_frames")
        clip = pictures.to(host.devices.intermediate_device(), copy=True)
        checked = door.segs_to_detail(segs)
        picture = run.Picture(clip[..., :3], checked, recipe.settings.seed, pastes=pastes, is_clip=True)
        (done,) = run.detail([picture], 1, recipe)
        return replace(done, image=clip), list(done.control_images) or [black_picture()]


def _inputs(longest: int, feather: Inputs | None = None, hook: Inputs | None = None) -> InputTypes:
    """Those of a detailer of clips, and what one of them alone has."""
    return {
        "required": {
            "image_frames": schema.link("IMAGE", FRAMES),
            "segs": schema.link("SEGS", SEGMENTS),
            **schema.sizes(longest=longest),
            **schema.sampling(),
            "seed": schema.seed("The noise seed, the same for all parts. Every frame has other noise."),
            "denoise": schema.denoise(),
            **(feather or {}),
            "basic_pipe": schema.basic_pipe(),
            "refiner_ratio": schema.refiner_ratio(),
        },
        "optional": {
            **(hook or {}),
            "refiner_basic_pipe_opt": schema.refiner_pipe(),
            "noise_mask_feather": schema.noise_mask_feather(),
            "scheduler_func_opt": schema.scheduler_func(),
        },
    }


class SEGSDetailerForAnimateDiff(_ForClips, name="SEGSDetailer For AnimateDiff (SEGS/pipe)", menu=DETAILER):
    """Details a clip's segments without putting them back."""

    DESCRIPTION = (
        "Samples each part of a clip anew, all its frames at once, and keeps the result as the segment's own images. "
        "'SEGSPaste' puts them into the frames."
    )
    SEARCH_ALIASES = ("animatediff detailer", "video detailer", "segs detailer clip")
    RETURN_TYPES = ("SEGS", "IMAGE")
    RETURN_NAMES = ("segs", "cnet_images")
    OUTPUT_IS_LIST = (False, True)
    OUTPUT_TOOLTIPS = (
        "The segments with their refined crops, one for each frame, as images.",
        "The ControlNet hints, in the order of use.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return _inputs(768)

    def doit(
        self, image_frames: object, segs: object, basic_pipe: object, **widgets: Unpack[DetailerWidgets]
    ) -> tuple[SEGS, list[torch.Tensor]]:
        done, hints = self._detailed(image_frames, segs, basic_pipe, widgets, pastes=False)
        return done.segs, hints


class DetailerForEachPipeForAnimateDiff(_ForClips, name="Detailer For AnimateDiff (SEGS/pipe)", menu=DETAILER):
    """Details each segment of a clip."""

    DESCRIPTION = (
        "Cuts each part out of all frames of a clip, samples its frames at once, so that a motion model keeps them "
        "together, and puts them back without a seam."
    )
    SEARCH_ALIASES = ("animatediff detailer", "video detailer", "clip detailer", "face detailer video")
    RETURN_TYPES = ("IMAGE", "SEGS", "BASIC_PIPE", "IMAGE")
    RETURN_NAMES = ("image", "segs", "basic_pipe", "cnet_images")
    OUTPUT_IS_LIST = (False, False, False, True)
    OUTPUT_TOOLTIPS = (
        "The clip with every segment detailed.",
        "The segments with their refined crops, one for each frame, as images.",
        "The basic_pipe that came in.",
        "The ControlNet hints, in the order of use.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return _inputs(1024, {"feather": schema.feather()}, {"detailer_hook": schema.detailer_hook()})

    def doit(
        self, image_frames: object, segs: object, basic_pipe: object, **widgets: Unpack[DetailerWidgets]
    ) -> tuple[torch.Tensor, SEGS, object, list[torch.Tensor]]:
        done, hints = self._detailed(image_frames, segs, basic_pipe, widgets, pastes=True)
        return done.image, done.segs, basic_pipe, hints
