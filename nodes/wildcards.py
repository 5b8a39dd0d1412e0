"""Nodes of the prompt group: choices and wildcard lists in a text, made visible and kept."""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import ClassVar, cast

from ..detailer import host
from ..detailer.host.protocols import Clip, Conditioning, Model
from ..detailer.prompts.populate import MODES, POPULATE, mode_of
from ..detailer.prompts.reader import ClipEncoder, Prompts, encoded
from ..detailer.prompts.wildcard_files import Wildcards, wildcard_folders
from ..detailer.values import BasicPipe, wrapped_seed
from . import schema
from .registry import PROMPT, Node
from .schema import Inputs, InputTypes, Shown, Unread

POPULATED = "The text with all choices made."


def wildcard_names() -> list[str]:
    """``__name__`` of each list."""
    return [f"__{name}__" for name in Wildcards(wildcard_folders())]


def _texts() -> Inputs:
    wildcard = "The text with choices in braces and wildcard lists, __name__. Lines that start with # are left out."
    populated = (
        "The text with all choices made, as it is used. Written anew each time the workflow is queued, unless mode is "
        "fixed; then it is yours to edit."
    )
    mode = (
        "populate: choices are made anew when the workflow is queued. fixed: the populated text is used as it stands. "
        "reproduce: once as it stands, as in a workflow from a saved picture, then populate again."
    )
    return {
        "wildcard_text": ("STRING", {"multiline": True, "dynamicPrompts": False, "tooltip": wildcard}),
        "populated_text": ("STRING", {"multiline": True, "dynamicPrompts": False, "tooltip": populated}),
        "mode": (list(MODES), {"default": POPULATE, "tooltip": mode}),
    }


def _choice(first: str, names: list[str]) -> schema.Input:
    tooltip = "Choosing one adds it to the text. Has no effect when the workflow runs."
    return Unread([first, *names]), {"tooltip": tooltip}


def _wildcard_choice() -> schema.Input:
    return _choice("Select the Wildcard to add to the text", wildcard_names())


def _seed() -> schema.Input:
    return schema.seed("The choices follow from it: the same seed, text and lists make the same text.")


class _Populating(Node):
    """A node with a text and a populated text."""

    checks_itself = True
    get_wildcard_list: ClassVar = staticmethod(wildcard_names)

    @classmethod
    def VALIDATE_INPUTS(cls, mode: object = None) -> bool | str:
        """Older prompts have it on or off; None stands for a link."""
        if mode is None or mode_of(mode) is not None:
            return True
        return f"{cls.ID}, input 'mode': it is none of {', '.join(MODES)}"

    def populated(self, given: dict[str, object], reader: Prompts) -> str:
        """The text to use, from the widgets' values."""
        mode = mode_of(given.get("mode", POPULATE))
        values = self.checked({**given, "mode": given.get("mode") if mode is None else mode})
        if mode_of(values["mode"]) is None:
            raise self.door.error(
                "mode", f"'{values['mode']}' is none of its choices", f"Give one of {', '.join(MODES)}"
            )
        text = values["wildcard_text" if mode == POPULATE else "populated_text"]
        return reader.chosen(cast(str, text), cast(int, values["seed"]))


def _shown(text: str, result: tuple[object, ...]) -> Shown:
    """On the page the node's populated text becomes the one that was used."""
    return {"ui": {"populated": [text]}, "result": result}


class ImpactWildcardProcessor(_Populating, menu=PROMPT):
    """A text with its choices made."""

    DESCRIPTION = "Makes the choices in a text, in braces and of wildcard lists. What was made stays on the node."
    SEARCH_ALIASES = ("wildcard", "dynamic prompt", "random prompt", "populate")
    RETURN_TYPES = ("STRING",)
    OUTPUT_TOOLTIPS = (POPULATED,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {**_texts(), "seed": _seed(), "Select to add Wildcard": _wildcard_choice()}}

    @staticmethod
    def process(*, text: str, seed: int) -> str:
        """A text with its choices made, as other packs call it."""
        return Prompts().chosen(text, wrapped_seed(int(seed)))

    def doit(self, **given: object) -> Shown:
        text = self.populated(given, Prompts())
        return _shown(text, (text,))


class ImpactWildcardEncode(_Populating, menu=PROMPT):
    """A text with its choices made, encoded, its LoRAs loaded."""

    DESCRIPTION = (
        "Makes the choices in a text, loads the LoRAs that its tags name, and encodes it. BREAK parts it into pieces "
        "that are encoded one by one."
    )
    SEARCH_ALIASES = ("wildcard encode", "lora tag", "dynamic prompt", "random prompt")
    RETURN_TYPES = ("MODEL", "CLIP", "CONDITIONING", "STRING")
    RETURN_NAMES = ("model", "clip", "conditioning", "populated_text")
    OUTPUT_TOOLTIPS = (
        "The model with the LoRAs of the text.",
        "The clip with the LoRAs of the text.",
        "The encoded text.",
        "The text with all choices made, LoRA tags and all.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "model": schema.link("MODEL", "The diffusion model; it gets the LoRAs."),
                "clip": schema.link("CLIP", "The text encoder; it gets the LoRAs too."),
                **_texts(),
                "Select to add LoRA": _choice("Select the LoRA to add to the text", host.models.lora_names()),
                "Select to add Wildcard": _wildcard_choice(),
                "seed": _seed(),
            }
        }

    @staticmethod
    def process_with_loras(
        wildcard_opt: str,
        model: Model,
        clip: Clip,
        clip_encoder: ClipEncoder | None = None,
        seed: int | None = None,
        processed: MutableSequence[str] | None = None,
    ) -> tuple[Model, Clip | None, Conditioning]:
        """Model and CLIP with the LoRAs of a text, and the text encoded, as other packs call it.

        Args:
            clip_encoder: encodes instead of ComfyUI's own way.
            seed: of the choices; None: always the same.
            processed: the text with its choices made is added to it.
        """
        reader = Prompts()
        text = reader.chosen(wildcard_opt, wrapped_seed(int(seed or 0)))
        if processed is not None:
            processed.append(text)
        return _encoded(reader, text, model, clip, clip_encoder)

    def doit(self, model: Model, clip: Clip, **given: object) -> Shown:
        if clip is None:
            raise self.door.error("clip", "there is none", "Connect a CLIP, such as the output of a checkpoint loader")
        reader = Prompts()
        text = self.populated(given, reader)
        return _shown(text, (*_encoded(reader, text, model, clip), text))


def _encoded(
    reader: Prompts, text: str, model: Model, clip: Clip, encoder: ClipEncoder | None = None
) -> tuple[Model, Clip | None, Conditioning]:
    unused = cast("Conditioning", [])
    pipe, parts = reader.loaded(text, BasicPipe(model, clip, cast("object", None), unused, unused))  # type: ignore[arg-type]
    return pipe.model, pipe.clip, encoded(pipe.clip, parts, encoder)


POPULATING = ("ImpactWildcardProcessor", "ImpactWildcardEncode")
