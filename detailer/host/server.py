"""The server: events to browsers, who queued the running prompt, routes, and prompts as they are queued."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiohttp import web

Query = Mapping[str, str]

# Text, a PNG file, something for JSON, or None for a request that can't be answered (status 400).
Answer = str | bytes | dict[str, object] | None

# What came with a queued prompt: ``extra_pnginfo`` -> ``workflow`` -> ``id`` and more.
_Extra = Mapping[str, Mapping[str, Mapping[str, str] | None] | None]


class _Queue(Protocol):
    """Number, prompt id, prompt and what came with it, and more, of each prompt that runs."""

    currently_running: dict[int, tuple[float, str, object, _Extra]]


class _Server(Protocol):
    """ComfyUI's PromptServer."""

    client_id: str | None
    sockets: Container[str]
    app: web.Application
    prompt_queue: _Queue

    def send_sync(self, event: str, data: Mapping[str, object], sid: str | None = None) -> None: ...

    def add_on_prompt_handler(self, handler: Callable[[dict[str, object]], dict[str, object]]) -> None: ...


def send_event(event: str, data: Mapping[str, object]) -> None:
    """Tell all browsers, at once and without waiting; nothing where no server runs."""
    running = _running_server()
    if running is not None:
        running.send_sync(event, data)


@dataclass(frozen=True)
class Browser:
    """The browser, or another client, that queued the running prompt; and which node of it runs.

    Attributes:
        node: as the browser knows it: inside a subgraph with its ids before it, ``12:5``.
        workflow: the id of the workflow that was queued, None where it has none.
    """

    client: str
    prompt_id: str
    node: str
    workflow: str | None

    @property
    def is_connected(self) -> bool:
        running = _running_server()
        return running is not None and self.client in running.sockets

    def send(self, event: str, data: Mapping[str, object]) -> None:
        """Tell it, at once and without waiting; the data also say which node, prompt and workflow they are about."""
        running = _running_server()
        if running is not None:
            about = {"node": self.node, "prompt_id": self.prompt_id, "workflow": self.workflow}
            running.send_sync(event, {**about, **data}, self.client)


def browser_of_prompt(wanted: Container[str]) -> Browser | None:
    """The client that queued the running prompt; None where it isn't connected or not one of those ``wanted``."""
    running = _running_server()
    client = getattr(running, "client_id", None)
    if running is None or client is None or client not in running.sockets or client not in wanted:
        return None
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    if context is None:
        return None
    return Browser(client, context.prompt_id, node_shown(context.node_id), _workflow_of(running, context.prompt_id))


def node_shown(node_id: str) -> str:
    """The node that the browser has for one that runs, which may be one that it was expanded into."""
    from comfy_execution.progress import get_progress_state

    return str(get_progress_state().dynprompt.get_display_node_id(node_id))


def _workflow_of(running: _Server, prompt_id: str) -> str | None:
    for _, queued, _, extra, *_ in list(running.prompt_queue.currently_running.values()):
        if queued == prompt_id:
            workflow = (extra.get("extra_pnginfo") or {}).get("workflow") or {}
            return workflow.get("id")
    return None


def when_serving(call: Callable[[], None]) -> None:
    """Call it once, when all packs are loaded and before the server answers; never where no server starts."""
    running = _running_server()
    if running is None or running.app.on_startup.frozen:
        return

    async def started(_: object) -> None:
        call()

    running.app.on_startup.append(started)


def serve_get(path: str, answer: Callable[[Query], Answer]) -> None:
    """Answer GET requests for a path, unless another pack does already."""
    from aiohttp import web

    running = _running_server()
    if running is None or path in {resource.canonical for resource in running.app.router.resources()}:
        return

    async def handler(request: web.Request) -> web.Response:
        found = answer(request.query)
        if found is None:
            return web.Response(status=400)
        if isinstance(found, bytes):
            return web.Response(body=found, content_type="image/png")
        return web.Response(text=found) if isinstance(found, str) else web.json_response(found)

    for prefix in ("", "/api"):  # the browser asks under /api, scripts often without
        running.app.router.add_get(prefix + path, handler)


def on_prompt(call: Callable[[Iterable[str]], None]) -> None:
    """Call it with the node ids of each prompt that is queued; never where no server runs."""
    running = _running_server()
    if running is None:
        return

    def queued(data: dict[str, object]) -> dict[str, object]:
        prompt = data.get("prompt")
        call(prompt if isinstance(prompt, Iterable) else ())
        return data

    running.add_on_prompt_handler(queued)


def _running_server() -> _Server | None:
    # ComfyUI has imported it where it serves; importing it here would start half a server
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
