"""Masks of every rank, the blur, growing and shrinking."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from mask_detailer.core import Region, Size, as_mask_batch, blur_mask, covered_region, dilate_mask, resize_mask
from mask_detailer.core.masks import RAMPS, blur_kernel_size
from unit import oracles


@pytest.mark.parametrize(
    ("shape", "frames"),
    [
        ((5, 7), 1),
        ((1, 5, 7), 1),
        ((3, 5, 7), 3),
        ((1, 1, 5, 7), 1),
        ((1, 3, 5, 7), 3),
        ((3, 1, 5, 7), 3),
        ((5, 7, 1), 1),
        ((1, 5, 7, 1), 1),
        ((3, 5, 7, 1), 3),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8, np.bool_])
def test_masks_of_every_rank(shape: tuple[int, ...], frames: int, dtype: type) -> None:
    array = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    for mask in (array, torch.from_numpy(array)):
        batch = as_mask_batch(mask)
        assert batch.shape == (frames, 5, 7)
        assert batch.dtype == torch.float32
        assert np.array_equal(batch.numpy().ravel(), array.ravel().astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "size", "made"),
    [
        ((3, 5, 1), None, (1, 3, 5)),
        ((3, 5, 1), Size(5, 1), (3, 5, 1)),
        ((3, 5, 1), Size(3, 5), (1, 3, 5)),
        ((3, 5, 1), Size(9, 9), (1, 3, 5)),
        ((1, 5, 1), None, (1, 5, 1)),
        ((1, 5, 1), Size(1, 5), (1, 1, 5)),
        ((5, 1, 1), None, (5, 1, 1)),
        ((2, 5, 1, 1), Size(5, 1), (2, 5, 1)),
        ((1, 3, 5, 1), Size(5, 1), (3, 5, 1)),
        ((3, 1, 5, 1), None, (3, 5, 1)),
        ((1, 2, 7, 3), None, (2, 7, 3)),
        ((1, 1, 7, 3), None, (1, 7, 3)),
    ],
)
def test_forms_that_could_be_either(shape: tuple[int, ...], size: Size | None, made: tuple[int, ...]) -> None:
    assert as_mask_batch(torch.zeros(shape), size).shape == made


@pytest.mark.parametrize("shape", [(7,), (2, 3, 5, 7), (1, 1, 1, 5, 7), (1, 5, 7, 3), (2, 5, 7, 3), (1, 64, 72, 4)])
def test_other_ranks_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a mask is"):
        as_mask_batch(torch.zeros(shape))


def test_a_mirrored_array_is_a_mask() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(as_mask_batch(array[::-1, ::-1])[0].numpy(), array[::-1, ::-1])


def test_resizing_is_bilinear_with_half_pixel_centres() -> None:
    mask = torch.tensor([[[0.0, 1.0]]])
    assert torch.allclose(resize_mask(mask, Size(1, 4)), torch.tensor([[[0.0, 0.25, 0.75, 1.0]]]))
    assert resize_mask(mask, Size(3, 2)).shape == (1, 3, 2)
    assert resize_mask(mask, Size(1, 2)) is mask


@pytest.mark.parametrize(
    ("shorter", "feather", "kernel"),
    [
        (20, 10, 11),
        (21, 10, 11),
        (22, 10, 21),
        (500, 100, 201),
        (201, 100, 101),
        (202, 100, 201),
        (64, 5, 11),
        (11, 5, 5),
        (10, 5, 5),
        (12, 5, 11),
        (5, 10, 3),
        (4, 10, 3),
        (6, 10, 3),
        (8, 10, 5),
        (3, 10, 0),
        (2, 10, 0),
        (1, 10, 0),
        (3, 1, 0),
        (4, 1, 3),
        (64, 0, 0),
        (64, -3, 0),
    ],
)
def test_kernel_size(shorter: int, feather: int, kernel: int) -> None:
    assert blur_kernel_size(Size(shorter, shorter + 40), feather) == kernel
    assert blur_kernel_size(Size(shorter + 40, shorter), feather) == kernel


@pytest.mark.parametrize(
    ("height", "width", "feather", "kernel"),
    [
        (40, 57, 1, 3),
        (40, 57, 5, 11),
        (64, 100, 20, 41),
        (130, 61, 30, 31),  # the shorter side is not larger than 61: half of it, made odd
        (43, 62, 20, 41),
        (22, 22, 10, 21),
        (20, 21, 10, 11),
        (5, 90, 10, 3),
        (300, 41, 15, 31),
    ],
)
def test_blur_equals_a_convolution_in_two_dimensions(height: int, width: int, feather: int, kernel: int) -> None:
    source = np.random.default_rng(height * width)
    soft = source.random((height, width), np.float32)
    hard = (source.random((height, width)) > 0.7).astype(np.float32)
    out = blur_mask(torch.from_numpy(np.stack([soft, hard])), feather)
    assert out.shape == (2, height, width)
    for frame, mask in zip(out.numpy(), (soft, hard), strict=True):
        assert np.abs(frame - oracles.blurred(mask, kernel)).max() < 1e-6


@pytest.mark.parametrize(
    ("size", "feather"), [((1, 50), 10), ((2, 50), 10), ((50, 3), 10), ((50, 50), 0), ((50, 50), -4)]
)
def test_nothing_to_blur_is_the_same_object(size: tuple[int, int], feather: int) -> None:
    mask = torch.rand(1, *size)
    assert blur_mask(mask, feather) is mask


def test_blur_never_writes_into_its_input() -> None:
    mask = torch.rand(1, 50, 60)
    kept = mask.clone()
    blur_mask(mask, 7).fill_(5.0)
    assert torch.equal(mask, kept)


@pytest.mark.parametrize("feather", [3, 10, 25])
def test_an_edge_becomes_a_symmetric_ramp_no_wider_than_feather(feather: int) -> None:
    mask = torch.zeros(1, 90, 120)
    mask[..., 60:] = 1.0
    out = blur_mask(mask, feather)
    line = out[0, 45]
    assert (line.diff() >= -1e-6).all()
    assert (line[60 - feather : 60 + feather].diff() > 0).all()
    assert torch.equal(line[: 60 - feather], torch.zeros(60 - feather))
    assert (line[60 + feather :] > 1 - 1e-6).all()
    assert line[60 - feather] > 0 and line[59 + feather] < 1 - 1e-6
    assert (line + line.flip(0) - 1).abs().max() < 1e-6
    for axis in (1, 2):
        assert (blur_mask(mask.flip(axis), feather).flip(axis) - out).abs().max() < 1e-6
    assert (blur_mask(mask.mT, feather).mT - out).abs().max() < 1e-6


def test_blur_stays_within_0_and_1() -> None:
    full = blur_mask(torch.ones(2, 77, 93), 20)
    assert full.max() <= 1.0 and full.min() > 1 - 1e-6
    assert torch.equal(blur_mask(torch.zeros(1, 77, 93), 20), torch.zeros(1, 77, 93))
    hard = (torch.rand(1, 150, 150, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    out = blur_mask(hard, 30)
    assert out.min() >= 0.0 and out.max() <= 1.0


def test_blur_of_one_pixel_reaches_a_square_of_feather() -> None:
    mask = torch.zeros(1, 101, 101)
    mask[0, 50, 50] = 1.0
    rows, columns = torch.nonzero(blur_mask(mask, 12)[0], as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (38, 62, 38, 62)


def test_each_mask_of_a_batch_is_what_it_is_alone() -> None:
    masks = torch.rand(4, 60, 70, generator=torch.Generator().manual_seed(2))
    together = blur_mask(masks, 9)
    assert all(torch.equal(together[i : i + 1], blur_mask(masks[i : i + 1], 9)) for i in range(4))


# ------------------------------------------------------------------------------------------------ growing and shrinking


def slowly_dilated(mask: np.ndarray, dilation: int) -> np.ndarray:
    """Each pixel's square of neighbours, looked at one after another; outside the picture there are none."""
    side = abs(dilation)
    before, after = side // 2, side - 1 - side // 2
    outside = -np.inf if dilation > 0 else np.inf
    padded = np.pad(mask, ((before, after), (before, after)), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return windows.max(axis=(2, 3)) if dilation > 0 else windows.min(axis=(2, 3))


def first_and_last(mask: torch.Tensor) -> list[tuple[int, int]]:
    """The first and last row and column that are not 0."""
    return [(int(axis.min()), int(axis.max())) for axis in torch.nonzero(mask, as_tuple=True)]


@pytest.mark.parametrize(
    ("dilation", "reach"), [(2, (20, 21)), (3, (19, 21)), (10, (16, 25)), (11, (15, 25)), (0, (20, 20)), (1, (20, 20))]
)
def test_one_pixel_grows_to_a_square(dilation: int, reach: tuple[int, int]) -> None:
    mask = torch.zeros(1, 40, 50)
    mask[0, 20, 20] = 1.0
    grown = dilate_mask(mask, dilation)
    assert first_and_last(grown[0]) == [reach, reach]
    assert grown.sum() == max(dilation, 1) ** 2


@pytest.mark.parametrize(("dilation", "left"), [(-4, (7, 13)), (-3, (6, 13)), (-2, (6, 14)), (-1, (5, 14))])
def test_a_square_shrinks(dilation: int, left: tuple[int, int]) -> None:
    mask = torch.zeros(1, 30, 30)
    mask[0, 5:15, 5:15] = 1.0
    assert first_and_last(dilate_mask(mask, dilation)[0]) == [left, left]


@pytest.mark.parametrize("dilation", [2, 3, 7, 16, 45, 100, -2, -3, -7, -16, -45, -100])
def test_soft_masks_equal_the_slow_way(dilation: int) -> None:
    masks = np.random.default_rng(abs(dilation)).random((2, 31, 43), np.float32)
    changed = dilate_mask(torch.from_numpy(masks), dilation)
    assert changed.shape == (2, 31, 43) and changed.dtype == torch.float32
    for frame, mask in zip(changed.numpy(), masks, strict=True):
        assert np.array_equal(frame, slowly_dilated(mask, dilation))


@pytest.mark.parametrize("dilation", [-512, -9, -2, 0, 2, 9, 512])
def test_what_is_all_white_or_black_stays(dilation: int) -> None:
    for value in (0.0, 1.0):
        whole = torch.full((1, 20, 30), value)
        assert torch.equal(dilate_mask(whole, dilation), whole)


@pytest.mark.parametrize("dilation", [-4, -1, 0, 1, 4])
def test_dilation_never_touches_its_input(dilation: int) -> None:
    mask = torch.rand(2, 20, 30).transpose(1, 2)
    kept = mask.clone()
    dilate_mask(mask, dilation).fill_(5.0)
    assert torch.equal(mask, kept)


def test_dilation_of_a_tensor_with_a_gradient() -> None:
    mask = torch.rand(1, 20, 30)
    assert torch.equal(dilate_mask(mask.clone().requires_grad_(), 5), dilate_mask(mask, 5))


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 3.3, 10.0, 100.0])
@pytest.mark.parametrize(("reach", "kernel"), [(1, 3), (4, 9), (10, 21), (20, 21)])  # 20: half of 41, made odd
def test_blur_of_any_width(sigma: float, reach: int, kernel: int) -> None:
    mask = np.random.default_rng(reach).random((41, 60), np.float32)
    wanted = scipy.ndimage.convolve(mask.astype(np.float64), oracles.gaussian_kernel(kernel, sigma), mode="mirror")
    blurred = blur_mask(torch.from_numpy(mask)[None], reach, sigma)
    assert np.abs(blurred[0].numpy() - wanted).max() < 1e-6


