"""Nodes of the detailers group."""

from __future__ import annotations

import logging
from typing import Any

import torch

from ..core import SEGS, Size, mask_to_segs
from ..detailer import engine, host
from ..detailer.hooks import Hook
from ..detailer.values import (
    BasicPipe,
    Detailed,
    DetailOptions,
    MaskSettings,
    Refiner,
    SamplingSettings,
    SizeOptions,
    wrapped_seed,
)
from ..segs import black_picture
from . import inputs
from .checks import Door

logger = logging.getLogger("mask_detailer")

CATEGORY = "ImpactPack/Detailer"


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
        text = (
            "A prompt for the segments instead of positive. To give each its own, let the text begin (first character) "
            "with [ASC], [DSC], [ASC-SIZE], [DSC-SIZE] or [RND] and put [SEP] between prompts; or begin with [LAB] and "
            "write [label] prompt. Wildcard files and LoRA tags are not read."
        )
        frames = "The picture. A batch is detailed frame by frame, each with the same segments."
        masked = "Sample only under the mask; off: the whole crop. Either way only what is under the mask is put back."
        forced = (
            "Detail every segment. Off: skip those that reach guide_size already or would not be enlarged; the log "
            "names them."
        )
        return {
            "required": {
                "image": inputs.link("IMAGE", frames),
                "segs": inputs.link("SEGS", "The segments to detail, in the order of work."),
                "model": parts["model"],
                "clip": parts["clip"],
                "vae": parts["vae"],
                "guide_size": inputs.guide_size(512),
                "guide_size_for": inputs.guide_size_for("bbox", "crop_region"),
                "max_size": inputs.max_size(),
                "seed": inputs.seed(),
                "steps": inputs.steps(),
                "cfg": inputs.cfg(),
                "sampler_name": inputs.sampler_name(),
                "scheduler": inputs.scheduler(),
                "positive": parts["positive"],
                "negative": parts["negative"],
                "denoise": inputs.denoise(),
                "feather": inputs.feather(),
                "noise_mask": inputs.switch(True, "enabled", "disabled", masked),
                "force_inpaint": inputs.switch(True, "enabled", "disabled", forced),
                "wildcard": ("STRING", {"multiline": True, "dynamicPrompts": False, "tooltip": text}),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "detailer_hook": inputs.detailer_hook(),
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "scheduler_func_opt": inputs.scheduler_func(),
            },
        }

    def doit(
        self,
        image: Any,
        segs: Any,
        model: Any,
        clip: Any,
        vae: Any,
        guide_size: float,
        guide_size_for: bool,
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
        wildcard: str,
        cycle: int = 1,
        detailer_hook: Any = None,
        inpaint_model: bool = False,
        noise_mask_feather: int = 0,
        scheduler_func_opt: Any = None,
    ) -> tuple[torch.Tensor]:
        return DetailerForEach.do_detail(
            image, segs, model, clip, vae, guide_size, guide_size_for, max_size, seed, steps, cfg, sampler_name,
            scheduler, positive, negative, denoise, feather, noise_mask, force_inpaint, wildcard, detailer_hook,
            cycle=cycle, inpaint_model=inpaint_model, noise_mask_feather=noise_mask_feather,
            scheduler_func_opt=scheduler_func_opt,
        )[:1]  # fmt: skip

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
        *,
        progress: host.Progress | None = None,
        door: Door | None = None,
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], SEGS]:
        """Detail the segments of a picture: the engine's face, which other packs call too.

        Args:
            image: ``[B,H,W,3]``, or with alpha, which is kept. Each frame gets all segments.
            segs: SEGS made for any size.
            progress: the stretch of the running node's bar that this is.
            door: names the node in errors.

        Returns:
            image ``[B,H,W,C]``, crops before, refined crops, refined crops as RGBA, control images, refined SEGS.

        Raises:
            InputError: for what cannot be worked with, naming node, input and fix.
        """
        door = door or Door("DetailerForEach")
        frames = door.image(image)
        pipe = BasicPipe(model, clip, vae, positive, negative)
        door.not_missing(pipe, None)
        door.fits_latent(Size(*frames.shape[1:3]), vae)
        checked_segs = door.segs(segs)
        if wildcard_opt and wildcard_opt.strip() and clip is None:
            raise door.error("clip", "it is missing (None), but there is per-segment text", "Connect a CLIP")
        refiner = None
        if None not in (refiner_ratio, refiner_model, refiner_positive, refiner_negative):
            refiner = Refiner(refiner_model, refiner_positive, refiner_negative, float(refiner_ratio or 0.0))
        options = DetailOptions(
            seed=seed,
            size=SizeOptions(guide_size, guide_size_for_bbox, max_size, force_inpaint),
            sampling=SamplingSettings(steps, cfg, sampler_name, scheduler, denoise, cycle, scheduler_func_opt),
            mask=MaskSettings(feather, noise_mask, noise_mask_feather, inpaint_model),
            text=wildcard_opt,
        )
        progress = progress or host.Progress.of_node()
        finished = _Batch(len(frames))
        results = []
        for index, part in enumerate(progress.split(len(frames))):
            frame = frames[index : index + 1, ..., :3]
            result = engine.detail(frame, checked_segs, pipe, options, refiner, Hook(detailer_hook), part)
            alpha = frames[index : index + 1, ..., 3:].to(result.image.device)
            finished.append(torch.cat([result.image, alpha], dim=-1) if alpha.shape[-1] else result.image)
            results.append(result)
        return finished.images, *_joined(results)


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
        refiner = "A second model with its own prompts for the last part of the steps. Its vae and clip are not used."
        ratio = "The share of the steps, at the end, that a connected refiner pipe runs: 0 none, 1 all."
        return {
            "required": {
                "image": inputs.link("IMAGE", "The picture, or a batch of them. Alpha is kept."),
                "mask": inputs.link("MASK", mask),
                "basic_pipe": inputs.link("BASIC_PIPE", "Model, clip, vae and prompts ('ToBasicPipe')."),
                "guide_size": inputs.guide_size(384),
                "guide_size_for": inputs.guide_size_for("mask bbox", "crop region"),
                "max_size": inputs.max_size(),
                "mask_mode": inputs.switch(True, "masked only", "whole", masked),
                "seed": inputs.seed(),
                "steps": inputs.steps(),
                "cfg": inputs.cfg(),
                "sampler_name": inputs.sampler_name(),
                "scheduler": inputs.scheduler(),
                "denoise": inputs.denoise(),
                "feather": inputs.feather(),
                "crop_factor": inputs.crop_factor(10),
                "drop_size": inputs.drop_size(),
                "refiner_ratio": ("FLOAT", {"default": 0.2, "min": 0.0, "max": 1.0, "tooltip": ratio}),
                "batch_size": (
                    "INT",
                    {
                        "default": 1,
                        "min": 1,
                        "max": 100,
                        "tooltip": "How many finished variants of each picture, each with the next seed.",
                    },
                ),
                "cycle": inputs.cycle(),
            },
            "optional": {
                "refiner_basic_pipe_opt": inputs.link("BASIC_PIPE", refiner),
                "detailer_hook": inputs.detailer_hook(),
                "inpaint_model": inputs.inpaint_model(),
                "noise_mask_feather": inputs.noise_mask_feather(),
                "bbox_fill": inputs.bbox_fill(),
                "contour_fill": inputs.contour_fill(True),
                "scheduler_func_opt": inputs.scheduler_func(),
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
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor], Any, Any]:
        door = Door("MaskDetailerPipe")
        frames = door.image(image)
        pipe = door.basic_pipe(basic_pipe)
        refiner = door.refiner_parts(refiner_basic_pipe_opt)
        segs_of_frames = _segs_of_frames(door, frames, mask, crop_factor, bbox_fill, drop_size, contour_fill)
        refined: list[torch.Tensor] = []
        refined_alpha: list[torch.Tensor] = []
        jobs = [(variant, frame) for variant in range(batch_size) for frame in range(len(frames))]
        finished = _Batch(len(jobs))
        parts = host.Progress.of_node().split(len(jobs))
        for index, (variant, frame) in enumerate(jobs):
            result = DetailerForEach.do_detail(
                frames[frame : frame + 1], segs_of_frames[frame], *pipe[:3], guide_size, guide_size_for, max_size,
                wrapped_seed(seed + variant), steps, cfg, sampler_name, scheduler, *pipe[3:], denoise, feather,
                mask_mode, True, None, detailer_hook, refiner_ratio, *refiner, cycle=cycle,
                inpaint_model=inpaint_model, noise_mask_feather=noise_mask_feather,
                scheduler_func_opt=scheduler_func_opt, progress=parts[index], door=door,
            )  # fmt: skip
            finished.append(result[0])
            refined += result[2]
            refined_alpha += result[3]
        return (
            finished.images,
            refined or [black_picture()],
            refined_alpha or [black_picture()],
            basic_pipe,
            refiner_basic_pipe_opt,
        )


