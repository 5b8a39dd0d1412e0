"""Saved clip workflows run end to end with stand-ins: every frame is worked on, and nothing else changes.

By hand those of a folder too: `WILD_WORKFLOWS=folder WILD_PROMPTS=folder python dev.py test
tests/engine/test_wild_clips.py -m by_hand -s`.
"""

from __future__ import annotations

import asyncio
import copy
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from engine import wild_runs
from engine.executing import step
from engine.stand_ins import Prompt, installed
from engine.test_wild_runs import MODELS, PIPE
from engine.wild_runs import RUNS
from support.server import CHECKOUT

sys.path.append(str(CHECKOUT / "bench"))
import wild_runs as bench

FRAMES = 5
ENOUGH = 3
CLIP_NODES = {
    "SEGSDetailerForAnimateDiff", "DetailerForEachPipeForAnimateDiff", "ImpactSimpleDetectorSEGS_for_AD",
    "MaskToSEGS_for_AnimateDiff",
}  # fmt: skip
SAMPLED = {
    "guide_size": 256, "guide_size_for": True, "max_size": 768, "seed": 7, "steps": 20, "cfg": 8.0,
    "sampler_name": "euler", "scheduler": "normal", "denoise": 0.8, "refiner_ratio": 0.2,
}  # fmt: skip

# as others build it: a motion model from a pack that isn't there, the parts once with a detector and once with a mask
MADE_UP: Prompt = {
    **MODELS,
    "moving": step("ADE_AnimateDiffLoaderGen1", model=["models", 0], model_name="file.ckpt", beta_schedule="text"),
    "pipe": step("EditBasicPipe", basic_pipe=["plain", 0], model=["moving", 0]),
    "plain": PIPE,
    "faces": step("UltralyticsDetectorProvider", model_name="bbox/file.pt"),
    "found": step(
        "ImpactSimpleDetectorSEGS_for_AD", bbox_detector=["faces", 0], image_frames=["picture", 0], bbox_threshold=0.5,
        bbox_dilation=10, crop_factor=2.5, drop_size=50, sub_threshold=0.5, sub_dilation=10, sub_bbox_expansion=0,
        sam_mask_hint_threshold=0.7, masking_mode="Don't combine", segs_pivot="Combined mask",
    ),
    "detailed": step(
        "DetailerForEachPipeForAnimateDiff", image_frames=["picture", 0], segs=["found", 0], feather=5,
        basic_pipe=["pipe", 0], **SAMPLED,
    ),
    "masked": step(
        "MaskToSEGS_for_AnimateDiff", mask=["picture", 1], combined=False, crop_factor=1.5, bbox_fill=False,
        drop_size=10, contour_fill=True,
    ),
    "apart": step(
        "SEGSDetailerForAnimateDiff", image_frames=["detailed", 0], segs=["masked", 0], basic_pipe=["pipe", 0],
        **SAMPLED,
    ),
    "back": step("SEGSPaste", image=["detailed", 0], segs=["apart", 0], feather=5, alpha=255),
    "clip": step("VHS_VideoCombine", images=["back", 0], frame_rate=8),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All of ComfyUI's own nodes, this pack's, and the stand-ins with clips; afterwards those that were there."""
    import nodes

    before = dict(nodes.NODE_CLASS_MAPPINGS), dict(nodes.NODE_DISPLAY_NAME_MAPPINGS)
    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    with torch.inference_mode(), installed(tmp_path_factory.mktemp("stand-ins"), FRAMES):
        yield
    for table, was in zip((nodes.NODE_CLASS_MAPPINGS, nodes.NODE_DISPLAY_NAME_MAPPINGS), before, strict=True):
        table.clear()
        table.update(was)


def test_as_others_saved_one() -> None:
    outcome = wild_runs.run(copy.deepcopy(MADE_UP))
    assert (outcome.state, outcome.reason, outcome.seen.wrong) == (RUNS, "", [])
    counts = [outcome.seen.count[what] for what in ("frames", "segments", "refined")]
    assert counts == [2 * FRAMES, 4, 4]


@pytest.mark.by_hand
@pytest.mark.timeout(1200)
def test_those_of_a_folder() -> None:
    found = {}
    for named, prompt in bench.prompts(Path(os.environ.get("WILD_WORKFLOWS", ""))):
        if CLIP_NODES & {one["class_type"] for one in prompt.values()}:
            outcome = found[named[0]] = wild_runs.run(copy.deepcopy(prompt))  # type: ignore[arg-type]
            print(named[0], outcome.state, outcome.reason, dict(outcome.seen.count), sorted(outcome.made.foreign))
    assert not {name: outcome.seen.wrong for name, outcome in found.items() if outcome.seen.wrong}
    whole = [outcome for outcome in found.values() if outcome.state == RUNS and outcome.seen.count["refined"]]
    assert len(whole) >= ENOUGH and all(outcome.seen.count["frames"] >= FRAMES for outcome in whole)
