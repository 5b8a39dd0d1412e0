"""ComfyUI's nodes: its own, called as functions, and all that are registered."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def registered_nodes() -> dict[str, Any]:
    """ComfyUI's own table of node classes by id, and empty where it does not run."""
    return getattr(sys.modules.get("nodes"), "NODE_CLASS_MAPPINGS", {})


def registered_names() -> dict[str, str]:
    """ComfyUI's own table of nodes' names by id, and empty where it does not run."""
    return getattr(sys.modules.get("nodes"), "NODE_DISPLAY_NAME_MAPPINGS", {})


def pack_of(node: Any) -> str:
    """The folder name of the pack that a registered node class came with."""
    return str(getattr(node, "RELATIVE_PYTHON_MODULE", node.__module__)).removeprefix("custom_nodes.")


def node_class(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def first_output(node: Any, *arguments: Any) -> Any:
    """The first output of one of ComfyUI's nodes."""
    return outputs_of(node, *arguments)[0]


def outputs_of(node: Any, *arguments: Any) -> tuple[Any, ...]:
    """A node's outputs, in its newer form (``execute``) or its older one (``FUNCTION``); a class or an object of it."""
    if hasattr(node, "define_schema"):
        output = node.execute(*arguments)
    else:
        output = getattr(node() if isinstance(node, type) else node, node.FUNCTION)(*arguments)
    return getattr(output, "result", output)
