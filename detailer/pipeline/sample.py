"""All cycles of one segment, or of several at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .. import host
from ..hooks.protocol import Hook
from ..ksampler import Run, Stages
from ..values import KSampleCall, Latent, Refiner, SamplingSettings, wrapped_seed

logger = logging.getLogger("mask_detailer")


def sample_crops(
    call: KSampleCall,
    seeds: Sequence[int],
    settings: SamplingSettings,
    refiner: Refiner | None,
    hook: Hook,
    name: str,
    progress: host.progress.Progress,
) -> Latent:
    """All cycles of one segment, or of several at once: each on the result before, with the seeds one higher.

    Args:
        call: the first cycle's arguments, its seed that of the first; its latent is the encoded crops.
        seeds: one a crop.
        refiner: takes over the last steps of each cycle.
        hook: may change each cycle's arguments, latent, noise and sampler. Changes never add up: every cycle
            starts from ``call``.
        name: of the segments, for the log.

    Returns:
        the latent with the refined samples, its noise mask kept.
    """
    custom_sampler = hook.custom_sampler()
    latent: Latent = call.latent
    for cycle, part in enumerate(progress.split(settings.cycle)):
        hook.set_steps(cycle, settings.cycle)
        latent = hook.cycle_latent(latent)
        seed = wrapped_seed(call.seed + cycle)
        this = hook.pre_ksample(call._replace(seed=seed))._replace(latent=latent)
        noise = hook.custom_noise(seed, call.latent["samples"])
        if this.denoise <= 0.0:
            logger.info("%s: denoise is 0, the latent stays as it is", name)
            continue
        now = tuple(wrapped_seed(this.seed + other - call.seed) for other in seeds)
        if noise is None:
            noise = host.sampling.noise_for(latent, now)
        stages = Stages.of(this.steps, this.denoise, refiner.ratio if refiner else 0.0)
        run = Run(name, this, now, stages, settings.scheduler_func, custom_sampler)
        latent = {**latent, "samples": run.sample(refiner, noise, part)}
    return latent
