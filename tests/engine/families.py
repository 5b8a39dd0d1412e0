"""One tiny real model of every family that people detail with: ComfyUI's own model classes, live seeded weights.

Each has a pipe, the widgets that it needs, and levers: changes that such a model must answer to.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import comfy.ldm.chroma_radiance.model
import comfy.ldm.wan.vae
import comfy.model_base
import comfy.model_management
import comfy.sd
import comfy.supported_models
import torch
from comfy.model_patcher import ModelPatcher
from engine.tiny_models import (
    CONTEXT_WIDTH,
    FLOW_SCALE,
    POOLED_WIDTH,
    SD3_CHANNELS,
    TOKENS,
    BoxMean,
    Conditioning,
    NoClip,
    Pipe,
    box_vae,
    mask_of,
    picture,
    pipe_with,
    unet_model,
    vae_of,
)

SIZE = (96, 176)
EQUAL = [(16, 16, 32, 32), (64, 16, 80, 32), (112, 16, 128, 32), (16, 64, 32, 80)]
OTHER = (96, 64, 120, 80)
BOXES = [*EQUAL, OTHER]
PLACEHOLDER = "NegativePlaceholder"
FLUX_SCALE = 0.18
FLUX_CHANNELS = 16

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


# --- models -------------------------------------------------------------------------------------------------------


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
