"""Regional sampling: one path for all regions, so that a region sampled as its surroundings changes nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from engine.running import same, watched
from engine.tiny_models import Pipe, conditioning, mask_of, unet_pipe
from mask_detailer.detailer import host
from mask_detailer.nodes import regional as nodes
from mask_detailer.nodes import samplers
from mask_detailer.nodes.validate import InputError

import nodes as comfy_nodes

pytestmark = pytest.mark.filterwarnings("ignore:Should have t")  # a Brownian tree on rounding

SIZE = (64, 80)
LEFT = mask_of(*SIZE, (0, 0, 32, 64))
MIDDLE = mask_of(*SIZE, (16, 16, 56, 48))
WIDGETS: dict[str, Any] = dict(
    seed=7, seed_2nd=3, seed_2nd_mode="ignore", steps=4, base_only_steps=1, denoise=1.0, overlap_factor=10
)


def latent_of(**more: Any) -> dict[str, Any]:
    return {"samples": torch.randn(1, 4, 8, 10, generator=torch.Generator().manual_seed(1)), **more}


def advanced(pipe: Pipe, name: str = "euler", cfg: float = 3.0, scheduler: str = "normal", **more: Any) -> Any:
    widgets = dict(cfg=cfg, sampler_name=name, scheduler=scheduler, sigma_factor=1.0, basic_pipe=pipe)
    return samplers.KSamplerAdvancedProvider().doit(**(widgets | more))[0]


def region(pipe: Pipe, mask: torch.Tensor = MIDDLE, name: str = "euler", **more: Any) -> Any:
    return nodes.RegionalPrompt().doit(mask=mask, advanced_sampler=advanced(pipe, name), **more)[0]


def regional(base: Any, prompts: Any, latent: Any = None, **changes: Any) -> torch.Tensor:
    samples = latent_of() if latent is None else latent
    [made] = nodes.RegionalSampler().doit(
        base_sampler=base, regional_prompts=prompts, samples=samples, **(WIDGETS | changes)
    )
    return made["samples"]


def plain(pipe: Pipe, name: str = "euler", latent: Any = None, **changes: Any) -> torch.Tensor:
    """ComfyUI's KSampler."""
    model, _, _, positive, negative = pipe
    widgets = dict(seed=7, steps=4, cfg=3.0, sampler_name=name, scheduler="normal", denoise=1.0) | changes
    samples = latent_of() if latent is None else latent
    [made] = comfy_nodes.KSampler().sample(model, positive=positive, negative=negative, latent_image=samples, **widgets)
    return made["samples"]


@pytest.fixture(scope="module")
def other(unet: Pipe) -> Pipe:
    """The same model with another prompt."""
    return (*unet[:3], conditioning(torch.Generator().manual_seed(5)), unet[4])


# --- a region sampled as the base ---------------------------------------------------------------------------------


@pytest.mark.parametrize("base_only", [0, 2])
@pytest.mark.parametrize("name", ["euler", "heun", "dpmpp_2m", "euler_ancestral", "euler_cfg_pp", "uni_pc"])
def test_a_region_sampled_as_the_base_changes_nothing(unet: Pipe, name: str, base_only: int) -> None:
    given = regional(advanced(unet, name), region(unet, name=name), base_only_steps=base_only)
    wanted = plain(unet, name)
    if name in ("uni_pc", "heun"):  # the last prediction, not the last state
        torch.testing.assert_close(given, wanted, atol=0.01 * float(wanted.std()), rtol=0)
    else:
        assert same(given, wanted)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m_sde"])
def test_several_regions_that_overlap_change_nothing_either(unet: Pipe, name: str) -> None:
    prompts = region(unet, LEFT, name) + region(unet, MIDDLE, name)
    latent = latent_of(noise_mask=mask_of(*SIZE, (0, 0, 60, 60)))
    given = regional(advanced(unet, name), prompts, latent, denoise=0.5, overlap_factor=40)
    torch.testing.assert_close(given, regional(advanced(unet, name), prompts, latent, denoise=0.5, base_only_steps=9))
    if name == "euler":
        torch.testing.assert_close(given, plain(unet, latent=latent, denoise=0.5), atol=1e-4, rtol=0)


def test_a_clone_of_the_model_takes_turns(unet: Pipe) -> None:
    """Another patcher on the same weights, as a LoRA loader gives one."""
    clone = (unet[0].clone(), *unet[1:])
    assert same(regional(advanced(unet), region(clone)), plain(unet))
    assert same(plain(unet), plain(clone))


