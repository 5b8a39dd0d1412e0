"""How a latent is laid out with tiles that overlap, and how much each counts in each cell."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ...core import Region, Size
from ...core.tables import chosen

RANDOM_GRIDS = 4


@dataclass(frozen=True)
class Strategy:
    """How far tiles overlap, as a share of their side, and how many grids take turns from step to step."""

    overlap: float
    grids: int = 1


STRATEGIES = {
    "random": Strategy(0.25, RANDOM_GRIDS),
    "padded": Strategy(0.25),
    "simple": Strategy(0.125),
}


@dataclass(frozen=True)
class Laid:
    """A tile's place, in cells, and its weight in each of them ``[h,w]``: those of all tiles of a grid sum to 1."""

    region: Region
    weight: torch.Tensor


Grid = list[Laid]


@dataclass(frozen=True)
class TileGrid:
    """Tiles as a node's widgets say them.

    Attributes:
        width, height: of a tile in pixels.
        strategy: one of ``STRATEGIES``. In all tiles overlap and are blended; ``random`` moves them from step to
            step.
        cell: pixels of a latent cell's side.
    """

    width: int
    height: int
    strategy: str
    cell: int = 8

    def over(self, cells: Size, seed: int) -> list[Grid]:
        """The grids that take turns over a latent of that size; of one tile each where it fits into one.

        Args:
            seed: of what ``random`` draws.
        """
        strategy = chosen(STRATEGIES, self.strategy, "tiling strategy")
        tile = Size(max(self.height // self.cell, 1), max(self.width // self.cell, 1))
        draw = random.Random(seed)
        move = draw.uniform if strategy.grids > 1 else None
        made = []
        for _ in range(strategy.grids):
            rows = _spans(cells.height, tile.height, strategy.overlap, move)
            columns = _spans(cells.width, tile.width, strategy.overlap, move)
            made.append(
                [
                    Laid(Region(x1, y1, x2, y2), down[:, None] * across[None])
                    for (y1, y2), down in _weighted(cells.height, rows)
                    for (x1, x2), across in _weighted(cells.width, columns)
                ]
            )
        return made[:1] if len(made[0]) == 1 else made


Span = tuple[int, int]


def _spans(length: int, tile: int, overlap: float, move: Callable[[float, float], float] | None) -> list[Span]:
    """Tiles along a line, the first at its begin and the last at its end, evenly spread.

    With ``move`` those between are moved by up to a quarter of the overlap.
    """
    if length <= tile:
        return [(0, length)]
    shared = min(int(tile * overlap), tile - 1)
    count = -(-(length - shared) // (tile - shared))
    starts = [index * (length - tile) / (count - 1) for index in range(count)]
    if move is not None:
        starts[1:-1] = [start + move(-shared / 4, shared / 4) for start in starts[1:-1]]
    return [(round(start), round(start) + tile) for start in starts]


def _weighted(length: int, spans: list[Span]) -> list[tuple[Span, torch.Tensor]]:
    """Each tile's weights: they fall in straight lines where tiles overlap, and sum to 1 in each cell."""
    places = torch.arange(length, dtype=torch.float64) + 0.5
    shares = []
    for start, end in spans:
        left = places - start if start > 0 else torch.full_like(places, float(length))
        right = end - places if end < length else torch.full_like(places, float(length))
        shares.append(torch.minimum(left, right).clamp(min=0.0))
    # a tile's rise is as long as what it shares with the tile before; beyond that it is alone
    total = torch.stack(shares).sum(dim=0)
    return [(span, (share / total)[slice(*span)].float()) for span, share in zip(spans, shares, strict=True)]
