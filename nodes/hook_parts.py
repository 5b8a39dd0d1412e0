"""What the hooks of detailers and those of upscalers have in common."""

from __future__ import annotations

from typing import TypedDict

from ..detailer.values import KSampleCall
from . import schema
from .door import Door
from .pipe_parts import NOT_NEEDED
from .sampler_parts import call_of
from .schema import Input, Inputs

DISABLE, ENABLE = "disable", "enable"


class UnsamplerWidgets(TypedDict):
    """The widgets of both nodes that sample backwards, without what says when."""

    steps: int
    start_end_at_step: int
    end_end_at_step: int
    cfg: float
    sampler_name: str
    scheduler: str
    normalize: str


class UnsamplerTexts(TypedDict):
    """What the two say differently."""

    model: str
    start: str
    end: str
    cfg: str
    prompt: str


def noise_source() -> Input:
    return ["CPU", "GPU"], {"tooltip": "Where the noise is made. The CPU's is the same on every machine."}


def unsampler_inputs(texts: UnsamplerTexts, scheduler: Input) -> Inputs:
    normalize = "enable: shift and scale the result to mean 0 and deviation 1."
    return {
        "model": schema.link("MODEL", texts["model"]),
        "steps": ("INT", {"default": 25, "min": 1, "max": 10000, "tooltip": "Steps of the whole way back."}),
        "start_end_at_step": schema.step(21, texts["start"]),
        "end_end_at_step": schema.step(24, texts["end"]),
        "cfg": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 100.0, "tooltip": texts["cfg"]}),
        "sampler_name": schema.sampler_name(),
        "scheduler": scheduler,
        "normalize": ([DISABLE, ENABLE], {"tooltip": normalize}),
        "positive": schema.link("CONDITIONING", f"What is seen.{texts['prompt']}"),
        "negative": schema.link("CONDITIONING", f"What is not seen.{texts['prompt']}"),
    }


def unsampler_call(
    door: Door, model: object, positive: object, negative: object, widgets: UnsamplerWidgets
) -> KSampleCall:
    """How is sampled backwards.

    Raises:
        InputError: where model or prompts are missing or are none.
    """
    pipe = door.five_parts((model, None, NOT_NEEDED, positive, negative))
    door.not_missing(pipe, None)
    return call_of(pipe.model, pipe.positive, pipe.negative, widgets)
