"""Regions' weights: 1 inside, a straight line over the overlap, never more than 1 together."""

from __future__ import annotations

import pytest
import torch
from mask_detailer.core import Size
from mask_detailer.detailer.regional.weights import region_weights


def mask_of(height: int, width: int, *boxes: tuple[int, int, int, int]) -> torch.Tensor:
    mask = torch.zeros(1, height, width)
    for x1, y1, x2, y2 in boxes:
        mask[0, y1:y2, x1:x2] = 1.0
    return mask


@pytest.mark.parametrize("overlap", [0, 1])
def test_without_overlap_it_is_the_mask(overlap: int) -> None:
    mask = mask_of(40, 60, (8, 8, 24, 32))
    [weight] = region_weights([mask], overlap, Size(40, 60))
    assert torch.equal(weight, mask[0])


@pytest.mark.parametrize(("overlap", "before", "after"), [(2, 0, 0), (10, 4, 4), (11, 5, 5), (3, 1, 1)])
def test_it_fades_beyond_the_mask(overlap: int, before: int, after: int) -> None:
    """As far on both axes, whatever the mask's shape; never further than the mask grown by the overlap."""
    mask = mask_of(40, 60, (20, 15, 40, 25))
    [weight] = region_weights([mask], overlap, Size(40, 60))
    rows, columns = (weight > 0).any(dim=1).nonzero(), (weight > 0).any(dim=0).nonzero()
    assert (int(columns[0]), int(columns[-1])) == (20 - before, 39 + after)
    assert (int(rows[0]), int(rows[-1])) == (15 - before, 24 + after)
    assert bool((weight[mask[0] > 0] == 1).all())
    line = weight[20, 20 - before - 1 : 21]
    torch.testing.assert_close(line, torch.linspace(0, 1, before + 2))


def test_a_region_at_the_border_is_whole_there() -> None:
    [weight] = region_weights([mask_of(40, 60, (0, 0, 20, 40))], 10, Size(40, 60))
    assert bool((weight[:, :20] == 1).all()) and bool((weight[:, 24:] == 0).all())


def test_masks_are_cut_at_a_half() -> None:
    mask = torch.tensor([0.0, 0.5, 0.51, 1.0]).repeat(1, 4, 1)
    [weight] = region_weights([mask], 0, Size(4, 4))
    assert weight[0].tolist() == [0, 0, 1, 1]


def test_regions_that_overlap_share() -> None:
    left, right = mask_of(40, 60, (0, 0, 40, 40)), mask_of(20, 30, (10, 0, 30, 20))  # of another size
    one, other = region_weights([left, right], 0, Size(5, 15))
    assert one[0].tolist() == [1] * 5 + [0.5] * 5 + [0] * 5
    assert other[0].tolist() == [0] * 5 + [0.5] * 5 + [1] * 5


def test_a_cell_in_part_counts_in_part() -> None:
    [weight] = region_weights([mask_of(16, 16, (0, 0, 12, 16))], 0, Size(2, 2))
    assert weight.tolist() == [[1, 0.5], [1, 0.5]]


def test_frames_are_united_and_a_huge_overlap_ends() -> None:
    frames = torch.cat([mask_of(40, 60, (0, 0, 8, 40)), mask_of(40, 60, (52, 0, 60, 40))])
    [weight] = region_weights([frames], 0, Size(40, 60))
    assert weight[0, [0, 30, 59]].tolist() == [1, 0, 1]
    [weight] = region_weights([frames], 10000, Size(5, 8))
    assert bool((weight > 0.99).all())
    assert region_weights([], 10, Size(4, 4)) == []
