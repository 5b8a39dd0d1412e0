"""Tiny real ComfyUI objects from fixed seeds: models in its ModelPatcher, codecs in its VAE, and smooth pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from support.comfy_on_cpu import use_cpu

use_cpu()

import comfy.model_base  # noqa: E402 - after the choice of device
import comfy.model_management  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.supported_models  # noqa: E402
from comfy.model_patcher import ModelPatcher  # noqa: E402
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel  # noqa: E402
from comfy.taesd.taesd import TAESD  # noqa: E402

CONTEXT_WIDTH = 64
POOLED_WIDTH = 16
TOKENS = 8
SD3_CHANNELS = 16
SD_SCALE = 0.018  # latents centred, a few units wide after SD1.x scaling
FLOW_SCALE = 0.25

Conditioning = list[list[Any]]
Pipe = tuple[Any, Any, Any, Conditioning, Conditioning]


class NoClip:
    """Stands where a pipe holds a CLIP and no text is encoded."""


# --- models -------------------------------------------------------------------------------------------------------


def unet_model(seed: int = 0, in_channels: int = 4, *, silent: bool = False) -> ModelPatcher:
    """An SD1.x-shaped UNet of a million parameters (noise prediction). With 9 input channels an inpainting model.

    ``silent``: its norms are zero too, so that it predicts no noise whatever it sees: the model of the recorded cases.
    """
    config = comfy.supported_models.SD15(
        {
            "image_size": 32, "in_channels": in_channels, "out_channels": 4, "model_channels": 32,
            "num_res_blocks": [1, 1], "channel_mult": (1, 2), "transformer_depth": [0, 1],
            "transformer_depth_output": [0, 0, 1, 1], "transformer_depth_middle": 1, "context_dim": CONTEXT_WIDTH,
            "use_spatial_transformer": True, "num_heads": 4, "num_head_channels": -1,
            "use_linear_in_transformer": False, "adm_in_channels": None, "use_temporal_attention": False,
            "dtype": torch.float32, "legacy": False,
        }
    )  # fmt: skip
    config.set_inference_dtype(torch.float32, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = comfy.model_base.BaseModel(config, device="cpu")
        if in_channels > 4:
            model.set_inpaint()
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.06)
            else:
                torch.nn.init.constant_(parameter, float(name.endswith("weight") and not silent))
    return _patcher(model)


def still_flow_model(channels: int = SD3_CHANNELS) -> ModelPatcher:
    """An SD3-shaped MMDiT whose last layer is zero, so its velocity is.

    Sampling from ``sigma0`` gives ``sigma0 * noise + (1 - sigma0) * latent``, whatever the steps, where the noise mask
    is 1, and the latent where it is 0.
    """
    config = comfy.supported_models.SD3(
        {
            "in_channels": channels, "depth": 1, "input_size": None, "pos_embed_scaling_factor": None,
            "adm_in_channels": POOLED_WIDTH, "dtype": torch.float32,
            "context_embedder_config": {
                "target": "torch.nn.Linear", "params": {"in_features": CONTEXT_WIDTH, "out_features": 64},
            },
        }
    )  # fmt: skip
    config.set_inference_dtype(torch.float32, None)
    return _patcher(_with_zero_weights(comfy.model_base.SD3(config, device="cpu")))


def still_clip_model() -> ModelPatcher:
    """A Wan-shaped video model without velocity: like ``still_flow_model``, for latents ``[B,16,frames,h,w]``."""
    config = comfy.supported_models.WAN21_T2V(
        {
            "image_model": "wan2.1", "model_type": "t2v", "dim": 48, "num_heads": 2, "ffn_dim": 64, "num_layers": 1,
            "text_dim": CONTEXT_WIDTH, "freq_dim": 32, "in_dim": 16, "out_dim": 16, "patch_size": (1, 2, 2),
            "dtype": torch.float32,
        }
    )  # fmt: skip
    config.set_inference_dtype(torch.float32, None)
    return _patcher(_with_zero_weights(comfy.model_base.WAN21(config, device="cpu")))


def _with_zero_weights(model: comfy.model_base.BaseModel) -> comfy.model_base.BaseModel:
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    return model


def _patcher(model: comfy.model_base.BaseModel) -> ModelPatcher:
    return ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def tiny_control_net(folder: Path, seed: int = 1) -> Any:
    """A ControlNet of a million parameters for ``unet_model``, from a file."""
    import comfy.cldm.cldm
    import comfy.controlnet
    from safetensors.torch import save_file

    net = comfy.cldm.cldm.ControlNet(
        image_size=32, in_channels=4, model_channels=32, hint_channels=3, num_res_blocks=[1, 1], channel_mult=(1, 2),
        transformer_depth=[0, 1], transformer_depth_middle=1, context_dim=CONTEXT_WIDTH, num_head_channels=64,
        use_spatial_transformer=True, legacy=False,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(value.shape, generator=generator) * 0.12
        if value.ndim > 1
        else torch.full(value.shape, float(name.endswith("weight")))
        for name, value in net.state_dict().items()
    }
    save_file(weights, folder / f"{seed}.safetensors")
    return comfy.controlnet.load_controlnet(str(folder / f"{seed}.safetensors"))


def text_encoder(seed: int = 0) -> comfy.sd.CLIP:
    """ComfyUI's CLIP around an SD1.x-shaped text encoder, of two layers and the width of ``CONTEXT_WIDTH``."""
    shape = {
        "vocab_size": 49408, "hidden_size": CONTEXT_WIDTH, "intermediate_size": 2 * CONTEXT_WIDTH,
        "num_attention_heads": 4, "num_hidden_layers": 2, "max_position_embeddings": 77, "hidden_act": "quick_gelu",
        "eos_token_id": 49407, "projection_dim": CONTEXT_WIDTH,
    }  # fmt: skip

    class Target:
        params: dict[str, Any] = {"clip_model": functools.partial(SDClipModel, textmodel_json_config=shape)}
        clip = SD1ClipModel
        tokenizer = SD1Tokenizer

    clip = comfy.sd.CLIP(Target())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, parameter in clip.cond_stage_model.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.1)
            else:
                torch.nn.init.constant_(parameter, float("norm" in name and name.endswith("weight")))
    return clip


