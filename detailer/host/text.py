"""Prompts as conditioning: encoding, joining, and the guidance of distilled models."""

from __future__ import annotations

from .nodes import first_output, node_class
from .protocols import Clip, Conditioning


def encode_text(clip: Clip | None, text: str) -> Conditioning:
    """A prompt as conditioning.

    Raises:
        ValueError: without a CLIP.
    """
    if clip is None:
        raise ValueError("there is no CLIP to encode a text with")
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def join_conditioning(first: Conditioning, second: Conditioning) -> Conditioning:
    """Both prompts' tokens one after another, in every entry of the first (ComfyUI's ConditioningConcat)."""
    return first_output(node_class("nodes", "ConditioningConcat"), first, second)


def with_guidance(positive: Conditioning, guidance: float) -> Conditioning:
    """The positive with the distilled guidance set."""
    import node_helpers

    return node_helpers.conditioning_set_values(positive, {"guidance": guidance})
