"""The way of the picture: plan, cut, enlarge, encode, sample, decode, shrink, paste."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import torch

from ..core import SEG, SEGS, Size, blur_mask, paste_, resample
from ..segs import kept_image, with_fields
from . import host
from .conditioning import View, crop_conditioning
from .control import adapted_model
from .hooks import Hook, KSampleCall
from .plan import CropPlan, Plan, above_max_size, make_plan
from .prompts import Prompts
from .sampling import sample_crop
from .values import BasicPipe, Conditioning, Detailed, DetailSettings, Latent, Refiner, wrapped_seed

logger = logging.getLogger("mask_detailer")


@dataclass
class _Lists:
    """What one picture's segments leave besides the picture."""

    crops: list[torch.Tensor] = field(default_factory=list)
    refined: list[torch.Tensor] = field(default_factory=list)
    refined_alpha: list[torch.Tensor] = field(default_factory=list)
    control_images: list[torch.Tensor] = field(default_factory=list)
    segs: list[SEG] = field(default_factory=list)

    def of(self, image: torch.Tensor, picture: Size) -> Detailed:
        return Detailed(
            image,
            _largest_first(self.crops),
            _largest_first(self.refined),
            _largest_first(self.refined_alpha),
            self.control_images,
            ((picture.height, picture.width), self.segs),
        )


def _largest_first(crops: list[torch.Tensor]) -> list[torch.Tensor]:
    return sorted(crops, key=lambda crop: tuple(crop.shape), reverse=True)


@dataclass(frozen=True)
class _Job:
    """What is the same for all segments of a picture."""

    plan: Plan
    pipe: BasicPipe
    options: DetailSettings
    refiner: Refiner | None
    hook: Hook
    prompts: Prompts

    @classmethod
    def of(
        cls,
        picture: Size,
        segs: SEGS,
        pipe: BasicPipe,
        options: DetailSettings,
        refiner: Refiner | None,
        hook: Hook,
        prompts: Prompts | None = None,
    ) -> _Job:
        plan = make_plan(segs, picture, options.size, options.seed, host.pixels_per_cell(pipe.vae), options.text)
        _tell(plan, options)
        if options.mask.noise_mask and options.mask.noise_mask_feather > 0:
            pipe = pipe._replace(model=host.with_differential_diffusion(pipe.model))
        return cls(plan, pipe, options, refiner, hook, prompts or Prompts())


def detail(
    image: torch.Tensor,
    segs: SEGS,
    pipe: BasicPipe,
    options: DetailSettings,
    refiner: Refiner | None = None,
    hook: Hook | None = None,
    progress: host.Progress | None = None,
    prompts: Prompts | None = None,
) -> Detailed:
    """Detail the segments of one picture, one after another.

    Args:
        image: ``[1,H,W,3]`` float32 0..1, never written to.
        segs: what to detail; moved to the picture's size where they were made for another.
        progress: the stretch of the node's bar that this picture is.
        prompts: reads the segments' texts; the same for all pictures of a run, so that files are read once.

    Returns:
        the picture as ``[1,H,W,3]`` on ComfyUI's intermediate device, bit for bit the input wherever no paste mask
        reaches, and the lists of crops.
    """
    picture = Size(*image.shape[1:3])
    job = _Job.of(picture, segs, pipe, options, refiner, hook or Hook(), prompts)
    work = image.to(host.intermediate_device(), torch.float32, copy=True)
    lists = _Lists()
    progress = progress or host.Progress.of_node()
    parts = iter(progress.split(len(job.plan.to_sample)))
    for crop in job.plan.crops:
        rows, columns = crop.region.slices
        if crop.skipped:
            logger.info("%s", crop)
            if crop.too_large:
                lists.crops.append(work[:, rows, columns, :].clone())
                lists.segs.append(with_fields(crop.seg, cropped_image=None))
            continue
        host.check_interrupted()
        part = next(parts)
        before = work[:, rows, columns, :].clone()
        mask = crop.mask().to(work.device)
        refined, control_images = _refined(job, crop, before, mask, part)
        lists.crops.append(before)
        lists.control_images += control_images
        if refined is not None:
            alpha = blur_mask(mask, options.mask.feather)
            paste_(work, refined, alpha, crop.region)
            work = job.hook.post_paste(work)
            lists.refined.append(refined)
            lists.refined_alpha.append(torch.cat([refined, alpha[..., None]], dim=-1))
        lists.segs.append(with_fields(crop.seg, cropped_image=None if refined is None else kept_image(refined)))
        part.done()
    progress.done()
    return lists.of(work, picture)


