"""The crop value: what is cut out, and the part of it that lies in the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from mask_detailer.core import Region
from unit.detailer.pipeline.steps import crop_of, recipe_of
from unit.parts import scenery

RECIPE = recipe_of()


def test_a_crop_has_memory_of_its_own() -> None:
    image = scenery(40, 60)
    crop = crop_of(image, Region(10, 5, 30, 25), RECIPE)
    image.zero_()
    assert float(crop.before.min()) > 0
    assert crop.pixels is crop.before


def test_every_frame_has_the_mask() -> None:
    image = torch.cat([scenery(40, 60, seed) for seed in range(3)])
    mask = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    crop = crop_of(image, Region(10, 5, 30, 25), RECIPE, mask=mask)
    assert crop.frames == 3
    assert crop.before.shape == (3, 20, 20, 3)
    assert torch.equal(crop.mask, torch.from_numpy(mask).expand(3, 20, 20))
    assert torch.equal(crop.before, image[:, 5:25, 10:30])


def test_past_the_border_the_picture_is_mirrored_and_only_what_lies_inside_goes_back() -> None:
    image = scenery(40, 60)
    inside = crop_of(image, Region(0, 0, 20, 20), RECIPE)
    crop = replace(inside, place=replace(inside.place, crop=replace(inside.plan, region=Region(-4, -3, 20, 20))))
    crop = replace(
        crop, before=crop.before.new_zeros(1, 23, 24, 3), mask=torch.rand(1, 23, 24), pixels=torch.rand(1, 23, 24, 3)
    )
    within = crop.within_picture()
    assert within.plan.region == Region(0, 0, 20, 20)
    assert torch.equal(within.pixels, crop.pixels[:, 3:, 4:])
    assert torch.equal(within.mask, crop.mask[:, 3:, 4:])
    assert inside.within_picture() is inside


def test_seeds_of_further_tries_wrap() -> None:
    crop = crop_of(scenery(40, 60), Region(10, 5, 30, 25), RECIPE)
    last = crop.planned(replace(crop.plan, seed=2**64 - 1))
    assert last.reseeded(2).plan.seed == 1
    assert crop.reseeded(0) is crop
