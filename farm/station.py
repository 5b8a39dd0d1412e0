"""One ComfyUI server, the farm's own or one at an address, and all that can happen to a task on it.

Several threads call `do` at once: ComfyUI works what they queue one after another, so that it never waits for us. When
the server ends, the task that it was at is the suspect and has had a try; the others go on with the next server.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from pathlib import Path, PurePosixPath
from typing import cast

from .comfy import GONE, Client, History, RefusedError, Saved
from .errors import says_disk_full
from .graph import Graph
from .pictures import digest
from .server import Recipe, Server, StartError
from .task import Limits, Picture, Result, ServerFacts, Task

logger = logging.getLogger("mask_detailer.farm")
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5  # seconds between looks at whether a prompt has ended
LOOK_SHARE = 0.1  # of the time that it has taken so far
SURELY = 0.7  # of the usual time, before which nobody looks: each look takes the server some of its time
INTERRUPT_SECONDS = 20.0
REACH_SECONDS = 10.0
RESTARTS = 3  # of one task on other servers, where it was not the suspect


class _GoneError(Exception):
    """The server has ended, hangs, or has forgotten the prompt; ``suspect``: while it worked this one."""

    def __init__(self, suspect: bool, why: str) -> None:
        super().__init__(why)
        self.suspect = suspect


class _EndError(Exception):
    """A task has ended otherwise than by being done."""

    def __init__(self, outcome: str, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.kind, self.reason = outcome, kind, reason


class Station:
    """``how`` is a recipe for servers of our own, or an address."""

    def __init__(self, name: str, how: Recipe | str, graph: Graph, limits: Limits) -> None:
        self.name = name
        self._recipe = how if isinstance(how, Recipe) else None
        self._graph, self._limits = graph, limits
        self._lock = threading.RLock()
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._server: Server | None = None
        self._client = None if isinstance(how, Recipe) else Client(how, limits.silent_seconds)
        self._ready = False
        self._generation = 0
        self._order: list[tuple[str, str]] = []  # (prompt id, task's name), as queued
        self._suspect = ""  # the prompt that the last server was at when it ended
        self._first_since: tuple[str, float] = ("", 0.0)
        self._moved = threading.Condition(self._lock)  # another one is first
        self._usual = 0.0  # seconds from being first to the end

    # the server

    def client(self) -> Client:
        """A client of a server that answers, started if need be; StartError where there is none."""
        with self._starting:
            with self._lock:
                client, ready = self._client, self._ready
            if client is not None and ready:
                return client
            if self._recipe is not None:
                server = Server(self._recipe)
                try:
                    server.start(self._stopped.is_set)
                except BaseException:
                    server.kill()
                    raise
                client = Client(server.url, self._limits.silent_seconds)
                logger.info("%s: ComfyUI answers at %s (process %d)", self.name, server.url, server.pid)
                with self._lock:
                    self._server = server
            else:
                assert client is not None
                if not Client(client.url, REACH_SECONDS).answers():
                    raise StartError(f"no ComfyUI answers at {client.url}")
            with self._lock:
                self._client, self._ready = client, True
            if self._stopped.is_set():
                self.stop()
                raise StartError("stopped")
            return client

    def facts(self) -> ServerFacts:
        """What its server tells of nodes and models; StartError where there is none."""
        client = self.client()
        return client.object_info(), client.model_sizes()

    @property
    def pid(self) -> int:
        with self._lock:
            return self._server.pid if self._server else 0

    def stop(self) -> None:
        """End a server of our own; tasks that it has come back as lost."""
        self._stopped.set()
        with self._lock:
            server, self._ready = self._server, False
            self._server = None
        if server:
            server.stop()

    def cancel(self, name: str) -> None:
        """A task is no longer needed."""
        with self._lock:
            found = [prompt_id for prompt_id, task in self._order if task == name]
            client = self._client
        if client is not None:
            for prompt_id in found:
                with contextlib.suppress(*GONE, RefusedError):
                    client.cancel(prompt_id)

    def _server_is_gone(self, generation: int, why: str) -> None:
        """Make ready for another server; whoever notices first."""
        with self._lock:
            if self._generation != generation:
                return
            self._generation += 1
            self._suspect = self._order[0][0] if self._order else ""
            self._order.clear()
            self._ready = False
            server, self._server = self._server, None
            if self._recipe is not None:
                self._client = None
        if not self._stopped.is_set():
            logger.warning("%s: %s", self.name, why)
        if server:
            server.kill()

    # a task

    def do(self, task: Task) -> Result:
        """Work a task; never raises."""
        try:
            try:
                for _ in range(RESTARTS + 1):
                    try:
                        return self._try(task)
                    except _GoneError as gone:
                        if self._stopped.is_set():
                            break
                        if gone.suspect:
                            raise _EndError("failed", "died", f"{gone} while it worked this item") from None
                raise _EndError("lost", "server", f"{self.name} lost its server several times")
            except StartError as error:
                raise _EndError("lost", "server", str(error)) from None
        except _EndError as end:
            return Result(task.name, task.attempt, self.name, end.outcome, end.kind, end.reason)
        except Exception as error:
            logger.exception("%s: %s", self.name, task.name)
            reason = f"{type(error).__name__}: {error}"
            return Result(task.name, task.attempt, self.name, "failed", "farm", reason)

    def _try(self, task: Task) -> Result:
        contents = [(one, _content(one)) for one in (task.picture, task.mask) if one]
        client = self.client()
        with self._lock:
            generation = self._generation
        prompt_id = ""
        try:
            folders = (task.folder, f"{task.folder}/mask")  # picture and mask may be called the same
            names = [client.upload(one[1], folder, one[0].name) for one, folder in zip(contents, folders, strict=False)]
            prompt = self._graph.filled(names[0], names[1] if len(names) > 1 else "", task.values)
            started = time.monotonic()
            with self._lock:  # in the order in which the server has them
                prompt_id = client.queue(prompt)
                self._order.append((prompt_id, task.name))
            history = self._wait(client, prompt_id, generation)
            seconds = time.monotonic() - started
            files = self._files(client, history)
        except RefusedError as error:
            kind = "disk" if says_disk_full(str(error)) else "refused"
            outcome = "failed" if kind == "disk" or error.status >= 500 else "refused"
            raise _EndError(outcome, kind, f"ComfyUI refused it: {error}") from None
        except GONE as error:
            self._server_is_gone(generation, f"ComfyUI is gone or hangs ({error or type(error).__name__})")
            raise _GoneError(bool(prompt_id) and self._suspect == prompt_id, "ComfyUI ended or hung") from None
        finally:
            with self._lock:
                self._order = [one for one in self._order if one[0] != prompt_id]
                self._moved.notify_all()
        if not files:
            client.forget_results()
            raise _EndError("failed", "files", "what it saved was no longer there")
        self._tidy(task, history)
        return Result(task.name, task.attempt, self.name, "done", files=files, seconds=seconds)

    def _wait(self, client: Client, prompt_id: str, generation: int) -> History:
        """Its history once it has ended well; _EndError where it has not, an error of GONE where it is lost."""
        queued, looked, missing = time.monotonic(), time.monotonic(), 0
        while (history := client.history(prompt_id)) is None:
            now = time.monotonic()
            if self._stopped.is_set():
                raise _EndError("lost", "stopped", "stopped")
            if self._too_long(prompt_id, now):
                self._interrupt(client, prompt_id, generation)
            if now - looked > 2.0:  # a server that was started anew has no such prompt
                looked, missing = now, 0 if client.where(prompt_id) else missing + 1
                if missing > 1:
                    raise ConnectionError("another server has taken its place")
            self._pause(prompt_id, now - queued)
        with self._lock:
            if self._first_since[0] == prompt_id:
                took = time.monotonic() - self._first_since[1]
                self._usual = took if not self._usual else 0.8 * self._usual + 0.2 * took
        _check(history)
        return history

    def _pause(self, prompt_id: str, waited: float) -> None:
        """Until it is worth looking again: what waits behind another one looks when that has ended."""
        with self._lock:
            if self._order and self._order[0][0] != prompt_id:
                self._moved.wait(LONGEST_LOOK)
                return
            since = time.monotonic() - self._first_since[1] if self._first_since[0] == prompt_id else waited
            pause = max(FIRST_LOOK, LOOK_SHARE * since, SURELY * self._usual - since)
        self._stopped.wait(min(LONGEST_LOOK, pause))

    def _too_long(self, prompt_id: str, now: float) -> bool:
        """Whether it has been the server's first for too long."""
        with self._lock:
            if not self._order or self._order[0][0] != prompt_id:
                return False
            if self._first_since[0] != prompt_id:
                self._first_since = (prompt_id, now)
            return now - self._first_since[1] > self._limits.item_seconds

    def _interrupt(self, client: Client, prompt_id: str, generation: int) -> None:
        """End a prompt that takes too long, with its server where that is ours and it doesn't listen."""
        if client.where(prompt_id) == "waiting":  # somebody else's runs there
            with self._lock:
                self._first_since = ("", 0.0)
            return
        reason = f"it took longer than {self._limits.item_seconds:.0f} s (run.item_seconds)"
        client.cancel(prompt_id)
        give_up = time.monotonic() + min(INTERRUPT_SECONDS, self._limits.silent_seconds)
        while client.where(prompt_id) == "running":
            if time.monotonic() > give_up:
                self._server_is_gone(generation, "ComfyUI hangs in an item and does not let itself be interrupted")
                break
            time.sleep(0.2)
        raise _EndError("failed", "timeout", reason)

    def _files(self, client: Client, history: History) -> list[tuple[str, bytes]]:
        """(suffix, content) of what the output node saved; empty where the server has it no longer."""
        saved = _saved(history, self._graph.output)
        if not saved:
            raise _EndError("refused", "output", f"node {self._graph.output} saved nothing")
        try:
            return [(PurePosixPath(one["filename"]).suffix, client.view(one)) for one in saved]
        except RefusedError as error:
            if error.status == 404:
                return []
            raise

    def _tidy(self, task: Task, history: History) -> None:
        """A server of ours needs neither the upload nor what it saved any more."""
        with self._lock:
            server = self._server
        if server:
            server.remove("input", task.folder)
            for node in history["outputs"]:
                for one in _saved(history, node):
                    if one["type"] in ("output", "temp"):
                        server.remove(one["type"], f"{one['subfolder']}/{one['filename']}")


