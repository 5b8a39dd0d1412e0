"""The parts of a pipe: how each is known, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable

import torch

SOURCES = {
    "model": "the MODEL output of a checkpoint loader",
    "clip": "the CLIP output of a checkpoint loader",
    "vae": "the VAE output of a checkpoint loader or 'Load VAE'",
    "positive": "a CONDITIONING such as the output of 'CLIP Text Encode'",
    "negative": "a CONDITIONING such as the output of 'CLIP Text Encode'",
}

NOT_NEEDED = "not needed"
"""Stands for a part of a pipe that is not asked for."""


def _is_model(value: object) -> bool:
    return hasattr(value, "model_options") and hasattr(value, "model")


def _is_vae(value: object) -> bool:
    return hasattr(value, "encode") and hasattr(value, "decode")


def _is_conditioning(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_entry, value))


def _is_entry(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return isinstance(value[0], torch.Tensor) and value[0].ndim > 2 and isinstance(value[1], dict)


def _is_negative(value: object) -> bool:
    return isinstance(value, str) or _is_conditioning(value)


# of those that are always looked at
PARTS: dict[str, Callable[[object], bool]] = {
    "model": _is_model,
    "vae": _is_vae,
    "positive": _is_conditioning,
    "negative": _is_negative,
}
KINDS = {"model": "MODEL", "vae": "VAE", "positive": "CONDITIONING", "negative": "CONDITIONING"}
