"""Which SAM a file holds, told by its tensors' names and shapes; its configuration; and the network built of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from .files import SamFileError, Tensors
from .names import SHARED, for_videos_only, in_transformers
from .networks import Sam1, Sam2, SamNetwork

if TYPE_CHECKING:
    from transformers import Sam2Config, SamConfig

DECODER_HEADS = 8  # of the mask decoder's attention; no tensor shows it
SAM2_SIDE = 1024  # pixels: SAM 2 sees every picture as a square of this size
SAM2_STRIDE = 4  # pixels of it to a place of the finest features
MOST_NAMED = 3


@dataclass(frozen=True)
class Hiera:
    """What of SAM 2's picture encoder no tensor shows, as its authors published it with the weights.

    Attributes:
        heads: of the first stage's attention; each further stage has twice as many.
        windows: sides of the windows that attention is limited to, a stage each.
        everywhere: the blocks whose attention is not limited.
    """

    name: str
    heads: int
    windows: tuple[int, int, int, int]
    everywhere: tuple[int, ...]


HIERAS: dict[tuple[int, tuple[int, ...]], Hiera] = {
    (96, (1, 2, 7, 2)): Hiera("tiny", 1, (8, 4, 14, 7), (5, 7, 9)),
    (96, (1, 2, 11, 2)): Hiera("small", 1, (8, 4, 14, 7), (7, 10, 13)),
    (112, (2, 3, 16, 3)): Hiera("base plus", 2, (8, 4, 14, 7), (12, 16, 20)),
    (144, (2, 6, 36, 4)): Hiera("large", 2, (8, 4, 16, 8), (23, 33, 43)),
}
"""By channels of the first stage, and blocks in each."""

_WIDTHS = {768: "base", 1024: "large", 1280: "huge"}

# What other networks have that people keep beside SAM: a piece of a tensor's name, and what they are called
_OTHERS = (
    ("hf_token", "SAM-HQ"),
    ("hq_token", "SAM-HQ"),
    ("image_encoder.patch_embed.seq.", "MobileSAM"),
    ("image_encoder.backbone.", "EfficientViT-SAM"),
    ("detector.backbone.", "SAM 3, which 'Load Checkpoint' and 'Detector Provider (SAM3)' load"),
    ("detector_model.", "SAM 3"),
    ("model.0.conv.", "a YOLO model"),
)


@dataclass(frozen=True)
class Sam:
    """A SAM ready to be asked.

    Attributes:
        name: which one it is, such as ``SAM 2.1 tiny``.
    """

    name: str
    network: SamNetwork


def build(tensors: Tensors) -> Sam:
    """The SAM that tensors are the weights of, in float32 on the CPU; it has them to itself.

    Raises:
        SamFileError: for another network, for a SAM of unknown size, where tensors are missing or do not fit, and where
            the installed ``transformers`` does not know it.
    """
    names = list(tensors)
    for sign, name in _OTHERS:
        if any(sign in each for each in names):
            raise SamFileError(f"is {name}; this node loads SAM 1 (vit_b, vit_l, vit_h), SAM 2 and SAM 2.1")
    for start in ("image_encoder.blocks.", "vision_encoder.layers."):
        if f"{start}0.attn.rel_pos_h" in tensors:
            return _sam1(_renamed(tensors, is_sam2=False) if start.startswith("image") else tensors)
    for start in ("image_encoder.trunk.", "vision_encoder.backbone."):
        if f"{start}pos_embed_window" in tensors:
            newer = any("no_obj_embed_spatial" in each or "occlusion_spatial" in each for each in names)
            seen = {name: tensor for name, tensor in tensors.items() if not for_videos_only(name)}
            return _sam2(_renamed(seen, is_sam2=True) if start.startswith("image") else seen, newer)
    raise SamFileError(f"holds no SAM: its tensors have names such as {_some(names)}")


def _sam1(tensors: Tensors) -> Sam:
    import transformers

    shapes = _Shapes(tensors)
    config = sam1_config(shapes)
    with torch.device("meta"):
        net = transformers.SamModel(config)
    _fill(net, tensors)
    width = shapes.of("vision_encoder.pos_embed")[3]
    heads = width // shapes.of("vision_encoder.layers.0.attn.rel_pos_h")[1]
    size = _WIDTHS.get(width, f"with {width} channels")
    return Sam(f"SAM 1 {size}", Sam1(net, int(config.vision_config.image_size), heads))  # type: ignore[union-attr]


def _sam2(tensors: Tensors, newer: bool) -> Sam:
    import transformers

    if not hasattr(transformers, "Sam2Model"):
        raise SamFileError(
            f"is SAM 2, which the installed transformers {transformers.__version__} does not know; update the Python "
            "package transformers to 4.56 or later, or take a file of SAM 1"
        )
    shapes = _Shapes(tensors)
    hiera, _ = _hiera(shapes)
    with torch.device("meta"):
        net = transformers.Sam2Model(sam2_config(shapes))
    _fill(net, tensors)
    return Sam(f"SAM {'2.1' if newer else '2'} {hiera.name}", Sam2(net, SAM2_SIDE, hiera.heads * 4))


class _Shapes:
    """Tensors' shapes, by the names of ``transformers``."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.all = {name: tuple(tensor.shape) for name, tensor in tensors.items()}

    def of(self, name: str) -> tuple[int, int, int, int]:
        """The shape of one, filled up with ones.

        Raises:
            SamFileError: where it is missing or has a side of 0.
        """
        shape = self.all.get(name)
        if shape is None:
            raise SamFileError(f"is no whole SAM: it lacks {name}")
        if 0 in shape or len(shape) > 4:
            raise SamFileError(f"is broken: {name} has the shape {list(shape)}")
        filled = (*shape, 1, 1, 1, 1)
        return filled[0], filled[1], filled[2], filled[3]

    def count(self, start: str) -> int:
        """How many numbered parts there are under a name."""
        numbers = {
            int(found[1]) for name in self.all if (found := re.match(rf"{re.escape(start)}\.(\d{{1,4}})\.", name))
        }
        return max(numbers, default=-1) + 1


