"""Faults of a decoded crop."""

from __future__ import annotations

import pytest
import torch
from mask_detailer.core.decoded import FLAT, fault_of
from unit.parts import scenery


def test_faults_of_a_decode() -> None:
    good = scenery(30, 40)
    assert fault_of(good, good) is None
    for bad in (float("nan"), float("inf")):
        broken = good.clone()
        broken[0, 3, 4, 1] = bad
        assert fault_of(broken, good) == "not finite"
    black = torch.full_like(good, 1 / 255)
    assert fault_of(black, good) == "flat black"
    assert fault_of(black, good, flat_too=False) is None
    assert fault_of(black, black.clone()) is None  # it was black


def test_just_flat_and_just_not() -> None:
    good = torch.full((1, 9, 9, 3), 0.5)
    almost = torch.zeros(1, 9, 9, 3)
    almost[0, 4, 4, 1] = 2.001 / 255
    assert fault_of(almost, good) is None
    almost[0, 4, 4, 1] = 1.999 / 255
    assert fault_of(almost, good) == "flat black"
    assert fault_of(torch.zeros(1, 9, 9, 3), torch.full((1, 5, 5, 3), 1.999 / 255)) is None
    assert pytest.approx(2 / 255) == FLAT


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_one_bad_frame_makes_the_crop_bad(bad: int) -> None:
    good = torch.full((3, 9, 9, 3), 0.5)
    broken, black = good.clone(), good.clone()
    broken[bad, 3, 3, 0] = float("nan")
    black[bad] = 0.0
    assert fault_of(broken, good) == "not finite"
    assert fault_of(black, good) == fault_of(black, good[:1]) == "flat black"
    was_dark = good.clone()
    was_dark[bad] = 0.0
    assert fault_of(black, was_dark) is None
    assert fault_of(black, good, flat_too=False) is None
