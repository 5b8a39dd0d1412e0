"""From a segment's text to what is encoded: choices made, LoRA tags taken out and loaded, parts split."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any

from .. import host
from ..values import BasicPipe
from .wildcards import Wildcards, expand

logger = logging.getLogger("mask_detailer")

_TAG = re.compile(r"<lora:([^<>]*)>")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
_FILES_KEPT = 8
_MODELS_KEPT = 4


@dataclass(frozen=True)
class LoraBlocks:
    """A weight for each block of the model, in the words of the Inspire Pack's block weight loader."""

    vector: str
    A: float = 1.0
    B: float = 1.0

    @classmethod
    def parse(cls, text: str) -> LoraBlocks:
        """``[preset:]vector;A=x;B=y``; the preset's name is left out, and what is no number is 1."""
        vector, *rest = (part.strip() for part in text.split(";"))
        given = {name.strip().upper(): _number(value) for name, _, value in (part.partition("=") for part in rest)}
        return cls(vector.rpartition(":")[2].strip(), *(_or(given.get(name), 1.0) for name in "AB"))


@dataclass(frozen=True)
class Lora:
    """A ``<lora:name:weight:clip weight:LBW=...>`` tag."""

    name: str
    model_weight: float = 1.0
    clip_weight: float = 1.0
    blocks: LoraBlocks | None = None

    @classmethod
    def parse(cls, text: str) -> Lora:
        """What stands between ``<lora:`` and ``>``. The first number is the model's weight, the second the CLIP's."""
        text, _, blocks = text.partition(":LBW=")
        name, *rest = text.split(":")
        numbers = [number for number in map(_number, rest) if number is not None]
        weight = numbers[0] if numbers else 1.0
        clip_weight = numbers[1] if len(numbers) > 1 else weight
        return cls(name.strip(), weight, clip_weight, LoraBlocks.parse(blocks) if blocks else None)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _or(number: float | None, default: float) -> float:
    return default if number is None else number


def without_loras(text: str) -> tuple[str, tuple[Lora, ...]]:
    """The text without its LoRA tags, and the LoRAs in their order; of the same name only the first."""
    loras: dict[str, Lora] = {}
    for tag in _TAG.findall(text):
        lora = Lora.parse(tag)
        loras.setdefault(lora.name, lora)
    return _TAG.sub("", text), tuple(loras.values())


def parts_of(text: str) -> list[str]:
    """The parts between ``BREAK``, trimmed, empty ones left out; one empty part if there is no other."""
    return [part.strip() for part in text.split("BREAK") if part.strip()] or [""]


class Prompts:
    """Reads segments' texts. One serves a whole run, so that files are looked for and read once."""

    def __init__(self) -> None:
        loader = lru_cache(_FILES_KEPT)(lambda name: host.models.lora_loader())
        # nothing here refers to this object: ComfyUI wants patched models to go as soon as the run is over
        self._patched = lru_cache(_MODELS_KEPT)(partial(_patched, loader))

    @cached_property
    def _wildcards(self) -> Wildcards:
        return Wildcards(host.folders.wildcard_folders())

    def read(self, text: str, seed: int, pipe: BasicPipe) -> tuple[BasicPipe, list[str]]:
        """What to encode for a segment, and with what.

        Args:
            seed: the segment's; its choices follow from it.

        Returns:
            the pipe whose model and CLIP have the LoRAs of the text's tags, and the parts to encode one by one.
        """
        chosen = expand(text, seed, self._wildcards)
        if chosen != text:
            logger.info("seed %d makes the text: %s", seed, chosen)
        rest, loras = without_loras(chosen)
        if loras:
            model, clip = self._patched(pipe.model, pipe.clip, loras)
            pipe = pipe._replace(model=model, clip=clip)
        return pipe, parts_of(rest)


def _patched(loader: Callable[[str], Any], model: Any, clip: Any, loras: tuple[Lora, ...]) -> tuple[Any, Any]:
    """Model and CLIP with the LoRAs that ComfyUI has."""
    for lora in loras:
        name = host.models.find_lora(lora.name)
        if name is None:
            logger.warning("no LoRA has the name %s: its tag has no effect", lora.name)
        else:
            model, clip = _with(loader(name), model, clip, replace(lora, name=name))
    return model, clip


def _with(loader: Any, model: Any, clip: Any, lora: Lora) -> tuple[Any, Any]:
    weights, blocks = (lora.model_weight, lora.clip_weight), lora.blocks
    if blocks is not None:
        patched = host.models.with_lora_blocks(model, clip, lora.name, *weights, blocks.A, blocks.B, blocks.vector)
        if patched is not None:
            return patched
        logger.warning("LoRA %s: LBW needs the Inspire Pack; loaded with one weight for all blocks", lora.name)
    return host.models.with_lora(loader, model, clip, lora.name, *weights)
