"""The way of the picture: plan, cut, enlarge, encode, sample, decode, shrink, paste."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import torch

from ..core import SEG, SEGS, Size, blur_mask, resample
from . import host
from .conditioning import View, crop_conditioning
from .hooks import Hook, KSampleCall
from .plan import CropPlan, Plan, above_max_size, make_plan
from .sampling import sample_crop
from .values import BasicPipe, Conditioning, Detailed, DetailOptions, Latent, Refiner

logger = logging.getLogger("mask_detailer")


@dataclass
class _Work:
    """One picture while it is worked on."""

    image: torch.Tensor
    crops: list[torch.Tensor] = field(default_factory=list)
    refined: list[torch.Tensor] = field(default_factory=list)
    refined_alpha: list[torch.Tensor] = field(default_factory=list)
    control_images: list[torch.Tensor] = field(default_factory=list)
    segs: list[SEG] = field(default_factory=list)

    def finished(self, picture: Size) -> Detailed:
        return Detailed(
            self.image,
            _largest_first(self.crops),
            _largest_first(self.refined),
            _largest_first(self.refined_alpha),
            self.control_images,
            ((picture.height, picture.width), self.segs),
        )


def _largest_first(crops: list[torch.Tensor]) -> list[torch.Tensor]:
    return sorted(crops, key=lambda crop: tuple(crop.shape), reverse=True)


def detail(
    image: torch.Tensor,
    segs: SEGS,
    pipe: BasicPipe,
    options: DetailOptions,
    refiner: Refiner | None = None,
    hook: Hook | None = None,
    progress: host.Progress | None = None,
) -> Detailed:
    """Detail the segments of one picture, one after another.

    Args:
        image: ``[1,H,W,3]`` float32 0..1, never written to.
        segs: what to detail; moved to the picture's size where they were made for another.
        progress: the stretch of the node's bar that this picture is.

    Returns:
        the picture as ``[1,H,W,3]`` on ComfyUI's intermediate device, bit for bit the input wherever no paste mask
        reaches, and the lists of crops.
    """
    hook = hook or Hook()
    picture = Size(*image.shape[1:3])
    plan = make_plan(segs, picture, options.size, options.seed, host.pixels_per_cell(pipe.vae), options.text)
    _tell(plan, options)
    if options.mask.noise_mask and options.mask.noise_mask_feather > 0:
        pipe = pipe._replace(model=host.with_differential_diffusion(pipe.model))
    work = _Work(image.to(host.intermediate_device(), torch.float32, copy=True))
    progress = progress or host.Progress.of_node()
    parts = iter(progress.split(len(plan.to_sample)))
    for crop in plan.crops:
        if crop.skipped:
            logger.info("%s", crop)
            continue
        host.check_interrupted()
        part = next(parts)
        _detail_crop(work, crop, plan, pipe, options, refiner, hook, part)
        part.done()
    progress.done()
    return work.finished(picture)


def _detail_crop(
    work: _Work,
    crop: CropPlan,
    plan: Plan,
    pipe: BasicPipe,
    options: DetailOptions,
    refiner: Refiner | None,
    hook: Hook,
    progress: host.Progress,
) -> None:
    """One segment from the picture and back into it."""
    crop = crop.resized(hook.touch_scaled_size(crop.wished))
    logger.info("%s", crop)
    rows, columns = crop.region.slices
    before = work.image[:, rows, columns, :].clone()
    mask = crop.mask().to(before.device)
    noise_mask = blur_mask(mask, options.mask.noise_mask_feather) if options.mask.noise_mask else None

    pixels = hook.post_upscale(resample(before, crop.working).clamp_(0.0, 1.0), noise_mask)
    pipe, control_images = _for_crop(pipe, crop, plan, pixels, noise_mask)
    work.control_images += control_images
    if not hook.skips_sampling():
        pipe, latent = _encode(pipe, pixels, noise_mask, options.mask.inpaint_model)
        sampling = options.sampling
        call = KSampleCall(
            model=pipe.model,
            seed=crop.seed,
            steps=sampling.steps,
            cfg=sampling.cfg,
            sampler_name=sampling.sampler_name,
            scheduler=sampling.scheduler,
            positive=pipe.positive,
            negative=pipe.negative,
            latent=hook.post_encode(latent),
            denoise=sampling.denoise,
        )
        latent = hook.pre_decode(sample_crop(call, sampling, refiner, hook, crop.number, progress))
        pixels = host.decode(pipe.vae, latent["samples"])
    pixels = hook.post_decode(pixels)
    if not bool(torch.isfinite(pixels).all()):
        logger.warning(
            "segment %d: the decoded picture holds values that are not finite (black squares); its crop is kept as it "
            "was. A VAE in fp16 often does this: try an fp32 or bf16 VAE",
            crop.number,
        )
        return
    refined = resample(pixels.to(before.device, torch.float32), crop.region.size).clamp_(0.0, 1.0)
    alpha = blur_mask(mask, options.mask.feather)[..., None]
    work.image[:, rows, columns, :] = (1.0 - alpha) * before + alpha * refined
    work.image = hook.post_paste(work.image)

    work.crops.append(before)
    work.refined.append(refined)
    work.refined_alpha.append(torch.cat([refined, alpha], dim=-1))
    work.segs.append(_refined_seg(crop.seg, refined))


def _for_crop(
    pipe: BasicPipe, crop: CropPlan, plan: Plan, pixels: torch.Tensor, noise_mask: torch.Tensor | None
) -> tuple[BasicPipe, list[torch.Tensor]]:
    """The pipe with the conditioning of this crop: cut to it, with its own text and ControlNet; and the hints."""
    view = View(plan.picture, crop.region, crop.working)
    positive = crop_conditioning(pipe.positive, view)
    if crop.text is not None:
        positive = _with_text(pipe, positive, crop.text, plan.adds_text)
    pipe = pipe._replace(positive=positive, negative=crop_conditioning(pipe.negative, view))
    wrapper = crop.seg.control_net_wrapper
    if wrapper is None:
        return pipe, []
    positive, negative, images = wrapper.apply(pipe.positive, pipe.negative, pixels, noise_mask)
    model, more_images = wrapper.doit_ipadapter(pipe.model)
    return pipe._replace(model=model, positive=positive, negative=negative), [*images, *more_images]


def _with_text(pipe: BasicPipe, positive: Conditioning, text: str, add: bool) -> Conditioning:
    """The segment's own prompt, its parts between ``BREAK`` encoded apart; instead of the positive, or added to it."""
    parts = [part.strip() for part in text.split("BREAK") if part.strip()] or [""]
    own = host.encode_text(pipe.clip, parts[0])
    for part in parts[1:]:
        own = host.join_conditioning(own, host.encode_text(pipe.clip, part))
    return host.join_conditioning(positive, own) if add else own


