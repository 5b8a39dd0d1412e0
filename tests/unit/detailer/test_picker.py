"""Thumbnails of what a picker had to choose from."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.core import SEG
from mask_detailer.detailer import picker
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


def test_what_is_known_of_nodes() -> None:
    candidates = Candidates()
    for node_id, count in (("1", 2), ("12:5", 1), ("3", 0)):
        candidates.keep(node_id, ((4, 6), [seg(4, 6)] * count), torch.rand(1, 4, 6, 3))
    assert [candidates.count(node_id) for node_id in ("1", "12:5", "3", "4")] == [2, 1, 0, None]
    assert candidates.png("1", 2) is candidates.png("1", -1) is candidates.png("4", 0) is None


@pytest.mark.parametrize(("given", "wanted"), [(0.876, 0.88), (np.array([0.5], np.float32), 0.5), (math.nan, None)])
def test_what_they_are_called(given: Any, wanted: float | None) -> None:
    candidates = Candidates()
    one = seg(4, 6)._replace(label="a" * 5000, confidence=given)
    candidates.keep("7", ((4, 6), [one, one._replace(label=None)]), None)
    found = candidates.of("7")
    assert found is not None and candidates.of("8") is None
    assert [(each.label, each.confidence) for each in found] == [
        ("a" * picker.MOST_LETTERS_SHOWN, wanted),
        ("", wanted),
    ]


def kept(candidates: Candidates, node_id: str, count: int, workflow: str | None = None, side: int = 4) -> None:
    candidates.keep(node_id, ((side, side), [seg(side, side)] * count), None, workflow)


def test_another_workflow_with_a_node_of_the_same_id() -> None:
    candidates = Candidates()
    kept(candidates, "7", 1, "a")
    kept(candidates, "7", 2, "b")
    assert [candidates.count("7", workflow) for workflow in ("a", "b", "c", None)] == [1, 2, None, 2]
    kept(candidates, "7", 3)  # by a script that names no workflow
    assert [candidates.count("7", workflow) for workflow in ("a", "b", "c", None)] == [1, 2, 3, 3]
    kept(candidates, "7", 4, "a")
    assert [candidates.count("7", workflow) for workflow in ("a", "b", "c", None)] == [4, 2, 3, 4]
    assert candidates.png("7", 3, "a") is not None and candidates.png("7", 3, "b") is None


def test_its_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picker, "MOST_BYTES", 3 * 40 * 40 * 4)
    candidates = Candidates()
    for node_id in ("1", "2", "3"):
        kept(candidates, node_id, 2, side=40)
    assert [candidates.count(node_id) for node_id in ("1", "2", "3")] == [None, 2, 2]
    kept(candidates, "4", 16, side=40)  # made smaller
    assert [candidates.count(node_id) for node_id in ("2", "3", "4")] == [None, None, 16]
    assert shown(candidates, "4", 0).shape == (picker.SHORTEST_SIDE, picker.SHORTEST_SIDE, 3)
    kept(candidates, "5", 1, side=40)
    assert shown(candidates, "5", 0).shape == (40, 40, 3)


def test_ids_nodes_and_segments_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = Candidates()
    kept(candidates, "7" * 1000, 1)
    kept(candidates, "7", 1, "w" * 1000)
    assert candidates.count("7" * 1000) is candidates.count("7") is None
    monkeypatch.setattr(picker, "MOST_SEGMENTS", 5)
    kept(candidates, "0", 9)
    assert candidates.count("0") == 5
    for number in range(picker.MOST_NODES + 1):
        kept(candidates, str(number), 0)
    assert candidates.count("0") is None and candidates.count("1") == 0
