"""Crops sampled at once: each comes out as it does alone, with a fraction of the model calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.model_management
import pytest
import torch
from engine import running
from engine.running import SEGS_SIZE, Made, Recorder, near, pipe_with, segs_of, unchanged_outside
from engine.tiny_models import (
    Pipe,
    called_through,
    mask_of,
    picture,
    pooled_prompt,
    text_encoder,
    tiny_control_net,
    unet_pipe,
)
from mask_detailer.core import SEGS, mask_to_segs
from mask_detailer.detailer import host
from mask_detailer.detailer.control import ControlNetWrapper, with_control_net
from mask_detailer.detailer.pipeline import run as engine
from mask_detailer.detailer.pipeline.recipe import Recipe
from mask_detailer.detailer.values import BasicPipe
from mask_detailer.nodes.door import Door
from mask_detailer.nodes.segs_detailers import SEGSDetailer
from mask_detailer.nodes.settings import settings_of

# of ComfyUI's own samplers and libraries below it
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}") for text in ("Should have t", "To copy construct", "__array_wrap__")
]

SIZE = (72, 136)
EIGHT = [(x, y, x + 12, y + 12) for y in (12, 48) for x in (12, 44, 76, 108)]
CLOSE = 2e-3
FOR_EACH = running.SMALL | {"noise_mask": True, "force_inpaint": True}


def detail(image: torch.Tensor, mask: torch.Tensor, pipe: Any, **changes: Any) -> Made:
    return running.detail(image, mask, pipe, **({"crop_batch": 0} | changes))


def do_detail(image: torch.Tensor, segs: SEGS, pipe: Any, **changes: Any) -> Any:
    return running.do_detail(image, segs, pipe, **({"crop_batch": 0} | changes))


def eight() -> SEGS:
    return mask_to_segs(mask_of(*SIZE, *EIGHT), False, 2.0, False, 2)


def counted(pipe: Pipe) -> tuple[Any, list[int]]:
    """A pipe that notes the batch of each call of its model."""
    calls: list[int] = []

    def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        calls.append(len(arguments["input"]))
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model = called_through(pipe[0], predict)
    return pipe_with(pipe, model=model), calls


def largest_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


@pytest.mark.parametrize("sampler_name", ["euler", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde"])
def test_eight_crops_cost_the_calls_of_one(unet: Pipe, sampler_name: str) -> None:
    image, segs = picture(*SIZE), eight()
    settings: dict[str, Any] = dict(sampler_name=sampler_name, scheduler="karras", steps=4, denoise=0.7)
    pipe, calls = counted(unet)
    together = do_detail(image, segs, pipe, **settings)
    batched = len(calls)
    alone = [do_detail(image, (segs[0], [seg]), pipe, **settings, seed=7 + i)[2][0] for i, seg in enumerate(segs[1])]
    assert (len(calls) - batched) / batched == 8
    assert set(calls[:batched]) == {16}  # with and without the prompt
    for crop, own in zip(together[2], alone, strict=True):
        assert largest_difference(crop, own) < CLOSE
    assert largest_difference(alone[0], alone[1]) > 0.05


@pytest.mark.parametrize("mask_mode", [True, False])
@pytest.mark.parametrize("name", host.schedules.sampler_names())
@pytest.mark.by_turns(3)
def test_every_sampler_gives_each_crop_its_own_noise(unet: Pipe, name: str, mask_mode: bool) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, *EIGHT[:3])
    settings: dict[str, Any] = dict(sampler_name=name, scheduler="karras", steps=3, denoise=0.6, mask_mode=mask_mode)
    pipe, calls = counted(unet)
    together = detail(image, mask, pipe, **settings)
    most = max(calls)
    alone = detail(image, mask, pipe, **settings, crop_batch=1)
    assert largest_difference(together.image, alone.image) < CLOSE
    assert most == (2 if host.sampling.couples_crops(name) else 6)


VARIATIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "whole crops": lambda: {"mask_mode": False},
    "Differential Diffusion": lambda: {"noise_mask_feather": 4},
    "two cycles": lambda: {"cycle": 2, "sampler_name": "euler_ancestral"},
    "refiner": lambda: {"refiner_basic_pipe_opt": unet_pipe(4), "steps": 4, "refiner_ratio": 0.5},
    "refiner and Brownian noise": lambda: {
        "refiner_basic_pipe_opt": unet_pipe(4), "steps": 4, "refiner_ratio": 0.5, "sampler_name": "dpmpp_2m_sde",
        "scheduler": "karras",
    },
    "the last seeds": lambda: {"seed": 2**64 - 2, "sampler_name": "euler_ancestral"},
    "denoise 1": lambda: {"denoise": 1.0},
}  # fmt: skip


@pytest.mark.parametrize("changes", VARIATIONS.values(), ids=VARIATIONS.keys())
def test_all_that_a_widget_says(unet: Pipe, changes: Callable[[], dict[str, Any]]) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, *EIGHT[:5])
    pipe, calls = counted(unet)
    together = detail(image, mask, pipe, **changes())
    assert max(calls) == 10
    alone = detail(image, mask, pipe, **changes(), crop_batch=1)
    assert largest_difference(together.image, alone.image) < CLOSE
    assert unchanged_outside(together.image, image, near(mask, 4))


def test_inpainting_models() -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, *EIGHT[:4])
    pipe, calls = counted(unet_pipe(in_channels=9))
    runs = [detail(image, mask, pipe, inpaint_model=True, crop_batch=number).image for number in (1, 0)]
    assert largest_difference(*runs) < CLOSE
    assert max(calls) == 8


def test_crops_of_different_size_but_one_working_size(unet: Pipe) -> None:
    """Each noise mask is scaled from its own crop's pixels."""
    boxes = [(12, 12, 24, 24), (50, 40, 66, 56), (100, 14, 108, 22)]
    image, mask = picture(*SIZE), mask_of(*SIZE, *boxes)
    pipe, calls = counted(unet)
    runs = [detail(image, mask, pipe, guide_size_for=False, crop_batch=number).image for number in (1, 0)]
    assert max(calls) == 6
    assert largest_difference(*runs) < CLOSE


