"""Kernels for a crop's way to its working size and back: what each pair makes of held-out scenes, and of grain."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from mask_detailer.core import Size, from_working_size, resample, to_working_size
from mask_detailer.core.banded import Band
from mask_detailer.core.resample import (
    AHEAD,
    GENTLE,
    KEYS,
    LANCZOS,
    SOFTER,
    Kernel,
    cubic,
    kept,
    kernel_band,
    sharpened_band,
)
from support.quality import CHECKPOINT, Quality, load_models, measure, sharpness
from tables import print_table

CASES = 50
ZOOMS = (1.5, 2.0, 2.7, 3.5)
SIDE = 160  # pixels of white noise

Make = Callable[[int, int], Band]
HALFWAY, MITCHELL = Kernel(partial(cubic, b=0.06), 2), Kernel(partial(cubic, b=1 / 3), 2)
BY_LANCZOS: Make = partial(kernel_band, LANCZOS)

# by name: what enlarges, what shrinks
PAIRS: Mapping[tuple[str, str], tuple[Make, Make]] = {
    ("Lanczos-3", "Lanczos-3"): (BY_LANCZOS, BY_LANCZOS),
    ("Lanczos-3", "cubic, B 0"): (BY_LANCZOS, partial(kernel_band, KEYS)),
    ("Lanczos-3", "cubic, B 0.06"): (BY_LANCZOS, partial(kernel_band, HALFWAY)),
    ("Lanczos-3", "Mitchell's"): (BY_LANCZOS, partial(kernel_band, MITCHELL)),
    ("cubic, sharpened ahead by 0.75", "cubic, B 0.06"): (
        partial(sharpened_band, KEYS, HALFWAY, 0.75), partial(kernel_band, HALFWAY),
    ),
    ("Lanczos-3, sharpened ahead by 0.6", "cubic, B 0"): (
        partial(sharpened_band, LANCZOS, KEYS, 0.6), partial(kernel_band, KEYS),
    ),
    (f"as it is: cubic, sharpened ahead by {AHEAD:g}", f"cubic, B {SOFTER:g}"): (
        partial(sharpened_band, KEYS, GENTLE, AHEAD), partial(kernel_band, GENTLE),
    ),
}  # fmt: skip


@contextmanager
def in_place(enlarging: Make, shrinking: Make) -> Iterator[None]:
    """Crops go by these until the end."""
    module = sys.modules[resample.__module__]
    before = module.enlarging_band, module.shrinking_band
    module.enlarging_band, module.shrinking_band = kept(enlarging), kept(shrinking)
    try:
        yield
    finally:
        module.enlarging_band, module.shrinking_band = before


def grain(passes: int = 1) -> float:
    """The gradient of white noise that went there and back, over its own; mean of ``ZOOMS``."""
    noise = torch.rand(1, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))
    size, left = Size(SIDE, SIDE), []
    for zoom in ZOOMS:
        now = noise
        for _ in range(passes):
            now = from_working_size(to_working_size(now, size.scaled(zoom)), size).clamp(0.0, 1.0)
        left.append(sharpness(now[0].numpy()).mean() / sharpness(noise[0].numpy()).mean())
    return float(np.mean(left))


def row(names: tuple[str, str], models: Any, cases: int) -> list[str]:
    found: list[Quality] = [measure(models, case) for case in range(cases)]
    seam = np.mean([one.seam for one in found]) / np.mean([one.seam_of_truth for one in found])
    numbers = [np.mean([one.similarity for one in found]), np.mean([one.sharpness for one in found]), seam]
    return [*names, f"{numbers[0]:.4f}", *(f"{one:.3f}" for one in (*numbers[1:], grain(), grain(10)))]


def run() -> None:
    if not CHECKPOINT.is_file():
        print(f"kernels: no trained model; dev.py train makes {CHECKPOINT.name}")
        return
    cases = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), CASES)
    logging.disable(logging.INFO)
    rows = []
    with torch.inference_mode():
        models = load_models()
        for names, pair in PAIRS.items():
            with in_place(*pair):
                rows.append(row(names, models, cases))
    logging.disable(logging.NOTSET)
    head = ["enlarged by", "shrunk by", "SSIM", "sharpness", "seam jump", "grain", "after ten passes"]
    print_table(f"{cases} held-out scenes; sharpness and seam as ratios to the undegraded scene's", head, rows)
