"""One run of a sampler, each item of a batch with the noise that it would have alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import torch

from .custom_sampling import guider_with
from .devices import check_interrupted, intermediate_device
from .fits import Sampled
from .latents import mask_for
from .progress import Progress
from .protocols import Conditioning, Latent, Model, Sampler
from .text import with_guidance

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.samplers import KSAMPLER, CFGGuider

# (noise level, next noise level) -> what is added between the two
NoiseSampler = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# These draw from a Brownian tree over the sigmas they are given; the Impact Pack gives them the whole schedule's.
_BROWNIAN_SAMPLERS = {"dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"}

# And these from one over the part of the schedule that is run.
_BROWNIAN_OVER_PART = {"dpmpp_2m_sde_heun"}

# One error estimate for the whole batch, or noise drawn for all of it at once.
_COUPLING_SAMPLERS = {"dpm_adaptive", "ar_video"}

_LARGEST_SEED = 2**64 - 2  # of the 64 bits that torch takes; samplers add one to it


@dataclass(frozen=True)
class Guidance:
    """What leads a sampling.

    Attributes:
        negative: a string means sampling without CFG, ``cfg`` being the distilled guidance of the positive.
        of_refiner: it is the refiner's.
        guider: one of ComfyUI's custom sampling that asks the model in its own way; it gets model and prompts.
        others: its other prompts, by its names for them.
    """

    model: Model
    positive: Conditioning
    negative: Conditioning
    cfg: float
    of_refiner: bool = False
    guider: object = None
    others: Mapping[str, Conditioning] = field(default_factory=dict)


@dataclass(frozen=True)
class Descent:
    """A way down the noise levels.

    Attributes:
        sigmas: the levels, descending; unsampling goes up them.
        seed: the sampler's own, for what it draws on its way.
        finish: give the last predicted clean latent, as the Impact Pack does; else the sampler's own last state, its
            noise left in.
    """

    sampler: Sampler
    sigmas: torch.Tensor
    seed: int
    finish: bool


class _Denoiser(Protocol):
    """ComfyUI's model as its samplers get it; DDIM lays its noise under the noise mask."""

    noise: torch.Tensor


def couples_crops(sampler_name: str) -> bool:
    """Whether a sampler lets one item of a batch change another: by a step size of all, or by noise for all."""
    return sampler_name in _COUPLING_SAMPLERS


def sampler_for(
    name: str, model: Model, noise: torch.Tensor, whole_sigmas: torch.Tensor, seeds: Sequence[int]
) -> Sampler:
    """A SAMPLER by name, which draws for each item of the batch what it would draw for it alone.

    The Brownian kinds draw from one tree over the whole schedule's sigmas, so that a run that starts within the
    schedule and a run in two stages stay on the same path.

    Args:
        noise: ``[n,...]``, what sampling starts from.
        seeds: one for the whole batch, or one an item.
    """
    import comfy.samplers

    if name.removesuffix("_gpu") not in _BROWNIAN_SAMPLERS:
        sampler = comfy.samplers.sampler_object(name)
        return sampler if len(seeds) == 1 else _with_streams(name, sampler, seeds)
    like = noise.to(model.load_device if name.endswith("_gpu") else "cpu", torch.float32)
    items = zip(_items(like, seeds), seeds, strict=True)
    trees = [_brownian(name, item, whole_sigmas, seed) for item, seed in items]
    return comfy.samplers.ksampler(name, {"noise_sampler": _side_by_side(trees)})


