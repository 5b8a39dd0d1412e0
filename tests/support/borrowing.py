"""Tests that are asked in one place, asked again in another, where fixtures of the same names give another page."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any

import pytest


def borrowed(module: ModuleType, mark: pytest.MarkDecorator) -> dict[str, FunctionType]:
    """The tests of a module with one mark more, by names that say where they come from."""
    place = module.__name__.rpartition(".")[2].removeprefix("test_")
    return {
        f"test_{place}_{name.removeprefix('test_')}": mark(_copied(test))
        for name, test in vars(module).items()
        if name.startswith("test_") and isinstance(test, FunctionType)
    }


def _copied(test: FunctionType) -> Any:
    """Its own test: a mark on the function itself would hold where it stands too."""
    copied = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    copied.__dict__.update(test.__dict__)
    copied.__kwdefaults__ = test.__kwdefaults__
    return copied
