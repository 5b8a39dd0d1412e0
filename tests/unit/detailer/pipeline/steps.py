"""Crops and recipes as the stages of the pipeline take them, without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from mask_detailer.core import SEG, Region, Size
from mask_detailer.detailer.hooks.protocol import Hook
from mask_detailer.detailer.options import UNTURNED, DetailOptions
from mask_detailer.detailer.pipeline.crop import Crop, cut
from mask_detailer.detailer.pipeline.plan import CropPlan, Place
from mask_detailer.detailer.pipeline.recipe import Recipe
from mask_detailer.detailer.values import BasicPipe, DetailSettings, SizeOptions
from unit.build import seg, settings

FORCED = SizeOptions(64, True, 1024, True)


def recipe_of(options: DetailOptions = UNTURNED, hook: Any = None, feather: int = 0, **changes: Any) -> Recipe:
    """A recipe without models; ``changes`` are of its settings, ``noise_mask_feather`` of its mask's."""
    made: DetailSettings = settings(FORCED, feather=feather, options=options)
    soft = changes.pop("noise_mask_feather", 0)
    made = replace(made, mask=replace(made.mask, noise_mask_feather=soft), **changes)
    return Recipe(BasicPipe(None, None, None, [], []), made, hook=Hook(hook), source="Node")


def plan_of(region: Region, number: int = 1, mask: Any = 1.0, working: Size | None = None, **changes: Any) -> CropPlan:
    """A plan of a segment whose crop region is ``region``."""
    own: SEG = seg(region.as_tuple(), mask=mask)
    return CropPlan(number, own, region, 1.0, working or region.size, 8, 100 + number, reach=region, **changes)


def crop_of(image: torch.Tensor, region: Region, recipe: Recipe, picture: int = 0, **plan: Any) -> Crop:
    """A crop as it was cut out of ``image``."""
    planned = plan_of(region, **plan)
    return cut(image, Place(picture, planned), recipe, name=f"segment {planned.number}")
