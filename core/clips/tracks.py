"""Parts followed over the frames of a clip: which of one frame is which of the next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .album import Album
from .sightings import Sighting, alike, overlap

MEMORY = 5  # frames whose motion says where a part will be
REACH = 1.5  # of a part's size: how far from where it is expected it may be, and half as much a frame of a gap
LARGEST_CHANGE = 2.0  # of its area from sighting to sighting, and as much again in a gap
LEAST_ALIKE = 0.4  # of looks
IMPOSSIBLE = 1e6


@dataclass(frozen=True)
class Track:
    """One part over the frames of one shot.

    Attributes:
        number: from 1, in the order in which tracks begin.
        sightings: by frame, in order; frames between them where it was not seen are gaps.
        shot: the first frame of its shot, and the first after it.
    """

    number: int
    sightings: Album
    shot: tuple[int, int]

    @property
    def first(self) -> int:
        return next(iter(self.sightings))

    @property
    def last(self) -> int:
        return next(reversed(self.sightings))

    @property
    def frames(self) -> range:
        """All frames from the first to the last sighting."""
        return range(self.first, self.last + 1)

    @property
    def gaps(self) -> tuple[int, ...]:
        """The frames between in which it was not seen."""
        return tuple(frame for frame in self.frames if frame not in self.sightings)

    @property
    def label(self) -> str:
        return next((one.label for _, one in self.sightings.regions() if one.label), "")

    def nearest(self, frame: int) -> int:
        """The frame itself where it was seen there, or the nearest in which it was."""
        return frame if frame in self.sightings else min(self.sightings, key=lambda other: (abs(other - frame), other))


@dataclass
class _Path:
    """A track in the making, in the shot that begins with a frame."""

    shot: int
    sightings: Album = field(default_factory=Album)

    @classmethod
    def begun(cls, shot: int, frame: int, sighting: Sighting) -> _Path:
        path = cls(shot)
        path.sightings[frame] = sighting
        return path

    @property
    def last(self) -> int:
        return next(reversed(self.sightings))

    def motion(self, frame: int) -> tuple[float, float]:
        """How far it is expected to have moved since it was last seen: at the median speed of its last frames."""
        seen = list(self.sightings)[-MEMORY:]
        if len(seen) < 2:
            return 0.0, 0.0
        places = np.array([self.sightings[one].centre for one in seen])
        speed = np.median(np.diff(places, axis=0) / np.diff(seen)[:, None], axis=0)
        since = frame - self.last
        return float(speed[0] * since), float(speed[1] * since)

    def cost(self, other: Sighting, frame: int) -> float:
        """What speaks against its being this sighting: 0 to 3, ``IMPOSSIBLE`` where it can't be."""
        mine, since = self.sightings[self.last], frame - self.last
        if mine.label != other.label:
            return IMPOSSIBLE
        dx, dy = self.motion(frame)
        size = max(mine.area, other.area) ** 0.5
        (x, y), (other_x, other_y) = mine.centre, other.centre
        away = float(np.hypot(other_x - x - dx, other_y - y - dy))
        common = overlap(mine, other, dx, dy)
        still = overlap(mine, other)
        likeness = alike(mine, other)
        ratio = max(mine.area, other.area) / max(min(mine.area, other.area), 1e-9)
        near = away <= REACH * size * (1 + 0.5 * (since - 1))
        if max(common, still) == 0.0 and (not near or likeness < LEAST_ALIKE):
            return IMPOSSIBLE
        if ratio > LARGEST_CHANGE * (2.0 if since > 1 else 1.0) and common < 0.3:
            return IMPOSSIBLE
        return (1.0 - common) + 0.5 * min(away / size, 2.0) / 2.0 + (1.0 - likeness) + 0.25 * np.log2(ratio)


def follow(
    seen: Iterable[Sequence[Sighting]], cuts: Collection[int] = (), gap: int = 4, frames: int | None = None
) -> list[Track]:
    """Join what is seen frame by frame to tracks.

    In each frame sightings go to the paths for which, all together, the least speaks against (an optimal assignment):
    how little the mask overlaps the path's last one moved on by its motion, how far it is from there, how other it
    looks and how much its size has changed. Source: H. W. Kuhn, "The Hungarian Method for the Assignment Problem",
    Naval Research Logistics Quarterly 2 (1955).

    Args:
        seen: the sightings of each frame.
        cuts: the frames that begin a new shot; no track goes on over them.
        gap: so many frames on end a part may be out of sight and still be the same.
        frames: how many there are, where it is known.

    Returns:
        the tracks in the order in which they begin, those of a frame in the order of its sightings.
    """
    from scipy.optimize import linear_sum_assignment

    alive: list[_Path] = []
    paths: list[_Path] = []
    shot, index = 0, -1
    for index, sightings in enumerate(seen):
        if index in cuts:
            shot = index
        gone = [path for path in alive if path.shot != shot or index - path.last > gap + 1]
        for path in gone:
            path.sightings.put_away()
        alive = [path for path in alive if not any(path is one for one in gone)]
        left = dict(enumerate(sightings))
        if alive and sightings:
            costs = np.array([[path.cost(one, index) for one in sightings] for path in alive])
            for row, column in zip(*linear_sum_assignment(costs), strict=True):
                if costs[row, column] < IMPOSSIBLE:
                    alive[row].sightings[index] = left.pop(int(column))
        new = [_Path.begun(shot, index, one) for one in left.values()]
        alive += new
        paths += new
    ends = [*sorted(cut for cut in cuts if cut > 0), frames if frames is not None else index + 1]
    return [
        Track(number, path.sightings, (path.shot, next(end for end in ends if end > path.shot)))
        for number, path in enumerate(paths, start=1)
    ]
