"""The window in which a moving part is worked on: one size for all frames of a track, and a place in each."""

from __future__ import annotations

import cmath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..masks import covered_region
from ..reflect import moved_mask
from ..region import Region, Size
from .motion import LEAST_LIKE, TEMPLATE_LIKE, Template
from .pose import Pose, cut_mask
from .sightings import Sighting
from .smoothing import smoothed
from .tracks import Track

STILL = 0.15  # pixels: a path that never goes farther from its middle stands still
UPRIGHT = 0.35  # pixels: a zoom and turn that move no corner of the part by more are none
BY_MASK = 1.5  # pixels: how exactly a whole mask says where its part is
HIDDEN = 8.0, 0.1  # pixels, or of a part's size if that is more: where a mask is less sure, something hides the part
LARGEST_STEP = 0.5  # of a part's size: what the picture's motion may differ by from the mask's
LEAST_DOUBT = 0.01  # pixels

Frames = Callable[[int], torch.Tensor]


@dataclass(frozen=True)
class Window:
    """Where a track is worked on.

    Attributes:
        track: the part.
        size: in pixels, one of which is a pixel of the frame where the part is largest.
        poses: its place in each of the track's frames.
        box: what the part covers of it in any frame.
        mask: ``[h,w]`` float32 0..1, what the part's masks cover of it in any frame.
        areas: how many of its pixels the part's mask covers, of each frame in which it was seen.
        lost: the frames of its gaps in which the picture does not show it either.
    """

    track: Track
    size: Size
    poses: Mapping[int, Pose]
    box: Region
    mask: np.ndarray
    areas: Mapping[int, float]
    lost: frozenset[int] = frozenset()

    @property
    def region(self) -> Region | None:
        """What it covers of all frames where it stands still at whole pixels; else None."""
        regions = {pose.region(self.size) for pose in self.poses.values()}
        return next(iter(regions)) if len(regions) == 1 else None

    @property
    def typical(self) -> Region:
        """What the part covers of it in a typical frame: the median of each side, upright as the frame is."""
        return _whole(_typical(self.track, self.poses), self.size.width / 2, self.size.height / 2)

    def mask_in(self, frame: int) -> torch.Tensor:
        """The part's own mask as the window shows it in a frame, ``[1,h,w]``; in a gap that of the nearest sighting."""
        nearest = self.track.nearest(frame)
        return in_window(self.track.sightings[nearest], self.poses[nearest], self.size)


@dataclass(frozen=True)
class Framing:
    """How a window is laid around a track.

    Attributes:
        crop_factor: its sides over the part's.
        smoothing: how much its path is smoothed: 0 not at all; more weighs steadiness higher than what was measured.
        margin: least pixels around all masks.
    """

    crop_factor: float
    smoothing: float = 1.0
    margin: int = 0


def window_of(track: Track, frames: Frames, picture: Size, framing: Framing) -> Window:
    """The window of a track.

    Its path follows what the picture shows under the masks, as far as that can be made out, else the masks; all its
    frames lie about it in the same place of the window, whatever the masks' edges do. It is as large as a typical
    frame's crop region, and larger where a mask would not fit. Where nothing moves it stands still at whole pixels.

    Args:
        frames: a frame ``[H,W,3]`` float 0..1 by its number.
    """
    measured, lost = _measured(track, frames)
    poses = _steadied(smoothed(measured, framing.smoothing), track)
    extent, typical = _extent(track, poses), _typical(track, poses)
    if len({*poses.values()}) == 1:
        pose = next(iter(poses.values()))
        box, part = (_whole(sides, pose.x, pose.y) for sides in (extent, typical))
        region = box.padded(framing.margin).union(part.grown(framing.crop_factor, picture)).within(picture)
        middle = Pose((region.x1 + region.x2) / 2, (region.y1 + region.y2) / 2)
        return _window(track, region.size, dict.fromkeys(poses, middle), lost)
    largest = max(pose.zoom for pose in poses.values())
    extent, typical = extent * largest, typical * largest
    centre = (typical[:2] + typical[2:]) / 2
    reach = np.minimum(framing.crop_factor * (typical[2:] - typical[:2]), (picture.width, picture.height)) / 2
    first = np.minimum(centre - reach, extent[:2] - framing.margin)
    last = np.maximum(centre + reach, extent[2:] + framing.margin)
    width, height = (max(round(float(side)), 1) for side in last - first)
    middle = complex(*(first + last) / 2)
    return _window(track, Size(height, width), {
        frame: _moved(replace(pose, zoom=pose.zoom / largest), middle) for frame, pose in poses.items()
    }, lost)  # fmt: skip


