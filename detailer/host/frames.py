"""Conditioning with an item for each frame of a clip: what goes with one of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch

from ..values import Frame
from .conditioning import KEYS, Items, entry
from .control_net import crop_control
from .protocols import Conditioning, CondOptions, ControlNet

_Wrapper = TypeVar("_Wrapper")


@dataclass(frozen=True)
class Chooser:
    """Picks what belongs to a frame.

    Attributes:
        who: what is picked from, for errors: node and input.
    """

    frame: Frame
    who: str

    def item(self, batch: torch.Tensor, what: str) -> torch.Tensor:
        """The frame's item of ``[B,...]``, as a batch of one; one item serves all frames.

        Raises:
            ValueError: for another number than 1 or that of the frames, naming both.
        """
        if len(batch) == 1:
            return batch
        if len(batch) != self.frame.count:
            raise ValueError(
                f"{self.who}: its {what} has {len(batch)} items for {self.frame.count} pictures. Give one for all, or "
                "one for each"
            )
        return batch[self.frame.index : self.frame.index + 1]

    def items(self, value: object, what: str) -> object:
        """The same of each tensor in a list."""
        if isinstance(value, torch.Tensor):
            return value if value.ndim < 3 and what == "mask" else self.item(value, what)
        if isinstance(value, list):
            return [self.items(one, what) for one in value]
        return value


def of_frame(conditioning: Conditioning, frame: Frame, who: str) -> Conditioning:
    """The conditioning as a frame of a clip has it: where ComfyUI reads a key item by item, the frame's item.

    Args:
        who: node and input, for errors.

    Raises:
        ValueError: where a key has neither one item nor as many as there are frames.
    """
    if isinstance(conditioning, str) or frame.count == 1:
        return conditioning
    chooser = Chooser(frame, who)
    return [entry(chooser.item(embedding, "prompt"), _options(options, chooser)) for embedding, options in conditioning]


def _options(options: CondOptions, chooser: Chooser) -> CondOptions:
    made = dict(options)
    for name, value in options.items():
        if name == "control":
            made[name] = crop_control(cast("ControlNet", value), lambda hint: chooser.item(hint, "ControlNet hint"))
        elif name in KEYS and KEYS[name].items is not Items.SAME:
            made[name] = chooser.items(value, name)
    return made


def wrapper_of_frame(wrapper: _Wrapper, frame: Frame, who: str) -> _Wrapper:
    """A segment's ControlNet wrapper of any pack, and those before it, with the frame's own hint."""
    if wrapper is None or frame.count == 1:
        return wrapper
    previous = wrapper_of_frame(getattr(wrapper, "prev_control_net", None), frame, who)
    hint = getattr(wrapper, "control_image", None)
    if not isinstance(hint, torch.Tensor) and previous is getattr(wrapper, "prev_control_net", None):
        return wrapper
    copied = copy.copy(wrapper)
    changed: Sequence[tuple[str, object]] = [("prev_control_net", previous)]
    if isinstance(hint, torch.Tensor):
        changed = [*changed, ("control_image", Chooser(frame, who).item(hint, "control image"))]
    set_field: Callable[[object, str, object], None] = object.__setattr__  # ours are frozen
    for name, value in changed:
        set_field(copied, name, value)
    return copied
