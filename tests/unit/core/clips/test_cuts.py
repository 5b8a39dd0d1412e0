"""Cuts on drawn clips whose cuts are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core.clips.cuts import NEVER, change, cuts, glance
from support.moving import shot
from tiny_model import scenes


def clip(case: int) -> tuple[list[torch.Tensor], set[int]]:
    """One to three shots by a moving camera; some with a flash, some that fade in; and the frames that cut."""
    rng = np.random.default_rng(case)
    frames: list[torch.Tensor] = []
    starts = set()
    for part in range(1 + case % 3):
        length = int(rng.integers(6, 12))
        starts.add(len(frames))
        seed = scenes.HELD_OUT[(case * 7 + part * 13) % 50]
        frames += shot(seed, length, rng, CHANGES[case % 3])
    return frames, starts - {0}


def flash(picture: np.ndarray, far: float) -> np.ndarray:
    return picture * 0.2 + 0.8 if 0.45 < far < 0.55 else picture


CHANGES = (lambda picture, far: picture, flash, lambda picture, far: picture * (0.3 + 0.7 * far))


@pytest.mark.parametrize("case", range(6))
def test_all_cuts_are_found_and_none_is_made_up(case: int) -> None:
    frames, wanted = clip(case)
    assert set(cuts(map(glance, frames))) == wanted


@pytest.mark.parametrize("cases", [range(12), pytest.param(range(12, 100), marks=pytest.mark.by_hand)], ids=len)
def test_on_a_hundred_clips(cases: range) -> None:
    wrong = {}
    for case in cases:
        frames, wanted = clip(case)
        found = set(cuts(map(glance, frames)))
        if found != wanted:
            wrong[case] = (wanted, found)
    assert not wrong


def noise(seed: int) -> torch.Tensor:
    small = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, (96, 128), mode="bicubic")[0].movedim(0, -1).clamp(0, 1)


def test_a_thing_that_fills_one_or_two_frames_is_no_cut() -> None:
    for length in (1, 2):
        frames = [noise(1)] * 5 + [noise(2)] * length + [noise(1)] * 5
        assert cuts(map(glance, frames)) == ()
    assert cuts(map(glance, [noise(1)] * 5 + [noise(2)] * 5)) == (5,)


def test_few_frames_and_none() -> None:
    assert cuts([]) == cuts([glance(noise(1))]) == ()
    assert cuts(map(glance, [noise(1), noise(2)])) == (1,)
    assert cuts(map(glance, [noise(1)] * 3 + [noise(2)] * 3), NEVER) == ()
    black = torch.zeros(96, 128, 3)
    assert change(glance(black), glance(black)) == 0.0 < change(glance(black), glance(noise(1)))
