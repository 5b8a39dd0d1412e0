"""What the tiny model is told: one fixed pair of tensors for each kind of part. There is no text encoder."""

from __future__ import annotations

import torch
from torch import Tensor

KINDS = ("face", "lettering", "foliage", "weave", "emblem", "generic")
TOKENS, CONTEXT_WIDTH, POOLED_WIDTH = 4, 32, 16
_SEED = 4_711


def vectors(kind: str = "generic") -> tuple[Tensor, Tensor]:
    """(context `[1, TOKENS, CONTEXT_WIDTH]`, pooled `[1, POOLED_WIDTH]`) of a kind; "generic" fits every
    picture.

    Raises ValueError for a kind that is not in `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"vectors: kind must be one of {', '.join(KINDS)}, not {kind!r}")
    gen = torch.Generator().manual_seed(_SEED + KINDS.index(kind))
    return torch.randn(1, TOKENS, CONTEXT_WIDTH, generator=gen), torch.randn(1, POOLED_WIDTH, generator=gen)


def conditioning(kind: str = "generic") -> list[list]:
    """The same as a ComfyUI CONDITIONING."""
    context, pooled = vectors(kind)
    return [[context, {"pooled_output": pooled}]]
