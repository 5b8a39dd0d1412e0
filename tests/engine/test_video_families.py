"""MaskDetailer (clip) with the video families as ComfyUI has them: a clip is one latent, in spans where it is long."""

from __future__ import annotations

import pytest
import torch
from engine.running import near, unchanged_outside
from engine.test_moving_clips import BOX, SIZE, WIDGETS, detailed
from engine.tiny_models import mask_of, picture
from engine.video_models import CELLS, VIDEO


@pytest.mark.parametrize("name", [pytest.param("wan vace", marks=pytest.mark.by_hand), "ltx", "hunyuan"])
def test_a_family_takes_the_clip_as_one_latent_and_in_spans(name: str) -> None:
    along = CELLS.get(name, 4)
    frames = 2 * along  # one short of what the codec wants
    cfg = 1.0 if name == "ltx" else WIDGETS["cfg"]  # on a CPU ComfyUI's attention can't mask a batch of two
    clip, mask = picture(*SIZE, 1).repeat(frames, 1, 1, 1), mask_of(*SIZE, BOX)
    whole = detailed(clip, VIDEO[name](), mask=mask, cfg=cfg, denoise=0.8)[0]
    assert len(whole) == frames and bool(torch.isfinite(whole).all())
    assert unchanged_outside(whole, clip, near(mask, WIDGETS["feather"]))
    assert float((whole - clip).abs()[:, 25:45, 25:45].mean(dim=(1, 2, 3)).min()) > 1e-3
    one_call = detailed(clip, VIDEO[name](), mask=mask, cfg=cfg, denoise=0.8, span=2 * along + 1)[0]
    assert torch.equal(one_call, whole)
    parts = detailed(clip, VIDEO[name](), mask=mask, cfg=cfg, denoise=0.8, span=along + 1, overlap=1)[0]
    steps, usual = (made.diff(dim=0).abs().mean(dim=(1, 2, 3)) for made in (parts, whole))
    assert float((steps - usual).max()) < 1 / 255
