"""One tiny real model of every family that people detail with: ComfyUI's own model classes, live seeded weights.

Each has a pipe, the widgets that it needs, and levers: changes that such a model must answer to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import comfy.supported_models
import torch
from engine.family_models import (
    FLUX_CHANNELS,
    FLUX_SCALE,
    coarse_vae,
    flux2_model,
    flux_fill_model,
    flux_model,
    pixel_model,
    pixel_vae,
    qwen_image_model,
    sd3_model,
    v_prediction_model,
    wan_model,
    wan_vae,
    with_own_mask_function,
    with_small_lora,
)
from engine.tiny_models import (
    CONTEXT_WIDTH,
    FLOW_SCALE,
    POOLED_WIDTH,
    SD3_CHANNELS,
    TOKENS,
    Conditioning,
    NoClip,
    Pipe,
    box_vae,
    mask_of,
    picture,
    pipe_with,
    unet_model,
)

SIZE = (96, 176)
EQUAL = [(16, 16, 32, 32), (64, 16, 80, 32), (112, 16, 128, 32), (16, 64, 32, 80)]
OTHER = (96, 64, 120, 80)
BOXES = [*EQUAL, OTHER]
PLACEHOLDER = "NegativePlaceholder"

Lever = Callable[[Pipe], Pipe]


def family_picture(seed: int = 0) -> torch.Tensor:
    """What the families detail: ``[1,H,W,3]``."""
    return picture(*SIZE, seed)


def family_mask() -> torch.Tensor:
    """Four equal squares and a wider part, all apart, crops too."""
    return mask_of(*SIZE, *BOXES)


def reference_picture(seed: int = 7) -> torch.Tensor:
    """Strong colours, so that an edit model answers to a part of it."""
    return ((family_picture(seed) - 0.5) * 6 + 0.5).clamp(0, 1)


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        name: for the test's id.
        model_class: the class in ``comfy.supported_models`` that stands for it.
        make: builds its pipe.
        widgets: what it needs besides the small widgets of ``running``.
        levers: changes of the pipe that must change the result.
        widget_levers: changes of widgets that must.
        frames: its latents have a time axis.
        batches: whether equal crops may be sampled together.
    """

    name: str
    model_class: str
    make: Callable[[], Pipe]
    widgets: Mapping[str, Any] = field(default_factory=dict)
    levers: Mapping[str, Lever] = field(default_factory=dict)
    widget_levers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    frames: bool = False
    batches: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def absent(self) -> str | None:
        """Why the running ComfyUI can't have it, None if it can."""
        if hasattr(comfy.supported_models, self.model_class):
            return None
        return f"this ComfyUI has no {self.model_class}"

    @functools.cached_property
    def pipe(self) -> Pipe:
        """Built once."""
        return self.make()


# --- prompts, pipes and levers ------------------------------------------------------------------------------------


def prompt(seed: int, *, pooled: bool = False, tokens: int = TOKENS, **options: Any) -> Conditioning:
    """A random prompt, other for each seed; as from a CLIP, which says None where it pools nothing."""
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(1, tokens, CONTEXT_WIDTH, generator=generator)
    output = torch.randn(1, POOLED_WIDTH, generator=generator) if pooled else None
    return [[embedding, {"pooled_output": output, **options}]]


def _pipe(model: Any, vae: Any, *, negative: Any = None, **prompts: Any) -> Pipe:
    """``prompts``: what both are made of."""
    return model, NoClip(), vae, prompt(20, **prompts), negative or prompt(21, **prompts)


def _another_prompt(pipe: Pipe) -> Pipe:
    embedding, options = pipe[3][0]
    return pipe_with(pipe, positive=[[embedding.flip(1).neg(), options]])


def _another_negative(pipe: Pipe) -> Pipe:
    embedding, options = pipe[4][0]
    return pipe_with(pipe, negative=[[embedding.flip(1).neg(), options]])


def _another_pooled(pipe: Pipe) -> Pipe:
    return _with_options(pipe, pooled_output=-pipe[3][0][1]["pooled_output"])


def _with_options(pipe: Pipe, **options: Any) -> Pipe:
    """The pipe with other options of the positive."""
    embedding, before = pipe[3][0]
    return pipe_with(pipe, positive=[[embedding, {**before, **options}]])


def with_reference(pipe: Pipe, image: torch.Tensor) -> Pipe:
    """An edit model's pipe with this picture as its reference."""
    return _with_options(pipe, reference_latents=[pipe[2].encode(image)])