# --- codecs -------------------------------------------------------------------------------------------------------


class BoxMean(torch.nn.Module):
    """Encode averages blocks of 8x8 pixels, decode repeats them; channel ``c`` carries colour ``c % 3``.

    Black is at -0.5 / scale, white at 0.5 / scale. ``soft`` squeezes colours as a TAESD's decoder does: white to 0.965.
    """

    def __init__(self, channels: int, scale: float, *, soft: bool = False) -> None:
        super().__init__()
        self.copies, self.rest = divmod(channels, 3)
        self.soft = soft
        self.scale = torch.nn.Parameter(torch.tensor(scale), requires_grad=False)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """``[B,3,H,W]`` or ``[B,3,T,H,W]``, -1..1."""
        pool = torch.nn.functional.avg_pool2d if pixels.ndim == 4 else torch.nn.functional.avg_pool3d
        colours = pool(pixels, (1, 8, 8)[-(pixels.ndim - 2) :])
        black = torch.full_like(colours[:, : self.rest], -1.0)
        return torch.cat([*[colours] * self.copies, black], dim=1) / (2 * self.scale)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        colours = torch.stack(latent[:, : 3 * self.copies].split(3, dim=1)).mean(dim=0) * self.scale + 0.5
        if self.soft:
            colours = torch.tanh(colours / 3) * 3
        return (2 * colours - 1).repeat_interleave(8, dim=-1).repeat_interleave(8, dim=-2)


class SpaceToDepth(torch.nn.Module):
    """Every pixel of a block of 8x8 has channels of its own: nothing is lost, exactly."""

    CHANNELS = 3 * 8 * 8

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0), requires_grad=False)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_unshuffle(pixels, 8)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_shuffle(latent, 8)


def vae_of(codec: torch.nn.Module, channels: int, *, frames: bool = False) -> comfy.sd.VAE:
    """ComfyUI's VAE around a codec of 8x8 pixels a latent cell; ``frames``: latents have a time axis."""
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})
    vae.first_stage_model = codec.eval()
    vae.patcher = ModelPatcher(codec, load_device=vae.device, offload_device=vae.device)
    vae.latent_channels = channels
    vae.downscale_ratio = vae.upscale_ratio = 8
    if frames:
        vae.latent_dim = 3
        vae.downscale_ratio = vae.upscale_ratio = (lambda count: count, 8, 8)
    return vae


def box_vae(channels: int = 4, scale: float = SD_SCALE, *, soft: bool = False, frames: bool = False) -> comfy.sd.VAE:
    """The 8x8 box-mean codec."""
    return vae_of(BoxMean(channels, scale, soft=soft), channels, frames=frames)


def lossless_vae() -> comfy.sd.VAE:
    """The codec that loses nothing, of 192 channels."""
    return vae_of(SpaceToDepth(), SpaceToDepth.CHANNELS)


def taesd_vae() -> comfy.sd.VAE:
    """A TAESD whose weights make it the soft 8x8 box-mean codec: what the recorded cases were made with, but slow."""
    weights = {name: torch.zeros_like(value) for name, value in TAESD().state_dict().items()}
    encoder, decoder = (_plain_convolutions(weights, part) for part in ("taesd_encoder", "taesd_decoder"))
    for colour in range(3):
        for name in (encoder[0], encoder[-1], *decoder):
            weights[name][colour, colour, 1, 1] = 1.0
        for halving in encoder[1:-1]:
            weights[halving][colour, colour, 1:, 1:] = 0.25
    weights["vae_scale"] = torch.tensor(SD_SCALE)
    weights["vae_shift"] = torch.tensor(-0.5 / SD_SCALE)
    return comfy.sd.VAE(sd=weights)


