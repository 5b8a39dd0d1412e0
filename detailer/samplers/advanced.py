"""A KSAMPLER_ADVANCED: a part of the steps, with or without noise at either end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from .. import host
from ..host.blending import Blending, Share
from ..host.custom_sampling import CustomSampling
from ..host.progress import Progress
from ..host.protocols import Conditioning, Latent, Model, Sampler, SchedulerFunc
from ..host.sampling import Guidance
from ..ksampler import Run, Stages
from ..values import KSampleCall, wrapped_seed
from .origin import Origin

UNNAMED = "custom"  # a sampler that is given: its schedule is that of a sampler without a name of its own
JUST_ABOVE = 1.0 + 1e-6


@dataclass(frozen=True)
class Course:
    """Which steps are run, from what, and where another guidance has a share.

    Attributes:
        total: steps of the whole schedule.
        first, last: from the one to the other, or to the schedule's end.
        noise: of the samples' shape; None: the latent has its noise already.
        finish: end at a clean latent, wherever that is; else the noise of step ``last`` stays in.
        shares: others' predictions, blended with the sampler's own.
        shared_from: the step from which they count.
    """

    seed: int
    total: int
    first: int
    last: int
    noise: torch.Tensor | None
    finish: bool
    shares: Sequence[Share] = ()
    shared_from: int = 0


@dataclass(frozen=True, eq=False)
class AdvancedKSampler:
    """A KSAMPLER_ADVANCED, in the form that other packs' nodes run too.

    Attributes:
        sigma_factor: all noise levels are multiplied by it.
        sampler_opt: instead of the one that is named.
    """

    guidance: Guidance
    sampler_name: str
    scheduler: str
    origin: Origin
    sigma_factor: float = 1.0
    sampler_opt: Sampler | None = None
    scheduler_func: SchedulerFunc | None = None

    @property
    def params(self) -> tuple[Model, float, str, str, Conditioning, Conditioning, float]:
        """Model, cfg, sampler, scheduler, positive, negative, factor: other packs read them."""
        led = self.guidance
        return led.model, led.cfg, self.sampler_name, self.scheduler, led.positive, led.negative, self.sigma_factor

    def clone_with_conditionings(self, positive: Conditioning, negative: Conditioning) -> AdvancedKSampler:
        """The same with other prompts."""
        return replace(self, guidance=replace(self.guidance, positive=positive, negative=negative))

    def sample_advanced(
        self,
        add_noise: bool,
        seed: int,
        steps: int,
        latent_image: Latent,
        start_at_step: int,
        end_at_step: int,
        return_with_leftover_noise: bool,
        hook: object = None,
        recovery_mode: str = "DISABLE",
        recovery_sampler: str = "AUTO",
        recovery_sigma_ratio: float = 1.0,
        noise: torch.Tensor | None = None,
    ) -> Latent:
        """A part of the steps, as other packs call it.

        Args:
            noise: instead of the seed's.
            hook, recovery_mode, recovery_sampler, recovery_sigma_ratio: have no effect: no step loses anything that
                would have to be recovered.
        """
        latent = host.latents.fitted_to(self.guidance.model, latent_image)
        if noise is None and add_noise:
            noise = host.sampling.noise_for(latent, [wrapped_seed(seed)])
        course = Course(
            wrapped_seed(seed), steps, start_at_step, end_at_step, noise, finish=not return_with_leftover_noise
        )
        return self.run(latent, course, Progress.of_node())

    def run(self, latent: Latent, course: Course, progress: Progress) -> Latent:
        """A part of the steps.

        Args:
            latent: of the number of axes that the model wants.

        Returns:
            the latent with the sampled samples; itself where there is no step to run.

        Raises:
            InputError: where something doesn't fit the model.
            ValueError: for noise levels that are not finite.
        """
        led = self.guidance
        name = UNNAMED if self.sampler_opt is not None else self.sampler_name
        call = KSampleCall(
            led.model, course.seed, course.total, led.cfg, name, self.scheduler, led.positive, led.negative, latent, 1.0
        )
        stages = Stages(course.total, course.first, course.total)
        custom = CustomSampling(self.sampler_opt)
        run = Run(self.origin.node, call, [course.seed], stages, self.scheduler_func, custom)
        whole = run.levels(led.model) * self.sigma_factor
        last = min(course.last, len(whole) - 1)
        until_last = Stages(last, course.first, last).cut(whole) if course.finish else whole
        noise = torch.zeros_like(latent["samples"], device="cpu") if course.noise is None else course.noise
        descent = run.descent(led, noise, whole, until_last[course.first : last + 1], course.finish)
        if descent is None:
            return latent
        if course.shares:
            alone = course.shared_from > course.first
            level = float(whole[min(course.shared_from, last)]) * JUST_ABOVE if alone else math.inf
            descent = replace(descent, sampler=Blending(descent.sampler, course.shares, level))
        with self.origin.explained():
            return {**latent, "samples": host.sampling.sample(led, latent, noise, descent, progress)}


def advanced_of(sampler: object, origin: Origin) -> AdvancedKSampler | None:
    """A KSAMPLER_ADVANCED of any pack as ours, by what it says in its ``params``; None for what is none."""
    if isinstance(sampler, AdvancedKSampler):
        return sampler
    params = getattr(sampler, "params", None)
    if not isinstance(params, tuple) or len(params) not in (6, 7):
        return None
    model, cfg, name, scheduler, positive, negative, *factor = params
    return AdvancedKSampler(
        Guidance(model, positive, negative, cfg),
        name,
        scheduler,
        origin,
        factor[0] if factor else 1.0,
        getattr(sampler, "sampler_opt", None),
        getattr(sampler, "scheduler_func", None),
    )
