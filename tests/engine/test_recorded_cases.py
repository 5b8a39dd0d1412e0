"""Eight pictures as the nodes made them whose saved workflows we keep working: recorded in ComfyUI 0.30.0 on a CPU.

`tests/data/visible.npz` holds of each case NAME the changed box (`NAME/box`: x1 y1 x2 y2), the box's pixels as uint16
(`NAME`), and the shapes of the refined crops in order (`NAME/crops`). Their models predict no noise, so cfg and prompts
are not part of what is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.running import decibels, detail, shapes
from engine.tiny_models import box_vae, mask_of, picture, taesd_vae, unet_pipe

RECORDED = Path(__file__).parents[1] / "data" / "visible.npz"
WIDGETS: dict[str, Any] = dict(
    guide_size=192.0, guide_size_for=True, max_size=512.0, mask_mode=True, seed=1, steps=4, cfg=3.0,
    sampler_name="euler", scheduler="normal", denoise=0.5, feather=5, crop_factor=2.0, drop_size=10, refiner_ratio=0.2,
    batch_size=1, cycle=1, noise_mask_feather=20,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A picture of ``size`` (height, width) with a mask of ``boxes``, and the widgets that differ."""

    size: tuple[int, int]
    boxes: list[tuple[int, int, int, int]]
    widgets: dict[str, Any] = field(default_factory=dict)
    refiner: int | None = None
    in_channels: int = 4


ONE = [(90, 90, 180, 160)]
THREE = [(30, 40, 90, 100), (200, 60, 270, 120), (120, 220, 190, 300)]
CASES = {
    "plain": Case((352, 416), [(80, 60, 170, 150)], dict(seed=11)),
    "three": Case((400, 400), THREE, dict(seed=3, feather=9)),
    "whole_crop": Case((384, 416), [(150, 120, 230, 190)], dict(mask_mode=False, seed=21, denoise=0.35)),
    "crop_guide": Case(
        (416, 384), [(60, 200, 160, 300)], dict(guide_size_for=False, guide_size=256.0, crop_factor=1.7)
    ),
    "two_cycles": Case((320, 352), ONE, dict(cycle=2, seed=40, denoise=0.4)),
    "refined": Case((320, 352), ONE, dict(refiner_ratio=0.25, steps=8), refiner=4),
    "sde_karras": Case((320, 352), ONE, dict(sampler_name="dpmpp_sde", scheduler="karras", denoise=0.45)),
    "inpaint_model": Case((320, 352), ONE, dict(inpaint_model=True), in_channels=9),
}


@pytest.mark.parametrize("name", CASES)
def test_recorded_case(name: str, record_property: Any) -> None:
    case = CASES[name]
    with np.load(RECORDED) as recorded:
        x1, y1, x2, y2 = recorded[f"{name}/box"]
        wanted = torch.from_numpy(recorded[name].astype(np.float32) / 65535)
        crops = recorded[f"{name}/crops"].tolist()
    image = picture(*case.size, seed=sum(map(sum, case.boxes)) % 97)
    widgets = WIDGETS | case.widgets
    vae = box_vae(soft=True)
    if case.refiner is not None:
        widgets["refiner_basic_pipe_opt"] = unet_pipe(case.refiner, vae=vae, silent=True)

    made = detail(image, mask_of(*case.size, *case.boxes), unet_pipe(0, case.in_channels, vae, silent=True), **widgets)

    inside = made.image[0, y1:y2, x1:x2].clone()
    record_property("decibels", round(decibels(inside, wanted), 2))
    assert decibels(inside, wanted) >= 40
    outside = made.image.clone()
    outside[0, y1:y2, x1:x2] = image[0, y1:y2, x1:x2]
    assert torch.equal(outside, image)
    assert shapes(made.refined) == crops


def test_fast_codec_is_the_recorded_one() -> None:
    image, latent = picture(48, 72), 20 * torch.randn(1, 4, 6, 9)
    fast, slow = box_vae(soft=True), taesd_vae()
    torch.testing.assert_close(fast.encode(image), slow.encode(image), atol=2e-5, rtol=0)
    torch.testing.assert_close(fast.decode(latent), slow.decode(latent), atol=2e-6, rtol=0)
