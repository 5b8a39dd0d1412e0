"""Nodes of the sampling group, and the pipes group's KSamplers."""

from __future__ import annotations

from typing import Any

import torch

from ..detailer import host
from ..detailer.ksampler import Steps, sample_latent, sample_steps
from ..detailer.values import BasicPipe, Conditioning, KSampleCall, Latent, SchedulerFunc
from . import inputs
from .checks import Door

CATEGORY = "ImpactPack/sampling"
UTIL_CATEGORY = "ImpactPack/Util"

NEGATIVE_PLACEHOLDER = "NegativePlaceholder"
NO_EXTRA_SCHEDULER = "None"
MAX_STEPS = 10000
PIPE_OUTPUTS = ("BASIC_PIPE", "LATENT", "VAE")
PIPE_OUTPUT_TOOLTIPS = (
    "The basic_pipe that came in.",
    "The sampled latent.",
    "The pipe's VAE, to decode the latent with.",
)


def _sampling_pipe(door: Door, basic_pipe: Any) -> BasicPipe:
    """A BASIC_PIPE with all that sampling alone needs."""
    pipe = door.five_parts(basic_pipe)
    door.not_missing(pipe._replace(vae="not needed"), "basic_pipe")
    return pipe


class ImpactKSamplerBasicPipe:
    """A KSampler that takes a pipe."""

    DESCRIPTION = "ComfyUI's KSampler with a BASIC_PIPE in place of four connections, and with more schedulers."
    SEARCH_ALIASES = ("ksampler pipe", "sample with pipe", "img2img pipe")
    RETURN_TYPES = PIPE_OUTPUTS
    OUTPUT_TOOLTIPS = PIPE_OUTPUT_TOOLTIPS
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        seed = "The noise seed."
        steps = "Sampling steps really run, whatever the denoise."
        denoise = "How much is made anew: 1.0 starts from noise, 0.5 redraws detail, 0 gives the latent back as it is."
        return {
            "required": {
                "basic_pipe": inputs.link("BASIC_PIPE", "Model and prompts ('ToBasicPipe')."),
                "seed": ("INT", {"default": 0, "min": 0, "max": inputs.MAX_SEED, "tooltip": seed}),
                "steps": ("INT", {"default": 20, "min": 1, "max": MAX_STEPS, "tooltip": steps}),
                "cfg": inputs.cfg(),
                "sampler_name": inputs.sampler_name(),
                "scheduler": inputs.scheduler(),
                "latent_image": inputs.link("LATENT", "What to sample; under its noise mask only, if it has one."),
                "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": denoise}),
            },
            "optional": {"scheduler_func_opt": inputs.scheduler_func()},
        }

    def doit(
        self,
        basic_pipe: Any,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        latent_image: Any,
        denoise: float = 1.0,
        scheduler_func_opt: SchedulerFunc | None = None,
    ) -> tuple[Any, Latent, Any]:
        door = Door("ImpactKSamplerBasicPipe")
        pipe = _sampling_pipe(door, basic_pipe)
        call = KSampleCall(
            pipe.model, seed, steps, cfg, sampler_name, scheduler, pipe.positive, pipe.negative,
            door.latent(latent_image), denoise,
        )  # fmt: skip
        progress = host.progress.Progress.of_node()
        latent = sample_latent(call, scheduler_func_opt, door.node, progress)
        progress.done()
        return basic_pipe, latent, pipe.vae


