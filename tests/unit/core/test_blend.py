"""The blends: against a direct solver, planted tints, closed forms; and outside of the paste mask, nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_detailer.core import Region, Size, blur_mask, dilate_mask, paste_
from mask_detailer.core.blend import BLENDS, _depth, _screened_membrane, paste_mask, paste_reach, seamless
from mask_detailer.core.masks import RAMPS
from unit.parts import LEVEL, disc, scenery

PICTURE = Size(400, 420)
REGION = Region(100, 90, 320, 300)
TINT = 0.05
FEATHER = 5


def pasted(picture: torch.Tensor, refined: torch.Tensor, alpha: torch.Tensor, method: str, width: int) -> torch.Tensor:
    out = picture.clone()
    before = out[:, REGION.slices[0], REGION.slices[1]]
    size = Size(*picture.shape[1:3])
    paste_(out, seamless(before, refined, alpha, method, width, REGION.open_sides(size)), alpha, REGION)
    return out


def seam_jump(change: np.ndarray, mask: np.ndarray) -> float:
    """Mean step of a change between the neighbours on both sides of the mask's edge."""
    down = np.abs(np.diff(change, axis=0))[mask[1:] != mask[:-1]]
    across = np.abs(np.diff(change, axis=1))[mask[:, 1:] != mask[:, :-1]]
    return float(np.concatenate([down, across]).mean())


