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
    package = ModuleType("comfy")
    monkeypatch.setitem(sys.modules, "comfy", package)

    def put(name: str, **parts: Any) -> None:
        module = ModuleType(f"comfy.{name}")
        vars(module).update(parts)
        setattr(package, name, module)
        monkeypatch.setitem(sys.modules, f"comfy.{name}", module)

    return put
