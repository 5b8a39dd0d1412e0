"""Nodes of the text group: texts picked, joined and made of tags, and prompts put together."""

from __future__ import annotations

from typing import cast

import torch

from ..detailer.plain_values import as_text
from ..detailer.prompts.lines import as_newlines, items, text_by_label
from . import schema
from .door import Door
from .growing import in_order
from .pipe_parts import PARTS, SOURCES
from .registry import UTIL, Node
from .schema import Input, InputTypes

Conditioning = list[tuple[torch.Tensor, dict[str, object]]]


def _line(tooltip: str, **more: object) -> Input:
    return "STRING", {"multiline": False, "tooltip": tooltip, **more}


class ImpactStringSelector(Node, name="String Selector", menu=UTIL):
    """One of several texts."""

    DESCRIPTION = "Picks one of several texts, by number."
    SEARCH_ALIASES = ("pick text", "select string", "choose line", "prompt list")
    RETURN_TYPES = ("STRING",)
    OUTPUT_TOOLTIPS = ("The picked text.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        parts = "On: a text begins at each line that starts with #, and may have several lines. Off: each line is one."
        number = "The number of the text; 0 is the first. After the last it begins anew."
        return {
            "required": {
                "strings": ("STRING", {"multiline": True, "tooltip": "The texts, one a line; empty lines count too."}),
                "multiline": schema.switch(False, "enabled", "disabled", parts),
                "select": schema.whole_number(0, number),
            }
        }

    def doit(self, strings: str, multiline: bool, select: int) -> tuple[str]:
        texts = items(strings, multiline)
        return (texts[select % len(texts)],)


class StringListToString(Node, name="String List to String", menu=UTIL):
    """A list of texts in one."""

    DESCRIPTION = "Joins a list of texts into one."
    SEARCH_ALIASES = ("join strings", "concatenate text", "join list")
    INPUT_IS_LIST = True
    checks_itself = True
    RETURN_TYPES = ("STRING",)
    OUTPUT_TOOLTIPS = ("All texts in one, in their order.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        between = "What stands between two texts. \\n begins a new line."
        texts = "The texts; numbers and the like are written as text."
        return {
            "required": {
                "join_with": ("STRING", {"default": "\\n", "tooltip": between}),
                "string_list": (
                    "STRING",
                    {"forceInput": True, "tooltip": texts},
                ),
            }
        }

    def doit(self, join_with: list[object], string_list: list[object]) -> tuple[str]:
        between = self.checked({"join_with": join_with[0] if join_with else ""})["join_with"]
        return (as_newlines(as_text(between)).join(as_text(text) for text in string_list if text is not None),)


class WildcardPromptFromString(Node, name="Wildcard Prompt from String", menu=UTIL):
    """Tags of several segments as per-segment text."""

    DESCRIPTION = "Makes a text for each segment of tags, such as those that a tagger gives of the segments' pictures."
    SEARCH_ALIASES = ("tags to wildcard", "per-segment prompt", "tagger to detailer")
    RETURN_TYPES = ("STRING", "STRING")
    RETURN_NAMES = ("wildcard", "segs_labels")
    OUTPUT_TOOLTIPS = (
        "The text for a detailer's wildcard input: one line for each label.",
        "The labels 1, 2 and so on, for 'SEGS Assign (label)'.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        tags = "The tags of all segments, those of one separated by commas."
        split = "What stands between the tags of two segments. \\n is a new line."
        return {
            "required": {
                "string": ("STRING", {"forceInput": True, "tooltip": tags}),
                "delimiter": _line(split, default="\\n"),
                "prefix_all": _line("Text that comes before the tags of each."),
                "postfix_all": _line("Text that comes after the tags of each."),
                "restrict_to_tags": _line("Tags, separated by commas: all others are left out. Empty: all stay."),
                "exclude_tags": _line("Tags, separated by commas, that are left out."),
            }
        }

    def doit(
        self,
        string: str | None,
        delimiter: str,
        prefix_all: str,
        postfix_all: str,
        restrict_to_tags: str,
        exclude_tags: str,
    ) -> tuple[str, str]:
        """Raises InputError where there is no text."""
        if string is None:
            raise self.door.error("string", "it is missing (None)", "Connect a STRING, such as the tags of a tagger")
        between = as_newlines(delimiter)
        parts = string.split(between) if between else [string]
        return text_by_label(parts, (prefix_all, postfix_all), restrict_to_tags, exclude_tags)


def _conditioning(door: Door, value: object, name: str) -> Conditioning:
    """Raises InputError for what is no conditioning, or has nothing in it."""
    if not PARTS["positive"](value):
        raise door.error(name, f"a {type(value).__name__} is no CONDITIONING", f"Connect {SOURCES['positive']}")
    return cast(Conditioning, value)


class _Conditionings(Node):
    """Prompts from several inputs in one."""

    RETURN_TYPES = ("CONDITIONING",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        first = "The first prompt; conditioning2, conditioning3 and so on follow: there is always one free input."
        return {"required": {"conditioning1": schema.link("CONDITIONING", first)}}

    def _given(self, inputs: dict[str, object]) -> dict[str, Conditioning]:
        """By name, in order; raises InputError where there is none."""
        given = in_order(inputs, ("conditioning",))
        if not given:
            raise self.door.error("conditioning1", "it is missing (None)", f"Connect {SOURCES['positive']}")
        return {name: _conditioning(self.door, value, name) for name, value in given.items()}


class ImpactCombineConditionings(_Conditionings, name="Combine Conditionings", menu=UTIL):
    """Several prompts, each followed by itself."""

    DESCRIPTION = "Joins prompts so that the model follows each by itself and the results are mixed."
    SEARCH_ALIASES = ("combine prompts", "mix conditioning")
    OUTPUT_TOOLTIPS = ("All of the inputs' prompts, in their order.",)

    def doit(self, **inputs: object) -> tuple[list[object]]:
        return ([entry for given in self._given(inputs).values() for entry in given],)


class ImpactConcatConditionings(_Conditionings, name="Concat Conditionings", menu=UTIL):
    """Several prompts as one long one."""

    DESCRIPTION = "Joins prompts into one long prompt, one behind the other."
    SEARCH_ALIASES = ("concatenate prompts", "append conditioning", "long prompt")
    OUTPUT_TOOLTIPS = ("The first input's prompt with the others behind it; all else is the first's.",)

    def doit(self, **inputs: object) -> tuple[list[object]]:
        """Raises InputError where the prompts are of different models."""
        (_, first), *others = self._given(inputs).items()
        behind = [(name, given[0][0]) for name, given in others if given]
        made: list[object] = []
        for tokens, options in first:
            for name, more in behind:
                if more.shape[0] != tokens.shape[0] or more.shape[2:] != tokens.shape[2:]:
                    found = f"its prompt has the shape {list(more.shape)}, the first one {list(tokens.shape)}"
                    raise self.door.error(name, found, "Make both with the same CLIP")
                tokens = torch.cat([tokens, more.to(tokens)], dim=1)
            made.append([tokens, options.copy()])
        return (made,)
