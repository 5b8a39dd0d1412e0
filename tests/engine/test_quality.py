"""The trained tiny model on held-out scenes: bounds that a loss in resampling, masks or blending breaks.

Each bound was tried against its fault: see the numbers beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support import quality
from support.quality import CHECKPOINT, Quality, measure

CASES = {"face": 0, "lettering": 1, "emblem": 3}
LARGEST_FILE = 16_000_000


@pytest.fixture(scope="module")
def models() -> tuple[Any, Any]:
    return quality.load_models()


@pytest.fixture(scope="module", params=CASES)
def measured(request: pytest.FixtureRequest, models: tuple[Any, Any]) -> Iterator[Quality]:
    with torch.inference_mode():
        yield measure(models, CASES[request.param])


def test_file() -> None:
    assert CHECKPOINT.stat().st_size <= LARGEST_FILE


def test_closer_to_the_truth(measured: Quality) -> None:
    assert measured.similarity > measured.similarity_before + 0.08


def test_as_sharp_as_the_truth(measured: Quality) -> None:
    assert 0.85 < measured.sharpness < 1.2
    assert measured.sharpness > measured.sharpness_before


def test_no_seam(measured: Quality) -> None:
    assert measured.seam < 1.3 * measured.seam_of_truth


def test_fades_beyond_the_edge(measured: Quality) -> None:
    """0 where the feather is dropped."""
    assert measured.fade > 0.2


def test_stays_in_float(measured: Quality) -> None:
    """Under 0.1 where the refined crop goes through 8 bit."""
    assert measured.fine > 0.7


def test_nothing_changes_outside(measured: Quality) -> None:
    assert measured.outside == 0.0


def test_the_vae_keeps_colours(measured: Quality) -> None:
    """A just noticeable difference is about 2.3."""
    assert measured.colour < 2.3
