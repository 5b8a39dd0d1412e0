"""What is encoded: the fill follows the noise mask, softness and all, and a ControlNet's hint shows what was there."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mask_detailer.core import Region
from mask_detailer.detailer.options import DetailOptions
from mask_detailer.detailer.pipeline.crop import Crop
from mask_detailer.detailer.pipeline.prepare import prepare
from mask_detailer.detailer.pipeline.recipe import Recipe
from mask_detailer.detailer.prompts.reader import Prompts
from mask_detailer.detailer.values import Refiner
from unit.detailer.pipeline.steps import crop_of, recipe_of
from unit.parts import scenery

REGION = Region(8, 8, 56, 56)
BOX = (slice(16, 32), slice(16, 32))
MODEL: Any = SimpleNamespace(model_options={})


def recipe_with(options: DetailOptions, **changes: Any) -> Recipe:
    recipe = recipe_of(options, **changes)
    return replace(recipe, pipe=recipe.pipe._replace(model=MODEL))


def prepared(recipe: Recipe, wrapper: Any = None) -> Crop:
    mask = np.zeros((48, 48), np.float32)
    mask[BOX] = 1.0
    crop = crop_of(scenery(64, 64), REGION, recipe, mask=mask)
    crop = crop.planned(replace(crop.plan, seg=crop.plan.seg._replace(control_net_wrapper=wrapper)))
    return prepare(crop, recipe, Prompts())


def test_a_fill_follows_the_soft_noise_mask() -> None:
    made = prepared(recipe_with(DetailOptions(fill="neutral"), noise_mask_feather=6))
    assert made.noise_mask is not None
    soft = made.noise_mask[..., None]
    assert torch.allclose(made.pixels, made.before * (1 - soft) + 0.5 * soft, atol=1e-6)
    beside = (soft > 0) & (made.mask[..., None] == 0)
    assert bool((made.pixels != made.before)[beside.expand_as(made.pixels)].any())


def test_without_a_noise_mask_the_fill_is_under_the_segment_s() -> None:
    recipe = recipe_with(DetailOptions(fill="neutral"))
    whole = replace(recipe, settings=replace(recipe.settings, mask=replace(recipe.settings.mask, noise_mask=False)))
    made = prepared(whole)
    assert made.noise_mask is None
    assert torch.equal(made.pixels[made.mask == 0], made.before[made.mask == 0])
    assert float((made.pixels[made.mask == 1] - 0.5).abs().max()) < 1e-6


def test_a_hint_shows_what_was_there_before_the_fill() -> None:
    class Wrapper:
        def apply(self, positive: Any, negative: Any, image: torch.Tensor, mask: Any) -> Any:
            return positive, negative, [image.clone()]

    made = prepared(recipe_with(DetailOptions(fill="neutral")), Wrapper())
    (hint,) = made.hints
    assert torch.equal(hint, made.before) and not torch.equal(made.pixels, made.before)


def test_what_the_refiner_s_prompts_say_of_the_picture_is_cut_too() -> None:
    whole = torch.rand(1, 64, 64)
    recipe = recipe_with(DetailOptions())
    refiner = Refiner(MODEL, [[torch.zeros(1, 1, 8), {"mask": whole}]], [], 0.5)
    mask = np.zeros((48, 48), np.float32)
    mask[BOX] = 1.0
    recipe = replace(recipe, refiner=refiner)
    made = prepare(crop_of(scenery(64, 64), REGION, recipe, mask=mask), recipe, Prompts())
    assert made.refiner is not None
    ((_, options),) = made.refiner.positive
    assert torch.equal(options["mask"], whole[:, 8:56, 8:56])
