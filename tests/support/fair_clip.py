"""A clip of the drawn fair that loops: the camera sways over it, a balloon with a medal floats beside a child; the
medal and the child's face are blurred, and their masks shake, as a detector's do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from tiny_model import scenes

SIZE = (480, 352)  # of a frame, width first
FRAMES, RATE = 12, 8  # how many there are, and how many a second
BLUR = 2.0  # pixels
SHAKE = 2  # pixels that a mask is off at most
GROW, SOFT = 5.0, 3.0  # pixels that a mask reaches beyond the part, and by which blurred fades into crisp
BALLOON = 52.0  # radius of its medal
HAND = (364.0, 700.0)  # where its string is held
_MEDAL = 12  # which medal it is


@dataclass(frozen=True)
class FairClip:
    """A clip.

    Attributes:
        good, bad: ``[F,H,W,3]`` uint8: as drawn, and with two parts blurred.
        masks: ``[F,H,W]`` uint8, 0 or 255: the parts, as a detector might have found them.
        places: for each frame where the parts are: x, y and radii of their ellipses, in pixels.
    """

    good: np.ndarray
    bad: np.ndarray
    masks: np.ndarray
    places: list[list[Ellipse]]


@dataclass(frozen=True)
class Ellipse:
    x: float
    y: float
    right: float
    down: float

    def cover(self, grow: float, soft: float) -> np.ndarray:
        """``[H,W,1]`` float 0..1: 1 inside, over ``soft`` pixels to 0, at places between the pixels."""
        right, down = self.right + grow, self.down + grow
        x = (np.arange(SIZE[0]) + 0.5 - self.x) / right
        y = (np.arange(SIZE[1]) + 0.5 - self.y) / down
        beyond = (np.hypot(x[None], y[:, None]) - 1.0) * min(right, down)
        return np.clip(0.5 - beyond / soft, 0.0, 1.0).astype(np.float32)[..., None]


def fair_clip(frames: int = FRAMES) -> FairClip:
    """The clip, in as many frames; the same on every run."""
    scene = scenes.scene(scenes.DEMO_SEED)
    face = next(part for part in scene.parts if part.kind == "face")
    rng = np.random.default_rng(scenes.DEMO_SEED)
    good, bad, masks, places = [], [], [], []
    for frame in range(frames):
        turn = math.tau * frame / frames
        window = _window(turn)
        balloon = 492 + 16 * math.cos(turn), 486 + 13 * math.sin(2 * turn)
        picture = _drawn(scene, window, balloon)
        there = [_seen(face.box, window), _seen(_around(*balloon, BALLOON), window)]
        cover = np.maximum(*(one.cover(0.0, SOFT) for one in there))
        spoiled = picture * (1 - cover) + cv2.GaussianBlur(picture, (0, 0), BLUR) * cover
        found = np.maximum(*(one.cover(GROW, 1.0) > 0.5 for one in there))[..., 0]
        shaken = np.roll(found, rng.integers(-SHAKE, SHAKE + 1, 2), (0, 1))
        good.append(_bytes(picture))
        bad.append(_bytes(spoiled))
        masks.append(_bytes(shaken))
        places.append(there)
    return FairClip(np.stack(good), np.stack(bad), np.stack(masks), places)


def _window(turn: float) -> scenes.Box:
    """What the camera sees of the scene: it sways to the sides, and comes a little nearer."""
    width = SIZE[0] * (0.94 + 0.05 * math.cos(turn))
    height = width * SIZE[1] / SIZE[0]
    x, y = 372 + 11 * math.sin(turn), 560 + 4 * math.sin(2 * turn)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _drawn(scene: scenes.Scene, window: scenes.Box, balloon: tuple[float, float]) -> np.ndarray:
    painter = scenes.Painter(window, SIZE)
    for box, draw in scene.shapes:
        if painter.sees(*box):
            draw(painter)
    x, y = balloon
    knot = y + 1.06 * BALLOON
    painter.line([_on_string(share, (x, knot), HAND) for share in np.linspace(0.0, 1.0, 16)], width=2.2)
    painter.poly([(x, y + 0.9 * BALLOON), (x + 8, knot + 9), (x - 8, knot + 9)], scenes.CREAM)
    scenes.draw_emblem(painter, x, y, BALLOON, np.random.default_rng(_MEDAL))
    return painter.image()


def _on_string(share: float, start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    """A string that hangs through a little."""
    x, y = (start[axis] + share * (end[axis] - start[axis]) for axis in (0, 1))
    return x + 14 * math.sin(math.pi * share), y + 10 * math.sin(math.pi * share)


def _around(x: float, y: float, radius: float) -> scenes.Box:
    return x - radius, y - radius, x + radius, y + radius


def _seen(box: scenes.Box, window: scenes.Box) -> Ellipse:
    """The ellipse in a box of the scene, in a frame."""
    zoom = SIZE[0] / (window[2] - window[0])
    x, y = ((box[side] + box[side + 2]) / 2 - window[side] for side in (0, 1))
    return Ellipse(x * zoom, y * zoom, (box[2] - box[0]) / 2 * zoom, (box[3] - box[1]) / 2 * zoom)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture.astype(np.float32), 0.0, 1.0) * 255).astype(np.uint8)