def _plain_convolutions(weights: dict[str, torch.Tensor], part: str) -> list[str]:
    """Weights of the convolutions outside of the residual blocks, in order; at zero, a block hands its input on."""
    names = (name for name, value in weights.items() if name.startswith(f"{part}.") and value.ndim == 4)
    return [name for name in names if name.count(".") == 2]


# --- conditioning and pipes ---------------------------------------------------------------------------------------


def conditioning(generator: torch.Generator, width: int = CONTEXT_WIDTH, **options: Any) -> Conditioning:
    """One random prompt."""
    return [[torch.randn(1, TOKENS, width, generator=generator), options]]


def unet_pipe(seed: int = 0, in_channels: int = 4, vae: Any = None, *, silent: bool = False) -> Pipe:
    """A BASIC_PIPE around ``unet_model``; the box codec unless another VAE is given."""
    generator = torch.Generator().manual_seed(seed + 1000)
    model = unet_model(seed, in_channels, silent=silent)
    positive, negative = conditioning(generator), conditioning(generator)
    return model, NoClip(), vae or box_vae(), positive, negative


def pipe_with(pipe: Pipe, **parts: Any) -> Any:
    """A BASIC_PIPE with some of its parts replaced."""
    names = ("model", "clip", "vae", "positive", "negative")
    return tuple(parts.get(name, part) for name, part in zip(names, pipe, strict=True))


def flow_pipe(channels: int = SD3_CHANNELS, vae: Any = None) -> Pipe:
    """A BASIC_PIPE around ``still_flow_model``."""
    return still_flow_model(channels), NoClip(), vae or box_vae(channels, FLOW_SCALE), pooled_prompt(), pooled_prompt()


def pooled_prompt(seed: int = 0) -> Conditioning:
    """A prompt with a pooled output."""
    generator = torch.Generator().manual_seed(seed)
    return conditioning(generator, pooled_output=torch.randn(1, POOLED_WIDTH, generator=generator))


# --- pictures and masks -------------------------------------------------------------------------------------------


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A smooth colour picture ``[1,H,W,3]`` in 0..1: a sum of low-frequency waves."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    colours = []
    for _ in range(3):
        waves = torch.zeros(height, width)
        for _ in range(6):
            up, across, phase = (torch.rand(3, generator=generator) * torch.tensor([9.0, 9.0, 6.28])).tolist()
            waves += torch.sin(up * rows * 6.28 + across * columns * 6.28 + phase)
        colours.append(0.5 + 0.07 * waves)
    return torch.stack(colours, -1).clamp(0, 1)[None]


def board(height: int, width: int, side: int = 3) -> torch.Tensor:
    """Black and white squares, 0 and 1."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((rows // side + columns // side) % 2).float()[None, ..., None].repeat(1, 1, 1, 3)


def strokes(height: int, width: int) -> torch.Tensor:
    """Black strokes on white, as of text, and single white pixels on black below."""
    made = torch.ones(1, height, width, 3)
    for x in range(3, width - 2, 7):
        made[:, 4 : height // 2 - 4, x : x + 2 + x % 3] = 0.0
    made[:, height // 2 :] = 0.0
    made[:, height // 2 + 3 :: 9, 5::8] = 1.0
    return made


def coloured(height: int, width: int) -> torch.Tensor:
    """Squares of pure colours."""
    made = board(height, width, 5)
    made[..., 1] = board(height, width, 7)[..., 0]
    made[..., 2] = 1 - board(height, width, 2)[..., 0]
    return made


def mask_of(height: int, width: int, *boxes: tuple[int, int, int, int]) -> torch.Tensor:
    """``[1,H,W]``: 1 within each box ``x1, y1, x2, y2``, else 0."""
    mask = torch.zeros(1, height, width)
    for x1, y1, x2, y2 in boxes:
        mask[0, y1:y2, x1:x2] = 1.0
    return mask


def called_through(model: Any, predict: Callable[[Any, dict[str, Any]], torch.Tensor]) -> Any:
    """The model, each call going through ``predict(apply, {"input", "timestep", "c"})``.

    In place of the model's own method: a wrapper that ComfyUI knows of would be a patch, and keep crops apart.
    """
    real = model.model.apply_model

    def apply_model(x: torch.Tensor, timestep: torch.Tensor, **c: Any) -> torch.Tensor:
        return predict(real, {"input": x, "timestep": timestep, "c": c})

    model = model.clone()
    model.add_object_patch("apply_model", apply_model)
    return model
