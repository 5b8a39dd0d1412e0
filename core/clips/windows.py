"""The window in which a moving part is worked on: one size for all frames of a track, and a place in each."""

from __future__ import annotations

import cmath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..reflect import moved_mask
from ..region import Region, Size
from .motion import LEAST_LIKE, TEMPLATE_LIKE, Template
from .pose import Pose, cut_mask
from .sightings import Sighting
from .smoothing import smoothed
from .tracks import Track

STILL = 0.15  # pixels: a path that never goes farther from its middle stands still
UPRIGHT = 0.35  # pixels: a zoom and turn that move no corner of the part by more are none
BY_MASK = 1.5  # pixels: how exactly a mask says where its part is
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
        lost: the frames of its gaps in which the picture does not show it either.
    """

    track: Track
    size: Size
    poses: Mapping[int, Pose]
    box: Region
    mask: np.ndarray
    lost: frozenset[int] = frozenset()

    @property
    def region(self) -> Region | None:
        """What it covers of all frames where it stands still at whole pixels; else None."""
        regions = {pose.region(self.size) for pose in self.poses.values()}
        return next(iter(regions)) if len(regions) == 1 else None

    def mask_in(self, frame: int) -> torch.Tensor:
        """The part's own mask as the window shows it in a frame, ``[1,h,w]``; in a gap that of the nearest sighting."""
        if frame in self.track.sightings:
            return _in_window(self.track.sightings[frame], self.poses[frame], self.size)
        nearest = min(self.track.sightings, key=lambda other: (abs(other - frame), other))
        return _in_window(self.track.sightings[nearest], self.poses[nearest], self.size)


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
    frames lie about it in the same place of the window, whatever the masks' edges do. It is large enough for every
    mask. Where nothing moves it stands still at whole pixels, and is the crop region of a still picture.

    Args:
        frames: a frame ``[H,W,3]`` float 0..1 by its number.
    """
    measured, lost = _measured(track, frames)
    poses = _steadied(smoothed(measured, framing.smoothing), track)
    extent = _extent(track, poses)
    if len({*poses.values()}) == 1:
        pose = next(iter(poses.values()))
        box = Region(*(round(side) for side in (extent[0] + pose.x, extent[1] + pose.y, extent[2] + pose.x,
                                                 extent[3] + pose.y)))  # fmt: skip
        region = box.padded(framing.margin).union(box.grown(framing.crop_factor, picture)).within(picture)
        middle = Pose((region.x1 + region.x2) / 2, (region.y1 + region.y2) / 2)
        return _window(track, region.size, dict.fromkeys(poses, middle), lost)
    largest = max(pose.zoom for pose in poses.values())
    extent = tuple(side * largest for side in extent)  # type: ignore[assignment]
    middle = complex(extent[0] + extent[2], extent[1] + extent[3]) / 2
    wished = [framing.crop_factor * (extent[2] - extent[0]), framing.crop_factor * (extent[3] - extent[1])]
    least = [extent[2] - extent[0] + 2 * framing.margin, extent[3] - extent[1] + 2 * framing.margin]
    width, height = (
        max(round(min(side, most)), int(np.ceil(low)), 1)
        for side, low, most in zip(wished, least, (picture.width, picture.height), strict=True)
    )
    return _window(track, Size(height, width), {
        frame: _moved(replace(pose, zoom=pose.zoom / largest), middle) for frame, pose in poses.items()
    }, lost)  # fmt: skip


def resized(window: Window, size: Size, right: float = 0.0, down: float = 0.0) -> Window:
    """The same with another size, its middle moved by so many of its pixels."""
    moved = {frame: _moved(pose, complex(right, down)) for frame, pose in window.poses.items()}
    return _window(window.track, size, moved, window.lost)


def _window(track: Track, size: Size, poses: Mapping[int, Pose], lost: frozenset[int]) -> Window:
    mask = np.zeros(size, np.float32)
    for frame, sighting in track.sightings.items():
        np.maximum(mask, _in_window(sighting, poses[frame], size)[0].numpy(), out=mask)
    track.sightings.put_away()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = Region(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else Region(
        0, 0, size.width, size.height
    )  # fmt: skip
    return Window(track, size, poses, box, mask, lost)


def _in_window(sighting: Sighting, pose: Pose, size: Size) -> torch.Tensor:
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
            guesses.append(replace(before, x=by_mask.x, y=by_mask.y))
        expected = by_mask or guesses[1]
        match = None if template.is_blank else template.find(frames(frame), guesses)
        if match is not None and (match.like < LEAST_LIKE or not _possible(match.pose, expected, before, size)):
            match = None
        if match is not None:
            doubt = np.maximum(match.doubt, np.array([1.0, 1.0, 1 / radius, 1 / radius]) * LEAST_DOUBT)
            found[frame], poses[frame] = Measured(_vector(match.pose), doubt), match.pose
        elif by_mask is not None:
            found[frame] = Measured(_vector(by_mask), np.array([BY_MASK, BY_MASK, 0.1, 0.1]))
            poses[frame] = by_mask
        else:
            found[frame], poses[frame] = None, guesses[1]
            if not template.is_blank:
                lost.add(frame)
        if sighting is not None:
            last_seen = frame
            if match is None or match.like < TEMPLATE_LIKE:
                shown = _in_window(sighting, poses[frame], template.window)[0].numpy()
                template = Template(frames(frame), shown, poses[frame])
    return found, frozenset(lost)


def _by_mask(last: Sighting, now: Sighting, pose: Pose) -> Pose:
    """As the masks' middles moved."""
    (x, y), (last_x, last_y) = now.centre, last.centre
    return replace(pose, x=pose.x + x - last_x, y=pose.y + y - last_y)


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


def _extent(track: Track, poses: Mapping[int, Pose]) -> tuple[float, float, float, float]:
    """What all masks cover about the poses, in the windows' pixels from their middle: left, top, right, bottom."""
    sides = []
    for frame, sighting in track.sightings.regions():
        pose, region = poses[frame], sighting.region
        factor = cmath.rect(pose.zoom, pose.turn)
        corners = [complex(x, y) for x in (region.x1, region.x2) for y in (region.y1, region.y2)]
        seen = [(corner - complex(pose.x, pose.y)) / factor for corner in corners]
        sides.append(
            (min(one.real for one in seen), min(one.imag for one in seen), -max(one.real for one in seen),
             -max(one.imag for one in seen))
        )  # fmt: skip
    left, top, right, bottom = np.array(sides).min(axis=0)
    return float(left), float(top), float(-right), float(-bottom)
