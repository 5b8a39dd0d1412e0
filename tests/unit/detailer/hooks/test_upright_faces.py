"""Where a face lies in a crop that was shown in quarter turns, and where its mask's middle is."""

from __future__ import annotations

import pytest
import torch
from mask_detailer.core import Size
from mask_detailer.detailer.hooks.upright_faces import _middle, quarter_turned_back

SIZE = Size(5, 8)


@pytest.mark.parametrize("quarters", range(-1, 5))
@pytest.mark.parametrize(("x", "y"), [(0, 0), (6, 1), (7, 4)])
def test_back_from_quarter_turns(quarters: int, x: int, y: int) -> None:
    """A pixel's middle is found again where torch has turned it to."""
    picture = torch.zeros(SIZE)
    picture[y, x] = 1.0
    turned_y, turned_x = torch.rot90(picture, quarters).nonzero()[0].tolist()
    assert quarter_turned_back((turned_x + 0.5, turned_y + 0.5), quarters, SIZE) == (x + 0.5, y + 0.5)


@pytest.mark.parametrize("mask", [None, torch.zeros(1, 5, 8)])
def test_middle_where_nothing_is_masked(mask: torch.Tensor | None) -> None:
    assert _middle(SIZE, mask) == (4.0, 2.5)


@pytest.mark.parametrize("shape", [(1, 10, 16), (1, 1, 10, 16), (3, 10, 16)])
def test_middle_of_a_mask_of_another_size(shape: tuple[int, ...]) -> None:
    mask = torch.zeros(shape)
    mask[..., 2:4, 10:16] = 1.0
    assert _middle(SIZE, mask) == pytest.approx((6.5, 1.5))