# ------------------------------------------------------------------------------------------------ ramps and regions


def test_an_unknown_ramp_is_named_with_the_choices() -> None:
    for feather in (0, 5):
        with pytest.raises(ValueError, match="'steps' is no ramp; it must be one of gaussian, linear, smooth"):
            blur_mask(torch.rand(1, 40, 50), feather, ramp="steps")


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize(("height", "width", "feather"), [(24, 60, 11), (40, 41, 9), (30, 200, 14), (12, 13, 5)])
def test_ramps_near_the_ends_reflect(ramp: str, height: int, width: int, feather: int) -> None:
    """Against a convolution of the mask padded by numpy."""
    kernel = 2 * feather + 1
    weights = _weights_of(ramp, kernel)
    mask = np.random.default_rng(feather).random((height, width), np.float32)
    padded = np.pad(mask.astype(np.float64), feather, mode="reflect")
    wanted = scipy.ndimage.convolve1d(scipy.ndimage.convolve1d(padded, weights, axis=0), weights, axis=1)
    wanted = wanted[feather:-feather, feather:-feather]
    made = blur_mask(torch.from_numpy(mask)[None], feather, 6.0, ramp)[0].numpy()
    assert blur_kernel_size(Size(height, width), feather) == kernel
    assert np.abs(made - wanted).max() < 1e-6


