"""Procedural village-fair scenes: what the tiny model was trained on, what the demo and the quality bench show.

A scene is a list of vector shapes in a 1024x768 coordinate system, made from one seed. `Scene.render` draws any window
of it at any zoom, so that an enlarged part has true crispness. Five kinds of parts carry fine structure: faces,
lettering, foliage, weave, emblems.

Units: scene coordinates are pixels of the 1024x768 picture; images are float32 `[H,W,3]` RGB in 0..1, masks float32
`[H,W]` in 0..1. Everything is deterministic by seed. Needs numpy and OpenCV only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

WIDTH, HEIGHT = 1024, 768
KINDS = ("face", "lettering", "foliage", "weave", "emblem", "generic")
PART_KINDS = KINDS[:5]
DEMO_SEED = 900_077
HELD_OUT = tuple(range(900_000, 900_050))  # the training seeds are below 900 000

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]] | np.ndarray
Box = tuple[float, float, float, float]

INK: Colour = (43, 38, 66)
CREAM: Colour = (252, 243, 220)
WHITE: Colour = (255, 253, 246)
CORAL: Colour = (229, 96, 80)
MUSTARD: Colour = (245, 186, 72)
TEAL: Colour = (46, 150, 140)
PLUM: Colour = (128, 78, 140)
BLUE: Colour = (66, 108, 178)
PINK: Colour = (243, 156, 142)
BROWN: Colour = (140, 88, 60)
DARK_GREEN: Colour = (36, 94, 76)
GREENS: tuple[Colour, ...] = ((62, 132, 84), (98, 164, 88), (148, 196, 98))
SKINS: tuple[Colour, ...] = ((250, 214, 184), (238, 186, 148), (202, 142, 104), (148, 96, 70))
HAIRS: tuple[Colour, ...] = ((76, 50, 46), (150, 84, 48), (226, 150, 60), (196, 70, 56), (60, 56, 84))
BOLD: tuple[Colour, ...] = (CORAL, MUSTARD, TEAL, PLUM, BLUE)
LINE = 3.2  # width of the main outlines, in scene pixels
THIN = 2.2

WORDS = (
    "CAFE",
    "FAIR",
    "BREAD",
    "TEA",
    "HONEY",
    "MUSIC",
    "BOOKS",
    "APPLES",
    "MARKET",
    "ROSES",
    "INN",
    "JAM",
    "PIES",
    "SOUP",
    "FRESH",
    "HOME",
    "OPEN",
    "MAIL",
    "TOYS",
    "WOOL",
    "SILK",
    "LAMPS",
    "CLOCKS",
    "FRUIT",
    "CANDY",
    "JUICE",
    "MELONS",
    "BAKERY",
)

# Strokes of the alphabet on a grid four wide and six high, with chamfered corners.
ALPHABET: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "A": (((0, 6), (0, 1.4), (1.4, 0), (2.6, 0), (4, 1.4), (4, 6)), ((0, 3.6), (4, 3.6))),
    "B": (((0, 0), (0, 6), (3, 6), (4, 5), (4, 4), (3, 3), (0, 3)), ((0, 0), (3, 0), (4, 1), (4, 2), (3, 3))),
    "C": (((4, 1.4), (2.7, 0), (1.3, 0), (0, 1.3), (0, 4.7), (1.3, 6), (2.7, 6), (4, 4.6)),),
    "D": (((0, 0), (2.5, 0), (4, 1.5), (4, 4.5), (2.5, 6), (0, 6), (0, 0)),),
    "E": (((4, 0), (0, 0), (0, 6), (4, 6)), ((0, 3), (3, 3))),
    "F": (((4, 0), (0, 0), (0, 6)), ((0, 3), (3, 3))),
    "H": (((0, 0), (0, 6)), ((4, 0), (4, 6)), ((0, 3), (4, 3))),
    "I": (((2, 0), (2, 6)), ((0.7, 0), (3.3, 0)), ((0.7, 6), (3.3, 6))),
    "J": (((3.4, 0), (3.4, 4.6), (2.2, 6), (1.4, 6), (0.2, 4.8)),),
    "K": (((0, 0), (0, 6)), ((4, 0), (0, 3.4)), ((1.4, 2.4), (4, 6))),
    "L": (((0, 0), (0, 6), (4, 6)),),
    "M": (((0, 6), (0, 0), (2, 3), (4, 0), (4, 6)),),
    "N": (((0, 6), (0, 0), (4, 6), (4, 0)),),
    "O": (((1.3, 0), (2.7, 0), (4, 1.3), (4, 4.7), (2.7, 6), (1.3, 6), (0, 4.7), (0, 1.3), (1.3, 0)),),
    "P": (((0, 6), (0, 0), (2.9, 0), (4, 1.1), (4, 2.4), (2.9, 3.5), (0, 3.5)),),
    "R": (((0, 6), (0, 0), (2.9, 0), (4, 1.1), (4, 2.2), (2.9, 3.3), (0, 3.3)), ((2, 3.3), (4, 6))),
    "S": (
        (
            (4, 1.1),
            (2.8, 0),
            (1.2, 0),
            (0, 1.1),
            (0, 2.1),
            (1, 3),
            (3, 3),
            (4, 3.9),
            (4, 4.9),
            (2.8, 6),
            (1.2, 6),
            (0, 4.9),
        ),
    ),
    "T": (((0, 0), (4, 0)), ((2, 0), (2, 6))),
    "U": (((0, 0), (0, 4.7), (1.3, 6), (2.7, 6), (4, 4.7), (4, 0)),),
    "W": (((0, 0), (0.8, 6), (2, 2.4), (3.2, 6), (4, 0)),),
    "Y": (((0, 0), (2, 3), (4, 0)), ((2, 3), (2, 6))),
}


def _mix(a: Colour, b: Colour, t: float) -> Colour:
    """The colour at `t` (0..1) of the way from `a` to `b`."""
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def _ellipse(
    cx: float, cy: float, rx: float, ry: float, n: int = 44, start: float = 0.0, stop: float = math.tau
) -> np.ndarray:
    """Points `[n,2]` on the arc of an ellipse."""
    a = np.linspace(start, stop, n, endpoint=stop - start < math.tau - 1e-6)
    return np.stack([cx + rx * np.cos(a), cy + ry * np.sin(a)], 1)


def _rounded(x0: float, y0: float, x1: float, y1: float, r: float) -> np.ndarray:
    """Points of a rectangle with rounded corners."""
    corners = ((x1 - r, y1 - r, 0.0), (x0 + r, y1 - r, 0.5), (x0 + r, y0 + r, 1.0), (x1 - r, y0 + r, 1.5))
    return np.concatenate([_ellipse(x, y, r, r, 8, a * math.pi, (a + 0.5) * math.pi) for x, y, a in corners])


def _star(cx: float, cy: float, outer: float, inner: float, points: int, turn: float = -math.pi / 2) -> np.ndarray:
    """Points of a star, the first one up."""
    a = turn + np.arange(points * 2) * math.pi / points
    r = np.where(np.arange(points * 2) % 2 == 0, outer, inner)
    return np.stack([cx + r * np.cos(a), cy + r * np.sin(a)], 1)


class Painter:
    """Draws shapes given in scene coordinates on one window of the scene, oversampled."""

    def __init__(self, window: Box, size: tuple[int, int]) -> None:
        self.window = window
        self.size = size
        zoom = size[0] / (window[2] - window[0])
        self.over = 4 if zoom < 1.3 else (3 if zoom < 2.2 else 2)
        self.scale = zoom * self.over
        self.canvas = np.zeros((size[1] * self.over, size[0] * self.over, 3), np.uint8)

    def sees(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Whether anything within the box (with room for outlines) can be in the window."""
        w = self.window
        return x1 + 6 > w[0] and x0 - 6 < w[2] and y1 + 6 > w[1] and y0 - 6 < w[3]

    def _px(self, points: Points) -> np.ndarray:
        p = (np.asarray(points, np.float64) - self.window[:2]) * self.scale - 0.5
        return np.round(np.clip(p, -30000, 30000) * 16).astype(np.int32)

    def poly(self, points: Points, fill: Colour | None, line: Colour | None = INK, width: float = LINE) -> None:
        """A closed shape, filled and outlined."""
        px = self._px(points)
        if fill is not None:
            cv2.fillPoly(self.canvas, [px], fill, cv2.LINE_AA, 4)
        if line is not None:
            cv2.polylines(self.canvas, [px], True, line, max(1, round(width * self.scale)), cv2.LINE_AA, 4)

    def line(self, points: Points, colour: Colour = INK, width: float = LINE) -> None:
        """An open stroke with round ends."""
        cv2.polylines(self.canvas, [self._px(points)], False, colour, max(1, round(width * self.scale)), cv2.LINE_AA, 4)

    def disc(
        self,
        cx: float,
        cy: float,
        r: float,
        fill: Colour | None,
        line: Colour | None = INK,
        width: float = LINE,
    ) -> None:
        """A circle."""
        if self.sees(cx - r, cy - r, cx + r, cy + r):
            self.poly(_ellipse(cx, cy, r, r, 16 if r < 5 else 40), fill, line, width)

    def image(self) -> np.ndarray:
        """The picture, float32 `[H,W,3]` in 0..1."""
        small = self.canvas
        if self.over > 1:
            small = cv2.resize(small, self.size, interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / 255.0


# ---------------------------------------------------------------- the five kinds of parts


def draw_face(p: Painter, cx: float, cy: float, s: float, rng: np.random.Generator) -> None:
    """A head about 2*s wide with hair, eyes, mouth; sometimes glasses, freckles or a hat."""
    skin = SKINS[rng.integers(len(SKINS))]
    hair = HAIRS[rng.integers(len(HAIRS))]
    iris = (BLUE, TEAL, (110, 72, 50))[rng.integers(3)]
    hat, glasses, freckles, long_hair = (
        rng.random() < 0.4,
        rng.random() < 0.3,
        rng.random() < 0.4,
        rng.random() < 0.5,
    )
    hat_colour, mouth, fringe = BOLD[rng.integers(5)], int(rng.integers(3)), int(rng.integers(4, 7))
    shade = _mix(skin, (150, 70, 70), 0.28)
    if long_hair:
        p.poly(_rounded(cx - 0.98 * s, cy - 0.75 * s, cx + 0.98 * s, cy + 0.95 * s, 0.5 * s), hair)
        for k in (-1, 1):
            p.line(
                [(cx + k * 0.86 * s, cy - 0.1 * s), (cx + k * 0.84 * s, cy + 0.7 * s)],
                _mix(hair, INK, 0.5),
                THIN,
            )
    for k in (-1, 1):
        p.disc(cx + k * 0.8 * s, cy + 0.1 * s, 0.17 * s, skin)
    p.poly(_ellipse(cx, cy + 0.06 * s, 0.8 * s, 0.86 * s), skin)
    for k in (-1, 1):
        p.poly(_ellipse(cx + k * 0.47 * s, cy + 0.36 * s, 0.17 * s, 0.12 * s, 24), _mix(skin, PINK, 0.65), None)
        if freckles:
            for dx, dy in ((-0.09, -0.03), (0.09, -0.03), (0.0, 0.05)):
                p.disc(cx + (k * 0.47 + dx) * s, cy + (0.34 + dy) * s, 0.028 * s, shade, None)
        eye = (cx + k * 0.33 * s, cy + 0.08 * s)
        p.poly(_ellipse(eye[0], eye[1], 0.18 * s, 0.22 * s, 28), WHITE)
        p.poly(_ellipse(eye[0], eye[1] + 0.03 * s, 0.115 * s, 0.15 * s, 24), iris, None)
        p.poly(_ellipse(eye[0], eye[1] + 0.04 * s, 0.065 * s, 0.09 * s, 20), INK, None)
        p.disc(eye[0] + 0.05 * s, eye[1] - 0.04 * s, 0.045 * s, WHITE, None)
        p.line(
            _ellipse(eye[0], eye[1] - 0.13 * s, 0.2 * s, 0.15 * s, 10, 1.15 * math.pi, 1.85 * math.pi),
            _mix(hair, INK, 0.4),
            0.075 * s,
        )
        if glasses:
            p.poly(
                _ellipse(eye[0], eye[1], 0.27 * s, 0.29 * s, 32),
                None,
                CORAL if hat_colour != CORAL else BLUE,
                0.07 * s,
            )
    if glasses:
        p.line(
            [(cx - 0.07 * s, cy + 0.04 * s), (cx + 0.07 * s, cy + 0.04 * s)],
            CORAL if hat_colour != CORAL else BLUE,
            0.07 * s,
        )
    p.line(_ellipse(cx, cy + 0.3 * s, 0.08 * s, 0.07 * s, 8, 0.1 * math.pi, 0.9 * math.pi), shade, 0.06 * s)
    if mouth == 0:
        p.line(
            _ellipse(cx, cy + 0.42 * s, 0.26 * s, 0.18 * s, 14, 0.12 * math.pi, 0.88 * math.pi),
            INK,
            0.065 * s,
        )
    else:
        p.poly(
            np.concatenate([_ellipse(cx, cy + 0.5 * s, 0.25 * s, 0.2 * s, 16, 0.0, math.pi)]),
            (150, 44, 58),
            INK,
            LINE,
        )
        p.poly(_ellipse(cx, cy + 0.53 * s, 0.17 * s, 0.06 * s, 14, 0, math.pi) - (0, 0.03 * s), WHITE, None)
        if mouth == 2:
            p.poly(_ellipse(cx, cy + 0.63 * s, 0.11 * s, 0.055 * s, 16), PINK, None)
    top = _ellipse(cx, cy - 0.02 * s, 0.86 * s, 0.9 * s, 30, math.pi, math.tau)
    scallops = [np.array([(cx + 0.86 * s, cy - 0.02 * s)])]
    width = 1.72 * s / fringe
    for i in range(fringe):
        mid = cx + 0.86 * s - (i + 0.5) * width
        dip = 0.22 * s + 0.16 * s * (1 - ((mid - cx) / (0.86 * s)) ** 2)
        scallops.append(_ellipse(mid, cy - 0.02 * s - dip - 0.14 * s, width / 2, 0.24 * s, 9, 0, math.pi))
    p.poly(np.concatenate([top, *scallops]), hair)
    for i in range(1, fringe):
        x = cx + 0.86 * s - i * width
        p.line([(x, cy - 0.42 * s), (cx + (x - cx) * 0.55, cy - 0.78 * s)], _mix(hair, INK, 0.5), THIN)
    if hat:
        p.poly(
            np.concatenate([_ellipse(cx, cy - 0.5 * s, 0.72 * s, 0.72 * s, 28, math.pi, math.tau)]),
            hat_colour,
        )
        for k in (-0.4, 0.0, 0.4):
            p.line(
                _ellipse(
                    cx,
                    cy - 0.5 * s,
                    abs(k) * s + 1e-3,
                    0.7 * s,
                    14,
                    math.pi if k < 0 else 1.5 * math.pi,
                    1.5 * math.pi if k < 0 else math.tau,
                ),
                _mix(hat_colour, INK, 0.45),
                THIN,
            )
        p.poly(_rounded(cx - 0.88 * s, cy - 0.66 * s, cx + 0.88 * s, cy - 0.44 * s, 0.1 * s), CREAM)
        for i in range(-3, 4):
            p.line(
                [(cx + i * 0.22 * s, cy - 0.63 * s), (cx + i * 0.22 * s, cy - 0.47 * s)],
                _mix(hat_colour, INK, 0.2),
                0.07 * s,
            )
        p.disc(cx, cy - 1.22 * s, 0.16 * s, CREAM)


def draw_sign(p: Painter, x0: float, y0: float, x1: float, y1: float, rng: np.random.Generator) -> None:
    """A board with a word in block letters, a double rim, rivets and a row of lozenges."""
    board = (TEAL, PLUM, CORAL, BLUE, DARK_GREEN, CREAM, MUSTARD)[rng.integers(7)]
    light = board in (CREAM, MUSTARD)
    ink = (
        (INK, CORAL, BLUE)[rng.integers(3)]
        if board == CREAM
        else (INK if light else (CREAM, MUSTARD)[rng.integers(2)] if board != CORAL else CREAM)
    )
    shadow = _mix(board, INK, 0.55) if not light else _mix(board, BROWN, 0.45)
    word = WORDS[rng.integers(len(WORDS))]
    p.poly(_rounded(x0, y0, x1, y1, 14), BROWN)
    p.poly(_rounded(x0 + 7, y0 + 7, x1 - 7, y1 - 7, 9), board)
    p.poly(_rounded(x0 + 14, y0 + 14, x1 - 14, y1 - 14, 6), None, ink, THIN)
    for x in (x0 + 14, x1 - 14):
        for y in (y0 + 14, y1 - 14):
            p.disc(x, y, 4.4, MUSTARD if board != MUSTARD else CREAM, INK, THIN)
    room_w, room_h = x1 - x0 - 52, y1 - y0 - 64
    unit = min(room_h / 6.0, room_w / (len(word) * 5.6 - 1.6))
    left = (x0 + x1) / 2 - unit * (len(word) * 5.6 - 1.6) / 2
    top = y0 + 25 + (room_h - 6 * unit) / 2
    for dx, colour in ((2.6, shadow), (0.0, ink)):
        for i, letter in enumerate(word):
            for stroke in ALPHABET[letter]:
                pts = np.array(stroke) * unit + (left + i * 5.6 * unit + dx, top + dx)
                p.line(pts, colour, max(4.2, 1.25 * unit))
    n = int((x1 - x0 - 64) // 18)
    for i in range(n):
        cx = (x0 + x1) / 2 + (i - (n - 1) / 2) * 18
        p.poly(
            [(cx - 5, y1 - 24), (cx, y1 - 29), (cx + 5, y1 - 24), (cx, y1 - 19)],
            ink if i % 2 == 0 else shadow,
            None,
        )


def draw_foliage(p: Painter, cx: float, cy: float, rx: float, ry: float, rng: np.random.Generator) -> None:
    """A crown of overlapping pointed leaves in staggered rows, with veins, some fruit or blossom."""
    size = float(rng.choice([24.0, 28.0, 32.0]))
    lean = float(rng.uniform(-0.25, 0.25))
    light = rng.uniform(0, math.tau)
    fruit = (CORAL, MUSTARD, PINK, None)[rng.integers(4)]
    tint = (BROWN, MUSTARD, BLUE)[rng.integers(3)]
    amount = float(rng.choice([0.0, 0.12, 0.25]))
    greens = [_mix(g, tint, amount) for g in GREENS]
    salt = int(rng.integers(1 << 16))
    bumps = [(cx + 0.72 * rx * math.cos(a), cy + 0.72 * ry * math.sin(a)) for a in np.arange(11) * math.tau / 11]
    for x, y in bumps:
        p.poly(_ellipse(x, y, 0.36 * rx, 0.36 * ry), DARK_GREEN)
    p.poly(_ellipse(cx, cy, 0.94 * rx, 0.94 * ry), DARK_GREEN, None)
    rows = int(2 * ry / (size * 0.62)) + 2
    cols = int(2 * rx / (size * 0.86)) + 2
    for r in range(rows):
        y = cy - ry + r * size * 0.62
        for c in range(cols):
            x = cx - rx + (c + 0.5 * (r % 2)) * size * 0.86
            if ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 > 0.93:
                continue
            if not p.sees(x - size, y - size, x + size, y + size * 1.3):
                continue
            g = (
                0.5
                + 0.32 * math.cos(light) * (x - cx) / rx
                + 0.4 * math.sin(light) * (y - cy) / ry
                - 0.42 * (y - cy) / ry
            )
            h = (r * 7919 + c * 104729 + salt) % 97 / 97
            fill = greens[min(2, max(0, int((g + 0.36 * (h - 0.5)) * 3)))]
            tip = (x + lean * size, y + size * 1.02)
            w = size * 0.46
            left = [(x, y), (x - w * 0.85, y + size * 0.26), (x - w * 0.8, y + size * 0.52), tip]
            right = [(x + w * 0.8, y + size * 0.52), (x + w * 0.85, y + size * 0.26)]
            p.poly(left + right, fill, DARK_GREEN, THIN + 0.4)
            p.line(
                [(x, y + size * 0.16), (x + lean * size * 0.75, y + size * 0.8)],
                _mix(fill, DARK_GREEN, 0.75),
                THIN,
            )
            if fruit is not None and (r * 31 + c * 17 + salt) % 11 == 0:
                p.disc(x, y + size * 0.3, size * 0.25, fruit)
                p.disc(x - size * 0.07, y + size * 0.22, size * 0.075, WHITE, None)


def draw_weave(p: Painter, x0: float, y0: float, x1: float, y1: float, rng: np.random.Generator) -> None:
    """A hanging of interlaced bands on a fixed grid, each with two threads, in a plaid of three colours, with
    a fringe.
    """
    order = rng.permutation(5)
    colours = (BOLD[order[0]], CREAM, BOLD[order[1]], _mix(BOLD[order[0]], CREAM, 0.55))
    cell = float(rng.choice([17.0, 20.0, 24.0]))
    plan_x = [(0, 1, 0, 2), (0, 0, 1, 1), (0, 1, 3, 1), (2, 1, 0, 1)][rng.integers(4)]
    plan_y = [(0, 1, 0, 2), (1, 1, 0, 0), (3, 1, 0, 1), (1, 2, 1, 0)][rng.integers(4)]
    twill = rng.random() < 0.35
    nx, ny = int((x1 - x0) // cell), int((y1 - y0) // cell)
    left, top = (x0 + x1 - nx * cell) / 2, (y0 + y1 - ny * cell) / 2
    for i in range(nx):
        x = left + (i + 0.5) * cell
        p.line([(x, top + ny * cell), (x, top + ny * cell + 15)], INK, 8.4)
        p.line([(x, top + ny * cell), (x, top + ny * cell + 15)], colours[plan_x[i % 4]], 4.0)
    p.poly(
        [
            (left - 4, top - 4),
            (left + nx * cell + 4, top - 4),
            (left + nx * cell + 4, top + ny * cell + 4),
            (left - 4, top + ny * cell + 4),
        ],
        INK,
    )
    g = cell * 0.1
    for j in range(ny):
        for i in range(nx):
            x, y = left + i * cell, top + j * cell
            if not p.sees(x, y, x + cell, y + cell):
                continue
            across = ((i + j) % 4 < 2) if twill else (i + j) % 2 == 0
            fill = colours[plan_y[j % 4]] if across else colours[plan_x[i % 4]]
            thread = _mix(fill, INK, 0.38)
            if across:
                p.poly([(x, y + g), (x + cell, y + g), (x + cell, y + cell - g), (x, y + cell - g)], fill, None)
                for f in (0.36, 0.64):
                    p.line([(x + 2, y + f * cell), (x + cell - 2, y + f * cell)], thread, 1.9)
                for e in (g, cell - g):
                    p.line([(x, y + e), (x + cell, y + e)], INK, THIN)
            else:
                p.poly([(x + g, y), (x + cell - g, y), (x + cell - g, y + cell), (x + g, y + cell)], fill, None)
                for f in (0.36, 0.64):
                    p.line([(x + f * cell, y + 2), (x + f * cell, y + cell - 2)], thread, 1.9)
                for e in (g, cell - g):
                    p.line([(x + e, y), (x + e, y + cell)], INK, THIN)
    p.line([(x0 - 14, top - 6), (x1 + 14, top - 6)], INK, 13)
    p.line([(x0 - 14, top - 6), (x1 + 14, top - 6)], MUSTARD, 6.6)


def draw_emblem(p: Painter, cx: float, cy: float, r: float, rng: np.random.Generator) -> None:
    """A medal of radius `r`: scalloped rim, ring of dots, a star, a flower or a compass rose inside."""
    order = rng.permutation(5)
    a, b = BOLD[order[0]], BOLD[order[1]]
    n = int(rng.choice([10, 12, 16]))
    motif, points = int(rng.integers(4)), int(rng.choice([5, 6, 8]))
    for i in range(n):
        t = i * math.tau / n
        p.disc(cx + 0.87 * r * math.cos(t), cy + 0.87 * r * math.sin(t), 2.6 * r / n, a if i % 2 == 0 else CREAM)
    p.disc(cx, cy, 0.84 * r, b)
    p.disc(cx, cy, 0.64 * r, CREAM)
    for i in range(n):
        t = (i + 0.5) * math.tau / n
        p.disc(cx + 0.74 * r * math.cos(t), cy + 0.74 * r * math.sin(t), 0.05 * r, CREAM, None)
    if motif == 0:
        p.poly(_star(cx, cy, 0.58 * r, 0.27 * r, points), a)
        p.poly(_star(cx, cy, 0.33 * r, 0.15 * r, points), MUSTARD if MUSTARD not in (a,) else WHITE, INK, THIN)
    elif motif == 1:
        for i in range(points + 2):
            t = i * math.tau / (points + 2) - math.pi / 2
            mid = (cx + 0.36 * r * math.cos(t), cy + 0.36 * r * math.sin(t))
            rot = np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
            p.poly(
                _ellipse(0, 0, 0.22 * r, 0.1 * r + 0.3 * r / (points + 2), 24) @ rot.T + mid,
                a if i % 2 == 0 else _mix(a, CREAM, 0.4),
                INK,
                THIN + 0.4,
            )
        p.disc(cx, cy, 0.19 * r, MUSTARD if a != MUSTARD else BROWN)
        for i in range(6):
            t = i * math.tau / 6
            p.disc(
                cx + 0.1 * r * math.cos(t),
                cy + 0.1 * r * math.sin(t),
                0.035 * r,
                BROWN if a != MUSTARD else CREAM,
                None,
            )
    elif motif == 2:
        p.poly(_star(cx, cy, 0.44 * r, 0.16 * r, 4, -math.pi / 4), MUSTARD if a != MUSTARD else TEAL)
        for i in range(4):
            t = i * math.pi / 2 - math.pi / 2
            tip = (cx + 0.6 * r * math.cos(t), cy + 0.6 * r * math.sin(t))
            for k, fill in ((-1, a), (1, _mix(a, CREAM, 0.5))):
                side = (
                    cx + 0.17 * r * math.cos(t + k * math.pi / 4),
                    cy + 0.17 * r * math.sin(t + k * math.pi / 4),
                )
                p.poly([(cx, cy), side, tip], fill, INK, THIN)
        p.disc(cx, cy, 0.09 * r, CREAM, INK, THIN)
    else:
        for i in range(12):
            t0, t1 = i * math.tau / 12, (i + 1) * math.tau / 12
            wedge = np.concatenate(
                [
                    [(cx, cy)],
                    _ellipse(cx, cy, 0.56 * r, 0.56 * r, 5, t0, t1 - 1e-9),
                    [(cx + 0.56 * r * math.cos(t1), cy + 0.56 * r * math.sin(t1))],
                ]
            )
            p.poly(wedge, a if i % 2 == 0 else CREAM, INK, THIN)
        p.disc(cx, cy, 0.3 * r, b)
        p.poly(_star(cx, cy, 0.24 * r, 0.11 * r, 5), CREAM, None)


# ---------------------------------------------------------------- scenes


@dataclass(frozen=True)
class Part:
    """A place of interest: its kind and its box `(x0, y0, x1, y1)` in scene pixels; round parts have an
    ellipse as mask.
    """

    kind: str
    box: Box
    round: bool

    def mask(self, grow: float = 0.0, soft: float = 1.0, zoom: float = 1.0) -> np.ndarray:
        """Float32 mask `[HEIGHT*zoom, WIDTH*zoom]`, 1 inside the part grown by `grow` scene pixels, with an
        edge `soft` pixels wide.
        """
        x0, y0, x1, y1 = (
            v * zoom for v in (self.box[0] - grow, self.box[1] - grow, self.box[2] + grow, self.box[3] + grow)
        )
        out = np.zeros((round(HEIGHT * zoom), round(WIDTH * zoom)), np.float32)
        if self.round:
            pts = _ellipse((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 96)
        else:
            pts = _rounded(x0, y0, x1, y1, 8 * zoom)
        cv2.fillPoly(out, [np.round((pts - 0.5) * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
        return cv2.GaussianBlur(out, (0, 0), soft) if soft > 0 else out


@dataclass(frozen=True)
class Scene:
    """Shapes in drawing order and the parts among them."""

    seed: int
    shapes: tuple[tuple[Box, Callable[[Painter], object]], ...]
    parts: tuple[Part, ...]

    def render(self, window: Box = (0, 0, WIDTH, HEIGHT), size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
        """The window `(x0, y0, x1, y1)` of the scene drawn at `size` (width, height): float32 `[H,W,3]` in
        0..1.
        """
        painter = Painter(window, size)
        for box, draw in self.shapes:
            if painter.sees(*box):
                draw(painter)
        return painter.image()


def scene(seed: int) -> Scene:
    """The scene of a seed: sky, hills and a fair ground with a tree, a stall, people, a hanging, medals."""
    rng = np.random.default_rng(seed)
    shapes: list[tuple[Box, Callable[[Painter], object]]] = []
    parts: list[Part] = []
    flip = rng.random() < 0.5

    def fx(x: float) -> float:
        return WIDTH - x if flip else x

    def jit(amount: float = 16.0) -> float:
        return float(rng.uniform(-amount, amount))

    def add(box: Box, draw: Callable[[Painter], object]) -> None:
        shapes.append((box, draw))

    def seeded(draw: Callable[..., None], *args: float) -> Callable[[Painter], object]:
        sub = int(rng.integers(1 << 31))
        return lambda p: draw(p, *args, np.random.default_rng(sub))

    mood = int(rng.integers(3))
    sky = (
        ((158, 212, 226), (190, 226, 226), (226, 238, 220)),
        ((244, 190, 150), (250, 214, 170), (254, 234, 200)),
        ((150, 170, 216), (186, 190, 222), (228, 210, 216)),
    )[mood]
    everything = (0, 0, WIDTH, HEIGHT)

    def draw_sky(p: Painter) -> None:
        for i, colour in enumerate(sky):
            y = i * 130
            wave = [(x, y + 12 * math.sin(x / 90 + i * 2 + seed % 7)) for x in range(-20, WIDTH + 60, 20)]
            p.poly(
                [*wave, (WIDTH + 60, HEIGHT), (-20, HEIGHT)]
                if i
                else [(-9, -9), (WIDTH + 9, -9), (WIDTH + 9, HEIGHT), (-9, HEIGHT)],
                colour,
                None,
            )

    add(everything, draw_sky)
    sun_x, sun_y = fx(300 + jit(40)), 120 + jit(30)
    add(
        (sun_x - 90, sun_y - 90, sun_x + 90, sun_y + 90),
        lambda p: (
            p.poly(_star(sun_x, sun_y, 84, 62, 16), _mix(MUSTARD, CREAM, 0.45), None),
            p.disc(sun_x, sun_y, 54, MUSTARD if mood != 2 else CREAM, None),
        ),
    )
    for _ in range(3):
        x, y, s = float(rng.uniform(60, 960)), float(rng.uniform(40, 190)), float(rng.uniform(20, 32))

        def draw_cloud(p: Painter, x: float = x, y: float = y, s: float = s) -> None:
            for dx, dy, r in ((-1.6, 0.2, 0.8), (-0.6, -0.3, 1.1), (0.7, -0.2, 1.0), (1.7, 0.25, 0.75)):
                p.disc(x + dx * s, y + dy * s, r * s, WHITE, None)
            p.poly(_rounded(x - 2.4 * s, y, x + 2.4 * s, y + s, 0.48 * s), WHITE, None)

        add((x - 3 * s, y - 2 * s, x + 3 * s, y + 2 * s), draw_cloud)
    ph = float(rng.uniform(0, 6.28))
    hills = (
        (360, 40, 210, (122, 176, 150)),
        (430, 30, 150, (146, 192, 122)),
        (500, 10, 190, (178, 208, 122)),
    )

    def draw_hills(p: Painter) -> None:
        for i, (y, a, w, colour) in enumerate(hills):
            top = [(x, y + a * math.sin(x / w + ph + 1.9 * i)) for x in range(-20, WIDTH + 60, 16)]
            p.poly([*top, (WIDTH + 60, HEIGHT + 40), (-30, HEIGHT + 40)], colour)
            if i < 2:
                for k in range(12):
                    x = 40 + k * 88 + (k * 37 + seed) % 40
                    t = y + a * math.sin(x / w + ph + 1.9 * i)
                    p.line([(x, t + 26), (x, t + 4)], INK, THIN)
                    p.poly(
                        [(x, t - 24), (x + 13, t + 10), (x - 13, t + 10)],
                        _mix(colour, DARK_GREEN, 0.6),
                        INK,
                        THIN,
                    )

    add((0, 300, WIDTH, HEIGHT), draw_hills)
    path = [(fx(470), 500), (fx(600), 500), (fx(760), 790), (fx(330), 790)]
    add((0, 490, WIDTH, HEIGHT), lambda p: p.poly(path, (236, 208, 160)))
    stones = [
        (fx(400 + float(rng.uniform(0, 290))), float(rng.uniform(560, 760)), float(rng.uniform(7, 13)))
        for _ in range(16)
    ]
    add(
        (0, 540, WIDTH, HEIGHT),
        lambda p: (
            [p.poly(_ellipse(x, y, r * 1.5, r * 0.8, 20), (212, 178, 132), INK, THIN) for x, y, r in stones] and None
        ),
    )
    tufts = [(float(rng.uniform(10, 1014)), float(rng.uniform(540, 760)), int(rng.integers(4))) for _ in range(60)]

    def draw_tufts(p: Painter) -> None:
        for x, y, k in tufts:
            if not p.sees(x - 12, y - 20, x + 12, y + 6) or abs(x - fx(540)) < 60 + (y - 500) * 0.6:
                continue
            p.line([(x - 7, y - 10), (x - 2, y), (x, y - 14), (x + 2, y), (x + 8, y - 9)], DARK_GREEN, THIN + 0.3)
            if k < 2:
                p.disc(x, y - 15, 4.6, (CORAL, WHITE)[k], INK, THIN)

    add((0, 510, WIDTH, HEIGHT), draw_tufts)

    # the stall in the middle, its board
    hx, hy = fx(540 + jit()), 330 + jit(8)
    wall, roof = (CREAM, (244, 222, 186), (236, 206, 190))[rng.integers(3)], BOLD[rng.integers(5)]

    def draw_house(p: Painter) -> None:
        p.poly([(hx - 175, hy - 40), (hx + 175, hy - 40), (hx + 175, hy + 235), (hx - 175, hy + 235)], wall)
        for j in range(6):
            for i in range(-4, 5):
                if (i * 5 + j * 3) % 4 == 0:
                    x, y = hx + i * 38 + (j % 2) * 19, hy + 20 + j * 34
                    p.line([(x - 9, y), (x + 9, y)], _mix(wall, BROWN, 0.45), THIN)
        p.poly([(hx - 212, hy - 40), (hx - 140, hy - 165), (hx + 140, hy - 165), (hx + 212, hy - 40)], roof)
        for j in range(4):
            y = hy - 150 + j * 31
            half = 140 + (y - (hy - 165)) * 72 / 125
            for i in range(int(2 * half // 30)):
                x = hx - half + 15 + i * 30 + (j % 2) * 8
                if x + 26 < hx + half:
                    p.line(_ellipse(x + 8, y, 15, 14, 9, 0, math.pi), _mix(roof, INK, 0.5), THIN)
        for k in (-1, 1):
            wx, wy = hx + k * 118, hy + 118
            p.poly(_rounded(wx - 33, wy - 38, wx + 33, wy + 38, 8), BROWN)
            p.poly(_rounded(wx - 25, wy - 30, wx + 25, wy + 30, 4), (250, 222, 140) if mood else (170, 214, 226))
            p.line([(wx, wy - 30), (wx, wy + 30)], INK, LINE)
            p.line([(wx - 25, wy), (wx + 25, wy)], INK, LINE)
        p.poly(
            np.concatenate(
                [
                    _ellipse(hx, hy + 130, 44, 44, 20, math.pi, math.tau),
                    [(hx + 44, hy + 235), (hx - 44, hy + 235)],
                ]
            ),
            BROWN,
        )
        for x in (-15, 15):
            p.line([(hx + x, hy + 96), (hx + x, hy + 232)], _mix(BROWN, INK, 0.5), THIN)
        p.disc(hx + 30, hy + 172, 5.5, MUSTARD, INK, THIN)

    add((hx - 240, hy - 180, hx + 240, hy + 250), draw_house)
    sx, sy = hx + jit(8), hy - 4
    sw = float(rng.choice([112.0, 124.0, 136.0]))
    add((sx - sw - 10, sy - 60, sx + sw + 10, sy + 60), seeded(draw_sign, sx - sw, sy - 56, sx + sw, sy + 56))
    parts.append(Part("lettering", (sx - sw + 20, sy - 44, sx + sw - 20, sy + 44), False))

    # the tree
    tx, ty = fx(158 + jit()), 262 + jit(14)
    rx, ry = float(rng.uniform(132, 152)), float(rng.uniform(118, 138))
    add(
        (tx - 60, ty, tx + 60, 600),
        lambda p: (
            p.poly(
                [
                    (tx - 22, ty + 60),
                    (tx + 22, ty + 60),
                    (tx + 28, 560),
                    (tx + 52, 590),
                    (tx - 52, 590),
                    (tx - 28, 560),
                ],
                BROWN,
            ),
            p.line([(tx - 7, ty + 140), (tx - 9, 560)], _mix(BROWN, INK, 0.5), THIN),
            p.line([(tx + 9, ty + 150), (tx + 10, 520)], _mix(BROWN, INK, 0.5), THIN),
        ),
    )
    add((tx - rx * 1.2, ty - ry * 1.2, tx + rx * 1.2, ty + ry * 1.2), seeded(draw_foliage, tx, ty, rx, ry))
    ox, oy = jit(30), jit(22)
    parts.append(Part("foliage", (tx + ox - 82, ty + oy - 72, tx + ox + 82, ty + oy + 72), True))

    # a medal on a banner
    ex, ey, er = fx(866 + jit()), 232 + jit(14), float(rng.uniform(66, 80))
    banner = BOLD[rng.integers(5)]

    def draw_banner(p: Painter) -> None:
        p.line([(ex, 40), (ex, 600)], INK, 16)
        p.line([(ex, 40), (ex, 600)], BROWN, 9.6)
        p.poly(
            [
                (ex - 98, ey - 118),
                (ex + 98, ey - 118),
                (ex + 98, ey + 134),
                (ex, ey + 100),
                (ex - 98, ey + 134),
            ],
            banner,
        )
        p.line(
            [
                (ex - 86, ey - 106),
                (ex + 86, ey - 106),
                (ex + 86, ey + 114),
                (ex, ey + 86),
                (ex - 86, ey + 114),
                (ex - 86, ey - 106),
            ],
            MUSTARD if banner != MUSTARD else CREAM,
            LINE,
        )
        p.line([(ex - 112, ey - 120), (ex + 112, ey - 120)], INK, 14)
        p.line([(ex - 112, ey - 120), (ex + 112, ey - 120)], MUSTARD, 7.6)
        p.disc(ex, 40, 12, MUSTARD)

    add((ex - 120, 20, ex + 120, 610), draw_banner)
    add((ex - er * 1.3, ey - er * 1.3, ex + er * 1.3, ey + er * 1.3), seeded(draw_emblem, ex, ey, er))
    parts.append(Part("emblem", (ex - er * 1.06, ey - er * 1.06, ex + er * 1.06, ey + er * 1.06), True))

    # bunting across the top
    bunting = [(x, 34 + 30 * math.sin((x - 20) / 984 * math.pi * 3) ** 2) for x in range(-10, 1040, 30)]
    first = int(rng.integers(5))

    def draw_bunting(p: Painter) -> None:
        p.line(bunting, INK, THIN)
        for i, (x, y) in enumerate(bunting):
            p.poly(
                [(x - 12, y), (x + 12, y), (x, y + 26)],
                BOLD[(i + first) % 5] if i % 2 == 0 else CREAM,
                INK,
                THIN + 0.3,
            )

    add((0, 20, WIDTH, 100), draw_bunting)

    # the hanging on its rack
    wx, wy = fx(858 + jit()), 556 + jit(10)
    ww, wh = float(rng.uniform(94, 112)), float(rng.uniform(76, 90))
    add(
        (wx - 150, wy - 130, wx + 150, 745),
        lambda p: (
            [
                (
                    p.line([(wx + k * (ww + 8), wy - wh - 18), (wx + k * (ww + 18), 722)], INK, 14),
                    p.line([(wx + k * (ww + 8), wy - wh - 18), (wx + k * (ww + 18), 722)], BROWN, 7.6),
                )
                for k in (-1, 1)
            ]
            and None
        ),
    )
    add(
        (wx - ww - 20, wy - wh - 20, wx + ww + 20, wy + wh + 24),
        seeded(draw_weave, wx - ww, wy - wh, wx + ww, wy + wh),
    )
    parts.append(Part("weave", (wx - ww + 12, wy - wh + 10, wx + ww - 12, wy + wh - 10), False))

    # people
    people = [
        (fx(290 + jit()), 566 + jit(10), float(rng.uniform(70, 78))),
        (fx(118 + jit(10)), 640 + jit(8), float(rng.uniform(52, 60))),
        (fx(628 + jit(20)), 634 + jit(8), float(rng.uniform(52, 60))),
    ]
    for x, y, s in sorted(people, key=lambda q: q[1] + q[2]):
        cloth, stripe = BOLD[rng.integers(5)], int(rng.integers(3))

        def draw_body(
            p: Painter, x: float = x, y: float = y, s: float = s, cloth: Colour = cloth, stripe: int = stripe
        ) -> None:
            body = np.concatenate(
                [
                    _ellipse(x, y + 1.42 * s, 1.0 * s, 0.62 * s, 24, math.pi, math.tau),
                    [(x + 1.12 * s, y + 3.4 * s), (x - 1.12 * s, y + 3.4 * s)],
                ]
            )
            p.poly(_rounded(x - 0.26 * s, y + 0.6 * s, x + 0.26 * s, y + 1.1 * s, 0.1 * s), PINK)
            p.poly(body, cloth)
            if stripe == 0:
                for k in range(6):
                    p.line(
                        [
                            (x - 0.98 * s, y + (1.45 + 0.34 * k) * s),
                            (x + 0.98 * s, y + (1.45 + 0.34 * k) * s),
                        ],
                        CREAM,
                        0.1 * s,
                    )
            elif stripe == 1:
                for k in range(5):
                    p.disc(x, y + (1.15 + 0.4 * k) * s, 0.07 * s, CREAM, INK, THIN)
            else:
                for k in range(-4, 5):
                    for m in range(5):
                        p.disc(
                            x + (k * 0.22 + 0.11 * (m % 2)) * s,
                            y + (1.2 + 0.3 * m) * s,
                            0.055 * s,
                            CREAM,
                            None,
                        )
            p.poly([(x - 0.3 * s, y + 0.84 * s), (x + 0.3 * s, y + 0.84 * s), (x, y + 1.22 * s)], CREAM)

        add((x - 1.2 * s, y - s, x + 1.2 * s, y + 3.5 * s), draw_body)
        add((x - 1.2 * s, y - 1.5 * s, x + 1.2 * s, y + 1.2 * s), seeded(draw_face, x, y, s))
    x, y, s = people[0]
    parts.insert(0, Part("face", (x - 0.95 * s, y - 0.95 * s, x + 0.95 * s, y + 0.98 * s), True))
    bx, by = fx(980 + jit(10)), 752
    add((bx - 130, by - 90, bx + 130, by + 90), seeded(draw_foliage, bx, by, 110.0, 66.0))
    return Scene(seed, tuple(shapes), tuple(parts))


def degrade(image: np.ndarray, part: Part, how: str = "blur", strength: float = 3.0) -> np.ndarray:
    """A copy of the whole picture `[H,W,3]` (any zoom of the full scene) with one part spoiled.

    `how` is "blur" (Gaussian, sigma = `strength` scene pixels) or "lowres" (averaged down by `strength`,
    scaled up linearly again).
    Raises ValueError for any other.
    """
    h, w = image.shape[:2]
    zoom = w / WIDTH
    if how == "blur":
        bad = cv2.GaussianBlur(image, (0, 0), strength * zoom)
    elif how == "lowres":
        f = strength * zoom
        bad = cv2.resize(
            cv2.resize(image, (round(w / f), round(h / f)), interpolation=cv2.INTER_AREA),
            (w, h),
            interpolation=cv2.INTER_LINEAR,
        )
    else:
        raise ValueError(f"degrade: how must be 'blur' or 'lowres', not {how!r}")
    m = part.mask(zoom=zoom)[..., None]
    return (image * (1 - m) + bad * m).astype(np.float32)


def degradation(seed: int, index: int) -> tuple[str, float]:
    """(how, strength) that the fixed cases use for part `index` of the scene of `seed`."""
    rng = np.random.default_rng((seed, index))
    return ("blur", float(rng.uniform(2.0, 3.0))) if rng.random() < 0.5 else ("lowres", float(rng.uniform(3.5, 5.0)))


def held_out_case(i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Part]:
    """Case `i` (0..49): (undegraded, degraded, mask for the detailer, part). Images `[768,1024,3]`, mask
    `[768,1024]`; kinds take turns.
    """
    s = scene(HELD_OUT[i])
    index = i % len(s.parts)
    good = s.render()
    how, strength = degradation(HELD_OUT[i], index)
    return (
        good,
        degrade(good, s.parts[index], how, strength),
        s.parts[index].mask(grow=5, soft=0),
        s.parts[index],
    )


def demo_scene() -> tuple[np.ndarray, np.ndarray, list[tuple[Part, np.ndarray]]]:
    """The demo's 1024x768 picture: (undegraded, with five parts spoiled, [(part, mask for the detailer)])."""
    s = scene(DEMO_SEED)
    good = s.render()
    bad = good
    for index, part in enumerate(s.parts):
        bad = degrade(bad, part, *degradation(DEMO_SEED, index))
    return good, bad, [(part, part.mask(grow=5, soft=0)) for part in s.parts]
