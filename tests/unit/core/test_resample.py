"""Lanczos resampling, held against Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core import Size, from_working_size, resample, to_working_size
from support import kernels
from unit import oracles

SIZES = [
    ((37, 53), (91, 131)),
    ((91, 131), (37, 53)),
    ((64, 64), (512, 384)),
    ((333, 211), (64, 97)),
    ((17, 19), (17, 64)),  # one side stays
    ((17, 19), (64, 19)),
    ((50, 40), (20, 90)),  # one side shrinks, the other grows
    ((1, 1), (7, 5)),
    ((1, 30), (12, 11)),
    ((30, 1), (11, 12)),
    ((2, 3), (100, 101)),
    ((100, 101), (2, 3)),
    ((45, 67), (1, 1)),
    ((29, 31), (29, 31)),
    ((127, 255), (128, 256)),
    ((400, 300), (399, 301)),
    ((5, 700), (11, 33)),
]


def picture(
    height: int, width: int, batch: int = 1, channels: int = 3, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    source = torch.Generator().manual_seed(height * 1000 + width)
    return torch.rand(batch, height, width, channels, generator=source, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_equals_pillow(old: tuple[int, int], new: tuple[int, int]) -> None:
    image = picture(*old)
    expected = oracles.pillow_lanczos(image[0].numpy(), *new)
    assert np.abs(resample(image, Size(*new))[0].numpy() - expected).max() < 1e-5


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_shape_and_a_constant_stays(old: tuple[int, int], new: tuple[int, int]) -> None:
    out = resample(torch.full((2, *old, 4), 0.7), Size(*new))
    assert out.shape == (2, *new, 4)
    assert (out - 0.7).abs().max() < 1e-6


@pytest.mark.parametrize(("old", "new"), [((37, 53), (91, 131)), ((91, 130), (36, 53)), ((40, 41), (41, 40))])
def test_mirrors_commute(old: tuple[int, int], new: tuple[int, int]) -> None:
    image = picture(*old, dtype=torch.float64)
    straight = resample(image, Size(*new))
    for axis in (1, 2):
        mirrored = resample(image.flip(axis), Size(*new)).flip(axis)
        assert (straight - mirrored).abs().max() < 1e-12
    turned = resample(image.transpose(1, 2), Size(new[1], new[0])).transpose(1, 2)
    assert (straight - turned).abs().max() < 1e-12


def test_same_size_is_the_same_picture_in_other_memory() -> None:
    image = picture(20, 30)
    out = resample(image, Size(20, 30))
    assert torch.equal(out, image)
    out.zero_()
    assert image.max() > 0


@pytest.mark.parametrize("new", [(20, 30), (20, 45), (50, 30), (50, 45), (7, 9)])
@pytest.mark.parametrize("channels", [1, 3])
def test_input_and_output_share_nothing(new: tuple[int, int], channels: int) -> None:
    image = picture(20, 30, channels=channels)
    kept = image.clone()
    resample(image, Size(*new)).fill_(9.0)
    assert torch.equal(image, kept)


@pytest.mark.parametrize("new", [(41, 77), (9, 12), (20, 77)])
def test_a_batch_item_is_what_it_is_alone(new: tuple[int, int]) -> None:
    batch = picture(20, 30, batch=5)
    together = resample(batch, Size(*new))
    for index in range(len(batch)):
        assert torch.equal(together[index : index + 1], resample(batch[index : index + 1], Size(*new)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("new", [(41, 77), (9, 12)])
def test_dtypes_stay(dtype: torch.dtype, tolerance: float, new: tuple[int, int]) -> None:
    image = picture(20, 30)
    out = resample(image.to(dtype), Size(*new))
    assert out.dtype == dtype
    assert (out.to(torch.float32) - resample(image, Size(*new))).abs().max() < tolerance


def test_double_precision_is_kept() -> None:
    image = 1000.0 + picture(20, 30, dtype=torch.float64) * 1e-6
    out = resample(image, Size(41, 77))
    assert (out - 1000.0).std() > 1e-7


@pytest.mark.parametrize("new", [(41, 77), (9, 12), (40, 30)])
def test_memory_layout_does_not_matter(new: tuple[int, int]) -> None:
    large = picture(60, 80, channels=4)
    views = [
        large[:, 5:45, 10:40, :3],
        large[:, ::2, ::3],
        large.transpose(1, 2),
        large.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        picture(40, 30, channels=1).expand(3, 40, 30, 3),
    ]
    for view in views:
        assert torch.equal(resample(view, Size(*new)), resample(view.contiguous(), Size(*new)))


def test_values_of_any_range() -> None:
    image = picture(20, 30, dtype=torch.float64) * 500.0 - 250.0
    out = resample(image, Size(33, 21))
    assert torch.allclose(out, resample(image / 500.0, Size(33, 21)) * 500.0, atol=1e-9)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (1, 1, 20, 30, 3)])
def test_other_ranks_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[B,H,W,C\]"):
        resample(torch.zeros(shape), Size(10, 10))


def centroid(image: torch.Tensor) -> np.ndarray:
    """The middle of a picture's mass, in shares of its height and width."""
    plane = image[0, ..., 0].to(torch.float64).numpy()
    rows, columns = np.indices(plane.shape) + 0.5
    mass = plane.sum()
    return np.array([(rows * plane).sum() / mass / plane.shape[0], (columns * plane).sum() / mass / plane.shape[1]])


