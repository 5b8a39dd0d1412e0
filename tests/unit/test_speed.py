"""What must be fast, measured in processor time against the bare work in the same run: best of several, in three tries.

The figures are logged: `--log-cli-level=INFO` shows them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from mask_detailer.core import blur_mask, mask_to_segs

from unit import oracles

logger = logging.getLogger(__name__)

TRIES = 3
WIDTH, HEIGHT = 3840, 2160


def best_seconds(work: Callable[[], object], rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def holds(ratio: Callable[[], float], bound: Callable[[float], bool]) -> list[float]:
    """The ratios measured until one holds, at most TRIES of them."""
    ratios = []
    for _ in range(TRIES):
        ratios.append(ratio())
        if bound(ratios[-1]):
            break
    return ratios


def grid(columns: int, rows: int) -> np.ndarray:
    """A 4K mask with a soft ellipse in each of ``columns`` x ``rows`` cells."""
    ys, xs = np.ogrid[:HEIGHT, :WIDTH]
    cell_x, cell_y = WIDTH / columns, HEIGHT / rows
    inside = ((xs % cell_x) / cell_x - 0.5) ** 2 + ((ys % cell_y) / cell_y - 0.5) ** 2
    return np.where(inside < 0.09, 1.0 - inside, 0.0).astype(np.float32)


def bare_work(mask: np.ndarray) -> None:
    cv2.findContours((mask * 255).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)


def test_mask_to_segs_costs_little_more_than_finding_contours() -> None:
    mask = grid(4, 4)
    assert len(mask_to_segs(mask, False, 3.0, False)[1]) == 16

    def ratio() -> float:
        return best_seconds(lambda: mask_to_segs(mask, False, 3.0, False)) / best_seconds(lambda: bare_work(mask))

    ratios = holds(ratio, lambda value: value <= 4)
    logger.info("mask_to_segs over bare work: %s", ratios)
    assert min(ratios) <= 4


def test_mask_to_segs_does_nothing_a_region_over_the_whole_mask() -> None:
    few, many = grid(4, 4), grid(40, 40)
    assert len(mask_to_segs(many, False, 3.0, False)[1]) == 1600

    def ratio() -> float:
        segs_of_many = best_seconds(lambda: mask_to_segs(many, False, 3.0, False))
        return segs_of_many / best_seconds(lambda: mask_to_segs(few, False, 3.0, False))

    ratios = holds(ratio, lambda value: value <= 6)
    logger.info("mask_to_segs at 1600 over 16 regions: %s", ratios)
    assert min(ratios) <= 6


def test_blur_against_the_direct_convolution() -> None:
    """2048x2048 at feather 100. The direct 201x201 convolution takes many seconds: a strip is timed, and scaled up."""
    side, feather, strip = 2048, 100, 16
    mask = torch.rand(1, side, side, generator=torch.Generator().manual_seed(0))
    kernel = torch.from_numpy(oracles.gaussian_kernel(2 * feather + 1)).to(torch.float32)[None, None]
    padded = torch.nn.functional.pad(mask[None], [feather] * 4, mode="reflect")[..., : strip + 2 * feather, :]
    rows = torch.nn.functional.conv2d(padded, kernel)
    assert rows.shape[-2:] == (strip, side)
    assert (rows[0] - blur_mask(mask, feather)[:, :strip]).abs().max() < 1e-5

    def ratio() -> float:
        direct = best_seconds(lambda: torch.nn.functional.conv2d(padded, kernel), rounds=2) * side / strip
        return direct / best_seconds(lambda: blur_mask(mask, feather))

    ratios = holds(ratio, lambda value: value >= 40)
    logger.info("direct convolution over blur: %s", ratios)
    assert max(ratios) >= 40
