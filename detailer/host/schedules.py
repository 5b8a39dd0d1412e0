"""Names of samplers and schedulers, and the noise levels of a schedule."""

from __future__ import annotations

from typing import Protocol, cast

import torch

from .nodes import first_output, node_class
from .protocols import Model, SchedulerFunc


class _ModelSampling(Protocol):
    """How a model mixes noise into latents, ComfyUI's ``model_sampling``."""

    sigma_max: torch.Tensor | float

    def noise_scaling(self, sigma: torch.Tensor, noise: torch.Tensor, latent_image: torch.Tensor) -> torch.Tensor: ...


# Schedules that ComfyUI keeps in nodes of their own: name -> (module, class, arguments before and after the steps).
_NODE_SCHEDULES: dict[str, tuple[str, str, tuple[object, ...], tuple[object, ...]]] = {
    "AYS SDXL": ("comfy_extras.nodes_align_your_steps", "AlignYourStepsScheduler", ("SDXL",), (1.0,)),
    "AYS SD1": ("comfy_extras.nodes_align_your_steps", "AlignYourStepsScheduler", ("SD1",), (1.0,)),
    "AYS SVD": ("comfy_extras.nodes_align_your_steps", "AlignYourStepsScheduler", ("SVD",), (1.0,)),
    "GITS[coeff=1.2]": ("comfy_extras.nodes_gits", "GITSScheduler", (1.2,), (1.0,)),
    "LTXV[default]": ("comfy_extras.nodes_lt", "LTXVScheduler", (), (2.05, 0.95, True, 0.1)),
    "OSS FLUX": ("comfy_extras.nodes_optimalsteps", "OptimalStepsScheduler", ("FLUX",), (1.0,)),
    "OSS Wan": ("comfy_extras.nodes_optimalsteps", "OptimalStepsScheduler", ("Wan",), (1.0,)),
    "OSS Chroma": ("comfy_extras.nodes_optimalsteps", "OptimalStepsScheduler", ("Chroma",), (1.0,)),
}


def sampler_names() -> list[str]:
    """The samplers of the running ComfyUI, packs' own ones included."""
    import comfy.samplers

    return list(comfy.samplers.KSampler.SAMPLERS)


def scheduler_names() -> list[str]:
    """The schedulers of the running ComfyUI, then those it keeps in nodes of their own."""
    return [*core_scheduler_names(), *extra_scheduler_names()]


def core_scheduler_names() -> list[str]:
    """The schedulers of the running ComfyUI's KSampler, packs' own ones included."""
    import comfy.samplers

    return list(comfy.samplers.KSampler.SCHEDULERS)


def extra_scheduler_names() -> list[str]:
    """The schedules that ComfyUI keeps in nodes of their own."""
    return list(_NODE_SCHEDULES)


def sigmas_for(
    model: Model, sampler_name: str, scheduler: str, steps: int, scheduler_func: SchedulerFunc | None = None
) -> torch.Tensor:
    """The noise levels ``[steps + 1]`` of a whole schedule, descending to 0, on the CPU; some schedules have others.

    Some samplers get one step more and lose the last level but one, as in ComfyUI's KSampler; a scheduler function's
    result is taken as it is.

    Raises:
        ValueError: for a scheduler function that is none, or gives another thing than a line of noise levels.
    """
    import comfy.samplers

    if scheduler_func is not None:
        if not callable(scheduler_func):
            raise ValueError(f"scheduler_func_opt is a {type(scheduler_func).__name__}, not a function")
        given: object = scheduler_func(model, sampler_name, steps)
        if not isinstance(given, torch.Tensor) or given.ndim != 1:
            raise ValueError(f"the SCHEDULER_FUNC gives a {type(given).__name__} that is no line of noise levels")
        return given.clone().cpu()
    discard = sampler_name in comfy.samplers.KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS
    steps += 1 if discard else 0
    if scheduler in _NODE_SCHEDULES:
        module, name, before, after = _NODE_SCHEDULES[scheduler]
        sigmas = first_output(node_class(module, name), *before, steps, *after)
    else:
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)
    return torch.cat([sigmas[:-2], sigmas[-1:]]).cpu() if discard else sigmas.cpu()


def level_of_share(model: Model, share: float) -> float | None:
    """The noise level at which noise is ``share`` of what is sampled, ``b / (a + b)`` where the model's sampling makes
    ``a * latent + b * noise`` of a clean latent: ``share / (1 - share)`` for eps and v, ``share`` for flow models.

    Args:
        share: 0..1, as amplitudes; the latents count as having a deviation of 1, which ComfyUI scales them to.

    Returns:
        None where the model's highest level drowns no more than that: all of the schedule is meant.
    """
    sampling = cast("_ModelSampling", model.get_model_object("model_sampling"))
    zero, one = torch.zeros(1, 1, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1, 1, dtype=torch.float64)

    def drowned(level: float) -> float:
        at = torch.tensor([level], dtype=torch.float64)
        signal, noise = (float(sampling.noise_scaling(at, *parts)) for parts in ((zero, one), (one, zero)))
        return noise / (signal + noise)

    low, high = 0.0, float(sampling.sigma_max)
    if drowned(high) <= share:
        return None
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if drowned(middle) < share else (low, middle)
    return high


def levels_from(whole: torch.Tensor, top: float, steps: int) -> torch.Tensor:
    """``[steps + 1]`` noise levels from ``top`` to 0, spaced as a schedule is below that level.

    Args:
        whole: a schedule of many steps, descending to 0.
        top: above 0; where it lies above the whole schedule, that one's first level is taken.
    """
    levels = whole.double()
    places = torch.arange(len(levels), dtype=torch.float64)
    first = min(max(int((levels > top).sum()), 1), len(levels) - 1)  # the first level that is not above it
    above, below = levels[first - 1], levels[first]
    within = min(max(float((above - top) / (above - below)), 0.0), 1.0) if above > below else 0.0
    start = first - 1 + within
    at = torch.linspace(start, len(levels) - 1, steps + 1, dtype=torch.float64)
    index = at.floor().long().clamp(max=len(levels) - 2)
    made = torch.lerp(levels[index], levels[index + 1], at - places[index])
    made[-1] = levels[-1]
    return made.to(whole.dtype)


def gits_sigmas(coeff: float, steps: int, denoise: float) -> torch.Tensor:
    """ComfyUI's GITS schedule, for the nearest ``coeff`` that it has a table for: 0.80 to 1.50 in steps of 0.05."""
    coeff = round(min(max(round(coeff * 20) / 20, 0.8), 1.5), 2)
    return first_output(node_class("comfy_extras.nodes_gits", "GITSScheduler"), coeff, steps, denoise)