def resized(window: Window, size: Size, right: float = 0.0, down: float = 0.0) -> Window:
    """The same with another size, its middle moved by so many of its pixels."""
    moved = {frame: _moved(pose, complex(right, down)) for frame, pose in window.poses.items()}
    return _window(window.track, size, moved, window.lost)


def _window(track: Track, size: Size, poses: Mapping[int, Pose], lost: frozenset[int]) -> Window:
    mask, areas = np.zeros(size, np.float32), {}
    for frame, sighting in track.sightings.items():
        seen = in_window(sighting, poses[frame], size)[0].numpy()
        np.maximum(mask, seen, out=mask)
        areas[frame] = float(seen.sum(dtype=np.float64))
    track.sightings.put_away()
    box = covered_region(torch.from_numpy(mask))
    box = Region.whole(size) if box.is_empty else box
    return Window(track, size, poses, box, mask, areas, lost)


def in_window(sighting: Sighting, pose: Pose, size: Size) -> torch.Tensor:
    """What a window of a size shows of a sighting's mask, ``[1,h,w]`` 0..1."""
    mask, whole = torch.from_numpy(sighting.mask)[None], pose.region(size)
    if whole is not None:
        return moved_mask(mask, sighting.region, whole)
    return cut_mask(mask, replace(pose, x=pose.x - sighting.region.x1, y=pose.y - sighting.region.y1), size)


def _moved(pose: Pose, by: complex) -> Pose:
    """The pose of a window whose middle is ``by`` of its pixels further on."""
    moved = complex(pose.x, pose.y) + cmath.rect(pose.zoom, pose.turn) * by
    return replace(pose, x=moved.real, y=moved.imag)


@dataclass(frozen=True)
class Measured:
    """Where a part is in a frame, and how exactly that is known: ``[4]``, x, y, the zoom's logarithm and the turn."""

    place: np.ndarray
    doubt: np.ndarray


def _measured(track: Track, frames: Frames) -> tuple[dict[int, Measured | None], frozenset[int]]:
    """Each frame's place, None where nothing says it; and the frames that were looked through in vain."""
    lost: set[int] = set()
    first = track.sightings[track.first]
    at = Pose((first.region.x1 + first.region.x2) / 2, (first.region.y1 + first.region.y2) / 2)
    template = Template(frames(track.first), first.mask, at)
    size, radius = first.region.size, max(first.region.size.longer / 2, 1.0)
    found: dict[int, Measured | None] = {track.first: _exactly(at)}
    poses, last_seen = {track.first: at}, track.first
    for frame in track.frames[1:]:
        before = poses[frame - 1]
        speed = complex(0, 0)
        if frame - 2 in poses:
            older = poses[frame - 2]
            speed = complex(before.x - older.x, before.y - older.y)
        guesses = [before, replace(before, x=before.x + speed.real, y=before.y + speed.imag)]
        sighting = track.sightings.get(frame)
        by_mask = None
        if sighting is not None:
            by_mask = _by_mask(track.sightings[last_seen], sighting, poses[last_seen])
            guesses += [replace(before, x=x, y=y) for x, y in by_mask.places]
        is_whole = by_mask is not None and by_mask.doubt <= max(HIDDEN[0], HIDDEN[1] * size.longer)
        expected = by_mask.pose if by_mask is not None and is_whole else guesses[1]
        match = None if template.is_blank else template.find(frames(frame), guesses, sighting)
        if match is not None and (match.like < LEAST_LIKE or not _possible(match.pose, expected, before, size)):
            match = None
        if match is not None:
            doubt = np.maximum(match.doubt, np.array([1.0, 1.0, 1 / radius, 1 / radius]) * LEAST_DOUBT)
            found[frame], poses[frame] = Measured(_vector(match.pose), doubt), match.pose
        elif by_mask is not None:
            found[frame] = Measured(_vector(by_mask.pose), np.array([by_mask.doubt, by_mask.doubt, 0.1, 0.1]))
            poses[frame] = expected
        else:
            found[frame], poses[frame] = None, guesses[1]
            if not template.is_blank:
                lost.add(frame)
        if sighting is not None:
            last_seen = frame
            if is_whole and (match is None or match.like < TEMPLATE_LIKE):
                shown = in_window(sighting, poses[frame], template.window)[0].numpy()
                template = Template(frames(frame), shown, poses[frame])
    return found, frozenset(lost)


