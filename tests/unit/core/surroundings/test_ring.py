"""The ring, and the blur that only sees what is inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core.surroundings.ring import LEAST, MARGIN, blurred_within, ring_of, too_small
from unit.parts import disc


def box(x1: int, y1: int, x2: int, y2: int, value: float = 1.0) -> torch.Tensor:
    mask = torch.zeros(1, 60, 80)
    mask[:, y1:y2, x1:x2] = value
    return mask


def test_the_margin_is_as_wide_on_every_side() -> None:
    ring = ring_of(box(30, 25, 50, 35))
    assert ring.shape == (1, 60, 80) and ring.dtype == torch.bool
    assert torch.equal(ring, box(30 - MARGIN, 25 - MARGIN, 50 + MARGIN, 35 + MARGIN) == 0)


def test_all_masks_and_all_softness_count() -> None:
    ring = ring_of(box(10, 10, 20, 20), None, box(50, 40, 60, 50, 0.001))
    wanted = (box(6, 6, 24, 24) == 0) & (box(46, 36, 64, 54) == 0)
    assert torch.equal(ring, wanted)


def test_each_frame_has_its_own() -> None:
    """In the second the margin would leave too little."""
    small, large = box(30, 25, 50, 35), box(0, 0, 80, 56)
    ring = ring_of(torch.cat([small, large]))
    assert torch.equal(ring[:1], ring_of(small))
    assert int((~(large > 0)).sum()) == 320 >= LEAST and torch.equal(ring[1:], large == 0)
    both = ring_of(torch.cat([small, large]), box(5, 5, 9, 9))
    assert torch.equal(both, ring_of(torch.cat([small, large]), box(5, 5, 9, 9).expand(2, -1, -1)))


def test_too_small() -> None:
    ring = torch.zeros(1, 40, 40, dtype=torch.bool)
    ring.view(-1)[: LEAST - 1] = True
    assert too_small(ring) == "its surroundings are too small (255 of at least 256 unmasked pixels)"
    ring.view(-1)[LEAST - 1] = True
    assert too_small(ring) is None


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_a_blur_within_sees_nothing_outside(sigma: float) -> None:
    values = np.full((40, 50, 3), 0.4, np.float32)
    inside = np.zeros((40, 50), np.float32)
    inside[:, :20] = 1.0
    values[:, 20:] = 9.0
    blurred, reached = blurred_within(values, inside, sigma)
    assert np.abs(blurred[reached] - 0.4).max() < 1e-3
    assert reached[:, :20].all() and not reached[:, -5:].any()


def test_the_ring_keeps_away_from_the_masks() -> None:
    ring = ring_of(disc(160, 170, 50), None, disc(160, 170, 60))
    y, x = np.nonzero(ring[0].numpy())
    distance = np.hypot(y - 79.5, x - 84.5)
    assert 64 <= distance.min() < 66
    tight = torch.ones(1, 30, 30)
    tight[:, :, :9] = 0.0  # 270 pixels; 150 with the margin
    assert int(ring_of(tight).sum()) == 270


@pytest.mark.parametrize(("columns", "kept"), [(12, 8), (11, 11)])
def test_just_enough_with_the_margin(columns: int, kept: int) -> None:
    """32 rows: with 8 columns left there are 256 pixels; with 7 the margin is left out."""
    mask = torch.ones(1, 32, 40)
    mask[:, :, :columns] = 0.0
    ring = ring_of(mask)
    assert ring[:, :, :kept].all() and int(ring.sum()) == 32 * kept