def _brownian(name: str, like: torch.Tensor, sigmas: torch.Tensor, seed: int) -> NoiseSampler:
    """A Brownian tree over ``sigmas``; samplers with plain names draw on the CPU."""
    import comfy.k_diffusion.sampling

    lowest, highest = sigmas[sigmas > 0].min(), sigmas.max()
    on_cpu = not name.endswith("_gpu")
    tree = comfy.k_diffusion.sampling.BrownianTreeNoiseSampler(like, lowest, highest, seed=seed, cpu=on_cpu)
    below = comfy.k_diffusion.sampling.default_noise_sampler(like, seed=_sampler_seed(seed))

    def between(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
        # ComfyUI puts a flow model's first level below 1; where a schedule has but levels above, no tree reaches there
        return (
            below(sigma, sigma_next) if max(sigma, sigma_next) <= lowest.to(sigma.device) else tree(sigma, sigma_next)
        )

    return between


def _items(batch: torch.Tensor, seeds: Sequence[int]) -> Sequence[torch.Tensor]:
    return [batch] if len(seeds) == 1 else batch.split(1)


def _side_by_side(streams: Sequence[NoiseSampler]) -> NoiseSampler:
    """The noise samplers of single items as that of their batch."""
    return lambda sigma, sigma_next: torch.cat([stream(sigma, sigma_next) for stream in streams])


def _with_streams(name: str, sampler: KSAMPLER, seeds: Sequence[int]) -> KSAMPLER:
    """One of ComfyUI's samplers with noise of its own for each item: what it adds on its way, and what DDIM lays
    under the noise mask.
    """
    import comfy.k_diffusion.sampling
    import comfy.samplers

    def stream(item: torch.Tensor, sigmas: torch.Tensor, seed: int) -> NoiseSampler:
        if name.removesuffix("_gpu") in _BROWNIAN_OVER_PART:
            return _brownian(name, item, sigmas, seed)
        return comfy.k_diffusion.sampling.default_noise_sampler(item, seed=seed)

    function = sampler.sampler_function
    draws = "noise_sampler" in inspect.signature(function).parameters
    lays_under = sampler.inpaint_options.get("random", False)

    def sample(model: _Denoiser, x: torch.Tensor, sigmas: torch.Tensor, **others: object) -> torch.Tensor:
        if lays_under:
            generators = [torch.Generator().manual_seed(_sampler_seed(seed) + 1) for seed in seeds]
            noise = [torch.randn(x[:1].shape, generator=generator) for generator in generators]
            model.noise = torch.cat(noise).to(x.device, x.dtype)
        if draws:
            items = zip(x.split(1), seeds, strict=True)
            others["noise_sampler"] = _side_by_side([stream(item, sigmas, _sampler_seed(seed)) for item, seed in items])
        return function(model, x, sigmas, **others)

    return comfy.samplers.KSAMPLER(sample, sampler.extra_options)


def _sampler_seed(seed: int) -> int:
    return min(seed, _LARGEST_SEED)


def noise_for(latent: Latent, seeds: Sequence[int]) -> torch.Tensor:
    """The noise that ComfyUI's KSampler makes for a latent, the same for one in half precision.

    ComfyUI 0.18 draws it in the latent's own type, where the same seed gives other numbers.

    Args:
        seeds: one for the whole batch, or one an item: then each has the noise that it would have alone.
    """
    import comfy.sample

    samples = latent["samples"]
    items = zip(_items(samples, seeds), seeds, strict=True)
    made = [
        comfy.sample.prepare_noise(item.float(), seed, latent.get("batch_index")).to(samples.dtype)
        for item, seed in items
    ]
    noises = cast("list[torch.Tensor]", made)
    return noises[0] if len(noises) == 1 else torch.cat(noises)


def guider_for(guidance: Guidance) -> CFGGuider:
    """What asks the model, in ComfyUI's own form."""
    import comfy.samplers

    if guidance.guider is not None:
        prompts = {"positive": guidance.positive, "negative": guidance.negative, **guidance.others}
        return guider_with(guidance.guider, guidance.model, prompts)
    guider = comfy.samplers.CFGGuider(cast("ModelPatcher", guidance.model))
    if isinstance(guidance.negative, str):
        guider.inner_set_conds({"positive": with_guidance(guidance.positive, guidance.cfg)})
    else:
        guider.set_conds(guidance.positive, guidance.negative)
        guider.set_cfg(guidance.cfg)
    return guider


def sample(
    guidance: Guidance, latent: Latent, noise: torch.Tensor, descent: Descent, progress: Progress
) -> torch.Tensor:
    """Run a sampler.

    Args:
        latent: what is sampled, inside its noise mask where it has one.
        noise: of its samples' shape.
        progress: is told of each step.

    Returns:
        the samples on the intermediate device, float32.

    Raises:
        InterruptProcessingException: where the user asked for it.
        MisfitError: where it fails because something doesn't fit the model; caused by what ComfyUI raised.
    """
    import comfy.utils

    model, negative, samples = guidance.model, guidance.negative, latent["samples"]
    mask = latent.get("noise_mask")
    denoised: list[torch.Tensor] = []

    def on_step(step: int, x0: torch.Tensor, x: torch.Tensor, total: int) -> None:
        denoised[:] = [x0]
        check_interrupted()
        progress.step(step + 1, total, model, x0)

    guider = guider_for(guidance)
    with Sampled(model, guidance.positive, negative, samples, guidance.of_refiner).explained():
        last: torch.Tensor = guider.sample(
            noise,
            samples,
            descent.sampler,
            descent.sigmas,
            denoise_mask=None if mask is None else mask_for(mask, samples),
            callback=on_step,
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=_sampler_seed(descent.seed),
        )
    if descent.finish and denoised:
        last = model.model.process_latent_out(denoised[0].to(torch.float32))
    return last.to(intermediate_device(), torch.float32)
