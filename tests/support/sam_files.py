"""SAM's weights at random, with the names of its own files and those of transformers, and small ones to be quick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Named = tuple[str, str, tuple[int, ...]]
"""A tensor: its name in SAM's own files, in transformers, and its shape. Several may have one name in transformers."""


@dataclass(frozen=True)
class Vit:
    """SAM 1's picture encoder. Sides are in patches of 16 pixels."""

    width: int = 32
    depth: int = 4
    heads: int = 2
    side: int = 12
    window: int = 5
    everywhere: tuple[int, ...] = (1, 3)
    out: int = 64


VIT_B = Vit(768, 12, 12, 64, 14, (2, 5, 8, 11), 256)
VIT_L = Vit(1024, 24, 16, 64, 14, (5, 11, 17, 23), 256)
VIT_H = Vit(1280, 32, 16, 64, 14, (7, 15, 23, 31), 256)


@dataclass(frozen=True)
class HieraSize:
    """SAM 2's picture encoder."""

    width: int
    heads: int
    stages: tuple[int, ...]
    windows: tuple[int, ...]
    everywhere: tuple[int, ...]
    background: int = 7
    out: int = 256


TINY = HieraSize(96, 1, (1, 2, 7, 2), (8, 4, 14, 7), (5, 7, 9))
SMALL = HieraSize(96, 1, (1, 2, 11, 2), (8, 4, 14, 7), (7, 10, 13))
BASE_PLUS = HieraSize(112, 2, (2, 3, 16, 3), (8, 4, 14, 7), (12, 16, 20), 14)
LARGE = HieraSize(144, 2, (2, 6, 36, 4), (8, 4, 16, 8), (23, 33, 43))
MINI = HieraSize(16, 1, (1, 1, 2, 1), (8, 4, 14, 7), (3,), out=64)
"""Nobody's: for tests that should be quick."""


def _linear(own: str, other: str, out: int, given: int) -> Iterator[Named]:
    yield f"{own}.weight", f"{other}.weight", (out, given)
    yield f"{own}.bias", f"{other}.bias", (out,)


def _conv(own: str, other: str, shape: tuple[int, ...], bias: int) -> Iterator[Named]:
    yield f"{own}.weight", f"{other}.weight", shape
    if bias:
        yield f"{own}.bias", f"{other}.bias", (bias,)


def _norm(own: str, other: str, width: int) -> Iterator[Named]:
    yield f"{own}.weight", f"{other}.weight", (width,)
    yield f"{own}.bias", f"{other}.bias", (width,)


def _row(own: str, other: str, widths: tuple[int, ...]) -> Iterator[Named]:
    places = ["proj_in", *(f"layers.{n}" for n in range(len(widths) - 3)), "proj_out"]
    for n, (place, given, out) in enumerate(zip(places, widths, widths[1:], strict=False)):
        yield from _linear(f"{own}.layers.{n}", f"{other}.{place}", out, given)


