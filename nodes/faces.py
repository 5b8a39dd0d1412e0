"""Detector and detailer in one node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypedDict

import torch

from ..core import SEGS, Size
from ..detailer import host
from ..detailer.detection.detect import DetectionSettings, FindSettings, SamSettings, choose, detect_faces
from ..detailer.pipeline import run
from ..detailer.values import Detailed, DetailerPipe, wrapped_seed
from ..segs import rescale, to_combined_mask
from . import schema
from .detailer_pipes import detailer_pipe_of
from .detailing import MaskCut, Shot, shown_crops, work_on
from .door import Door
from .finders import IN_PIPE, OWN_INPUTS, FinderInputs, PartsWidgets, choice_of, finders_of
from .registry import SIMPLE, Detailer
from .schema import Inputs, InputTypes
from .settings import DetailerWidgets, recipe_of, refiner_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

BATCH = "The picture. A batch is detailed frame by frame; frame n samples with seed + n - 1."
MASK = "What was found or given, one mask a picture, before it is feathered."
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


def _instead_of_the_detector() -> Inputs:
    """What says where the parts are, so that nothing needs to be found; last."""
    mask = (
        "Instead of the detector: each separate part of it is detailed as it is, and neither the detector nor SAM is "
        "asked. As many masks as images pair up; one mask serves all images; one image takes all masks."
    )
    segs = (
        "Instead of the detector: the segments to detail, the same in each picture; neither the detector nor SAM is "
        "asked."
    )
    return {"mask": schema.link("MASK", mask), "segs": schema.link("SEGS", segs)}


class _Given(TypedDict, total=False):
    mask: object
    segs: object


class _Widgets(DetailerWidgets, PartsWidgets, _Given):
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


def _segs_of_frames(
    door: Door, frames: torch.Tensor, pipe: DetailerPipe, inputs: FinderInputs, widgets: _Widgets
) -> Callable[[int], SEGS]:
    """What gives a frame's segments: those that came in, those of a mask that came in, or what is found there.

    Raises:
        InputError: for a mask and segments at once, and for what can't be worked with.
    """
    mask, segs, settings = widgets.get("mask"), widgets.get("segs"), _find_settings(door, widgets)
    if segs is not None:
        if mask is not None:
            raise door.error("segs", "there is a mask too", "Connect one of the two")
        given = choose(door.segs_to_detail(segs), settings.choice)
        return lambda frame: given
    if mask is not None:
        cut = MaskCut(widgets["bbox_crop_factor"], widgets["drop_size"], contour_fill=False)
        of_mask, choice = cut.segs_of_frames(door, frames, mask), replace(settings.choice, labels=None)
        return lambda frame: choose(of_mask(frame, True), choice)
    finders = finders_of(door, pipe, inputs)
    return lambda frame: door.segs(detect_faces(frames[frame : frame + 1], finders, settings, pipe.detailer_hook))


@dataclass
class _Faces:
    """What is found frame by frame as the work goes on, and the lists of what becomes of it.

    Attributes:
        size: the frames'.
        count: how many there are.
        seed: of the first frame; each further one has the next.
        segs_of: gives a frame's segments.
    """

    size: Size
    count: int
    seed: int
    segs_of: Callable[[int], SEGS]
    masks: list[torch.Tensor] = field(default_factory=list)
    refined: list[torch.Tensor] = field(default_factory=list)
    refined_alpha: list[torch.Tensor] = field(default_factory=list)
    hints: list[torch.Tensor] = field(default_factory=list)

    def shots(self) -> Iterator[Shot]:
        for index in range(self.count):
            segs = self.segs_of(index)
            self.masks.append(to_combined_mask(rescale(segs, self.size)))
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
                **_instead_of_the_detector(),
                **schema.choices(),
            },
        }

    def doit(self, image: object, **widgets: Unpack[_Widgets]) -> tuple[object, ...]:
        door, widgets = self.door, self.checked(widgets)
        frames, pipe_out = door.image(image), detailer_pipe_of(widgets)
        pipe = door.detailer_pipe(pipe_out)
        recipe = recipe_of(door, pipe.base, None, widgets)
        segs_of = _segs_of_frames(door, frames, pipe, OWN_INPUTS, widgets)
        faces = _Faces(Size(*frames.shape[1:3]), len(frames), recipe.settings.seed, segs_of)
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
                **_instead_of_the_detector(),
                **schema.choices(),
            },
        }

    def doit(self, image: object, detailer_pipe: object, **widgets: Unpack[_Widgets]) -> tuple[object, ...]:
        door, widgets = self.door, self.checked(widgets)
        frames, pipe = door.image(image), door.detailer_pipe(detailer_pipe)
        of_pipe = {"wildcard": pipe.wildcard, "detailer_hook": pipe.detailer_hook}
        refiner = refiner_of(pipe, widgets.get("refiner_ratio"))
        recipe = recipe_of(door, pipe.base, "detailer_pipe", {**widgets, **of_pipe}, refiner)
        segs_of = _segs_of_frames(door, frames, pipe, IN_PIPE, widgets)
        faces = _Faces(Size(*frames.shape[1:3]), len(frames), recipe.settings.seed, segs_of)
        work = work_on(door, frames, faces.shots(), len(frames), recipe)
        for done in run.detail(work.pictures, work.count, recipe):
            faces.keep(done)
        return work.images, faces.refined, faces.refined_alpha, faces.mask, detailer_pipe, faces.hints
