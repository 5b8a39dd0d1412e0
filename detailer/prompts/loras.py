"""LoRA tags in prompts, and which file a name means. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..host.models import LoraBlocks

_TAG = re.compile(r"<lora:([^<>]*)>")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")


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
        return cls(name.strip(), weight, clip_weight, _blocks(blocks) if blocks else None)


def _blocks(text: str) -> LoraBlocks:
    """``[preset:]vector;A=x;B=y``; the preset's name is left out, and what is no number is 1."""
    vector, *rest = (part.strip() for part in text.split(";"))
    given = {name.strip().upper(): _number(value) for name, _, value in (part.partition("=") for part in rest)}
    return LoraBlocks(vector.rpartition(":")[2].strip(), *(_or(given.get(name), 1.0) for name in "AB"))


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


def find_lora(name: str, listed: Sequence[str], endings: tuple[str, ...]) -> str | None:
    """The file that a name in a text means, None if there is none.

    Without a model file's ending, ``.safetensors`` is meant. The whole name counts first, then the end of a path from a
    folder on, then any end. Only the list is looked through: a path elsewhere on the disk is never opened.

    Args:
        listed: the LoRA files there are, by their paths under ComfyUI's folders.
        endings: how a model file's name may end, dot included.
    """
    wanted = name.replace("\\", "/")
    if not wanted.strip("/"):
        return None
    if not wanted.lower().endswith(endings):
        wanted += ".safetensors"
    paths = {entry.replace("\\", "/"): entry for entry in listed}
    for fits in (wanted.__eq__, lambda entry: entry.endswith(f"/{wanted}"), lambda entry: entry.endswith(wanted)):
        for entry in paths:
            if fits(entry):
                return paths[entry]
    return None
