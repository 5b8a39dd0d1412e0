"""Each input of MaskDetailerPipe, turned alone: it changes what it should and nothing else.

A run is taken apart into facets: what the engine asked of ComfyUI crop by crop, and what came out. A row of the table
names the facets that must change; all others must stay equal, tensors bit for bit. Outside of the paste mask the
picture must stay equal in every run.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from engine.running import Recorder, detail, near, same, shapes, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture, unet_pipe
from mask_detailer.detailer.options import DetailOptions
from mask_detailer.nodes.detailers import MaskDetailerPipe
from scipy.ndimage import binary_fill_holes

SIZE = (144, 160)
SQUARE, WIDE, SPECK = (20, 16, 44, 40), (84, 92, 120, 112), (130, 30, 134, 34)
WIDGETS = ("steps", "cfg", "sampler_name", "scheduler", "denoise")
BASE: dict[str, Any] = dict(max_size=160.0, drop_size=6)

SAMPLED = {"refined", "image"}
CUT = {"size", "encoded", "noise_mask", "shapes", "alpha", *SAMPLED}
MORE_CROPS = {"count", "seed", *CUT}

Facets = dict[str, Any]


class Inverting(Recorder):
    """A hook that does something."""

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return 1.0 - super().post_decode(pixels)


def linear_schedule(model: Any, sampler_name: str, steps: int) -> torch.Tensor:
    return torch.linspace(5.0, 0.0, steps + 1)


@cache
def other_pipe(in_channels: int = 4) -> Pipe:
    return unet_pipe(3, in_channels)


def marked(wide: tuple[int, int, int, int] = WIDE) -> torch.Tensor:
    """Two parts, one with a hole and one partly soft, and a speck."""
    mask = mask_of(*SIZE, SQUARE, wide, SPECK)
    mask[0, 24:32, 28:36] = 0.0
    mask[0, wide[1] + 4 : wide[1] + 8, wide[0] + 6 : wide[2] - 6] *= 0.5
    return mask


class Row(NamedTuple):
    """What an input is turned to, the facets that change, and what is set in both runs for the input to matter."""

    name: str
    value: Any
    changes: set[str]
    beside: dict[str, Any] = {}


def table() -> list[Row]:
    return [
        Row("image", picture(*SIZE, seed=2), {"encoded", *SAMPLED}),
        Row("mask", marked((87, 93, 123, 113)), {"encoded", *SAMPLED}),
        Row("basic_pipe", other_pipe(), SAMPLED),
        Row("guide_size", 56.0, {"size", "encoded", *SAMPLED}),
        Row("guide_size_for", False, {"size", "encoded", *SAMPLED}),
        Row("max_size", 96.0, {"size", "encoded", *SAMPLED}),
        Row("mask_mode", False, {"noise_mask", *SAMPLED}),
        Row("seed", 8, {"seed", *SAMPLED}),
        Row("steps", 3, {"steps", *SAMPLED}),
        Row("cfg", 5.0, {"cfg", *SAMPLED}),
        Row("sampler_name", "heun", {"sampler_name", *SAMPLED}),
        Row("scheduler", "karras", {"scheduler", *SAMPLED}),
        Row("denoise", 0.7, {"denoise", *SAMPLED}),
        Row("feather", 9, {"alpha", "image"}),
        Row("crop_factor", 1.5, CUT),
        Row("drop_size", 2, MORE_CROPS),
        Row("refiner_ratio", 0.5, set()),
        Row("refiner_ratio", 0.5, SAMPLED, {"refiner_basic_pipe_opt": other_pipe(), "steps": 4}),
        Row("batch_size", 2, {"frames", *MORE_CROPS}),
        Row("cycle", 2, {"seed", *SAMPLED}),
        Row("refiner_basic_pipe_opt", other_pipe(), SAMPLED),
        Row("detailer_hook", Inverting(), SAMPLED),
        Row("inpaint_model", True, {"options", "noise_mask", *SAMPLED}, {"basic_pipe": other_pipe(9)}),
        Row("noise_mask_feather", 6, {"noise_mask", "differential", *SAMPLED}),
        Row("bbox_fill", True, {"noise_mask", "alpha", *SAMPLED}, {"contour_fill": False}),
        Row("contour_fill", False, {"noise_mask", "alpha", *SAMPLED}),
        Row("scheduler_func_opt", linear_schedule, SAMPLED),
        Row("crop_batch", 4, set()),
        Row("detail_options", DetailOptions(fill="neutral"), {"encoded", *SAMPLED}),
        Row("choices", '{"1": {"seed": 99}}', {"seed", *SAMPLED}),
    ]


@pytest.mark.parametrize("index", range(len(table())), ids=[row.name for row in table()])
def test_input(index: int, unet: Pipe) -> None:
    row = table()[index]
    before, after = facets(unet, **row.beside), facets(unet, **row.beside, **{row.name: row.value})
    changed = {name for name in before if not same(before[name], after[name])}
    assert changed == row.changes


def test_table_has_every_input() -> None:
    declared = MaskDetailerPipe.INPUT_TYPES()
    assert {row.name for row in table()} == {*declared["required"], *declared["optional"]}
    assert len(declared["required"]) + len(declared["optional"]) == 29


def facets(pipe: Pipe, **turned: Any) -> Facets:
    """Run the node and take apart what it did."""
    inputs = {
        "image": picture(*SIZE),
        "mask": marked(),
        "basic_pipe": pipe,
        "detailer_hook": Recorder(),
        **BASE,
        **turned,
    }
    image, mask, hook = inputs["image"], inputs["mask"], inputs["detailer_hook"]
    made = detail(
        image, mask, **{"pipe" if k == "basic_pipe" else k: v for k, v in inputs.items() if k not in ("image", "mask")}
    )
    assert unchanged_outside(made.image, image, reach(mask, inputs))
    calls = hook.seen["pre_ksample"]
    return {
        "frames": len(made.image),
        "count": len(made.refined),
        "size": hook.seen["touch_scaled_size"],
        "encoded": [latent["samples"] for latent in hook.all("post_encode")],
        "noise_mask": [latent.get("noise_mask") for latent in hook.all("post_encode")],
        "seed": [call[1] for call in calls],
        **{name: {call[index] for call in calls} for name, index in zip(WIDGETS, (2, 3, 4, 5, 9), strict=True)},
        "options": [sorted(call[6][0][1]) for call in calls][-1],
        "differential": {"denoise_mask_function" in call[0].model_options for call in calls},
        "shapes": shapes(made.refined),
        "refined": made.refined,
        "alpha": made.alphas,
        "image": made.image,
    }


def reach(mask: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
    """Where the picture may change: the filled parts, blurred."""
    filled = torch.from_numpy(binary_fill_holes(mask[0].numpy() > 0)).float()[None]
    return near(filled, inputs.get("feather", 4))


def test_variants_are_solo_runs_with_the_next_seeds(unet: Pipe) -> None:
    image, mask = picture(*SIZE), marked()
    both = detail(image, mask, unet, batch_size=3, seed=2**64 - 2)
    solo = [detail(image, mask, unet, seed=seed) for seed in (2**64 - 2, 2**64 - 1, 0)]
    assert torch.equal(both.image, torch.cat([made.image for made in solo]))
    assert same(both.refined, [crop for made in solo for crop in made.refined])


def test_pipes_are_passed_through(unet: Pipe) -> None:
    made = detail(picture(*SIZE), marked(), unet, refiner_basic_pipe_opt=other_pipe())
    assert made.basic_pipe is unet
    assert made.refiner_pipe is other_pipe()
    assert detail(picture(*SIZE), None, unet).refiner_pipe is None


def test_scheduler_function_is_asked_for_the_whole_schedule(unet: Pipe) -> None:
    asked = []

    def schedule(model: Any, sampler_name: str, steps: int) -> torch.Tensor:
        asked.append((sampler_name, steps))
        return linear_schedule(model, sampler_name, steps)

    detail(picture(*SIZE), mask_of(*SIZE, SQUARE), unet, steps=4, denoise=0.4, scheduler_func_opt=schedule)
    assert asked == [("euler", 10)]