def _prompts(own: str, width: int, is_sam2: bool) -> Iterator[Named]:
    positions = "prompt_encoder.shared_embedding.positional_embedding"
    yield f"{own}.pe_layer.positional_encoding_gaussian_matrix", positions, (2, width // 2)
    for n in range(4):
        other = "prompt_encoder.point_embed.weight" if is_sam2 else f"prompt_encoder.point_embed.{n}.weight"
        yield f"{own}.point_embeddings.{n}.weight", other, (1, width)
    for name in ("not_a_point_embed", "no_mask_embed"):
        yield f"{own}.{name}.weight", f"prompt_encoder.{name}.weight", (1, width)
    masks, other = f"{own}.mask_downscaling", "prompt_encoder.mask_embed"
    yield from _conv(f"{masks}.0", f"{other}.conv1", (4, 1, 2, 2), 4)
    yield from _norm(f"{masks}.1", f"{other}.layer_norm1", 4)
    yield from _conv(f"{masks}.3", f"{other}.conv2", (16, 4, 2, 2), 16)
    yield from _norm(f"{masks}.4", f"{other}.layer_norm2", 16)
    yield from _conv(f"{masks}.6", f"{other}.conv3", (width, 16, 1, 1), width)


def _attention(own: str, other: str, width: int, inner: int, is_sam2: bool) -> Iterator[Named]:
    for name in ("q_proj", "k_proj", "v_proj"):
        yield from _linear(f"{own}.{name}", f"{other}.{name}", inner, width)
    yield from _linear(f"{own}.out_proj", f"{other}.{'o_proj' if is_sam2 else 'out_proj'}", width, inner)


def _decoder(own: str, width: int, is_sam2: bool) -> Iterator[Named]:
    other = "mask_decoder"
    for n in range(2):
        mine, its = f"{own}.transformer.layers.{n}", f"{other}.transformer.layers.{n}"
        yield from _attention(f"{mine}.self_attn", f"{its}.self_attn", width, width, is_sam2)
        for name in ("cross_attn_token_to_image", "cross_attn_image_to_token"):
            yield from _attention(f"{mine}.{name}", f"{its}.{name}", width, width // 2, is_sam2)
        for norm in range(1, 5):
            yield from _norm(f"{mine}.norm{norm}", f"{its}.layer_norm{norm}", width)
        if is_sam2:
            yield from _row(f"{mine}.mlp", f"{its}.mlp", (width, 2048, width))
        else:
            yield from _linear(f"{mine}.mlp.lin1", f"{its}.mlp.lin1", 2048, width)
            yield from _linear(f"{mine}.mlp.lin2", f"{its}.mlp.lin2", width, 2048)
    last = "transformer.final_attn_token_to_image"
    yield from _attention(f"{own}.{last}", f"{other}.{last}", width, width // 2, is_sam2)
    yield from _norm(f"{own}.transformer.norm_final_attn", f"{other}.transformer.layer_norm_final_attn", width)
    for name, count in (("iou_token", 1), ("mask_tokens", 4), *([("obj_score_token", 1)] if is_sam2 else [])):
        yield f"{own}.{name}.weight", f"{other}.{name}.weight", (count, width)
    up = f"{own}.output_upscaling"
    yield from _conv(f"{up}.0", f"{other}.upscale_conv1", (width, width // 4, 2, 2), width // 4)
    yield from _norm(f"{up}.1", f"{other}.upscale_layer_norm", width // 4)
    yield from _conv(f"{up}.3", f"{other}.upscale_conv2", (width // 4, width // 8, 2, 2), width // 8)
    for n in range(4):
        name = f"output_hypernetworks_mlps.{n}"
        yield from _row(f"{own}.{name}", f"{other}.{name}", (width, width, width, width // 8))
    yield from _row(f"{own}.iou_prediction_head", f"{other}.iou_prediction_head", (width, 256, 256, 4))
    if is_sam2:
        yield from _row(f"{own}.pred_obj_score_head", f"{other}.pred_obj_score_head", (width, width, width, 1))
        yield from _conv(f"{own}.conv_s0", f"{other}.conv_s0", (width // 8, width, 1, 1), width // 8)
        yield from _conv(f"{own}.conv_s1", f"{other}.conv_s1", (width // 4, width, 1, 1), width // 4)


def sam1_tensors(size: Vit) -> Iterator[Named]:
    """What a file of SAM 1 holds."""
    own, other, width = "image_encoder", "vision_encoder", size.width
    yield f"{own}.pos_embed", f"{other}.pos_embed", (1, size.side, size.side, width)
    yield from _conv(f"{own}.patch_embed.proj", f"{other}.patch_embed.projection", (width, 3, 16, 16), width)
    for n in range(size.depth):
        mine, its = f"{own}.blocks.{n}", f"{other}.layers.{n}"
        side = size.side if n in size.everywhere else size.window
        for axis in "hw":
            name = f"attn.rel_pos_{axis}"
            yield f"{mine}.{name}", f"{its}.{name}", (2 * side - 1, width // size.heads)
        for norm in (1, 2):
            yield from _norm(f"{mine}.norm{norm}", f"{its}.layer_norm{norm}", width)
        yield from _linear(f"{mine}.attn.qkv", f"{its}.attn.qkv", 3 * width, width)
        yield from _linear(f"{mine}.attn.proj", f"{its}.attn.proj", width, width)
        yield from _linear(f"{mine}.mlp.lin1", f"{its}.mlp.lin1", 4 * width, width)
        yield from _linear(f"{mine}.mlp.lin2", f"{its}.mlp.lin2", width, 4 * width)
    yield from _conv(f"{own}.neck.0", f"{other}.neck.conv1", (size.out, width, 1, 1), 0)
    yield from _norm(f"{own}.neck.1", f"{other}.neck.layer_norm1", size.out)
    yield from _conv(f"{own}.neck.2", f"{other}.neck.conv2", (size.out, size.out, 3, 3), 0)
    yield from _norm(f"{own}.neck.3", f"{other}.neck.layer_norm2", size.out)
    yield from _prompts("prompt_encoder", size.out, is_sam2=False)
    yield from _decoder("mask_decoder", size.out, is_sam2=False)


def sam2_tensors(size: HieraSize) -> Iterator[Named]:
    """What a file of SAM 2 holds for pictures."""
    own, other, width = "image_encoder.trunk", "vision_encoder.backbone", size.width
    yield f"{own}.pos_embed", f"{other}.pos_embed", (1, width, size.background, size.background)
    yield f"{own}.pos_embed_window", f"{other}.pos_embed_window", (1, width, size.windows[0], size.windows[0])
    yield from _conv(f"{own}.patch_embed.proj", f"{other}.patch_embed.projection", (width, 3, 7, 7), width)
    n, given = 0, width
    widths = [width * 2**stage for stage in range(len(size.stages))]
    for out, blocks in zip(widths, size.stages, strict=True):
        for _ in range(blocks):
            mine, its = f"{own}.blocks.{n}", f"{other}.blocks.{n}"
            yield from _norm(f"{mine}.norm1", f"{its}.layer_norm1", given)
            yield from _norm(f"{mine}.norm2", f"{its}.layer_norm2", out)
            yield from _linear(f"{mine}.attn.qkv", f"{its}.attn.qkv", 3 * out, given)
            yield from _linear(f"{mine}.attn.proj", f"{its}.attn.proj", out, out)
            yield from _row(f"{mine}.mlp", f"{its}.mlp", (out, 4 * out, out))
            if given != out:
                yield from _linear(f"{mine}.proj", f"{its}.proj", out, given)
            n, given = n + 1, out
    for n, wide in enumerate(reversed(widths)):
        mine, its = f"image_encoder.neck.convs.{n}.conv", f"vision_encoder.neck.convs.{n}"
        yield from _conv(mine, its, (size.out, wide, 1, 1), size.out)
    yield "no_mem_embed", "no_memory_embedding", (1, 1, size.out)
    yield from _prompts("sam_prompt_encoder", size.out, is_sam2=True)
    yield from _decoder("sam_mask_decoder", size.out, is_sam2=True)


def for_videos(newer: bool) -> dict[str, torch.Tensor]:
    """Some of what SAM 2 has besides, for videos; the last only 2.1."""
    names = ["maskmem_tpos_enc", "no_mem_pos_enc", "no_obj_ptr", "memory_attention.norm.weight", "mask_downsample.bias"]
    names += ["memory_encoder.out_proj.bias", "obj_ptr_proj.layers.0.bias"]
    names += ["obj_ptr_tpos_proj.bias", "no_obj_embed_spatial"] if newer else []
    return {name: torch.zeros(4) for name in names}


@dataclass(frozen=True)
class Weights:
    """One model's weights under both kinds of names."""

    own: dict[str, torch.Tensor]
    others: dict[str, torch.Tensor]


def random_weights(tensors: Iterator[Named], seed: int = 1) -> Weights:
    """Such that masks have edges and scores differ."""
    generator = torch.Generator().manual_seed(seed)
    own: dict[str, torch.Tensor] = {}
    parts: dict[str, list[torch.Tensor]] = {}
    for name, other, shape in tensors:
        made = torch.randn(shape, generator=generator)
        if "norm" in name.rpartition(".")[0].rpartition(".")[2] and name.endswith("weight"):
            made = 1 + 0.1 * made
        elif name.endswith("bias"):
            made *= 0.1
        elif len(shape) > 1 and name.endswith("weight") and "embed" not in name.rpartition(".")[0].rpartition(".")[2]:
            made *= (made[0].numel()) ** -0.5
        own[name] = made
        parts.setdefault(other, []).append(made)
    others = {name: torch.cat(each) for name, each in parts.items()}
    shared = "prompt_encoder.shared_embedding.positional_embedding"
    return Weights(own, others | {"shared_image_embedding.positional_embedding": others[shared]})


def sam1_in_transformers(size: Vit) -> Any:
    """The configuration as someone would write it who knows the model."""
    from transformers import SamConfig

    side = size.side * 16
    vision = dict(
        hidden_size=size.width, num_hidden_layers=size.depth, num_attention_heads=size.heads, image_size=side,
        window_size=size.window, global_attn_indexes=list(size.everywhere), output_channels=size.out,
        num_pos_feats=size.out // 2,
    )  # fmt: skip
    prompt = dict(hidden_size=size.out, image_size=side)
    return SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=dict(hidden_size=size.out))


def sam2_in_transformers(size: HieraSize) -> Any:
    """The same for SAM 2."""
    from transformers import Sam2Config

    widths = [size.width * 2**n for n in range(4)]
    backbone = dict(
        model_type="sam2_hiera_det_model", hidden_size=size.width, num_attention_heads=size.heads,
        blocks_per_stage=list(size.stages), embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[size.heads * 2**n for n in range(4)],
        window_size_per_stage=list(size.windows), global_attention_blocks=list(size.everywhere),
        window_positional_embedding_background_size=[size.background] * 2,
    )  # fmt: skip
    vision = dict(
        model_type="sam2_vision_model", backbone_config=backbone, backbone_channel_list=widths[::-1],
        fpn_hidden_size=size.out,
    )  # fmt: skip
    return Sam2Config(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=size.out),
        mask_decoder_config=dict(hidden_size=size.out),
    )


def transformers_folder(folder: Path, config: Any, weights: Weights) -> Path:
    """A folder as ``from_pretrained`` reads it."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    config.save_pretrained(folder)
    alone = {name: tensor.clone() for name, tensor in weights.others.items()}
    save_file(alone, str(folder / "model.safetensors"), metadata={"format": "pt"})
    return folder
