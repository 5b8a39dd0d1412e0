"""Schedules: every name that is offered, slicing, and scheduler functions."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import pytest
import torch
from engine.running import Recorder, detail, pipe_with, watched
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer import host
from mask_detailer.detailer.ksampler import Stages

pytestmark = pytest.mark.filterwarnings("ignore:Should have t")  # a Brownian tree on rounding

SIZE = (48, 56)
MASK = mask_of(*SIZE, (16, 16, 32, 32))
CORE = list(comfy.samplers.KSampler.SCHEDULERS)
FLOW_ONLY = ("OSS FLUX", "OSS Wan", "OSS Chroma", "LTXV[default]")
NAMES = host.schedules.scheduler_names()


def test_names_are_cores_and_then_ours() -> None:
    assert NAMES[: len(CORE)] == CORE
    assert NAMES[len(CORE) :] == [
        "AYS SDXL", "AYS SD1", "AYS SVD", "GITS[coeff=1.2]", "LTXV[default]", "OSS FLUX", "OSS Wan", "OSS Chroma"
    ]  # fmt: skip


def test_names_of_other_packs_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comfy.samplers.KSampler, "SCHEDULERS", [*CORE, "another"])
    assert "another" in host.schedules.scheduler_names()


@pytest.mark.parametrize("steps", [1, 4, 20, 37])
@pytest.mark.parametrize("name", NAMES)
def test_schedule_descends_to_zero(unet: Pipe, flow: Pipe, name: str, steps: int) -> None:
    steps = max(steps, 2) if name == "kl_optimal" else steps  # ComfyUI divides by steps - 1 there
    model = (flow if name in FLOW_ONLY else unet)[0]
    sigmas = host.schedules.sigmas_for(model, "euler", name, steps)
    assert sigmas.ndim == 1
    assert len(sigmas) == steps + 1 or name in ("ddim_uniform", "beta")
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_details(unet: Pipe, flow: Pipe, name: str) -> None:
    pipe = flow if name in FLOW_ONLY else unet
    image = picture(*SIZE)
    made = detail(image, MASK, pipe, scheduler=name, steps=3)
    assert torch.isfinite(made.image).all()
    assert not torch.equal(made.image, image)


@pytest.mark.parametrize("sampler_name", ["euler", "dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"])
@pytest.mark.parametrize("name", [name for name in CORE if name != "ddim_uniform"])
def test_levels_are_those_of_ksampler(unet: Pipe, name: str, sampler_name: str) -> None:
    steps, denoise = 7, 0.45
    wanted = comfy.samplers.KSampler(unet[0], steps, "cpu", sampler_name, name, denoise).sigmas
    stages = Stages.of(steps, denoise)
    sigmas = stages.cut(host.schedules.sigmas_for(unet[0], sampler_name, name, stages.total))
    assert torch.equal(sigmas[stages.start :], wanted)


@pytest.mark.parametrize("name", ["AYS SD1", "GITS[coeff=1.2]"])
def test_two_evaluation_samplers_lose_the_last_level_but_one(unet: Pipe, name: str) -> None:
    whole = host.schedules.sigmas_for(unet[0], "euler", name, 9)
    assert torch.equal(host.schedules.sigmas_for(unet[0], "dpm_2", name, 8), torch.cat([whole[:-2], whole[-1:]]))


def test_schedule_that_is_longer_than_asked_for(unet: Pipe) -> None:
    """It is cut after as many steps as were asked for, and starts where one of the right length would."""
    steps, denoise = 3, 0.42
    total = int(steps / denoise)
    whole = host.schedules.sigmas_for(unet[0], "euler", "ddim_uniform", total)
    assert len(whole) > total + 1
    model, asked = watched(unet[0])
    pipe = pipe_with(unet, model=model)
    detail(picture(*SIZE), MASK, pipe, scheduler="ddim_uniform", steps=steps, denoise=denoise, cfg=1.0)
    assert asked == pytest.approx(whole[total - steps : total].tolist())


def test_schedule_that_is_shorter_gives_fewer_steps(unet: Pipe) -> None:
    model, asked = watched(unet[0])
    short = torch.tensor([14.0, 5.0, 2.0, 1.0, 0.5, 0.0])
    detail(
        picture(*SIZE), MASK, pipe_with(unet, model=model), steps=3, denoise=0.5, cfg=1.0,
        scheduler_func_opt=lambda *_: short,
    )  # fmt: skip
    assert asked == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize("length", [0, 1, 3])
def test_schedule_that_ends_before_the_start(unet: Pipe, length: int, told: pytest.LogCaptureFixture) -> None:
    hook = Recorder()
    detail(
        picture(*SIZE), MASK, unet, steps=4, denoise=0.4, detailer_hook=hook,
        scheduler_func_opt=lambda *_: torch.linspace(3.0, 0.0, length),
    )  # fmt: skip
    assert torch.equal(hook.all("pre_decode")[0]["samples"], hook.all("post_encode")[0]["samples"])
    warnings = [record.message for record in told.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith("segment 1: ")


@pytest.mark.parametrize("sampler_name", ["euler", "dpm_2", "dpmpp_sde"])
@pytest.mark.parametrize("surplus", [0, 5])
def test_scheduler_functions_tensor_is_not_changed(unet: Pipe, sampler_name: str, surplus: int) -> None:
    asked: list[tuple[Any, str, int]] = []
    given: list[torch.Tensor] = []

    def schedule(model: Any, name: str, steps: int) -> torch.Tensor:
        asked.append((model, name, steps))
        given.append(torch.linspace(9.0, 0.0, steps + 1 + surplus))
        return given[-1]

    detail(picture(*SIZE), MASK, unet, steps=3, sampler_name=sampler_name, scheduler_func_opt=schedule)
    assert [(name, steps) for _, name, steps in asked] == [(sampler_name, 6)] * len(asked)
    assert asked
    for sigmas in given:
        assert torch.equal(sigmas, torch.linspace(9.0, 0.0, 7 + surplus))


def test_scheduler_function_replaces_the_scheduler(unet: Pipe) -> None:
    made = detail(
        picture(*SIZE), MASK, unet, scheduler="normal",
        scheduler_func_opt=lambda model, _, steps: host.schedules.sigmas_for(model, "euler", "karras", steps),
    )  # fmt: skip
    assert torch.equal(made.image, detail(picture(*SIZE), MASK, unet, scheduler="karras").image)


def test_smallest_denoise(unet: Pipe) -> None:
    """One step of ten thousand: hardly a change, and no error."""
    image = picture(*SIZE)
    made = detail(image, MASK, unet, scheduler="karras", steps=1, denoise=0.0001)
    assert torch.isfinite(made.image).all()
    assert (made.image - image).abs().max() < 0.25