@dataclass(frozen=True)
class ByMask:
    """Where a mask says that its part is.

    Attributes:
        pose: as the mask's middle moved.
        places: that, and as the middle of what it spans moved.
        doubt: in pixels; the farther these are apart and the more that span grows or shrinks, the more of it is hidden.
    """

    pose: Pose
    places: tuple[tuple[float, float], tuple[float, float]]
    doubt: float


def _by_mask(last: Sighting, now: Sighting, pose: Pose) -> ByMask:
    """As the masks moved from one frame, in which the part is at ``pose``, to another."""
    middle = np.subtract(now.centre, last.centre)
    one, other = now.region, last.region
    first = np.array([one.x1 - other.x1, one.y1 - other.y1])
    span = (first + np.array([one.x2 - other.x2, one.y2 - other.y2])) / 2
    apart = np.abs(middle - span).max() + np.abs(first - span).max()
    places = tuple((pose.x + float(x), pose.y + float(y)) for x, y in (middle, span))
    return ByMask(replace(pose, x=places[0][0], y=places[0][1]), (places[0], places[1]), BY_MASK + float(apart))


def _possible(pose: Pose, expected: Pose, before: Pose, size: Size) -> bool:
    away = np.hypot(pose.x - expected.x, pose.y - expected.y)
    return bool(away <= LARGEST_STEP * size.longer * pose.zoom and 0.8 < pose.zoom / before.zoom < 1.25)


def _exactly(pose: Pose) -> Measured:
    return Measured(_vector(pose), np.full(4, LEAST_DOUBT))


def _vector(pose: Pose) -> np.ndarray:
    return np.array([pose.x, pose.y, np.log(pose.zoom), pose.turn])


def _steadied(path: Mapping[int, np.ndarray], track: Track) -> dict[int, Pose]:
    """The poses of a path; at one place where it never leaves it, upright where it hardly turns or zooms."""
    places = np.array(list(path.values()))
    radius = max(max(one.region.size.longer for _, one in track.sightings.regions()) / 2, 1.0)
    bent = np.abs(places[:, 2:] - places[0, 2:]).max(initial=0.0) * radius
    middle = (places[:, :2].min(axis=0) + places[:, :2].max(axis=0)) / 2
    if bent <= UPRIGHT:
        if np.abs(places[:, :2] - middle).max() <= STILL:
            return {frame: Pose(float(places[0, 0]), float(places[0, 1])) for frame in path}
        return {frame: Pose(float(x), float(y)) for frame, (x, y, _, _) in path.items()}
    return {frame: Pose(float(x), float(y), float(np.exp(z)), float(turn)) for frame, (x, y, z, turn) in path.items()}


def _extent(track: Track, poses: Mapping[int, Pose]) -> np.ndarray:
    """What all masks cover about the poses, in the windows' pixels from their middle: left, top, right, bottom."""
    seen = []
    for frame, sighting in track.sightings.regions():
        region = sighting.region
        corners = [(x, y) for x in (region.x1, region.x2) for y in (region.y1, region.y2)]
        seen += [_from_middle(poses[frame], *corner) for corner in corners]
    return np.concatenate([np.min(seen, axis=0), np.max(seen, axis=0)])


def _typical(track: Track, poses: Mapping[int, Pose]) -> np.ndarray:
    """The same of a typical frame's mask: the median of each side, taken as long as it is in its frame."""
    boxes = []
    for frame, sighting in track.sightings.regions():
        pose, region = poses[frame], sighting.region
        middle = _from_middle(pose, (region.x1 + region.x2) / 2, (region.y1 + region.y2) / 2)
        half = np.array([region.width, region.height]) / 2 / pose.zoom
        boxes.append(np.concatenate([middle - half, middle + half]))
    return np.median(boxes, axis=0)


def _from_middle(pose: Pose, x: float, y: float) -> np.ndarray:
    """A point of the frame, in a window's pixels from its middle."""
    away = complex(x - pose.x, y - pose.y) / cmath.rect(pose.zoom, pose.turn)
    return np.array([away.real, away.imag])


def _whole(sides: np.ndarray, x: float, y: float) -> Region:
    """Sides about a point, at whole pixels."""
    return Region(*(round(float(side)) for side in sides + np.array([x, y, x, y])))
