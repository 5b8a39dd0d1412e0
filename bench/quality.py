"""How good detailed pictures are: 50 held-out scenes against the undegraded ones."""

from __future__ import annotations

import logging

import numpy as np
import torch
from support.quality import CHECKPOINT, Quality, load_models, measure
from tables import print_table

CASES = 50


def in_share(values: list[bool]) -> str:
    return f"{sum(values)} of {len(values)}"


def row(name: str, found: list[Quality]) -> list[str]:
    def mean(field: str) -> float:
        return float(np.mean([getattr(quality, field) for quality in found]))

    return [
        name,
        f"{mean('similarity_before'):.3f}",
        f"{mean('similarity'):.3f}",
        in_share([quality.similarity > quality.similarity_before for quality in found]),
        f"{mean('sharpness_before'):.2f}",
        f"{mean('sharpness'):.2f}",
        in_share([0.8 <= quality.sharpness <= 1.25 for quality in found]),
        f"{mean('seam') / mean('seam_of_truth'):.2f}",
        f"{mean('fade'):.2f}",
        f"{max(quality.outside for quality in found):g}",
        f"{mean('colour'):.2f}",
    ]


def run() -> None:
    if not CHECKPOINT.is_file():
        print(f"quality: no trained model; tests/model/train.py makes {CHECKPOINT.name}")
        return
    logging.disable(logging.INFO)
    with torch.inference_mode():
        models = load_models()
        found = [measure(models, case) for case in range(CASES)]
    logging.disable(logging.NOTSET)
    head = ["part", "SSIM before", "after", "closer", "sharpness before", "after", "in 0.8..1.25", "seam jump",
            "fade at the edge", "change outside", "Lab shift of VAE"]  # fmt: skip
    kinds = sorted({quality.kind for quality in found})
    rows = [row(kind, [quality for quality in found if quality.kind == kind]) for kind in kinds]
    title = "50 held-out scenes: similarity to the undegraded scene; sharpness and seam as ratios to its own"
    print_table(title, head, [*rows, row("all", found)])
