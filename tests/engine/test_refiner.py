"""Two models in turn: which noise levels each is asked at, and what passes between them."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import pytest
import torch
from engine.running import Recorder, detail, pipe_with, watched
from engine.tiny_models import Pipe, mask_of, picture, unet_pipe

SIZE = (64, 72)
MASK = mask_of(*SIZE, (24, 24, 40, 40))


@pytest.fixture(scope="module")
def refiner() -> Pipe:
    return unet_pipe(4)


def levels(model: Any, steps: int, denoise: float) -> list[float]:
    return comfy.samplers.KSampler(model, steps, "cpu", "euler", "normal", denoise).sigmas[:-1].tolist()


@pytest.mark.parametrize(
    ("ratio", "first"), [(0.0, 8), (0.1, 7), (0.2, 6), (0.25, 6), (0.5, 4), (0.9, 0), (0.99, 0), (1.0, 0)]
)
def test_noise_levels_of_each_model(unet: Pipe, refiner: Pipe, ratio: float, first: int) -> None:
    base_model, base_levels = watched(unet[0])
    refiner_model, refiner_levels = watched(refiner[0])
    detail(
        picture(*SIZE), MASK, pipe_with(unet, model=base_model), steps=8, refiner_ratio=ratio, cfg=1.0,
        refiner_basic_pipe_opt=pipe_with(refiner, model=refiner_model),
    )  # fmt: skip
    wanted = levels(unet[0], 8, 0.5)
    assert base_levels == pytest.approx(wanted[:first])
    assert refiner_levels == pytest.approx(wanted[first:])


@pytest.mark.parametrize("mask_mode", [True, False])
def test_ratio_0_is_the_base_alone(unet: Pipe, refiner: Pipe, mask_mode: bool) -> None:
    made = detail(picture(*SIZE), MASK, unet, refiner_basic_pipe_opt=refiner, refiner_ratio=0.0, mask_mode=mask_mode)
    assert torch.equal(made.image, detail(picture(*SIZE), MASK, unet, mask_mode=mask_mode).image)


@pytest.mark.parametrize("mask_mode", [True, False])
def test_ratio_1_is_the_refiner_alone(unet: Pipe, refiner: Pipe, mask_mode: bool) -> None:
    """With fresh noise: an empty first stage adds none."""
    made = detail(picture(*SIZE), MASK, unet, refiner_basic_pipe_opt=refiner, refiner_ratio=1.0, mask_mode=mask_mode)
    assert torch.equal(made.image, detail(picture(*SIZE), MASK, refiner, mask_mode=mask_mode).image)


@pytest.mark.parametrize("mask_mode", [True, False])
@pytest.mark.parametrize("cycle", [1, 2])
def test_second_stage_adds_no_noise(flow: Pipe, mask_mode: bool, cycle: int) -> None:
    """A model without velocity keeps the first stage's noise to the end: two stages give what one gives."""
    settings: dict[str, Any] = dict(steps=4, mask_mode=mask_mode, cycle=cycle, feather=0)
    one = detail(picture(*SIZE), MASK, flow, **settings)
    two = detail(picture(*SIZE), MASK, flow, **settings, refiner_basic_pipe_opt=flow, refiner_ratio=0.5)
    torch.testing.assert_close(two.image, one.image, atol=2e-5, rtol=0)


def test_same_model_twice_is_close_to_once(unet: Pipe) -> None:
    """Without a noise mask, stopping and going on changes nothing but rounding."""
    settings: dict[str, Any] = dict(steps=4, mask_mode=False)
    one = detail(picture(*SIZE), MASK, unet, **settings)
    two = detail(picture(*SIZE), MASK, unet, **settings, refiner_basic_pipe_opt=unet, refiner_ratio=0.5)
    torch.testing.assert_close(two.image, one.image, atol=1e-4, rtol=0)


def test_two_stages_stay_on_one_brownian_path(unet: Pipe) -> None:
    settings: dict[str, Any] = dict(steps=4, mask_mode=False, sampler_name="dpmpp_sde", scheduler="karras")
    one = detail(picture(*SIZE), MASK, unet, **settings)
    two = detail(picture(*SIZE), MASK, unet, **settings, refiner_basic_pipe_opt=unet, refiner_ratio=0.5)
    torch.testing.assert_close(two.image, one.image, atol=1e-3, rtol=0)


def test_outside_of_the_noise_mask_the_latent_is_clean(unet: Pipe, refiner: Pipe) -> None:
    hook = Recorder()
    detail(picture(*SIZE), MASK, unet, steps=4, refiner_basic_pipe_opt=refiner, refiner_ratio=0.5, detailer_hook=hook)
    encoded, refined = (hook.all(name)[0]["samples"] for name in ("post_encode", "pre_decode"))
    covered = torch.zeros(16, 16, dtype=torch.bool)
    covered[4:12, 4:12] = True  # a crop of 32 pixels, 16 of them masked, on 16 cells
    torch.testing.assert_close(refined[..., ~covered], encoded[..., ~covered], atol=1e-5, rtol=0)
    assert (refined - encoded)[..., covered].abs().mean() > 0.1


def test_refiner_takes_its_own_conditioning(unet: Pipe, refiner: Pipe) -> None:
    other = pipe_with(refiner, positive=refiner[4])
    made, changed = (
        detail(picture(*SIZE), MASK, unet, steps=4, refiner_basic_pipe_opt=pipe, refiner_ratio=0.5).image
        for pipe in (refiner, other)
    )
    assert not torch.equal(made, changed)


def test_refiner_vae_is_not_used(unet: Pipe, refiner: Pipe) -> None:
    made, without = (
        detail(picture(*SIZE), MASK, unet, steps=4, refiner_basic_pipe_opt=pipe, refiner_ratio=0.5).image
        for pipe in (refiner, pipe_with(refiner, vae="no VAE"))
    )
    assert torch.equal(made, without)
