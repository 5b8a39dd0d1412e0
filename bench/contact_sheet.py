"""Draws docs/options.png: what detail options make of planted faults, on a held-out scene."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from mask_detailer.detailer.options import BlendOptions, ColourOptions, DetailOptions
from PIL import Image, ImageDraw, ImageFont
from support.faults import Fault, moved
from support.quality import CHECKPOINT, Again, detailed, load_models
from tiny_model import scenes

TARGET = Path(__file__).parents[1] / "docs" / "options.png"
CASE = 1
SIDE, LABEL, GAP = 220, 44, 8
MARGIN = 20  # pixels of the picture around the part


def tinted(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels * 0.92 + torch.tensor([0.09, 0.03, -0.03])).clamp(0.0, 1.0)


def softened(pixels: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(cv2.GaussianBlur(pixels[0].numpy(), (0, 0), 3.0))[None]


OFF = DetailOptions()

# What is planted, and what is turned against it; each row begins with nothing turned.
ROWS: dict[str, tuple[Fault, dict[str, DetailOptions]]] = {
    "the VAE tints": (
        tinted,
        {
            "colour mean_and_spread": DetailOptions(colour=ColourOptions("mean_and_spread")),
            "colour covariance": DetailOptions(colour=ColourOptions("covariance")),
            "blend multiband": DetailOptions(blend=BlendOptions("multiband")),
            "blend gradient": DetailOptions(blend=BlendOptions("gradient")),
        },
    ),
    "the model shifts and zooms": (
        lambda pixels: moved(pixels, 8.0, 8.0, 1.02),
        {"drift correct": DetailOptions(drift="correct")},
    ),
    "the decoded crop is soft": (softened, {"detail match": DetailOptions(detail="match")}),
}


def run() -> None:
    if not CHECKPOINT.is_file():
        print(f"contact_sheet: no trained model; dev.py train makes {CHECKPOINT.name}")
        return
    _, bad, mask, _ = scenes.held_out_case(CASE)
    window = _around(mask)
    again = Again()
    with torch.inference_mode():
        models = load_models()
        clean, _ = detailed(models, CASE, {"detailer_hook": again})
        rows = []
        for fault, (plant, remedies) in ROWS.items():
            cells = {f"{fault},\nnothing turned": OFF, **remedies}
            hook = again.with_fault(plant)
            done = {
                name: detailed(models, CASE, {"detailer_hook": hook, "detail_options": options})[0]
                for name, options in cells.items()
            }
            rows.append(done)
    first = {"before": bad, "detailed, no fault": clean}
    tint, drift, soft = rows
    sheet = [{name: picture[window] for name, picture in row.items()} for row in ({**first, **drift, **soft}, tint)]
    _sheet(sheet).save(TARGET, optimize=True)
    print(f"{TARGET.name}: {TARGET.stat().st_size // 1000} kB")


def _around(mask: np.ndarray) -> tuple[slice, slice]:
    """A square of the picture around the mask."""
    rows, columns = np.nonzero(mask > 0.5)
    side = min(max(np.ptp(rows), np.ptp(columns)) + 2 * MARGIN, *mask.shape)
    y, x = ((values.min() + values.max() - side) // 2 for values in (rows, columns))
    y, x = (int(min(max(start, 0), length - side)) for start, length in zip((y, x), mask.shape, strict=True))
    return slice(y, y + side), slice(x, x + side)


def _sheet(rows: list[dict[str, np.ndarray]]) -> Image.Image:
    columns = max(map(len, rows))
    sheet = Image.new(
        "RGB", (columns * (SIDE + GAP) + GAP, len(rows) * (SIDE + LABEL + GAP) + GAP), (250, 250, 250)
    )  # fmt: skip
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for j, row in enumerate(rows):
        for i, (name, picture) in enumerate(row.items()):
            x, y = GAP + i * (SIDE + GAP), GAP + j * (SIDE + LABEL + GAP)
            pen.text((x + 2, y), name, (20, 20, 20), font)
            pixels = Image.fromarray((picture * 255).round().clip(0, 255).astype(np.uint8))
            sheet.paste(pixels.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, y + LABEL))
    return sheet
