"""ComfyUI's detection models, small and with random weights, built from its own classes.

Only ComfyUI 0.24.0 and later have them; nothing is imported before one is asked for.
"""

from __future__ import annotations

import functools
from typing import Any
from unittest.mock import patch

import torch
from engine.tiny_models import _patcher
from torch import nn

TEXT_WIDTH = 64


def _randomized(model: nn.Module, seed: int, deviation: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=deviation, generator=generator)
        elif parameter.numel() > 1 or name.endswith("bias"):  # RT-DETR's other single numbers are settings
            nn.init.constant_(parameter, float(name.endswith("weight")))


@functools.cache
def rtdetr(seed: int = 0) -> Any:
    """An RT-DETR of a narrow backbone that gives 20 boxes for each picture."""
    import comfy.supported_models
    from comfy.ldm.rt_detr.rtdetr_v4 import HGNetv2

    stages = [
        [64, 8, 128, 1, False, False, 3, 1],
        [128, 8, 512, 1, True, False, 3, 1],
        [512, 8, 1024, 1, True, True, 5, 1],
        [1024, 8, 2048, 1, True, True, 5, 1],
    ]
    sizes = {"enc_h": 32, "dec_h": 32, "enc_ff": 32, "dec_ff": 32, "num_queries": 20}
    config = comfy.supported_models.RT_DETR_v4({"image_model": "RT_DETR_v4", **sizes})
    config.set_inference_dtype(torch.float32, None)
    with patch.object(HGNetv2, "_STAGE_CFGS", stages):
        model = config.get_model({}, device="cpu").eval()
    _randomized(model, seed, 0.1)
    return _patcher(model)


@functools.cache
def sam3(kind: str = "SAM3", seed: int = 0) -> Any:
    """A SAM3 or SAM31 with one block and one layer; text works on what is found through the decoder alone."""
    import comfy.supported_models

    sizes = {"embed_dim": TEXT_WIDTH, "d_model": 32, "depth": 1, "num_queries": 8}
    config = getattr(comfy.supported_models, kind)({"image_model": kind, **sizes})
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, device="cpu").eval()
    detector = model.diffusion_model.detector
    detector.transformer.encoder.layers = detector.transformer.encoder.layers[:0]  # the slow ones on a CPU
    detector.transformer.decoder.layers = detector.transformer.decoder.layers[:1]
    detector.geometry_encoder.encode = detector.geometry_encoder.encode[:1]
    _randomized(model, seed, 0.2)
    return _patcher(model)


class TinyClip:
    """A CLIP for SAM3: each text is a few random tokens, the same for the same text."""

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> list[list[Any]]:
        generator = torch.Generator().manual_seed(sum(text.encode()))
        tokens = torch.randn(1, 4, TEXT_WIDTH, generator=generator)
        return [[tokens, {"attention_mask": torch.ones(1, 4, dtype=torch.int64)}]]


# A face in units of a sixteenth of the picture's longer side from its middle: part -> centre and radii.
FACE_SHAPE = {
    "face_oval": (0.0, 0.0, 3.0, 4.0),
    "right_eye": (-1.2, -1.0, 0.5, 0.3),
    "left_eye": (1.2, -1.0, 0.5, 0.3),
    "right_eyebrow": (-1.2, -1.6, 0.6, 0.2),
    "left_eyebrow": (1.2, -1.6, 0.6, 0.2),
    "lips": (0.0, 2.0, 1.0, 0.5),
    "irises": (0.0, -1.0, 1.2, 0.1),
    "nose": (0.0, 0.5, 0.3, 0.5),
}
FACE_SCORE = 0.9
POINTS = 8  # of each part


@functools.cache
def face_model(roll: float = 0.0) -> Any:
    """MediaPipe's face model as its loader makes it, that sees one face of ``FACE_SHAPE`` in every picture."""
    from comfy_extras.nodes_mediapipe import FaceLandmarkerModel

    return FaceLandmarkerModel(face_weights(roll))


def face_weights(roll: float = 0.0) -> dict[str, torch.Tensor]:
    """What the file of that model holds.

    Random weights, but for the last layers: those are zero, and their biases say what is found, so that it is known
    exactly. ``roll``: radians by which the face leans.
    """
    from comfy_extras.mediapipe.face_landmarker import FaceLandmarker

    weights: dict[str, torch.Tensor] = {}
    for variant, side in (("short", 128), ("full", 192)):
        model = FaceLandmarker(detector_variant=variant)
        _randomized(model, 0, 0.1)
        # a box of eight sides about each anchor: all overlap, and are averaged to one in the middle. Then six points
        box = torch.tensor([0.0, 0.0, 8.0, 8.0, -1.0, 0.0, 1.0, 0.0, *[0.0] * 8]) * side
        for name, value in model.detector.named_parameters():
            if name.startswith(("cls_", "reg_")):
                nn.init.zeros_(value)
                if name.endswith("bias") and "_conv" not in name:
                    score = torch.logit(torch.tensor(FACE_SCORE)).expand(value.shape[0])
                    value.data.copy_(score if name.startswith("cls_") else box.repeat(value.shape[0] // 16))
        nn.init.zeros_(model.mesh.head_landmarks.weight)
        model.mesh.head_landmarks.bias.data.copy_(_landmarks(roll).flatten())
        for name, value in model.state_dict().items():
            weights[name.replace("detector.", f"detector_{variant}.", 1)] = value
    for number, part in enumerate(FACE_SHAPE):
        points = torch.arange(number * POINTS, (number + 1) * POINTS, dtype=torch.int32)
        weights[f"topology.{part}"] = torch.stack([points, points.roll(-1)], dim=1)
    weights |= {
        "canonical_vertices": torch.randn(468, 3),
        "procrustes_indices": torch.arange(33),
        "procrustes_weights": torch.ones(33),
    }
    return weights


def face_points(part: str, width: int, height: int, roll: float = 0.0) -> torch.Tensor:
    """Where ``face_model`` sees a part in a picture of that size, ``[8,2]`` in pixels: in closed form."""
    unit = max(width, height) / 16
    return torch.tensor([width / 2, height / 2]) + unit * _part(part, roll)


def _part(part: str, roll: float) -> torch.Tensor:
    x, y, across, down = FACE_SHAPE[part]
    angles = torch.arange(POINTS) * (2 * torch.pi / POINTS)
    points = torch.stack([x + across * angles.cos(), y + down * angles.sin()], dim=1)
    cos, sin = torch.cos(torch.tensor(roll)), torch.sin(torch.tensor(roll))
    return points @ torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])


def _landmarks(roll: float) -> torch.Tensor:
    """``[478,3]`` in the mesh's own picture of 192 pixels, which is 12 pictures wide."""
    landmarks = torch.full((478, 3), 96.0)
    parts = torch.cat([_part(part, roll) for part in FACE_SHAPE])
    landmarks[: len(parts), :2] += parts
    return landmarks
