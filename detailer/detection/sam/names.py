"""Tensors' names: those of SAM's own files, and what ``transformers``, in whose classes SAM is run, calls them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What is replaced in a name, in this order. Dots stand for themselves.
_IN_BOTH = (
    (r"^(sam_)?prompt_encoder.point_embeddings.", "prompt_encoder.point_embed."),
    (r"^(sam_)?prompt_encoder.mask_downscaling.0.", "prompt_encoder.mask_embed.conv1."),
    (r"^(sam_)?prompt_encoder.mask_downscaling.1.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^(sam_)?prompt_encoder.mask_downscaling.3.", "prompt_encoder.mask_embed.conv2."),
    (r"^(sam_)?prompt_encoder.mask_downscaling.4.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^(sam_)?prompt_encoder.mask_downscaling.6.", "prompt_encoder.mask_embed.conv3."),
    (r"^(sam_)?mask_decoder.output_upscaling.0.", "mask_decoder.upscale_conv1."),
    (r"^(sam_)?mask_decoder.output_upscaling.1.", "mask_decoder.upscale_layer_norm."),
    (r"^(sam_)?mask_decoder.output_upscaling.3.", "mask_decoder.upscale_conv2."),
    (r"^sam_(prompt_encoder|mask_decoder).", r"\1."),
    (r".norm(\d|_final_attn).", r".layer_norm\1."),
)
_OF_SAM1 = (
    (r"^image_encoder.patch_embed.proj.", "vision_encoder.patch_embed.projection."),
    (r"^image_encoder.blocks.", "vision_encoder.layers."),
    (r"^image_encoder.neck.0.", "vision_encoder.neck.conv1."),
    (r"^image_encoder.neck.1.", "vision_encoder.neck.layer_norm1."),
    (r"^image_encoder.neck.2.", "vision_encoder.neck.conv2."),
    (r"^image_encoder.neck.3.", "vision_encoder.neck.layer_norm2."),
    (r"^image_encoder.", "vision_encoder."),
)
_OF_SAM2 = (
    (r"^image_encoder.trunk.patch_embed.proj.", "vision_encoder.backbone.patch_embed.projection."),
    (r"^image_encoder.trunk.", "vision_encoder.backbone."),
    (r"^image_encoder.neck.convs.(\d+).conv.", r"vision_encoder.neck.convs.\1."),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"(_attn[a-z_]*).out_proj.", r"\1.o_proj."),
)

# One tensor of SAM's files stands in two places: it encodes points, and the places of the picture's patches.
POSITIONS = re.compile(r"^(sam_)?prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$")
SHARED = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")

# What SAM 2 needs for videos alone, in its own files and in those of transformers
_FOR_VIDEO = re.compile(
    r"^(memory_|maskmem_|mask_downsample|no_mem_pos_enc$|no_obj_|obj_ptr_|no_memory_positional|object_pointer_"
    r"|no_object_pointer|occlusion_spatial|temporal_positional)"
)
# A row of linear layers, numbered in SAM's files; transformers has other names for the first and the last
_ROW = re.compile(
    r"^(.*\.(?:mlp|iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+))\.layers\.(\d+)\."
)


def for_videos_only(name: str) -> bool:
    """Whether a tensor of SAM 2 has no part in what it does with a single picture."""
    return _FOR_VIDEO.match(name) is not None


def in_transformers(names: Iterable[str], is_sam2: bool) -> dict[str, tuple[str, ...]]:
    """For each name in one of SAM's own files, all names that transformers has for the tensor."""
    names = list(names)
    last: dict[str, int] = {}
    for row in filter(None, map(_ROW.match, names)):
        last[row[1]] = max(last.get(row[1], 0), int(row[2]))
    rules = (*(_OF_SAM2 if is_sam2 else _OF_SAM1), *_IN_BOTH)
    compiled = [(re.compile(pattern.replace(".", r"\.")), made) for pattern, made in rules]
    return {name: SHARED if POSITIONS.match(name) else (_renamed(name, last, compiled),) for name in names}


def _renamed(name: str, last: dict[str, int], rules: list[tuple[re.Pattern[str], str]]) -> str:
    row = _ROW.match(name)
    if row is not None:
        number = int(row[2])
        place = "proj_in" if number == 0 else "proj_out" if number == last[row[1]] else f"layers.{number - 1}"
        name = f"{row[1]}.{place}.{name[row.end() :]}"
    for pattern, made in rules:
        name = pattern.sub(made, name)
    return name
