"""Pictures and masks with which corrections of a crop are tried."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.ndimage
import torch

LEVEL = 1 / 255


def scenery(height: int, width: int, seed: int = 0, low: float = 0.1, high: float = 0.85) -> torch.Tensor:
    """A picture ``[1,h,w,3]`` with coarse and fine structure in all colours, within low..high."""
    return low + (high - low) * _structure(height, width, seed)


@lru_cache
def _structure(height: int, width: int, seed: int) -> torch.Tensor:
    source = np.random.default_rng(seed)
    planes = [
        sum(
            weight * scipy.ndimage.gaussian_filter(source.standard_normal((height, width)), sigma) * sigma
            for sigma, weight in ((1.0, 0.4), (3.0, 1.0), (12.0, 1.0), (30.0, 1.0))
        )
        for _ in range(3)
    ]
    image = np.stack(planes, axis=-1)
    return torch.from_numpy(((image - image.min()) / (image.max() - image.min())).astype(np.float32))[None]


def disc(height: int, width: int, radius: float) -> torch.Tensor:
    """A hard disc in the middle, ``[1,h,w]``."""
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    return (x**2 + y**2 <= radius**2).to(torch.float32)[None]
