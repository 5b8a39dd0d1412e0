"""One sampling in which regions of the latent go by prompts, models and cfg of their own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...core import Size
from .. import host
from ..host.blending import Share
from ..host.progress import Progress
from ..host.protocols import Latent
from ..samplers.advanced import AdvancedKSampler, Course
from .noise import varied
from .weights import region_weights

logger = logging.getLogger("mask_detailer")

UNLIMITED = 2**50  # beyond which a sum of two seeds starts again at 0


@dataclass(frozen=True, eq=False)
class RegionalPrompt:
    """A region and how it is sampled, in the form that other packs' nodes read too.

    Attributes:
        mask: ``[B,H,W]`` 0..1 of any size.
        sampler: its model, prompts and cfg count; steps, schedule and sampler are the base's.
        variation_seed, variation_strength, variation_method: noise that is mixed into what the region starts from.
    """

    mask: torch.Tensor
    sampler: AdvancedKSampler
    variation_seed: int = 0
    variation_strength: float = 0.0
    variation_method: str = "linear"

    def clone_with_sampler(self, sampler: AdvancedKSampler) -> RegionalPrompt:
        """The same region with another sampler."""
        return replace(self, sampler=sampler)


@dataclass(frozen=True)
class Regional:
    """A base sampler and the regions over it.

    Attributes:
        overlap: how far regions fade into what is around them, see ``region_weights``.
    """

    base: AdvancedKSampler
    prompts: Sequence[RegionalPrompt]
    overlap: int


@dataclass(frozen=True)
class Path:
    """The steps of a regional sampling.

    Attributes:
        seed: of the noise; None: the latent has its noise already, and ``sampler_seed`` is the sampler's.
        total, first, last: the schedule's steps, and which of them are run.
        base_only: so many steps at first go by the base alone.
        second_seed: after these the latent is closed, and goes on with new noise of that seed; None: it just goes on.
        finish: end at a clean latent.
    """

    seed: int
    total: int
    first: int
    last: int
    base_only: int = 0
    second_seed: int | None = None
    add_noise: bool = True
    finish: bool = True


def sample_regions(regional: Regional, latent: Latent, path: Path, progress: Progress) -> Latent:
    """One denoising loop by the base's sampler; at each step every region's model is asked about the same latent, and
    the answers are blended by the regions' weights. Regions that are sampled as the base change nothing.

    Returns:
        the latent with its other entries; itself where there is no step to run.

    Raises:
        InputError: where something doesn't fit a model.
        ValueError: for noise levels that are not finite.
    """
    base = regional.base
    _tell_what_is_the_base_s(regional)
    latent = host.latents.fitted_to(base.guidance.model, latent)
    samples = latent["samples"]
    cells = Size(*samples.shape[-2:])
    weights = region_weights([prompt.mask for prompt in regional.prompts], regional.overlap, cells)
    axes = (1,) * (samples.ndim - 2)
    weights = [weight.reshape(*axes, *cells) for weight in weights]
    shares = [
        Share(prompt.sampler.guidance, weight)
        for prompt, weight in zip(regional.prompts, weights, strict=True)
        if bool(weight.any())
    ]
    last = min(path.last, path.total)

    def course(seed: int, first: int, until: int, finish: bool) -> Course:
        noise = None
        if path.add_noise:
            noise = varied(host.sampling.noise_for(latent, [seed]), latent, regional.prompts, weights)
        shared_from = path.first + path.base_only
        return Course(seed, path.total, first, until, noise, finish, shares if until > shared_from else (), shared_from)

    switch = path.first + path.base_only
    if path.second_seed is None or not path.first < switch < last:
        return base.run(latent, course(path.seed, path.first, last, path.finish), progress)
    early, late = progress.split(2)
    latent = base.run(latent, course(path.seed, path.first, switch, True), early)
    return base.run(latent, course(path.second_seed, switch, last, path.finish), late)


def second_seed(seed: int, other: int, mode: str) -> int | None:
    """The seed of the noise that a regional sampling goes on with after the base's steps; None: it has none of its own.

    Sums and differences beyond 0 to 2**50 start again once at the other end.
    """
    if mode == "ignore":
        return None
    if mode == "seed+seed_2nd":
        total = seed + other
        return total - UNLIMITED if total > UNLIMITED else total
    if mode == "seed-seed_2nd":
        rest = seed - other
        return rest + UNLIMITED if rest < 0 else rest
    return other


def _tell_what_is_the_base_s(regional: Regional) -> None:
    base = regional.base
    for number, prompt in enumerate(regional.prompts, start=1):
        own = prompt.sampler
        names = (own.sampler_name, own.scheduler, own.sigma_factor)
        if names != (base.sampler_name, base.scheduler, base.sigma_factor):
            logger.info(
                "%s: region %d is sampled with the base's sampler and schedule (%s, %s): all of the latent goes down "
                "one path", base.origin.node, number, base.sampler_name, base.scheduler,
            )  # fmt: skip
