"""From what was decoded back to the crop: within 0..1, drift undone before colours are compared, frame by frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
import scipy.ndimage
import torch
from mask_detailer.core import Region
from mask_detailer.detailer.options import ColourOptions, DetailOptions
from mask_detailer.detailer.pipeline.crop import Crop
from mask_detailer.detailer.pipeline.restore import restore
from unit.detailer.pipeline.steps import crop_of, recipe_of
from unit.parts import LEVEL, disc, scenery

SIDE = 160
REGION = Region(0, 0, SIDE, SIDE)


def ready(image: torch.Tensor, decoded: torch.Tensor, recipe: object, radius: float = 30) -> Crop:
    crop = crop_of(image, REGION, recipe, mask=disc(SIDE, SIDE, radius)[0].numpy())  # type: ignore[arg-type]
    return replace(crop, pixels=decoded, noise_mask=crop.mask)


def test_hard_edges_stay_within_the_range() -> None:
    """Shrinking with a kernel that rings leaves 0..1 at the edges of a black-and-white board."""
    board = ((torch.arange(320)[:, None] // 9 + torch.arange(320)[None] // 9) % 2).float()[None, ..., None]
    made = restore(ready(scenery(SIDE, SIDE), board.expand(1, 320, 320, 3), recipe_of()), recipe_of())
    assert float(made.pixels.min()) == 0.0 and float(made.pixels.max()) == 1.0


def test_drift_is_undone_before_colours_and_grain_are_compared() -> None:
    """With colours fitted on shifted pixels first, the spread comes out too small, and the map with it."""
    image = scenery(SIDE, SIDE)
    moved = torch.from_numpy(scipy.ndimage.shift(image[0].numpy(), (2.0, -2.0, 0), mode="mirror", order=3))[None]
    recipe = recipe_of(DetailOptions(drift="correct", colour=ColourOptions("covariance", 0.5)))
    made = restore(ready(image, (moved * 0.8 + 0.1).clamp(0, 1), recipe), recipe)
    inner = slice(12, -12)
    error = (made.pixels - image)[:, inner, inner].abs().mean()
    assert error < 0.3 * LEVEL


def test_what_the_noise_mask_covers_is_no_surroundings() -> None:
    """The noise mask reaches further than the segment's: what was made anew there must not count as tint."""
    image = scenery(SIDE, SIDE)
    wide = disc(SIDE, SIDE, 60)
    anew = torch.where(wide[..., None] > 0, (image + 0.15).clamp(0, 1), image)
    recipe = recipe_of(DetailOptions(colour=ColourOptions("mean_and_spread", 0.5)))
    crop = replace(ready(image, anew, recipe, radius=20), noise_mask=wide)
    assert torch.equal(restore(crop, recipe).pixels, anew)


@pytest.mark.parametrize("options", [
    DetailOptions(),
    DetailOptions(drift="correct", colour=ColourOptions("covariance", 0.5), detail="match"),
    DetailOptions(colour=ColourOptions("mean_and_spread", 0.5)),
])  # fmt: skip
def test_three_frames_that_are_alike_come_back_as_one_alone(options: DetailOptions) -> None:
    recipe, frame = recipe_of(options), scenery(SIDE, SIDE)
    decoded = torch.nn.functional.interpolate((frame * 0.9 + 0.05).movedim(-1, 1), scale_factor=2.0).movedim(1, -1)
    alone = restore(ready(frame, decoded, recipe), recipe).pixels
    frames, many = (one.repeat(3, 1, 1, 1) for one in (frame, decoded))
    assert (restore(ready(frames, many, recipe), recipe).pixels - alone).abs().max() < 1e-4


@pytest.mark.parametrize("retries", [0, 1])
def test_what_can_not_be_used_keeps_the_crop(retries: int) -> None:
    image, recipe = scenery(SIDE, SIDE), recipe_of(DetailOptions(retries=retries))
    broken = torch.full((1, 320, 320, 3), float("nan"))
    made = restore(ready(image, broken, recipe), recipe)
    assert made.fault == "not finite" and torch.equal(made.pixels, image)
    black = restore(ready(image, torch.zeros(1, 320, 320, 3), recipe), recipe)
    assert black.fault == ("flat black" if retries else None)
