"""Names of samplers and schedulers, and the noise levels of a schedule."""

from __future__ import annotations

import torch

from .nodes import first_output, node_class
from .protocols import Model, SchedulerFunc

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


def gits_sigmas(coeff: float, steps: int, denoise: float) -> torch.Tensor:
    """ComfyUI's GITS schedule, for the nearest ``coeff`` that it has a table for: 0.80 to 1.50 in steps of 0.05."""
    coeff = round(min(max(round(coeff * 20) / 20, 0.8), 1.5), 2)
    return first_output(node_class("comfy_extras.nodes_gits", "GITSScheduler"), coeff, steps, denoise)
