"""The server: events to browsers, who queued the running prompt, and routes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiohttp import web

PREFIXES = ("", "/api")  # the browser asks under /api, scripts often without

Query = Mapping[str, str]

# Text, a PNG file, something for JSON, or None for a request that can't be answered (status 400).
Answer = str | bytes | dict[str, object] | None


class _Queue(Protocol):
    """Number, prompt id, prompt, what came with it (``extra_pnginfo``) and more, of each prompt that runs."""

    currently_running: dict[int, tuple[float, str, object, object]]


class _Server(Protocol):
    """ComfyUI's PromptServer."""

    client_id: str | None
    sockets: Container[str]
    app: web.Application
    prompt_queue: _Queue

    def send_sync(self, event: str, data: Mapping[str, object], sid: str | None = None) -> None: ...
    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None: ...
    def add_on_prompt_handler(self, handler: Callable[[object], object]) -> None: ...


def send_event(event: str, data: Mapping[str, object]) -> None:
    """Tell all browsers, at once and without waiting; nothing where no server runs."""
    running = _running_server()
    if running is not None:
        running.send_sync(event, data)


def send_to_client(event: str, data: Mapping[str, object]) -> None:
    """Tell the client that queued the running prompt, all browsers where none is known; nothing without a server.

    The data also say which workflow they are about, where it is known, and which prompt.
    """
    client = client_of_prompt()
    if client is None:
        send_event(event, data)
    else:
        client.send(event, data)


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
        return is_connected(self.client)

    def send(self, event: str, data: Mapping[str, object]) -> None:
        """Tell it, at once and without waiting; the data also say which node, prompt and workflow they are about."""
        running = _running_server()
        if running is not None:
            about = {"node": self.node, "prompt_id": self.prompt_id, "workflow": self.workflow}
            running.send_sync(event, {**about, **data}, self.client)

    def say(self, text: str) -> None:
        """Show it a line of text on the node."""
        running = _running_server()
        if running is not None:
            running.send_progress_text(text, self.node, self.client)


def is_connected(client: str) -> bool:
    """Whether a client listens to the websocket now."""
    running = _running_server()
    return running is not None and client in running.sockets


def is_running(prompt_id: str) -> bool:
    """Whether a prompt is worked on now."""
    running = _running_server()
    return running is not None and any(
        queued[1] == prompt_id for queued in list(running.prompt_queue.currently_running.values())
    )


def browser_of_prompt(wanted: Container[str]) -> Browser | None:
    """The client that queued the running prompt; None where it isn't connected or not one of those ``wanted``."""
    client = client_of_prompt()
    return client if client is not None and client.is_connected and client.client in wanted else None


def client_of_prompt() -> Browser | None:
    """The client that queued the running prompt, connected or not; None where none is known, as with some scripts."""
    running = _running_server()
    client = getattr(running, "client_id", None)
    if running is None or client is None:
        return None
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    if context is None:
        return None
    return Browser(client, context.prompt_id, node_shown(context.node_id), _workflow_of(running, context.prompt_id))


def running_workflow() -> str | None:
    """The id of the workflow whose prompt runs; None where it has none."""
    running = _running_server()
    if running is None:
        return None
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    return None if context is None else _workflow_of(running, context.prompt_id)


def node_shown(node_id: str) -> str:
    """The node that the browser has for one that runs, which may be one that it was expanded into."""
    from comfy_execution.progress import get_progress_state

    return str(get_progress_state().dynprompt.get_display_node_id(node_id))


def _workflow_of(running: _Server, prompt_id: str) -> str | None:
    for _, queued, _, extra, *_ in list(running.prompt_queue.currently_running.values()):
        if queued == prompt_id:
            workflow = _get(_get(_get(extra, "extra_pnginfo"), "workflow"), "id")
            return workflow if isinstance(workflow, str) else None
    return None


def _get(within: object, key: str) -> object:
    """What came with a prompt is whatever its sender wrote."""
    return within.get(key) if isinstance(within, Mapping) else None


def when_serving(call: Callable[[], None]) -> None:
    """Call it once, when all packs are loaded and before the server answers; never where no server starts."""
    running = _running_server()
    if running is None or running.app.on_startup.frozen:
        return

    async def started(_: object) -> None:
        call()

    running.app.on_startup.append(started)


def send_to(client: str, event: str, data: Mapping[str, object]) -> None:
    """Tell one client, where it is connected."""
    running = _running_server()
    if running is not None and client in running.sockets:
        running.send_sync(event, data, client)


def when_queued(look: Callable[[Mapping[str, object]], None]) -> None:
    """Call it with what was sent for each prompt that is queued, before it is validated; it may change the prompt.

    What was sent is whatever its sender wrote. An error goes to ComfyUI's log and keeps no prompt from being queued.
    """
    running = _running_server()
    if running is None:
        return

    def handler(sent: object) -> object:
        if isinstance(sent, Mapping):
            look(sent)
        return sent

    running.add_on_prompt_handler(handler)


def paths_of_pages(folder: Path) -> list[str]:
    """Where the server has the files of a pack's web folder: ``/extensions/NAME``, as a rule one."""
    served: Mapping[str, str] = getattr(sys.modules.get("nodes"), "EXTENSION_WEB_DIRS", {})
    return [f"/extensions/{name}" for name, at in served.items() if Path(at).resolve() == folder.resolve()]


def serve_get(path: str, answer: Callable[[Query], Answer], *, takes_long: bool = False) -> None:
    """Answer GET requests for a path, unless another pack does already.

    What stands in a path's ``{name}`` comes with the query, and goes before it.

    Args:
        takes_long: the answer is made in a thread, so that the server serves others meanwhile.
    """
    running = _running_server()
    if running is None or path in {resource.canonical for resource in running.app.router.resources()}:
        return

    async def handler(request: web.Request) -> web.Response:
        query = {**request.query, **request.match_info}
        return _response(await asyncio.to_thread(answer, query) if takes_long else answer(query))

    for prefix in PREFIXES:
        running.app.router.add_get(prefix + path, handler)


def serve_post(path: str, answer: Callable[[object], Answer]) -> None:
    """Answer POST requests for a path, unless another pack does already.

    ``answer`` gets what their JSON says, which may be anything.
    """
    from aiohttp import web

    running = _running_server()
    if running is None or path in {resource.canonical for resource in running.app.router.resources()}:
        return

    async def handler(request: web.Request) -> web.Response:
        try:
            asked = await request.json()
        except (ValueError, RecursionError):
            return web.Response(status=400)
        return _response(answer(asked))

    for prefix in PREFIXES:
        running.app.router.add_post(prefix + path, handler)


def _response(found: Answer) -> web.Response:
    from aiohttp import web

    if found is None:
        return web.Response(status=400)
    if isinstance(found, bytes):
        return web.Response(body=found, content_type="image/png")
    return web.Response(text=found) if isinstance(found, str) else web.json_response(found)


def _running_server() -> _Server | None:
    # ComfyUI has imported it where it serves; importing it here would start half a server
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
