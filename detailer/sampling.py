"""Sampling one crop: steps, schedule, the refiner's share and per-crop noise."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch

from . import host
from .hooks import Hook, KSampleCall
from .values import Latent, Refiner, SamplingSettings, SchedulerFunc, wrapped_seed

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


def sample_crop(
    call: KSampleCall,
    settings: SamplingSettings,
    refiner: Refiner | None,
    hook: Hook,
    number: int,
    progress: host.Progress,
) -> Latent:
    """All cycles of one segment: each on the result before, with the seed one higher.

    Args:
        call: the first cycle's arguments; its latent is the encoded crop.
        refiner: takes over the last steps of each cycle.
        hook: may change each cycle's arguments, latent, noise and sampler. Changes never add up: every cycle
            starts from ``call``.
        number: the segment's number, for the log.

    Returns:
        the latent with the refined samples, its noise mask kept.
    """
    custom_sampler = hook.custom_sampler()
    latent = call.latent
    for cycle, part in enumerate(progress.split(settings.cycle)):
        hook.set_steps(cycle, settings.cycle)
        latent = hook.cycle_latent(latent)
        seed = wrapped_seed(call.seed + cycle)
        this = hook.pre_ksample(call._replace(seed=seed))._replace(latent=latent)
        noise = hook.custom_noise(seed, call.latent["samples"])
        if this.denoise <= 0.0:
            logger.info("segment %d: denoise is 0, its latent stays as it is", number)
            continue
        if noise is None:
            noise = host.noise_for(latent, this.seed)
        stages = Stages.of(this.steps, this.denoise, refiner.ratio if refiner else 0.0)
        run = _Cycle(this, stages, settings.scheduler_func, custom_sampler, number)
        latent = {**latent, "samples": _sample_once(run, refiner, noise, part)}
    return latent


@dataclass(frozen=True)
class _Cycle:
    """One cycle's schedule, to be run over in one stage or two."""

    call: KSampleCall
    stages: Stages
    scheduler_func: SchedulerFunc | None
    custom_sampler: Any
    number: int

    def run(
        self,
        models: KSampleCall | Refiner,
        latent: Latent,
        noise: torch.Tensor,
        first: int,
        last: int,
        progress: host.Progress,
    ) -> torch.Tensor:
        """Sample from step ``first`` to ``last`` with the model and conditionings of ``models``.

        Only the schedule's end gives a clean latent; before it the noise stays in.
        """
        call = self.call
        whole = self.stages.cut(
            host.sigmas_for(models.model, call.sampler_name, call.scheduler, self.stages.total, self.scheduler_func)
        )
        sigmas = whole[first : last + 1]
        if len(sigmas) < 2:
            logger.warning(
                "segment %d: the schedule has %d steps, none from step %d on: its latent stays as it is",
                self.number, len(whole) - 1, first,
            )  # fmt: skip
            return latent["samples"]
        if not bool(torch.isfinite(sigmas).all()):
            raise ValueError(
                f"segment {self.number}: the scheduler {call.scheduler!r} gives noise levels that are not finite for "
                f"{self.stages.total} steps. Use more steps or another scheduler"
            )
        return host.sample(
            models.model,
            models.positive,
            models.negative,
            call.cfg,
            latent,
            noise,
            self.custom_sampler or host.sampler_for(call.sampler_name, models.model, noise, whole, call.seed),
            sigmas,
            call.seed,
            finish=last == self.stages.total,
            progress=progress,
        )


def _sample_once(cycle: _Cycle, refiner: Refiner | None, noise: torch.Tensor, progress: host.Progress) -> torch.Tensor:
    """One cycle: the model's steps, then, over its result inside the noise mask, the refiner's."""
    call, stages = cycle.call, cycle.stages
    latent = call.latent
    if refiner is None or stages.switch >= stages.total:
        return cycle.run(call, latent, noise, stages.start, stages.total, progress)
    early, late = progress.split(2)
    if stages.switch > stages.start:
        rough = cycle.run(call, latent, noise, stages.start, stages.switch, early)
        latent = {**latent, "samples": _over(rough, latent["samples"], latent.get("noise_mask"))}
        noise = torch.zeros_like(noise)
    return cycle.run(refiner, latent, noise, stages.switch, stages.total, late)


def _over(samples: torch.Tensor, clean: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Half-sampled latents inside the noise mask, clean ones outside."""
    if mask is None:
        return samples
    mask = host.noise_mask_at(mask, samples).to(samples.device)
    return mask * samples + (1.0 - mask) * clean.to(samples.device)