def refine(
    image: torch.Tensor,
    segs: SEGS,
    pipe: BasicPipe,
    options: DetailSettings,
    refiner: Refiner | None = None,
    variants: int = 1,
    progress: host.Progress | None = None,
) -> tuple[SEGS, list[torch.Tensor]]:
    """Detail the segments of one picture without putting them back.

    Each is cut from its own image where it has one, else from the picture as it came in.

    Args:
        image: ``[1,H,W,3]`` float32 0..1.
        options: variant ``j``, from 1, samples every segment with ``seed + j``; the feather means nothing.
        progress: the stretch of the node's bar that this is.

    Returns:
        the SEGS moved to the picture's size: all segments of the first variant, then of the next; each with its refined
        crop as image and without ControlNet, or as it came where it was skipped. And the ControlNet hints.
    """
    picture = Size(*image.shape[1:3])
    job = _Job.of(picture, segs, pipe, options, refiner, Hook())
    image = image.to(host.intermediate_device(), torch.float32)
    progress = progress or host.Progress.of_node()
    parts = iter(progress.split(len(job.plan.to_sample) * variants))
    elements: list[SEG] = []
    hints: list[torch.Tensor] = []
    for variant in range(variants):
        for crop in job.plan.crops:
            if crop.skipped:
                logger.info("%s", crop)
                elements.append(crop.seg)
                continue
            host.check_interrupted()
            part = next(parts)
            rows, columns = crop.region.slices
            own = crop.own_image()
            before = image[:, rows, columns, :] if own is None else own.to(image.device)
            seeded = replace(crop, seed=wrapped_seed(options.seed + 1 + variant))
            refined, control_images = _refined(job, seeded, before, crop.mask().to(image.device), part)
            hints += control_images
            if refined is None:
                elements.append(crop.seg)
            else:
                elements.append(with_fields(crop.seg, cropped_image=kept_image(refined), control_net_wrapper=None))
            part.done()
    progress.done()
    return ((picture.height, picture.width), elements), hints


def _refined(
    job: _Job, crop: CropPlan, before: torch.Tensor, mask: torch.Tensor, progress: host.Progress
) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
    """A crop ``[1,h,w,3]`` in more detail, at the same size; None where its decode failed. And its ControlNet hints.

    Raises:
        RuntimeError: if the hook finds fault with every attempt.
    """
    attempts = max(job.options.attempts, 1)
    for attempt, part in enumerate(progress.split(attempts)):
        tried = replace(crop, seed=wrapped_seed(crop.seed + attempt))
        refined, control_images = _attempt(job, tried, before, mask, part)
        if refined is None or not job.options.attempts or not job.hook.asks("should_retry_patch", refined):
            return refined, control_images
        logger.info("segment %d: attempt %d of %d is not good enough for the hook", crop.number, attempt + 1, attempts)
    raise RuntimeError(
        f"segment {crop.number}: the hook found fault with all {attempts} attempts. Raise max_retries, change the "
        "seed, or loosen the hook's thresholds"
    )


