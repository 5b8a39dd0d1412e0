"""Detector and detailer in one node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..core import Size
from ..detailer import host
from ..detailer.detection.detect import DetectionSettings, Finders, FindSettings, SamSettings, detect_faces
from ..detailer.values import BasicPipe, DetailerPipe, Refiner, wrapped_seed
from ..segs import rescale, to_combined_mask
from . import inputs
from .checks import Door
from .detailers import Shot, detail_shots, settings_of, shown_crops

CATEGORY = "ImpactPack/Simple"
BATCH = "The picture. A batch is detailed frame by frame; frame n samples with seed + n - 1."
MASK = "What was found, one mask a picture, before it is feathered."
SHARED_OUTPUT_TOOLTIPS = (
    "The picture with everything that was found detailed.",
    "The refined crops at their size in the picture; for each picture, the tallest first.",
    "The same crops with the blend mask as alpha, in the same order.",
    MASK,
)


def _detection() -> dict[str, Any]:
    return {
        "bbox_threshold": inputs.detector_threshold(),
        "bbox_dilation": inputs.dilation(),
        "bbox_crop_factor": inputs.crop_factor(10),
        "sam_detection_hint": inputs.detection_hint(),
        "sam_dilation": inputs.dilation(0),
        "sam_threshold": inputs.sam_threshold(),
        "sam_bbox_expansion": inputs.bbox_expansion(),
        "sam_mask_hint_threshold": inputs.mask_hint_threshold(),
        "sam_mask_hint_use_negative": inputs.mask_hint_use_negative(),
        "drop_size": inputs.drop_size(),
    }


class FaceDetailer:
    """Finds faces, or anything that the detector knows, and details them."""

    DESCRIPTION = (
        "Finds faces, hands or whatever the detector knows, cuts each out, enlarges it, samples it anew and puts it "
        "back without a seam. SAM, or a detector of outlines, can limit the masks to what was found."
    )
    SEARCH_ALIASES = ("face detailer", "adetailer", "face fix", "hand fix", "restore faces")
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "MASK", "DETAILER_PIPE", "IMAGE")
    RETURN_NAMES = ("image", "cropped_refined", "cropped_enhanced_alpha", "mask", "detailer_pipe", "cnet_images")
    OUTPUT_IS_LIST = (False, True, True, False, False, True)
    OUTPUT_TOOLTIPS = (
        *SHARED_OUTPUT_TOOLTIPS,
        "Model, prompts, detectors and hook in one, for 'FaceDetailer (pipe)'.",
        "The ControlNet hints, in the order of use.",
    )
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        parts = inputs.pipe_parts()
        return {
            "required": {
                "image": inputs.link("IMAGE", BATCH),
                "model": parts["model"],
                "clip": parts["clip"],
                "vae": parts["vae"],
                **inputs.sizes(),
                **inputs.sampling(),
                "positive": parts["positive"],
                "negative": parts["negative"],
                **inputs.denoise_and_masks(),
                **_detection(),
                "bbox_detector": inputs.link("BBOX_DETECTOR", "What finds the parts, from a detector provider."),
                "wildcard": inputs.segment_text(),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "sam_model_opt": inputs.link("SAM_MODEL", "Limits each mask to what SAM sees there."),
                "segm_detector_opt": inputs.link("SEGM_DETECTOR", "Limits the masks where there is no SAM."),
                "detailer_hook": inputs.detailer_hook(),
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "scheduler_func_opt": inputs.scheduler_func(),
                **inputs.vae_tiles(),
                **inputs.beyond(),
            },
        }

    def doit(self, image: Any, **widgets: Any) -> tuple[Any, ...]:
        pipe = DetailerPipe(
            **{part: widgets[part] for part in BasicPipe._fields},
            wildcard=widgets["wildcard"],
            bbox_detector=widgets["bbox_detector"],
            segm_detector=widgets.get("segm_detector_opt"),
            sam_model=widgets.get("sam_model_opt"),
            detailer_hook=widgets.get("detailer_hook"),
        )
        names = _Names(None, "bbox_detector", "segm_detector_opt", "sam_model_opt")
        return _detail_found(Door("FaceDetailer"), names, image, pipe, tuple(pipe), None, widgets)


class FaceDetailerPipe:
    """The same with everything but the widgets from a pipe, and with a refiner."""

    DESCRIPTION = f"{FaceDetailer.DESCRIPTION} Takes models, prompts, detectors and hook from a DETAILER_PIPE."
    SEARCH_ALIASES = ("face detailer pipe", "adetailer pipe", "face refiner")
    RETURN_TYPES = FaceDetailer.RETURN_TYPES
    RETURN_NAMES = FaceDetailer.RETURN_NAMES
    OUTPUT_IS_LIST = FaceDetailer.OUTPUT_IS_LIST
    OUTPUT_TOOLTIPS = (*SHARED_OUTPUT_TOOLTIPS, "The pipe that came in.", FaceDetailer.OUTPUT_TOOLTIPS[-1])
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        pipe = "Models, prompts, detectors, SAM and hook ('ToDetailerPipe')."
        return {
            "required": {
                "image": inputs.link("IMAGE", BATCH),
                "detailer_pipe": inputs.link("DETAILER_PIPE", pipe),
                **inputs.sizes(),
                **inputs.sampling(),
                **inputs.denoise_and_masks(),
                **_detection(),
                "refiner_ratio": inputs.refiner_ratio(),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "scheduler_func_opt": inputs.scheduler_func(),
                **inputs.vae_tiles(),
                **inputs.beyond(),
            },
        }

    def doit(self, image: Any, detailer_pipe: Any, **widgets: Any) -> tuple[Any, ...]:
        door = Door("FaceDetailerPipe")
        pipe = door.detailer_pipe(detailer_pipe)
        refiner = None
        model, positive, negative = pipe.refiner_model, pipe.refiner_positive, pipe.refiner_negative
        if model is not None and positive is not None and negative is not None:
            refiner = Refiner(model, positive, negative, widgets["refiner_ratio"])
        names = _Names(*["detailer_pipe"] * 4)
        return _detail_found(door, names, image, pipe, detailer_pipe, refiner, widgets | {"wildcard": pipe.wildcard})


@dataclass(frozen=True)
class _Names:
    """The inputs that hold the parts of the pipe; ``pipe`` None means one of its own for each."""

    pipe: str | None
    bbox_detector: str
    segm_detector: str
    sam: str


@dataclass(frozen=True)
class _Finder:
    """The detectors and what they are asked for."""

    finders: Finders
    settings: FindSettings
    hook: Any

    def find(self, frame: torch.Tensor) -> Any:
        """The SEGS of one picture ``[1,H,W,C]``."""
        return detect_faces(frame, self.finders, self.settings, self.hook)


def _finder(door: Door, names: _Names, pipe: DetailerPipe, widgets: Mapping[str, Any]) -> _Finder:
    sam = door.optional_sam(pipe.sam_model, names.sam)
    asked = DetectionSettings(
        widgets["bbox_threshold"], widgets["bbox_dilation"], widgets["bbox_crop_factor"], widgets["drop_size"]
    )
    return _Finder(
        Finders(
            door.detector(pipe.bbox_detector, "BBOX_DETECTOR", names.bbox_detector),
            door.optional_detector(pipe.segm_detector, "SEGM_DETECTOR", names.segm_detector, needed=sam is None),
            sam,
        ),
        FindSettings(
            asked,
            asked,
            SamSettings(
                widgets["sam_detection_hint"],
                widgets["sam_threshold"],
                widgets["sam_dilation"],
                widgets["sam_bbox_expansion"],
                widgets["sam_mask_hint_threshold"],
                widgets["sam_mask_hint_use_negative"],
            ),
        ),
        pipe.detailer_hook,
    )


def _detail_found(
    door: Door,
    names: _Names,
    image: Any,
    pipe: DetailerPipe,
    pipe_out: Any,
    refiner: Refiner | None,
    widgets: Mapping[str, Any],
) -> tuple[Any, ...]:
    """The six outputs: what is found in each frame, detailed."""
    frames = door.image(image)
    door.not_missing(pipe.base, names.pipe)
    finder = _finder(door, names, pipe, widgets)
    settings = settings_of(door, widgets)
    masks: list[torch.Tensor] = []

    def shots() -> Iterator[Shot]:
        for index in range(len(frames)):
            frame = frames[index : index + 1]
            segs = door.segs(finder.find(frame))
            masks.append(to_combined_mask(rescale(segs, Size(*frame.shape[1:3]))))
            yield Shot(index, segs, wrapped_seed(settings.seed + index))

    images, pictures = detail_shots(
        door, frames, shots(), len(frames), pipe.base, names.pipe, settings, refiner, pipe.detailer_hook
    )
    refined, refined_alpha, hints = [], [], []
    for done in pictures:
        _, crops_refined, crops_alpha, crop_hints = shown_crops(done)
        refined += crops_refined
        refined_alpha += crops_alpha
        hints += crop_hints
    mask = torch.cat(masks).to(host.devices.intermediate_device())
    return images, refined, refined_alpha, mask, pipe_out, hints


NODE_CLASS_MAPPINGS = {"FaceDetailer": FaceDetailer, "FaceDetailerPipe": FaceDetailerPipe}
NODE_DISPLAY_NAME_MAPPINGS = {"FaceDetailer": "FaceDetailer", "FaceDetailerPipe": "FaceDetailer (pipe)"}
