"""What samples and upscales, as connections: made by the pack's own nodes."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from engine.running import Recorder
from engine.tiny_models import Pipe
from mask_detailer import NODE_CLASS_MAPPINGS


class Doubling(torch.nn.Module):
    """An UPSCALE_MODEL that repeats every pixel."""

    scale = 2

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)


def samplers_of(pipe: Pipe, mask: torch.Tensor) -> dict[str, Any]:
    """What samples and upscales, made by the nodes that make it."""
    widgets: dict[str, Any] = dict(cfg=3.0, sampler_name="euler", scheduler="normal", basic_pipe=pipe)
    sampler = made("KSamplerProvider", seed=7, steps=2, denoise=0.5, **widgets)
    advanced = made("KSamplerAdvancedProvider", sigma_factor=1.0, **widgets)
    upscaler = made(
        "PixelKSampleUpscalerProviderPipe", scale_method="bilinear", seed=7, steps=2, denoise=0.5, use_tiled_vae=False,
        tile_size=512, **widgets,
    )  # fmt: skip
    return {
        "KSAMPLER": sampler,
        "KSAMPLER_ADVANCED": advanced,
        "UPSCALER": upscaler,
        "UPSCALE_MODEL": Doubling(),
        "PK_HOOK": Recorder(),
        "UPSCALER_HOOK": Recorder(),
        "REGIONAL_PROMPTS": made("RegionalPrompt", mask=mask, advanced_sampler=advanced),
        "SIGMAS": torch.tensor([2.0, 1.0, 0.0]),
        "GUIDER": guider_of(pipe),
        "SAMPLER": comfy.samplers.sampler_object("euler"),
    }


def guider_of(pipe: Pipe) -> Any:
    """A CFGGuider, as ComfyUI's node makes it."""
    guider: Any = comfy.samplers.CFGGuider(pipe[0])
    guider.set_conds(pipe[3], pipe[4])
    guider.set_cfg(3.0)
    return guider


def made(node_id: str, **given: Any) -> Any:
    """A node's first output."""
    node: Any = NODE_CLASS_MAPPINGS[node_id]()
    return node.doit(**given)[0]
