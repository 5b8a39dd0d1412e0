"""Nodes of the switches group: one of several inputs goes on, or one input goes to one of several outputs."""

from __future__ import annotations

import torch

from ..detailer import host
from . import schema
from .growing import AnyNumber, Growing, number_of
from .registry import UTIL, Node
from .schema import ANY, Input, Inputs, InputTypes

NAMES = ("input", "latent", "segs")  # the last two: what the typed switches once called theirs
MOST_OUTPUTS = 1000
PAIRS = 4


def _select(tooltip: str, most: int = 999999) -> Input:
    return "INT", {"default": 1, "min": 1, "max": most, "step": 1, "tooltip": tooltip}


def _sel_mode() -> Input:
    both = "Here for saved workflows. Both mean the same: only what is needed for the chosen one is run."
    return schema.switch(False, "select_on_prompt", "select_on_execution", both, forceInput=False)


class _Switch(Node):
    """One of any number of inputs."""

    RETURN_TYPES = (ANY, "STRING", "INT")
    RETURN_NAMES = ("selected_value", "selected_label", "selected_index")
    OUTPUT_TOOLTIPS = (
        "What came in at the chosen input; nothing (None) where none is connected.",
        "The chosen input's name, or what you renamed it to.",
        "The chosen input's number.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        first = "The first of the inputs; input2, input3 and so on follow. Only the chosen one is run."
        optional: Inputs = {"sel_mode": _sel_mode(), "input1": (ANY, {"lazy": True, "tooltip": first})}
        return {
            "required": {"select": _select("The number of the input that goes on; 1 is the first.")},
            "optional": Growing(optional, *NAMES),
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def check_lazy_status(self, select: object, **inputs: object) -> list[str]:
        """The one input that is needed."""
        chosen = _chosen(inputs, self.checked({"select": select})["select"])
        return [] if chosen is None or inputs[chosen] is not None else [chosen]

    def doit(
        self,
        select: int,
        sel_mode: bool = False,
        unique_id: object = None,
        extra_pnginfo: object = None,
        **inputs: object,
    ) -> tuple[object, str, int]:
        chosen = _chosen(inputs, select)
        if chosen is None:
            return None, "", select
        label = host.workflows.slot_label(extra_pnginfo, str(unique_id), chosen)
        return inputs[chosen], label or f"{NAMES[0]}{select}", select


def _chosen(inputs: dict[str, object], select: object) -> str | None:
    """The input of that number, under the first of the names that there is."""
    numbered = [name for name in inputs if number_of(name, NAMES) == select]
    return min(numbered, key=lambda name: NAMES.index(name.rstrip("0123456789")), default=None)


class ImpactSwitch(_Switch, name="Switch (Any)", menu=UTIL):
    """One of any number of inputs of any kind."""

    DESCRIPTION = "Hands on one of its inputs, by number. What the others hang on is not run."
    SEARCH_ALIASES = ("switch", "select input", "choose input", "multiplexer")


class LatentSwitch(_Switch, name="Switch (latent/legacy)", menu=UTIL):
    """The same under an older id."""

    DESCRIPTION = "The same as 'Switch (Any)', for saved workflows."
    SEARCH_ALIASES = ("latent switch", "select latent")


class SEGSSwitch(_Switch, name="Switch (SEGS/legacy)", menu=UTIL):
    """The same under an older id."""

    DESCRIPTION = "The same as 'Switch (Any)', for saved workflows."
    SEARCH_ALIASES = ("segs switch", "select segs")


class ImpactInversedSwitch(Node, name="Inversed Switch (Any)", menu=UTIL):
    """One of any number of outputs."""

    DESCRIPTION = "Hands its input on to one of its outputs, by number. What hangs on the others is left out."
    SEARCH_ALIASES = ("inverse switch", "select output", "demultiplexer", "route")
    RETURN_TYPES = AnyNumber((ANY,))
    OUTPUT_TOOLTIPS = ("The first output; output2, output3 and so on follow. Only the chosen one gives something.",)

    def __init__(self) -> None:
        # of an input that is blocked ComfyUI makes as many blocked outputs as the object has kinds
        self.RETURN_TYPES = (ANY,) * MOST_OUTPUTS

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "select": _select("The number of the output that is used; 1 is the first."),
                "input": schema.link(ANY, "What goes on to the chosen output."),
            },
            "optional": {"sel_mode": _sel_mode()},
        }

    def doit(self, select: int, sel_mode: bool = False, **inputs: object) -> tuple[object, ...]:
        outputs = [host.nodes.blocked()] * MOST_OUTPUTS
        if select <= MOST_OUTPUTS:
            outputs[select - 1] = inputs["input"]
        return tuple(outputs)


class ImageMaskSwitch(Node, name="Switch (images, mask)", menu=UTIL):
    """One of four pairs of pictures and masks."""

    DESCRIPTION = "Hands on one of four pairs of pictures and masks, by number."
    SEARCH_ALIASES = ("image switch", "mask switch", "select image")
    RETURN_TYPES = ("IMAGE", "MASK")
    OUTPUT_TOOLTIPS = ("The chosen pictures.", "The chosen mask; nothing (None) where none is connected.")
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        optional: Inputs = {}
        for number in range(1, PAIRS + 1):
            if number > 1:
                optional[f"images{number}_opt"] = schema.link("IMAGE", "Pictures that may be chosen.")
            optional[f"mask{number}_opt"] = schema.link("MASK", "The mask that goes with the pictures of this number.")
        return {
            "required": {
                "select": _select("The number of the pair that goes on.", PAIRS),
                "images1": schema.link("IMAGE", "Pictures that may be chosen."),
            },
            "optional": optional,
        }

    def doit(self, select: int, images1: object, **pairs: object) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Raises InputError where no pictures of that number are connected."""
        images = images1 if select == 1 else pairs.get(f"images{select}_opt")
        name, mask = "images1" if select == 1 else f"images{select}_opt", f"mask{select}_opt"
        if images is None:
            raise self.door.error("select", f"{select} is chosen, but {name} has no pictures", f"Connect {name}")
        chosen = pairs.get(mask)
        return (
            self.door.picture_frames(images, name),
            None if chosen is None else self.door.mask_frames(chosen, mask),
        )
