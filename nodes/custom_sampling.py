"""A node of the hooks group: ComfyUI's custom sampling in a detailer."""

from __future__ import annotations

import torch

from ..detailer.hooks.builtin import CustomSamplingHook, DetailerHook
from ..detailer.host.custom_sampling import CustomSampling, is_guider, prompts_of
from . import schema
from .hooks import HOOK_TOOLTIP
from .registry import DETAILER, Node
from .schema import InputTypes


class MaskDetailerCustomSamplingHook(Node, name="Custom Sampling (hook)", menu=DETAILER, own=True):
    """A SAMPLER, SIGMAS and a GUIDER for all parts of a detailer."""

    DESCRIPTION = (
        "Parts are sampled with ComfyUI's custom sampling: a sampler with options or one that wraps another, noise "
        "levels of your own, a guider with several prompts. What is not connected stays as the detailer has it."
    )
    SEARCH_ALIASES = ("custom sampler", "sigmas", "guider", "detail daemon", "dual cfg", "samplercustomadvanced")
    RETURN_TYPES = ("DETAILER_HOOK",)
    OUTPUT_TOOLTIPS = (HOOK_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        sampler = "Instead of sampler_name. Any SAMPLER will do: parts in one batch come out as each would alone."
        sigmas = "All noise levels that are run, for every part: steps, scheduler and denoise then mean nothing."
        guider = (
            "Instead of the pipe's model, prompts and cfg. Its prompts are those of the whole picture, and are cut to "
            "each part; a part's own text takes the place of its positive."
        )
        return {
            "required": {},
            "optional": {
                "sampler": schema.link("SAMPLER", sampler),
                "sigmas": schema.link("SIGMAS", sigmas),
                "guider": schema.link("GUIDER", guider),
            },
        }

    def doit(self, sampler: object = None, sigmas: object = None, guider: object = None) -> tuple[DetailerHook]:
        if sampler is not None and not callable(getattr(sampler, "sample", None)):
            found = f"a {type(sampler).__name__} is no SAMPLER"
            raise self.door.error("sampler", found, "Connect a SAMPLER, such as that of KSamplerSelect")
        if guider is not None and (not is_guider(guider) or "positive" not in prompts_of(guider)):
            found = f"a {type(guider).__name__} is no guider that parts can give their prompts to"
            raise self.door.error("guider", found, "Connect one that is built on ComfyUI's CFGGuider, with a positive")
        levels = None if sigmas is None else self._levels(sigmas)
        return (CustomSamplingHook(CustomSampling(sampler, levels, guider)),)  # type: ignore[arg-type]

    def _levels(self, sigmas: object) -> torch.Tensor:
        fix = "Connect SIGMAS that fall from step to step, such as those of BasicScheduler"
        if not isinstance(sigmas, torch.Tensor) or sigmas.ndim != 1:
            raise self.door.error("sigmas", f"a {type(sigmas).__name__} is no row of noise levels", fix)
        levels = sigmas.detach().to("cpu", torch.float32)
        if not bool(torch.isfinite(levels).all()) or bool((levels < 0).any()) or bool((levels.diff() > 0).any()):
            raise self.door.error("sigmas", "they are not finite, below 0, or rise", fix)
        return levels
