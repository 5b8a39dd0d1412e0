"""Banded matrices against dense ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core.banded import Band, along_height, along_width
from mask_detailer.core.resample import lanczos_band


def dense(band: Band) -> np.ndarray:
    matrix = np.zeros((band.outputs, band.inputs))
    for row, (weights, start) in enumerate(zip(band.weights, band.starts, strict=True)):
        matrix[row, start : start + len(weights)] = weights
    return matrix


@pytest.mark.parametrize(("inputs", "outputs"), [(90, 200), (200, 90), (63, 64), (64, 65), (130, 129), (7, 1), (1, 9)])
def test_block_by_block_is_the_whole_matrix(inputs: int, outputs: int) -> None:
    band = lanczos_band(inputs, outputs)
    assert (np.diff(band.starts) >= 0).all() and band.starts[-1] + band.weights.shape[1] <= inputs
    planes = torch.rand(2, inputs, 5, dtype=torch.float64)
    wanted = dense(band) @ planes.numpy()
    assert np.abs(along_height(planes, band).numpy() - wanted).max() < 1e-12
    assert np.abs(along_width(planes.mT.contiguous(), band).mT.numpy() - wanted).max() < 1e-12
    covered = np.zeros(outputs)
    for rows, _, _ in band.blocks(planes):
        covered[rows] += 1
    assert (covered == 1).all()


def test_bytes() -> None:
    band = Band(np.ones((10, 4)), np.zeros(10, np.int64), 20)
    assert band.nbytes == 10 * 4 * 8 + 10 * 8
