"""The sampling group and the KSamplers that take a pipe: the same latents as ComfyUI's own KSamplers give."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import comfy.utils
import pytest
import torch
from comfy_extras.nodes_gits import GITSScheduler
from engine.running import pipe_with, same, watched
from engine.tiny_models import CONTEXT_WIDTH, Pipe, conditioning, still_clip_model
from mask_detailer.detailer import host
from mask_detailer.nodes import sampling as nodes
from mask_detailer.nodes.validate import InputError

import nodes as comfy_nodes

pytestmark = pytest.mark.filterwarnings("ignore:Should have t")  # a Brownian tree on rounding

LARGEST_SEED = 2**64 - 1
BROWNIAN = ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_2m_sde_gpu"]
WIDGETS: dict[str, Any] = dict(steps=5, cfg=3.0, sampler_name="euler", scheduler="normal")


def latent_of(*shape: int, **more: Any) -> dict[str, Any]:
    samples = torch.randn(*(shape or (1, 4, 8, 8)), generator=torch.Generator().manual_seed(1))
    return {"samples": samples, **more}


def ours(pipe: Any, latent: Any, denoise: float = 1.0, **changes: Any) -> dict[str, Any]:
    widgets = WIDGETS | {"seed": 7} | changes
    given_pipe, given, vae = nodes.ImpactKSamplerBasicPipe().doit(pipe, latent_image=latent, denoise=denoise, **widgets)
    assert given_pipe is pipe
    assert vae is pipe[2]
    return given


def theirs(pipe: Any, latent: Any, denoise: float = 1.0, **changes: Any) -> dict[str, Any]:
    model, _, _, positive, negative = pipe
    widgets = WIDGETS | {"seed": 7} | changes
    [given] = comfy_nodes.KSampler().sample(
        model, positive=positive, negative=negative, latent_image=latent, denoise=denoise, **widgets
    )
    return given


def advanced(pipe: Any, latent: Any, start: int, end: int, leftover: bool, add_noise: bool, **changes: Any) -> Any:
    widgets = WIDGETS | {"noise_seed": 7} | changes
    given_pipe, given, vae = nodes.ImpactKSamplerAdvancedBasicPipe().doit(
        pipe, add_noise, latent_image=latent, start_at_step=start, end_at_step=end,
        return_with_leftover_noise=leftover, **widgets,
    )  # fmt: skip
    assert given_pipe is pipe
    assert vae is pipe[2]
    return given


def core_advanced(pipe: Any, latent: Any, start: int, end: int, leftover: bool, add_noise: bool, **changes: Any) -> Any:
    model, _, _, positive, negative = pipe
    widgets = WIDGETS | {"noise_seed": 7} | changes
    switches = {True: "enable", False: "disable"}
    [given] = comfy_nodes.KSamplerAdvanced().sample(
        model, switches[add_noise], positive=positive, negative=negative, latent_image=latent, start_at_step=start,
        end_at_step=end, return_with_leftover_noise=switches[leftover], **widgets,
    )  # fmt: skip
    return given


def apart(first: dict[str, Any], second: dict[str, Any]) -> float:
    """The largest difference, in standard deviations."""
    return float((first["samples"] - second["samples"]).abs().max() / second["samples"].std())


# --- KSampler -----------------------------------------------------------------------------------------------------

SAME_AS_CORE = [
    *(("euler", denoise, 1e-6) for denoise in (1.0, 0.9, 0.7, 0.5, 0.35, 0.3, 0.07)),
    ("euler_ancestral", 0.5, 1e-6),
    ("ddim", 0.5, 1e-6),
    ("dpm_2", 0.5, 1e-6),
    ("uni_pc", 0.5, 5e-3),  # its last prediction, not its last state
    *((name, 1.0, 1e-4) for name in BROWNIAN),
]


MASKED_SAME = [(name, denoise, 1e-4) for name, denoise, _ in SAME_AS_CORE if name != "uni_pc"]


@pytest.mark.parametrize(
    ("name", "denoise", "tolerance", "masked"),
    [*((*case, False) for case in SAME_AS_CORE), *((*case, True) for case in MASKED_SAME)],
)
def test_same_as_ksampler(unet: Pipe, name: str, denoise: float, tolerance: float, masked: bool) -> None:
    """From the same latent with the same seed."""
    more = {"noise_mask": torch.rand(1, 64, 64)} if masked else {}
    latent = latent_of(**more)
    given, wanted = ours(unet, latent, denoise, sampler_name=name), theirs(unet, latent, denoise, sampler_name=name)
    assert apart(given, wanted) <= tolerance
    assert apart(given, latent) > 0.01
    assert given.keys() == wanted.keys()


@pytest.mark.parametrize("name", BROWNIAN)
def test_brownian_samplers_differ_below_denoise_1(unet: Pipe, name: str) -> None:
    latent = latent_of()
    given = ours(unet, latent, 0.5, sampler_name=name, scheduler="karras")
    assert apart(given, theirs(unet, latent, 0.5, sampler_name=name, scheduler="karras")) > 1e-3
    assert same(given, ours(unet, latent, 0.5, sampler_name=name, scheduler="karras"))


@pytest.mark.parametrize("changes", [{"scheduler": "karras"}, {"cfg": 1.0}, {"seed": LARGEST_SEED - 1}, {"steps": 1}])
def test_every_widget_is_ksamplers(unet: Pipe, changes: dict[str, Any]) -> None:
    latent = latent_of(3, 4, 6, 8)
    assert apart(ours(unet, latent, 0.6, **changes), theirs(unet, latent, 0.6, **changes)) <= 1e-6


def test_batches(unet: Pipe) -> None:
    """Each item of a batch by its own number, and the latent's other entries are kept."""
    latent = latent_of(2, 4, 8, 8, batch_index=[4, 1], note="kept")
    given = ours(unet, latent)
    assert same(given, theirs(unet, latent))
    assert given["note"] == "kept"
    assert given["batch_index"] is latent["batch_index"]