def _encode(
    pipe: BasicPipe, pixels: torch.Tensor, noise_mask: torch.Tensor | None, inpaint_model: bool
) -> tuple[BasicPipe, Latent]:
    """The crop's latent with its noise mask; for inpaint models the pipe's conditionings too."""
    if inpaint_model and noise_mask is not None:
        positive, negative, latent = host.encode_for_inpainting(
            pipe.positive, pipe.negative, pipe.vae, pixels, noise_mask
        )
        pipe = pipe._replace(positive=positive, negative=negative)
    else:
        latent = {"samples": host.encode(pipe.vae, pixels)}
        if noise_mask is not None:
            latent["noise_mask"] = noise_mask
    return pipe, host.fitted_to(pipe.model, latent)


def _refined_seg(seg: SEG, refined: torch.Tensor) -> SEG:
    """The segment with its refined crop as its image; everything else stays. ``seg`` may be another pack's tuple."""
    return SEG(
        cropped_image=refined.cpu().numpy(),
        cropped_mask=seg.cropped_mask,
        confidence=seg.confidence,
        crop_region=seg.crop_region,
        bbox=seg.bbox,
        label=seg.label,
        control_net_wrapper=seg.control_net_wrapper,
    )


def _tell(plan: Plan, options: DetailOptions) -> None:
    """Log what the plan says that the user would want to know."""
    logger.info("%d of %d segments to detail in a %s picture", len(plan.to_sample), len(plan.crops), plan.picture)
    for crop in above_max_size(plan.crops, options.size.max_size):
        logger.info(
            "segment %d is worked on at its own size %s, above max_size %g",
            crop.number, crop.wished, options.size.max_size,
        )  # fmt: skip
