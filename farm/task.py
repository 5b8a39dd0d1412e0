"""What goes to a server and what comes back; plain values, which Ray can carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .check import Info
from .job import Value


@dataclass(frozen=True)
class Picture:
    """A file to upload.

    Attributes:
        path: where it lies.
        digest: its content's hash as planned, or "" where content is not compared.
        name: what it is called on the server.
        content: its bytes, where they come along; else None, and the path is read.
    """

    path: str
    digest: str
    name: str
    content: bytes | None = None


@dataclass(frozen=True)
class Task:
    """An item to make; ``folder`` is of its uploads, ``attempt`` tells two tries of one item apart."""

    name: str
    attempt: int
    folder: str
    picture: Picture
    mask: Picture | None
    values: dict[str, Value]


@dataclass(frozen=True)
class Result:
    """What became of a task.

    Attributes:
        outcome: ``done``; ``failed``, which counts as a try; ``refused``, which another try won't change; ``lost``:
            the server was not there, and the item is as before.
        kind: of what went wrong, in a word: picture, changed, refused, error, timeout, died, disk ...
        reason: one sentence.
        files: (suffix, content) of what was made.
        seconds: from queued to made.
    """

    name: str
    attempt: int
    station: str
    outcome: str
    kind: str = ""
    reason: str = ""
    files: list[tuple[str, bytes]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Seconds: the longest for an item, and for an answer."""

    item_seconds: float
    silent_seconds: float


ServerFacts = tuple[Info, dict[str, int]]  # of its nodes, and bytes of models' files by name


class Does(Protocol):
    """What works tasks, several threads at once."""

    def facts(self) -> ServerFacts: ...
    def do(self, task: Task) -> Result: ...
    def cancel(self, name: str) -> None: ...
    def stop(self) -> None: ...


class Executor(Protocol):
    """Servers that work tasks. `submit` never blocks; `results` gives what has come back, waiting up to some seconds;
    `facts` starts one if need be, and raises FarmError where none comes up.
    """

    def facts(self) -> ServerFacts: ...
    def submit(self, task: Task, station: str) -> None: ...
    def results(self, seconds: float) -> list[Result]: ...
    def stations(self) -> dict[str, int]: ...
    def cancel(self, name: str, station: str) -> None: ...
    def close(self) -> None: ...


AT_ONCE = 2  # tasks that a server has at once: while it works one, the other waits there, and it never idles