def _attempt(
    job: _Job, crop: CropPlan, before: torch.Tensor, mask: torch.Tensor, progress: host.Progress
) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
    options, hook = job.options, job.hook
    crop = crop.resized(hook.touch_scaled_size(crop.wished))
    logger.info("%s", crop)
    noise_mask = blur_mask(mask, options.mask.noise_mask_feather) if options.mask.noise_mask else None
    pixels = hook.post_upscale(resample(before, crop.working).clamp_(0.0, 1.0), noise_mask)
    pipe, control_images = _for_crop(job, crop, pixels, noise_mask)
    if not hook.skips_sampling():
        pipe, latent = _encode(pipe, pixels, noise_mask, options)
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
        latent = hook.pre_decode(sample_crop(call, sampling, job.refiner, hook, crop.number, progress))
        pixels = host.decode(pipe.vae, latent["samples"], options.vae_tiles.decode)
    pixels = hook.post_decode(pixels)
    if not bool(torch.isfinite(pixels).all()):
        logger.warning(
            "segment %d: the decoded picture holds values that are not finite (black squares); its crop is kept as it "
            "was. A VAE in fp16 often does this: try an fp32 or bf16 VAE",
            crop.number,
        )
        return None, control_images
    return resample(pixels.to(before.device, torch.float32), crop.region.size).clamp_(0.0, 1.0), control_images


def _for_crop(
    job: _Job, crop: CropPlan, pixels: torch.Tensor, noise_mask: torch.Tensor | None
) -> tuple[BasicPipe, list[torch.Tensor]]:
    """The pipe with the conditioning of this crop: cut to it, with its own text and ControlNet; and the hints."""
    pipe, view = job.pipe, View(job.plan.picture, crop.region, crop.working)
    pipe = pipe._replace(
        positive=crop_conditioning(pipe.positive, view), negative=crop_conditioning(pipe.negative, view)
    )
    if crop.text is not None:
        pipe, parts = job.prompts.read(crop.text, crop.seed, pipe)
        pipe = pipe._replace(positive=_with_text(pipe, parts, job.plan.adds_text))
    wrapper = getattr(crop.seg, "control_net_wrapper", None)
    if wrapper is None:
        return pipe, []
    positive, negative, images = wrapper.apply(pipe.positive, pipe.negative, pixels, noise_mask)
    model, more_images = adapted_model(wrapper, pipe.model)
    return pipe._replace(model=model, positive=positive, negative=negative), [*images, *more_images]


def _with_text(pipe: BasicPipe, parts: list[str], add: bool) -> Conditioning:
    """The segment's own prompt, its parts encoded apart; instead of the positive, or added to it."""
    own = host.encode_text(pipe.clip, parts[0])
    for part in parts[1:]:
        own = host.join_conditioning(own, host.encode_text(pipe.clip, part))
    return host.join_conditioning(pipe.positive, own) if add else own


def _encode(
    pipe: BasicPipe, pixels: torch.Tensor, noise_mask: torch.Tensor | None, options: DetailSettings
) -> tuple[BasicPipe, Latent]:
    """The crop's latent with its noise mask; for inpaint models the pipe's conditionings too."""
    if options.mask.inpaint_model and noise_mask is not None:
        positive, negative, latent = host.encode_for_inpainting(
            pipe.positive, pipe.negative, pipe.vae, pixels, noise_mask, options.vae_tiles.encode
        )
        pipe = pipe._replace(positive=positive, negative=negative)
    else:
        latent = {"samples": host.encode(pipe.vae, pixels, options.vae_tiles.encode)}
        if noise_mask is not None:
            latent["noise_mask"] = noise_mask
    return pipe, host.fitted_to(pipe.model, latent)


def _tell(plan: Plan, options: DetailSettings) -> None:
    """Log what the plan says that the user would want to know."""
    logger.info("%d of %d segments to detail in a %s picture", len(plan.to_sample), len(plan.crops), plan.picture)
    for crop in above_max_size(plan.crops, options.size.max_size):
        logger.info(
            "segment %d is worked on at its own size %s, above max_size %g",
            crop.number, crop.wished, options.size.max_size,
        )  # fmt: skip