class _Batch:
    """Pictures put into one batch as they are finished: a single one as it is, several without a second copy of all."""

    def __init__(self, count: int) -> None:
        self.images = torch.empty(0)
        self._count = count
        self._filled = 0

    def append(self, image: torch.Tensor) -> None:
        """``image``: ``[1,H,W,C]``, of the same shape as those before."""
        if self._count == 1:
            self.images = image
            return
        if not self._filled:
            self.images = image.new_empty(self._count, *image.shape[1:])
        self.images[self._filled : self._filled + 1] = image
        self._filled += 1


def _joined(results: list[Detailed]) -> tuple[list[Any], list[Any], list[Any], list[Any], SEGS]:
    """The lists of several frames, one frame after another."""
    crops, refined, alpha, control = (
        [item for result in results for item in getattr(result, name)]
        for name in ("crops", "refined", "refined_alpha", "control_images")
    )
    return crops, refined, alpha, control, (results[0].segs[0], [seg for result in results for seg in result.segs[1]])


def _segs_of_frames(
    door: Door,
    frames: torch.Tensor,
    mask: Any,
    crop_factor: float,
    bbox_fill: bool,
    drop_size: int,
    contour_fill: bool,
) -> list[SEGS]:
    """Each frame's SEGS: as many masks as frames pair up, one mask serves all, one frame takes all masks."""
    size = Size(*frames.shape[1:3])
    if mask is None:
        logger.info("%s: no mask, the picture stays as it is", door.node)
        return [((size.height, size.width), [])] * len(frames)
    masks = door.mask(mask, size)
    if len(frames) == 1:
        groups = [masks]
    elif len(masks) in (1, len(frames)):
        groups = list(masks.split(1))
    else:
        raise door.error(
            "mask",
            f"{len(masks)} masks for {len(frames)} images",
            "Give as many masks as images, or one mask, or one image",
        )
    segs = [mask_to_segs(group, False, crop_factor, bbox_fill, drop_size, is_contour=contour_fill) for group in groups]
    for index, (_, found) in enumerate(segs):
        if not found:
            logger.warning(
                "%s: mask %d marks nothing larger than drop_size %d, its picture stays as it is",
                door.node, index, drop_size,
            )  # fmt: skip
    return segs * len(frames) if len(segs) == 1 else segs


NODE_CLASS_MAPPINGS = {
    "MaskDetailerPipe": MaskDetailerPipe,
    "DetailerForEach": DetailerForEach,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "MaskDetailerPipe": "MaskDetailer (pipe)",
    "DetailerForEach": "Detailer (SEGS)",
}
