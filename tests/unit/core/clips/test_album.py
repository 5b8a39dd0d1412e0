"""A track's sightings: as they went in, and small."""

from __future__ import annotations

import tracemalloc

import numpy as np
from mask_detailer.core import Region
from mask_detailer.core.clips.album import RECENT, Album
from mask_detailer.core.clips.sightings import Sighting

COUNT, SIDE = 200, 128


def sighting(frame: int) -> Sighting:
    """A soft disc."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    mask = np.clip(40.0 + 0.01 * frame - np.hypot(x, y), 0.0, 1.0).astype(np.float32)
    region = Region(frame, 0, frame + SIDE, SIDE)
    return Sighting(region, mask, f"part {frame}", np.full(64, 1 / 64))


def test_they_come_out_as_they_went_in_and_take_little_memory() -> None:
    album = Album()
    tracemalloc.start()
    for frame in range(COUNT):
        album[frame] = sighting(frame)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < (RECENT + 10) * SIDE**2 * 4 + COUNT * 4000
    for frame in (0, COUNT - 1, 7, 7):
        wanted, made = sighting(frame), album[frame]
        assert np.array_equal(made.mask, wanted.mask) and made.mask.flags.writeable
        assert (made.region, made.label) == (wanted.region, wanted.label)
    assert list(album) == list(range(COUNT)) and next(reversed(album)) == COUNT - 1 and len(album) == COUNT
    assert [one.region.x1 for _, one in album.regions()] == list(range(COUNT))
    assert COUNT not in album and album.get(COUNT) is None
