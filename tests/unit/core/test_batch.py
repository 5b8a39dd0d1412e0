"""Pictures of several sizes in one batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core import joined
from unit import oracles


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
