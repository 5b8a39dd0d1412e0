"""Tiny video models of ComfyUI's own classes beside Wan's, live seeded weights, and their codecs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import comfy.ldm.lightricks.vae.causal_video_autoencoder as lightricks
import comfy.sd
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.model_patcher import ModelPatcher
from engine.families import prompt
from engine.family_models import _give_weights, _model, wan_vae
from engine.tiny_models import CONTEXT_WIDTH, POOLED_WIDTH, TOKENS, NoClip, Pipe, vae_of


def vace_model() -> ModelPatcher:
    """A Wan of one block with one that reads control frames and masks."""
    shape = {
        "image_model": "wan2.1", "model_type": "vace", "dim": 48, "num_heads": 2, "ffn_dim": 64, "num_layers": 1,
        "text_dim": CONTEXT_WIDTH, "freq_dim": 32, "in_dim": 16, "out_dim": 16, "patch_size": (1, 2, 2),
        "vace_in_dim": 96, "vace_layers": 1,
    }  # fmt: skip
    return _model("WAN21_Vace", shape)


def wan_image_model(model_class: str, channels: int) -> ModelPatcher:
    """A Wan of one block that sees latents of a start picture or a control beside the noise."""
    shape = {
        "image_model": "wan2.1", "model_type": "i2v", "dim": 48, "num_heads": 2, "ffn_dim": 64, "num_layers": 1,
        "text_dim": CONTEXT_WIDTH, "freq_dim": 32, "in_dim": channels, "out_dim": 16, "patch_size": (1, 2, 2),
    }  # fmt: skip
    return _model(model_class, shape)


def ltx_model() -> ModelPatcher:
    shape = {
        "image_model": "ltxv", "num_layers": 1, "attention_head_dim": 16, "num_attention_heads": 4,
        "cross_attention_dim": 64, "caption_channels": CONTEXT_WIDTH,
    }  # fmt: skip
    return _model("LTXV", shape)


def hunyuan_model() -> ModelPatcher:
    shape = {
        "image_model": "hunyuan_video", "in_channels": 16, "out_channels": 16, "vec_in_dim": POOLED_WIDTH,
        "context_in_dim": CONTEXT_WIDTH, "hidden_size": 64, "mlp_ratio": 2.0, "num_heads": 2, "depth": 1,
        "depth_single_blocks": 1, "axes_dim": [8, 12, 12], "theta": 256, "patch_size": [1, 2, 2], "qkv_bias": True,
        "guidance_embed": True, "byt5": False, "meanflow": False, "use_cond_type_embedding": False,
        "vision_in_dim": None, "meanflow_sum": False,
    }  # fmt: skip
    return _model("HunyuanVideo", shape)


def _clips(codec: torch.nn.Module, channels: int, along_time: int, pixels: int) -> comfy.sd.VAE:
    """ComfyUI's VAE around a codec of clips, with what ComfyUI says of that kind."""
    vae: Any = vae_of(codec, channels, frames=True)
    vae.upscale_ratio = (lambda count: max(0, count * along_time - along_time + 1), pixels, pixels)
    vae.downscale_ratio = (lambda count: max(0, math.floor((count + along_time - 1) / along_time)), pixels, pixels)
    return vae


@functools.cache
def ltx_vae() -> comfy.sd.VAE:
    """A real LTX codec, narrow: a latent frame stands for 8, a cell for 32 pixels."""
    blocks = [["res_x", 1], ["compress_all", 1], ["compress_all", 1], ["compress_all", 1], ["res_x", 1]]
    config = {
        "dims": 3, "latent_channels": 128, "blocks": blocks, "norm_layer": "pixel_norm", "patch_size": 4,
        "latent_log_var": "uniform", "causal_decoder": False, "encoder_base_channels": 8, "decoder_base_channels": 8,
    }  # fmt: skip
    return _clips(_seeded(lambda: lightricks.VideoVAE(config=config)), 128, 8, 32)


@functools.cache
def hunyuan_vae() -> comfy.sd.VAE:
    """A real HunyuanVideo codec, narrow."""
    shape: dict[str, Any] = {
        "double_z": True, "z_channels": 16, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0, "conv3d": True,
        "time_compress": 4,
    }  # fmt: skip
    return _clips(_seeded(lambda: AutoencoderKL(ddconfig=shape, embed_dim=16)), 16, 4, 8)


def _seeded(make: Callable[[], torch.nn.Module], seed: int = 5) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = make()
        _give_weights(module, 1.0)
    statistics = getattr(module, "per_channel_statistics", None)
    for name, buffer in [] if statistics is None else statistics.named_buffers():
        buffer.fill_(float("std" in name))
    return module


def _pipe(model: Any, vae: Any, *, pooled: bool = False, **options: Any) -> Pipe:
    return model, NoClip(), vae, prompt(20, pooled=pooled, **options), prompt(21, pooled=pooled, **options)


VIDEO: dict[str, Callable[[], Pipe]] = {
    "wan vace": functools.cache(lambda: _pipe(vace_model(), wan_vae())),
    "wan image to video": functools.cache(lambda: _pipe(wan_image_model("WAN21_I2V", 36), wan_vae())),
    "wan fun control": functools.cache(lambda: _pipe(wan_image_model("WAN21_FunControl2V", 48), wan_vae())),
    "ltx": functools.cache(  # its text encoder always says which tokens count
        lambda: _pipe(ltx_model(), ltx_vae(), frame_rate=25, attention_mask=torch.ones(1, TOKENS))
    ),
    "hunyuan": functools.cache(lambda: _pipe(hunyuan_model(), hunyuan_vae(), pooled=True)),
}
CELLS = {"ltx": 8}  # frames that a latent frame stands for; others 4