def _weights_of(ramp: str, kernel: int) -> np.ndarray:
    x = np.arange(kernel) - kernel // 2
    weights = {
        "gaussian": np.exp(-(x**2) / 72.0),
        "linear": np.ones(kernel),
        "smooth": 1 + np.cos(2 * np.pi * x / (kernel + 1)),
    }[ramp]
    return weights / weights.sum()


@pytest.mark.parametrize(
    ("box", "wanted"),
    [((3, 4, 10, 6), (3, 4, 10, 6)), ((0, 0, 50, 40), (0, 0, 50, 40)), ((49, 39, 50, 40), (49, 39, 50, 40))],
)
def test_covered_region(box: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    mask = torch.zeros(1, 40, 50)
    mask[0][Region(*box).slices] = 1e-6
    assert covered_region(mask) == Region(*wanted)
    assert covered_region(torch.zeros(1, 40, 50)) == Region(0, 0, 0, 0)


@pytest.mark.parametrize("size", [Size(12, 113), Size(7, 1000), Size(500, 3)])
def test_a_resized_mask_has_no_values_beyond_its_own(size: Size) -> None:
    """Weights that sum to 1 but for rounding made 1.0000001 of a mask of ones, and pictures brighter than white."""
    for value in (1.0, 0.7, 0.0):
        resized = resize_mask(torch.full((2, 13, 259), value), size)
        assert bool((resized == value).all())
    assert bool(resize_mask(torch.full((1, 4, 4), torch.nan), Size(5, 5)).isnan().all())
