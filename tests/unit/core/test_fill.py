"""What the model is shown under the mask."""

from __future__ import annotations

import pytest
import torch
from mask_detailer.core.fill import FILLS, filled
from unit.parts import LEVEL, disc, scenery

FILLED = [how for how in FILLS if how != "original"]


@pytest.mark.parametrize("how", FILLED)
@pytest.mark.parametrize("size", [(90, 110), (300, 420)])
def test_fills_change_what_is_under_the_mask_only(how: str, size: tuple[int, int]) -> None:
    image, mask = scenery(*size, seed=1), disc(*size, 30)
    kept = image.clone()
    made = filled(image, mask, how, seed=4)
    hole = mask[0] > 0
    assert torch.equal(made[0][~hole], image[0][~hole]) and torch.equal(image, kept)
    assert float((made - image)[0][hole].abs().mean()) > 0.01
    assert float(made.min()) >= 0 and float(made.max()) <= 1
    assert torch.equal(filled(image, mask, how, seed=4), made)
    assert torch.equal(filled(image, mask, how, seed=5), made) == (how != "noise")


@pytest.mark.parametrize("how", FILLED)
def test_a_soft_mask_mixes(how: str) -> None:
    image, hard = scenery(64, 64, seed=2), disc(64, 64, 20)
    whole, half = filled(image, hard, how), filled(image, hard * 0.5, how)
    assert float((half - (image + whole) / 2).abs().max()) < 1e-6


@pytest.mark.parametrize("how", ["blurred", "diffused"])
def test_fills_from_outside_go_on_with_a_flat_surrounding(how: str) -> None:
    image = torch.full((1, 300, 310, 3), 0.3)
    mask = disc(300, 310, 80)
    image[0][mask[0] > 0] = 0.9
    image[..., 2] *= 0.5
    wanted = torch.tensor([0.3, 0.3, 0.15])
    assert float((filled(image, mask, how) - wanted).abs().max()) < LEVEL


@pytest.mark.parametrize("how", ["blurred", "diffused"])
def test_fills_from_outside_follow_what_is_near(how: str) -> None:
    """Left dark and right bright: so is the hole."""
    image = torch.full((1, 100, 100, 3), 0.2)
    image[:, :, 50:] = 0.8
    made = filled(image, disc(100, 100, 30), how)
    assert float(made[0, 50, 25].mean()) < 0.35 < 0.65 < float(made[0, 50, 75].mean())


@pytest.mark.parametrize("how", ["blurred", "diffused"])
@pytest.mark.parametrize("known", [1, 3, 12])
def test_a_fill_of_hardly_any_known_pixels_ends(how: str, known: int) -> None:
    """Fewer than a thousandth of the crop: no blur ever sees enough of them."""
    image, mask = torch.full((1, 144, 144, 3), 0.9), torch.ones(1, 144, 144)
    image[:, 0, :known], mask[:, 0, :known] = torch.tensor([0.2, 0.4, 0.6]), 0.0
    made = filled(image, mask, how)
    assert float((made - torch.tensor([0.2, 0.4, 0.6])).abs().max()) < LEVEL


def test_neutral_is_middle_grey_and_noise_is_like_the_surroundings() -> None:
    image, mask = scenery(200, 200, seed=3, low=0.3, high=0.7), disc(200, 200, 70)
    hole = mask[0] > 0
    assert (filled(image, mask, "neutral")[0][hole] == 0.5).all()
    made, around = filled(image, mask, "noise")[0][hole], image[0][~hole]
    assert (made.mean(dim=0) - around.mean(dim=0)).abs().max() < 0.01
    assert (made.std(dim=0) - around.std(dim=0)).abs().max() < 0.01


@pytest.mark.parametrize("how", FILLS)
def test_nothing_to_fill_and_nothing_around(how: str) -> None:
    image = scenery(40, 50)
    assert filled(image, torch.zeros(1, 40, 50), how) is image
    assert bool(torch.isfinite(filled(image, torch.ones(1, 40, 50), how)).all())
    assert filled(image, disc(20, 25, 5), how).shape == image.shape  # a mask of another size is fitted


def test_an_unknown_fill_is_named_with_the_choices() -> None:
    for mask in (torch.ones(1, 20, 30), torch.zeros(1, 20, 30)):
        with pytest.raises(ValueError, match="'smear' is no fill; it must be one of original, neutral, blurred, diff"):
            filled(torch.rand(1, 20, 30, 3), mask, "smear")


def test_the_fills_there_are() -> None:
    assert FILLS == ("original", "neutral", "blurred", "diffused", "noise")
