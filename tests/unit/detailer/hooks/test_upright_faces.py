"""Where a crop's mask has its middle."""

from __future__ import annotations

import pytest
import torch
from mask_detailer.core import Size
from mask_detailer.detailer.hooks.upright_faces import _middle

SIZE = Size(5, 8)


@pytest.mark.parametrize("mask", [None, torch.zeros(1, 5, 8)])
def test_middle_where_nothing_is_masked(mask: torch.Tensor | None) -> None:
    assert _middle(SIZE, mask) == (4.0, 2.5)


@pytest.mark.parametrize("shape", [(1, 10, 16), (1, 1, 10, 16), (3, 10, 16)])
def test_middle_of_a_mask_of_another_size(shape: tuple[int, ...]) -> None:
    mask = torch.zeros(shape)
    mask[..., 2:4, 10:16] = 1.0
    assert _middle(SIZE, mask) == pytest.approx((6.5, 1.5))
