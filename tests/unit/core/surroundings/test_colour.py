"""Colour matching against planted tints, and where it must keep still."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core.surroundings.colour import COLOUR_MATCHES, from_lab, match_colour, to_lab
from mask_detailer.core.surroundings.ring import ring_of
from skimage.color import rgb2lab
from unit.parts import LEVEL, disc, scenery

METHODS = [method for method in COLOUR_MATCHES if method != "off"]
SIZE = (160, 170)
MASK = disc(*SIZE, 50)
RING = ring_of(MASK)
INSIDE = MASK[0] > 0


def left_inside(before: torch.Tensor, made: torch.Tensor) -> float:
    """Mean absolute error inside the mask, in levels of 8-bit pictures."""
    return float((made - before)[0][INSIDE].abs().mean()) / LEVEL


def test_lab_is_that_of_cie() -> None:
    rgb = np.random.default_rng(0).random((50, 40, 3)).astype(np.float32)
    rgb[0] *= 0.02  # the dark ends of both curves
    lab = to_lab(torch.from_numpy(rgb))
    assert np.abs(lab.numpy() - rgb2lab(rgb)).max() < 0.02
    assert (from_lab(lab) - torch.from_numpy(rgb)).abs().max() < 1e-4


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_planted_tint(method: str, seed: int) -> None:
    before = scenery(*SIZE, seed)
    tinted = (before + 0.05).clamp(0, 1)
    assert left_inside(before, tinted) > 12
    assert left_inside(before, match_colour(before, tinted, RING, method, 0.2)[0]) < 1


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_planted_gain(method: str, seed: int) -> None:
    before = scenery(*SIZE, seed)
    brighter = (before * 1.1).clamp(0, 1)
    assert left_inside(before, brighter) > 9
    assert left_inside(before, match_colour(before, brighter, RING, method, 0.2)[0]) < 2


def test_covariance_undoes_a_colour_cast_exactly() -> None:
    """A symmetric positive matrix is its own Monge-Kantorovich map."""
    before = scenery(*SIZE, 4, 0.2, 0.7)
    cast = torch.tensor([[1.1, 0.04, 0.0], [0.04, 0.95, -0.03], [0.0, -0.03, 1.0]])
    tinted = before @ cast + torch.tensor([0.03, -0.02, 0.05])
    made, text = match_colour(before, tinted, RING, "covariance", 0.3)
    assert left_inside(before, made) < 0.3
    assert "now by 0.0" in text


@pytest.mark.parametrize("method", METHODS)
def test_what_is_new_inside_does_not_count(method: str) -> None:
    """The map comes from the ring: red inside is shifted as the ring says, not made like what was there."""
    before = scenery(*SIZE, 5)
    refined = before.clone()
    refined[0][INSIDE] = torch.tensor([0.8, 0.2, 0.2])
    made, _ = match_colour(before, refined + 0.05, RING, method, 0.2)
    # a tint in RGB is none of mean and spread in L*a*b*: colours that the ring lacks are met less well
    assert left_inside(refined, made) < (3 if method == "mean_and_spread" else 1)


@pytest.mark.parametrize("method", METHODS)
def test_outliers_on_the_ring_do_not_count(method: str) -> None:
    """A tenth of the ring shows something else altogether."""
    before = scenery(*SIZE, 6)
    tinted = before + 0.05
    tinted[:, :20, :130] = 0.9
    assert left_inside(before, match_colour(before, tinted, RING, method, 0.2)[0]) < 1.5


@pytest.mark.parametrize("change", ["none", "sharper", "softer", "noise"])
@pytest.mark.parametrize("method", METHODS)
def test_no_tint_no_change(method: str, change: str) -> None:
    before = scenery(*SIZE, 7)
    blurred = torch.nn.functional.avg_pool2d(before.movedim(-1, 1), 3, 1, 1, count_include_pad=False).movedim(1, -1)
    noise = 0.02 * torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
    refined = {"none": before.clone(), "sharper": 2 * before - blurred, "softer": blurred, "noise": before + noise}[
        change
    ]
    made, _ = match_colour(before, refined, RING, method, 0.2)
    assert float((made - refined.clamp(0, 1)).abs().max()) < 1.5 * LEVEL
    if change == "none":
        assert made is refined


@pytest.mark.parametrize("method", METHODS)
def test_a_flat_ring_gives_an_offset_and_no_gain(method: str) -> None:
    before = torch.full((1, *SIZE, 3), 0.4)
    refined = before + 0.05
    detail = torch.rand(before.shape, generator=torch.Generator().manual_seed(2)) * 0.3
    refined[0][INSIDE] += detail[0][INSIDE]
    noise = 1e-3 * torch.randn(before.shape, generator=torch.Generator().manual_seed(3))
    made, _ = match_colour(before + noise, refined, RING, method, 0.2)
    wanted = (refined - 0.05).clamp(0, 1)
    assert float((made - wanted)[0][INSIDE].abs().mean()) < 2.5 * LEVEL


@pytest.mark.parametrize("method", METHODS)
def test_the_limit(method: str) -> None:
    before = scenery(*SIZE, 8)
    made, _ = match_colour(before, before + 0.1, RING, method, 0.02)
    assert float((made - before - 0.1).abs().max()) <= 0.02 + 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_too_small_a_ring_changes_nothing_and_says_so(method: str) -> None:
    before = scenery(*SIZE, 9)
    ring = torch.zeros((1, *SIZE), dtype=torch.bool)
    ring[:, 0, :100] = True
    refined = before + 0.05
    made, text = match_colour(before, refined, ring, method, 0.2)
    assert made is refined and "100 of at least 256" in text
    white = torch.ones_like(before)
    made, text = match_colour(before, white, RING, method, 0.2)
    assert made is white and "black or white" in text


def test_off() -> None:
    refined = scenery(*SIZE, 10)
    assert match_colour(refined * 0.5, refined, RING, "off", 0.2) == (refined, "")


def test_inputs_are_not_written_to() -> None:
    before, refined = scenery(*SIZE, 11), scenery(*SIZE, 11) * 1.1
    kept = before.clone(), refined.clone()
    match_colour(before, refined, RING, "covariance", 0.2)
    assert torch.equal(before, kept[0]) and torch.equal(refined, kept[1])


def test_an_unknown_match_is_named_with_the_choices() -> None:
    before = scenery(*SIZE, 12)
    with pytest.raises(ValueError, match="'histogram' is no colour match; it must be one of off, mean_and_spread, cov"):
        match_colour(before, before, RING, "histogram", 0.2)


@pytest.mark.parametrize("method", METHODS)
def test_black_and_white_stay_within(method: str) -> None:
    """The part is a board of black and white in surroundings that must become brighter, or darker."""
    board = ((torch.arange(SIZE[0])[:, None] // 9 + torch.arange(SIZE[1]) // 9) % 2).float()[..., None]
    for tint in (-0.06, 0.06):
        before = scenery(*SIZE, 13, 0.2, 0.8)
        refined = torch.where(INSIDE[..., None], board, before + tint)
        made, text = match_colour(before, refined, RING, method, 0.2)
        assert text.startswith("colour matched")
        assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0
        assert float((made - refined)[0][INSIDE].abs().max()) > 0.03
