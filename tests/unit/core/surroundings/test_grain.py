"""Grain and sharpness given back."""

from __future__ import annotations

import pytest
import scipy.ndimage
import torch
from mask_detailer.core.surroundings.grain import match_detail
from mask_detailer.core.surroundings.ring import ring_of
from unit.parts import LEVEL, disc, scenery

SIZE = (160, 180)
MASK = disc(*SIZE, 50)
RING = ring_of(MASK)


def fine_energy(image: torch.Tensor) -> float:
    """Standard deviation inside the mask of the brightness less its 3x3 mean."""
    grey = image[0].mean(dim=-1).double().numpy()
    return float((grey - scipy.ndimage.uniform_filter(grey, 3))[MASK[0].numpy() > 0].std())


def blurred(image: torch.Tensor, sigma: float) -> torch.Tensor:
    return torch.from_numpy(scipy.ndimage.gaussian_filter(image.numpy(), (0, sigma, sigma, 0)))


@pytest.mark.parametrize("fault", ["no grain", "softer", "sharper", "more noise"])
def test_detail_comes_nearer(fault: str) -> None:
    smooth = scenery(*SIZE, seed=4, low=0.3, high=0.7)
    grain = 0.02 * torch.randn(1, *SIZE, 1, generator=torch.Generator().manual_seed(6))
    before = smooth + grain
    refined = {
        "no grain": smooth,
        "softer": blurred(before, 0.6),
        "sharper": before + 0.8 * (before - blurred(before, 1.0)),
        "more noise": before + 0.02 * torch.randn(before.shape, generator=torch.Generator().manual_seed(7)),
    }[fault]
    made, text = match_detail(before, refined, RING, 1)
    was, given, now = (fine_energy(image) for image in (before, refined, made))
    assert abs(now - was) < 0.4 * abs(given - was)
    assert "detail matched" in text
    assert torch.equal(made, match_detail(before, refined, RING, 1)[0])


def test_detail_that_is_right_stays() -> None:
    before = scenery(*SIZE, seed=5)
    made, _ = match_detail(before, before.clone(), RING, 1)
    assert float((made - before).abs().max()) < 0.1 * LEVEL


def test_lost_edges_are_no_grain() -> None:
    """A drawing without grain that comes out blurred: its edges get crisper, its flat parts stay flat."""
    before = torch.full((1, *SIZE, 3), 0.3)
    before[:, ::24] = 0.9
    before[:, :, ::24] = 0.1
    refined = blurred(before, 1.0)
    made, _ = match_detail(before, refined, RING, 1)
    flat = (slice(None), slice(34, 40), slice(34, 40))
    assert float(made[flat].std()) < 0.1 * LEVEL
    assert fine_energy(made) > fine_energy(refined)


def test_detail_is_limited() -> None:
    """Surroundings of pure noise in which all was lost: grain up to 0.03 a band and no more."""
    before = (0.5 + 0.3 * torch.randn(1, *SIZE, 3, generator=torch.Generator().manual_seed(8))).clamp(0, 1)
    made, _ = match_detail(before, torch.full_like(before, 0.5), RING, 1)
    assert 0.03 < float((made - 0.5).std()) < 0.06
    ring = torch.zeros((1, *SIZE), dtype=torch.bool)
    assert match_detail(before, made, ring, 1)[0] is made


def test_black_and_white_stay_within() -> None:
    """Its edges are sharpened and it gets grain, and no value leaves 0..1."""
    board = ((torch.arange(SIZE[0])[:, None] // 9 + torch.arange(SIZE[1]) // 9) % 2).float()[None, ..., None]
    before = scenery(*SIZE, seed=9) + 0.03 * torch.randn(1, *SIZE, 1, generator=torch.Generator().manual_seed(1))
    refined = torch.where(MASK[..., None] > 0, board, blurred(before, 0.8))
    made, text = match_detail(before, refined, RING, 1)
    assert text.startswith("detail matched")
    assert (float(made.min()), float(made.max())) == (0.0, 1.0)
    assert not torch.equal(made, refined)


def test_the_seed_makes_the_grain() -> None:
    smooth = scenery(*SIZE, seed=4, low=0.3, high=0.7)
    before = smooth + 0.02 * torch.randn(1, *SIZE, 1, generator=torch.Generator().manual_seed(6))
    one, other = (match_detail(before, smooth, RING, seed)[0] for seed in (1, 2))
    assert float((one - other).abs().mean()) > 0.5 * LEVEL
