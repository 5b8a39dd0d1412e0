"""Nodes of the pipes group: a model with all that sampling needs, on one wire."""

from __future__ import annotations

from ..detailer.values import BasicPipe
from . import schema
from .registry import PIPE, Node
from .schema import InputTypes

PART_TYPES = ("MODEL", "CLIP", "VAE", "CONDITIONING", "CONDITIONING")
PART_TOOLTIPS = (
    "The diffusion model.",
    "The text encoder.",
    "The VAE.",
    "The positive conditioning.",
    "The negative conditioning.",
)
PIPE_TOOLTIP = "Model, clip, vae, positive and negative on one wire."

Made = tuple[tuple[object, ...]]  # a pipe, as the one output that it is


class ToBasicPipe(Node, menu=PIPE):
    """Bundles five connections into one."""

    DESCRIPTION = "Puts a model, clip, vae, positive and negative conditioning on one wire, a BASIC_PIPE."
    SEARCH_ALIASES = ("basic pipe", "bundle model clip vae", "pipe in")
    RETURN_TYPES = ("BASIC_PIPE",)
    RETURN_NAMES = ("basic_pipe",)
    OUTPUT_TOOLTIPS = (PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": schema.pipe_parts()}

    def doit(self, model: object, clip: object, vae: object, positive: object, negative: object) -> Made:
        return ((model, clip, vae, positive, negative),)


class FromBasicPipe(Node, menu=PIPE):
    """Splits a BASIC_PIPE."""

    DESCRIPTION = "Splits a BASIC_PIPE into its model, clip, vae, positive and negative conditioning."
    SEARCH_ALIASES = ("basic pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = PART_TYPES
    RETURN_NAMES = BasicPipe._fields
    OUTPUT_TOOLTIPS = PART_TOOLTIPS

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"basic_pipe": schema.link("BASIC_PIPE", PIPE_TOOLTIP)}}

    def doit(self, basic_pipe: object) -> tuple[object, ...]:
        return tuple(self.door.five_parts(basic_pipe))


class FromBasicPipe_v2(Node, menu=PIPE):
    """Splits a BASIC_PIPE and hands it on."""

    DESCRIPTION = "Splits a BASIC_PIPE into its five parts, and gives the pipe itself first so that wires can go on."
    SEARCH_ALIASES = ("basic pipe", "unpack pipe", "pipe out")
    RETURN_TYPES = ("BASIC_PIPE", *PART_TYPES)
    RETURN_NAMES = ("basic_pipe", *BasicPipe._fields)
    OUTPUT_TOOLTIPS = ("The pipe that came in.", *PART_TOOLTIPS)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"basic_pipe": schema.link("BASIC_PIPE", PIPE_TOOLTIP)}}

    def doit(self, basic_pipe: object) -> tuple[object, ...]:
        return (basic_pipe, *self.door.five_parts(basic_pipe))


class EditBasicPipe(Node, name="Edit BasicPipe", menu=PIPE):
    """Replaces parts of a BASIC_PIPE."""

    DESCRIPTION = "Gives a new BASIC_PIPE in which each connected input replaces that part; the others stay."
    SEARCH_ALIASES = ("basic pipe", "change pipe", "replace model in pipe")
    RETURN_TYPES = ("BASIC_PIPE",)
    RETURN_NAMES = ("basic_pipe",)
    OUTPUT_TOOLTIPS = (PIPE_TOOLTIP,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {"basic_pipe": schema.link("BASIC_PIPE", "The pipe to change; it is left as it is.")},
            "optional": {
                name: schema.link(kind, f"Replaces the pipe's {name}; not connected, it stays.")
                for name, kind in zip(BasicPipe._fields, PART_TYPES, strict=True)
            },
        }

    def doit(self, basic_pipe: object, **parts: object) -> Made:
        changed = {name: part for name, part in parts.items() if part is not None}
        pipe = self.door.five_parts(basic_pipe)._asdict() | changed
        return (tuple(pipe[part] for part in BasicPipe._fields),)
