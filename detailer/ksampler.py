"""Sampling crops, one or several at once: steps, schedule, the refiner's share and each crop's own noise."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from . import host
from .host.custom_sampling import NOTHING_CUSTOM, CustomSampling
from .host.protocols import Conditioning, Latent, Model, SchedulerFunc
from .host.sampling import Descent, Guidance
from .host.tiling import Tile, Tiling, part_of
from .values import KSampleCall, Refiner

logger = logging.getLogger("mask_detailer")


FINE = 1000  # steps of the schedule from which levels below a given one are read

# Making that many takes ComfyUI's slower schedulers half a minute; 20 steps at the least denoise are 200,000.
MOST_LEVELS = 1_000_000


def whole_schedule(steps: int, denoise: float) -> int:
    """The steps of the schedule of which the last ``steps`` are run: ``floor(steps / denoise)``."""
    return int(min(steps / denoise, 2.0**62))


@dataclass(frozen=True)
class Stages:
    """Which noise levels each model runs over.

    The schedule is made for ``floor(steps / denoise)`` steps, of which the last ``steps`` are run; the refiner takes
    over ``floor(steps * (1 - ratio))`` steps in. Or it begins at a noise level, ``top``, and all of it is run.
    """

    total: int
    start: int
    switch: int
    top: float | None = None

    @classmethod
    def of(cls, steps: int, denoise: float, refiner_ratio: float = 0.0) -> Stages:
        """
        Raises:
            ValueError: for a denoise that makes the schedule more than twice ``MOST_LEVELS`` long: a hook's, since
                nodes look at theirs before. Twice, because denoise by size may halve it.
        """
        total = whole_schedule(steps, denoise)
        if total > 2 * MOST_LEVELS:
            raise ValueError(f"{steps} steps at denoise {denoise:g} are a schedule of {total} noise levels, too many")
        start = total - steps
        return cls(total, start, start + int(steps * (1.0 - refiner_ratio)))

    @classmethod
    def below(cls, top: float, steps: int, refiner_ratio: float = 0.0) -> Stages:
        """``steps`` steps from a noise level down to 0."""
        return cls(steps, 0, int(steps * (1.0 - refiner_ratio)), top)

    @classmethod
    def all_of(cls, sigmas: torch.Tensor, refiner_ratio: float = 0.0) -> Stages:
        """All of given noise levels."""
        steps = max(len(sigmas) - 1, 0)
        return cls(steps, 0, int(steps * (1.0 - refiner_ratio)))

    def cut(self, sigmas: torch.Tensor) -> torch.Tensor:
        """A schedule that is longer than asked for ends at ``total``, cleanly."""
        if len(sigmas) <= self.total + 1:
            return sigmas
        sigmas = sigmas[: self.total + 1].clone()
        sigmas[-1] = 0.0
        return sigmas


@dataclass(frozen=True)
class Steps:
    """Which steps of its schedule an advanced KSampler runs.

    Attributes:
        first, last: from the one to the other, or to the schedule's end.
        add_noise: off, the latent has its noise already.
        finish: end at a clean latent, wherever that is; else the noise of step ``last`` stays in.
    """

    first: int
    last: int
    add_noise: bool
    finish: bool


def sample_latent(
    call: KSampleCall, scheduler_func: SchedulerFunc | None, name: str, progress: host.progress.Progress
) -> Latent:
    """A KSampler: the last ``steps`` steps of the schedule for ``floor(steps / denoise)``.

    Args:
        name: who samples, for the log.

    Returns:
        the sampled latent, its other entries kept; ``call.latent`` itself where there is nothing to sample.

    Raises:
        ValueError: for noise levels that are not finite.
    """
    if call.denoise <= 0.0:
        logger.info("%s: denoise is 0, the latent stays as it is", name)
        return call.latent
    latent = host.latents.fitted_to(call.model, call.latent)
    run = Run(name, call._replace(latent=latent), [call.seed], Stages.of(call.steps, call.denoise), scheduler_func)
    samples = run.sample(None, host.sampling.noise_for(latent, run.seeds), progress)
    return call.latent if samples is latent["samples"] else {**latent, "samples": samples}


def sample_steps(
    call: KSampleCall, scheduler_func: SchedulerFunc | None, steps: Steps, name: str, progress: host.progress.Progress
) -> Latent:
    """An advanced KSampler: ``steps`` of the schedule of ``call.steps`` steps; the call's denoise means nothing.

    Args:
        name: who samples, for the log.

    Returns:
        as ``sample_latent``.

    Raises:
        ValueError: for noise levels that are not finite.
    """
    latent = host.latents.fitted_to(call.model, call.latent)
    run = Run(
        name, call._replace(latent=latent), [call.seed], Stages(call.steps, steps.first, call.steps), scheduler_func
    )
    whole = run.levels(call.model)
    last = min(steps.last, len(whole) - 1)
    until_last = Stages(last, steps.first, last).cut(whole) if steps.finish else whole
    noise = (
        host.sampling.noise_for(latent, run.seeds)
        if steps.add_noise
        else torch.zeros_like(latent["samples"], device="cpu")
    )
    descent = run.descent(run.guidance(), noise, whole, until_last[steps.first : last + 1], steps.finish)
    if descent is None:
        return call.latent
    return {**latent, "samples": host.sampling.sample(run.guidance(), latent, noise, descent, progress)}


def unsample(call: KSampleCall, last: int, normalize: bool) -> Latent:
    """Run the schedule backwards, from the clean latent to the noise of step ``last`` that would lead to it.

    Args:
        last: 0 is the schedule's start, all noise; nearer to ``steps`` there is less of it.
        normalize: shift and scale the result to mean 0 and deviation 1.

    Returns:
        the latent with its noise, its other entries kept.

    Raises:
        ValueError: for noise levels that are not finite, and for what doesn't fit the model.
    """
    latent = call.latent
    # at a level of exactly 0 a sampler could not start
    levels = host.schedules.sigmas_for(call.model, call.sampler_name, call.scheduler, call.steps).flip(0) + 0.0001
    samples, noise = latent["samples"], torch.zeros_like(latent["samples"], device="cpu")
    run = Run("unsampler", call, [call.seed], Stages(call.steps, 0, call.steps))
    upwards = levels[: call.steps - min(last, call.steps - 1) + 1]
    descent = run.descent(run.guidance(), noise, levels, upwards, finish=False)
    if descent is not None:
        try:
            samples = host.sampling.sample(run.guidance(), latent, noise, descent, host.progress.Progress.hidden())
        except host.fits.MisfitError as misfit:  # not the detailer's, whose inputs would be named
            raise ValueError(f"the unsampler's {misfit}") from misfit.__cause__
    if normalize:
        samples = (samples - samples.mean()) / samples.std()
    return {**latent, "samples": samples}


@dataclass(frozen=True)
class _Leg:
    """Who leads from step ``first`` to ``last``, and which stretch of the bar that is."""

    guidance: Guidance
    first: int
    last: int
    progress: host.progress.Progress


@dataclass(frozen=True)
class Run:
    """One sampling's schedule, to be run over by one model or by two.

    Attributes:
        name: whose, for log and errors.
        seeds: one for the whole latent, or one an item.
        custom: sampler, noise levels and guider instead of those that the call names.
        others: the guider's other prompts.
        tiles: by which the model predicts instead of all at once; the refiner and guiders do as ever.
    """

    name: str
    call: KSampleCall
    seeds: Sequence[int]
    stages: Stages
    scheduler_func: SchedulerFunc | None = None
    custom: CustomSampling = NOTHING_CUSTOM
    others: Mapping[str, Conditioning] = field(default_factory=dict)
    tiles: Sequence[Tile] = ()

    def sample(self, refiner: Refiner | None, noise: torch.Tensor, progress: host.progress.Progress) -> torch.Tensor:
        """The model's steps, then, over its result inside the noise mask, the refiner's.

        Only the schedule's end gives a clean latent; before it the noise stays in, and the refiner adds none.

        Args:
            noise: of the call's samples' shape.

        Returns:
            the samples on the intermediate device; the call's own where the schedule holds no step.

        Raises:
            ValueError: for noise levels that are not finite.
        """
        latent: Latent = self.call.latent
        samples = latent["samples"]
        for leg in self._legs(refiner, progress):
            whole = self.stages.cut(self.levels(leg.guidance.model))
            finish = leg.last == self.stages.total
            descent = self.descent(leg.guidance, noise, whole, whole[leg.first : leg.last + 1], finish)
            samples = latent["samples"]
            if descent is not None:
                samples = host.sampling.sample(*self._by_tiles(leg, latent, noise, descent), leg.progress)
            if not finish:
                clean = latent["samples"]
                latent = {**latent, "samples": host.latents.under_mask(samples, clean, latent.get("noise_mask"))}
                noise = torch.zeros_like(noise)
        return samples

    def _by_tiles(
        self, leg: _Leg, latent: Latent, noise: torch.Tensor, descent: Descent
    ) -> tuple[Guidance, Latent, torch.Tensor, Descent]:
        """What is sampled, tile by tile where there are tiles."""
        if not self.tiles or leg.guidance.of_refiner or leg.guidance.guider is not None:
            return leg.guidance, latent, noise, descent
        samples, mask = latent["samples"], latent.get("noise_mask")
        masks = None if mask is None else host.latents.noise_mask_at(mask, samples)
        sampler = Tiling(descent.sampler, [self.tiles], noise).of(samples, masks)
        first = self.tiles[0]
        guidance = replace(leg.guidance, positive=first.positive, negative=first.negative)
        start: Latent = {"samples": part_of(samples, first.region)}
        descent = replace(descent, sampler=sampler)
        return guidance, start, part_of(noise, first.region), descent

    def _legs(self, refiner: Refiner | None, progress: host.progress.Progress) -> list[_Leg]:
        start, switch, total = self.stages.start, self.stages.switch, self.stages.total
        if refiner is None or switch >= total:
            return [_Leg(self.guidance(), start, total, progress)]
        early, late = progress.split(2)
        last = _Leg(self.guidance(refiner), switch, total, late)
        return [_Leg(self.guidance(), start, switch, early), last] if switch > start else [last]

    def guidance(self, refiner: Refiner | None = None) -> Guidance:
        leader = refiner or self.call
        cfg = self.call.cfg
        if refiner is not None or self.custom.guider is None:
            return Guidance(leader.model, leader.positive, leader.negative, cfg, refiner is not None)
        prompts = leader.positive, leader.negative
        return Guidance(leader.model, *prompts, cfg, guider=self.custom.guider, others=self.others)

    def levels(self, model: Model) -> torch.Tensor:
        """The noise levels of the whole schedule."""
        call, stages = self.call, self.stages
        if self.custom.sigmas is not None:
            return self.custom.sigmas
        steps = stages.total if stages.top is None else max(FINE, stages.total)
        sigmas = host.schedules.sigmas_for(model, call.sampler_name, call.scheduler, steps, self.scheduler_func)
        return sigmas if stages.top is None else host.schedules.levels_from(sigmas, stages.top, stages.total)

    def descent(
        self, guidance: Guidance, noise: torch.Tensor, whole: torch.Tensor, sigmas: torch.Tensor, finish: bool
    ) -> Descent | None:
        """The way over ``sigmas``, a part of the schedule ``whole``; None where it holds no step.

        Raises:
            ValueError: for noise levels that are not finite.
        """
        call = self.call
        if len(sigmas) < 2:
            logger.warning(
                "%s: the schedule has %d steps, none of them from step %d on is to be run: its latent stays as it is",
                self.name, len(whole) - 1, self.stages.start,
            )  # fmt: skip
            return None
        if not bool(torch.isfinite(sigmas).all()):
            raise ValueError(
                f"{self.name}: the scheduler {call.scheduler!r} gives noise levels that are not finite for "
                f"{self.stages.total} steps. Use more steps or another scheduler"
            )
        sampler = self.custom.sampler
        if sampler is None:
            sampler = host.sampling.sampler_for(call.sampler_name, guidance.model, noise, whole, self.seeds)
        else:
            sampler = host.custom_sampling.apart(sampler, noise, self.seeds)
        return Descent(sampler, sigmas, self.seeds[0], finish)
