"""Growing and shrinking masks, blurs of any width, and pictures of several sizes in one batch."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from mask_detailer.core import blur_mask, dilate_mask, joined
from unit import oracles


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


def test_pictures_of_one_size_are_joined_in_order() -> None:
    first, second = torch.rand(2, 9, 11, 3), torch.rand(1, 9, 11, 3)
    assert torch.equal(joined([first, second]), torch.cat([first, second]))
    assert joined([first]) is first


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((40, 60), (slice(0, 40), slice(0, 60))),
        ((40, 100), (slice(0, 40), slice(20, 80))),
        ((100, 60), (slice(30, 70), slice(0, 60))),
        ((41, 62), (slice(0, 41), slice(0, 62))),  # too near the aspect for a whole pixel
        ((10, 90), (slice(0, 10), slice(38, 52))),  # 7.5 is half of 15: 37.5 is rounded to even
    ],
)
def test_other_sizes_keep_their_middle(size: tuple[int, int], kept: tuple[slice, slice]) -> None:
    other = np.random.default_rng(sum(size)).random((1, *size, 3), np.float32)
    batch = joined([torch.zeros(1, 20, 30, 3), torch.from_numpy(other)])
    assert batch.shape == (2, 20, 30, 3)
    wanted = np.clip(oracles.pillow_lanczos(other[0][kept], 20, 30), 0.0, 1.0)
    assert np.abs(batch[1].numpy() - wanted).max() < 1e-5
    assert not batch[0].any()


@pytest.mark.parametrize(("first", "second"), [((1, 900), (900, 1)), ((900, 1), (1, 900)), ((1, 1), (7, 300))])
def test_extreme_shapes_keep_a_pixel(first: tuple[int, int], second: tuple[int, int]) -> None:
    batch = joined([torch.zeros(1, *first, 1), torch.ones(1, *second, 1)])
    assert batch.shape == (2, *first, 1)
    assert (batch[1] - 1).abs().max() < 1e-6


def test_joining_keeps_values_within_bounds_and_inputs_as_they_are() -> None:
    hard = (torch.rand(1, 33, 47, 3, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    kept = hard.clone()
    batch = joined([torch.zeros(1, 70, 90, 3), hard])
    assert batch.min() >= 0.0 and batch.max() <= 1.0
    assert torch.equal(hard, kept)
