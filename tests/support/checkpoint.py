"""A tiny SD3-shaped checkpoint that ComfyUI's own loader takes: an MMDiT of one block and an exact 8x8 box-mean codec.

It holds no learned weight. What it does is known in closed form, which makes it an oracle for tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from support.comfy_on_cpu import use_cpu

use_cpu()

import comfy.ops  # noqa: E402 - after the choice of device
from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT  # noqa: E402
from comfy.taesd.taesd import TAESD  # noqa: E402

CONTEXT_WIDTH = 64
POOLED_WIDTH = 16
LATENT_CHANNELS = 16
LATENT_SHIFT, LATENT_SCALE = 0.0609, 1.5305  # SD3's latent format: the model sees (latent - shift) * scale
COPIES = 4  # latent channels that carry each colour
AMPLITUDE = 4.0  # black is at -AMPLITUDE / 2 from the latent shift, white at +AMPLITUDE / 2

Tensors = dict[str, torch.Tensor]


def make_checkpoint(
    path: Path, seed: int = 0, *, zero_last_layer: bool = False, tint: tuple[float, float, float] | None = None
) -> Path:
    """Write a checkpoint for CheckpointLoaderSimple (model and VAE, no CLIP); fp16, about 5 MB.

    Args:
        path: file to write.
        seed: of the model's random weights.
        zero_last_layer: the model's velocity is zero, so that sampling from ``sigma0`` gives
            ``sigma0 * noise + (1 - sigma0) * latent`` with any sampler that follows the flow.
        tint: instead, the velocity that takes a picture towards this colour (RGB, 0..1), the further the more denoise.

    Returns:
        ``path``.
    """
    tensors = {f"model.diffusion_model.{name}": value for name, value in _model(seed, zero_last_layer, tint).items()}
    tensors |= {f"first_stage_model.{name}": value for name, value in _box_codec().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, path)
    return path


def colour_latent(colour: tuple[float, float, float]) -> torch.Tensor:
    """The latent ``[16]``, as the model sees it, of an evenly coloured picture (RGB, 0..1)."""
    channels = torch.zeros(LATENT_CHANNELS)
    channels[: 3 * COPIES] = (torch.tensor(colour) - 0.5).repeat(COPIES) * AMPLITUDE * LATENT_SCALE
    return channels


def _model(seed: int, zero_last_layer: bool, tint: tuple[float, float, float] | None) -> Tensors:
    model = MMDiT(
        input_size=None,  # type: ignore[arg-type]  any size
        pos_embed_scaling_factor=None,
        in_channels=LATENT_CHANNELS,
        depth=1,
        adm_in_channels=POOLED_WIDTH,
        context_embedder_config={
            "target": "torch.nn.Linear",
            "params": {"in_features": CONTEXT_WIDTH, "out_features": 64},
        },
        operations=comfy.ops.disable_weight_init,
    )
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: torch.randn(value.shape, generator=generator) * 0.06 if value.ndim > 1 else torch.zeros(value.shape)
        for name, value in model.state_dict().items()
    }
    if zero_last_layer or tint is not None:
        tensors["final_layer.linear.weight"].zero_()
    if tint is not None:
        # one bias for each of a patch's 2x2 positions and, within it, each channel
        tensors["final_layer.linear.bias"] = -colour_latent(tint).repeat(4)
    return tensors


def _box_codec() -> Tensors:
    """TAESD weights, set by hand: encode averages blocks of 8x8 pixels, decode repeats them. Exact to 1e-5.

    Sides must be multiples of 8. Inside, values stay within 1/32 of zero where the decoder's soft clamp is straight.
    """
    tensors = {
        name: torch.zeros(value.shape) for name, value in TAESD(latent_channels=LATENT_CHANNELS).state_dict().items()
    }
    small = 1 / 16
    encoder, decoder = (list(_plain_convolutions(tensors, part)) for part in ("taesd_encoder", "taesd_decoder"))
    for colour in range(3):
        copies = range(colour, 3 * COPIES, 3)
        tensors[encoder[0]][colour, colour, 1, 1] = 1.0
        for halving in encoder[1:-1]:
            tensors[halving][colour, colour, 1:, 1:] = 0.25
        for copy in copies:
            tensors[encoder[-1]][copy, colour, 1, 1] = small
            tensors[encoder[-1].replace("weight", "bias")][copy] = -small / 2
            tensors[decoder[0]][colour, copy, 1, 1] = 1 / small / COPIES
        tensors[decoder[0].replace("weight", "bias")][colour] = 0.5
        for repeating in decoder[1:]:
            tensors[repeating][colour, colour, 1, 1] = 1.0
    tensors["vae_scale"] = torch.tensor(small / AMPLITUDE)
    tensors["vae_shift"] = torch.tensor(LATENT_SHIFT)
    return tensors


def _plain_convolutions(tensors: Tensors, part: str) -> Iterator[str]:
    """Weights of the 3x3 convolutions outside of the residual blocks, in order; at zero, a block hands its input on."""
    for name, value in tensors.items():
        layer = name.removeprefix(f"{part}.")
        if layer != name and layer.count(".") == 1 and value.ndim == 4:
            yield name
