"""What goes in and comes out of a crop: mirrored borders, fills, grain, faults of a decode, the denoise by size."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Region, Size
from mask_detailer.core.decoded import fault_of
from mask_detailer.core.fill import FILLS, filled
from mask_detailer.core.reflect import cut_mirrored, inside_picture, moved_mask
from mask_detailer.core.surroundings.grain import match_detail
from mask_detailer.core.surroundings.ring import ring_of
from mask_detailer.detailer.options import DenoiseOptions, DetailOptions
from unit.parts import LEVEL, disc, scenery

# ------------------------------------------------------------------------------------------------ mirrored borders


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 25),
    st.integers(1, 25),
)  # fmt: skip
def test_mirrored_as_numpy_pads(height: int, width: int, x: int, y: int, w: int, h: int) -> None:
    image = torch.arange(height * width * 2, dtype=torch.float32).reshape(1, height, width, 2)
    padded = np.pad(image[0].numpy(), [(50, 50), (50, 50), (0, 0)], mode="reflect")
    cut = cut_mirrored(image, Region(x, y, x + w, y + h))
    assert np.array_equal(cut[0].numpy(), padded[50 + y : 50 + y + h, 50 + x : 50 + x + w])


def test_a_mask_moved_to_another_region_and_back() -> None:
    mask = torch.rand(1, 20, 30) + 0.1
    old, new = Region(10, 5, 40, 25), Region(-3, 0, 50, 40)
    moved = moved_mask(mask, old, new)
    assert moved.shape == (1, 40, 53)
    assert moved.sum() == pytest.approx(float(mask.sum()), rel=1e-6)
    assert torch.equal(moved_mask(moved, new, old), mask)
    assert not moved_mask(mask, old, Region(100, 100, 110, 110)).any()


def test_what_of_a_mirrored_crop_lies_in_the_picture() -> None:
    picture = torch.rand(1, 30, 40, 3)
    region = Region(-8, 10, 20, 36)
    inside, (rows, columns) = inside_picture(region, Size(30, 40))
    assert inside == Region(0, 10, 20, 30)
    crop = cut_mirrored(picture, region)
    assert torch.equal(crop[:, rows, columns], picture[:, inside.slices[0], inside.slices[1]])


# ------------------------------------------------------------------------------------------------ fills

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


# ------------------------------------------------------------------------------------------------ grain

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


# ------------------------------------------------------------------------------------------------ decode and denoise


def test_faults_of_a_decode() -> None:
    good = scenery(30, 40)
    assert fault_of(good, good) is None
    for bad in (float("nan"), float("inf")):
        broken = good.clone()
        broken[0, 3, 4, 1] = bad
        assert fault_of(broken, good) == "not finite"
    black = torch.full_like(good, 1 / 255)
    assert fault_of(black, good) == "flat black"
    assert fault_of(black, good, flat_too=False) is None
    assert fault_of(black, black.clone()) is None  # it was black


@pytest.mark.parametrize(
    ("side", "wanted"), [(1, 0.6), (100, 0.6), (256, 0.6), (512, 0.6 / 2**0.5), (1024, 0.3), (3000, 0.3)]
)
def test_denoise_by_size(side: int, wanted: float) -> None:
    assert DenoiseOptions("less_for_larger", 256).denoise(0.6, side**2) == pytest.approx(wanted)
    assert DenoiseOptions().denoise(0.6, side**2) == 0.6


@given(st.floats(0.01, 1), st.integers(0, 10**7), st.integers(0, 10**7))
def test_denoise_never_rises_with_size(denoise: float, one: int, other: int) -> None:
    options = DenoiseOptions("less_for_larger")
    small, large = sorted([one, other])
    assert options.denoise(denoise, small) >= options.denoise(denoise, large) >= denoise / 2 - 1e-12


def test_defaults_turn_nothing() -> None:
    options = DetailOptions()
    assert (options.colour.match, options.blend.method, options.blend.grow, options.blend.ramp) == (
        "off", "feather", 0, "gaussian",
    )  # fmt: skip
    assert (options.fill, options.size.mode, options.drift, options.detail) == ("original", "guide_size", "off", "off")
    assert (options.denoise.by_size, options.retries, options.tiling) == ("off", 0, "auto")