def test_another_checkpoint_has_its_region(unet: Pipe) -> None:
    second = unet_pipe(3)
    given = regional(advanced(unet), region(second, torch.ones(1, *SIZE)), base_only_steps=0, overlap_factor=0)
    wanted = plain(second)
    torch.testing.assert_close(given, wanted, atol=1e-4 * float(wanted.std()), rtol=0)


# --- regions that differ ------------------------------------------------------------------------------------------


def test_a_region_over_all_is_the_regions_alone(unet: Pipe, other: Pipe) -> None:
    everywhere = region(other, torch.ones(1, *SIZE))
    torch.testing.assert_close(regional(advanced(unet), everywhere, base_only_steps=0), plain(other))


def test_nothing_but_the_region_goes_by_its_prompt(flow: Pipe, unet: Pipe, other: Pipe) -> None:
    given, wanted = regional(advanced(unet), region(other), overlap_factor=0), plain(unet)
    inside = MIDDLE[:, ::8, ::8].bool().expand_as(given)
    difference = (given - wanted).abs()
    assert float(difference[inside].mean()) > 2 * float(difference[~inside].mean())
    assert torch.isfinite(given).all()


def test_the_base_s_steps_come_first(unet: Pipe, other: Pipe) -> None:
    model, levels = watched(unet[0])
    second, its_levels = watched(other[0])
    base, its = advanced((model, *unet[1:])), region((second, *other[1:]))
    regional(base, its, steps=4, base_only_steps=2, denoise=0.5)
    asked = sorted(set(levels), reverse=True)
    assert len(asked) == 4
    assert sorted(set(its_levels), reverse=True) == asked[2:]
    assert same(regional(advanced(unet), region(other), base_only_steps=4), plain(unet))


def test_a_black_mask_is_no_region(unet: Pipe, other: Pipe) -> None:
    assert same(regional(advanced(unet), region(other, torch.zeros(1, *SIZE))), plain(unet))


def test_denoise_0_gives_the_latent_back(unet: Pipe) -> None:
    latent = latent_of()
    assert regional(advanced(unet), region(unet), latent, denoise=0.0) is latent["samples"]


def test_the_latent_s_other_entries_stay(unet: Pipe) -> None:
    latent = latent_of(noise_mask=LEFT, note="kept")
    [made] = nodes.RegionalSampler().doit(
        base_sampler=advanced(unet), regional_prompts=region(unet), samples=latent, **WIDGETS
    )
    assert made["note"] == "kept" and made["noise_mask"] is LEFT and made is not latent


# --- seeds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "second"),
    [("fixed", 3), ("seed+seed_2nd", 10), ("seed-seed_2nd", 4), ("increment", 3), ("decrement", 3), ("randomize", 3)],
)
def test_the_second_seed(unet: Pipe, other: Pipe, mode: str, second: int) -> None:
    """The base's steps are closed to a clean latent, and the regions go on from it with new noise."""
    base, prompts, latent = advanced(unet), region(other), latent_of()
    given = regional(base, prompts, seed_2nd_mode=mode, steps=4, base_only_steps=2)
    first = base.sample_advanced(True, 7, 4, latent, 0, 2, False)
    [wanted] = nodes.RegionalSamplerAdvanced().doit(
        add_noise=True, noise_seed=second, steps=4, start_at_step=2, end_at_step=4, overlap_factor=10,
        return_with_leftover_noise=False, latent_image=first, base_sampler=base, regional_prompts=prompts,
    )  # fmt: skip
    assert same(given, wanted["samples"])
    assert not same(given, regional(base, prompts, steps=4, base_only_steps=2))


def test_second_seeds_start_again_once() -> None:
    from mask_detailer.detailer.regional.sample import second_seed

    assert second_seed(2**50, 5, "seed+seed_2nd") == 5
    assert second_seed(2, 5, "seed-seed_2nd") == 2**50 - 3
    assert second_seed(2, 5, "ignore") is None


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_variation_noise_is_within_the_region(unet: Pipe, method: str) -> None:
    variation = region(unet, LEFT, variation_seed=9, variation_strength=0.4, variation_method=method)
    given, wanted = regional(advanced(unet), variation), plain(unet)
    changed = (given - wanted).abs().mean(dim=(0, 1, 2))
    assert float(changed[:4].mean()) > 0.05
    none = region(unet, LEFT, variation_seed=9, variation_strength=0.0, variation_method=method)
    assert same(regional(advanced(unet), none), wanted)


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_variation_keeps_the_deviation(method: str) -> None:
    from mask_detailer.detailer.regional.noise import varied
    from mask_detailer.detailer.regional.sample import RegionalPrompt

    latent: Any = {"samples": torch.zeros(2, 4, 64, 64)}
    weight = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    prompt = RegionalPrompt(LEFT, Any, 9, 0.5, method)  # type: ignore[arg-type]
    noise = host.sampling.noise_for(latent, [7])
    made = varied(noise, latent, [prompt], [weight])
    for columns in made.split(16, dim=-1):
        assert float(columns.std()) == pytest.approx(1.0, abs=0.03)
    torch.testing.assert_close(made[..., 0], noise[..., 0])


