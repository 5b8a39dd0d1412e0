"""How the pictures are put together: panels beside one another, before and after on two sides of a line, labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WHITE, INK, CYAN, AMBER = (255, 255, 255), (26, 24, 36), (74, 199, 232), (245, 176, 50)

Picture = np.ndarray  # ``[H,W,3]`` float 0..1
Box = tuple[float, float, float, float]


def seen(picture: Picture, box: Box, size: tuple[int, int]) -> Image.Image:
    """A box of a picture at that size."""
    whole = Image.fromarray(np.round(picture.clip(0.0, 1.0) * 255).astype(np.uint8))
    return whole.resize(size, Image.Resampling.LANCZOS, box=box)


def beside(panels: Sequence[Image.Image], gap: int = 6, down: bool = False) -> Image.Image:
    """Panels of one size in a row, or below one another, with white between."""
    width, height = panels[0].size
    steps = len(panels) - 1
    size = (width, height * (steps + 1) + gap * steps) if down else (width * (steps + 1) + gap * steps, height)
    sheet = Image.new("RGB", size, WHITE)
    for place, panel in enumerate(panels):
        sheet.paste(panel, (0, place * (height + gap)) if down else (place * (width + gap), 0))
    return sheet


def split(before: Image.Image, after: Image.Image, start: tuple[int, int], end: tuple[int, int]) -> Image.Image:
    """Before on the one side of a line through the picture, after on the other: right of it as one goes down."""
    (x0, y0), (x1, y1) = start, end
    width, height = before.size
    x, y = np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5
    side = (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)
    made = Image.composite(after, before, Image.fromarray((side > 0).astype(np.uint8) * 255))
    ImageDraw.Draw(made).line([start, end], WHITE, 5)
    return made


def labelled(picture: Image.Image, text: str, at: tuple[int, int], colour: tuple[int, int, int] = WHITE) -> Image.Image:
    """With a word on a dark ground."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(17)
    left, top, right, bottom = pen.textbbox(at, text, font)
    pen.rectangle((left - 5, top - 4, right + 5, bottom + 4), INK)
    pen.text(at, text, colour, font)
    return picture


def ringed(picture: Image.Image, box: Box, is_round: bool, colour: tuple[int, int, int]) -> Image.Image:
    """With a line around a box, or the ellipse in it."""
    pen = ImageDraw.Draw(picture)
    pen.ellipse(box, outline=colour, width=3) if is_round else pen.rounded_rectangle(box, 8, outline=colour, width=3)
    return picture


def on_dark(parts: Sequence[np.ndarray], size: tuple[int, int], side: int) -> Image.Image:
    """Parts with their alpha (``[h,w,4]`` float 0..1) in a row; what is see-through shows a darkened checker."""
    sheet = Image.new("RGB", size, (34, 34, 36))
    room = size[0] / len(parts)
    for place, part in enumerate(parts):
        rows, columns = np.indices(part.shape[:2]) // 14
        checker = np.where((rows + columns) % 2, 0.16, 0.24)[..., None]
        alpha = part[..., 3:]
        shown = part[..., :3] * alpha + (0.35 * part[..., :3] + checker) * (1 - alpha)
        zoom = side / max(part.shape[:2])
        cut = (round(part.shape[1] * zoom), round(part.shape[0] * zoom))
        made = seen(shown, (0, 0, part.shape[1], part.shape[0]), cut)
        sheet.paste(made, (round(room * (place + 0.5) - cut[0] / 2), (size[1] - cut[1]) // 2))
    return sheet
