"""From a segment's text to what is encoded: choices made, LoRA tags taken out and loaded, parts split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Protocol

from .. import host
from ..host.protocols import Clip, Conditioning, Model
from ..values import BasicPipe
from .loras import Lora, find_lora, without_loras
from .wildcard_files import Wildcards, wildcard_folders
from .wildcards import expand

logger = logging.getLogger("mask_detailer")

_FILES_KEPT = 8
_MODELS_KEPT = 4


def parts_of(text: str) -> list[str]:
    """The parts between ``BREAK``, trimmed, empty ones left out; one empty part if there is no other."""
    return [part.strip() for part in text.split("BREAK") if part.strip()] or [""]


class Prompts:
    """Reads segments' texts. One serves a whole run, so that files are looked for and read once."""

    def __init__(self) -> None:
        self._chosen: dict[tuple[str, int], str] = {}
        loader = lru_cache(_FILES_KEPT)(lambda name: host.models.lora_loader())
        # nothing here refers to this object: ComfyUI wants patched models to go as soon as the run is over
        self._patched = lru_cache(_MODELS_KEPT)(partial(_patched, loader))

    @cached_property
    def _wildcards(self) -> Wildcards:
        return Wildcards(wildcard_folders())

    def read(self, text: str, seed: int, pipe: BasicPipe) -> tuple[BasicPipe, list[str]]:
        """What to encode for a segment, and with what.

        Args:
            seed: the segment's; its choices follow from it.

        Returns:
            the pipe whose model and CLIP have the LoRAs of the text's tags, and the parts to encode one by one.
        """
        return self.loaded(self.chosen(text, seed), pipe)

    def chosen(self, text: str, seed: int) -> str:
        """The text with every choice made; LoRA tags stay."""
        known = self._chosen.get((text, seed))
        if known is not None:
            return known
        chosen = self._chosen[text, seed] = expand(text, seed, self._wildcards)
        if chosen != text:
            logger.info("seed %d makes the text: %s", seed, chosen)
        return chosen

    def sources(self, text: str, seed: int) -> tuple[object, ...]:
        """All that what is encoded for a segment follows from, beside the CLIP: its text with every choice made, and
        the files that it names, by when they were written.
        """
        chosen = self.chosen(text, seed)
        listed, endings = host.models.lora_names(), host.models.model_file_endings()
        names = [find_lora(lora.name, listed, endings) for lora in without_loras(chosen)[1]]
        loras = [host.files.facts("loras", name) for name in names if name is not None]
        return chosen, loras, host.files.embedding_facts(chosen)

    def loaded(self, text: str, pipe: BasicPipe) -> tuple[BasicPipe, list[str]]:
        """The pipe with the LoRAs of a text in which all choices are made, and the text's parts without the tags."""
        rest, loras = without_loras(text)
        if loras:
            model, clip = self._patched(pipe.model, pipe.clip, loras)
            pipe = pipe._replace(model=model, clip=clip)
        return pipe, parts_of(rest)


class ClipEncoder(Protocol):
    """ComfyUI's CLIPTextEncode, or what encodes like it."""

    def encode(self, clip: object, text: str) -> tuple[Conditioning]: ...


def encoded(clip: Clip | None, parts: Sequence[str], encoder: ClipEncoder | None = None) -> Conditioning:
    """A text's parts, each encoded by itself, their tokens one after another.

    Args:
        encoder: encodes instead of ComfyUI's own way.

    Raises:
        ValueError: without a CLIP.
    """

    def encode(part: str) -> Conditioning:
        return host.text.encode_text(clip, part) if encoder is None else encoder.encode(clip, part)[0]

    own = encode(parts[0])
    for part in parts[1:]:
        own = host.text.join_conditioning(own, encode(part))
    return own


def _patched(
    loader: Callable[[str], object], model: Model, clip: Clip | None, loras: tuple[Lora, ...]
) -> tuple[Model, Clip | None]:
    """Model and CLIP with the LoRAs that ComfyUI has."""
    for lora in loras:
        name = find_lora(lora.name, host.models.lora_names(), host.models.model_file_endings())
        if name is None:
            logger.warning("no LoRA has the name %s: its tag has no effect", lora.name)
        else:
            model, clip = _with(loader(name), model, clip, replace(lora, name=name))
    return model, clip


def _with(loader: object, model: Model, clip: Clip | None, lora: Lora) -> tuple[Model, Clip | None]:
    weights = lora.model_weight, lora.clip_weight
    if lora.blocks is not None:
        patched = host.models.with_lora_blocks(model, clip, lora.name, weights, lora.blocks)
        if patched is not None:
            return patched
        logger.warning("LoRA %s: LBW needs the Inspire Pack; loaded with one weight for all blocks", lora.name)
    return host.models.with_lora(loader, model, clip, lora.name, weights)
