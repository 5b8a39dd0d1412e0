"""Tiles over a latent: they cover it, overlap, and their weights sum to 1."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Size
from mask_detailer.detailer.samplers.grid import STRATEGIES, TileGrid


@given(
    strategy=st.sampled_from(sorted(STRATEGIES)),
    cells=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    tile=st.tuples(st.integers(5, 64), st.integers(5, 64)),
    seed=st.integers(0, 2**64 - 1),
)
def test_weights_sum_to_1(strategy: str, cells: tuple[int, int], tile: tuple[int, int], seed: int) -> None:
    size = Size(*cells)
    for grid in TileGrid(tile[1] * 8, tile[0] * 8, strategy).over(size, seed):
        total = torch.zeros(*size)
        for laid in grid:
            assert laid.region.inside(size) and laid.weight.shape == laid.region.size
            assert laid.region.height == min(tile[0], size.height) and laid.region.width == min(tile[1], size.width)
            assert float(laid.weight.min()) >= 0.0
            rows, columns = laid.region.slices
            total[rows, columns] += laid.weight
        torch.testing.assert_close(total, torch.ones(*size))


@pytest.mark.parametrize(("strategy", "shared"), [("padded", 16), ("simple", 8)])
def test_tiles_overlap(strategy: str, shared: int) -> None:
    [grid] = TileGrid(512, 512, strategy).over(Size(64, 512), 7)
    spans = [(laid.region.x1, laid.region.x2) for laid in grid]
    assert spans[0][0] == 0 and spans[-1][1] == 512
    assert all(before[1] - after[0] >= shared - 1 for before, after in pairwise(spans))


def test_what_fits_is_one_tile() -> None:
    for strategy in STRATEGIES:
        [[laid]] = TileGrid(512, 320, strategy).over(Size(40, 64), 7)
        assert laid.region.size == (40, 64) and bool((laid.weight == 1).all())


def test_random_grids_take_turns_and_are_the_seed_s() -> None:
    tiles = TileGrid(512, 512, "random")
    grids = tiles.over(Size(200, 200), 7)
    places = [[laid.region for laid in grid] for grid in grids]
    assert len(grids) == 4 and places[0] != places[1]
    assert places == [[laid.region for laid in grid] for grid in tiles.over(Size(200, 200), 7)]
    assert places != [[laid.region for laid in grid] for grid in tiles.over(Size(200, 200), 8)]


def test_another_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="'spiral' is no tiling strategy"):
        TileGrid(512, 512, "spiral").over(Size(200, 200), 7)