@pytest.mark.parametrize("ratio", [8, 16])
def test_empty_latents_are_made_to_fit(flow: Pipe, ratio: int) -> None:
    """An empty latent of another model's kind: 4 channels, and cells of another size."""
    latent = {"samples": torch.zeros(1, 4, 8, 8), "downscale_ratio_spacial": ratio}
    given, wanted = ours(flow, latent), theirs(flow, latent)
    assert given["samples"].shape == (1, 16, ratio, ratio)
    assert same(given, wanted)


@pytest.mark.parametrize("frames", [1, 3])
def test_masks_of_frames(frames: int) -> None:
    """A clip's mask has a picture for each frame, as KSampler takes it."""
    generator = torch.Generator().manual_seed(2)
    prompt = conditioning(generator, width=CONTEXT_WIDTH)
    pipe = (still_clip_model(), None, None, prompt, prompt)
    latent = latent_of(1, 16, frames, 8, 8, noise_mask=torch.rand(frames, 1, 64, 64, generator=generator))
    assert apart(ours(pipe, latent), theirs(pipe, latent)) <= 1e-4


def test_largest_seed(unet: Pipe) -> None:
    assert torch.isfinite(ours(unet, latent_of(), seed=LARGEST_SEED, sampler_name="dpmpp_sde")["samples"]).all()


def test_denoise_zero_gives_the_latent_back(unet: Pipe) -> None:
    latent = latent_of()
    assert ours(unet, latent, 0.0) is latent


def test_scheduler_function(unet: Pipe) -> None:
    asked: list[tuple[Any, str, int]] = []

    def schedule(model: Any, sampler_name: str, steps: int) -> torch.Tensor:
        asked.append((model, sampler_name, steps))
        return host.schedules.sigmas_for(model, "euler", "karras", steps)

    given = ours(unet, latent_of(), 0.4, steps=4, scheduler_func_opt=schedule)
    assert asked == [(unet[0], "euler", 10)]
    assert same(given, theirs(unet, latent_of(), 0.4, steps=4, scheduler="karras"))


def test_schedule_that_ends_before_the_start(unet: Pipe, told: pytest.LogCaptureFixture) -> None:
    latent = latent_of()
    assert ours(unet, latent, 0.4, steps=4, scheduler_func_opt=lambda *_: torch.linspace(3, 0, 3)) is latent
    assert told.records[0].message.startswith("ImpactKSamplerBasicPipe: the schedule has 2 steps")


