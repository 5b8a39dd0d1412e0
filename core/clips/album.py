"""The sightings of a track, their masks packed: a clip may be long."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from .sightings import Sighting

RECENT = 6  # sightings that are kept as they are beside: those that a track's next frame is compared with
FAST = 1  # zlib's level: masks are flat but for their edges
_NONE = np.zeros((0, 0), np.float32)


class Album(Mapping[int, Sighting]):
    """Sightings by frame, in the order in which they came; each comes out as it went in."""

    def __init__(self) -> None:
        self._packed: dict[int, tuple[Sighting, bytes]] = {}
        self._recent: dict[int, Sighting] = {}

    def __setitem__(self, frame: int, sighting: Sighting) -> None:
        mask = np.ascontiguousarray(sighting.mask, np.float32)
        self._packed[frame] = replace(sighting, mask=_NONE), zlib.compress(mask.tobytes(), FAST)
        self._keep(frame, sighting)

    def __getitem__(self, frame: int) -> Sighting:
        recent = self._recent.get(frame)
        if recent is None:
            sighting, packed = self._packed[frame]
            values = np.frombuffer(bytearray(zlib.decompress(packed)), np.float32)
            recent = replace(sighting, mask=values.reshape(sighting.region.size))
            self._keep(frame, recent)
        return recent

    def __contains__(self, frame: object) -> bool:
        return frame in self._packed

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __reversed__(self) -> Iterator[int]:
        return reversed(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def regions(self) -> Iterator[tuple[int, Sighting]]:
        """The sightings without their masks, which is all that many ask for."""
        return ((frame, sighting) for frame, (sighting, _) in self._packed.items())

    def put_away(self) -> None:
        """Nobody looks at it for now."""
        self._recent.clear()

    def _keep(self, frame: int, sighting: Sighting) -> None:
        self._recent.pop(frame, None)
        self._recent[frame] = sighting
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