@pytest.mark.parametrize("middle", [(32.0, 40.0), (29.3, 43.8), (20.5, 51.25)])
@pytest.mark.parametrize("factor", [2, 3, 2.5, 0.5])
def test_nothing_moves(middle: tuple[float, float], factor: float) -> None:
    height, width = 64, 80
    rows, columns = np.indices((height, width)) + 0.5
    blob = np.exp(-((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2) / (2 * 3.0**2))
    image = torch.from_numpy(blob)[None, ..., None]
    enlarged = resample(image, Size(int(height * factor), int(width * factor)))
    moved = (centroid(enlarged) - centroid(image)) * (height, width)
    assert np.abs(moved).max() < 0.02
    back = resample(enlarged, Size(height, width))
    assert np.abs((centroid(back) - centroid(image)) * (height, width)).max() < 0.02


def board(side: int, height: int, width: int) -> torch.Tensor:
    """Squares of black and white, hard, over the full range."""
    rows, columns = torch.arange(height)[:, None] // side, torch.arange(width) // side
    return ((rows + columns) % 2).float()[None, ..., None].expand(-1, -1, -1, 3).contiguous()


@pytest.mark.parametrize("side", [5, 8, 13])
@pytest.mark.parametrize("factor", [0.5, 2.0, 2.7])
def test_hard_edges_ring_and_the_clamp_takes_it_off(side: int, factor: float) -> None:
    """Black and white are reached again, and nothing but the ringing is changed."""
    image = board(side, 104, 130)
    new = Size(int(104 * factor), int(130 * factor))
    made = resample(image, new)
    assert -0.3 < float(made.min()) < -0.01 and 1.01 < float(made.max()) < 1.3
    clamped = made.clamp(0.0, 1.0)
    assert (float(clamped.min()), float(clamped.max())) == (0.0, 1.0)
    wanted = oracles.pillow_lanczos(image[0].numpy(), *new)
    assert np.abs(made[0].numpy() - wanted).max() < 1e-5


@pytest.mark.parametrize("side", [16, 20])
def test_a_board_there_and_back(side: int) -> None:
    """Enlarged, clamped and shrunk: the squares are black and white to a whisker, but for their corners."""
    image = board(side, 160, 160)
    back = resample(resample(image, Size(400, 400)).clamp(0.0, 1.0), Size(160, 160)).clamp(0.0, 1.0)
    assert float((back - image).abs().max()) < 0.2 and float((back - image).abs().mean()) < 0.03
    middles = (slice(None), slice(side // 2, None, side), slice(side // 2, None, side))
    assert float((back - image)[middles].abs().max()) < 2e-3


@pytest.mark.parametrize(("small", "large"), [(32, 128), (150, 210), (7, 512), (300, 301)])
def test_crops_there_and_back_equal_whole_matrices(small: int, large: int) -> None:
    """The enlarging kernel is solved for in blocks, and weights below a thousandth are left out."""
    image = np.random.default_rng(small).random((small, small, 2)).astype(np.float32)
    there, back = kernels.enlarging(small, large), kernels.shrinking(large, small)
    enlarged = kernels.resized(image, there, there)
    made = to_working_size(torch.from_numpy(image)[None], Size(large, large))
    assert np.abs(made[0].numpy() - enlarged).max() < 2e-3
    again = from_working_size(torch.from_numpy(enlarged)[None], Size(small, small))[0]
    torch.testing.assert_close(again, torch.from_numpy(kernels.resized(enlarged, back, back)), atol=1e-9, rtol=0)


def test_the_other_way_crops_are_resampled_as_pictures_are() -> None:
    image = torch.rand(1, 40, 30, 3)
    assert torch.equal(to_working_size(image, Size(20, 15)), resample(image, Size(20, 15)))
    assert torch.equal(from_working_size(image, Size(80, 60)), resample(image, Size(80, 60)))


def test_a_pass_keeps_as_much_grain_as_before() -> None:
    grain = torch.rand(1, 100, 100, 1, generator=torch.Generator().manual_seed(1))
    once = from_working_size(to_working_size(grain, Size(230, 230)), Size(100, 100))
    lanczos = resample(resample(grain, Size(230, 230)), Size(100, 100))
    assert float(once.std()) >= float(lanczos.std())