@pytest.mark.parametrize("scheduler", ["AYS SD1", "GITS[coeff=1.2]"])
def test_schedulers_beyond_cores(unet: Pipe, scheduler: str) -> None:
    model, asked = watched(unet[0])
    ours(pipe_with(unet, model=model), latent_of(), 0.5, scheduler=scheduler, cfg=1.0)
    assert asked == pytest.approx(host.schedules.sigmas_for(model, "euler", scheduler, 10)[5:-1].tolist(), rel=1e-2)


def test_latent_is_not_written_to(unet: Pipe) -> None:
    latent = latent_of(noise_mask=torch.rand(1, 64, 64))
    copy = {key: value.clone() for key, value in latent.items()}
    ours(unet, latent)
    advanced(unet, latent, 1, 3, False, True)
    assert same(latent, copy)


def test_one_bar(unet: Pipe) -> None:
    told: list[tuple[int, int]] = []
    comfy.utils.set_progress_bar_global_hook(lambda value, total, *_, **__: told.append((value, total)))
    ours(unet, latent_of(), steps=4)
    assert len({total for _, total in told}) == 1
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


# --- advanced KSampler --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("add_noise", [True, False])
@pytest.mark.parametrize("leftover", [True, False])
@pytest.mark.parametrize(("start", "end"), [(0, 10000), (0, 5), (0, 3), (2, 10000), (1, 4), (4, 5)])
def test_same_as_ksampler_advanced(unet: Pipe, start: int, end: int, leftover: bool, add_noise: bool) -> None:
    latent = latent_of()
    given, wanted = (run(unet, latent, start, end, leftover, add_noise) for run in (advanced, core_advanced))
    assert apart(given, wanted) <= 1e-4
    assert not same(given, latent)


@pytest.mark.parametrize("scheduler", ["ddim_uniform", "beta", "karras"])
@pytest.mark.parametrize("end", [3, 10000])
def test_schedules_of_any_length_are_as_cores(unet: Pipe, scheduler: str, end: int) -> None:
    case: Any = (latent_of(), 1, end, False, True)
    assert apart(*(run(unet, *case, scheduler=scheduler) for run in (advanced, core_advanced))) <= 1e-4


@pytest.mark.parametrize(("start", "end"), [(3, 3), (5, 10000), (99, 10000), (0, 0), (4, 2)])
@pytest.mark.parametrize("leftover", [True, False])
def test_no_steps_give_the_latent_itself(unet: Pipe, start: int, end: int, leftover: bool) -> None:
    latent = latent_of()
    assert advanced(unet, latent, start, end, leftover, True) is latent


@pytest.mark.parametrize("name", ["euler", "dpmpp_sde"])
def test_two_halves_are_the_whole(unet: Pipe, name: str) -> None:
    """The noise stays in between; the Brownian kinds stay on one path."""
    first = advanced(unet, latent_of(), 0, 3, True, True, sampler_name=name, scheduler="karras")
    both = advanced(unet, first, 3, 10000, False, False, sampler_name=name, scheduler="karras")
    whole = advanced(unet, latent_of(), 0, 10000, False, True, sampler_name=name, scheduler="karras")
    assert apart(both, whole) < 1e-3


@pytest.mark.parametrize("leftover", [True, False])
def test_schedule_of_a_function_is_not_changed(unet: Pipe, leftover: bool) -> None:
    sigmas = torch.linspace(9.0, 0.0, 6)
    advanced(unet, latent_of(), 0, 3, leftover, True, scheduler_func_opt=lambda *_: sigmas)
    assert torch.equal(sigmas, torch.linspace(9.0, 0.0, 6))


# --- what comes in ------------------------------------------------------------------------------------------------


def test_bad_input(unet: Pipe) -> None:
    with pytest.raises(InputError, match="ImpactKSamplerBasicPipe, input 'latent_image': a Tensor is no LATENT"):
        ours(unet, torch.zeros(1, 4, 8, 8))
    with pytest.raises(InputError, match="it holds noise_mask but no latent as its samples"):
        ours(unet, {"noise_mask": 1})
    with pytest.raises(InputError, match="input 'basic_pipe': its model is missing"):
        ours(pipe_with(unet, model=None), latent_of())
    with pytest.raises(InputError, match="ImpactKSamplerAdvancedBasicPipe, input 'basic_pipe'"):
        advanced(unet[:3], latent_of(), 0, 5, False, True)


