"""Drawn pictures and masks for the demo and the tests, the same on every run.

Images are `[H,W,3]` uint8 RGB, masks `[H,W]` uint8.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

SMALL = (128, 96)  # width and height of the tests' picture, and three boxes (x1, y1, x2, y2) in it that don't touch
SMALL_BOXES = [(12, 10, 40, 42), (80, 20, 108, 44), (46, 60, 74, 84)]

OVERSAMPLE = 3  # drawn larger by this and averaged down: smooth edges


@dataclass(frozen=True)
class Balloon:
    """A hot-air balloon: the centre of its envelope and that one's radius, in pixels, and the colours of its gores."""

    x: int
    y: int
    radius: int
    colours: tuple[Colour, Colour]

    @property
    def skirt(self) -> int:
        """Where the envelope ends, below the centre."""
        return round(1.45 * self.radius)


BALLOONS = (
    Balloon(206, 188, 84, ((214, 64, 69), (250, 214, 165))),
    Balloon(560, 150, 62, ((46, 110, 142), (236, 240, 228))),
    Balloon(434, 356, 46, ((112, 76, 140), (244, 196, 96))),
)


def demo_picture(width: int = 768, height: int = 576) -> Pixels:
    """Three balloons over hills at dusk; drawn for 768x576 and scaled to other sizes."""
    canvas = _sky_and_hills()
    for balloon in BALLOONS:
        _draw_balloon(canvas, balloon)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)


def demo_mask(width: int = 768, height: int = 576) -> Pixels:
    """White on the envelopes of the three balloons, three regions that don't touch."""
    canvas = np.zeros((576 * OVERSAMPLE, 768 * OVERSAMPLE), np.uint8)
    for balloon in BALLOONS:
        cv2.fillPoly(canvas, [_envelope(balloon, 1.0)], 255, cv2.LINE_AA)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)


def box_mask(width: int, height: int, boxes: list[tuple[int, int, int, int]]) -> Pixels:
    """White boxes (x1, y1, x2, y2) on black."""
    mask = np.zeros((height, width), np.uint8)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = 255
    return mask


def outlined(picture: Pixels, mask: Pixels) -> Pixels:
    """The picture with a line around each region of the mask."""
    contours, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = cv2.drawContours(picture.copy(), contours, -1, (20, 20, 20), 3, cv2.LINE_AA)
    return cv2.drawContours(drawn, contours, -1, (255, 255, 255), 1, cv2.LINE_AA).astype(np.uint8)


def side_by_side(before: Pixels, after: Pixels, mask: Pixels) -> Pixels:
    """Before, with the mask's outline, and after, with a white strip between."""
    strip = np.full((before.shape[0], 12, 3), 255, np.uint8)
    return np.hstack([outlined(before, mask), strip, after])


def write(path: Path, pixels: Pixels) -> Path:
    """Write an RGB picture or a mask as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    in_opencvs_order = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    path.write_bytes(cv2.imencode(".png", in_opencvs_order)[1].tobytes())
    return path


def decode(png: bytes) -> Pixels:
    """An RGB picture from a PNG file's bytes."""
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("not a picture")
    return np.ascontiguousarray(pixels[..., ::-1]).astype(np.uint8)


def _sky_and_hills() -> Pixels:
    height, width = 576 * OVERSAMPLE, 768 * OVERSAMPLE
    down = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    across = np.linspace(0.0, 1.0, width, dtype=np.float32)[None, :]
    stops = [(0.0, (62, 82, 138)), (0.35, (150, 140, 180)), (0.6, (244, 178, 148)), (0.8, (252, 214, 160))]
    sky = np.stack([np.interp(down[:, 0], [s for s, _ in stops], [c[i] for _, c in stops]) for i in range(3)], -1)
    canvas = np.repeat(sky[:, None, :].astype(np.float32), width, axis=1)
    glow = np.exp(-(((across - 0.78) / 0.22) ** 2 + ((down - 0.66) / 0.2) ** 2))[..., None]
    canvas += glow * np.array([30.0, 40.0, 20.0], np.float32)
    for level, (base, swing, colour) in enumerate(
        [(0.70, 0.05, (150, 128, 156)), (0.78, 0.06, (106, 104, 122)), (0.88, 0.05, (58, 74, 78))]
    ):
        x = across[0]
        ridge = base + swing * (0.6 * np.sin(5.1 * x + 1.9 * level) + 0.4 * np.sin(12.7 * x + 4.1 * level))
        canvas[down > ridge[None, :]] = colour
    return canvas.clip(0, 255).astype(np.uint8)


def _envelope(balloon: Balloon, share: float) -> NDArray[np.int32]:
    """The outline of the balloon's envelope, its width scaled by ``share``: a circle that runs out into a skirt."""
    turn = np.linspace(np.radians(150), np.radians(390), 90)  # over the top, from lower left to lower right
    x, y = np.cos(turn) * balloon.radius, np.sin(turn) * balloon.radius
    neck = 0.24 * balloon.radius
    x, y = np.append(x, [neck, -neck]), np.append(y, [balloon.skirt, balloon.skirt])
    points = np.stack([balloon.x + x * share, balloon.y + y], -1)
    return np.round(points * OVERSAMPLE).astype(np.int32)


def _draw_balloon(canvas: Pixels, balloon: Balloon) -> None:
    basket = (balloon.x, balloon.y + round(1.95 * balloon.radius))
    half = max(4, balloon.radius // 6)
    for side in (-1, 1):
        start = np.array([balloon.x + side * 0.22 * balloon.radius, balloon.y + balloon.skirt]) * OVERSAMPLE
        end = np.array([basket[0] + side * half, basket[1] - half]) * OVERSAMPLE
        cv2.line(canvas, _point(start), _point(end), (70, 50, 45), OVERSAMPLE, cv2.LINE_AA)
    corner = np.array([[basket[0] - half, basket[1] - half], [basket[0] + half, basket[1] + half]]) * OVERSAMPLE
    cv2.rectangle(canvas, _point(corner[0]), _point(corner[1]), (116, 74, 50), -1)
    # gores from the outside in: each is the envelope again, narrower
    for index, share in enumerate((1.0, 0.8, 0.55, 0.2)):
        cv2.fillPoly(canvas, [_envelope(balloon, share)], balloon.colours[index % 2], cv2.LINE_AA)
    band = np.array([balloon.x, balloon.y + round(0.12 * balloon.radius)]) * OVERSAMPLE
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_envelope(balloon, 1.0)], 255)
    stripe = np.zeros_like(mask)
    size = (balloon.radius * OVERSAMPLE, balloon.radius * OVERSAMPLE // 4)
    cv2.ellipse(stripe, _point(band), size, 0, 0, 180, 255, balloon.radius * OVERSAMPLE // 5, cv2.LINE_AA)
    canvas[(mask > 0) & (stripe > 127)] = balloon.colours[0]
    # light from the right
    across = (np.arange(canvas.shape[1]) / OVERSAMPLE - balloon.x) / balloon.radius
    light = np.interp(across, [-1, 0.1, 0.6, 1], [0.62, 0.95, 1.12, 0.9])[np.nonzero(mask)[1], None]
    canvas[mask > 0] = (canvas[mask > 0] * light).clip(0, 255).astype(np.uint8)


def _point(at: NDArray[np.float64] | NDArray[np.int64]) -> tuple[int, int]:
    return round(float(at[0])), round(float(at[1]))
