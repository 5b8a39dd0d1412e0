"""The families' tiny models and codecs, of ComfyUI's own classes and with live seeded weights."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import comfy.ldm.chroma_radiance.model
import comfy.ldm.wan.vae
import comfy.model_base
import comfy.model_management
import comfy.sd
import comfy.supported_models
import torch
from comfy.model_patcher import ModelPatcher
from engine.tiny_models import CONTEXT_WIDTH, FLOW_SCALE, POOLED_WIDTH, SD3_CHANNELS, BoxMean, unet_model, vae_of

FLUX_SCALE = 0.18
FLUX_CHANNELS = 16


def _give_weights(module: torch.nn.Module, gain: float) -> None:
    """Weights of a deviation that keeps signals at their size times ``gain``; norms at 1, biases at 0."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1 and not name.endswith("gamma"):
            torch.nn.init.normal_(parameter, std=gain / math.sqrt(parameter[0].numel()))
        else:
            torch.nn.init.constant_(parameter, float(name.endswith(("weight", "scale", "gamma"))))


def _model(model_class: str, shape: dict[str, Any], seed: int = 0, gain: float = 1.0) -> ModelPatcher:
    """A model of a class of ``comfy.supported_models`` and a shape as ComfyUI finds in a file.

    A higher ``gain`` makes it answer more to prompts and references, which reach it through attention.
    """
    config = getattr(comfy.supported_models, model_class)({**shape, "dtype": torch.float32})
    config.set_inference_dtype(torch.float32, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = config.get_model({}, "", device="cpu")
        _give_weights(model, gain)
    return ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def v_prediction_model() -> ModelPatcher:
    """The SD1.x-shaped UNet, its output taken as velocity."""
    model = unet_model()
    kind = comfy.model_base.ModelType.V_PREDICTION
    model.model.model_type = kind
    model.model.model_sampling = comfy.model_base.model_sampling(model.model.model_config, kind)
    return model


def sd3_model() -> ModelPatcher:
    """An MMDiT of one block."""
    shape = {
        "in_channels": SD3_CHANNELS, "depth": 1, "input_size": None, "pos_embed_scaling_factor": None,
        "adm_in_channels": POOLED_WIDTH,
        "context_embedder_config": {
            "target": "torch.nn.Linear", "params": {"in_features": CONTEXT_WIDTH, "out_features": 64},
        },
    }  # fmt: skip
    return _model("SD3", shape, gain=1.2)


_FLUX = {
    "image_model": "flux", "in_channels": FLUX_CHANNELS, "out_channels": FLUX_CHANNELS, "vec_in_dim": POOLED_WIDTH,
    "context_in_dim": CONTEXT_WIDTH, "hidden_size": 64, "mlp_ratio": 2.0, "num_heads": 2, "depth": 1,
    "depth_single_blocks": 1, "axes_dim": [8, 12, 12], "theta": 10000, "patch_size": 2, "qkv_bias": True,
    "guidance_embed": True, "txt_ids_dims": [],
}  # fmt: skip


def flux_model() -> ModelPatcher:
    """One double and one single block."""
    return _model("Flux", _FLUX, gain=1.25)


def flux_fill_model() -> ModelPatcher:
    """Sees the masked picture's latent and 64 channels of mask too."""
    return _model("FluxInpaint", {**_FLUX, "in_channels": 2 * FLUX_CHANNELS + 64}, gain=1.25)


def flux2_model() -> ModelPatcher:
    """128 channels at 16 pixels a cell; no pooled output."""
    shape = {
        **_FLUX, "image_model": "flux2", "in_channels": 128, "out_channels": 128, "vec_in_dim": None,
        "axes_dim": [8, 8, 8, 8], "theta": 2000, "patch_size": 1, "qkv_bias": False, "txt_ids_dims": [3],
        "global_modulation": True, "mlp_silu_act": True, "ops_bias": False, "default_ref_method": "index",
        "ref_index_scale": 10.0,
    }  # fmt: skip
    return _model("Flux2", shape, gain=2.0)


def wan_model(model_class: str = "WAN21_T2V", in_channels: int = 16) -> ModelPatcher:
    """A video model of one block."""
    shape = {
        "image_model": "wan2.1", "model_type": "t2v", "dim": 48, "num_heads": 2, "ffn_dim": 64, "num_layers": 1,
        "text_dim": CONTEXT_WIDTH, "freq_dim": 32, "in_dim": in_channels, "out_dim": 16, "patch_size": (1, 2, 2),
    }  # fmt: skip
    return _model(model_class, shape)


def qwen_image_model() -> ModelPatcher:
    """An image model with latents of one frame."""
    shape = {
        "image_model": "qwen_image", "in_channels": 64, "out_channels": 16, "num_layers": 1, "attention_head_dim": 32,
        "num_attention_heads": 2, "joint_attention_dim": CONTEXT_WIDTH, "axes_dims_rope": (8, 12, 12),
    }  # fmt: skip
    return _model("QwenImage", shape, gain=1.5)


def pixel_model() -> ModelPatcher:
    """A Chroma Radiance: pixels in, pixels out."""
    shape = {
        "in_channels": 3, "out_channels": 3, "vec_in_dim": 0, "context_in_dim": CONTEXT_WIDTH, "hidden_size": 64,
        "mlp_ratio": 2.0, "num_heads": 2, "depth": 1, "depth_single_blocks": 1, "axes_dim": [8, 12, 12],
        "theta": 10000, "patch_size": 8, "qkv_bias": True, "in_dim": 64, "out_dim": 64, "hidden_dim": 64,
        "n_layers": 1, "txt_ids_dims": [], "nerf_hidden_size": 8, "nerf_mlp_ratio": 1, "nerf_depth": 1,
        "nerf_max_freqs": 4, "nerf_tile_size": 0, "nerf_final_head_type": "conv", "nerf_embedder_dtype": torch.float32,
        "use_x0": False, "use_sequential_txt_ids": False,
    }  # fmt: skip
    known = {entry.name for entry in dataclasses.fields(comfy.ldm.chroma_radiance.model.ChromaRadianceParams)}
    shape = {name: value for name, value in shape.items() if name in known}
    return _model("ChromaRadiance", {"image_model": "chroma_radiance", **shape})


def with_small_lora(model: ModelPatcher, seed: int = 3, rank: int = 2) -> ModelPatcher:
    """The UNet with a LoRA on its text attention, by the names that LoRA files use."""
    generator = torch.Generator().manual_seed(seed)
    lora = {}
    for name, weight in model.model.state_dict().items():
        if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight", "attn1.to_q.weight")):
            key = "lora_unet_" + name.removeprefix("diffusion_model.").removesuffix(".weight").replace(".", "_")
            lora[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], rank, generator=generator) * 0.3
            lora[f"{key}.lora_down.weight"] = torch.randn(rank, weight.shape[1], generator=generator) * 0.3
            lora[f"{key}.alpha"] = torch.tensor(float(rank))
    assert lora
    patched = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]
    assert patched.patches
    return patched


