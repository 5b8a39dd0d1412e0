"""Nodes of the upscale group that make hooks: they change what an upscaler samples with, from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..detailer.hooks.builtin import (
    CombinedHook,
    CycleRamp,
    DetailerHook,
    EncodedNoiseHook,
    EncodedUnsamplerHook,
    ScheduleHook,
)
from . import schema
from .hook_parts import ENABLE, UnsamplerTexts, UnsamplerWidgets, noise_source, unsampler_call, unsampler_inputs
from .registry import UPSCALE, Node
from .sampler_parts import core_scheduler
from .schema import Input, InputTypes

if TYPE_CHECKING:
    from typing_extensions import Unpack

HOOK_TOOLTIP = "Connect it to pk_hook_opt of an upscaler provider, or to PixelKSampleHookCombine."


class _HookProvider(Node):
    """What the providers have in common."""

    RETURN_TYPES = ("PK_HOOK",)
    OUTPUT_TOOLTIPS = (HOOK_TOOLTIP,)


def _schedule() -> Input:
    return ["simple"], {"tooltip": "simple: equal steps from one of the upscaler's steps to the next."}


class PixelKSampleHookCombine(_HookProvider, menu=UPSCALE):
    """Two upscaler hooks as one."""

    DESCRIPTION = "Makes one hook of two: wherever both do something, hook2 works on what hook1 gives."
    SEARCH_ALIASES = ("combine hooks", "chain hooks", "two hooks")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "hook1": schema.link("PK_HOOK", "Comes first."),
                "hook2": schema.link("PK_HOOK", "Works on what hook1 gives."),
            }
        }

    def doit(self, hook1: object, hook2: object) -> tuple[DetailerHook]:
        return (CombinedHook(hook1, hook2),)


class CfgScheduleHookProvider(_HookProvider, menu=UPSCALE):
    """Cfg that changes from step to step."""

    DESCRIPTION = "The upscaler's first step runs at its own cfg, the last at target_cfg, those between in equal steps."
    SEARCH_ALIASES = ("cfg schedule", "cfg per step")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = "The cfg of the last step, and of an only one."
        return {
            "required": {
                "schedule_for_iteration": _schedule(),
                "target_cfg": ("FLOAT", {"default": 3.0, "min": 0.0, "max": 100.0, "tooltip": target}),
            }
        }

    def doit(self, schedule_for_iteration: str, target_cfg: float) -> tuple[DetailerHook]:
        return (ScheduleHook("cfg", target_cfg),)


class DenoiseScheduleHookProvider(_HookProvider, menu=UPSCALE):
    """Denoise that changes from step to step."""

    DESCRIPTION = (
        "The upscaler's first step runs at its own denoise, the last at target_denoise, those between in equal steps."
    )
    SEARCH_ALIASES = ("denoise schedule", "denoise per step")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = "The denoise of the last step, and of an only one. At 0 that step only enlarges."
        return {
            "required": {
                "schedule_for_iteration": _schedule(),
                "target_denoise": ("FLOAT", {"default": 0.2, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": target}),
            }
        }

    def doit(self, schedule_for_iteration: str, target_denoise: float) -> tuple[DetailerHook]:
        return (ScheduleHook("denoise", target_denoise),)


class StepsScheduleHookProvider(_HookProvider, menu=UPSCALE):
    """A number of sampling steps that changes from step to step."""

    DESCRIPTION = (
        "The upscaler's first step samples with its own number of steps, the last with target_steps, those between in "
        "equal steps."
    )
    SEARCH_ALIASES = ("steps schedule", "sampling steps per step")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = "Sampling steps of the last step, and of an only one."
        return {
            "required": {
                "schedule_for_iteration": _schedule(),
                "target_steps": ("INT", {"default": 20, "min": 1, "max": 10000, "tooltip": target}),
            }
        }

    def doit(self, schedule_for_iteration: str, target_steps: int) -> tuple[DetailerHook]:
        return (ScheduleHook("steps", target_steps, whole=True),)


class NoiseInjectionHookProvider(_HookProvider, menu=UPSCALE):
    """Noise in the enlarged latent."""

    DESCRIPTION = (
        "Adds noise to what the upscaler has enlarged, before it is sampled, so that the sampler finds more to turn "
        "into detail."
    )
    SEARCH_ALIASES = ("inject noise", "noise injection", "add detail")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        strength: dict[str, object] = {"default": 1.0, "min": 0.0, "max": 200.0, "step": 0.01}
        start = "Strength in the first step, in units of the latent: 1 is noise as strong as that of a seed."
        end = "Where the strength goes to. It stops one step before: 2 to 1 in three steps gives 2, 1.67, 1.33."
        return {
            "required": {
                "schedule_for_iteration": _schedule(),
                "source": noise_source(),
                "seed": schema.seed("Seed of the noise; two higher in each step."),
                "start_strength": ("FLOAT", {**strength, "tooltip": start}),
                "end_strength": ("FLOAT", {**strength, "tooltip": end}),
            }
        }

    def doit(
        self, schedule_for_iteration: str, source: str, seed: int, start_strength: float, end_strength: float
    ) -> tuple[DetailerHook]:
        return (EncodedNoiseHook(source, seed, CycleRamp(start_strength, end_strength, skip_start=False)),)


class _UnsamplerWidgets(UnsamplerWidgets):
    schedule_for_iteration: str


class UnsamplerHookProvider(_HookProvider, menu=UPSCALE):
    """Sampling backwards before each step."""

    DESCRIPTION = (
        "Samples what the upscaler has enlarged backwards to the noise that would lead to it, before it is sampled "
        "forwards: a result that stays nearer to what was there."
    )
    SEARCH_ALIASES = ("unsampler", "inversion", "noise inversion")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        texts: UnsamplerTexts = {
            "model": "Samples backwards; usually the upscaler's.",
            "start": "The step to go back to in the first step. steps is none at all, 0 is back to pure noise.",
            "end": "Where that step goes to from step to step. It stops one part of the way before.",
            "cfg": "1 keeps nearest to the picture.",
            "prompt": "",
        }
        inputs = unsampler_inputs(texts, core_scheduler())
        return {"required": {**inputs, "schedule_for_iteration": _schedule()}}

    def doit(
        self, *, model: object, positive: object, negative: object, **widgets: Unpack[_UnsamplerWidgets]
    ) -> tuple[DetailerHook]:
        call = unsampler_call(self.door, model, positive, negative, widgets)
        end_at_step = CycleRamp(widgets["start_end_at_step"], widgets["end_end_at_step"], skip_start=False)
        return (EncodedUnsamplerHook(call, widgets["normalize"] == ENABLE, end_at_step),)