def sam1_config(shapes: _Shapes) -> SamConfig:
    """SAM 1's, all of it from the shapes: depth, width, heads, windows, the picture's side.

    A block's relative positions are ``2 * side - 1`` for windows of that side; a block without windows has the whole
    picture's.
    """
    import transformers

    width, channels, patch, _ = shapes.of("vision_encoder.patch_embed.projection.weight")
    _, side, _, _ = shapes.of("vision_encoder.pos_embed")
    blocks = [
        shapes.of(f"vision_encoder.layers.{n}.attn.rel_pos_h")[:2] for n in range(shapes.count("vision_encoder.layers"))
    ]
    windows = {(rows + 1) // 2 for rows, _ in blocks} - {side}
    head = blocks[0][1]
    if len(windows) > 1 or width % head:
        raise SamFileError("is a SAM 1 of a build that this node doesn't know")
    vision = {
        "hidden_size": width,
        "output_channels": shapes.of("vision_encoder.neck.conv1.weight")[0],
        "num_hidden_layers": len(blocks),
        "num_attention_heads": width // head,
        "num_channels": channels,
        "image_size": side * patch,
        "patch_size": patch,
        "mlp_dim": shapes.of("vision_encoder.layers.0.mlp.lin1.weight")[0],
        "window_size": windows.pop() if windows else side,
        "global_attn_indexes": [n for n, (rows, _) in enumerate(blocks) if (rows + 1) // 2 == side],
        "num_pos_feats": shapes.of(SHARED[0])[1],
    }
    wide = shapes.of("mask_decoder.transformer.layers.0.mlp.lin1.weight")[0]
    return transformers.SamConfig(
        vision_config=vision,
        prompt_encoder_config=_prompt(shapes) | {"image_size": side * patch, "patch_size": patch},
        mask_decoder_config=_decoder(shapes) | {"mlp_dim": wide},
    )


def sam2_config(shapes: _Shapes) -> Sam2Config:
    """SAM 2's: sizes from the shapes, and what they don't show from ``HIERAS``."""
    import transformers

    hiera, stages = _hiera(shapes)
    width = shapes.of("vision_encoder.backbone.patch_embed.projection.weight")[0]
    widths = [width * 2**n for n in range(len(stages))]
    sides = [SAM2_SIDE // SAM2_STRIDE // 2**n for n in range(3)]
    background = shapes.of("vision_encoder.backbone.pos_embed")
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": width,
        "num_attention_heads": hiera.heads,
        "image_size": [SAM2_SIDE, SAM2_SIDE],
        "window_positional_embedding_background_size": list(background[2:]),
        "blocks_per_stage": list(stages),
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [hiera.heads * 2**n for n in range(len(stages))],
        "window_size_per_stage": list(hiera.windows),
        "global_attention_blocks": list(hiera.everywhere),
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": widths[::-1],
        "backbone_feature_sizes": [[side, side] for side in sides],
        "fpn_hidden_size": shapes.of("vision_encoder.neck.convs.0.weight")[0],
    }
    wide = shapes.of("mask_decoder.transformer.layers.0.mlp.proj_in.weight")[0]
    return transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config=_prompt(shapes) | {"image_size": SAM2_SIDE},
        mask_decoder_config=_decoder(shapes) | {"mlp_dim": wide},
    )


def _hiera(shapes: _Shapes) -> tuple[Hiera, tuple[int, ...]]:
    """The picture encoder, and how many blocks each of its stages has: the first of a later one widens."""
    width = shapes.of("vision_encoder.backbone.patch_embed.projection.weight")[0]
    count = shapes.count("vision_encoder.backbone.blocks")
    starts = [0, *(n for n in range(count) if f"vision_encoder.backbone.blocks.{n}.proj.weight" in shapes.all), count]
    stages = tuple(after - start for start, after in pairwise(starts))
    if (width, stages) not in HIERAS:
        raise SamFileError(f"is a SAM 2 of a size that this node doesn't know ({width} channels, {stages} blocks)")
    return HIERAS[width, stages], stages


def _prompt(shapes: _Shapes) -> dict[str, int]:
    return {
        "hidden_size": shapes.of("prompt_encoder.no_mask_embed.weight")[1],
        "mask_input_channels": shapes.of("prompt_encoder.mask_embed.conv3.weight")[1],
    }


def _decoder(shapes: _Shapes) -> dict[str, int]:
    tokens, width, _, _ = shapes.of("mask_decoder.mask_tokens.weight")
    narrow = shapes.of("mask_decoder.transformer.final_attn_token_to_image.q_proj.weight")[0]
    return {
        "hidden_size": width,
        "num_hidden_layers": shapes.count("mask_decoder.transformer.layers"),
        "num_attention_heads": DECODER_HEADS,
        "attention_downsample_rate": max(width // narrow, 1),
        "num_multimask_outputs": tokens - 1,
        "iou_head_depth": shapes.count("mask_decoder.iou_prediction_head.layers") + 2,
        "iou_head_hidden_dim": shapes.of("mask_decoder.iou_prediction_head.proj_in.weight")[0],
    }


def _renamed(tensors: Tensors, is_sam2: bool) -> Tensors:
    return {new: tensors[old] for old, all_new in in_transformers(tensors, is_sam2).items() for new in all_new}


def _fill(net: torch.nn.Module, tensors: Tensors) -> None:
    """Give a network without values the tensors, copied and as float32.

    Raises:
        SamFileError: where they are not the ones that it has, all of them.
    """
    wanted = net.state_dict()
    given = _shared_filled(_joined_points(tensors) if "prompt_encoder.point_embed.weight" in wanted else tensors)
    if missing := wanted.keys() - given.keys():
        raise SamFileError(f"is no whole SAM: it lacks {_some(missing)}")
    if unknown := given.keys() - wanted.keys():
        raise SamFileError(f"is a variant of SAM that this node doesn't know: it also has {_some(unknown)}")
    for name, place in wanted.items():
        if place.shape != given[name].shape:
            found = f"{list(given[name].shape)}, not {list(place.shape)}"
            raise SamFileError(f"is broken or an unknown variant of SAM: {name} has the shape {found}")
    net.load_state_dict({name: given[name].to(torch.float32, copy=True) for name in wanted}, assign=True)
    net.eval().requires_grad_(False)


def _joined_points(tensors: Tensors) -> Tensors:
    """SAM 2's embeddings of the kinds of points, a tensor each in its own files, are one in ``transformers``."""
    each = re.compile(r"prompt_encoder\.point_embed\.(\d)\.weight$")
    rows = {int(found[1]): tensors[name] for name in tensors if (found := each.match(name))}
    rest = {name: tensor for name, tensor in tensors.items() if not each.match(name)}
    return rest | {"prompt_encoder.point_embed.weight": torch.cat([rows[n] for n in sorted(rows)])} if rows else rest


def _shared_filled(tensors: Tensors) -> Tensors:
    """Where a file has the shared tensor at one of its places only, it is at the other too."""
    known = next((tensors[name] for name in SHARED if name in tensors), None)
    return tensors if known is None else dict.fromkeys(SHARED, known) | tensors


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - MOST_NAMED} more" if len(ordered) > MOST_NAMED else ""
    return ", ".join(ordered[:MOST_NAMED]) + more
