"""Prompts through ComfyUI's own validation and executor, in this process; and nodes that note what they are given."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from mask_detailer.nodes import NODE_CLASS_MAPPINGS

Prompt = dict[str, dict[str, Any]]
_ids = itertools.count()


class Source:
    """Gives its value, or one that stands in ``values`` under it; notes that it ran."""

    values: ClassVar[dict[str, Any]] = {}
    ran: ClassVar[list[str]] = []
    RETURN_TYPES = ("*",)
    FUNCTION = "doit"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"value": ("STRING", {})}}

    def doit(self, value: str) -> tuple[Any]:
        Source.ran.append(value)
        if value == "fails":
            raise RuntimeError("this one fails")
        return (Source.values.get(value, value),)


class ListSource(Source):
    """Gives the items of a value as a list."""

    OUTPUT_IS_LIST = (True,)

    def doit(self, value: str) -> tuple[Any]:
        (items,) = super().doit(value)
        return (list(items),)


class Blocking(Source):
    """Gives nothing: what hangs on it is left out."""

    def doit(self, value: str) -> tuple[Any]:
        from comfy_execution.graph import ExecutionBlocker

        Source.ran.append(value)
        return (ExecutionBlocker(None),)


class Keep:
    """Keeps each value that it is called with, under its name."""

    kept: ClassVar[dict[str, list[Any]]] = {}
    RETURN_TYPES = ()
    FUNCTION = "doit"
    OUTPUT_NODE = True
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"value": ("*", {}), "name": ("STRING", {})}}

    def doit(self, value: Any, name: str) -> tuple[()]:
        Keep.kept.setdefault(name, []).append(value)
        return ()


TESTS = {f"Test{node.__name__}": node for node in (Source, ListSource, Blocking, Keep)}


class Server:
    """What the executor asks of ComfyUI's server."""

    client_id: str | None = None
    last_node_id: str | None = None
    last_prompt_id: str | None = None

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        pass


class Ran(NamedTuple):
    """What a prompt did.

    Attributes:
        kept: what each ``Keep`` was given, call by call.
        ran: the sources that ran.
        shown: what nodes said under ``ui``, by id.
        error: of the node that failed, None where none did.
    """

    kept: dict[str, list[Any]]
    ran: list[str]
    shown: dict[str, Any]
    error: str | None


@contextmanager
def registered() -> Iterator[None]:
    """Our nodes and those of the tests as ComfyUI's."""
    import nodes

    served: dict[str, type] = nodes.NODE_CLASS_MAPPINGS
    before = dict(served)
    served.update({**NODE_CLASS_MAPPINGS, **TESTS})
    yield
    served.clear()
    served.update(before)


def refused(prompt: Prompt) -> dict[str, list[str]]:
    """What validation finds, by node; nothing where all outputs can be had."""
    import execution

    _, _, _, errors = asyncio.run(execution.validate_prompt("validated", prompt, None))
    return {node: [one["details"] for one in found["errors"]] for node, found in errors.items()}


def execute(prompt: Prompt, workflow: Any = None, **values: Any) -> Ran:
    """Validate and run a prompt with nothing in the cache.

    Args:
        workflow: as a browser sends it.
        values: what sources give for a text.
    """
    import execution

    Source.values, Source.ran, Keep.kept = values, [], {}
    good, error, outputs, found = asyncio.run(execution.validate_prompt("validated", prompt, None))
    assert good, (error, found)
    executor = execution.PromptExecutor(Server(), cache_args={"lru": 0, "ram": 0.0, "ram_inactive": 0.0})
    extra = {} if workflow is None else {"extra_pnginfo": {"workflow": workflow}}
    executor.execute(prompt, f"prompt {next(_ids)}", extra, outputs)
    failed = [data["exception_message"] for event, data in executor.status_messages if event == "execution_error"]
    return Ran(Keep.kept, Source.ran, executor.history_result["outputs"], failed[0].strip() if failed else None)


def step(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def source(value: str) -> dict[str, Any]:
    return step("TestSource", value=value)


def keep(node: str, output: int = 0, name: str = "kept") -> dict[str, Any]:
    return step("TestKeep", value=[node, output], name=name)
