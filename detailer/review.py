"""What is kept of each detailer node's last run for the browser that watched it: what it was told, for a page that
comes late or is loaded again, and the crops before and after, for one that looks closely.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from ..core import encoded, to_bytes
from ..core.pixels import shrunk_bytes

MOST_BYTES = 256 * 2**20  # of all crops; the oldest runs' go first, of a run the first that were kept
MOST_RUNS = 64
MOST_PARTS = 300  # of a run that are kept with thumbnails; of those beyond, finished ones are only counted
LONGEST_SIDE = 96  # of a thumbnail
BEFORE, AFTER, CANDIDATE = "before", "after", "candidate"
FINISHED = ("done", "kept", "skipped")
_MOST_LETTERS = 200  # of an id

Part = tuple[int, int]
"""A picture's index from 0, and a segment's number there."""

Facts = dict[str, object]


class Node(NamedTuple):
    """A node of a workflow (None where that has no id), as one client ran it."""

    client: str
    workflow: str | None
    node: str


class View(NamedTuple):
    """A picture to look at: of which part, and whether before, after or of a candidate; ``seed`` is the candidate's."""

    picture: int
    number: int
    which: str
    seed: str = ""


@dataclass
class _Run:
    """A node's last run.

    Attributes:
        parts: what is known of each, in the order in which they were planned.
        gone: how many that are no longer kept ended in which state.
        lost: choices that found no part.
        why: there are no parts, where there are none.
        crops: uint8 ``[h,w,3]``, in the order in which they came.
    """

    prompt_id: str
    pictures: int
    parts: dict[Part, Facts] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    why: str = ""
    crops: dict[View, np.ndarray] = field(default_factory=dict)
    bytes: int = 0
    has_ended: bool = False

    def keep(self, view: View, crop: np.ndarray) -> None:
        self.drop(view)
        self.crops[view] = crop
        self.bytes += crop.nbytes

    def drop(self, view: View) -> None:
        crop = self.crops.pop(view, None)
        self.bytes -= 0 if crop is None else crop.nbytes

    def part(self, picture: int, number: int) -> Facts:
        return self.parts.setdefault((picture, number), {"picture": picture, "number": number, "state": "waiting"})

    def make_room(self) -> None:
        """Forget of finished parts the first."""
        for place in list(self.parts):
            if len(self.parts) <= MOST_PARTS or self.parts[place]["state"] not in FINISHED:
                return
            state = str(self.parts.pop(place)["state"])
            self.gone[state] = self.gone.get(state, 0) + 1


class Review:
    """Runs by node. Nodes' threads write and the server's reads: any method may be called from any thread."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._runs: dict[Node, _Run] = {}  # the last ones begun come last
        self._lock = threading.Lock()

    def begin(self, node: Node, prompt_id: str, pictures: int, is_connected: Callable[[str], bool]) -> None:
        """A node runs: what it had before goes, and what clients had that are gone."""
        with self._lock:
            self._runs.pop(node, None)
            for other in [other for other in self._runs if not is_connected(other.client)]:
                self._runs.pop(other)
            if all(len(name or "") <= _MOST_LETTERS for name in node):
                self._runs[node] = _Run(prompt_id, pictures)
            while len(self._runs) > MOST_RUNS:
                self._runs.pop(next(iter(self._runs)))

    def planned(self, node: Node, picture: int, segments: list[Facts], why: str = "") -> None:
        """A picture's segments are known; where there are none, ``why``."""
        with self._lock:
            run = self._runs.get(node)
            if run is None:
                return
            for segment in segments:
                number = segment["number"]
                assert isinstance(number, int)
                state = "skipped" if segment.get("skipped") else "waiting"
                run.part(picture, number).update(segment, state=state, of=len(segments))
            run.why = run.why or why
            run.make_room()

    def tell(self, node: Node, segments: list[Facts], **facts: object) -> None:
        """Something is known of segments, of all the same or of each its own; each says which it is."""
        with self._lock:
            run = self._runs.get(node)
            for segment in segments if run is not None else ():
                picture, number = segment["picture"], segment["number"]
                assert run is not None and isinstance(picture, int) and isinstance(number, int)
                run.part(picture, number).update(segment, **facts)

    def lost(self, node: Node, keys: list[str]) -> None:
        """Choices that found no part."""
        with self._lock:
            if node in self._runs:
                self._runs[node].lost += keys

    def ended(self, node: Node) -> None:
        """All is finished."""
        with self._lock:
            if node in self._runs:
                self._runs[node].has_ended = True

    def keep(self, node: Node, view: View, crop: torch.Tensor) -> None:
        """A crop ``[n,h,w,3 or more]`` float 0..1 as it is now, of frames the first; as bytes, which are its own."""
        pixels = to_bytes(crop[0, ..., :3])
        with self._lock:
            run = self._runs.get(node)
            if run is None:
                return
            run.keep(view, pixels)
            while sum(other.bytes for other in self._runs.values()) > self._most_bytes:
                oldest = next(other for other in self._runs.values() if other.crops)
                oldest.drop(next(iter(oldest.crops)))

    def png(self, node: Node, view: View) -> bytes | None:
        """A crop as a PNG file at its own size; None where it isn't known or no longer kept."""
        with self._lock:
            run = self._runs.get(node)
            pixels = None if run is None else run.crops.get(view)
        return None if pixels is None else encoded(pixels, "png")

    def states(
        self, client: str, workflow: str | None, node: str | None, runs: Callable[[str], bool]
    ) -> list[Mapping[str, object]]:
        """An event for each of a client's runs, from which its page shows it as it is now.

        Args:
            workflow: runs of workflows without an id count too.
            node: None for all nodes.
            runs: whether a prompt, by its id, is still worked on.
        """
        with self._lock:
            found = [
                (place, run, [dict(part) for part in run.parts.values()], dict(run.crops))
                for place, run in self._runs.items()
                if place.client == client and place.workflow in (None, workflow) and node in (None, place.node)
            ]
        return [
            {
                "what": "state", "node": place.node, "workflow": place.workflow, "prompt_id": run.prompt_id,
                "pictures": run.pictures, "gone": run.gone, "lost": run.lost, "why": run.why,
                "ended": run.has_ended, "stopped": not run.has_ended and not runs(run.prompt_id),
                "segments": [_with_thumbnails(part, crops) for part in parts],
            }
            for place, run, parts, crops in found
        ]  # fmt: skip


def _with_thumbnails(part: Facts, crops: Mapping[View, np.ndarray]) -> Facts:
    """With those that nobody was there to be sent."""
    picture, number = part["picture"], part["number"]
    assert isinstance(picture, int) and isinstance(number, int)
    for which in (BEFORE, AFTER):
        crop = crops.get(View(picture, number, which))
        if which not in part and crop is not None:
            part[which] = thumbnail(torch.from_numpy(crop)[None] / 255.0)
    return part


def thumbnail(picture: torch.Tensor) -> str:
    """``[1,h,w,3]`` float 0..1 as a JPEG file in base64, no side above ``LONGEST_SIDE``; never enlarged."""
    return base64.b64encode(encoded(shrunk_bytes(picture[0, ..., :3], LONGEST_SIDE), "jpeg")).decode()
