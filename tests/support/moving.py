"""Moving drawn scenes whose truth is known, and how much a part flickers in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from tiny_model import scenes

SIZE = (288, 384)  # of a frame, height first
OVER = 3  # the scene is drawn that much larger, and sampled
SCENES = (0, 4)  # held-out cases: a face and an emblem


@dataclass(frozen=True)
class Motion:
    """How a part moves: pixels a frame, growth a frame, radians a frame."""

    right: float = 0.0
    down: float = 0.0
    zoom: float = 1.0
    turn: float = 0.0

    def at(self, frame: int) -> tuple[float, float, float, float]:
        return self.right * frame, self.down * frame, self.zoom**frame, self.turn * frame


MOTIONS = {
    "translate": Motion(0.7, 0.35),
    "zoom": Motion(0.3, 0.0, 1.012),
    "turn": Motion(0.2, 0.2, 1.0, 0.012),
    "still": Motion(),
}


@dataclass(frozen=True)
class MovingScene:
    """A clip.

    Attributes:
        kind: what the part shows.
        good, bad: ``[F,H,W,3]`` float32 0..1: the truth, and with the part spoiled.
        masks: ``[F,H,W]`` 0 or 1, for the detailer.
        places: for each frame the matrix ``[2,3]`` from the part's own picture to the frame, in pixels' centres.
        core: ``[H,W]`` bool: the part in its own picture, without its rim.
    """

    kind: str
    good: np.ndarray
    bad: np.ndarray
    masks: np.ndarray
    places: list[np.ndarray]
    core: np.ndarray


def moving_scene(case: int, motion: Motion, frames: int, shake: int = 0, hidden: Sequence[int] = ()) -> MovingScene:
    """A part of held-out scene ``case`` that moves over the ground of another.

    Args:
        shake: by how many pixels each mask is off at most.
        hidden: frames in which the part is not there.
    """
    scene, ground = scenes.scene(scenes.HELD_OUT[case]), scenes.scene(scenes.HELD_OUT[case + 1])
    index = case % len(scene.parts)
    part = scene.parts[index]
    window = _window(part)
    large = (SIZE[1] * OVER, SIZE[0] * OVER)
    good = scene.render(window, large)
    cover = _cover(part, window, grow=3.0)
    how, strength = scenes.degradation(scenes.HELD_OUT[case], index)
    bad = _spoiled(good, how, strength)
    behind = ground.render((0, 300, SIZE[1], 300 + SIZE[0]), (SIZE[1], SIZE[0]))
    asked = _cover(part, window, grow=5.0)
    rng = np.random.default_rng(case)
    made: dict[str, list[np.ndarray]] = {"good": [], "bad": [], "masks": []}
    places = []
    for frame in range(frames):
        place = _place(motion.at(frame))
        places.append(place)
        there = 0.0 if frame in hidden else 1.0
        alpha = _sampled(cover, place)[..., None] * there
        for name, picture in (("good", good), ("bad", bad)):
            made[name].append((behind * (1 - alpha) + _sampled(picture, place) * alpha).astype(np.float32))
        mask = (_sampled(asked, place) > 0.5).astype(np.float32) * there
        off = rng.integers(-shake, shake + 1, 2)
        made["masks"].append(np.roll(mask, off, (0, 1)))
    core = cv2.erode((_sampled(cover, _place(motion.at(0))) > 0.99).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    stacked = {name: np.stack(each) for name, each in made.items()}
    return MovingScene(part.kind, stacked["good"], stacked["bad"], stacked["masks"], places, core)


def _window(part: scenes.Part) -> scenes.Box:
    x, y = (part.box[0] + part.box[2]) / 2, (part.box[1] + part.box[3]) / 2
    return x - SIZE[1] / 2, y - SIZE[0] / 2, x + SIZE[1] / 2, y + SIZE[0] / 2


def _cover(part: scenes.Part, window: scenes.Box, grow: float) -> np.ndarray:
    whole = part.mask(grow=grow, soft=0.0, zoom=float(OVER))
    left, top = round(window[0] * OVER), round(window[1] * OVER)
    padded = np.pad(whole, SIZE[1] * OVER)
    top, left = top + SIZE[1] * OVER, left + SIZE[1] * OVER
    return padded[top : top + SIZE[0] * OVER, left : left + SIZE[1] * OVER]


def _spoiled(picture: np.ndarray, how: str, strength: float) -> np.ndarray:
    if how == "blur":
        return cv2.GaussianBlur(picture, (0, 0), strength * OVER)
    side = strength * OVER
    size = picture.shape[1::-1]
    small = cv2.resize(picture, tuple(round(one / side) for one in size), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


def _place(at: tuple[float, float, float, float]) -> np.ndarray:
    """From pixels of the part's picture at a frame's scale to the frame: about the middle."""
    right, down, zoom, turn = at
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    x, y = (SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2
    return np.array([[cos, -sin, x - cos * x + sin * y + right], [sin, cos, y - sin * x - cos * y + down]])


def _sampled(large: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The large picture in a frame."""
    soft = cv2.GaussianBlur(large, (0, 0), 0.4 * OVER)
    matrix = place.copy()
    matrix[:, :2] /= OVER
    matrix[:, 2] += place[:, :2] @ np.full(2, (0.5 / OVER) - 0.5)  # pixels' centres of both
    return cv2.warpAffine(soft, matrix, (SIZE[1], SIZE[0]), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def flicker(clip: np.ndarray, scene: MovingScene, hidden: Sequence[int] = ()) -> float:
    """Mean difference of a part to the next frame's, the known motion undone, in levels of 8-bit pictures."""
    seen = [_undone(frame, place) for frame, place in zip(clip, scene.places, strict=True)]
    there = [index for index in range(len(clip)) if index not in hidden]
    pairs = [(a, b) for a, b in pairwise(there) if b == a + 1]
    return float(np.mean([np.abs(seen[a] - seen[b])[scene.core].mean() for a, b in pairs]) * 255)


def error(clip: np.ndarray, scene: MovingScene, hidden: Sequence[int] = ()) -> float:
    """Mean difference of the part to the truth, in levels."""
    there = [index for index in range(len(clip)) if index not in hidden]
    each = [np.abs(_undone(clip[i] - scene.good[i], scene.places[i]))[scene.core].mean() for i in there]
    return float(np.mean(each) * 255)


def _undone(frame: np.ndarray, place: np.ndarray) -> np.ndarray:
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, place, (SIZE[1], SIZE[0]), flags=flags, borderMode=cv2.BORDER_REFLECT)


def shot(seed: int, frames: int, rng: np.random.Generator, change: Callable[[np.ndarray, float], np.ndarray]) -> list:
    """A camera that moves and zooms over a scene: frames ``[H,W,3]`` of a quarter of the size.

    Args:
        change: of a frame, with how far on it is, 0..1.
    """
    scene, width = scenes.scene(seed), rng.uniform(280, 420)
    right, down, zoom = *(rng.uniform(-30, 30, 2) * (1.0, 0.5)), rng.uniform(0.975, 1.02)
    largest = width * max(1.0, zoom**frames)
    left = rng.uniform(max(0.0, -right * frames), max(1.0, scenes.WIDTH - largest - max(0.0, right * frames)))
    top = rng.uniform(max(0.0, -down * frames), max(1.0, scenes.HEIGHT - 0.75 * largest - max(0.0, down * frames)))
    made = []
    for frame in range(frames):
        picture = scene.render((left, top, left + width, top + 0.75 * width), (128, 96))
        made.append(torch.from_numpy(change(picture, frame / frames).astype(np.float32)))
        left, top, width = left + right, top + down, width * zoom
    return made
