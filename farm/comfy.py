"""A ComfyUI server over HTTP: what the farm asks of it. Connections are kept, one a thread."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.parse
import uuid
from typing import TypedDict, cast

from .check import Info
from .graph import Prompt

GONE = (OSError, http.client.HTTPException)  # what a server that isn't there, or ends meanwhile, makes of a call


class RefusedError(Exception):
    """The server answered with an error status; the text says what it found."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Saved(TypedDict):
    """A file that a node saved, as a history names it."""

    filename: str
    subfolder: str
    type: str


class History(TypedDict):
    """What the server keeps of a prompt that has ended."""

    outputs: dict[str, dict[str, list[Saved]]]
    status: dict[str, object]


class Client:
    """Talk to the server at ``url``; ``seconds`` is how long one answer may take."""

    def __init__(self, url: str, seconds: float = 60.0) -> None:
        parts = urllib.parse.urlsplit(url)
        self.url = url.rstrip("/")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._path, self._seconds = parts.netloc, parts.path.rstrip("/"), seconds
        self._threads = threading.local()

    def _call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        """The answer's body. A kept connection that the server has closed meanwhile is opened once more."""
        for again in (True, False):
            kept: http.client.HTTPConnection | None = getattr(self._threads, "connection", None)
            connection = kept or self._kind(self._host, timeout=self._seconds)
            try:
                connection.request(method, self._path + path, body, {"Content-Type": kind} if body else {})
                answer = connection.getresponse()
                content = answer.read()
            except GONE as error:
                connection.close()
                self._threads.connection = None
                # what may have got there isn't sent twice, but for a connection that was closed before
                if kept and again and isinstance(error, (http.client.RemoteDisconnected, ConnectionError)):
                    continue
                raise
            self._threads.connection = connection
            if answer.status >= 400:
                raise RefusedError(answer.status, content.decode(errors="replace"))
            return content
        raise AssertionError("not reached")

    def get(self, path: str) -> object:
        return json.loads(self._call("GET", path))

    def post(self, path: str, body: object) -> bytes:
        return self._call("POST", path, json.dumps(body).encode())

    def object_info(self) -> Info:
        """What the server tells of all its nodes."""
        return cast(Info, self.get("/object_info"))

    def model_sizes(self) -> dict[str, int]:
        """Bytes of models' files by name, where this server tells them."""
        sizes: dict[str, int] = {}
        try:
            folders = cast(list[dict[str, object]], self.get("/experiment/models"))
            for folder in folders:
                found = cast(list[dict[str, object]], self.get(f"/experiment/models/{folder['name']}"))
                sizes |= {str(one["name"]): int(str(one["size"])) for one in found if one.get("size") is not None}
        except RefusedError:
            pass
        return sizes

    def upload(self, content: bytes, folder: str, name: str) -> str:
        """Put a picture into a folder of the server's inputs, in place of one that is there; its name for a graph."""
        boundary = uuid.uuid4().hex
        fields = {"overwrite": "true", "subfolder": folder}
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        )
        quoted = name.replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{quoted}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        said = json.loads(self._call("POST", "/upload/image", body, f"multipart/form-data; boundary={boundary}"))
        return f"{said['subfolder']}/{said['name']}" if said.get("subfolder") else said["name"]

    def queue(self, prompt: Prompt) -> str:
        """Queue a prompt; its id. RefusedError says what ComfyUI's validation found."""
        try:
            return json.loads(self.post("/prompt", {"prompt": prompt, "client_id": "mask-detailer-farm"}))["prompt_id"]
        except RefusedError as error:
            raise RefusedError(error.status, _found(str(error))) from None

    def history(self, prompt_id: str) -> History | None:
        """Of a prompt that has ended, None of another."""
        return cast(dict[str, History], self.get(f"/history/{prompt_id}")).get(prompt_id)

    def where(self, prompt_id: str) -> str:
        """``running``, ``waiting``, or ``""`` where the server's queue has no such prompt."""
        state = cast(dict[str, list[list[object]]], self.get("/queue"))
        for name, shown in (("queue_running", "running"), ("queue_pending", "waiting")):
            if any(one[1] == prompt_id for one in state[name]):
                return shown
        return ""

    def view(self, file: Saved) -> bytes:
        """A file's content."""
        return self._call("GET", f"/view?{urllib.parse.urlencode(cast(dict[str, str], file))}")

    def cancel(self, prompt_id: str) -> None:
        """Take a prompt from the queue, or interrupt it if it runs."""
        self.post("/queue", {"delete": [prompt_id]})
        if self.where(prompt_id) == "running":
            self.post("/interrupt", {"prompt_id": prompt_id})

    def forget_results(self) -> None:
        """Empty the cache of nodes' results before the next prompt; models stay."""
        self.post("/free", {"free_memory": True})

    def answers(self) -> bool:
        try:
            self._call("GET", "/system_stats")
        except (*GONE, RefusedError):
            return False
        return True


def _found(body: str) -> str:
    """One line of what ComfyUI's validation answered."""
    try:
        said = json.loads(body)
        found = [
            f"node {node_id} ({one['class_type']}): {error['message']} {error['details']}".strip()
            for node_id, one in (said.get("node_errors") or {}).items()
            for error in one["errors"]
        ]
        return "; ".join(found) or str(said["error"]["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return body.strip()[:300]
