"""Counting how much a model is asked, from outside: nothing is put on it that could be seen there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Calls(list[int]):
    """The items of each call; with CFG two a crop."""

    @property
    def items(self) -> int:
        return sum(self)


@contextmanager
def counted() -> Iterator[Calls]:
    """All that any of ComfyUI's diffusion models is asked meanwhile.

    Where it comes in: a model whose ``apply_model`` was patched once has its own from then on.
    """
    from comfy.model_base import BaseModel

    calls, real = Calls(), BaseModel._apply_model

    def _apply_model(self: Any, x: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        calls.append(len(x))
        return real(self, x, *given, **named)

    BaseModel._apply_model = _apply_model
    try:
        yield calls
    finally:
        BaseModel._apply_model = real
