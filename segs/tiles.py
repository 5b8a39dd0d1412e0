"""A picture in overlapping tiles, as SEGS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import torch

from ..core import SEG, SEGS, Region, Size, bbox, dilate_mask, header_size, mask_to_segs, resize_mask
from ..core.tables import chosen
from .convert import to_combined_mask

FAST_CANVAS, CANVAS = 128, 512  # sides on which an irregular mask is drawn
# By mode: the side, and whether one mask serves all tiles.
_MODES = {
    "Reuse fast": (FAST_CANVAS, True),
    "Reuse quality": (CANVAS, True),
    "All random fast": (CANVAS, False),
    "All random quality": (CANVAS, False),
}
IRREGULAR_MODES = tuple(_MODES)
LEAST_RIM, LEAST_RADIUS = 6, 5  # in pixels of that canvas


@dataclass(frozen=True)
class Tiling:
    """How to tile.

    Attributes:
        side: of a square tile in pixels; smaller where the area is.
        overlap: least overlap of neighbours in pixels; never more than half a tile.
        crop_factor: sides of the crop region over those of the tile.
        irregularity: 0 for square masks, up to 1 for masks with ever rougher rims.
        mode: one of ``IRREGULAR_MODES``: one rough mask for all tiles, or one for each.
        dilation: pixels by which the masks to stay in, or out of, are grown (or shrunk).
    """

    side: int
    overlap: int = 5
    crop_factor: float = 3.0
    irregularity: float = 0.0
    mode: str = IRREGULAR_MODES[0]
    dilation: int = 0


def make_tiles(size: Size, tiling: Tiling, inside: SEGS | None = None, outside: SEGS | None = None) -> SEGS:
    """Tiles over a picture of ``size``, row by row, left to right.

    Args:
        inside: tile only what these masks cover. No segments cover nothing; no known size counts as None.
        outside: leave out what these masks cover.

    Returns:
        SEGS of confidence 1 and an empty label, without images. The tiles of a whole picture cover each of its pixels.
        A tile whose mask is empty is left out. The same call always gives the same masks.

    Raises:
        ValueError: for another mode.
    """
    chosen(_MODES, tiling.mode, "mode of irregular tiles")
    header = (size.height, size.width)
    inner, outer = (_area_mask(segs, size, tiling.dilation) for segs in (inside, outside))
    area = Region.whole(size)
    if inner is not None:
        covered = mask_to_segs(inner, True, 1.0, False)[1]
        if not covered:
            return header, []
        area = bbox(covered[0])
    tiling = _fitted(_with_rim(tiling), area)
    segs: list[SEG] = []
    for tile, shape in zip(_tiles(area, size, tiling), _shapes(tiling), strict=False):
        region = tile.grown(tiling.crop_factor, size)
        mask = _tile_mask(tile, region, shape)
        if outer is not None:
            mask[outer[region.slices] != 0] = 0.0
        if inner is not None:
            mask[inner[region.slices] == 0] = 0.0
        if mask.any():
            segs.append(SEG(None, mask, 1.0, region.as_list(), tile.as_tuple(), ""))
    return header, segs


def _area_mask(segs: SEGS | None, size: Size, dilation: int) -> np.ndarray | None:
    """The masks of ``segs`` in one, ``[H,W]``, grown; None where there is nothing to say."""
    if segs is None or 0 in header_size(segs):
        return None
    return dilate_mask(resize_mask(to_combined_mask(segs), size), dilation)[0].numpy()


def _with_rim(tiling: Tiling) -> Tiling:
    """The tiling with room around each tile for its rough rim."""
    overlap = min(tiling.overlap, tiling.side // 2)
    rim = _rim(tiling) if tiling.irregularity > 0 else 0
    return replace(tiling, side=tiling.side + 2 * rim, overlap=overlap + rim)


def _canvas_side(tiling: Tiling) -> int:
    return _MODES[tiling.mode][0]


def _rim(tiling: Tiling) -> int:
    return max(LEAST_RIM, int(_canvas_side(tiling) * tiling.irregularity / 4))


def _fitted(tiling: Tiling, area: Region) -> Tiling:
    side = min(tiling.side, area.width, area.height)
    return replace(tiling, side=side, overlap=min(tiling.overlap, side // 2))


def _tiles(area: Region, size: Size, tiling: Tiling) -> Iterator[Region]:
    columns = list(_starts(area.x1, area.width, size.width, tiling))
    for y in _starts(area.y1, area.height, size.height, tiling):
        for x in columns:
            yield Region(x, y, x + tiling.side, y + tiling.side)


def _starts(first: int, length: int, limit: int, tiling: Tiling) -> Iterator[int]:
    """Where the tiles along one axis begin, ascending, none twice: evenly spread over ``length`` from ``first`` on."""
    side = tiling.side
    count = -(-length // (side - tiling.overlap))
    shared = (side * count - length) // (count - 1) if count > 1 else 0
    if shared == side:
        count = 1
    last = -1
    for index in range(count):
        start = first + index * (side - shared)
        # one pixel short of the border, the last of several tiles is taken up to it
        if start + side > limit or (start + side == limit - 1 and shared and 0 < index == count - 1):
            start = limit - side
        if start != last:
            yield start
        last = start


def _shapes(tiling: Tiling) -> Iterator[np.ndarray]:
    """For each tile what its mask looks like, ``[side,side]``."""
    if tiling.irregularity <= 0:
        return repeat(np.ones((tiling.side, tiling.side), np.float32))
    draw = _rough_masks(tiling)
    if _MODES[tiling.mode][1]:
        return repeat(draw())
    return (draw() for _ in repeat(None))


def _rough_masks(tiling: Tiling) -> Callable[[], np.ndarray]:
    """A maker of masks ``[side,side]`` with rims of overlapping discs, every time the same ones in the same order."""
    random = np.random.default_rng(0)
    side, rim = _canvas_side(tiling), _rim(tiling)
    rows, columns = np.ogrid[:side, :side]

    def draw() -> np.ndarray:
        canvas = np.zeros((side, side), np.float32)
        canvas[rim : side - rim, rim : side - rim] = 1.0
        for edge in (rim, side - rim):
            for across in (False, True):
                place = rim
                while place < side - rim:
                    radius = int(random.integers(LEAST_RADIUS, rim))
                    y, x = (edge, place) if across else (place, edge)
                    near = (slice(max(y - radius, 0), y + radius + 1), slice(max(x - radius, 0), x + radius + 1))
                    disc = (rows[near[0]] - y) ** 2 + (columns[:, near[1]] - x) ** 2 <= radius**2
                    canvas[near][disc] = 1.0
                    place += radius
        return resize_mask(torch.from_numpy(canvas)[None], Size(tiling.side, tiling.side))[0].numpy()

    return draw


def _tile_mask(tile: Region, region: Region, shape: np.ndarray) -> np.ndarray:
    """The tile's mask within its crop; along a border that both share nothing fades out."""
    mask = np.zeros(region.size, np.float32)
    visible = tile.intersection(region)  # a crop can end a pixel before its tile
    part = mask[visible.relative_to(region).slices]
    part[:] = shape[visible.relative_to(tile).slices]
    band = tile.width // 8
    if band:
        if tile.x1 <= region.x1:
            part[:, :band] = 1.0
        if tile.y1 <= region.y1:
            part[:band] = 1.0
        if tile.x2 >= region.x2:
            part[:, -band:] = 1.0
        if tile.y2 >= region.y2:
            part[-band:] = 1.0
    return mask
