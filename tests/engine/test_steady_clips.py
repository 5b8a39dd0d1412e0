"""Detail of neighbouring frames averaged: which windows, what it costs, and what stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.remembering import remembers  # noqa: F401 - a fixture
from engine.running import near, unchanged_outside
from engine.test_moving_clips import BOX, FRAMES, SIZE, WIDGETS, detailed, moving  # noqa: F401 - a fixture
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer.options import ColourOptions, DetailOptions
from support.calls import counted

NOISE = 4 / 255


def grainy(clip: torch.Tensor) -> torch.Tensor:
    """With noise of its own in each frame, as a camera's."""
    generator = torch.Generator().manual_seed(3)
    return (clip + NOISE * torch.randn(clip.shape, generator=generator)).clamp(0.0, 1.0)


def swims(windows: torch.Tensor, before: torch.Tensor) -> float:
    """How far what was added to a window's frames strays from its mean."""
    added = (windows - before)[:, 12:-12, 12:-12]
    return float((added - added.mean(dim=0)).abs().mean())


@pytest.mark.parametrize("options", [None, DetailOptions(colour=ColourOptions("covariance"), drift="correct")], ids=str)
def test_what_is_added_holds_still_in_windows_that_move(unet: Pipe, moving: Any, options: Any) -> None:  # noqa: F811
    clip, masks = moving
    clip = grainy(clip)
    off, on = (
        detailed(clip, unet, mask=masks, denoise=0.8, steady=steady, detail_options=options)
        for steady in ("off", "moving")
    )
    assert torch.equal(off[1][0], on[1][0])
    assert swims(on[2][0], on[1][0]) < 0.75 * swims(off[2][0], off[1][0])
    assert unchanged_outside(on[0], clip, near(masks, WIDGETS["feather"]))
    inside = masks > 0.5
    assert float((on[0] - clip)[inside].abs().mean()) > 0.8 * float((off[0] - clip)[inside].abs().mean())


def test_windows_that_stand_still_are_steadied_if_one_wants_it(unet: Pipe) -> None:
    clip, mask = grainy(picture(*SIZE, 1).repeat(FRAMES, 1, 1, 1)), mask_of(*SIZE, BOX)
    made = {steady: detailed(clip, unet, mask=mask, denoise=0.8, steady=steady) for steady in ("off", "moving", "all")}
    assert "stands still" in made["off"][4]
    assert torch.equal(made["moving"][0], made["off"][0])
    off, on = (swims(made[steady][2][0], made[steady][1][0]) for steady in ("off", "all"))
    assert on < 0.75 * off
    assert unchanged_outside(made["all"][0], clip, near(mask.expand(FRAMES, -1, -1), WIDGETS["feather"]))


def test_a_frame_that_shows_something_else_keeps_its_own(unet: Pipe) -> None:
    """Light that goes out for one frame: it gets nothing of the others, nor they of it."""
    clip, mask = picture(*SIZE, 1).repeat(FRAMES, 1, 1, 1), mask_of(*SIZE, BOX)
    clip[2] *= 0.3
    off, on = (detailed(clip, unet, mask=mask, cut_threshold=1.0, steady=steady)[0] for steady in ("off", "all"))
    assert torch.allclose(on, off, atol=2e-3) and float((off[2] - off[1]).abs().mean()) > 0.05


def test_nothing_is_sampled_anew_for_it(unet: Pipe, moving: Any, remembers: Any) -> None:  # noqa: F811
    clip, masks = moving
    fresh = detailed(clip, unet, mask=masks, steady="moving")
    detailed(clip, unet, mask=masks, steady="off")
    with counted() as calls:
        again = detailed(clip, unet, mask=masks, steady="moving")
    assert calls.items == 0 and torch.equal(again[0], fresh[0])