def test_crops_that_see_each_other_keep_their_order(unet: Pipe) -> None:
    boxes = [(10, 10, 30, 30), (34, 10, 54, 30), (58, 10, 78, 30), (82, 10, 102, 30)]
    image, mask = picture(*SIZE), mask_of(*SIZE, *boxes)
    pipe, calls = counted(unet)
    runs = [detail(image, mask, pipe, crop_factor=3.0, crop_batch=number).image for number in (1, 0)]
    assert largest_difference(*runs) < CLOSE
    assert set(calls) == {2}


def test_frames_and_variants_join_in(unet: Pipe) -> None:
    images = torch.cat([picture(*SIZE, seed) for seed in range(3)])
    masks = torch.cat([mask_of(*SIZE, EIGHT[i], EIGHT[i + 3]) for i in range(3)])
    pipe, calls = counted(unet)
    together = detail(images, masks, pipe, batch_size=2, sampler_name="euler_ancestral")
    assert calls == [16] * 2 + [8] * 2  # eight at once on a CPU
    alone = detail(images, masks, pipe, batch_size=2, sampler_name="euler_ancestral", crop_batch=1)
    assert largest_difference(together.image, alone.image) < CLOSE
    assert [crop.shape for crop in together.refined] == [crop.shape for crop in alone.refined]
    for crop, own in zip(together.refined, alone.refined, strict=True):
        assert largest_difference(crop, own) < CLOSE


def test_variants_of_segs_detailer(unet: Pipe) -> None:
    """They are never put back, so that even crops that overlap go together."""
    image, segs = picture(*SEGS_SIZE), segs_of((20, 20, 36, 36), (40, 20, 56, 36))
    pipe, calls = counted(unet)
    widgets: dict[str, Any] = dict(
        guide_size=64.0, guide_size_for=True, max_size=128.0, seed=3, steps=2, cfg=3.0, sampler_name="euler",
        scheduler="normal", denoise=0.5, noise_mask=True, force_inpaint=True, refiner_ratio=0.2, batch_size=3,
    )  # fmt: skip
    together, _ = SEGSDetailer().doit(image, segs, pipe, **widgets)
    assert calls == [12] * 2
    alone, _ = SEGSDetailer().doit(image, segs, pipe, **widgets, crop_batch=1)
    for crop, own in zip(together[1], alone[1], strict=True):
        assert largest_difference(torch.as_tensor(crop.cropped_image), torch.as_tensor(own.cropped_image)) < CLOSE


