"""Crops put back: the lists keep the order of numbers, whatever the order of work; what has a fault leaves no trace."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from mask_detailer.core import Region, Size
from mask_detailer.detailer.options import BlendOptions, DetailOptions
from mask_detailer.detailer.pipeline.paste import Canvas, paste
from mask_detailer.detailer.pipeline.plan import Plan
from unit.detailer.pipeline.steps import crop_of, plan_of, recipe_of
from unit.parts import disc, scenery

REGIONS = (Region(0, 0, 16, 16), Region(20, 0, 36, 16), Region(0, 20, 16, 36))


def canvas_of(image: torch.Tensor, pastes: bool = True) -> Canvas:
    plans = tuple(plan_of(region, number) for number, region in enumerate(REGIONS, start=1))
    return Canvas(Plan(Size(*image.shape[1:3]), plans), image, pastes)


@pytest.mark.parametrize("pastes", [True, False])
def test_lists_and_segs_are_in_the_order_of_numbers(pastes: bool) -> None:
    image, recipe = scenery(40, 40), recipe_of()
    canvas = canvas_of(image.clone(), pastes)
    for number in (3, 1, 2):
        crop = crop_of(image, REGIONS[number - 1], recipe, number=number)
        hint = torch.full((1, 4, 4, 3), float(number))
        canvas.put(replace(crop, pixels=torch.full_like(crop.before, number / 4), hints=[hint]), recipe)
    assert canvas.is_finished
    done = canvas.detailed()
    for number, before in enumerate(done.crops, start=1):
        rows, columns = REGIONS[number - 1].slices
        assert torch.equal(before, image[:, rows, columns])
    if pastes:
        assert [float(crop.mean()) for crop in done.refined] == [0.25, 0.5, 0.75]
    assert [float(hint.mean()) for hint in done.control_images] == [1, 2, 3]
    assert [float(seg.cropped_image.mean()) for seg in done.segs[1]] == [0.25, 0.5, 0.75]


def test_a_crop_with_a_fault_is_not_pasted() -> None:
    image, recipe = scenery(40, 40), recipe_of()
    canvas = canvas_of(image.clone())
    crop = crop_of(image, REGIONS[0], recipe)
    canvas.put(replace(crop, pixels=torch.ones_like(crop.before), fault="flat black"), recipe)
    assert torch.equal(canvas.work, image)
    done = canvas.detailed()
    assert len(done.crops) == 1 and not done.refined and done.segs[1][0].cropped_image is None


@pytest.mark.parametrize("method", ["feather", "multiband", "gradient"])
def test_three_frames_are_pasted_as_each_alone(method: str) -> None:
    frames = torch.cat([scenery(40, 40, seed) for seed in range(3)])
    recipe = recipe_of(DetailOptions(blend=BlendOptions(method, width=6)), feather=3)
    region, mask = Region(4, 2, 32, 30), disc(28, 28, 9)[0].numpy()
    new = torch.cat([scenery(28, 28, 10 + seed) for seed in range(3)])

    def pasted(image: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        work = image.clone()
        paste(work, replace(crop_of(image, region, recipe, mask=mask), pixels=pixels), recipe)
        return work

    together = pasted(frames, new)
    for frame in range(3):
        alone = pasted(frames[frame : frame + 1], new[frame : frame + 1])
        assert torch.equal(together[frame : frame + 1], alone)
        assert not torch.equal(alone, frames[frame : frame + 1])


def test_the_hook_sees_the_picture_once_for_each_pasted_crop() -> None:
    class Darkens:
        asked = 0

        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            self.asked += 1
            return image / 2

    hook = Darkens()
    image, recipe = scenery(40, 40), recipe_of(hook=hook)
    work = image.clone()
    crop = crop_of(image, REGIONS[0], recipe)
    paste(work, crop, recipe)
    assert torch.equal(work, image / 2)
    paste(work, replace(crop, fault="flat black"), recipe)
    assert torch.equal(work, image / 2) and hook.asked == 1
