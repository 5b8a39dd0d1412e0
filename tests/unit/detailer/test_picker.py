"""Thumbnails of what a picker had to choose from."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.core import SEG
from mask_detailer.detailer.picker import Candidates
from PIL import Image


def seg(height: int, width: int, mask: Any = None, image: Any = None) -> SEG:
    mask = torch.ones(height, width).numpy() if mask is None else mask
    return SEG(image, mask, 1.0, [0, 0, width, height], [0, 0, width, height], "A", None)


def shown(candidates: Candidates, node_id: str, index: int) -> np.ndarray:
    png = candidates.png(node_id, index)
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)))


def test_what_lies_outside_the_mask_is_dimmed() -> None:
    mask = np.zeros((4, 6), np.float32)
    mask[:, 3:] = 1.0
    candidates = Candidates()
    candidates.keep("7", ((4, 6), [seg(4, 6, mask)]), torch.full((1, 4, 6, 3), 0.8))
    pixels = shown(candidates, "7", 0)
    assert pixels.shape == (4, 6, 3)
    assert (pixels[:, :3] == 61).all() and (pixels[:, 3:] == 204).all()  # 0.8 * 0.3 and 0.8 of 255


def test_a_segments_own_image_comes_first_and_black_last() -> None:
    candidates = Candidates()
    own = np.full((1, 4, 6, 3), 0.4, np.float32)
    candidates.keep("7", ((4, 6), [seg(4, 6, image=own), seg(4, 6)]), None)
    assert (shown(candidates, "7", 0) == 102).all()
    assert (shown(candidates, "7", 1) == 0).all()


@pytest.mark.parametrize(
    ("size", "wanted"), [((512, 100), (512, 100)), ((1024, 100), (512, 50)), ((4, 1000), (2, 512))]
)
def test_no_side_is_long(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    candidates = Candidates()
    candidates.keep("7", (size, [seg(*size)]), torch.rand(1, *size, 3))
    assert shown(candidates, "7", 0).shape[:2] == wanted


def test_nodes_are_known_until_a_prompt_lacks_them() -> None:
    candidates = Candidates()
    for node_id, count in (("1", 2), ("12:5", 1), ("3", 0)):
        candidates.keep(node_id, ((4, 6), [seg(4, 6)] * count), torch.rand(1, 4, 6, 3))
    assert [candidates.count(node_id) for node_id in ("1", "12:5", "3", "4")] == [2, 1, 0, None]
    assert candidates.png("1", 2) is candidates.png("1", -1) is candidates.png("4", 0) is None
    candidates.forget_all_but(["12:5", "9"])
    assert [candidates.count(node_id) for node_id in ("1", "12:5", "3")] == [None, 1, None]
