"""ComfyUI's nodes: its own, called as functions; all that are registered, and which pack each came with."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def registered_nodes() -> dict[str, type]:
    """ComfyUI's own table of node classes by id, and empty where it does not run."""
    return getattr(sys.modules.get("nodes"), "NODE_CLASS_MAPPINGS", {})


def registered_names() -> dict[str, str]:
    """ComfyUI's own table of nodes' names by id, and empty where it does not run."""
    return getattr(sys.modules.get("nodes"), "NODE_DISPLAY_NAME_MAPPINGS", {})


def pack_of(node: type) -> str:
    """The folder name of the pack that a registered node class came with."""
    return str(getattr(node, "RELATIVE_PYTHON_MODULE", node.__module__)).removeprefix("custom_nodes.")


def node_class(module: str, name: str) -> Any:
    """One of ComfyUI's own node classes, which are as different as nodes are."""
    return getattr(importlib.import_module(module), name)


def has_layers() -> bool:
    """Whether the running ComfyUI has the kind LAYERS; False where it does not run."""
    return hasattr(getattr(sys.modules.get("comfy_api.latest"), "io", None), "Layers")


def blocked() -> object:
    """What an output gives so that all that hangs on it is left out, without an error."""
    from comfy_execution.graph import ExecutionBlocker

    return ExecutionBlocker(None)


def first_output(node: object, *arguments: object) -> Any:
    """The first output of one of ComfyUI's nodes, whatever its type says."""
    return outputs_of(node, *arguments)[0]


def outputs_of(node: object, *arguments: object, **by_name: object) -> tuple[Any, ...]:
    """A node's outputs, in its newer form (``execute``) or its older one (``FUNCTION``); a class or an object of it."""
    is_newer = hasattr(node, "define_schema")
    called = node() if isinstance(node, type) and not is_newer else node
    output = getattr(called, "execute" if is_newer else getattr(node, "FUNCTION", "execute"))(*arguments, **by_name)
    return getattr(output, "result", output)
