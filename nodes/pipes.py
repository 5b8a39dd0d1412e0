"""Nodes of the pipes group: a model with all that sampling needs, on one wire."""

from __future__ import annotations

from typing import Any

from ..detailer.values import BasicPipe
from . import inputs
from .checks import Door

PART_TYPES = ("MODEL", "CLIP", "VAE", "CONDITIONING", "CONDITIONING")
PART_TOOLTIPS = (
    "The diffusion model.",
    "The text encoder.",
    "The VAE.",
    "The positive conditioning.",
    "The negative conditioning.",
)
PIPE_TOOLTIP = "Model, clip, vae, positive and negative on one wire."
CATEGORY = "ImpactPack/Pipe"


class ToBasicPipe:
    """Bundles five connections into one."""

    DESCRIPTION = "Puts a model, clip, vae, positive and negative conditioning on one wire, a BASIC_PIPE."
    SEARCH_ALIASES = ("basic pipe", "bundle model clip vae", "pipe in")
    RETURN_TYPES = ("BASIC_PIPE",)
    RETURN_NAMES = ("basic_pipe",)
    OUTPUT_TOOLTIPS = (PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": inputs.pipe_parts()}

    def doit(self, model: Any, clip: Any, vae: Any, positive: Any, negative: Any) -> tuple[tuple[Any, ...]]:
        return ((model, clip, vae, positive, negative),)


class FromBasicPipe:
    """Splits a BASIC_PIPE."""

    DESCRIPTION = "Splits a BASIC_PIPE into its model, clip, vae, positive and negative conditioning."
    SEARCH_ALIASES = ("basic pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = PART_TYPES
    RETURN_NAMES = BasicPipe._fields
    OUTPUT_TOOLTIPS = PART_TOOLTIPS
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"basic_pipe": inputs.link("BASIC_PIPE", PIPE_TOOLTIP)}}

    def doit(self, basic_pipe: Any) -> tuple[Any, ...]:
        return tuple(Door("FromBasicPipe").five_parts(basic_pipe))


class FromBasicPipe_v2:
    """Splits a BASIC_PIPE and hands it on."""

    DESCRIPTION = "Splits a BASIC_PIPE into its five parts, and gives the pipe itself first so that wires can go on."
    SEARCH_ALIASES = ("basic pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = ("BASIC_PIPE", *PART_TYPES)
    RETURN_NAMES = ("basic_pipe", *BasicPipe._fields)
    OUTPUT_TOOLTIPS = ("The pipe that came in.", *PART_TOOLTIPS)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"basic_pipe": inputs.link("BASIC_PIPE", PIPE_TOOLTIP)}}

    def doit(self, basic_pipe: Any) -> tuple[Any, ...]:
        return (basic_pipe, *Door("FromBasicPipe_v2").five_parts(basic_pipe))


class EditBasicPipe:
    """Replaces parts of a BASIC_PIPE."""

    DESCRIPTION = "Gives a new BASIC_PIPE in which each connected input replaces that part; the others stay."
    SEARCH_ALIASES = ("basic pipe", "change pipe", "replace model in pipe")
    RETURN_TYPES = ("BASIC_PIPE",)
    RETURN_NAMES = ("basic_pipe",)
    OUTPUT_TOOLTIPS = (PIPE_TOOLTIP,)
    FUNCTION = "doit"
    CATEGORY = CATEGORY

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"basic_pipe": inputs.link("BASIC_PIPE", "The pipe to change; it is left as it is.")},
            "optional": {
                name: inputs.link(kind, f"Replaces the pipe's {name}; not connected, it stays.")
                for name, (kind, _) in inputs.pipe_parts().items()
            },
        }

    def doit(self, basic_pipe: Any, **parts: Any) -> tuple[tuple[Any, ...]]:
        changed = {name: part for name, part in parts.items() if part is not None}
        return (tuple(Door("EditBasicPipe").five_parts(basic_pipe)._replace(**changed)),)


NODE_CLASS_MAPPINGS = {
    "ToBasicPipe": ToBasicPipe,
    "FromBasicPipe": FromBasicPipe,
    "FromBasicPipe_v2": FromBasicPipe_v2,
    "EditBasicPipe": EditBasicPipe,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ToBasicPipe": "ToBasicPipe",
    "FromBasicPipe": "FromBasicPipe",
    "FromBasicPipe_v2": "FromBasicPipe_v2",
    "EditBasicPipe": "Edit BasicPipe",
}