@pytest.mark.parametrize(("number", "sizes"), [(0, {16}), (1, {2}), (3, {6, 4}), (64, {16})])
def test_crop_batch_says_how_many(unet: Pipe, number: int, sizes: set[int]) -> None:
    pipe, calls = counted(unet)
    detail(picture(*SIZE), mask_of(*SIZE, *EIGHT), pipe, crop_batch=number)
    assert set(calls) == sizes


def test_as_many_as_fit_into_memory(unet: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ComfyUI's estimate of what one crop with and without prompt needs."""
    import comfy.model_management

    one = unet[0].model.memory_required([2, 4, 16, 16])

    def free(dev: Any = None, torch_free_too: bool = False) -> Any:
        room = 2 * 3.5 * one  # half of it is for us
        return (room, room) if torch_free_too else room

    monkeypatch.setattr(comfy.model_management, "get_free_memory", free)
    pipe, calls = counted(unet)
    detail(picture(*SIZE), mask_of(*SIZE, *EIGHT), pipe)
    assert max(calls) == 6


def test_out_of_memory_halves_the_batch(unet: Pipe, told: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        calls.append(len(arguments["input"]))
        if calls[-1] > 4:
            raise torch.OutOfMemoryError("HIP out of memory. Tried to allocate 5 TiB")
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    image, mask = picture(*SIZE), mask_of(*SIZE, *EIGHT)
    model = called_through(unet[0], predict)
    made = detail(image, mask, pipe_with(unet, model=model))
    assert largest_difference(made.image, detail(image, mask, unet, crop_batch=1).image) < CLOSE
    assert [size for size in calls if size > 4] == [16, 8]  # what was learnt holds for the rest
    warnings = [record.getMessage() for record in told.records if record.levelname == "WARNING"]
    assert len(warnings) == 2 and "8 crops at once" in warnings[0] and "going on with 4 at a time" in warnings[0]


def test_out_of_memory_for_a_single_crop_names_it(unet: Pipe, told: pytest.LogCaptureFixture) -> None:
    def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = called_through(unet[0], predict)
    with pytest.raises(torch.OutOfMemoryError):
        detail(picture(*SIZE), mask_of(*SIZE, EIGHT[0]), pipe_with(unet, model=model))
    assert "segment 1: not enough memory. A lower guide_size or max_size needs less" in told.text
    comfy.model_management.unload_all_models()  # or the model that others use too goes on being called through ours


# --- what makes crops go one by one, and what does not --------------------------------------------------------------


def test_hooks_that_treat_each_crop(unet: Pipe, told: pytest.LogCaptureFixture) -> None:
    pipe, calls = counted(unet)
    detail(picture(*SIZE), mask_of(*SIZE, *EIGHT[:3]), pipe, detailer_hook=Recorder())
    assert set(calls) == {2}
    assert "crops are sampled one at a time: the detailer_hook may treat each in its own way" in told.text


def test_a_hook_that_only_looks_at_what_was_found(unet: Pipe) -> None:
    class Filter:
        def post_detection(self, segs: Any) -> Any:
            return segs

        def set_steps(self, info: Any) -> None:
            pass

    pipe, calls = counted(unet)
    detail(picture(*SIZE), mask_of(*SIZE, *EIGHT[:3]), pipe, detailer_hook=Filter())
    assert set(calls) == {6}


def test_retries_without_a_hook_that_judges(unet: Pipe) -> None:
    pipe, calls = counted(unet)
    settings = settings_of(Door("test"), FOR_EACH | {"crop_batch": 0, "max_retries": 3})
    segs = eight()
    frame = engine.Picture(picture(*SIZE), segs, 7)
    list(engine.detail([frame], 1, Recipe(BasicPipe(*pipe), settings)))
    assert set(calls) == {16}


def test_a_sampler_that_couples_crops(unet: Pipe, told: pytest.LogCaptureFixture) -> None:
    detail(picture(*SIZE), mask_of(*SIZE, *EIGHT[:2]), unet, sampler_name="dpm_adaptive")
    assert "one at a time: the sampler dpm_adaptive would let one change another" in told.text


def test_texts_of_their_own(unet: Pipe) -> None:
    pipe, calls = counted(pipe_with(unet, clip=text_encoder()))
    texts = "[ASC]a red emblem[SEP]a green leaf[SEP]letters[SEP]woven cloth"
    runs = [do_detail(picture(*SIZE), eight(), pipe, wildcard_opt=texts, crop_batch=number)[0] for number in (1, 0)]
    assert largest_difference(*runs) < CLOSE
    assert max(calls) == 8  # ComfyUI asks for the shorter negative apart
    other = do_detail(picture(*SIZE), eight(), pipe, wildcard_opt="a red emblem")[0]
    assert largest_difference(other, runs[0]) > 0.02


def test_texts_of_different_length_do_not_mix(unet: Pipe, told: pytest.LogCaptureFixture) -> None:
    pipe, calls = counted(pipe_with(unet, clip=text_encoder()))
    segs = eight()[0], eight()[1][:4]
    texts = f"[ASC]short[SEP]{'many words ' * 60}[SEP]short too[SEP]{'other words ' * 60}"
    runs = [do_detail(picture(*SIZE), segs, pipe, wildcard_opt=texts, crop_batch=number)[0] for number in (1, 0)]
    assert largest_difference(*runs) < CLOSE
    assert "is not sampled along with segment 1: they differ in the prompts' lengths" in told.text
    assert max(calls) == 2


def masked(positive: Any, **more: Any) -> Any:
    mask = torch.linspace(0, 1, SIZE[1]).expand(1, *SIZE)
    return [[positive[0][0], {**positive[0][1], "mask": mask, "mask_strength": 1.0, **more}], *pooled_prompt(5)]


def test_masked_prompts(unet: Pipe) -> None:
    """Each crop has its own part of the mask; one over the crop's latent is as good as one over its pixels."""
    pipe, calls = counted(pipe_with(unet, positive=masked(unet[3])))
    image, mask = picture(*SIZE), mask_of(*SIZE, *EIGHT)
    runs = [detail(image, mask, pipe, crop_batch=number).image for number in (1, 0)]
    assert largest_difference(*runs) < CLOSE
    assert max(calls) == 24


@pytest.mark.parametrize(
    "options", [{"area": (6, 10, 1, 2), "strength": 0.8}, {"set_area_to_bounds": True}], ids=["area", "mask bounds"]
)
def test_areas_differ_from_crop_to_crop(unet: Pipe, told: pytest.LogCaptureFixture, options: dict[str, Any]) -> None:
    positive = masked(unet[3], **options) if "set_area_to_bounds" in options else [[unet[3][0][0], options], unet[4][0]]
    pipe, _ = counted(pipe_with(unet, positive=positive))
    image, mask = picture(*SIZE), mask_of(*SIZE, *EIGHT)
    runs = [detail(image, mask, pipe, crop_batch=number).image for number in (1, 0)]
    assert largest_difference(*runs) < CLOSE
    assert "they differ in " in told.text


def test_control_nets(unet: Pipe, tmp_path: Path, told: pytest.LogCaptureFixture) -> None:
    """Each crop has a hint of its own."""
    wrapper = ControlNetWrapper(tiny_control_net(tmp_path), 1.0)
    segs = with_control_net(eight(), wrapper, None)
    runs = [do_detail(picture(*SIZE), segs, unet, crop_batch=number) for number in (1, 0)]
    assert largest_difference(runs[0][0], runs[1][0]) < CLOSE
    assert len(runs[1][4]) == 8
    assert "they differ in control" in told.text


# --- a clip ---------------------------------------------------------------------------------------------------------


def test_a_clip_streams_through(unet: Pipe) -> None:
    """Pictures are asked for as there is room, and handed on as soon as they are finished."""
    settings = settings_of(Door("test"), FOR_EACH | {"crop_batch": 4})
    frames = [picture(*SIZE, seed) for seed in range(12)]
    asked: list[int] = []

    def pictures() -> Any:
        for index, frame in enumerate(frames):
            asked.append(index)
            segs = mask_to_segs(mask_of(*SIZE, EIGHT[index % 8]), False, 2.0, False, 2)
            yield engine.Picture(frame.clone(), segs, 7)

    asked_by_then = []
    for index, done in enumerate(engine.detail(pictures(), 12, Recipe(BasicPipe(*unet), settings))):
        asked_by_then.append(len(asked))
        alone = detail(frames[index], mask_of(*SIZE, EIGHT[index % 8]), unet)
        assert largest_difference(done.image, alone.image) < CLOSE
    assert asked_by_then == [4] * 4 + [8] * 4 + [12] * 4
