"""``denoise_scale`` *noise_level*: where in the schedule a part begins, for every way that models mix noise in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from comfy_extras.nodes_model_advanced import ModelSamplingFlux, ModelSamplingSD3
from engine.family_models import flux_model, sd3_model, v_prediction_model
from engine.running import detail, pipe_with, watched
from engine.tiny_models import Pipe, mask_of, picture, unet_model
from mask_detailer.detailer import host
from mask_detailer.detailer.host.schedules import level_of_share, levels_from
from mask_detailer.detailer.options import DenoiseOptions, DetailOptions

SIZE = (48, 56)
MASK = mask_of(*SIZE, (16, 16, 32, 32))
NOISE_LEVEL = DetailOptions(denoise=DenoiseOptions(scale="noise_level"))
SHARES = (0.05, 0.2, 0.4, 0.6, 0.9)


def shifted(model: Any, shift: float) -> Any:
    return ModelSamplingSD3().patch(model, shift)[0]


MODELS = {
    "eps": (unet_model, False),
    "v": (v_prediction_model, False),
    "flow": (sd3_model, True),
    "flow, shift 1": (lambda: shifted(sd3_model(), 1.0), True),
    "flow, shift 9": (lambda: shifted(sd3_model(), 9.0), True),
    "flux, shift by size": (lambda: ModelSamplingFlux().patch(flux_model(), 1.15, 0.5, 832, 1216)[0], True),
}


def wanted(share: float, is_flow: bool) -> float:
    """Flow models mix ``(1 - level) * latent + level * noise``, the others add ``level * noise``."""
    return share if is_flow else share / (1 - share)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", MODELS)
def test_level_in_closed_form(name: str, share: float) -> None:
    make, is_flow = MODELS[name]
    assert level_of_share(make(), share) == pytest.approx(wanted(share, is_flow), rel=1e-9)


@pytest.mark.parametrize("name", ["eps", "flow"])
def test_all_of_it(name: str) -> None:
    assert level_of_share(MODELS[name][0](), 1.0) is None


@pytest.mark.parametrize("name", host.schedules.core_scheduler_names())
@pytest.mark.parametrize("steps", [1, 7, 30])
def test_levels_descend_from_there(unet: Pipe, name: str, steps: int) -> None:
    whole = host.schedules.sigmas_for(unet[0], "euler", name, 1000)
    for share in SHARES:
        levels = levels_from(whole, share / (1 - share), steps)
        assert len(levels) == steps + 1 and levels[-1] == 0 and (levels.diff() < 0).all()
        assert levels[0] == pytest.approx(min(share / (1 - share), float(whole[0])), rel=1e-4)


def test_levels_of_karras_in_closed_form(unet: Pipe) -> None:
    """Equal steps of the seventh root, from there to the lowest level, and 0."""
    whole = host.schedules.sigmas_for(unet[0], "euler", "karras", 4000)
    levels = levels_from(whole, 1.5, 12).double()[:-1]
    roots = levels ** (1 / 7)
    assert roots.diff().std() < 1e-3 * roots.diff().abs().mean()


@pytest.mark.parametrize("name", ["eps", "v"])
@pytest.mark.parametrize("refiner", [False, True])
def test_first_level_that_a_model_sees(unet: Pipe, name: str, refiner: bool) -> None:
    model, seen = watched(MODELS[name][0]())
    pipe = pipe_with(unet, model=model)
    more = {"refiner_basic_pipe_opt": pipe, "refiner_ratio": 0.5} if refiner else {}
    detail(picture(*SIZE), MASK, pipe, steps=4, denoise=0.4, detail_options=NOISE_LEVEL, **more)
    levels = list(dict.fromkeys(seen))
    assert levels[0] == pytest.approx(0.4 / 0.6, rel=1e-3)
    assert len(levels) == 4 and sorted(levels, reverse=True) == levels


def test_more_changes_with_more(unet: Pipe) -> None:
    image = picture(*SIZE)
    changes = [
        float(
            (detail(image, MASK, unet, steps=4, denoise=share, detail_options=NOISE_LEVEL).image - image).abs().mean()
        )
        for share in (0.1, 0.4, 0.9)
    ]
    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_2m_sde", "uni_pc", "euler_ancestral", "dpm_2"])
def test_with_samplers(unet: Pipe, sampler: str) -> None:
    made = detail(picture(*SIZE), MASK, unet, steps=5, denoise=0.3, sampler_name=sampler, detail_options=NOISE_LEVEL)
    assert torch.isfinite(made.image).all()
