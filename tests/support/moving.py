"""Moving drawn scenes whose truth is known, and how much a part flickers in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from tiny_model import scenes

SIZE = (288, 384)  # of a frame, height first
OVER = 3  # the scene is drawn that much larger, and sampled
SCENES = (0, 4)  # held-out cases: a face and a weave
MOMENTS = 9  # that the shutter is open for
SEEN = 0.2  # of a part's middle, from which two frames are compared


@dataclass(frozen=True)
class Motion:
    """How a part moves: pixels a frame, growth a frame, radians a frame.

    Attributes:
        places: besides, how far to the right it is in each frame, in pixels.
        shutter: for what part of the time between two frames it is open; a part that moves fast is blurred by it.
    """

    right: float = 0.0
    down: float = 0.0
    zoom: float = 1.0
    turn: float = 0.0
    places: tuple[float, ...] = (0.0,)
    shutter: float = 0.0

    def at(self, frame: float) -> tuple[float, float, float, float]:
        away = float(np.interp(frame, range(len(self.places)), self.places))
        return self.right * frame + away, self.down * frame, self.zoom**frame, self.turn * frame

    def seen(self, frame: int) -> tuple[float, float, float, float]:
        """Where a frame shows it: where it is while the shutter is open, on an average."""
        right, down, zoom, turn = np.mean([self.at(time) for time in self.moments(frame)], axis=0).tolist()
        return right, down, zoom, turn

    def moments(self, frame: int) -> Sequence[float]:
        """The times at which a frame sees it."""
        if not self.shutter:
            return [frame]
        return np.linspace(frame - self.shutter / 2, frame + self.shutter / 2, MOMENTS).tolist()


MOTIONS = {
    "translate": Motion(0.7, 0.35),
    "zoom": Motion(0.3, 0.0, 1.012),
    "turn": Motion(0.2, 0.2, 1.0, 0.012),
    "still": Motion(),
    "rush": Motion(0.7, 0.35, places=(0.0, 0.0, 7.0, 14.0, 14.0), shutter=0.5),
    "over the border": Motion(0.7, 0.35, places=(80.0, 120.0, 160.0, 320.0, 160.0, 120.0)),
}
CROSSING = Motion(12.3, 0.35, places=(-36.9,)), Motion(-11.6, 0.2, places=(34.8,))  # the second goes behind


@dataclass(frozen=True)
class MovingScene:
    """A clip.

    Attributes:
        kind: what the part shows.
        good, bad: ``[F,H,W,3]`` float32 0..1: the truth, and with the part spoiled.
        masks: ``[F,H,W]`` 0 or 1, for the detailer.
        places: for each frame the matrix ``[2,3]`` from the part's own picture to the frame, in pixels' centres.
        core: ``[H,W]`` bool: the part in its own picture, without its rim.
        shown: ``[F,H,W]`` bool: where nothing hides the part in each frame, without the rim of that.
    """

    kind: str
    good: np.ndarray
    bad: np.ndarray
    masks: np.ndarray
    places: list[np.ndarray]
    core: np.ndarray
    shown: np.ndarray

    def seen(self, *frames: int) -> np.ndarray | None:
        """``[H,W]`` bool: what of the part's middle all of some frames show; None if it is hardly anything."""
        seen = self.core.copy()
        for frame in frames:
            seen &= _undone(self.shown[frame].astype(np.float32), self.places[frame], cv2.BORDER_CONSTANT) > 0.98
        return seen if seen.sum() >= SEEN * self.core.sum() else None


def moving_scene(case: int, motion: Motion, frames: int, shake: int = 0, hidden: Sequence[int] = ()) -> MovingScene:
    """A part of held-out scene ``case`` that moves over the ground of another.

    Args:
        shake: by how many pixels each mask is off at most.
        hidden: frames in which the part is not there.
    """
    (scene,) = moving_scenes({case: motion}, frames, shake, hidden)
    return scene


