"""Drift against planted shifts and zooms, and no correction where nothing moved."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from mask_detailer.core import Size
from mask_detailer.core.surroundings.registration import LEAST_DRIFT, Drift, measure_drift, undo_drift
from mask_detailer.core.surroundings.ring import ring_of
from unit.parts import LEVEL, disc, scenery

SIZE = Size(180, 200)
MASK = disc(*SIZE, 55)
RING = ring_of(MASK)

DRIFTS = [(2.0, 0.0, 0.0), (-2.0, 1.4, 0.0), (0.6, -0.5, 0.0), (0.0, 0.0, 0.01), (0.0, 0.0, -0.01), (1.5, -1.0, 0.01),
          (7.3, 5.0, 0.0)]  # fmt: skip
CHANGES = ["nothing", "softer", "sharper", "noise", "tint"]


def drifted(image: torch.Tensor, dx: float, dy: float, zoom: float) -> torch.Tensor:
    """What was at ``x`` is now at ``x + shift + zoom * (x - middle)``: by cubic splines, in float64."""
    height, width = image.shape[1:3]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    places = [(y - dy - middle_y) / (1 + zoom) + middle_y, (x - dx - middle_x) / (1 + zoom) + middle_x]
    planes = [
        scipy.ndimage.map_coordinates(image[0, ..., c].double().numpy(), places, order=3, mode="mirror")
        for c in range(3)
    ]
    return torch.from_numpy(np.stack(planes, axis=-1).astype(np.float32))[None]


def changed(image: torch.Tensor, how: str) -> torch.Tensor:
    """As a VAE changes a picture besides; the part itself becomes something else."""
    blurred = torch.from_numpy(scipy.ndimage.gaussian_filter(image.numpy(), (0, 0.9, 0.9, 0)))
    noise = 0.02 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    out = {
        "nothing": image, "softer": blurred, "sharper": image + 0.7 * (image - blurred), "noise": image + noise,
        "tint": image * 1.1 + 0.02,
    }[how].clamp(0, 1)  # fmt: skip
    new = scenery(*image.shape[1:3], seed=77)
    return torch.where(MASK[..., None] > 0, new, out)


def off_by(found: Drift, wanted: tuple[float, float, float]) -> float:
    """The largest error in pixels, at a corner."""
    x = abs(found.dx - wanted[0]) + abs(found.zoom - wanted[2]) * (SIZE.width - 1) / 2
    y = abs(found.dy - wanted[1]) + abs(found.zoom - wanted[2]) * (SIZE.height - 1) / 2
    return math.hypot(x, y)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("planted", DRIFTS, ids=str)
def test_planted_drift(planted: tuple[float, float, float], change: str) -> None:
    before = scenery(*SIZE, seed=3)
    refined = changed(drifted(before, *planted), change)
    (found,) = measure_drift(before, refined, RING)
    assert off_by(found, planted) < 0.2
    made, text = undo_drift(before, refined, RING)
    assert text.startswith("drift undone: ")
    assert off_by(measure_drift(before, made, RING)[0], (0.0, 0.0, 0.0)) < 0.25


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_moved_nothing_undone(change: str, seed: int) -> None:
    before = scenery(*SIZE, seed=seed)
    refined = changed(before, change)
    (found,) = measure_drift(before, refined, RING)
    assert off_by(found, (0.0, 0.0, 0.0)) < 0.1
    made, text = undo_drift(before, refined, RING)
    assert made is refined and text.startswith("no drift")


def test_undoing_puts_pixels_back() -> None:
    """A shift by whole pixels is undone exactly, away from the border."""
    before = scenery(*SIZE, seed=5)
    refined = torch.roll(before, (3, -2), dims=(1, 2))
    made, _ = undo_drift(before, refined, ring_of(torch.zeros(1, *SIZE)))
    assert float((made - before)[:, 8:-8, 8:-8].abs().max()) < 2 * LEVEL


def test_another_picture_altogether_is_left_alone() -> None:
    for seed in range(6):
        before, refined = scenery(*SIZE, seed=20 + seed), scenery(*SIZE, seed=40 + seed)
        made, text = undo_drift(before, refined, RING)
        assert made is refined, text


@pytest.mark.parametrize("kind", ["flat", "noise only", "one direction"])
def test_surroundings_that_say_nothing(kind: str) -> None:
    before = torch.full((1, *SIZE, 3), 0.4)
    if kind == "noise only":
        before = before + 0.02 * torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
        refined = 0.4 + 0.02 * torch.randn(before.shape, generator=torch.Generator().manual_seed(2))
    elif kind == "one direction":
        stripes = 0.3 * torch.sin(torch.arange(SIZE.width) / 4.0)
        before = before + stripes[:, None]
        refined = before + 0.01 * torch.randn(before.shape, generator=torch.Generator().manual_seed(2))
    else:
        refined = before + 0.05
    made, _ = undo_drift(before, refined, RING)
    assert made is refined


def test_too_small_a_ring() -> None:
    before = scenery(*SIZE, seed=6)
    ring = torch.zeros((1, *SIZE), dtype=torch.bool)
    ring[:, :5, :5] = True
    refined = drifted(before, 2, 0, 0)
    made, text = undo_drift(before, refined, ring)
    assert made is refined and "25 of at least 256" in text


def test_what_is_less_than_resampling_would_cost_stays() -> None:
    before = scenery(*SIZE, seed=7)
    refined = drifted(before, 0.15, 0.0, 0.0)
    made, text = undo_drift(before, refined, RING)
    assert made is refined and text.startswith("no drift") and LEAST_DRIFT > 0.15


def test_inputs_are_not_written_to() -> None:
    before = scenery(*SIZE, seed=8)
    refined = drifted(before, 2, 1, 0)
    kept = before.clone(), refined.clone()
    undo_drift(before, refined, RING)
    assert torch.equal(before, kept[0]) and torch.equal(refined, kept[1])


def test_black_and_white_stay_within() -> None:
    """A board of black and white rings where it is moved by a part of a pixel."""
    board = ((torch.arange(SIZE.height)[:, None] // 9 + torch.arange(SIZE.width) // 9) % 2).float()
    before = torch.where(MASK[..., None] > 0, board[None, ..., None], scenery(*SIZE, seed=9))
    refined = torch.where(MASK[..., None] > 0, board[None, ..., None], drifted(before, 1.5, -1.5, 0.0).clamp(0, 1))
    made, text = undo_drift(before, refined, RING)
    assert text.startswith("drift undone")
    assert (float(made.min()), float(made.max())) == (0.0, 1.0)


def test_shift_to_the_right_and_down_are_told_apart() -> None:
    before = scenery(*SIZE, seed=12)
    made, text = undo_drift(before, torch.roll(before, (1, 4), dims=(1, 2)), RING)
    assert text.startswith("drift undone: +4.0") and ",+1.0" in text
    assert float((made - before)[:, 8:-8, 8:-8].abs().max()) < 4 * LEVEL