def _another_reference(pipe: Pipe) -> Pipe:
    return with_reference(pipe, reference_picture(8))


PROMPTS: dict[str, Lever] = {"prompt": _another_prompt, "negative": _another_negative}
WITHOUT_CFG: dict[str, Lever] = {"prompt": _another_prompt, "pooled output": _another_pooled}


def _unet(**parts: Any) -> Pipe:
    return pipe_with(_pipe(unet_model(), box_vae()), **parts)


def _flux(model: Any = None, **options: Any) -> Pipe:
    return _pipe(model or flux_model(), box_vae(FLUX_CHANNELS, FLUX_SCALE), pooled=True, **options)


def _edited(pipe: Pipe) -> Pipe:
    return with_reference(pipe, reference_picture())


FAMILIES = [
    Family("sd1 eps", "SD15", _unet, levers=PROMPTS),
    Family(
        "sd2 v-prediction", "SD15", lambda: _unet(model=v_prediction_model()),
        levers={**PROMPTS, "noise prediction": lambda pipe: pipe_with(pipe, model=unet_model())},
    ),
    Family(
        "sd3 flow", "SD3", lambda: _pipe(sd3_model(), box_vae(SD3_CHANNELS, FLOW_SCALE), pooled=True),
        levers={**PROMPTS, "pooled output": _another_pooled},
    ),
    Family(
        "flux guided", "Flux", lambda: _flux(guidance=3.5), {"cfg": 1.0},
        levers={**WITHOUT_CFG, "guidance": lambda pipe: _with_options(pipe, guidance=8.0)},
    ),
    Family(
        "flux placeholder", "Flux", lambda: _flux(negative=PLACEHOLDER),
        levers=WITHOUT_CFG, widget_levers={"guidance": {"cfg": 8.0}},
    ),
    Family(
        "flux fill", "FluxInpaint", lambda: _flux(flux_fill_model(), guidance=30.0),
        {"cfg": 1.0, "inpaint_model": True}, levers=WITHOUT_CFG,
        widget_levers={"masked picture": {"inpaint_model": False}},
    ),
    Family(
        "sd1 inpaint", "SD15", lambda: _unet(model=unet_model(in_channels=9)), {"inpaint_model": True},
        levers=PROMPTS, widget_levers={"masked picture": {"inpaint_model": False}},
    ),
    Family("wan", "WAN21_T2V", lambda: _pipe(wan_model(), wan_vae()), levers=PROMPTS, frames=True),
    Family(
        "wan inpaint", "WAN21_I2V", lambda: _pipe(wan_model("WAN21_I2V", 36), wan_vae()), {"inpaint_model": True},
        levers=PROMPTS, widget_levers={"masked picture": {"inpaint_model": False}}, frames=True,
    ),
    Family("qwen image", "QwenImage", lambda: _pipe(qwen_image_model(), wan_vae()), levers=PROMPTS, frames=True),
    Family("pixel space", "ChromaRadiance", lambda: _pipe(pixel_model(), pixel_vae()), levers=PROMPTS),
    Family(  # fewer tokens would be padded with zeros to 512, and lost among them
        "flux2, 16 pixels a cell", "Flux2", lambda: _pipe(flux2_model(), coarse_vae(), tokens=512), levers=PROMPTS,
    ),
    Family(
        "sd1 with LoRA", "SD15", lambda: _unet(model=with_small_lora(unet_model())),
        levers={**PROMPTS, "no LoRA": lambda pipe: pipe_with(pipe, model=unet_model())},
    ),
    Family(
        "sd1 with its own mask function", "SD15", lambda: _unet(model=with_own_mask_function(unet_model())),
        {"noise_mask_feather": 6}, batches=False,  # such a function may look at the whole batch
        levers={**PROMPTS, "no mask function": lambda pipe: pipe_with(pipe, model=unet_model())},
    ),
    Family(
        "flux kontext", "Flux", lambda: _edited(_flux(guidance=2.5)), {"cfg": 1.0},
        levers={**WITHOUT_CFG, "reference": _another_reference},
    ),
    Family(
        "qwen image edit", "QwenImage", lambda: _edited(_pipe(qwen_image_model(), wan_vae())),
        levers={**PROMPTS, "reference": _another_reference}, frames=True,
    ),
]  # fmt: skip
EDITING = [family for family in FAMILIES if "reference" in family.levers]
