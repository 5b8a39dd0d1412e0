"""Detector and detailer in one node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from ..core import Size
from ..detailer import host
from ..detailer.detection.detect import DetectionSettings, Finders, FindSettings, SamSettings, detect_faces
from ..detailer.host.protocols import DetailerHook
from ..detailer.pipeline import run
from ..detailer.values import Detailed, wrapped_seed
from ..segs import rescale, to_combined_mask
from . import schema
from .detailer_pipes import detailer_pipe_of
from .detailing import Shot, shown_crops, work_on
from .door import Door
from .finders import IN_PIPE, OWN_INPUTS, PartsWidgets, choice_of, finders_of
from .registry import SIMPLE, Detailer
from .schema import Inputs, InputTypes
from .settings import DetailerWidgets, recipe_of, refiner_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

BATCH = "The picture. A batch is detailed frame by frame; frame n samples with seed + n - 1."
MASK = "What was found, one mask a picture, before it is feathered."
SHARED_OUTPUT_TOOLTIPS = (
    "The picture with everything that was found detailed.",
    "The refined crops at their size in the picture; for each picture, the tallest first.",
    "The same crops with the blend mask as alpha, in the same order.",
    MASK,
)


def _detection() -> Inputs:
    return {
        "bbox_threshold": schema.detector_threshold(),
        "bbox_dilation": schema.dilation(),
        "bbox_crop_factor": schema.crop_factor(10),
        "sam_detection_hint": schema.advanced(schema.detection_hint()),
        "sam_dilation": schema.advanced(schema.dilation(0)),
        "sam_threshold": schema.advanced(schema.sam_threshold()),
        "sam_bbox_expansion": schema.advanced(schema.bbox_expansion()),
        "sam_mask_hint_threshold": schema.advanced(schema.mask_hint_threshold()),
        "sam_mask_hint_use_negative": schema.advanced(schema.mask_hint_use_negative()),
        "drop_size": schema.advanced(schema.drop_size()),
    }


class _Widgets(DetailerWidgets, PartsWidgets):
    """A face detailer's inputs."""

    bbox_threshold: float
    bbox_dilation: int
    bbox_crop_factor: float
    sam_detection_hint: str
    sam_dilation: int
    sam_threshold: float
    sam_bbox_expansion: int
    sam_mask_hint_threshold: float
    sam_mask_hint_use_negative: str
    drop_size: int


def _find_settings(door: Door, widgets: _Widgets) -> FindSettings:
    asked = DetectionSettings(
        threshold=widgets["bbox_threshold"],
        dilation=widgets["bbox_dilation"],
        crop_factor=widgets["bbox_crop_factor"],
        drop_size=widgets["drop_size"],
    )
    sam = SamSettings(
        hint=widgets["sam_detection_hint"],
        threshold=widgets["sam_threshold"],
        dilation=widgets["sam_dilation"],
        bbox_expansion=widgets["sam_bbox_expansion"],
        mask_hint_threshold=widgets["sam_mask_hint_threshold"],
        negative=widgets["sam_mask_hint_use_negative"],
    )
    return FindSettings(bbox=asked, segm=asked, sam=sam, choice=choice_of(door, widgets))


@dataclass
class _Faces:
    """What is found frame by frame as the work goes on, and the lists of what becomes of it.

    Attributes:
        frames: ``[B,H,W,3 or 4]``.
        seed: of the first frame; each further one has the next.
        hook: as it is, for the detectors.
    """

    door: Door
    frames: torch.Tensor
    seed: int
    finders: Finders
    settings: FindSettings
    hook: DetailerHook = None
    masks: list[torch.Tensor] = field(default_factory=list)
    refined: list[torch.Tensor] = field(default_factory=list)
    refined_alpha: list[torch.Tensor] = field(default_factory=list)
    hints: list[torch.Tensor] = field(default_factory=list)

    def shots(self) -> Iterator[Shot]:
        for index, frame in enumerate(self.frames.split(1)):
            segs = self.door.segs(detect_faces(frame, self.finders, self.settings, self.hook))
            self.masks.append(to_combined_mask(rescale(segs, Size(*frame.shape[1:3]))))
            yield Shot(index, segs, wrapped_seed(self.seed + index))

    def keep(self, done: Detailed) -> None:
        _, refined, alpha, hints = shown_crops(done)
        self.refined += refined
        self.refined_alpha += alpha
        self.hints += hints

    @property
    def mask(self) -> torch.Tensor:
        """What was found, one mask a frame."""
        return torch.cat(self.masks).to(host.devices.intermediate_device())


