"""Which parts of many detailed pictures fit worst, and a sheet of them to look at."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ..core import SEGS, Region, Size, bbox, crop_region, resample, to_bytes
from ..core.surroundings.ring import ring_of
from ..core.surroundings.verdict import Measures, measured
from ..segs import draw_masks
from . import host
from .labels import label_font

SIDE, GAP, LINE = 256, 8, 18  # pixels of the sheet: a picture's longer side, between pictures, a line of text
PAPER, INK = (24, 24, 24), (235, 235, 235)
MARGIN = 16  # pixels that a part is shown with around its crop
# what can be seen of the finished picture; tint and drift need the crop as it came from the model
SEEN = ("seam", "sharpness", "grain", "saturation")


class Shot(NamedTuple):
    """A picture before and after, ``[1,H,W,3]`` float 0..1 each, and the segments that were detailed."""

    before: torch.Tensor
    after: torch.Tensor
    segs: SEGS


@dataclass(frozen=True)
class Rated:
    """A part with what is wrong with it.

    Attributes:
        picture, part: numbers from 1; the part's is its segment's.
        points: all that is wrong in one number, 0 and more; of the seam what it is stronger than it was.
        pair: before and after, ``[1,h,w,3]`` each, as the sheet shows them.
    """

    picture: int
    part: int
    label: str
    box: Region
    measures: Measures
    points: float
    pair: tuple[torch.Tensor, torch.Tensor]

    def said(self) -> str:
        """What is wrong, the worst first: ``seam 1.31, grain 0.42``."""
        faults = sorted(((getattr(self.measures, name), name) for name in SEEN), reverse=True)
        return ", ".join(f"{name} {value:.2f}" for value, name in faults if value >= 0.005) or "nothing"


def worst_parts(shots: Iterable[Shot], most: int) -> list[Rated]:
    """The worst parts of all, at most so many, the worst first; of equals the first. Parts without a mask don't count.

    Only these are kept: memory doesn't grow with the pictures.
    """
    kept: list[tuple[float, int, Rated]] = []
    number = 0
    for picture, shot in enumerate(shots, start=1):
        for part, seg in enumerate(shot.segs[1], start=1):
            host.devices.check_interrupted()
            region = crop_region(seg).within(Size(*shot.before.shape[1:3]))
            if region.is_empty:
                continue
            mask = draw_masks([seg], region)
            if not bool((mask > 0.5).any()):
                continue
            before, after = (one[(slice(None), *region.slices)].cpu() for one in (shot.before, shot.after))
            found = measured(before, after, after, mask, ring_of(mask))
            points = max(found.seam - 1, 0.0) + sum(getattr(found, name) for name in SEEN if name != "seam")
            number += 1
            if len(kept) == most and points <= kept[0][0]:
                continue
            shown = region.padded(MARGIN).within(Size(*shot.before.shape[1:3]))
            pair = (_small(shot.before, shown), _small(shot.after, shown))
            rated = Rated(picture, part, str(seg.label), bbox(seg), found, points, pair)
            (heapq.heappush if len(kept) < most else heapq.heapreplace)(kept, (points, -number, rated))
    return [rated for _, _, rated in sorted(kept, reverse=True)]


def _small(picture: torch.Tensor, region: Region) -> torch.Tensor:
    """A region of a picture at the sheet's size, enlarged by three at most."""
    scale = min(SIDE / region.size.longer, 3.0)
    size = Size(*(max(round(side * scale), 1) for side in region.size))
    return resample(picture[(slice(None), *region.slices)].cpu(), size).clamp(0.0, 1.0)


def sheet(rated: Sequence[Rated]) -> torch.Tensor:
    """The parts before and after, side by side, three pairs a row, with where they are and what is wrong.

    Returns:
        ``[1,H,W,3]`` float32 0..1 on the CPU; a line of text where there are none.
    """
    from PIL import Image, ImageDraw

    columns = min(max(len(rated), 1), 3)
    wide, high = 2 * SIDE + 2 * GAP, SIDE + 2 * LINE + 2 * GAP
    rows = max(-(-len(rated) // columns), 1)
    drawn = Image.new("RGB", (columns * wide + GAP, rows * high + GAP), PAPER)
    pen, font = ImageDraw.Draw(drawn), label_font(14)
    if not rated:
        pen.text((2 * GAP, 2 * GAP), "no parts to judge", INK, font)
    for index, one in enumerate(rated):
        left, top = GAP + index % columns * wide, GAP + index // columns * high
        for number, picture in enumerate(one.pair):
            x = left + number * (SIDE + GAP // 2) + (SIDE - picture.shape[2]) // 2
            drawn.paste(Image.fromarray(to_bytes(picture)[0]), (x, top + (SIDE - picture.shape[1]) // 2))
        lines = f"{index + 1}.  picture {one.picture}, part {one.part}", one.said()
        for number, line in enumerate(lines):
            pen.text((left, top + SIDE + number * LINE), line, INK, font)
    return torch.from_numpy(np.array(drawn)).to(torch.float32)[None] / 255


def table(rated: Sequence[Rated]) -> str:
    """The same as a Markdown table, with each measure."""
    head = ["", "picture", "part", "label", "box", "points", *SEEN]
    lines = [head, ["---"] * len(head)]
    for place, one in enumerate(rated, start=1):
        measures = [f"{getattr(one.measures, name):.2f}" for name in SEEN]
        lines.append(
            [str(place), str(one.picture), str(one.part), one.label.replace("|", "/"), str(one.box),
             f"{one.points:.2f}", *measures]
        )  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
