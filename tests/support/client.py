"""A client of ComfyUI's HTTP and websocket interface, for the demo and the server tests."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

Prompt = dict[str, dict[str, Any]]


class RefusedError(RuntimeError):
    """The server answered with an error status; ``body`` is what it said."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"the server answered {status}: {body}")
        self.status = status
        self.body = body


class PromptError(RuntimeError):
    """A queued prompt ended with an error, or was interrupted."""


@dataclass(frozen=True)
class Event:
    """One message of the websocket: its type and data as ComfyUI names them."""

    type: str
    data: dict[str, Any]


class Client:
    """Talk to the server at ``url``; in a ``with`` statement it also listens to its websocket."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.id = uuid.uuid4().hex
        self._events: queue.Queue[Event | BaseException] = queue.Queue()
        self._listener: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    # HTTP

    def request(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
        """GET, or POST where there is a body (bytes as they are, anything else as JSON)."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
        call = urllib.request.Request(self.url + path, data=body, headers=headers or {})
        try:
            with urllib.request.urlopen(call, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                said = json.loads(text)
            except ValueError:
                said = text
            raise RefusedError(error.code, said) from None

    def get(self, path: str) -> Any:
        return json.loads(self.request(path))

    def object_info(self) -> dict[str, Any]:
        """What the server tells of all its nodes."""
        return self.get("/object_info")

    def upload_image(self, file: Path, name: str | None = None) -> str:
        """Put a picture into the server's input folder; its name there."""
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name or file.name}"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = head.encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return json.loads(self.request("/upload/image", body, {"Content-Type": kind}))["name"]

    def queue(self, prompt: Prompt) -> str:
        """Queue a prompt in API format; its id. RefusedError says what ComfyUI's validation found."""
        return json.loads(self.request("/prompt", {"prompt": prompt, "client_id": self.id}))["prompt_id"]

    def waiting(self) -> int:
        """How many prompts run or wait."""
        state = self.get("/queue")
        return len(state["queue_running"]) + len(state["queue_pending"])

    def interrupt(self) -> None:
        self.request("/interrupt", b"")

    def history(self, prompt_id: str) -> dict[str, Any]:
        """What is kept of a finished prompt: its outputs by node, and its status."""
        return self.get(f"/history/{prompt_id}")[prompt_id]

    def view(self, image: dict[str, str]) -> bytes:
        """A picture's file, as named by a history's outputs."""
        return self.request(f"/view?{urllib.parse.urlencode(image)}")

    # websocket

    def __enter__(self) -> Client:
        connected = threading.Event()
        self._listener = threading.Thread(target=lambda: asyncio.run(self._listen(connected)), daemon=True)
        self._listener.start()
        if not connected.wait(30):
            raise TimeoutError(f"no websocket connection to {self.url} within 30 s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop and self._stop:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._listener:
            self._listener.join(10)

    async def _listen(self, connected: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        address = f"{self.url.replace('http', 'ws', 1)}/ws?clientId={self.id}"
        try:
            async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
                connected.set()
                receiving = asyncio.create_task(self._receive(socket))
                stopping = asyncio.create_task(self._stop.wait())
                await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    self._events.put(ConnectionError("the server closed the websocket"))
                receiving.cancel()
        except aiohttp.ClientError as error:
            self._events.put(ConnectionError(str(error)))

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                content = json.loads(message.data)
                self._events.put(Event(content["type"], content.get("data") or {}))
            elif message.type == aiohttp.WSMsgType.BINARY:
                self._events.put(Event("preview", {"bytes": len(message.data)}))

    def events(self, prompt_id: str, timeout: float = 300.0) -> Iterator[Event]:
        """What happens to a prompt, to its end; TimeoutError when the end does not come in time.

        Previews carry no prompt's id; those in between are given as type ``preview``. The end is the server's word that
        no node runs any more, by when the history is kept too.
        """
        give_up = time.monotonic() + timeout
        while True:
            try:
                event = self._events.get(timeout=max(0.0, give_up - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"prompt {prompt_id} did not end within {timeout:.0f} s") from None
            if isinstance(event, BaseException):
                raise event
            if event.type != "preview" and event.data.get("prompt_id") != prompt_id:
                continue
            yield event
            if event.type == "executing" and event.data["node"] is None:
                return

    def heard(self) -> list[Event]:
        """What came in and was not asked for yet, of any prompt."""
        events = []
        while not self._events.empty():
            event = self._events.get()
            if isinstance(event, BaseException):
                raise event
            events.append(event)
        return events

    def finish(self, prompt_id: str, timeout: float = 300.0) -> list[Event]:
        """All events of a prompt, waited for; PromptError where it did not succeed."""
        events = []
        for event in self.events(prompt_id, timeout):
            check(event)
            events.append(event)
        return events


def check(event: Event) -> None:
    """PromptError where an event tells that its prompt failed."""
    if event.type == "execution_error":
        raise PromptError(f"{event.data.get('node_type')}: {event.data.get('exception_message', '').strip()}")
    if event.type == "execution_interrupted":
        raise PromptError("interrupted")
