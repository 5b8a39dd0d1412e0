"""Saved workflows run end to end with stand-ins, and outputs change where they should and nowhere else.

The quick ones are saved with this pack, or made up as others' are. By hand, those of a folder, see bench/wild_runs.py:
`WILD_WORKFLOWS=folder WILD_PROMPTS=folder python dev.py test tests/engine/test_wild_runs.py -m by_hand -s`.
"""

from __future__ import annotations

import asyncio
import copy
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engine import wild_runs
from engine.executing import step
from engine.stand_ins import Prompt, installed, ready
from engine.wild_runs import RUNS, reach_of
from mask_detailer.core import SEG
from mask_detailer.detailer.pipeline import run as pipeline
from support.server import CHECKOUT
from support.workflow import saved, saved_workflows

sys.path.append(str(CHECKOUT / "bench"))
import wild_runs as bench

ENOUGH = 80
FOLDER = os.environ.get("WILD_WORKFLOWS", "")
SAMPLED: dict[str, Any] = {
    "seed": 7, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "karras", "denoise": 0.6, "feather": 5,
}  # fmt: skip
PARTS: dict[str, Any] = {
    "model": ["models", 0], "vae": ["models", 2], "positive": ["text", 0], "negative": ["text", 0],
}  # fmt: skip
MODELS: Prompt = {
    "models": step("CheckpointLoaderSimple", ckpt_name="file.safetensors"),
    "text": step("CLIPTextEncode", text="text", clip=["models", 1]),
    "picture": step("LoadImage", image="file.png"),
}
PIPE = step("ToBasicPipe", clip=["models", 1], **PARTS)