def hard_mask(_sigma: torch.Tensor, mask: torch.Tensor, extra_options: Any = None) -> torch.Tensor:
    """A denoise mask function of a user's own: all or nothing."""
    return (mask > 0.5).to(mask.dtype)


def with_own_mask_function(model: ModelPatcher) -> ModelPatcher:
    model = model.clone()
    model.set_model_denoise_mask_function(hard_mask)
    return model


# --- codecs -------------------------------------------------------------------------------------------------------


@functools.cache
def wan_vae(width: int = 8, seed: int = 5) -> comfy.sd.VAE:
    """A real Wan 2.1 VAE, narrow, with random weights: latents ``[B,16,frames,h,w]``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = comfy.ldm.wan.vae.WanVAE(
            dim=width, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
            temperal_downsample=[False, True, True],
        )  # fmt: skip
        _give_weights(module, 1.0)
    return comfy.sd.VAE(sd=module.state_dict())


class Coarse(torch.nn.Module):
    """A codec on the picture at half its size: a cell covers twice the pixels a side."""

    def __init__(self, codec: torch.nn.Module) -> None:
        super().__init__()
        self.codec = codec

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.codec.encode(torch.nn.functional.avg_pool2d(pixels, 2))

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return self.codec.decode(latent).repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)


def coarse_vae(channels: int = 128) -> comfy.sd.VAE:
    """The box codec with cells of 16 pixels."""
    vae = vae_of(Coarse(BoxMean(channels, FLOW_SCALE)), channels)
    vae.downscale_ratio = vae.upscale_ratio = 16
    return vae


def pixel_vae() -> comfy.sd.VAE:
    """ComfyUI's codec for models that work on pixels."""
    return comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})
