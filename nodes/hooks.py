"""Nodes of the hooks group: they make objects that look at and change each part on its way through a detailer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..detailer import host
from ..detailer.hooks.builtin import (
    CYCLE_SCHEDULES,
    CombinedHook,
    CycleRamp,
    DenoiseScheduleHook,
    DetailerHook,
    LabelFilterHook,
    NoiseInjectionHook,
    OrderedFilterHook,
    PreviewHook,
    RangeFilterHook,
    UnsamplerHook,
    VariationNoiseHook,
)
from ..detailer.hooks.fixed_size import FIXED_SIZES, FixedSizeHook
from ..segs.filters import MEASURES, split_text
from . import schema
from .hook_parts import ENABLE, UnsamplerTexts, UnsamplerWidgets, noise_source, unsampler_call, unsampler_inputs
from .registry import DETAILER, UPSCALE, UTIL, Node
from .schema import Input, InputTypes
from .segs_lists import LABELS

if TYPE_CHECKING:
    from typing_extensions import Unpack

HOOK_TOOLTIP = "Connect it to detailer_hook of a detailer, or to DetailerHookCombine."
FILTER_TOOLTIP = "Connect it to detailer_hook of a detector, or of a detailer that has a detector of its own."
SKIP_START, FROM_START = CYCLE_SCHEDULES


def _schedule_for_cycle() -> Input:
    tooltip = (
        "skip_start: nothing in the first cycle, the start value in the second. from_start: from the first cycle on."
    )
    return list(CYCLE_SCHEDULES), {"tooltip": tooltip}


class _HookProvider(Node):
    """What the providers have in common."""

    RETURN_TYPES = ("DETAILER_HOOK",)
    OUTPUT_TOOLTIPS: ClassVar[tuple[str, ...]] = (HOOK_TOOLTIP,)


class _FilterProvider(_HookProvider):
    """Those of hooks for what is found."""

    OUTPUT_TOOLTIPS = (FILTER_TOOLTIP,)


class DetailerHookCombine(_HookProvider, menu=UPSCALE):
    """Two hooks as one."""

    DESCRIPTION = "Makes one hook of two: wherever both do something, hook2 works on what hook1 gives."
    SEARCH_ALIASES = ("combine hooks", "chain hooks", "two hooks")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "hook1": schema.link("DETAILER_HOOK", "Comes first."),
                "hook2": schema.link("DETAILER_HOOK", "Works on what hook1 gives."),
            }
        }

    def doit(self, hook1: object, hook2: object) -> tuple[DetailerHook]:
        return (CombinedHook(hook1, hook2),)


class DenoiseSchedulerDetailerHookProvider(_HookProvider, menu=DETAILER):
    """Denoise that changes from cycle to cycle."""

    DESCRIPTION = (
        "With cycle above 1: the first cycle runs at the detailer's own denoise, the last at target_denoise, those "
        "between in equal steps."
    )
    SEARCH_ALIASES = ("denoise schedule", "denoise per cycle")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = "Denoise of the last cycle. At 0 the last cycle changes nothing."
        return {
            "required": {
                "schedule_for_cycle": (["simple"], {"tooltip": "simple: equal steps from cycle to cycle."}),
                "target_denoise": ("FLOAT", {"default": 0.3, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": target}),
            }
        }

    def doit(self, schedule_for_cycle: str, target_denoise: float) -> tuple[DetailerHook]:
        return (DenoiseScheduleHook(target_denoise),)


class NoiseInjectionDetailerHookProvider(_HookProvider, menu=DETAILER):
    """Noise in the latent before a cycle."""

    DESCRIPTION = (
        "Adds noise to a part's latent before it is sampled, less (or more) from cycle to cycle, so that the sampler "
        "finds more to turn into detail."
    )
    SEARCH_ALIASES = ("inject noise", "noise injection", "add detail")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        strength: dict[str, object] = {"min": 0.0, "max": 200.0, "step": 0.01}
        start = "Strength when it begins, in units of the latent: 1 is noise as strong as that of a seed."
        end = "Where the strength goes to. It stops one step before: 2 to 1 in three cycles gives 2, 1.67, 1.33."
        return {
            "required": {
                "schedule_for_cycle": _schedule_for_cycle(),
                "source": noise_source(),
                "seed": schema.seed(
                    "Seed of the noise, the same for all parts; two higher each time it is used in a part."
                ),
                "start_strength": ("FLOAT", {"default": 2.0, **strength, "tooltip": start}),
                "end_strength": ("FLOAT", {"default": 1.0, **strength, "tooltip": end}),
            }
        }

    def doit(
        self, schedule_for_cycle: str, source: str, seed: int, start_strength: float, end_strength: float
    ) -> tuple[DetailerHook]:
        strength = CycleRamp(start_strength, end_strength, schedule_for_cycle == SKIP_START)
        return (NoiseInjectionHook(source, seed, strength),)


class VariationNoiseDetailerHookProvider(_HookProvider, menu=DETAILER):
    """A second seed mixed in."""

    DESCRIPTION = (
        "Mixes the noise of a second seed into the one each part starts from: small variations of a good result."
    )
    SEARCH_ALIASES = ("variation seed", "subseed", "variation noise")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        strength = "0: the detailer's own noise alone, 1: the second seed's alone. Small variations: 0.05 to 0.3."
        return {
            "required": {
                "seed": schema.seed("The second seed. Parts of equal size get the same noise from it, in every cycle."),
                "strength": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": strength}),
            }
        }

    def doit(self, seed: int, strength: float) -> tuple[DetailerHook]:
        return (VariationNoiseHook(seed, strength),)


class _UnsamplerWidgets(UnsamplerWidgets):
    schedule_for_cycle: str


class UnsamplerDetailerHookProvider(_HookProvider, menu=DETAILER):
    """Sampling backwards before a cycle."""

    DESCRIPTION = (
        "Samples a part's latent backwards to the noise that would lead to it, before it is sampled forwards: a result "
        "that stays nearer to what was there."
    )
    SEARCH_ALIASES = ("unsampler", "inversion", "noise inversion")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        texts: UnsamplerTexts = {
            "model": "Samples backwards; usually the detailer's.",
            "start": "The step to go back to when it begins. steps is none at all, 0 is back to pure noise.",
            "end": "Where the step goes to from cycle to cycle. It stops one part of the way before.",
            "cfg": "1 keeps nearest to the part.",
            "prompt": " It is not cut to the part: describe the part, without areas or masks.",
        }
        scheduler: Input = host.schedules.core_scheduler_names(), {"tooltip": "How noise rises, as in KSampler."}
        return {"required": {**unsampler_inputs(texts, scheduler), "schedule_for_cycle": _schedule_for_cycle()}}

    def doit(
        self, *, model: object, positive: object, negative: object, **widgets: Unpack[_UnsamplerWidgets]
    ) -> tuple[DetailerHook]:
        call = unsampler_call(self.door, model, positive, negative, widgets)
        end_at_step = CycleRamp(
            widgets["start_end_at_step"], widgets["end_end_at_step"], widgets["schedule_for_cycle"] == SKIP_START
        )
        return (UnsamplerHook(call, widgets["normalize"] == ENABLE, end_at_step),)


class CoreMLDetailerHookProvider(_HookProvider, menu=DETAILER):
    """One size and a batch of two, for models that take no other."""

    DESCRIPTION = (
        "For models that take one size only, such as those compiled for Core ML: crops are cut to that aspect, worked "
        "on at that size, and sampled two at a time."
    )
    SEARCH_ALIASES = ("core ml", "coreml", "apple", "fixed size")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        mode = "Width and height in pixels that the model was made for."
        return {"required": {"mode": (list(FIXED_SIZES), {"tooltip": mode})}}

    def doit(self, mode: str) -> tuple[DetailerHook]:
        return (FixedSizeHook(FIXED_SIZES[mode]),)


class SEGSOrderedFilterDetailerHookProvider(_FilterProvider, menu=UTIL):
    """Some of what a detector finds, by order."""

    DESCRIPTION = "Sorts what a detector finds and keeps some of it, for example the two largest faces."
    SEARCH_ALIASES = ("filter largest", "sort detections", "top faces")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = "What to sort by. It is the crop region's, surroundings included."
        order = "descending: the largest first."
        return {
            "required": {
                "target": (list(MEASURES), {"tooltip": target}),
                "order": schema.switch(True, "descending", "ascending", order),
                "take_start": schema.whole_number(0, "The first place to keep; 0 is the first of all."),
                "take_count": schema.whole_number(1, "How many to keep."),
            }
        }

    def doit(self, target: str, order: bool, take_start: int, take_count: int) -> tuple[DetailerHook]:
        return (OrderedFilterHook(target, order, take_start, take_count),)


class SEGSRangeFilterDetailerHookProvider(_FilterProvider, menu=UTIL):
    """Some of what a detector finds, by size or place."""

    DESCRIPTION = "Keeps what a detector finds only if it measures from min_value to max_value, or only if it doesn't."
    SEARCH_ALIASES = ("filter by size", "filter detections", "skip small faces")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        target = (
            "What to measure, in pixels, of the crop region (surroundings included). length_percent is the longer side "
            "in percent of the shorter: 100 is a square."
        )
        mode = "inside: keep from min_value to max_value, both included. outside: keep the others."
        return {
            "required": {
                "target": ([*MEASURES, "length_percent"], {"tooltip": target}),
                "mode": schema.switch(True, "inside", "outside", mode),
                "min_value": schema.whole_number(0, "The least value of the range."),
                "max_value": schema.whole_number(67108864, "The largest value of the range."),
            }
        }

    def doit(self, target: str, mode: bool, min_value: int, max_value: int) -> tuple[DetailerHook]:
        return (RangeFilterHook(target, mode, min_value, max_value),)


class SEGSLabelFilterDetailerHookProvider(_FilterProvider, menu=UTIL):
    """Some of what a detector finds, by label."""

    DESCRIPTION = "Keeps only what a detector finds with certain labels."
    SEARCH_ALIASES = ("filter by label", "filter by class", "only faces")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        labels = (
            "Labels to keep, separated by commas; case counts. 'all' keeps everything; 'eyes', 'eyebrows' and 'pupils' "
            "also keep the left and the right one."
        )
        preset = "Choosing one adds it to labels. It has no effect when the workflow runs."
        placeholder = "List the types of segments to be allowed, separated by commas"
        return {
            "required": {
                "preset": (["all", *LABELS], {"tooltip": preset}),
                "labels": ("STRING", {"multiline": True, "placeholder": placeholder, "tooltip": labels}),
            },
            "optional": {"segs": schema.link("SEGS", "Here for saved workflows. Has no effect.")},
        }

    def doit(self, preset: str, labels: str, segs: object = None) -> tuple[DetailerHook]:
        return (LabelFilterHook(split_text(labels)),)


class PreviewDetailerHookProvider(Node, menu=UTIL):
    """The picture as it grows."""

    DESCRIPTION = "Shows the whole picture on this node after each part is put back."
    SEARCH_ALIASES = ("preview hook", "watch detailer", "live preview")
    RETURN_TYPES = ("DETAILER_HOOK", "UPSCALER_HOOK")
    OUTPUT_TOOLTIPS = (HOOK_TOOLTIP, "The same for nodes that upscale segments.")
    NOT_IDEMPOTENT = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        quality = "Quality of the preview's file; what is made stays as it is."
        return {
            "required": {"quality": ("INT", {"default": 95, "min": 20, "max": 100, "tooltip": quality})},
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def doit(self, quality: int, unique_id: str) -> tuple[DetailerHook, DetailerHook]:
        hook = PreviewHook(host.server.node_shown(str(unique_id)), quality)
        return hook, hook