class FaceDetailer(Detailer, menu=SIMPLE):
    """Finds faces, or anything that the detector knows, and details them."""

    DESCRIPTION = (
        "Finds faces, hands or whatever the detector knows, cuts each out, enlarges it, samples it anew and puts it "
        "back without a seam. SAM, or a detector of outlines, can limit the masks to what was found."
    )
    SEARCH_ALIASES = (
        "face detailer",
        "adetailer",
        "hands",
        "eyes",
        "face fix",
        "hand fix",
        "fix hands",
        "restore faces",
    )
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "MASK", "DETAILER_PIPE", "IMAGE")
    RETURN_NAMES = ("image", "cropped_refined", "cropped_enhanced_alpha", "mask", "detailer_pipe", "cnet_images")
    OUTPUT_IS_LIST = (False, True, True, False, False, True)
    OUTPUT_TOOLTIPS = (
        *SHARED_OUTPUT_TOOLTIPS,
        "Model, prompts, detectors and hook in one, for 'FaceDetailer (pipe)'.",
        "The ControlNet hints, in the order of use.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        parts = schema.pipe_parts()
        return {
            "required": {
                "image": schema.link("IMAGE", BATCH),
                "model": parts["model"],
                "clip": parts["clip"],
                "vae": parts["vae"],
                **schema.sizes(),
                **schema.sampling(),
                "positive": parts["positive"],
                "negative": parts["negative"],
                **schema.denoise_and_masks(),
                **_detection(),
                "bbox_detector": schema.link("BBOX_DETECTOR", "What finds the parts, from a detector provider."),
                "wildcard": schema.segment_text(),
                "cycle": schema.cycle(),
            },
            "optional": {
                "sam_model_opt": schema.link("SAM_MODEL", "Limits each mask to what SAM sees there."),
                "segm_detector_opt": schema.link("SEGM_DETECTOR", "Limits the masks where there is no SAM."),
                "detailer_hook": schema.detailer_hook(),
                "inpaint_model": schema.inpaint_model(),
                "noise_mask_feather": schema.noise_mask_feather(),
                "scheduler_func_opt": schema.scheduler_func(),
                **schema.vae_tiles(),
                **schema.beyond(),
                **schema.parts_labels(),
                **schema.parts(),
            },
        }

    def doit(self, image: object, **widgets: Unpack[_Widgets]) -> tuple[object, ...]:
        door, widgets = self.door, self.checked(widgets)
        frames, pipe_out = door.image(image), detailer_pipe_of(widgets)
        pipe = door.detailer_pipe(pipe_out)
        recipe = recipe_of(door, pipe.base, None, widgets)
        finders, settings = finders_of(door, pipe, OWN_INPUTS), _find_settings(door, widgets)
        faces = _Faces(door, frames, recipe.settings.seed, finders, settings, pipe.detailer_hook)
        work = work_on(door, frames, faces.shots(), len(frames), recipe)
        for done in run.detail(work.pictures, work.count, recipe):
            faces.keep(done)
        return work.images, faces.refined, faces.refined_alpha, faces.mask, pipe_out, faces.hints


class FaceDetailerPipe(Detailer, name="FaceDetailer (pipe)", menu=SIMPLE):
    """The same with everything but the widgets from a pipe, and with a refiner."""

    DESCRIPTION = f"{FaceDetailer.DESCRIPTION} Takes models, prompts, detectors and hook from a DETAILER_PIPE."
    SEARCH_ALIASES = ("face detailer pipe", "adetailer pipe", "face refiner")
    RETURN_TYPES = FaceDetailer.RETURN_TYPES
    RETURN_NAMES = FaceDetailer.RETURN_NAMES
    OUTPUT_IS_LIST = FaceDetailer.OUTPUT_IS_LIST
    OUTPUT_TOOLTIPS = (*SHARED_OUTPUT_TOOLTIPS, "The pipe that came in.", FaceDetailer.OUTPUT_TOOLTIPS[-1])

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        pipe = "Models, prompts, detectors, SAM and hook ('ToDetailerPipe')."
        return {
            "required": {
                "image": schema.link("IMAGE", BATCH),
                "detailer_pipe": schema.link("DETAILER_PIPE", pipe),
                **schema.sizes(),
                **schema.sampling(),
                **schema.denoise_and_masks(),
                **_detection(),
                "refiner_ratio": schema.refiner_ratio(),
                "cycle": schema.cycle(),
            },
            "optional": {
                "inpaint_model": schema.inpaint_model(),
                "noise_mask_feather": schema.noise_mask_feather(),
                "scheduler_func_opt": schema.scheduler_func(),
                **schema.vae_tiles(),
                **schema.beyond(),
                **schema.parts_labels(),
                **schema.parts(),
            },
        }

    def doit(self, image: object, detailer_pipe: object, **widgets: Unpack[_Widgets]) -> tuple[object, ...]:
        door, widgets = self.door, self.checked(widgets)
        frames, pipe = door.image(image), door.detailer_pipe(detailer_pipe)
        of_pipe = {"wildcard": pipe.wildcard, "detailer_hook": pipe.detailer_hook}
        refiner = refiner_of(pipe, widgets.get("refiner_ratio"))
        recipe = recipe_of(door, pipe.base, "detailer_pipe", {**widgets, **of_pipe}, refiner)
        finders, settings = finders_of(door, pipe, IN_PIPE), _find_settings(door, widgets)
        faces = _Faces(door, frames, recipe.settings.seed, finders, settings, pipe.detailer_hook)
        work = work_on(door, frames, faces.shots(), len(frames), recipe)
        for done in run.detail(work.pictures, work.count, recipe):
            faces.keep(done)
        return work.images, faces.refined, faces.refined_alpha, faces.mask, detailer_pipe, faces.hints