def test_pipe_without_a_vae(unet: Pipe) -> None:
    assert same(ours((unet[0], None, None, *unet[3:]), latent_of()), ours(unet, latent_of()))


# --- the small ones -----------------------------------------------------------------------------------------------


def test_remove_noise_mask() -> None:
    latent = latent_of(noise_mask=torch.ones(1, 8, 8), batch_index=[3])
    [given] = nodes.RemoveNoiseMask().doit(latent)
    assert given.keys() == {"samples", "batch_index"}
    assert given["samples"] is latent["samples"]
    assert "noise_mask" in latent
    assert nodes.RemoveNoiseMask().doit(given)[0] == given
    with pytest.raises(InputError, match="RemoveNoiseMask, input 'samples'"):
        nodes.RemoveNoiseMask().doit(None)


def test_negative_placeholder(unet: Pipe) -> None:
    """Sampling without CFG: the positive alone, with cfg as its guidance."""
    [negative] = nodes.ImpactNegativeConditioningPlaceholder().doit()
    assert negative == "NegativePlaceholder"
    model, asked = watched(unet[0])
    placed = ours(pipe_with(unet, model=model, negative=negative), latent_of(), cfg=3.5)
    assert same(placed, theirs(unet, latent_of(), cfg=1.0))
    assert len(asked) == WIDGETS["steps"]
    assert "guidance" not in unet[3][0][1]


@pytest.mark.parametrize("coeff", [0.8, 1.15, 1.5])
def test_gits(unet: Pipe, coeff: float) -> None:
    [schedule] = nodes.GITSSchedulerFuncProvider().doit(coeff, 1.0)
    wanted = GITSScheduler.execute(coeff, 10, 1.0).result[0]
    assert torch.equal(schedule(unet[0], "euler", 10), wanted)
    model, asked = watched(unet[0])
    ours(pipe_with(unet, model=model), latent_of(), 0.4, steps=4, cfg=1.0, scheduler_func_opt=schedule)
    assert asked == pytest.approx(wanted[6:-1].tolist(), rel=1e-2)


@pytest.mark.parametrize(("denoise", "length"), [(1.0, 11), (0.5, 6), (0.0, 0)])
def test_gits_of_its_own_denoise(unet: Pipe, denoise: float, length: int) -> None:
    """The schedule is shortened, and the node that samples slices it again: here it runs out."""
    [schedule] = nodes.GITSSchedulerFuncProvider().doit(1.2, denoise)
    assert len(schedule(unet[0], "euler", 10)) == length
    latent = latent_of()
    assert (ours(unet, latent, 0.4, steps=4, scheduler_func_opt=schedule) is latent) == (denoise < 1.0)


def test_gits_takes_any_coefficient(unet: Pipe) -> None:
    [schedule] = nodes.GITSSchedulerFuncProvider().doit(1.23, 1.0)
    assert torch.equal(schedule(unet[0], "euler", 8), GITSScheduler.execute(1.25, 8, 1.0).result[0])


def test_scheduler_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = nodes.ImpactSchedulerAdapter
    assert adapter().doit("karras", "None") == ("karras",)
    assert adapter().doit("karras", "AYS SD1") == ("AYS SD1",)
    extra = adapter.INPUT_TYPES()["required"]["extra_scheduler"][0]
    assert extra[:5] == ["None", "AYS SDXL", "AYS SD1", "AYS SVD", "GITS[coeff=1.2]"]
    # ComfyUI lets an output into an input of choices if both have the same ones
    offered = nodes.ImpactKSamplerBasicPipe.INPUT_TYPES()["required"]["scheduler"][0]
    assert (offered,) == adapter.RETURN_TYPES
    monkeypatch.setattr(comfy.samplers.KSampler, "SCHEDULERS", ["another"])
    assert adapter.INPUT_TYPES()["required"]["scheduler"][0] == ["another"]
    assert adapter.RETURN_TYPES[0][:2] == ["another", "AYS SDXL"]
