"""Separable linear filters (resampling, blur) as banded matrices, applied in dense blocks.

A separable filter turns each line of a picture into another line by a matrix whose rows hold a few weights around
the diagonal. Cutting the rows into blocks, each with the short span of input it reads, makes every block a small dense
matrix product: BLAS does the work, on any device, and no step depends on the filter's kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Band:
    """A banded matrix ``[outputs, inputs]``: row ``i`` holds ``weights[i]`` from column ``starts[i]`` on.

    Guaranteed: ``starts`` never falls, and every row lies within the matrix.
    """

    weights: np.ndarray
    starts: np.ndarray
    inputs: int

    @property
    def outputs(self) -> int:
        return len(self.weights)

    @property
    def nbytes(self) -> int:
        return self.weights.nbytes + self.starts.nbytes

    def block(self, first: int, last: int) -> tuple[slice, np.ndarray]:
        """Rows ``first..last-1`` as a dense matrix, with the span of input columns it reads."""
        taps = self.weights.shape[1]
        low, high = int(self.starts[first]), int(self.starts[last - 1]) + taps
        dense = np.zeros((last - first, high - low))
        columns = (self.starts[first:last] - low)[:, None] + np.arange(taps)
        np.put_along_axis(dense, columns, self.weights[first:last], axis=1)
        return slice(low, high), dense

    def blocks(self, like: torch.Tensor) -> Iterator[tuple[slice, slice, torch.Tensor]]:
        """(rows, columns, dense matrix on ``like``'s device and dtype), together the whole matrix.

        A block is about as high as its band is wide, so that half of each product is weights and half zeros, but
        never so low that the calls cost more than the arithmetic.
        """
        taps = self.weights.shape[1]
        height = max(64, int(taps * self.outputs / self.inputs))
        for first in range(0, self.outputs, height):
            last = min(first + height, self.outputs)
            columns, dense = self.block(first, last)
            yield slice(first, last), columns, torch.from_numpy(dense).to(like.device, like.dtype)


def along_height(planes: torch.Tensor, band: Band) -> torch.Tensor:
    """Filter the last but one axis: ``[N, band.inputs, W]`` -> a new ``[N, band.outputs, W]``."""
    out = planes.new_empty(planes.shape[0], band.outputs, planes.shape[2])
    for rows, columns, dense in band.blocks(planes):
        for plane, filtered in zip(planes, out, strict=True):
            torch.mm(dense, plane[columns], out=filtered[rows])
    return out


def along_width(planes: torch.Tensor, band: Band) -> torch.Tensor:
    """Filter the last axis: ``[N, H, band.inputs]`` -> a new ``[N, H, band.outputs]``."""
    return along_height(planes.mT.contiguous(), band).mT