# --- RegionalSamplerAdvanced --------------------------------------------------------------------------------------


@pytest.mark.parametrize("leftover", [False, True])
@pytest.mark.parametrize("add_noise", [False, True])
def test_a_part_of_the_steps(unet: Pipe, add_noise: bool, leftover: bool) -> None:
    """Regions as the base: what an advanced KSampler gives, to its last step."""
    base, latent = advanced(unet), latent_of()
    [given] = nodes.RegionalSamplerAdvanced().doit(
        add_noise=add_noise, noise_seed=7, steps=6, start_at_step=2, end_at_step=5, overlap_factor=10,
        return_with_leftover_noise=leftover, latent_image=latent, base_sampler=base, regional_prompts=region(unet),
    )  # fmt: skip
    assert same(given, base.sample_advanced(add_noise, 7, 6, latent, 2, 5, leftover))


def test_two_stages_are_one(unet: Pipe, other: Pipe) -> None:
    run = partial(
        nodes.RegionalSamplerAdvanced().doit, noise_seed=7, steps=4, overlap_factor=10, base_sampler=advanced(unet),
        regional_prompts=region(other),
    )  # fmt: skip
    [first] = run(
        add_noise=True, start_at_step=0, end_at_step=2, return_with_leftover_noise=True, latent_image=latent_of()
    )
    [both] = run(
        add_noise=False, start_at_step=2, end_at_step=10000, return_with_leftover_noise=False, latent_image=first
    )
    torch.testing.assert_close(both["samples"], regional(advanced(unet), region(other), base_only_steps=0))


# --- TwoAdvancedSamplersForMask -----------------------------------------------------------------------------------


def test_two_advanced_samplers_are_one_region(unet: Pipe, other: Pipe) -> None:
    [given] = samplers.TwoAdvancedSamplersForMask().doit(
        seed=7, steps=4, denoise=0.5, samples=latent_of(), base_sampler=advanced(unet), mask_sampler=advanced(other),
        mask=MIDDLE, overlap_factor=10,
    )  # fmt: skip
    assert same(given["samples"], regional(advanced(unet), region(other), denoise=0.5, base_only_steps=1))


# --- what comes in ------------------------------------------------------------------------------------------------


def test_regions_are_joined_in_order(unet: Pipe, other: Pipe) -> None:
    left, middle = region(unet, LEFT), region(other)
    [joined] = nodes.CombineRegionalPrompts().doit(regional_prompts1=left, regional_prompts2=middle)
    assert [prompt.sampler for prompt in joined] == [left[0].sampler, middle[0].sampler]


def test_prompts_of_other_packs(unet: Pipe, other: Pipe) -> None:
    class Sampler:
        params = (other[0], 3.0, "euler", "normal", other[3], other[4])

    class Prompt:
        mask, sampler = MIDDLE[0], Sampler()

    assert same(regional(advanced(unet), [Prompt()]), regional(advanced(unet), region(other)))


@pytest.mark.parametrize("prompts", [None, [], "text", [object()]])
def test_no_regions_are_refused(unet: Pipe, prompts: Any) -> None:
    with pytest.raises(InputError, match=r"^RegionalSampler, input 'regional_prompts'"):
        regional(advanced(unet), prompts)
    with pytest.raises(InputError, match=r"^CombineRegionalPrompts, input 'regional_prompts1'"):
        nodes.CombineRegionalPrompts().doit(regional_prompts1=prompts)


def test_the_call_that_other_packs_make(unet: Pipe) -> None:
    model, _, _, positive, negative = unet
    given = nodes.RegionalSampler.separated_sample(
        model=model, add_noise=True, seed=7, steps=4, cfg=3.0, sampler_name="euler", scheduler="normal",
        positive=positive, negative=negative, latent_image=latent_of(), start_at_step=0, end_at_step=4,
        return_with_leftover_noise=False, noise=None, callback=None, scheduler_func=None,
    )  # fmt: skip
    assert same(given["samples"], plain(unet))


def test_an_interrupt_ends_it(unet: Pipe, other: Pipe) -> None:
    import comfy.model_management

    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        regional(advanced(unet), region(other))
