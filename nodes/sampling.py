"""Nodes of the sampling group, and the pipes group's KSamplers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import torch

from ..detailer import host
from ..detailer.host.protocols import Conditioning, Latent, Model, SchedulerFunc, Vae
from ..detailer.ksampler import Steps, sample_latent, sample_steps
from ..detailer.values import KSampleCall
from . import schema
from .registry import SAMPLING, UTIL, Node
from .schema import InputTypes

if TYPE_CHECKING:
    from typing_extensions import Unpack

NEGATIVE_PLACEHOLDER = "NegativePlaceholder"
NO_EXTRA_SCHEDULER = "None"


class _Always(TypedDict):
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str


class _Widgets(_Always, total=False):
    seed: int
    noise_seed: int
    denoise: float
    add_noise: bool
    start_at_step: int
    end_at_step: int
    return_with_leftover_noise: bool
    scheduler_func_opt: SchedulerFunc | None


class _KSampler(Node):
    """What both KSamplers have in common."""

    RETURN_TYPES = ("BASIC_PIPE", "LATENT", "VAE")
    OUTPUT_TOOLTIPS = (
        "The basic_pipe that came in.",
        "The sampled latent.",
        "The pipe's VAE, to decode the latent with.",
    )

    def doit(self, basic_pipe: object, latent_image: object, **widgets: Unpack[_Widgets]) -> tuple[object, Latent, Vae]:
        pipe, latent = self.door.sampling_pipe(basic_pipe), self.door.latent(latent_image)
        seed = widgets["noise_seed"] if "noise_seed" in widgets else widgets.get("seed", 0)
        call = KSampleCall(
            pipe.model, seed, widgets["steps"], widgets["cfg"], widgets["sampler_name"], widgets["scheduler"],
            pipe.positive, pipe.negative, latent, widgets.get("denoise", 1.0),
        )  # fmt: skip
        progress = host.progress.Progress.of_node()
        try:
            made = self._sampled(call, widgets, progress)
        except host.fits.MisfitError as misfit:
            found = misfit.found if misfit.part == "vae" else f"its {misfit.part}: {misfit.found}"
            name = "latent_image" if misfit.part == "vae" else "basic_pipe"
            raise self.door.error(name, found, misfit.fix) from misfit.__cause__
        progress.done()
        return basic_pipe, made, pipe.vae

    def _sampled(self, call: KSampleCall, widgets: _Widgets, progress: host.progress.Progress) -> Latent:
        raise NotImplementedError


class ImpactKSamplerBasicPipe(_KSampler, name="KSampler (pipe)", menu=SAMPLING):
    """A KSampler that takes a pipe."""

    DESCRIPTION = "ComfyUI's KSampler with a BASIC_PIPE in place of four connections, and with more schedulers."
    SEARCH_ALIASES = ("ksampler pipe", "sample with pipe", "img2img pipe")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        seed = "The noise seed."
        steps = "Sampling steps really run, whatever the denoise."
        denoise = "How much is made anew: 1.0 starts from noise, 0.5 redraws detail, 0 gives the latent back as it is."
        return {
            "required": {
                "basic_pipe": schema.link("BASIC_PIPE", "Model and prompts ('ToBasicPipe')."),
                "seed": schema.seed(seed),
                "steps": schema.steps(steps),
                "cfg": schema.cfg(),
                "sampler_name": schema.sampler_name(),
                "scheduler": schema.scheduler(),
                "latent_image": schema.link("LATENT", "What to sample; under its noise mask only, if it has one."),
                "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": denoise}),
            },
            "optional": {"scheduler_func_opt": schema.scheduler_func()},
        }

    def _sampled(self, call: KSampleCall, widgets: _Widgets, progress: host.progress.Progress) -> Latent:
        return sample_latent(call, widgets.get("scheduler_func_opt"), self.ID, progress)


class ImpactKSamplerAdvancedBasicPipe(_KSampler, name="KSampler (Advanced/pipe)", menu=SAMPLING):
    """An advanced KSampler that takes a pipe."""

    DESCRIPTION = (
        "ComfyUI's KSampler (Advanced) with a BASIC_PIPE in place of four connections, and with more schedulers: runs "
        "a part of the steps, with or without noise at either end."
    )
    SEARCH_ALIASES = ("ksampler advanced pipe", "sample some steps", "two stage sampling")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        seed = "The noise seed; some samplers draw from it even where no noise is added."
        noise = "enable: add the noise that the first step starts from. disable: the latent has its noise already."
        leftover = "enable: leave the noise of the last step in, for another sampler. disable: end with a clean latent."
        start = "Steps of the schedule to leave out at first."
        end = "The step to end at, or any number above."
        return {
            "required": {
                "basic_pipe": schema.link("BASIC_PIPE", "Model and prompts ('ToBasicPipe')."),
                "add_noise": schema.switch(True, "enable", "disable", noise),
                "noise_seed": schema.seed(seed),
                "steps": schema.steps("Steps of the whole schedule."),
                "cfg": schema.cfg(),
                "sampler_name": schema.sampler_name(),
                "scheduler": schema.scheduler(),
                "latent_image": schema.link("LATENT", "What to sample; under its noise mask only, if it has one."),
                "start_at_step": schema.step(0, start),
                "end_at_step": schema.step(10000, end),
                "return_with_leftover_noise": schema.switch(False, "enable", "disable", leftover),
            },
            "optional": {"scheduler_func_opt": schema.scheduler_func()},
        }

    def _sampled(self, call: KSampleCall, widgets: _Widgets, progress: host.progress.Progress) -> Latent:
        steps = Steps(
            first=widgets.get("start_at_step", 0),
            last=widgets.get("end_at_step", schema.MAX_STEPS),
            add_noise=widgets.get("add_noise", True),
            finish=not widgets.get("return_with_leftover_noise", False),
        )
        return sample_steps(call, widgets.get("scheduler_func_opt"), steps, self.ID, progress)


class RemoveNoiseMask(Node, name="Remove Noise Mask", menu=UTIL):
    """A latent without its noise mask."""

    DESCRIPTION = "Takes the noise mask off a latent, so that all of it is sampled."
    SEARCH_ALIASES = ("clear noise mask", "remove latent mask", "unset noise mask")
    RETURN_TYPES = ("LATENT",)
    OUTPUT_TOOLTIPS = ("The latent without a noise mask.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"samples": schema.link("LATENT", "A latent, with or without a noise mask.")}}

    def doit(self, samples: object) -> tuple[Latent]:
        latent = self.door.latent(samples, "samples")
        kept = latent.copy()
        kept.pop("noise_mask", None)
        return (kept,)


class ImpactNegativeConditioningPlaceholder(Node, name="Negative Cond Placeholder", menu=SAMPLING):
    """Stands where a negative prompt is asked for and none is used."""

    DESCRIPTION = (
        "For models such as Flux that take no negative prompt: this pack's nodes then sample without CFG, in half the "
        "time, and cfg sets the model's own guidance."
    )
    SEARCH_ALIASES = ("no negative", "empty negative", "flux guidance negative")
    RETURN_TYPES = ("CONDITIONING",)
    OUTPUT_TOOLTIPS = ("Connect it to negative, of this pack's nodes only.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {}}

    def doit(self) -> tuple[Conditioning]:
        return (NEGATIVE_PLACEHOLDER,)


class GITSSchedulerFuncProvider(Node, name="GITSScheduler Func Provider", menu=SAMPLING):
    """GITS schedules with a coefficient of one's own."""

    DESCRIPTION = "A scheduler for scheduler_func_opt: GITS, made for few steps, with a coefficient of your own."
    SEARCH_ALIASES = ("gits scheduler", "scheduler function", "few steps schedule")
    RETURN_TYPES = ("SCHEDULER_FUNC",)
    OUTPUT_TOOLTIPS = ("Connect it to scheduler_func_opt.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        coeff = "Higher spends more of the steps at low noise."
        denoise = "Leave it at 1 and set the denoise of the node that samples: below 1 the schedule is shortened twice."
        return {
            "required": {
                "coeff": ("FLOAT", {"default": 1.2, "min": 0.8, "max": 1.5, "step": 0.05, "tooltip": coeff}),
                "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": denoise}),
            }
        }

    def doit(self, coeff: float, denoise: float) -> tuple[SchedulerFunc]:
        def schedule(model: Model, sampler_name: str, steps: int) -> torch.Tensor:
            return host.schedules.gits_sigmas(coeff, steps, denoise)

        return (schedule,)


