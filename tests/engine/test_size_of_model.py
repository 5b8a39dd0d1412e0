"""``size_mode`` *model*: as many pixels as the connected model was trained at, in multiples of what it needs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from engine.families import FAMILIES, SIZE, Family, family_mask, family_picture
from engine.running import SMALL
from engine.tiny_models import Pipe, called_through
from mask_detailer.detailer.host.families import cells_per_step
from mask_detailer.detailer.options import DetailOptions, WorkingSizeOptions
from mask_detailer.nodes.detailers import MaskDetailerPipe
from mask_detailer.nodes.plan import MaskDetailerPlan

MODEL = DetailOptions(size=WorkingSizeOptions("model"))
WIDGETS: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, sampler_name="euler", feather=4, force_inpaint=True,
    crop_factor=2.0, drop_size=2, batch_size=1,
)  # fmt: skip

# the family's name and side, and pixels of a patch of the model that the tests have of it; U-Nets halve 3 times
TRAINED = {
    "sd1 eps": ("SD 1.5", 512), "sd1 inpaint": ("SD 1.5", 512), "sd3 flow": ("SD 3", 1024),
    "flux guided": ("Flux", 1024), "flux kontext": ("Flux", 1024), "wan": ("Wan", 832),
    "qwen image": ("Qwen Image", 1328), "flux2, 16 pixels a cell": ("Flux 2", 1024),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_the_plan_says_what_the_model_was_trained_at(name: str) -> None:
    family: Family = next(one for one in FAMILIES if one.name == name)
    if family.absent:
        pytest.skip(family.absent)
    wanted, side = TRAINED[name]
    multiple = 8 * cells_per_step(family.pipe[0]) if "16 pixels" not in name else 16
    made: Any = MaskDetailerPlan().doit(
        family_picture(), family.pipe, mask=family_mask(), detail_options=MODEL, **WIDGETS
    )["result"]  # fmt: skip
    text, rows = made[1], json.loads(made[2])
    assert f"as {wanted} was trained: {side}x{side} pixels, multiples of {multiple}" in text
    for row in rows:
        width, height = row["working"]
        assert width % multiple == height % multiple == 0
        assert 0.75 * side**2 < width * height <= side**2
        left, top, right, bottom = row["crop"]
        assert abs(width * (bottom - top) / (height * (right - left)) - 1) < 0.01


def test_cells_of_a_step(unet: Pipe, flow: Pipe) -> None:
    assert cells_per_step(unet[0]) == 2 ** (len(unet[0].model.diffusion_model.channel_mult) - 1)
    assert cells_per_step(flow[0]) == flow[0].model.diffusion_model.patch_size
    assert cells_per_step(object()) == 1  # type: ignore[arg-type]


def test_a_detailer_works_at_that_size(unet: Pipe) -> None:
    sizes: list[tuple[int, int]] = []

    def predict(apply: Any, given: dict[str, Any]) -> Any:
        sizes.append(tuple(8 * side for side in given["input"].shape[-2:]))
        return apply(given["input"], given["timestep"], **given["c"])

    pipe = (called_through(unet[0], predict), *unet[1:])
    widgets = SMALL | {"steps": 1, "cfg": 1.0, "crop_factor": 1.5, "detail_options": MODEL}
    mask = family_mask()
    mask[:, 48:] = 0
    mask[..., SIZE[1] // 4 :] = 0
    MaskDetailerPipe().doit(family_picture(), mask, pipe, **widgets)
    assert set(sizes) == {(512, 512)}
