"""Crops turned upright and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Size, Turn

DEGREES = (-170.0, -90.0, -33.0, 5.0, 30.0, 45.0, 90.0, 135.0, 180.0)


def waves(height: int, width: int) -> torch.Tensor:
    """A smooth picture ``[1,H,W,3]`` whose shortest wave is 12 pixels."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([wave(x, y, channel) for channel in range(3)], dim=-1)[None]


def wave(x: torch.Tensor, y: torch.Tensor, channel: int) -> torch.Tensor:
    across, down = ((0.5, 0.1), (0.12, 0.4), (0.3, -0.3))[channel]
    return 0.5 + 0.4 * torch.sin(across * x + down * y + channel)


def decibels(difference: torch.Tensor) -> float:
    return float(-10 * torch.log10(difference.square().mean()))


@pytest.mark.parametrize("degrees", DEGREES)
def test_there_and_back(degrees: float, record_property: Any) -> None:
    """Where the turned crop holds a pixel and its neighbours, it comes back as it was."""
    size = Size(96, 120)
    picture, turn = waves(*size), Turn(math.radians(degrees), (55.3, 50.2))
    back = turn.back(turn.upright(picture))
    known = (turn.coverage(size, 8.0) == 1.0)[..., None].expand_as(picture)
    inner = torch.zeros_like(known)
    inner[:, 8:-8, 8:-8] = True  # beyond the border the pictures' mirror image is not the picture
    psnr = decibels((back - picture)[known & inner])
    record_property("decibels", round(psnr, 1))
    assert known.float().mean() > 0.5
    assert psnr > 50


@pytest.mark.parametrize("degrees", DEGREES)
def test_turned_as_the_formula_says(degrees: float) -> None:
    """A picture known at every point: the turned pixel is the picture's value where ``back_point`` leads.

    OpenCV takes places to a 32nd of a pixel.
    """
    size = Size(90, 100)
    turn = Turn(math.radians(degrees), (48.0, 44.5))
    made = turn.upright(waves(*size))[0]
    for row, column in ((45, 50), (30, 60), (60, 33), (52, 41)):
        x, y = turn.back_point((column + 0.5, row + 0.5))
        for channel in range(3):
            wanted = wave(torch.tensor(x), torch.tensor(y), channel)
            assert float(made[row, column, channel]) == pytest.approx(float(wanted), abs=8e-3)


def test_no_turn_is_the_picture_itself() -> None:
    picture, mask = torch.rand(1, 20, 30, 3), torch.rand(1, 20, 30)
    turn = Turn(0.0, (3.0, 4.0))
    assert torch.equal(turn.upright(picture), picture) and torch.equal(turn.back(picture), picture)
    assert torch.equal(turn.upright_mask(mask), mask)
    assert torch.equal(turn.coverage(Size(20, 30), 1e-9), torch.ones(1, 20, 30))


def test_quarter_turns_only_move_pixels() -> None:
    picture = torch.rand(2, 24, 24, 3)
    for quarters in (1, 2, 3):
        turn = Turn(quarters * math.pi / 2, (12.0, 12.0))
        wanted = torch.rot90(picture, quarters, dims=(1, 2))  # what points down lies to the right afterwards
        assert torch.allclose(turn.upright(picture), wanted, atol=1e-6)
        assert torch.allclose(turn.upright_mask(picture[..., 0]), wanted[..., 0], atol=1e-5)


def test_nothing_is_written_to() -> None:
    picture = waves(40, 40)
    before = picture.clone()
    Turn(0.5, (20.0, 20.0)).upright(picture)
    assert torch.equal(picture, before)


def test_a_flat_picture_stays_flat() -> None:
    turn = Turn(0.7, (10.0, 30.0))
    assert torch.allclose(turn.upright(torch.full((1, 40, 50, 3), 0.3)), torch.full((1, 40, 50, 3), 0.3), atol=1e-6)


angles = st.floats(-math.pi, math.pi)
coordinates = st.floats(-50, 150)
points = st.tuples(coordinates, coordinates)


@given(points, points)
def test_eyes_stand_level(left: tuple[float, float], right: tuple[float, float]) -> None:
    if math.dist(left, right) < 1e-3:
        return
    turn = Turn.of_eyes(left, right)
    (x1, y1), (x2, y2) = turn.upright_point(left), turn.upright_point(right)
    assert y1 == pytest.approx(y2, abs=1e-9) and x2 - x1 == pytest.approx(math.dist(left, right), abs=1e-9)
    middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    assert turn.upright_point(middle) == pytest.approx(middle, abs=1e-9)


@given(angles, points, points)
def test_points_come_back(roll: float, centre: tuple[float, float], point: tuple[float, float]) -> None:
    turn = Turn(roll, centre)
    assert turn.back_point(turn.upright_point(point)) == pytest.approx(point, abs=1e-9)


def test_eyes_without_a_direction() -> None:
    for right in ((3.0, 4.0), (math.inf, 4.0), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="give no direction"):
            Turn.of_eyes((3.0, 4.0), right)


def test_coverage() -> None:
    """A square turned by 45 degrees about its middle: its corners are cut off, and the slope is as wide as asked."""
    covered = Turn(math.pi / 4, (50.0, 50.0)).coverage(Size(100, 100), 10.0)[0]
    assert not covered[:10, :10].any() and bool((covered[40:60, 40:60] == 1).all())
    inside = 50.0 - math.sqrt(2) * 31.0  # of the point 31 pixels left of and above the middle, from the border
    assert float(covered[18:20, 18:20].mean()) == pytest.approx(inside / 10.0, abs=0.02)


def test_scaled() -> None:
    turn = Turn(0.3, (10.0, 20.0)).scaled(Size(40, 30), Size(80, 60))
    assert turn == Turn(0.3, (20.0, 40.0)) and turn.degrees == pytest.approx(17.188734)


def test_a_picture_without_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a turn takes \[B,H,W,C\]"):
        Turn(0.3, (1.0, 1.0)).upright(torch.zeros(20, 20, 3))


def test_what_comes_from_outside_is_mirrored_at_the_border() -> None:
    """Half a turn about a point off the middle only moves pixels: against numpy's padding, the outermost repeated."""
    picture = torch.rand(2, 20, 24, 3, generator=torch.Generator().manual_seed(0))
    made = Turn(math.pi, (15.0, 6.0)).upright(picture).numpy()
    padded = np.pad(picture.numpy(), [(0, 0), (8, 0), (0, 6), (0, 0)], mode="symmetric")
    wanted = padded[:, ::-1, ::-1][:, 8:28, :24]
    assert made.shape == wanted.shape
    assert np.abs(made - wanted).max() < 1e-5