class _SchedulerNames:
    """A COMBO output that is read at call time: packs add schedulers, and ComfyUI compares the lists."""

    def __get__(self, node: object, kind: type) -> tuple[list[str]]:
        return (host.schedules.scheduler_names(),)


class ImpactSchedulerAdapter(Node, name="Impact Scheduler Adapter", menu=UTIL):
    """A scheduler of ComfyUI's list or of those beyond it."""

    DESCRIPTION = (
        "Turns a scheduler of ComfyUI's own list into one for this pack's scheduler inputs, or replaces it with one of "
        "those that ComfyUI keeps in nodes of their own."
    )
    SEARCH_ALIASES = ("scheduler adapter", "convert scheduler", "AYS", "GITS", "OSS", "LTXV")
    RETURN_TYPES = _SchedulerNames()
    RETURN_NAMES = ("scheduler",)
    OUTPUT_TOOLTIPS = ("Connect it to scheduler of this pack's nodes.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        scheduler = "A scheduler of ComfyUI's list; used unless extra_scheduler is set."
        extra = "Replaces scheduler; None: doesn't."
        return {
            "required": {
                "scheduler": (host.schedules.core_scheduler_names(), {"tooltip": scheduler}),
                "extra_scheduler": ([NO_EXTRA_SCHEDULER, *host.schedules.extra_scheduler_names()], {"tooltip": extra}),
            }
        }

    def doit(self, scheduler: str, extra_scheduler: str) -> tuple[str]:
        return (scheduler if extra_scheduler == NO_EXTRA_SCHEDULER else extra_scheduler,)
