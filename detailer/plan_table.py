"""The plan of a run as a table, as text, as JSON and drawn over the picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import torch

from ..core import Region, Size, bbox
from .labels import label_font
from .pipeline.plan import CropPlan, Place, Plan

if TYPE_CHECKING:
    from PIL import ImageDraw

# Colours of 0..255, that groups take in turn; skipped segments are grey.
_COLOURS = ((255, 196, 0), (0, 200, 255), (255, 96, 176), (120, 230, 80), (176, 140, 255), (255, 130, 60))
_SKIPPED = (150, 150, 150)
_TINT = 0.35  # how much of the colour lies over what a mask covers


@dataclass(frozen=True)
class PlanRow:
    """One segment of one picture.

    Attributes:
        picture, segment: both from 1; segments in the order of work.
        bbox, crop: ``x1, y1, x2, y2`` in pixels of the picture.
        working: width and height it is sampled at.
        batch: the group that it is sampled in, from 1; None where it is skipped.
        share: its part of all that is sampled, by area, 0..1.
        why: its working size in words, where the detail options had a say.
    """

    picture: int
    segment: int
    label: str
    bbox: tuple[int, int, int, int]
    crop: tuple[int, int, int, int]
    scale: float
    working: tuple[int, int]
    seed: int
    batch: int | None
    skipped: str | None
    share: float
    why: str = ""


def rows_of(plans: Sequence[Plan], groups: Iterable[Sequence[Place]]) -> list[PlanRow]:
    """All segments of all pictures, in the order of work.

    Args:
        groups: those that are sampled at once, as ``grouped`` gives them.
    """
    sampled = [[place for place in group if not place.crop.skipped] for group in groups]
    batches = {
        (place.picture, place.crop.number): batch
        for batch, group in enumerate(filter(None, sampled), start=1)
        for place in group
    }
    everything = sum(crop.working.area for plan in plans for crop in plan.to_sample)
    return [
        _row(index, crop, batches.get((index, crop.number)), everything)
        for index, plan in enumerate(plans)
        for crop in plan.crops
    ]


def _row(picture: int, crop: CropPlan, batch: int | None, everything: int) -> PlanRow:
    return PlanRow(
        picture + 1,
        crop.number,
        str(crop.seg.label),
        bbox(crop.seg).as_tuple(),
        crop.region.as_tuple(),
        round(crop.scale, 4),
        (crop.working.width, crop.working.height),
        crop.seed,
        batch,
        crop.skipped,
        0.0 if crop.skipped else crop.working.area / everything,
        crop.why,
    )


def as_dicts(rows: Iterable[PlanRow]) -> list[dict[str, object]]:
    """Objects with the fields of ``PlanRow``, for JSON."""
    return [asdict(row) for row in rows]


def as_json(rows: Iterable[PlanRow]) -> str:
    """A list of objects with the fields of ``PlanRow``."""
    return json.dumps(as_dicts(rows), indent=1)


def as_text(rows: Sequence[PlanRow]) -> str:
    """A Markdown table, its columns aligned so that it reads as plain text too.

    The column of pictures is there only where there are several, the one that says why only where one is skipped, and
    the one that says why a size only where detail options had a say.
    """
    several, skips = len({row.picture for row in rows}) > 1, any(row.skipped for row in rows)
    says_why = any(row.why for row in rows)
    head = ["segment", "label", "size", "scale", "crop", "bbox", "seed", "batch", "share"]
    head += ["why this size"] * says_why
    lines = [_line("picture", head, "skipped", several, skips)]
    for row in rows:
        cells = [*_cells(row), *[row.why] * says_why]
        lines.append(_line(str(row.picture), cells, row.skipped or "", several, skips))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def _line(picture: str, cells: list[str], skipped: str, several: bool, skips: bool) -> list[str]:
    line = [picture] * several + cells + [skipped] * skips
    return [" ".join(cell.replace("|", "\\|").split()) for cell in line]


def _cells(row: PlanRow) -> list[str]:
    crop, box, seed = _box(row.crop), _box(row.bbox), str(row.seed)
    if row.skipped:
        return [str(row.segment), row.label, "-", "-", crop, box, seed, "-", "-"]
    size, scale = "x".join(map(str, row.working)), f"{row.scale:.2f}"
    return [str(row.segment), row.label, size, scale, crop, box, seed, str(row.batch), f"{row.share:.1%}"]


def _box(box: tuple[int, int, int, int]) -> str:
    return str(Region(*box))


def drawn_over(image: torch.Tensor, plan: Plan, rows: Sequence[PlanRow]) -> torch.Tensor:
    """A picture with its plan: masks tinted, bounding boxes thin, crop regions thick, each with number and size.

    Args:
        image: ``[1,H,W,3]`` float 0..1.
        rows: those of this picture.

    Returns:
        ``[1,H,W,3]`` float32, a new tensor on the image's device.
    """
    from PIL import Image, ImageDraw

    size = Size(*image.shape[1:3])
    out = image.to(torch.float32, copy=True)
    for crop, row in zip(plan.crops, rows, strict=True):
        region = crop.region.within(size)
        if not region.is_empty:
            part = out[(slice(None), *region.slices)]
            colour = torch.tensor(_colour(row), device=out.device) / 255
            alpha = (replace(crop, region=region).mask().to(out.device) * _TINT)[..., None]
            part.copy_((1 - alpha) * part + alpha * colour)
    lines = Image.new("RGBA", (size.width, size.height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(lines)
    for crop, row in zip(plan.crops, rows, strict=True):
        _draw(pen, crop, row, size)
    import numpy as np

    layer = torch.from_numpy(np.array(lines)).to(out.device, torch.float32) / 255
    alpha = layer[..., 3:]
    return (1 - alpha) * out + alpha * layer[..., :3]


def _colour(row: PlanRow) -> tuple[int, int, int]:
    return _SKIPPED if row.batch is None else _COLOURS[(row.batch - 1) % len(_COLOURS)]


def _draw(pen: ImageDraw.ImageDraw, crop: CropPlan, row: PlanRow, size: Size) -> None:
    if crop.region.is_empty:
        return
    thick = max(round(size.longer / 400), 1)
    colour = (*_colour(row), 255)
    pen.rectangle(_corners(Region(*row.crop)), outline=colour, width=thick)
    pen.rectangle(_corners(Region(*row.bbox)), outline=colour, width=max(thick // 2, 1))
    text = f"{row.segment} skipped" if row.skipped else f"{row.segment}  {row.working[0]}x{row.working[1]}"
    font = label_font(max(size.longer // 50, 10))
    left, top = crop.region.x1 + 2 * thick, crop.region.y1 + 2 * thick
    pen.rectangle(pen.textbbox((left, top), text, font=font), fill=(0, 0, 0, 170))
    pen.text((left, top), text, fill=colour, font=font)


def _corners(region: Region) -> tuple[int, int, int, int]:
    """As Pillow draws rectangles: the last row and column inside; at least a pixel."""
    return region.x1, region.y1, max(region.x2 - 1, region.x1), max(region.y2 - 1, region.y1)
