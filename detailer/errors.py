"""The error that a user can act on."""

from __future__ import annotations

from ..core import printable


class InputError(ValueError):
    """What came into a node cannot be worked with. The message names node, input, what was found and the fix."""

    __module__ = "builtins"  # ComfyUI shows an error's module before its name: ours is the path of this file

    def __init__(self, node: str, name: str, found: str, fix: str) -> None:
        super().__init__(printable(f"{node}, input '{name}': {found}. {fix}"))
