"""Mask to SEGS and the mask blur: how they grow, beside the least work that could be done."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from mask_detailer.core import blur_mask, mask_to_segs
from mask_detailer.core.masks import BLUR_SIGMA, gaussian
from tables import Row, best_of, milliseconds, times

PICTURE = (2160, 3840)
RUNS = 7


def discs(count: int) -> torch.Tensor:
    """``count`` (a square) discs on an even grid over a 4K mask ``[1,H,W]``."""
    side = round(count**0.5)
    height, width = PICTURE
    radius = min(120, int(height / side * 0.4))
    mask = np.zeros(PICTURE, np.float32)
    for row in range(side):
        for column in range(side):
            centre = (int((column + 0.5) * width / side), int((row + 0.5) * height / side))
            cv2.circle(mask, centre, radius, 1.0, cv2.FILLED)
    return torch.from_numpy(mask)[None]


def bare_work(mask: torch.Tensor) -> None:
    """What no way of doing it can do without: a mask of bytes, and its outlines."""
    cv2.findContours((mask[0].numpy() * 255).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)


def direct_blur(mask: torch.Tensor, feather: int) -> torch.Tensor:
    """The blur as one two-dimensional convolution, the way it was done before."""
    line = torch.from_numpy(gaussian(2 * feather + 1, BLUR_SIGMA)).float()
    padded = torch.nn.functional.pad(mask[None], (feather,) * 4, mode="reflect")
    return torch.nn.functional.conv2d(padded, torch.outer(line, line)[None, None])[0]


def rows() -> Iterator[Row]:
    first = None
    for count in (16, 400, 1600):
        mask = discs(count)
        bare = best_of(RUNS, lambda mask=mask: bare_work(mask))
        ours = best_of(RUNS, lambda mask=mask: mask_to_segs(mask, False, 3.0, False, 10))
        first = first or ours
        beside = f"bytes and outlines alone {milliseconds(bare)}"
        ratio = f"{times(ours / bare)}; {times(ours / first)} 16 regions"
        yield Row("mask to SEGS, 3840x2160", f"{count} regions", milliseconds(ours), beside, ratio)
    mask = torch.rand(1, 2048, 2048)
    for feather in (5, 20, 100):
        ours = best_of(3, lambda feather=feather: blur_mask(mask, feather))
        strip = mask[:, :448] if feather == 100 else mask  # the direct one costs the same for every row
        share = strip.shape[1] / mask.shape[1]
        direct = best_of(1, lambda feather=feather, strip=strip: direct_blur(strip, feather)) / share
        beside = f"direct convolution {milliseconds(direct)}"
        yield Row("mask blur, 2048x2048", f"feather {feather}", milliseconds(ours), beside, f"1/{direct / ours:.0f}")
