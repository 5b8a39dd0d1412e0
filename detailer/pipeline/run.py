"""The way of the picture: plan, cut, enlarge, encode, sample, decode, shrink, paste."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from ...core import SEG, SEGS, Region, Size, blur_mask, crop_region, paste_, resample, resize_mask
from ...core.blend import paste_mask, seamless
from ...core.decoded import fault_of
from ...core.fill import filled
from ...core.reflect import cut_mirrored, inside_picture
from ...segs import kept_image, kept_mask, with_fields
from .. import host
from ..control import adapted_model
from ..hooks.protocol import Hook
from ..host.conditioning import View, crop_conditioning
from ..host.stacking import stacked, what_differs
from ..live import Live
from ..prompts.reader import Prompts
from ..values import (
    BasicPipe,
    Conditioning,
    Detailed,
    DetailSettings,
    KSampleCall,
    Latent,
    Refiner,
    VaeTiles,
    wrapped_seed,
)
from .batching import Place, grouped
from .plan import NOWHERE, CropPlan, Plan, above_max_size, make_plan
from .recipe import Recipe
from .restore import matched
from .sample import sample_crops

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class Picture:
    """One picture to detail.

    Attributes:
        image: ``[1,H,W,3]`` float32 0..1 on the intermediate device, worked on in place.
        segs: moved to the picture's size where they were made for another.
        seed: segment ``i`` has ``seed + i``.
    """

    image: torch.Tensor
    segs: SEGS
    seed: int


def detail(
    pictures: Iterable[Picture],
    count: int,
    recipe: Recipe,
) -> Iterator[Detailed]:
    """Detail pictures one after another, their crops sampled together where each comes out as it would alone.

    Args:
        pictures: asked for one by one, no sooner than there is room for their crops.
        count: how many there are.
        recipe: the seeds of the pictures count, not that of its settings.

    Yields:
        in order, each picture as soon as it is finished: bit for bit as it came wherever no paste mask reaches, with
        the lists of its crops.
    """
    job = _Job.of(recipe, Live.of_node(count))
    progress = host.progress.Progress.of_node(job.live.step)
    canvases: dict[int, _Canvas] = {}

    def plans() -> Iterator[Plan]:
        for index, picture in enumerate(pictures):
            canvases[index] = _Canvas.of(job, picture, index + 1 if count > 1 else None)
            job.live.planned(index, canvases[index].plan, picture.image)
            yield canvases[index].plan

    following, done = 0, 0.0
    for group in grouped(plans(), job.most):
        host.devices.check_interrupted()
        share = sum(canvases[place.picture].share(place.crop) for place in group) / count
        part = progress.between(done, done + share)
        cuts = [canvases[place.picture].cut(place) for place in group]
        for place, cut, refined in zip(group, cuts, _refined(job, cuts, part), strict=True):
            canvases[place.picture].put(job, cut, refined)
            job.live.done(place, canvases[place.picture].at(place.crop))
        part.done()
        done += share
        while following in canvases and canvases[following].is_finished:
            yield canvases.pop(following).detailed()
            following += 1
    for index in sorted(canvases):  # those without anything to do
        yield canvases[index].detailed()
    progress.done()
    job.live.ended()


def foresee(pictures: Sequence[Picture], recipe: Recipe) -> tuple[list[Plan], list[list[Place]]]:
    """What ``detail`` would do with the pictures, which stay as they are: their plans, and what is sampled at once.

    Crops of a group can still be sampled apart where their conditioning has another form.
    """
    job = _Job.of(recipe, Live())
    plans = [
        _Canvas.of(job, picture, index + 1 if len(pictures) > 1 else None).plan
        for index, picture in enumerate(pictures)
    ]
    plans = [
        replace(plan, crops=tuple(crop.resized(recipe.hook.touch_scaled_size(crop.wished)) for crop in plan.crops))
        for plan in plans
    ]
    return plans, list(grouped(plans, job.most))


def refine(
    image: torch.Tensor,
    segs: SEGS,
    recipe: Recipe,
    variants: int = 1,
) -> tuple[SEGS, list[torch.Tensor]]:
    """Detail the segments of one picture without putting them back.

    Each is cut from its own image where it has one, else from the picture as it came in.

    Args:
        image: ``[1,H,W,3]`` float32 0..1.
        recipe: variant ``j``, from 1, samples every segment with ``seed + j``; feather and hook mean nothing.

    Returns:
        the SEGS moved to the picture's size: all segments of the first variant, then of the next; each with its refined
        crop as image and without ControlNet, or as it came where it was skipped. And the ControlNet hints.
    """
    settings = recipe.settings
    job = _Job.of(replace(recipe, hook=Hook()), Live.of_node(variants))
    canvas = _Canvas.of(job, Picture(image.to(host.devices.intermediate_device(), torch.float32), segs, settings.seed))
    plan = canvas.plan
    plans = [_unpasted(plan, settings.seed + 1 + j) for j in range(variants)]
    for variant, planned in enumerate(plans):
        job.live.planned(variant, planned, canvas.work, own_images=True)
    progress = host.progress.Progress.of_node(job.live.step)
    made: dict[tuple[int, int], _Refined] = {}
    each = 1 / max(len(plan.to_sample) * variants, 1)
    for group in grouped(plans, job.most):
        host.devices.check_interrupted()
        part = progress.between(len(made) * each, (len(made) + len(group)) * each)
        sampled = [place for place in group if not place.crop.skipped]
        cuts = [canvas.cut(place, own=True) for place in sampled]
        for place, cut, refined in zip(sampled, cuts, _refined(job, cuts, part), strict=True):
            made[place.picture, place.crop.number] = refined
            job.live.done(place, cut.before if refined.pixels is None else refined.pixels)
        part.done()
    progress.done()
    job.live.ended()
    elements: list[SEG] = []
    hints: list[torch.Tensor] = []
    for variant in range(variants):
        for crop in plan.crops:
            refined = made.get((variant, crop.number), _Refined(None))
            hints += refined.hints
            if refined.pixels is None:
                elements.append(crop.seg)
            else:
                region, shown = inside_picture(crop.region, plan.picture)
                seg = _with_refined(crop, refined.pixels[(slice(None), *shown)], region)
                elements.append(with_fields(seg, control_net_wrapper=None))
    return ((plan.picture.height, plan.picture.width), elements), hints


def _unpasted(plan: Plan, seed: int) -> Plan:
    """The plan of crops that are not put back, so that none waits for another; all with one seed."""
    return replace(plan, crops=tuple(replace(crop, seed=wrapped_seed(seed), reach=NOWHERE) for crop in plan.crops))


def _with_refined(crop: CropPlan, refined: torch.Tensor, region: Region) -> SEG:
    """The segment with its refined crop of ``region``; with its mask there too, where the detail options moved it."""
    seg = with_fields(crop.seg, cropped_image=kept_image(refined))
    if crop.why and region != crop_region(crop.seg):
        mask = replace(crop, region=region).mask()
        seg = with_fields(seg, crop_region=region.as_list(), cropped_mask=kept_mask(mask))
    return seg


@dataclass
class _Job:
    """What is the same for all pictures of a run.

    Attributes:
        alone: crops go one after another.
        room: how many crops fit into memory at once, as far as running out of it has taught.
    """

    pipe: BasicPipe
    settings: DetailSettings
    refiner: Refiner | None
    hook: Hook
    alone: bool
    live: Live
    prompts: Prompts = field(default_factory=Prompts)
    room: int | None = None

    @classmethod
    def of(cls, recipe: Recipe, live: Live) -> _Job:
        pipe, settings, refiner, hook = recipe.pipe, recipe.settings, recipe.refiner, recipe.hook
        if settings.mask.noise_mask and settings.mask.noise_mask_feather > 0:
            pipe = pipe._replace(model=host.models.with_differential_diffusion(pipe.model))
        if settings.options.tiling != "auto":
            always = settings.options.tiling == "always"
            settings = replace(settings, vae_tiles=VaeTiles(always, always))
        reason = _why_alone(settings, hook)
        if reason is not None:
            logger.info("crops are sampled one at a time: %s", reason)
        return cls(pipe, settings, refiner, hook, reason is not None, live)

    def most(self, crop: CropPlan) -> int:
        """How many crops like this one may be sampled at once."""
        if self.alone or crop.skipped:
            return 1
        wanted = self.settings.crop_batch or host.devices.crops_at_once(self.pipe.model, self.cells(crop))
        return wanted if self.room is None else min(wanted, self.room)

    @property
    def multiple(self) -> int:
        """What sides must be multiples of; InpaintModelConditioning cuts all else off to multiples of 8."""
        cell = host.vae.pixels_per_cell(self.pipe.vae)
        return math.lcm(cell, 8) if self.settings.mask.inpaint_model else cell

    def cells(self, crop: CropPlan) -> Size:
        """The size of a crop's latent."""
        return Size(*(side // host.vae.pixels_per_cell(self.pipe.vae) for side in crop.working))


def _why_alone(settings: DetailSettings, hook: Hook) -> str | None:
    if hook.crop_methods:
        return f"the detailer_hook may treat each in its own way ({', '.join(hook.crop_methods)})"
    if settings.attempts and hook.judges:
        return "the detailer_hook may want each tried again"
    if host.sampling.couples_crops(settings.sampling.sampler_name):
        return f"the sampler {settings.sampling.sampler_name} would let one change another"
    return None


@dataclass(frozen=True)
class _Cut:
    """A crop as it was cut out: ``before`` is ``[1,h,w,3]``, ``mask`` ``[1,h,w]``.

    ``index`` is its picture's, from 0; ``prefix`` says in the log which picture of several it is from.
    """

    index: int
    prefix: str
    picture: Size
    plan: CropPlan
    before: torch.Tensor
    mask: torch.Tensor

    @property
    def name(self) -> str:
        return f"{self.prefix}segment {self.plan.number}"


@dataclass(frozen=True)
class _Refined:
    """A crop in more detail, ``[1,h,w,3]`` at its size in the picture; None where its decode failed or it was skipped.
    And its ControlNet hints.
    """

    pixels: torch.Tensor | None
    hints: Sequence[torch.Tensor] = ()


@dataclass
class _Canvas:
    """A picture in the making. ``number``: from 1, None for an only one."""

    number: int | None
    plan: Plan
    work: torch.Tensor
    made: dict[int, tuple[_Cut, _Refined, torch.Tensor | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, job: _Job, picture: Picture, number: int | None = None) -> _Canvas:
        settings = job.settings
        plan = make_plan(picture.segs, Size(*picture.image.shape[1:3]), settings, picture.seed, job.multiple)
        canvas = cls(number, plan, picture.image)
        canvas._tell(settings)
        return canvas

    def _tell(self, settings: DetailSettings) -> None:
        """Log what the plan says that the user would want to know."""
        plan = self.plan
        logger.info(
            "%s%d of %d segments to detail in a %s picture",
            self._prefix, len(plan.to_sample), len(plan.crops), plan.picture,
        )  # fmt: skip
        for crop in plan.crops:
            if crop.skipped:
                logger.info("%s%s", self._prefix, crop)
        for crop in above_max_size(plan.crops, settings.size.max_size):
            logger.info(
                "%ssegment %d is worked on at its own size %s, above max_size %g",
                self._prefix, crop.number, crop.wished, settings.size.max_size,
            )  # fmt: skip

    @property
    def _prefix(self) -> str:
        return "" if self.number is None else f"picture {self.number}: "

    @property
    def is_finished(self) -> bool:
        return len(self.made) == len(self.plan.to_visit)

    def share(self, crop: CropPlan) -> float:
        """The crop's part of the picture's work."""
        return 0.0 if crop.skipped else 1 / len(self.plan.to_sample)

    def at(self, crop: CropPlan) -> torch.Tensor:
        """The picture where the crop is, as it is now."""
        if crop.region.inside(self.plan.picture):
            return self.work[(slice(None), *crop.region.slices)]
        return cut_mirrored(self.work, crop.region)

    def cut(self, place: Place, own: bool = False) -> _Cut:
        """The crop out of the picture as it is now; ``own``: its own image, where it has one."""
        crop = place.crop
        before = crop.own_image() if own else None
        before = self.at(crop).clone() if before is None else before.to(self.work.device)
        mask = crop.mask(self.plan.picture).to(self.work.device)
        return _Cut(place.picture, self._prefix, self.plan.picture, crop, before, mask)

    def put(self, job: _Job, cut: _Cut, refined: _Refined) -> None:
        """Paste a refined crop, and keep what the lists show of it: the part within the picture."""
        region, (rows, columns) = inside_picture(cut.plan.region, self.plan.picture)
        alpha = None
        if refined.pixels is not None:
            blend = job.settings.options.blend
            alpha = paste_mask(cut.mask, job.settings.mask.feather, blend.ramp, blend.grow)[:, rows, columns]
            now = self.work[(slice(None), *region.slices)]
            patch = seamless(
                now, refined.pixels[:, rows, columns], alpha, blend.method, blend.width, region, self.plan.picture
            )
            paste_(self.work, patch, alpha, region)
            refined = replace(refined, pixels=patch)
            seen = job.hook.post_paste(self.work)
            if seen is not self.work:
                self.work.copy_(seen)
        cut = replace(cut, before=cut.before[:, rows, columns])
        self.made[cut.plan.number] = cut, refined, alpha

    def detailed(self) -> Detailed:
        made = [self.made[number] for number in sorted(self.made)]
        size = self.plan.picture.height, self.plan.picture.width
        whole = [
            (refined.pixels, alpha) for _, refined, alpha in made if refined.pixels is not None and alpha is not None
        ]
        return Detailed(
            self.work,
            _largest_first([cut.before for cut, *_ in made]),
            _largest_first([pixels for pixels, _ in whole]),
            _largest_first([torch.cat([pixels, alpha[..., None]], dim=-1) for pixels, alpha in whole]),
            [hint for _, refined, _ in made for hint in refined.hints],
            (size, [self._kept(cut.plan, refined) for cut, refined, _ in made]),
        )

    def _kept(self, crop: CropPlan, refined: _Refined) -> SEG:
        if refined.pixels is None:
            return with_fields(crop.seg, cropped_image=None)
        return _with_refined(crop, refined.pixels, crop.region.within(self.plan.picture))


def _largest_first(crops: list[torch.Tensor]) -> list[torch.Tensor]:
    return sorted(crops, key=lambda crop: tuple(crop.shape), reverse=True)


# --- from a crop to its refined one -------------------------------------------------------------------------------


def _refined(job: _Job, cuts: Sequence[_Cut], progress: host.progress.Progress) -> list[_Refined]:
    """Crops in more detail. One that is skipped comes alone, and stays as it is.

    Raises:
        RuntimeError: if the hook finds fault with every attempt.
    """
    if any(cut.plan.skipped for cut in cuts):
        return [_Refined(None) for _ in cuts]
    attempts = job.settings.attempts
    if not attempts or not job.hook.judges:
        return _sampled_until_sound(job, cuts, progress)
    (cut,) = cuts
    for attempt, part in enumerate(progress.split(attempts)):
        seed = wrapped_seed(cut.plan.seed + attempt)
        (refined,) = _sampled_until_sound(job, [replace(cut, plan=replace(cut.plan, seed=seed))], part)
        if refined.pixels is None or not job.hook.asks("should_retry_patch", refined.pixels):
            return [refined]
        logger.info("%s: attempt %d of %d is not good enough for the hook", cut.name, attempt + 1, attempts)
    raise RuntimeError(
        f"{cut.name}: the hook found fault with all {attempts} attempts. Raise max_retries, change the "
        "seed, or loosen the hook's thresholds"
    )


def _sampled_until_sound(job: _Job, cuts: Sequence[_Cut], progress: host.progress.Progress) -> list[_Refined]:
    """Crops at once, and those that come out black again with the next seeds, as often as the detail options say."""
    refined = _sampled(job, cuts, progress)
    for retry in range(1, job.settings.options.retries + 1):
        bad = [index for index, made in enumerate(refined) if made.pixels is None]
        if not bad:
            break
        again = [
            replace(cut, plan=replace(cut.plan, seed=wrapped_seed(cut.plan.seed + retry)))
            for cut in (cuts[index] for index in bad)
        ]
        for index, made in zip(bad, _sampled(job, again, host.progress.Progress.hidden()), strict=True):
            refined[index] = made
    return refined


def _sampled(job: _Job, cuts: Sequence[_Cut], progress: host.progress.Progress) -> list[_Refined]:
    """Crops at once, or as many of them as memory has been found to hold."""
    if job.room is not None and len(cuts) > job.room:
        share = job.room / len(cuts)
        first = _sampled(job, cuts[: job.room], progress.between(0.0, share))
        return [*first, *_sampled(job, cuts[len(first) :], progress.between(share, 1.0))]
    try:
        return _in_batches(job, [_enlarged(job, cut) for cut in cuts], progress)
    except Exception as error:
        if not host.devices.is_out_of_memory(error):
            raise
        if len(cuts) == 1:
            logger.warning("%s: not enough memory. A lower guide_size or max_size needs less", cuts[0].name)
            raise
        reason = str(error)
    job.room = len(cuts) // 2
    logger.warning(
        "not enough memory for %d crops at once (%s): going on with %d at a time", len(cuts), reason, job.room
    )
    host.devices.free_memory()
    return _sampled(job, cuts, progress)


@dataclass(frozen=True)
class _Enlarged:
    """A crop ready to be encoded: ``pixels`` is ``[1,H,W,3]``, ``noise_mask`` ``[1,h,w]`` at the crop's own size.

    ``pipe`` and ``refiner`` hold its own conditioning.
    """

    cut: _Cut
    plan: CropPlan
    pixels: torch.Tensor
    noise_mask: torch.Tensor | None
    pipe: BasicPipe
    refiner: Refiner | None
    hints: Sequence[torch.Tensor]

    def what_differs(self, other: _Enlarged) -> str | None:
        """Why both can't be sampled in one batch; None where they can."""
        if self.pipe.model is not other.pipe.model:
            return "the model, by a LoRA or an adapter of their own"
        pairs = [(self.pipe.positive, other.pipe.positive), (self.pipe.negative, other.pipe.negative)]
        if self.refiner and other.refiner:
            pairs += [(self.refiner.positive, other.refiner.positive), (self.refiner.negative, other.refiner.negative)]
        return next(filter(None, (what_differs(*pair) for pair in pairs)), None)


def _enlarged(job: _Job, cut: _Cut) -> _Enlarged:
    mask = job.settings.mask
    plan = cut.plan.resized(job.hook.touch_scaled_size(cut.plan.wished))
    logger.info("%s%s", cut.prefix, plan)
    noise_mask = blur_mask(cut.mask, mask.noise_mask_feather) if mask.noise_mask else None
    pixels = job.hook.post_upscale(resample(cut.before, plan.working).clamp_(0.0, 1.0), noise_mask)
    view = View(cut.picture, plan.region, plan.working)
    pipe, hints = _for_crop(job, plan, view, pixels, noise_mask)
    pixels = filled(pixels, cut.mask if noise_mask is None else noise_mask, job.settings.options.fill, plan.seed)
    return _Enlarged(cut, plan, pixels, noise_mask, pipe, _refiner_for(job.refiner, view), hints)


def _for_crop(
    job: _Job, plan: CropPlan, view: View, pixels: torch.Tensor, noise_mask: torch.Tensor | None
) -> tuple[BasicPipe, list[torch.Tensor]]:
    """The pipe with the conditioning of this crop: cut to it, with its own text and ControlNet; and the hints."""
    pipe = job.pipe
    pipe = pipe._replace(
        positive=crop_conditioning(pipe.positive, view), negative=crop_conditioning(pipe.negative, view)
    )
    if plan.text is not None:
        pipe, parts = job.prompts.read(plan.text, plan.seed, pipe)
        pipe = pipe._replace(positive=_with_text(pipe, parts, plan.adds_text))
    wrapper = getattr(plan.seg, "control_net_wrapper", None)
    if wrapper is None:
        return pipe, []
    positive, negative, images = wrapper.apply(pipe.positive, pipe.negative, pixels, noise_mask)
    model, more_images = adapted_model(wrapper, pipe.model)
    return pipe._replace(model=model, positive=positive, negative=negative), [*images, *more_images]


def _with_text(pipe: BasicPipe, parts: list[str], add: bool) -> Conditioning:
    """The segment's own prompt, its parts encoded apart; instead of the positive, or added to it."""
    own = host.text.encode_text(pipe.clip, parts[0])
    for part in parts[1:]:
        own = host.text.join_conditioning(own, host.text.encode_text(pipe.clip, part))
    return host.text.join_conditioning(pipe.positive, own) if add else own


def _refiner_for(refiner: Refiner | None, view: View) -> Refiner | None:
    if refiner is None:
        return None
    return replace(
        refiner,
        positive=crop_conditioning(refiner.positive, view),
        negative=crop_conditioning(refiner.negative, view),
    )


def _in_batches(job: _Job, crops: Sequence[_Enlarged], progress: host.progress.Progress) -> list[_Refined]:
    """Crops of one working size, each sampled with those whose conditioning has the form of its own."""
    batches: list[list[int]] = []
    for index, crop in enumerate(crops):
        reasons = [crops[batch[0]].what_differs(crop) for batch in batches]
        if None in reasons:
            batches[reasons.index(None)].append(index)
        else:
            if reasons:
                first = crops[batches[-1][0]].cut.name
                logger.info("%s is not sampled along with %s: they differ in %s", crop.cut.name, first, reasons[-1])
            batches.append([index])
    refined: list[_Refined] = [_Refined(None)] * len(crops)
    begun = 0
    for batch in batches:
        part = progress.between(begun / len(crops), (begun + len(batch)) / len(crops))
        for index, made in zip(batch, _batch(job, [crops[index] for index in batch], part), strict=True):
            refined[index] = made
        begun += len(batch)
    return refined


def _batch(job: _Job, crops: Sequence[_Enlarged], progress: host.progress.Progress) -> list[_Refined]:
    """Encode, sample and decode crops at once, and bring each back to its size."""
    first, hook, settings = crops[0], job.hook, job.settings
    job.live.begun([Place(crop.cut.index, crop.plan) for crop in crops])
    pixels = torch.cat([crop.pixels for crop in crops])
    if not hook.skips_sampling():
        cells = job.cells(first.plan)
        pipe, latent = _encode(_stacked_pipe(crops, cells), pixels, [crop.noise_mask for crop in crops], settings)
        sampling = settings.sampling
        call = KSampleCall(
            model=pipe.model,
            seed=first.plan.seed,
            steps=sampling.steps,
            cfg=sampling.cfg,
            sampler_name=sampling.sampler_name,
            scheduler=sampling.scheduler,
            positive=pipe.positive,
            negative=pipe.negative,
            latent=hook.post_encode(latent),
            denoise=first.plan.denoise,
        )
        name = ", ".join(crop.cut.name for crop in crops)
        seeds = [crop.plan.seed for crop in crops]
        latent = sample_crops(call, seeds, sampling, _stacked_refiner(crops, cells), hook, name, progress)
        pixels = host.vae.decode(pipe.vae, hook.pre_decode(latent)["samples"], settings.vae_tiles.decode)
    pixels = hook.post_decode(pixels)
    decoded = [pixels] if len(crops) == 1 else pixels.split(1)
    return [_Refined(_shrunk(job, crop, own), crop.hints) for crop, own in zip(crops, decoded, strict=True)]


def _stacked_pipe(crops: Sequence[_Enlarged], cells: Size) -> BasicPipe:
    return crops[0].pipe._replace(
        positive=stacked([crop.pipe.positive for crop in crops], cells),
        negative=stacked([crop.pipe.negative for crop in crops], cells),
    )


def _stacked_refiner(crops: Sequence[_Enlarged], cells: Size) -> Refiner | None:
    refiners = [crop.refiner for crop in crops if crop.refiner is not None]
    if not refiners:
        return None
    return replace(
        refiners[0],
        positive=stacked([refiner.positive for refiner in refiners], cells),
        negative=stacked([refiner.negative for refiner in refiners], cells),
    )


def _encode(
    pipe: BasicPipe, pixels: torch.Tensor, noise_masks: Sequence[torch.Tensor | None], settings: DetailSettings
) -> tuple[BasicPipe, Latent]:
    """The crops' latent with their noise masks; for inpaint models the pipe's conditionings too."""
    masks = [mask for mask in noise_masks if mask is not None]
    if settings.mask.inpaint_model and masks:
        size = Size(*pixels.shape[1:3])
        mask = masks[0] if len(masks) == 1 else torch.cat([resize_mask(mask, size) for mask in masks])
        positive, negative, latent = host.vae.encode_for_inpainting(
            pipe.positive, pipe.negative, pipe.vae, pixels, mask, settings.vae_tiles.encode
        )
        return pipe._replace(positive=positive, negative=negative), host.latents.fitted_to(pipe.model, latent)
    latent = host.latents.fitted_to(
        pipe.model, {"samples": host.vae.encode(pipe.vae, pixels, settings.vae_tiles.encode)}
    )
    if masks:
        latent["noise_mask"] = masks[0] if len(masks) == 1 else host.latents.noise_masks_at(masks, latent["samples"])
    return pipe, latent


def _shrunk(job: _Job, crop: _Enlarged, pixels: torch.Tensor) -> torch.Tensor | None:
    """A decoded crop at its size in the picture; None where it can't be used."""
    cut, options = crop.cut, job.settings.options
    fault = fault_of(pixels, cut.before, flat_too=options.retries > 0)
    if fault is not None:
        logger.warning(
            "%s: the decoded picture is %s (black squares); its crop is kept as it was%s. A VAE in fp16 often does "
            "this: try an fp32 or bf16 VAE",
            cut.name, fault, " if no retry is better" if options.retries else "",
        )  # fmt: skip
        return None
    small = resample(pixels.to(cut.before.device, torch.float32), crop.plan.region.size).clamp_(0.0, 1.0)
    return matched(cut.before, small, cut.mask, crop.noise_mask, options, crop.plan.seed, cut.name)
