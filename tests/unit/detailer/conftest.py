"""A few of ComfyUI's modules as stand-ins, for what can be tried without it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Comfy = Callable[..., None]


@pytest.fixture
def comfy(monkeypatch: pytest.MonkeyPatch) -> Comfy:
    """Puts parts where ``import comfy.<module>`` finds them: ``comfy("model_management", get_free_memory=...)``."""
    made = {"comfy": ModuleType("comfy")}
    monkeypatch.setitem(sys.modules, "comfy", made["comfy"])

    def module(path: str) -> ModuleType:
        if path not in made:
            parent, _, name = path.rpartition(".")
            made[path] = ModuleType(path)
            setattr(module(parent), name, made[path])
            monkeypatch.setitem(sys.modules, path, made[path])
        return made[path]

    def put(name: str, **parts: Any) -> None:
        vars(module(f"comfy.{name}")).update(parts)

    return put