def tinted(method: str, width: int, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The change ``[h,w]`` over the region after pasting a crop with a tint, and the paste mask."""
    picture = scenery(*PICTURE, seed=1)
    alpha = paste_mask(mask, FEATHER)
    refined = picture[:, REGION.slices[0], REGION.slices[1]] + TINT
    out = pasted(picture, refined, alpha, method, width)
    return (out - picture)[0, REGION.slices[0], REGION.slices[1]].mean(dim=-1), alpha


@pytest.mark.parametrize("width", [24, 28, 31])
@pytest.mark.parametrize("method", ["multiband", "gradient"])
def test_half_the_seam_and_no_halo(method: str, width: int) -> None:
    mask = disc(REGION.height, REGION.width, 95)
    change, alpha = tinted(method, width, mask)
    feathered, _ = tinted("feather", width, mask)
    edge = mask[0].numpy() > 0.5
    assert seam_jump(change.numpy(), edge) <= 0.5 * seam_jump(feathered.numpy(), edge)
    assert torch.equal(change[alpha[0] == 0], torch.zeros_like(change[alpha[0] == 0]))
    depth = 95 - torch.from_numpy(
        np.hypot(*np.indices(mask.shape[1:]) - (np.array(mask.shape[1:])[:, None, None] - 1) / 2)
    )
    deep = depth >= 3 * width
    assert float((change - TINT)[deep].abs().max()) <= LEVEL


def test_without_a_width_the_gradient_takes_all_of_a_tint_off() -> None:
    change, _ = tinted("gradient", 0, disc(REGION.height, REGION.width, 60))
    assert float(change.abs().max()) < 0.05 * LEVEL


def test_without_a_width_multiband_is_the_feather() -> None:
    mask = disc(REGION.height, REGION.width, 60)
    assert torch.equal(tinted("multiband", 0, mask)[0], tinted("feather", 0, mask)[0])


@pytest.mark.parametrize("method", ["multiband", "gradient"])
def test_fine_detail_comes_in_whole(method: str) -> None:
    """What is new and finer than a few pixels is there from the edge's soft pixels on."""
    picture = torch.full((1, *PICTURE, 3), 0.5)
    mask = disc(REGION.height, REGION.width, 60)
    alpha = paste_mask(mask, FEATHER)
    checks = 0.1 * ((torch.arange(REGION.height)[:, None] + torch.arange(REGION.width)) % 2 * 2 - 1)
    refined = (0.5 + checks)[None, ..., None].expand(-1, -1, -1, 3)
    out = pasted(picture, refined, alpha, method, 32)[0, REGION.slices[0], REGION.slices[1], 0]
    inside = alpha[0] > 0.999
    assert float((out - refined[0, ..., 0])[inside].abs().max()) < 0.03


SHAPES = ["disc", "holes", "sliver", "corner", "rectangle", "two parts", "soft"]


def shape(name: str, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, height, width)
    if name in ("disc", "holes"):
        mask = disc(height, width, 0.4 * min(height, width))
        if name == "holes":
            mask[:, ::9, ::7] = 0.0
    elif name == "sliver":
        mask[:, height // 2 : height // 2 + 3, 8:-8] = 1.0
    elif name == "corner":
        mask[:, : height // 2, : width // 2] = 1.0
    elif name == "rectangle":
        mask[:, 10:-12, 9:-14] = 1.0
    elif name == "two parts":
        mask[:, 10:30, 10:30] = mask[:, 40:, 40:] = 1.0
    else:
        mask = torch.linspace(0, 1, width).expand(1, height, width).clone()
    return mask


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("width", [0, 20])
def test_against_a_direct_solver(name: str, width: int) -> None:
    support = shape(name, 61, 74)[0].numpy() > 0
    source = np.random.default_rng(3)
    difference = (0.05 + 0.03 * source.standard_normal((*support.shape, 3))).astype(np.float32)
    screen = 1 / width**2 if width else 0.0
    solved = _screened_membrane(difference, support, screen)
    assert np.abs(solved - direct(difference, support, screen)).max() < 0.2 * LEVEL


def direct(difference: np.ndarray, support: np.ndarray, screen: float) -> np.ndarray:
    """The five-point equations pixel by pixel, factorised by SuperLU in float64."""
    places = {tuple(place): index for index, place in enumerate(np.argwhere(support))}
    matrix = scipy.sparse.lil_matrix((len(places), len(places)))
    wanted = np.zeros((len(places), 3))
    for (y, x), index in places.items():
        matrix[index, index] = screen
        for neighbour in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= neighbour[0] < support.shape[0] and 0 <= neighbour[1] < support.shape[1]):
                continue
            matrix[index, index] += 1
            if neighbour in places:
                matrix[index, places[neighbour]] = -1
            else:
                wanted[index] += difference[neighbour]
    out = np.zeros(difference.shape)
    out[support] = scipy.sparse.linalg.spsolve(matrix.tocsc(), wanted)
    return out


def test_a_membrane_through_a_plane_is_the_plane() -> None:
    """Linear functions are harmonic, on the grid too."""
    y, x = np.mgrid[:90, :120].astype(np.float32)
    plane = np.stack([0.001 * x, 0.001 * y, 0.0005 * (x - y)], axis=-1)
    support = disc(90, 120, 40)[0].numpy() > 0
    solved = _screened_membrane(plane, support, 0.0)
    assert np.abs(solved - plane)[support].max() < 0.05 * LEVEL


@pytest.mark.parametrize("method", ["feather", "multiband", "gradient"])
@pytest.mark.parametrize("name", SHAPES)
def test_outside_stays_bit_for_bit(method: str, name: str) -> None:
    picture = scenery(*PICTURE, seed=4)
    alpha = paste_mask(shape(name, REGION.height, REGION.width), FEATHER)
    refined = scenery(REGION.height, REGION.width, seed=5)
    kept = picture.clone(), refined.clone(), alpha.clone()
    out = pasted(picture, refined, alpha, method, 16)
    untouched = torch.ones(PICTURE, dtype=torch.bool)
    untouched[REGION.slices] = alpha[0] == 0
    assert torch.equal(out[0][untouched], picture[0][untouched])
    assert bool(torch.isfinite(out).all()) and float(out.min()) >= 0 and float(out.max()) <= 1
    assert all(torch.equal(one, other) for one, other in zip(kept, (picture, refined, alpha), strict=True))


@pytest.mark.parametrize("method", ["multiband", "gradient"])
@pytest.mark.parametrize("width", [0, 16])
def test_the_same_picture_is_put_back_unchanged(method: str, width: int) -> None:
    picture = scenery(*PICTURE, seed=6)
    refined = picture[:, REGION.slices[0], REGION.slices[1]].clone()
    out = pasted(picture, refined, paste_mask(disc(210, 220, 80), FEATHER), method, width)
    assert float((out - picture).abs().max()) < 1e-6


@pytest.mark.parametrize("method", ["multiband", "gradient"])
def test_the_pictures_border_is_no_seam(method: str) -> None:
    """A mask over the picture's left edge: the tint is whole there. Over the crop's edge inside a picture: none."""
    before = torch.full((1, 120, 120, 3), 0.4)
    alpha = torch.ones(1, 120, 120)
    at_border = seamless(before, before + TINT, alpha, method, 10, Region(0, 50, 120, 170).open_sides(Size(400, 400)))
    change = (at_border - before)[0, 60, :, 0]
    assert float((change[:80] - TINT).abs().max()) < LEVEL
    assert float(change[-1]) < 0.25 * TINT
    whole = seamless(before, before + TINT, alpha, method, 10, Region(0, 0, 120, 120).open_sides(Size(120, 120)))
    assert float((whole - before - TINT).abs().max()) < 1e-6


def test_nothing_to_paste() -> None:
    refined = scenery(50, 60)
    for method in ("multiband", "gradient"):
        assert (
            seamless(
                refined * 0.5, refined, torch.zeros(1, 50, 60), method, 8, Region(0, 0, 60, 50).open_sides(PICTURE)
            )
            is refined
        )


# ------------------------------------------------------------------------------------------------ paste mask


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("feather", [1, 5, 20, 60])
def test_ramps(ramp: str, feather: int) -> None:
    """Monotone from 0 to 1, half at the edge, no wider than feather; the last two reach all of it."""
    mask = torch.zeros(1, 300, 300)
    mask[..., 150:] = 1.0
    line = paste_mask(mask, feather, ramp)[0, 150].double()
    assert (line.diff() >= -1e-6).all()
    assert (line[: 150 - feather] == 0).all() and (line[150 + feather :] > 1 - 1e-6).all()
    assert (line + line.flip(0) - 1).abs().max() < 1e-5
    place = torch.arange(-feather, feather, dtype=torch.double) + 1
    if ramp == "linear":
        wanted = (place + feather) / (2 * feather + 1)
        assert (line[150 - feather : 150 + feather] - wanted).abs().max() < 1e-5
    if ramp == "smooth":
        t = (place + feather + 0.5) / (2 * feather + 2)
        wanted = t - torch.sin(2 * math.pi * t) / (2 * math.pi)  # the integral of the raised cosine
        assert (line[150 - feather : 150 + feather] - wanted).abs().max() < 0.3 / feather


def test_the_paste_mask_is_the_blur_by_default() -> None:
    mask = torch.rand(1, 70, 80)
    for feather in (0, 5, 40):
        assert torch.equal(paste_mask(mask, feather), blur_mask(mask, feather))


@pytest.mark.parametrize("grow", [-6, -1, 1, 9])
def test_grow_moves_the_edge_by_as_many_pixels(grow: int) -> None:
    mask = torch.zeros(1, 80, 90)
    mask[:, 30:60, 20:70] = 1.0
    wanted = torch.zeros(1, 80, 90)
    wanted[:, 30 - grow : 60 + grow, 20 - grow : 70 + grow] = 1.0
    assert torch.equal(paste_mask(mask, 0, grow=grow), wanted)
    assert torch.equal(dilate_mask(mask, 1), mask)


@settings(max_examples=60)
@given(
    st.integers(0, 40), st.integers(0, 50), st.integers(1, 30), st.integers(1, 30), st.integers(0, 30),
    st.integers(-20, 20), st.sampled_from(RAMPS),
)  # fmt: skip
def test_reach(x: int, y: int, width: int, height: int, feather: int, grow: int, ramp: str) -> None:
    region = Region(7, 3, 7 + 80, 3 + 90)
    support = Region(7 + x, 3 + y, 7 + x + width, 3 + y + height)
    mask = torch.zeros(1, 90, 80)
    mask[0][support.relative_to(region).slices] = 1.0
    alpha = paste_mask(mask, feather, ramp, grow)
    outside = torch.ones(90, 80, dtype=torch.bool)
    outside[paste_reach(support, region, feather, grow).relative_to(region).slices] = False
    assert not alpha[0][outside].any()


def test_an_unknown_blend_is_named_with_the_choices() -> None:
    crop = torch.rand(1, 20, 30, 3)
    for alpha in (torch.ones(1, 20, 30), torch.zeros(1, 20, 30)):
        with pytest.raises(ValueError, match="'poisson' is no blend; it must be one of feather, multiband, gradient"):
            seamless(crop, crop, alpha, "poisson", 5, Region(0, 0, 30, 20).open_sides(Size(40, 40)))


def test_an_unknown_ramp_is_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'steps' is no ramp"):
        paste_mask(torch.ones(1, 20, 30), 4, "steps")


@pytest.mark.parametrize("method", BLENDS)
def test_blends_of_black_and_white_stay_within(method: str) -> None:
    board = ((torch.arange(60)[:, None] // 7 + torch.arange(70) // 7) % 2).float()[None, ..., None].repeat(1, 1, 1, 3)
    made = seamless(
        1 - board, board, paste_mask(disc(60, 70, 20), 4), method, 9, Region(3, 3, 73, 63).open_sides(Size(99, 99))
    )
    assert (float(made.min()), float(made.max())) == (0.0, 1.0)


@pytest.mark.parametrize("frames", [1, 3])
def test_the_paste(frames: int) -> None:
    image, patch, alpha = torch.rand(3, 30, 40, 3), torch.rand(frames, 10, 20, 3), torch.rand(frames, 10, 20)
    alpha[:, :, :5], alpha[:, :, 15:] = 0.0, 1.0
    out = image.clone()
    paste_(out, patch, alpha, Region(7, 4, 27, 14))
    inside = out[:, 4:14, 7:27]
    assert torch.equal(inside[:, :, :5], image[:, 4:14, 7:12])
    assert torch.equal(inside[:, :, 15:], patch[:, :, 15:].expand(3, -1, -1, -1))
    wanted = image[:, 4:14, 7:27].double() + alpha[..., None].double() * (
        patch.double() - image[:, 4:14, 7:27].double()
    )
    assert float((inside - wanted).abs().max()) < 1e-6
    out[:, 4:14, 7:27] = image[:, 4:14, 7:27]
    assert torch.equal(out, image)


@pytest.mark.parametrize("method", ["multiband", "gradient"])
@pytest.mark.parametrize(
    ("region", "sides"),
    [
        (Region(10, 0, 90, 60), "top"),
        (Region(10, 20, 90, 80), "bottom"),
        (Region(0, 10, 80, 70), "left"),
        (Region(40, 10, 120, 70), "right"),
    ],
)
def test_each_border_of_a_picture_that_is_not_square(method: str, region: Region, sides: str) -> None:
    """A tint over the whole crop stays whole along the picture's border, and is taken off at the three other sides."""
    before = torch.full((1, 60, 80, 3), 0.5)
    made = (
        seamless(before, before + TINT, torch.ones(1, 60, 80), method, 6, region.open_sides(Size(80, 120)))[0, ..., 0]
        - 0.5
    )
    middles = {"top": made[0, 40], "bottom": made[-1, 40], "left": made[30, 0], "right": made[30, -1]}
    for side, value in middles.items():
        assert (abs(float(value) - TINT) < LEVEL) is (side == sides), side


@pytest.mark.parametrize("offset", range(12))
def test_the_depth_of_a_mask_is_exact_wherever_it_lies_in_memory(offset: int) -> None:
    y, x = np.ogrid[:119, :133]
    support = np.frombuffer(bytearray(119 * 133 + 64), bool)[offset : offset + 119 * 133].reshape(119, 133)
    support[:] = (y - 59) ** 2 + (x - 66) ** 2 < 50**2
    wanted = scipy.ndimage.distance_transform_edt(support).astype(np.float32)
    assert np.array_equal(_depth(support), wanted)