def _content(picture: Picture) -> bytes:
    content = picture.content
    if content is None:
        try:
            content = Path(picture.path).read_bytes()
        except OSError as error:
            raise _EndError("failed", "picture", f"{picture.path} can't be read: {error.strerror or error}") from None
    if picture.digest and digest(content) != picture.digest:
        raise _EndError("refused", "changed", f"{picture.path} has changed since it was planned: run the job again")
    return content


def _saved(history: History, node: str) -> list[Saved]:
    """The files that a node saved, of whatever kind it calls them."""
    lists = history["outputs"].get(node, {}).values()
    files = [one for some in lists if isinstance(some, list) for one in some]
    return [one for one in files if isinstance(one, dict) and "filename" in one]


def _check(history: History) -> None:
    """_EndError where the history tells of an error."""
    if history["status"].get("status_str") != "error":
        return
    for kind, data in cast(list[tuple[str, dict[str, object]]], history["status"].get("messages", [])):
        if kind == "execution_error":
            said = " ".join(str(data.get("exception_message", "")).split())
            reason = f"node {data.get('node_id')} ({data.get('node_type')}): {data.get('exception_type')}: {said}"
            raise _EndError("failed", "disk" if says_disk_full(said) else "error", reason)
        if kind == "execution_interrupted":
            raise _EndError("lost", "interrupted", "it was interrupted")
    raise _EndError("failed", "error", "ComfyUI says that it failed, and not why")