# as others saved them: old nodes and inputs, files that aren't here, nodes of packs that aren't
MADE_UP: dict[str, Prompt] = {
    "April 2023": {
        **MODELS,
        "found": step("MMDetLoader", model_name="bbox/file.pth"),
        "boxes": step(
            "BboxDetectorForEach", bbox_model=["found", 0], image=["picture", 0], threshold=0.5, dilation=10,
            crop_factor=3.0,
        ),
        "painted": step("MaskPainter", images=["picture", 0], image="#placeholder"),
        "both": step("Segs & Mask", segs=["boxes", 0], mask=["picture", 1]),
        "detailed": step(
            "DetailerForEach", image=["picture", 0], segs=["both", 0], guide_size=256.0, noise_mask="enabled",
            **PARTS, **SAMPLED,
        ),
        "saved": step("Image Save", images=["detailed", 0], output_path="text"),
    },
    "a face, May 2023": {
        **MODELS,
        "faces": step("UltralyticsDetectorProvider", model_name="bbox/file.pt"),
        "sam": step("SAMLoader", model_name="file.pth"),
        "larger": step("ImageResize+", image=["picture", 0], width=512),
        "detailed": step(
            "FaceDetailer", image=["larger", 0], bbox_detector=["faces", 0], sam_model_opt=["sam", 0],
            guide_size=256.0, guide_size_for="bbox", noise_mask="enabled", force_inpaint="disabled",
            bbox_threshold=0.5, bbox_dilation=10, bbox_crop_factor=3.0, sam_detection_hint="center-1", sam_dilation=0,
            sam_threshold=0.93, sam_bbox_expansion=0, sam_mask_hint_threshold=0.7, sam_mask_hint_use_negative="False",
            **PARTS, **SAMPLED,
        ),
        "shown": step("PreviewImage", images=["detailed", 0]),
    },
    "parts apart": {
        **MODELS,
        "pipe": PIPE,
        "loader": step("Efficient Loader", ckpt_name="file.safetensors"),
        "boxes": step(
            "BboxDetectorSEGS", bbox_detector=["faces", 0], image=["picture", 0], threshold=0.5, dilation=0,
            crop_factor=2.0,
        ),
        "faces": step("UltralyticsDetectorProvider", model_name="segm/file.pt"),
        "apart": step(
            "SEGSDetailer", image=["picture", 0], segs=["boxes", 0], basic_pipe=["pipe", 0], guide_size=256,
            guide_size_for=True, max_size=768, noise_mask=True, force_inpaint=True, refiner_ratio=0.2,
            **{name: value for name, value in SAMPLED.items() if name != "feather"},
        ),
        "back": step("SEGSPaste", image=["loader", 4], segs=["apart", 0], feather=5),
        "shown": step("PreviewImage", images=["back", 0]),
        "upscaler": step(
            "PixelKSampleUpscalerProviderPipe", scale_method="bilinear", basic_pipe=["pipe", 0],
            **{name: value for name, value in SAMPLED.items() if name != "feather"},
        ),
        "upscaled": step(
            "IterativeImageUpscale", pixels=["back", 0], upscale_factor=4.0, steps=5, upscaler=["upscaler", 0],
            vae=["models", 2],
        ),
        "compared": step("Image Comparer (rgthree)", image_a=["back", 0], image_b=["upscaled", 0]),
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All of ComfyUI's own nodes, this pack's, and the stand-ins; afterwards those that were there."""
    import nodes

    before = dict(nodes.NODE_CLASS_MAPPINGS), dict(nodes.NODE_DISPLAY_NAME_MAPPINGS)
    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    with torch.inference_mode(), installed(tmp_path_factory.mktemp("stand-ins")):
        yield
    for table, was in zip((nodes.NODE_CLASS_MAPPINGS, nodes.NODE_DISPLAY_NAME_MAPPINGS), before, strict=True):
        table.clear()
        table.update(was)


def ran(prompt: Prompt) -> wild_runs.Seen:
    outcome = wild_runs.run(copy.deepcopy(prompt))
    assert (outcome.state, outcome.reason, outcome.seen.wrong) == (RUNS, "", [])
    return outcome.seen


@pytest.mark.parametrize("name", saved_workflows())
def test_saved_with_this_pack(name: str) -> None:
    prompt = saved(name)[1]
    assert sum(ran(prompt).count.values()) > 0


@pytest.mark.parametrize("name", MADE_UP)
def test_as_others_saved_them(name: str) -> None:
    seen = ran(MADE_UP[name])
    assert seen.count["refined"] == seen.count["segments"] > 0


def test_a_node_that_is_not_there_hands_on_what_came_in() -> None:
    made = ready(MADE_UP["a face, May 2023"])
    assert made.prompt["detailed"]["inputs"]["image"] == ["picture", 0]
    assert made.foreign == {"ImageResize+"} and "larger" not in made.prompt
    made = ready(MADE_UP["parts apart"])
    assert made.prompt["back"]["inputs"]["image"] == ["StandInValue IMAGE", 0]
    assert made.prompt["compared"]["inputs"] == {"value0": ["back", 0], "value1": ["upscaled", 0]}


@pytest.mark.parametrize(("pixel", "wrong"), [((2, 2), "1 pixels have changed"), ((40, 36), "nothing has changed")])
def test_a_wrong_change_is_noticed(monkeypatch: pytest.MonkeyPatch, pixel: tuple[int, int], wrong: str) -> None:
    """A pixel that no mask reaches is changed; or all is as it came but for a refined segment."""
    detail = pipeline.detail

    def faulty(pictures: Any, count: int, recipe: Any) -> Iterator[Any]:
        asked: list[torch.Tensor] = []
        noted = (asked.append(picture.image.clone()) or picture for picture in pictures)  # type: ignore[func-returns-value]
        for done in detail(noted, count, recipe):
            if wrong == "nothing has changed":
                done.image.copy_(asked[-1])
            else:
                done.image[0, pixel[0], pixel[1]] = 0.5
            yield done

    monkeypatch.setattr(pipeline, "detail", faulty)
    outcome = wild_runs.run(copy.deepcopy(MADE_UP["April 2023"]))
    assert any(wrong in one for one in outcome.seen.wrong), outcome.seen.wrong


def test_reach() -> None:
    """A pixel in the middle of a crop: as far as the feather, not beyond the crop; in a larger picture all of it."""
    mask = torch.zeros(11, 11)
    mask[5, 5] = 0.5
    segs = (20, 30), [SEG(None, mask.numpy(), 0.9, [4, 2, 15, 13], (9, 7, 10, 8), "A")]
    for feather, side in ((0, 1), (2, 5), (9, 11)):
        reach = reach_of(segs, (20, 30), feather)
        assert reach.sum() == side**2 and reach[0, 7, 9]
    reach = reach_of(segs, (40, 90), 0)
    assert reach[0, 4:26, 12:45].all() and reach.sum() == 25 * 36


@pytest.mark.by_hand
@pytest.mark.timeout(7200)
def test_those_of_a_folder() -> None:
    found = bench.run_all(Path(FOLDER))
    for row in bench.others(found):
        print(" | ".join(row))
    wrong = {named[0]: outcome.seen.wrong for named, outcome in found.items() if outcome.seen.wrong}
    assert not wrong
    assert sum(outcome.state == RUNS for outcome in found.values()) >= ENOUGH
