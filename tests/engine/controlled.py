"""What the tests of ControlNet on segments share: the nodes' call, what reaches a ControlNet, others' wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEGS

UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
ADVANCED, OLDER = "ImpactControlNetApplyAdvancedSEGS", "ImpactControlNetApplySEGS"


def run(node_id: str, segs: Any, *, strength: float = 1.0, **given: Any) -> SEGS:
    percents = dict(start_percent=0.0, end_percent=1.0) if node_id == ADVANCED else {}
    (made,) = NODE_CLASS_MAPPINGS[node_id]().doit(**dict(segs=segs, strength=strength) | percents | given)
    return made


def wrappers(segs: SEGS) -> list[Any]:
    return [seg.control_net_wrapper for seg in segs[1]]


@contextmanager
def hints_of(net: Any) -> Iterator[list[torch.Tensor]]:
    """The hints ``[B,3,H,W]`` that reach a ControlNet's weights, step by step."""
    seen: list[torch.Tensor] = []

    def note(_module: Any, _arguments: Any, inputs: dict[str, Any]) -> None:
        seen.append(inputs["hint"].clone())

    handle = net.control_model.register_forward_pre_hook(note, with_kwargs=True)
    yield seen
    handle.remove()


class Preprocessor:
    """Turns a picture's colours round and remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, Any]] = []

    def apply(self, image: torch.Tensor, mask: Any = None) -> torch.Tensor:
        self.calls.append((image.clone(), mask))
        return 1 - image


class Adapter:
    """A wrapper of another pack that changes the model; it has no ControlNet."""

    def __init__(self, model: Any, prev_control_net: Any = None) -> None:
        self.model, self.prev_control_net = model, prev_control_net
        self.images = [torch.ones(1, 4, 4, 3)]

    def apply(self, positive: Any, negative: Any, image: Any, mask: Any = None, use_acn: bool = False) -> Any:
        if self.prev_control_net is None:
            return positive, negative, []
        return self.prev_control_net.apply(positive, negative, image, mask, use_acn)

    def doit_ipadapter(self, model: Any) -> Any:
        assert self.model is not model
        return self.model, self.images


class OnlyApply:
    """As little of a wrapper as there can be."""

    def __init__(self, prompt: Any) -> None:
        self.prompt = prompt

    def apply(self, positive: Any, negative: Any, image: Any, mask: Any = None, use_acn: bool = False) -> Any:
        return self.prompt, negative, [image]
