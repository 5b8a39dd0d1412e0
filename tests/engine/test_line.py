"""The way of the picture is one line: few calls deep, and open for crops of several frames."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import mask_detailer.core
import pytest
import torch
from engine.running import detail
from engine.tiny_models import Pipe, mask_of, picture, pooled_prompt, tiny_control_net
from mask_detailer.core import Size, mask_to_segs
from mask_detailer.detailer import host
from mask_detailer.detailer.control import ControlNetWrapper, with_control_net
from mask_detailer.detailer.options import BlendOptions, DetailOptions
from mask_detailer.detailer.pipeline.crop import Crop, cut
from mask_detailer.detailer.pipeline.paste import paste
from mask_detailer.detailer.pipeline.plan import Place, make_plan
from mask_detailer.detailer.pipeline.prepare import prepare
from mask_detailer.detailer.pipeline.recipe import Recipe
from mask_detailer.detailer.pipeline.restore import restore
from mask_detailer.detailer.pipeline.sample import sample
from mask_detailer.detailer.prompts.reader import Prompts
from mask_detailer.detailer.values import (
    BasicPipe,
    DetailSettings,
    MaskSettings,
    Refiner,
    SamplingSettings,
    SizeOptions,
)

PACK = Path(mask_detailer.core.__file__).resolve().parents[1]
MOST_FRAMES_DEEP = 6


@pytest.mark.parametrize("refiner", [False, True])
def test_from_the_node_to_the_sampler_it_is_six_calls(
    unet: Pipe, refiner: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.samplers

    stacks: list[list[str]] = []
    real = comfy.samplers.CFGGuider.sample

    def watched(self: Any, *arguments: Any, **named: Any) -> Any:
        frames = [(Path(frame.filename).resolve(), frame.function) for frame in inspect.stack()]
        ours = [
            f"{path.relative_to(PACK)}:{function}"
            for path, function in frames
            if path.is_relative_to(PACK) and "tests" not in path.relative_to(PACK).parts and ".env" not in path.parts
        ]
        stacks.append(ours[: next(i for i, name in enumerate(ours) if name.endswith("doit")) + 1])
        return real(self, *arguments, **named)

    monkeypatch.setattr(comfy.samplers.CFGGuider, "sample", watched)
    detail(picture(96, 96), mask_of(96, 96, (30, 30, 50, 50)), unet, refiner_basic_pipe_opt=unet if refiner else None)
    assert len(stacks) == (2 if refiner else 1)
    for stack in stacks:
        assert len(stack) <= MOST_FRAMES_DEEP, stack


# --- three frames -------------------------------------------------------------------------------------------------

FRAMES, SIZE = 3, (96, 112)


def settings_with(options: DetailOptions, **mask: Any) -> DetailSettings:
    return DetailSettings(
        seed=7,
        size=SizeOptions(64.0, True, 128.0, True),
        sampling=SamplingSettings(2, 3.0, "euler_ancestral", "normal", 0.6, cycle=2),
        mask=MaskSettings(
            **({"feather": 4, "noise_mask": True, "noise_mask_feather": 0, "inpaint_model": False} | mask)
        ),
        options=options,
    )


def through_every_stage(
    image: torch.Tensor, recipe: Recipe, segs: Any, masks: torch.Tensor
) -> tuple[Crop, torch.Tensor]:
    """A crop of as many frames as the picture, each with its own mask, and the picture that it was pasted into."""
    work = image.clone()
    recipe = recipe.prepared()
    (plan,) = make_plan(segs, Size(*SIZE), recipe.settings, 7, recipe.multiple).crops
    crop = cut(work, Place(0, plan), recipe, name="segment 1")
    crop = replace(crop, mask=masks[(slice(None), *plan.region.slices)])
    crop = prepare(crop, recipe, Prompts())
    (crop,) = sample([crop], recipe, host.progress.Progress.hidden())
    crop = restore(crop, recipe)
    return paste(work, crop, recipe), work


CASES = {
    "plain": (DetailOptions(), {}),
    "soft noise mask": (DetailOptions(), {"noise_mask_feather": 6}),
    "whole crop": (DetailOptions(), {"noise_mask": False}),
    "inpaint model": (DetailOptions(), {"inpaint_model": True}),
    # corrections are measured over all frames: tests/engine/test_lasting_clips.py
    "blend and fill": (DetailOptions(blend=BlendOptions("multiband", 8), fill="diffused"), {}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("more", ["", "refiner", "control"])
def test_three_frames_go_through_every_stage_as_each_alone(unet: Pipe, case: str, more: str, tmp_path: Path) -> None:
    options, mask = CASES[case]
    refiner = Refiner(unet[0], pooled_prompt(5), unet[4], 0.5) if more == "refiner" else None
    recipe = Recipe(BasicPipe(*unet), settings_with(options, **mask), refiner)
    images = torch.cat([picture(*SIZE, seed) for seed in range(FRAMES)])
    boxes = [(30, 30, 60, 56), (34, 32, 62, 60), (28, 28, 58, 58)]
    masks = torch.cat([mask_of(*SIZE, box) for box in boxes])
    segs = mask_to_segs(masks.amax(dim=0, keepdim=True), True, 2.0, False, 2)
    if more == "control":
        hints = picture(*SIZE, 9)
        segs = with_control_net(segs, ControlNetWrapper(tiny_control_net(tmp_path), strength=1.0), hints)
    crop, work = through_every_stage(images, recipe, segs, masks)
    assert crop.frames == FRAMES and crop.fault is None
    assert not torch.equal(work, images)
    for frame in range(FRAMES):
        part = slice(frame, frame + 1)
        alone, picture_alone = through_every_stage(images[part], recipe, segs, masks[part])
        assert torch.allclose(work[part], picture_alone, atol=2e-4), case
        assert torch.equal(crop.before[part], alone.before)
        assert alone.alpha is not None and crop.alpha is not None and torch.equal(crop.alpha[part], alone.alpha)


def test_the_frames_differ_from_each_other(unet: Pipe) -> None:
    """So that equality above is not that of one frame three times."""
    images = torch.cat([picture(*SIZE, seed) for seed in range(2)])
    masks = mask_of(*SIZE, (30, 30, 60, 56)).expand(2, -1, -1)
    segs = mask_to_segs(masks[:1], True, 2.0, False, 2)
    crop, _ = through_every_stage(images, Recipe(BasicPipe(*unet), settings_with(DetailOptions())), segs, masks)
    assert float((crop.pixels[0] - crop.pixels[1]).abs().max()) > 0.1
