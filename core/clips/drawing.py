"""A clip's plan to look at: the windows in a frame of each shot, and below a line of time for each part."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..region import Size
from .pose import Pose
from .windows import Window

WIDTH = 768  # pixels
MOST_SHOTS = 4
ROW, GUTTER = 14, 6  # pixels of a part's line of time, and between
GREY, CUT = (0.25, 0.25, 0.25), (1.0, 0.2, 0.2)


def drawn(
    frames: Callable[[int], torch.Tensor], count: int, picture: Size, cuts: Sequence[int], windows: Sequence[Window]
) -> torch.Tensor:
    """The plan as a picture ``[1,H,768,3]`` float 0..1.

    Each of the first shots shows its middle frame with the parts' windows, and where their middles go. In the lines of
    time a part's frames are in its colour, gaps hollow; cuts are red.
    """
    starts = [0, *cuts]
    ends = [*cuts, count]
    shots = list(zip(starts, ends, strict=True))[:MOST_SHOTS]
    height = max(round(WIDTH / len(shots) * picture.height / picture.width), 1)
    width = WIDTH // len(shots)
    tops = [_shot(frames, shot, Size(height, width), picture, windows) for shot in shots]
    top = np.concatenate(tops, axis=1)
    top = np.pad(top, ((0, 0), (0, WIDTH - top.shape[1]), (0, 0)))
    return torch.from_numpy(np.concatenate([top, _times(count, cuts, windows)]).clip(0.0, 1.0))[None]


def colour_of(number: int) -> tuple[float, float, float]:
    """A part's colour; those of neighbouring numbers are far apart."""
    return colorsys.hsv_to_rgb(number * 0.381966 % 1.0, 0.75, 1.0)


def _shot(
    frames: Callable[[int], torch.Tensor], shot: tuple[int, int], size: Size, picture: Size, windows: Sequence[Window]
) -> np.ndarray:
    import cv2

    middle = (shot[0] + shot[1]) // 2
    shown = frames(middle).detach().to("cpu", torch.float32).numpy()
    canvas = cv2.resize(shown, (size.width, size.height), interpolation=cv2.INTER_AREA).clip(0.0, 1.0)
    canvas = np.ascontiguousarray(np.round(canvas * 255).astype(np.uint8))  # all that OpenCV writes text on
    scale = np.array([size.width / picture.width, size.height / picture.height])
    for window in windows:
        path = [(pose.x, pose.y) for frame, pose in window.poses.items() if shot[0] <= frame < shot[1]]
        if not path:
            continue
        colour = tuple(round(255 * one) for one in colour_of(window.track.number))
        points = np.round(np.array(path) * scale).astype(np.int32)
        cv2.polylines(canvas, [points], False, colour, 1, cv2.LINE_AA)
        near = min(window.poses, key=lambda frame: abs(frame - middle))
        corners = _corners(window.poses[near], window.size) * scale
        thick = 2 if near == middle else 1
        cv2.polylines(canvas, [np.round(corners).astype(np.int32)], True, colour, thick, cv2.LINE_AA)
        place = tuple(int(side) for side in corners.min(axis=0) + np.array([3, 14]))
        cv2.putText(canvas, str(window.track.number), place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def _corners(pose: Pose, size: Size) -> np.ndarray:
    corners = [(0, 0, 1), (size.width, 0, 1), (size.width, size.height, 1), (0, size.height, 1)]
    return np.array(corners) @ pose.matrix(size).T


def _times(count: int, cuts: Sequence[int], windows: Sequence[Window]) -> np.ndarray:
    height = GUTTER + max(len(windows), 1) * (ROW + GUTTER)
    canvas = np.full((height, WIDTH, 3), 0.1, np.float32)

    def at(frame: int) -> int:
        return round(frame * WIDTH / max(count, 1))

    for row, window in enumerate(windows):
        top = GUTTER + row * (ROW + GUTTER)
        canvas[top : top + ROW] = GREY
        for frame in window.track.frames:
            hollow = ROW // 3 if frame not in window.track.sightings else 0
            colour = colour_of(window.track.number)
            canvas[top + hollow : top + ROW - hollow, at(frame) : max(at(frame + 1), at(frame) + 1)] = colour
    for cut in cuts:
        canvas[:, max(at(cut) - 1, 0) : at(cut) + 1] = CUT
    return canvas