class ImpactKSamplerAdvancedBasicPipe:
    """An advanced KSampler that takes a pipe."""

    DESCRIPTION = (
        "ComfyUI's KSampler (Advanced) with a BASIC_PIPE in place of four connections, and with more schedulers: runs "
        "a part of the steps, with or without noise at either end."
    )
    SEARCH_ALIASES = ("ksampler advanced pipe", "sample some steps", "two stage sampling")
    RETURN_TYPES = PIPE_OUTPUTS
    OUTPUT_TOOLTIPS = PIPE_OUTPUT_TOOLTIPS
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        seed = "The noise seed; some samplers draw from it even where no noise is added."
        noise = "enable: add the noise that the first step starts from. disable: the latent has its noise already."
        leftover = "enable: leave the noise of the last step in, for another sampler. disable: end with a clean latent."
        step: dict[str, Any] = {"min": 0, "max": MAX_STEPS}
        return {
            "required": {
                "basic_pipe": inputs.link("BASIC_PIPE", "Model and prompts ('ToBasicPipe')."),
                "add_noise": inputs.switch(True, "enable", "disable", noise),
                "noise_seed": ("INT", {"default": 0, "min": 0, "max": inputs.MAX_SEED, "tooltip": seed}),
                "steps": (
                    "INT",
                    {"default": 20, "min": 1, "max": MAX_STEPS, "tooltip": "Steps of the whole schedule."},
                ),
                "cfg": inputs.cfg(),
                "sampler_name": inputs.sampler_name(),
                "scheduler": inputs.scheduler(),
                "latent_image": inputs.link("LATENT", "What to sample; under its noise mask only, if it has one."),
                "start_at_step": (
                    "INT",
                    {"default": 0, **step, "tooltip": "Steps of the schedule to leave out at first."},
                ),
                "end_at_step": (
                    "INT",
                    {"default": 10000, **step, "tooltip": "The step to end at, or any number above."},
                ),
                "return_with_leftover_noise": inputs.switch(False, "enable", "disable", leftover),
            },
            "optional": {"scheduler_func_opt": inputs.scheduler_func()},
        }

    def doit(
        self,
        basic_pipe: Any,
        add_noise: bool,
        noise_seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        latent_image: Any,
        start_at_step: int,
        end_at_step: int,
        return_with_leftover_noise: bool,
        scheduler_func_opt: SchedulerFunc | None = None,
    ) -> tuple[Any, Latent, Any]:
        door = Door("ImpactKSamplerAdvancedBasicPipe")
        pipe = _sampling_pipe(door, basic_pipe)
        call = KSampleCall(
            pipe.model, noise_seed, steps, cfg, sampler_name, scheduler, pipe.positive, pipe.negative,
            door.latent(latent_image), 1.0,
        )  # fmt: skip
        progress = host.progress.Progress.of_node()
        part = Steps(start_at_step, end_at_step, add_noise, finish=not return_with_leftover_noise)
        latent = sample_steps(call, scheduler_func_opt, part, door.node, progress)
        progress.done()
        return basic_pipe, latent, pipe.vae


class RemoveNoiseMask:
    """A latent without its noise mask."""

    DESCRIPTION = "Takes the noise mask off a latent, so that all of it is sampled."
    SEARCH_ALIASES = ("clear noise mask", "remove latent mask", "unset noise mask")
    RETURN_TYPES = ("LATENT",)
    OUTPUT_TOOLTIPS = ("The latent without a noise mask.",)
    FUNCTION = "doit"
    CATEGORY = UTIL_CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": inputs.link("LATENT", "A latent, with or without a noise mask.")}}

    def doit(self, samples: Any) -> tuple[Latent]:
        latent = Door("RemoveNoiseMask").latent(samples, "samples")
        kept = latent.copy()
        kept.pop("noise_mask", None)
        return (kept,)


class ImpactNegativeConditioningPlaceholder:
    """Stands where a negative prompt is asked for and none is used."""

    DESCRIPTION = (
        "For models such as Flux that take no negative prompt: this pack's nodes then sample without CFG, in half the "
        "time, and cfg sets the model's own guidance."
    )
    SEARCH_ALIASES = ("no negative", "empty negative", "flux guidance negative")
    RETURN_TYPES = ("CONDITIONING",)
    OUTPUT_TOOLTIPS = ("Connect it to negative, of this pack's nodes only.",)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def doit(self) -> tuple[Conditioning]:
        return (NEGATIVE_PLACEHOLDER,)


