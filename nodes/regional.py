"""Nodes of the regional group: parts of a latent that go by prompts of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import torch

from ..detailer import host
from ..detailer.host.protocols import Conditioning, Latent, Model, SchedulerFunc
from ..detailer.host.sampling import Guidance
from ..detailer.ksampler import Stages
from ..detailer.regional import sample as regional
from ..detailer.regional.noise import VARIATION_METHODS
from ..detailer.samplers.advanced import AdvancedKSampler
from ..detailer.samplers.origin import Origin
from ..detailer.values import wrapped_seed
from . import schema
from .registry import REGIONAL, Node
from .sampler_parts import checked_advanced, checked_prompts, denoise, seed
from .schema import Input, Inputs, InputTypes

if TYPE_CHECKING:
    from typing_extensions import Unpack

SECOND_SEED_MODES = ("ignore", "fixed", "seed+seed_2nd", "seed-seed_2nd", "increment", "decrement", "randomize")
NO_EFFECT = "Here for saved workflows. Has no effect: all regions share one path, so that nothing has to be recovered."
PROMPTS_TOOLTIP = "Connect it to RegionalSampler, or to CombineRegionalPrompts."

Prompts = list[regional.RegionalPrompt]


class RegionalPrompt(Node, menu=REGIONAL):
    """A region with a prompt of its own."""

    DESCRIPTION = "A part of the picture, and with which model, prompts and cfg it is sampled."
    SEARCH_ALIASES = ("regional prompt", "area prompt", "masked prompt")
    RETURN_TYPES = ("REGIONAL_PROMPTS",)
    OUTPUT_TOOLTIPS = (PROMPTS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        sampler = "Its model, prompts and cfg count ('KSamplerAdvancedProvider'); sampler and schedule are the base's."
        strength = "How much of the second seed's noise is mixed into the region's: 0 none, 1 only that."
        method = "linear: in a straight line. slerp: along the arc between the two noises."
        return {
            "required": {
                "mask": schema.link("MASK", "White (above 0.5) marks the region. Of any size."),
                "advanced_sampler": schema.link("KSAMPLER_ADVANCED", sampler),
            },
            "optional": {
                "variation_seed": schema.seed("A second seed, for a variation of this region alone."),
                "variation_strength": (
                    "FLOAT",
                    {"default": 0.0, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": strength},
                ),
                "variation_method": (list(VARIATION_METHODS), {"tooltip": method}),
            },
        }

    def doit(
        self,
        mask: object,
        advanced_sampler: object,
        variation_seed: int = 0,
        variation_strength: float = 0.0,
        variation_method: str = "linear",
    ) -> tuple[Prompts]:
        prompt = regional.RegionalPrompt(
            self.door.mask_of_any_size(mask),
            checked_advanced(self.door, advanced_sampler, "advanced_sampler"),
            variation_seed,
            variation_strength,
            variation_method,
        )
        return ([prompt],)


class CombineRegionalPrompts(Node, menu=REGIONAL):
    """Several regions on one connection."""

    DESCRIPTION = "Puts regions together. Where they overlap, they share the picture evenly."
    SEARCH_ALIASES = ("combine regional prompts", "join regions", "several prompts")
    RETURN_TYPES = ("REGIONAL_PROMPTS",)
    OUTPUT_TOOLTIPS = (PROMPTS_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        first = "The first regions; regional_prompts2, regional_prompts3 and so on follow."
        return {"required": {"regional_prompts1": schema.link("REGIONAL_PROMPTS", first)}}

    def doit(self, **prompts: object) -> tuple[Prompts]:
        """``regional_prompts1``, ``regional_prompts2`` and as many more as there are, in their order."""
        given = {name: value for name, value in prompts.items() if value is not None}
        if not given:
            checked_prompts(self.door, None, "regional_prompts1")
        return ([one for name, value in given.items() for one in checked_prompts(self.door, value, name)],)


def _overlap() -> Input:
    tooltip = (
        "How far a region fades into what is around it, in pixels of its mask; half of it lies beyond the mask's edge. "
        "0 and 1: a hard edge."
    )
    return "INT", {"default": 10, "min": 0, "max": 10000, "tooltip": tooltip}


def _no_effect() -> tuple[Input, Inputs]:
    """What the known way needed: ``restore_latent``, and the three of its recovery."""
    modes, samplers = ["DISABLE", "ratio additional", "ratio between"], ["euler", "heun", "heunpp2", "dpm_2"]
    ratio: dict[str, object] = {"default": 0.3, "min": 0.0, "max": 1.0, "step": 0.01, "tooltip": NO_EFFECT}
    return schema.switch(True, "enabled", "disabled", NO_EFFECT), {
        "additional_mode": (modes, {"default": "ratio between", "tooltip": NO_EFFECT}),
        "additional_sampler": (["AUTO", *samplers, "dpm_fast", "dpmpp_2m", "ddpm"], {"tooltip": NO_EFFECT}),
        "additional_sigma_ratio": ("FLOAT", ratio),
    }


class _RegionalWidgets(TypedDict, total=False):
    """The widgets of a regional sampler that don't say which steps are run."""

    overlap_factor: int
    restore_latent: bool
    additional_mode: str
    additional_sampler: str
    additional_sigma_ratio: float
    unique_id: str