def moving_scenes(
    motions: Mapping[int, Motion], frames: int, shake: int = 0, hidden: Sequence[int] = ()
) -> list[MovingScene]:
    """Parts that move over one ground, as scenes with the same pictures; the first is in front of the second and so
    on, and their masks are of what is to be seen."""
    parts = {case: Drawn(case) for case in motions}
    ground = scenes.scene(scenes.HELD_OUT[next(iter(motions)) + 1])
    behind = ground.render((0, 300, SIZE[1], 300 + SIZE[0]), (SIZE[1], SIZE[0]))
    shape = (len(parts), frames, *SIZE)
    good, bad = (np.broadcast_to(behind, (frames, *behind.shape)).astype(np.float32) for _ in range(2))
    masks, shown = np.zeros(shape, np.float32), np.zeros(shape, bool)
    shakes = [np.random.default_rng(case).integers(-shake, shake + 1, (frames, 2)) for case in parts]
    for frame in range(frames):
        free = np.ones(SIZE, np.float32)  # of the parts in front
        for number, (case, motion) in enumerate(motions.items()):
            there = 0.0 if frame in hidden else 1.0
            shown[number, frame] = _inner(free > 0.99) & (there > 0)
            mask = parts[case].mask(motion, frame) * there * (free > 0.5)
            masks[number, frame] = _shifted(mask, *shakes[number][frame])
            free = free * (1 - parts[case].cover(motion, frame)[..., 0] * there)
        for case, motion in reversed([*motions.items()]):
            alpha = parts[case].cover(motion, frame) * (0.0 if frame in hidden else 1.0)
            for name, picture in (("good", good), ("bad", bad)):
                picture[frame] = picture[frame] * (1 - alpha) + parts[case].seen(name, motion, frame) * alpha
    return [
        MovingScene(parts[case].kind, good, bad, masks[number], [_place(motion.seen(frame)) for frame in range(frames)],
                    parts[case].core, shown[number])
        for number, (case, motion) in enumerate(motions.items())
    ]  # fmt: skip


class Drawn:
    """A part of a held-out scene, drawn large: as it is, spoiled, and what it covers."""

    def __init__(self, case: int) -> None:
        scene = scenes.scene(scenes.HELD_OUT[case])
        index = case % len(scene.parts)
        part = scene.parts[index]
        self.kind, window = part.kind, _window(part)
        good = scene.render(window, (SIZE[1] * OVER, SIZE[0] * OVER))
        how, strength = scenes.degradation(scenes.HELD_OUT[case], index)
        pictures = {"good": good, "bad": _spoiled(good, how, strength), "cover": _cover(part, window, 3.0),
                    "mask": _cover(part, window, 5.0)}  # fmt: skip
        self._large = {name: cv2.GaussianBlur(one, (0, 0), 0.4 * OVER) for name, one in pictures.items()}
        self.core = _inner(self.cover(Motion(), 0)[..., 0] > 0.99)

    def seen(self, name: str, motion: Motion, frame: int) -> np.ndarray:
        """What a frame would show of it everywhere."""
        border = cv2.BORDER_REFLECT if self._large[name].ndim == 3 else cv2.BORDER_CONSTANT
        times = motion.moments(frame)
        return np.mean([_sampled(self._large[name], _place(motion.at(time)), border) for time in times], axis=0)

    def cover(self, motion: Motion, frame: int) -> np.ndarray:
        """``[H,W,1]``: how much of each pixel it covers."""
        return self.seen("cover", motion, frame)[..., None]

    def mask(self, motion: Motion, frame: int) -> np.ndarray:
        return self.seen("mask", motion, frame) > 0.5


def _inner(area: np.ndarray) -> np.ndarray:
    """Without its rim, that at the picture's border too."""
    square = np.ones((9, 9), np.uint8)
    return cv2.erode(area.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


def _shifted(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    return cv2.warpAffine(mask, matrix, (SIZE[1], SIZE[0]), flags=cv2.INTER_NEAREST)


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


def _sampled(large: np.ndarray, place: np.ndarray, border: int) -> np.ndarray:
    """A large picture, blurred by as much as a pixel is wide, in a frame."""
    matrix = place.copy()
    matrix[:, :2] /= OVER
    matrix[:, 2] += place[:, :2] @ np.full(2, (0.5 / OVER) - 0.5)  # pixels' centres of both
    return cv2.warpAffine(large, matrix, (SIZE[1], SIZE[0]), flags=cv2.INTER_CUBIC, borderMode=border)


def flicker(clip: np.ndarray, scene: MovingScene) -> float:
    """Mean difference of a part to the next frame's, the known motion undone, in levels of 8-bit pictures."""
    undone = [_undone(frame, place) for frame, place in zip(clip, scene.places, strict=True)]
    seen = {frame: scene.seen(frame, frame + 1) for frame in range(len(clip) - 1)}
    return _mean([np.abs(undone[i] - undone[i + 1])[area].mean() for i, area in seen.items() if area is not None])


def error(clip: np.ndarray, scene: MovingScene) -> float:
    """Mean difference of the part to the truth, in levels."""
    seen = {frame: scene.seen(frame) for frame in range(len(clip))}
    off = clip - scene.good
    each = [np.abs(_undone(off[i], scene.places[i]))[area].mean() for i, area in seen.items() if area is not None]
    return _mean(each)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values) * 255)


def _undone(frame: np.ndarray, place: np.ndarray, border: int = cv2.BORDER_REFLECT) -> np.ndarray:
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, place, (SIZE[1], SIZE[0]), flags=flags, borderMode=border)


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