class GITSSchedulerFuncProvider:
    """GITS schedules with a coefficient of one's own."""

    DESCRIPTION = "A scheduler for scheduler_func_opt: GITS, made for few steps, with a coefficient of your own."
    SEARCH_ALIASES = ("gits scheduler", "scheduler function", "few steps schedule")
    RETURN_TYPES = ("SCHEDULER_FUNC",)
    OUTPUT_TOOLTIPS = ("Connect it to scheduler_func_opt.",)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        coeff = "Higher spends more of the steps at low noise."
        denoise = "Leave it at 1 and set the denoise of the node that samples: below 1 the schedule is shortened twice."
        return {
            "required": {
                "coeff": ("FLOAT", {"default": 1.2, "min": 0.8, "max": 1.5, "step": 0.05, "tooltip": coeff}),
                "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": denoise}),
            }
        }

    def doit(self, coeff: float, denoise: float) -> tuple[SchedulerFunc]:
        def schedule(model: Any, sampler_name: str, steps: int) -> torch.Tensor:
            return host.schedules.gits_sigmas(coeff, steps, denoise)

        return (schedule,)


class _SchedulerNames:
    """A COMBO output that is read at call time: packs add schedulers, and ComfyUI compares the lists."""

    def __get__(self, node: Any, kind: type) -> tuple[list[str]]:
        return (host.schedules.scheduler_names(),)


class ImpactSchedulerAdapter:
    """A scheduler of ComfyUI's list or of those beyond it."""

    DESCRIPTION = (
        "Turns a scheduler of ComfyUI's own list into one for this pack's scheduler inputs, or replaces it with one of "
        "those that ComfyUI keeps in nodes of their own."
    )
    SEARCH_ALIASES = ("scheduler adapter", "convert scheduler", "AYS", "GITS", "OSS", "LTXV")
    RETURN_TYPES = _SchedulerNames()
    RETURN_NAMES = ("scheduler",)
    OUTPUT_TOOLTIPS = ("Connect it to scheduler of this pack's nodes.",)
    FUNCTION = "doit"
    CATEGORY = UTIL_CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        scheduler = "A scheduler of ComfyUI's list; used unless extra_scheduler is set."
        extra = "Replaces scheduler; None: doesn't."
        return {
            "required": {
                "scheduler": (host.schedules.core_scheduler_names(), {"defaultInput": True, "tooltip": scheduler}),
                "extra_scheduler": ([NO_EXTRA_SCHEDULER, *host.schedules.extra_scheduler_names()], {"tooltip": extra}),
            }
        }

    def doit(self, scheduler: str, extra_scheduler: str) -> tuple[str]:
        return (scheduler if extra_scheduler == NO_EXTRA_SCHEDULER else extra_scheduler,)


NODE_CLASS_MAPPINGS = {
    "ImpactKSamplerBasicPipe": ImpactKSamplerBasicPipe,
    "ImpactKSamplerAdvancedBasicPipe": ImpactKSamplerAdvancedBasicPipe,
    "RemoveNoiseMask": RemoveNoiseMask,
    "ImpactNegativeConditioningPlaceholder": ImpactNegativeConditioningPlaceholder,
    "GITSSchedulerFuncProvider": GITSSchedulerFuncProvider,
    "ImpactSchedulerAdapter": ImpactSchedulerAdapter,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ImpactKSamplerBasicPipe": "KSampler (pipe)",
    "ImpactKSamplerAdvancedBasicPipe": "KSampler (Advanced/pipe)",
    "RemoveNoiseMask": "Remove Noise Mask",
    "ImpactNegativeConditioningPlaceholder": "Negative Cond Placeholder",
    "GITSSchedulerFuncProvider": "GITSScheduler Func Provider",
    "ImpactSchedulerAdapter": "Impact Scheduler Adapter",
}