class _Regional(Node):
    """What the regional samplers have in common."""

    RETURN_TYPES = ("LATENT",)
    OUTPUT_TOOLTIPS = ("The sampled latent; its noise mask and other entries stay.",)

    def _sampled(
        self, base_sampler: object, prompts: object, widgets: _RegionalWidgets, latent: Latent, path: regional.Path
    ) -> tuple[Latent]:
        door = self.door
        base = checked_advanced(door, base_sampler, "base_sampler")
        over = regional.Regional(base, checked_prompts(door, prompts), widgets.get("overlap_factor", 10))
        progress = host.progress.Progress.of_node()
        made = regional.sample_regions(over, latent, path, progress)
        progress.done()
        return (made,)


def _links() -> tuple[Input, Input]:
    base = "Samples all that is in no region. Its sampler and schedule are those of the regions too."
    return (
        schema.link("KSAMPLER_ADVANCED", f"{base} Comes from 'KSamplerAdvancedProvider'."),
        schema.link("REGIONAL_PROMPTS", "The regions ('RegionalPrompt', 'CombineRegionalPrompts')."),
    )


class RegionalSampler(_Regional, menu=REGIONAL):
    """Samples regions of a latent by prompts of their own."""

    DESCRIPTION = (
        "Samples a latent once, by several prompts: at every step each region's model and prompts are asked about the "
        "same latent, and the answers are blended. A region that is sampled as the base changes nothing."
    )
    SEARCH_ALIASES = ("regional sampler", "several prompts", "area composition", "two characters")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        second = "The second seed, for noise that is new when the regions come in. Only where seed_2nd_mode uses it."
        mode = (
            "ignore: one path from begin to end. fixed: after base_only_steps the latent is finished, and goes on with "
            "new noise of seed_2nd. seed+seed_2nd, seed-seed_2nd: of the sum, the difference. increment, decrement, "
            "randomize: as fixed, and seed_2nd changes after each queueing."
        )
        base_only = "So many steps at first go by base_sampler alone, so that the composition is of one piece."
        base, prompts = _links()
        restore, recovery = _no_effect()
        return {
            "required": {
                "seed": seed(),
                "seed_2nd": schema.seed(second),
                "seed_2nd_mode": (list(SECOND_SEED_MODES), {"tooltip": mode}),
                "steps": schema.steps("Sampling steps really run, whatever the denoise."),
                "base_only_steps": schema.step(2, base_only),
                "denoise": denoise(),
                "samples": schema.link("LATENT", "What to sample; under its noise mask only, if it has one."),
                "base_sampler": base,
                "regional_prompts": prompts,
                "overlap_factor": _overlap(),
                "restore_latent": restore,
                **recovery,
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def doit(
        self,
        seed: int,
        seed_2nd: int,
        seed_2nd_mode: str,
        steps: int,
        base_only_steps: int,
        denoise: float,
        samples: object,
        base_sampler: object,
        regional_prompts: object,
        **widgets: Unpack[_RegionalWidgets],
    ) -> tuple[Latent]:
        latent = self.door.latent(samples, "samples")
        if denoise <= 0.0:
            return (latent,)
        stages = Stages.of(steps, denoise)
        other = regional.second_seed(seed, seed_2nd, seed_2nd_mode)
        path = regional.Path(seed, stages.total, stages.start, stages.total, base_only_steps, other)
        return self._sampled(base_sampler, regional_prompts, widgets, latent, path)

    @staticmethod
    def separated_sample(
        model: Model,
        add_noise: bool,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Conditioning,
        negative: Conditioning,
        latent_image: Latent,
        start_at_step: int,
        end_at_step: int,
        return_with_leftover_noise: bool,
        sigma_ratio: float = 1.0,
        sampler_opt: None = None,
        noise: torch.Tensor | None = None,
        callback: Callable[..., object] | None = None,
        scheduler_func: SchedulerFunc | None = None,
    ) -> Latent:
        """An advanced KSampler, as other packs call it; ``callback`` is not called: the node's bar shows the steps."""
        sampler = AdvancedKSampler(
            Guidance(model, positive, negative, cfg), sampler_name, scheduler, Origin("RegionalSampler"), sigma_ratio,
            sampler_opt, scheduler_func,
        )  # fmt: skip
        return sampler.sample_advanced(
            add_noise, seed, steps, latent_image, start_at_step, end_at_step, return_with_leftover_noise, noise=noise
        )


class RegionalSamplerAdvanced(_Regional, menu=REGIONAL):
    """Samples regions of a latent over a part of the steps."""

    DESCRIPTION = (
        "Like RegionalSampler, over a part of the steps, with or without noise at either end: for sampling in stages."
    )
    SEARCH_ALIASES = ("regional sampler", "regional sampling in stages", "several prompts")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        noise = "Off: the latent comes with its noise, from a sampler before."
        start = "The first step to run; 0 is the schedule's first."
        end = "The step before which to stop; beyond the schedule: its end."
        leftover = "Leave the noise of the steps that are not run in, for a sampler after this."
        base, prompts = _links()
        restore, recovery = _no_effect()
        return {
            "required": {
                "add_noise": schema.switch(True, "enabled", "disabled", noise),
                "noise_seed": seed(),
                "steps": schema.steps("Steps of the whole schedule."),
                "start_at_step": schema.step(0, start),
                "end_at_step": schema.step(10000, end),
                "overlap_factor": _overlap(),
                "restore_latent": restore,
                "return_with_leftover_noise": schema.switch(False, "enabled", "disabled", leftover),
                "latent_image": schema.link("LATENT", "What to sample; under its noise mask only, if it has one."),
                "base_sampler": base,
                "regional_prompts": prompts,
                **recovery,
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def doit(
        self,
        add_noise: bool,
        noise_seed: int,
        steps: int,
        start_at_step: int,
        end_at_step: int,
        return_with_leftover_noise: bool,
        latent_image: object,
        base_sampler: object,
        regional_prompts: object,
        **widgets: Unpack[_RegionalWidgets],
    ) -> tuple[Latent]:
        path = regional.Path(
            wrapped_seed(noise_seed), steps, start_at_step, min(end_at_step, steps), add_noise=add_noise,
            finish=not return_with_leftover_noise,
        )  # fmt: skip
        return self._sampled(base_sampler, regional_prompts, widgets, self.door.latent(latent_image), path)
