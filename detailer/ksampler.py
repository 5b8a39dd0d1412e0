"""Sampling crops, one or several at once: steps, schedule, the refiner's share and each crop's own noise."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from . import host
from .values import KSampleCall, Latent, Refiner, SchedulerFunc

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class Stages:
    """Which noise levels each model runs over.

    The schedule is made for ``floor(steps / denoise)`` steps, of which the last ``steps`` are run; the refiner takes
    over ``floor(steps * (1 - ratio))`` steps in.
    """

    total: int
    start: int
    switch: int

    @classmethod
    def of(cls, steps: int, denoise: float, refiner_ratio: float = 0.0) -> Stages:
        total = int(steps / denoise)
        start = total - steps
        return cls(total, start, start + int(steps * (1.0 - refiner_ratio)))

    def cut(self, sigmas: torch.Tensor) -> torch.Tensor:
        """A schedule that is longer than asked for ends at ``total``, cleanly."""
        if len(sigmas) <= self.total + 1:
            return sigmas
        sigmas = sigmas[: self.total + 1].clone()
        sigmas[-1] = 0.0
        return sigmas


def sample_latent(
    call: KSampleCall, scheduler_func: SchedulerFunc | None, name: str, progress: host.progress.Progress
) -> Latent:
    """A KSampler: the last ``steps`` steps of the schedule for ``floor(steps / denoise)``.

    Args:
        name: who samples, for the log.

    Returns:
        the sampled latent, its other entries kept; ``call.latent`` itself where there is nothing to sample.
    """
    if call.denoise <= 0.0:
        logger.info("%s: denoise is 0, the latent stays as it is", name)
        return call.latent
    latent = host.latents.fitted_to(call.model, call.latent)
    run = Run(name, call._replace(latent=latent), [call.seed], Stages.of(call.steps, call.denoise), scheduler_func)
    samples = sample_once(run, None, host.sampling.noise_for(latent, run.seeds), progress)
    return call.latent if samples is latent["samples"] else {**latent, "samples": samples}


def sample_steps(
    call: KSampleCall,
    scheduler_func: SchedulerFunc | None,
    first: int,
    last: int,
    add_noise: bool,
    finish: bool,
    name: str,
    progress: host.progress.Progress,
) -> Latent:
    """An advanced KSampler: the schedule of ``steps`` steps from step ``first`` to ``last``, or to its end.

    Args:
        add_noise: off, the latent has its noise already.
        finish: end at a clean latent, wherever that is; else the noise of step ``last`` stays in.
        name: who samples, for the log.

    Returns:
        as ``sample_latent``.
    """
    latent = host.latents.fitted_to(call.model, call.latent)
    stages = Stages(call.steps, first, call.steps)
    run = Run(name, call._replace(latent=latent), [call.seed], stages, scheduler_func)
    whole = run.levels(call.model)
    last = min(last, len(whole) - 1)
    until_last = Stages(last, first, last).cut(whole) if finish else whole
    noise = (
        host.sampling.noise_for(latent, run.seeds) if add_noise else torch.zeros_like(latent["samples"], device="cpu")
    )
    samples = run.over(call, latent, noise, whole, until_last[first : last + 1], finish, progress)
    return call.latent if samples is latent["samples"] else {**latent, "samples": samples}


def unsample(call: KSampleCall, last: int, normalize: bool) -> Latent:
    """Run the schedule backwards, from the clean latent to the noise of step ``last`` that would lead to it.

    Args:
        last: 0 is the schedule's start, all noise; nearer to ``steps`` there is less of it.
        normalize: shift and scale the result to mean 0 and deviation 1.

    Returns:
        the latent with its noise, its other entries kept.
    """
    latent = call.latent
    # at a level of exactly 0 a sampler could not start
    levels = host.schedules.sigmas_for(call.model, call.sampler_name, call.scheduler, call.steps).flip(0) + 0.0001
    noise = torch.zeros_like(latent["samples"], device="cpu")
    run = Run("unsampler", call, [call.seed], Stages(call.steps, 0, call.steps))
    upwards = levels[: call.steps - min(last, call.steps - 1) + 1]
    samples = run.over(call, latent, noise, levels, upwards, finish=False, progress=host.progress.Progress.hidden())
    if normalize:
        samples = (samples - samples.mean()) / samples.std()
    return {**latent, "samples": samples}


@dataclass(frozen=True)
class Run:
    """One sampling's schedule, to be run over in one stage or two.

    Attributes:
        name: whose, for log and errors.
        seeds: one for the whole latent, or one an item.
    """

    name: str
    call: KSampleCall
    seeds: Sequence[int]
    stages: Stages
    scheduler_func: SchedulerFunc | None = None
    custom_sampler: Any = None

    def stage(
        self,
        models: KSampleCall | Refiner,
        latent: Latent,
        noise: torch.Tensor,
        first: int,
        last: int,
        progress: host.progress.Progress,
    ) -> torch.Tensor:
        """Sample from step ``first`` to ``last`` with the model and conditionings of ``models``.

        Only the schedule's end gives a clean latent; before it the noise stays in.
        """
        whole = self.stages.cut(self.levels(models.model))
        finish = last == self.stages.total
        return self.over(models, latent, noise, whole, whole[first : last + 1], finish, progress)

    def levels(self, model: Any) -> torch.Tensor:
        """The noise levels of the whole schedule."""
        call = self.call
        return host.schedules.sigmas_for(
            model, call.sampler_name, call.scheduler, self.stages.total, self.scheduler_func
        )

    def over(
        self,
        models: KSampleCall | Refiner,
        latent: Latent,
        noise: torch.Tensor,
        whole: torch.Tensor,
        sigmas: torch.Tensor,
        finish: bool,
        progress: host.progress.Progress,
    ) -> torch.Tensor:
        """Sample over ``sigmas``, a part of the schedule ``whole``; the latent's own samples where it holds no step."""
        call = self.call
        if len(sigmas) < 2:
            logger.warning(
                "%s: the schedule has %d steps, none of them from step %d on is to be run: its latent stays as it is",
                self.name, len(whole) - 1, self.stages.start,
            )  # fmt: skip
            return latent["samples"]
        if not bool(torch.isfinite(sigmas).all()):
            raise ValueError(
                f"{self.name}: the scheduler {call.scheduler!r} gives noise levels that are not finite for "
                f"{self.stages.total} steps. Use more steps or another scheduler"
            )
        return host.sampling.sample(
            models.model,
            models.positive,
            models.negative,
            call.cfg,
            latent,
            noise,
            self.custom_sampler or host.sampling.sampler_for(call.sampler_name, models.model, noise, whole, self.seeds),
            sigmas,
            self.seeds[0],
            finish=finish,
            progress=progress,
        )


def sample_once(
    run: Run, refiner: Refiner | None, noise: torch.Tensor, progress: host.progress.Progress
) -> torch.Tensor:
    """The model's steps, then, over its result inside the noise mask, the refiner's."""
    call, stages = run.call, run.stages
    latent = call.latent
    if refiner is None or stages.switch >= stages.total:
        return run.stage(call, latent, noise, stages.start, stages.total, progress)
    early, late = progress.split(2)
    if stages.switch > stages.start:
        rough = run.stage(call, latent, noise, stages.start, stages.switch, early)
        latent = {**latent, "samples": under_mask(rough, latent["samples"], latent.get("noise_mask"))}
        noise = torch.zeros_like(noise)
    return run.stage(refiner, latent, noise, stages.switch, stages.total, late)


def under_mask(samples: torch.Tensor, clean: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Latents with noise inside the noise mask, clean ones outside."""
    if mask is None:
        return samples
    mask = host.latents.noise_mask_at(mask, samples).to(samples.device)
    return mask * samples + (1.0 - mask) * clean.to(samples.device)
