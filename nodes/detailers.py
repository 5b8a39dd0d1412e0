"""Nodes of the detailers group."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..core import SEGS, Size, mask_to_segs
from ..detailer import host
from ..detailer.hooks.protocol import Hook
from ..detailer.pipeline import run as engine
from ..detailer.pipeline.recipe import Recipe
from ..detailer.values import (
    BasicPipe,
    Detailed,
    DetailSettings,
    Frame,
    MaskSettings,
    Refiner,
    SamplingSettings,
    SizeOptions,
    VaeTiles,
    wrapped_seed,
)
from ..segs import black_picture
from . import inputs
from .checks import Door

logger = logging.getLogger("mask_detailer")

CATEGORY = "ImpactPack/Detailer"
FRAMES = "The picture. A batch is detailed frame by frame, each with the same segments."


class DetailerForEach:
    """Details each segment of a picture."""

    DESCRIPTION = "Cuts out each segment, enlarges it, samples it anew and puts it back without a seam."
    SEARCH_ALIASES = ("detailer", "segs detailer", "enhance segments", "inpaint segments")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = ("The picture with every segment detailed.",)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        parts = inputs.pipe_parts()
        return {
            "required": {
                "image": inputs.link("IMAGE", FRAMES),
                "segs": inputs.link("SEGS", "The segments to detail, in the order of work."),
                "model": parts["model"],
                "clip": parts["clip"],
                "vae": parts["vae"],
                **inputs.sizes(),
                **inputs.sampling(),
                "positive": parts["positive"],
                "negative": parts["negative"],
                **inputs.denoise_and_masks(),
                "wildcard": inputs.segment_text(),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "detailer_hook": inputs.detailer_hook(),
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "scheduler_func_opt": inputs.scheduler_func(),
                **inputs.vae_tiles(),
                **inputs.beyond(),
            },
        }

    def doit(self, image: Any, segs: Any, **widgets: Any) -> tuple[torch.Tensor]:
        return (detail_with_parts(Door("DetailerForEach"), image, segs, widgets).image,)

    @staticmethod
    def do_detail(
        image: Any,
        segs: Any,
        model: Any,
        clip: Any,
        vae: Any,
        guide_size: float,
        guide_size_for_bbox: bool,
        max_size: float,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        denoise: float,
        feather: int,
        noise_mask: bool,
        force_inpaint: bool,
        wildcard_opt: str | None = None,
        detailer_hook: Any = None,
        refiner_ratio: float | None = None,
        refiner_model: Any = None,
        refiner_clip: Any = None,
        refiner_positive: Any = None,
        refiner_negative: Any = None,
        cycle: int = 1,
        inpaint_model: bool = False,
        noise_mask_feather: int = 0,
        scheduler_func_opt: Any = None,
        crop_batch: int = 0,
        detail_options: Any = None,
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], SEGS]:
        """Detail the segments of a picture, as other packs call it.

        Args:
            image: ``[B,H,W,3]``, or with alpha, which is kept. Each frame gets all segments.
            segs: SEGS made for any size.

        Returns:
            image ``[B,H,W,C]``, crops before, refined crops, refined crops as RGBA, control images, refined SEGS.

        Raises:
            InputError: for what cannot be worked with, naming node, input and fix.
        """
        door = Door("DetailerForEach")
        settings = DetailSettings(
            seed=seed,
            size=SizeOptions(guide_size, guide_size_for_bbox, max_size, force_inpaint),
            sampling=SamplingSettings(steps, cfg, sampler_name, scheduler, denoise, cycle, scheduler_func_opt),
            mask=MaskSettings(feather, noise_mask, noise_mask_feather, inpaint_model),
            text=wildcard_opt,
            crop_batch=crop_batch,
            options=door.detail_options(detail_options),
        )
        refiner = None
        if None not in (refiner_ratio, refiner_model, refiner_positive, refiner_negative):
            refiner = Refiner(refiner_model, refiner_positive, refiner_negative, float(refiner_ratio or 0.0))
        pipe = BasicPipe(model, clip, vae, positive, negative)
        done = detail_frames(door, image, segs, pipe, None, settings, refiner, detailer_hook)
        return done.image, done.crops, done.refined, done.refined_alpha, done.control_images, done.segs


class DetailerForEachDebug:
    """Details each segment of a picture and shows the crops."""

    DESCRIPTION = f"{DetailerForEach.DESCRIPTION} Gives the crops before and after too."
    SEARCH_ALIASES = ("detailer debug", "detailer crops", "segs detailer debug")
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "IMAGE", "IMAGE")
    RETURN_NAMES = ("image", *inputs.CROP_LISTS)
    OUTPUT_IS_LIST = (False, True, True, True, True)
    OUTPUT_TOOLTIPS = (*DetailerForEach.OUTPUT_TOOLTIPS, *inputs.CROP_LIST_TOOLTIPS)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return DetailerForEach.INPUT_TYPES()

    def doit(self, image: Any, segs: Any, **widgets: Any) -> tuple[Any, ...]:
        done = detail_with_parts(Door("DetailerForEachDebug"), image, segs, widgets)
        return done.image, *shown_crops(done)


class DetailerForEachAutoRetry:
    """Details each segment of a picture, again where a hook finds fault with the result."""

    DESCRIPTION = (
        "Like Detailer (SEGS), but asks the detailer_hook whether each finished part is good, and samples it again "
        "with the next seed where it isn't. Without a hook that judges, one attempt is made."
    )
    SEARCH_ALIASES = ("detailer retry", "auto retry", "black patch")
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_TOOLTIPS = DetailerForEach.OUTPUT_TOOLTIPS
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        tooltip = "How many times each part is sampled at most. If the last attempt is not good either, the run stops."
        types = DetailerForEach.INPUT_TYPES()
        types["required"]["max_retries"] = ("INT", {"default": 1, "min": 1, "max": 10, "step": 1, "tooltip": tooltip})
        return types

    def doit(self, image: Any, segs: Any, **widgets: Any) -> tuple[torch.Tensor]:
        return (detail_with_parts(Door("DetailerForEachAutoRetry"), image, segs, widgets).image,)


class MaskDetailerPipe:
    """Details the parts of a picture that a mask marks."""

    DESCRIPTION = (
        "The mask says where: each separate part of it is cut out with some context, enlarged, sampled anew and put "
        "back without a seam. Everything outside the feathered mask stays as it is, bit for bit."
    )
    SEARCH_ALIASES = ("mask detailer", "inpaint mask", "detail masked area", "enhance masked area", "face detail")
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
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        mask = (
            "White marks the parts to detail; parts that touch are one. As many masks as images pair up; one mask "
            "serves all images; one image takes all masks."
        )
        masked = "Sample only under the mask, or the whole crop. Either way only what is under the mask is put back."
        return {
            "required": {
                "image": inputs.link("IMAGE", "The picture, or a batch of them. Alpha is kept."),
                "mask": inputs.link("MASK", mask),
                "basic_pipe": inputs.basic_pipe(),
                "guide_size": inputs.guide_size(384),
                "guide_size_for": inputs.guide_size_for("mask bbox", "crop region"),
                "max_size": inputs.max_size(),
                "mask_mode": inputs.switch(True, "masked only", "whole", masked),
                **inputs.sampling(),
                "denoise": inputs.denoise(),
                "feather": inputs.feather(),
                "crop_factor": inputs.crop_factor(10),
                "drop_size": inputs.drop_size(),
                "refiner_ratio": inputs.refiner_ratio(),
                "batch_size": inputs.batch_size("How many finished variants of each picture, each with the next seed."),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "refiner_basic_pipe_opt": inputs.refiner_pipe(),
                "detailer_hook": inputs.detailer_hook(),
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "bbox_fill": inputs.bbox_fill(),
                "contour_fill": inputs.contour_fill(True),
                "scheduler_func_opt": inputs.scheduler_func(),
                **inputs.beyond(),
            },
        }

    def doit(
        self,
        image: Any,
        mask: Any,
        basic_pipe: Any,
        guide_size: float,
        guide_size_for: bool,
        max_size: float,
        mask_mode: bool,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        feather: int,
        crop_factor: float,
        drop_size: int,
        refiner_ratio: float,
        batch_size: int,
        cycle: int = 1,
        refiner_basic_pipe_opt: Any = None,
        detailer_hook: Any = None,
        inpaint_model: bool = False,
        noise_mask_feather: int = 0,
        bbox_fill: bool = False,
        contour_fill: bool = True,
        scheduler_func_opt: Any = None,
        crop_batch: int = 0,
        detail_options: Any = None,
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor], Any, Any]:
        door = Door("MaskDetailerPipe")
        frames = door.image(image)
        pipe = door.basic_pipe(basic_pipe)
        refiner = door.refiner(refiner_basic_pipe_opt, refiner_ratio)
        segs_of_frame = segs_of_frames(door, frames, mask, crop_factor, bbox_fill, drop_size, contour_fill)
        settings = DetailSettings(
            seed=seed,
            size=SizeOptions(guide_size, guide_size_for, max_size, force_inpaint=True),
            sampling=SamplingSettings(steps, cfg, sampler_name, scheduler, denoise, cycle, scheduler_func_opt),
            mask=MaskSettings(feather, mask_mode, noise_mask_feather, inpaint_model),
            crop_batch=crop_batch,
            options=door.detail_options(detail_options),
        )
        shots = (
            Shot(frame, segs_of_frame(frame, variant == 0), wrapped_seed(seed + variant))
            for variant in range(batch_size)
            for frame in range(len(frames))
        )
        images, pictures = detail_shots(
            door, frames, shots, batch_size * len(frames), pipe, "basic_pipe", settings, refiner, detailer_hook
        )
        refined: list[torch.Tensor] = []
        refined_alpha: list[torch.Tensor] = []
        for done in pictures:
            refined += done.refined
            refined_alpha += done.refined_alpha
        return (
            images,
            refined or [black_picture()],
            refined_alpha or [black_picture()],
            basic_pipe,
            refiner_basic_pipe_opt,
        )


def settings_of(door: Door, widgets: Mapping[str, Any]) -> DetailSettings:
    """The values of a detailer's widgets, under the names that the family's nodes give them, and its detail options.

    What is optional and wasn't sent has the value that a saved prompt relies on, which the widget may not show.
    """
    return DetailSettings(
        seed=widgets["seed"],
        size=SizeOptions(
            widgets["guide_size"], widgets["guide_size_for"], widgets["max_size"], widgets["force_inpaint"]
        ),
        sampling=SamplingSettings(
            widgets["steps"],
            widgets["cfg"],
            widgets["sampler_name"],
            widgets["scheduler"],
            widgets["denoise"],
            widgets.get("cycle", 1),
            widgets.get("scheduler_func_opt"),
        ),
        mask=MaskSettings(
            widgets.get("feather", 0),
            widgets["noise_mask"],
            widgets.get("noise_mask_feather", 0),
            widgets.get("inpaint_model", False),
        ),
        text=widgets.get("wildcard"),
        vae_tiles=VaeTiles(widgets.get("tiled_encode", False), widgets.get("tiled_decode", False)),
        attempts=widgets.get("max_retries", 0),
        crop_batch=widgets.get("crop_batch", 0),
        options=door.detail_options(widgets.get("detail_options")),
    )


def detail_with_parts(door: Door, image: Any, segs: Any, widgets: Mapping[str, Any]) -> Detailed:
    """``detail_frames`` for a node that has the parts of a pipe as inputs of their own."""
    pipe = BasicPipe(*(widgets[part] for part in BasicPipe._fields))
    settings = settings_of(door, widgets)
    return detail_frames(door, image, segs, pipe, None, settings, None, widgets.get("detailer_hook"))


@dataclass(frozen=True)
class Shot:
    """One picture that a node makes: of which frame that came in, with which segments and seed."""

    frame: int
    segs: Any
    seed: int


def detail_shots(
    door: Door,
    frames: torch.Tensor,
    shots: Iterable[Shot],
    count: int,
    pipe: BasicPipe,
    pipe_name: str | None,
    settings: DetailSettings,
    refiner: Refiner | None,
    detailer_hook: Any,
) -> tuple[torch.Tensor, Iterator[Detailed]]:
    """Check what came in and make the pictures.

    Args:
        frames: ``[B,H,W,3 or 4]`` as ``door.image`` gives it; alpha is kept.
        shots: asked for one by one as the work goes on.
        count: how many there are.
        pipe_name: the input that holds the pipe; None where its parts are inputs of their own.

    Returns:
        the pictures ``[count,H,W,3 or 4]``, finished when the iterator, which gives each one's crops, has ended.

    Raises:
        InputError: for what cannot be worked with, naming node, input and fix.
    """
    door.not_missing(pipe, pipe_name)
    door.fits_latent(Size(*frames.shape[1:3]), pipe.vae)
    if settings.text and settings.text.strip() and pipe.clip is None:
        missing = "it is missing (None)" if pipe_name is None else "its clip is missing (None)"
        raise door.error(pipe_name or "clip", f"{missing}, but there is per-segment text", "Connect a CLIP")
    door.widgets({"crop_batch": settings.crop_batch}, {"crop_batch": inputs.crop_batch()})
    images = torch.empty(count, *frames.shape[1:], device=host.devices.intermediate_device())

    def pictures() -> Iterator[engine.Picture]:
        for index, shot in enumerate(shots):
            images[index] = frames[shot.frame]
            frame = Frame(shot.frame, len(frames))
            yield engine.Picture(images[index : index + 1, ..., :3], shot.segs, shot.seed, frame=frame)

    return images, engine.detail(pictures(), count, Recipe(pipe, settings, refiner, Hook(detailer_hook), door.node))


def detail_frames(
    door: Door,
    image: Any,
    segs: Any,
    pipe: BasicPipe,
    pipe_name: str | None,
    settings: DetailSettings,
    refiner: Refiner | None,
    detailer_hook: Any,
) -> Detailed:
    """Detail every frame ``[B,H,W,3 or 4]`` with all segments; see ``detail_shots``."""
    frames = door.image(image)
    checked_segs = door.segs(segs)
    shots = (Shot(frame, checked_segs, settings.seed) for frame in range(len(frames)))
    images, pictures = detail_shots(door, frames, shots, len(frames), pipe, pipe_name, settings, refiner, detailer_hook)
    return _joined(images, list(pictures))


def shown_crops(done: Detailed) -> tuple[list[torch.Tensor], ...]:
    """The four lists of a Debug node, each with a black picture where it would be empty."""
    lists = (done.crops, done.refined, done.refined_alpha, done.control_images)
    return tuple(pictures or [black_picture()] for pictures in lists)


def _joined(image: torch.Tensor, results: list[Detailed]) -> Detailed:
    """The lists of several frames, one frame after another."""
    crops, refined, alpha, control = (
        [item for result in results for item in getattr(result, name)]
        for name in ("crops", "refined", "refined_alpha", "control_images")
    )
    segs = results[0].segs[0], [seg for result in results for seg in result.segs[1]]
    return Detailed(image, crops, refined, alpha, control, segs)


def segs_of_frames(
    door: Door,
    frames: torch.Tensor,
    mask: Any,
    crop_factor: float,
    bbox_fill: bool,
    drop_size: int,
    contour_fill: bool,
) -> Callable[[int, bool], SEGS]:
    """What makes a frame's SEGS, told the frame and whether to log that its mask is empty.

    As many masks as frames pair up, one mask serves all, one frame takes all masks.
    """
    size = Size(*frames.shape[1:3])
    if mask is None:
        logger.info("%s: no mask, the picture stays as it is", door.node)
        return lambda frame, tell: ((size.height, size.width), [])
    masks = door.mask(mask, size)
    if len(frames) > 1 and len(masks) not in (1, len(frames)):
        raise door.error(
            "mask",
            f"{len(masks)} masks for {len(frames)} images",
            "Give as many masks as images, or one mask, or one image",
        )

    def segs_of(frame: int, tell: bool) -> SEGS:
        own = masks[frame : frame + 1] if len(frames) > 1 and len(masks) > 1 else masks
        segs = mask_to_segs(own, False, crop_factor, bbox_fill, drop_size, is_contour=contour_fill)
        if tell and not segs[1]:
            logger.warning(
                "%s: mask %d marks nothing larger than drop_size %d, its picture stays as it is",
                door.node, frame, drop_size,
            )  # fmt: skip
        return segs

    return segs_of


NODE_CLASS_MAPPINGS = {
    "MaskDetailerPipe": MaskDetailerPipe,
    "DetailerForEach": DetailerForEach,
    "DetailerForEachDebug": DetailerForEachDebug,
    "DetailerForEachAutoRetry": DetailerForEachAutoRetry,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "MaskDetailerPipe": "MaskDetailer (pipe)",
    "DetailerForEach": "Detailer (SEGS)",
    "DetailerForEachDebug": "DetailerDebug (SEGS)",
    "DetailerForEachAutoRetry": "Detailer (SEGS) with auto retry",
}
