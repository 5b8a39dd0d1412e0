"""Samplers as connections: a KSAMPLER is ComfyUI's KSampler, a mask has two, tiles are blended in one loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import comfy.samplers
import pytest
import torch
from engine.running import Recorder, same
from engine.tiny_models import Pipe, conditioning, mask_of, pipe_with, tiny_control_net
from mask_detailer.detailer import host
from mask_detailer.nodes import samplers as nodes
from mask_detailer.nodes.validate import InputError

import nodes as comfy_nodes

WIDGETS: dict[str, Any] = dict(steps=4, cfg=3.0, sampler_name="euler", scheduler="normal")
MASK = mask_of(64, 64, (16, 24, 48, 56))


def latent_of(*shape: int, **more: Any) -> dict[str, Any]:
    samples = torch.randn(*(shape or (1, 4, 8, 8)), generator=torch.Generator().manual_seed(1))
    return {"samples": samples, **more}


def provided(pipe: Pipe, **changes: Any) -> Any:
    return nodes.KSamplerProvider().doit(basic_pipe=pipe, **(WIDGETS | dict(seed=7, denoise=1.0) | changes))[0]


def tiled(pipe: Pipe, side: int = 128, **changes: Any) -> Any:
    """With tiles smaller than the widgets allow, so that tests are quick."""
    widgets = WIDGETS | dict(seed=7, denoise=1.0, tiling_strategy="padded", tile_width=512, tile_height=512) | changes
    made = nodes.TiledKSamplerProvider().doit(basic_pipe=pipe, **widgets)[0]
    return replace(made, tiles=replace(made.tiles, width=side, height=side))


def theirs(pipe: Pipe, latent: Any, **changes: Any) -> Any:
    model, _, _, positive, negative = pipe
    widgets = WIDGETS | dict(seed=7, denoise=1.0) | changes
    return comfy_nodes.KSampler().sample(
        model, positive=positive, negative=negative, latent_image=latent, **widgets
    )[0]  # fmt: skip


# --- KSamplerProvider ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("denoise", [1.0, 0.5, 0.3])
@pytest.mark.parametrize("name", ["euler", "euler_ancestral", "dpmpp_2m", "ddim"])
def test_a_ksampler_is_comfyui_s(unet: Pipe, name: str, denoise: float) -> None:
    latent = latent_of(2, 4, 8, 8, batch_index=[1, 0])
    given = provided(unet, sampler_name=name, denoise=denoise).sample(latent)
    wanted = theirs(unet, latent, sampler_name=name, denoise=denoise)
    if denoise == 0.3:  # the last prediction, which is the last state but for rounding
        torch.testing.assert_close(given["samples"], wanted["samples"], atol=1e-4, rtol=0)
    else:
        assert same(given, wanted)


def test_under_a_noise_mask(unet: Pipe) -> None:
    latent = latent_of(noise_mask=MASK)
    given, wanted = provided(unet).sample(latent), theirs(unet, latent)
    torch.testing.assert_close(given["samples"], wanted["samples"], atol=1e-4, rtol=0)
    assert given["noise_mask"] is MASK


def test_denoise_0_gives_the_latent_back(unet: Pipe) -> None:
    latent = latent_of()
    assert provided(unet, denoise=0.0).sample(latent) is latent
    assert tiled(unet, denoise=0.0).sample(latent) is latent


def test_what_other_packs_read(unet: Pipe) -> None:
    model, _, _, positive, negative = unet
    assert provided(unet, denoise=0.5).params == (model, 7, 4, 3.0, "euler", "normal", positive, negative, 0.5)
    advanced = nodes.KSamplerAdvancedProvider().doit(3.0, "euler", "normal", 0.5, unet)[0]
    assert advanced.params == (model, 3.0, "euler", "normal", positive, negative, 0.5)
    other = advanced.clone_with_conditionings(negative, positive)
    assert other.params == (model, 3.0, "euler", "normal", negative, positive, 0.5)


def test_a_hook_changes_all_but_the_latent(unet: Pipe) -> None:
    class Hook(Recorder):
        def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
            return (call[0], 9, 3, *call[3:8], latent_of(1, 4, 2, 2), 0.6)

    latent = latent_of()
    assert same(provided(unet).sample(latent, Hook()), theirs(unet, latent, seed=9, steps=3, denoise=0.6))


def test_what_does_not_fit_names_the_node_that_has_it(unet: Pipe) -> None:
    wrong = pipe_with(unet, positive=conditioning(torch.Generator(), width=32))
    with pytest.raises(InputError, match="KSamplerProvider, input 'basic_pipe': its positive: the prompt is 32 wide"):
        provided(wrong).sample(latent_of())
    with pytest.raises(InputError, match="TiledKSamplerProvider, input 'basic_pipe': its positive: the prompt is 32"):
        tiled(wrong).sample(latent_of(*LARGE))


# --- KSamplerAdvancedProvider -------------------------------------------------------------------------------------


@pytest.mark.parametrize("leftover", [False, True])
@pytest.mark.parametrize("add_noise", [False, True])
def test_an_advanced_ksampler_is_comfyui_s(unet: Pipe, add_noise: bool, leftover: bool) -> None:
    model, _, _, positive, negative = unet
    advanced, latent = nodes.KSamplerAdvancedProvider().doit(3.0, "euler", "normal", 1.0, unet)[0], latent_of()
    given = advanced.sample_advanced(add_noise, 7, 6, latent, 2, 4, leftover)
    switches = {True: "enable", False: "disable"}
    [wanted] = comfy_nodes.KSamplerAdvanced().sample(
        model, switches[add_noise], 7, 6, 3.0, "euler", "normal", positive, negative, latent, 2, 4, switches[leftover]
    )
    torch.testing.assert_close(given["samples"], wanted["samples"], atol=1e-4, rtol=0)


def test_sigma_factor_scales_the_noise(unet: Pipe) -> None:
    latent = latent_of()
    half, whole = (
        nodes.KSamplerAdvancedProvider().doit(1.0, "euler", "normal", factor, unet)[0] for factor in (0.5, 1.0)
    )
    noisy = [one.sample_advanced(True, 7, 1000, latent, 0, 1, True)["samples"] for one in (half, whole)]
    assert float(noisy[0].std() / noisy[1].std()) == pytest.approx(0.5, rel=0.02)


def test_a_sampler_of_its_own(unet: Pipe) -> None:
    heun = comfy.samplers.sampler_object("heun")
    given = nodes.KSamplerAdvancedProvider().doit(3.0, "euler", "normal", 1.0, unet, heun)[0]
    wanted = nodes.KSamplerAdvancedProvider().doit(3.0, "heun", "normal", 1.0, unet)[0]
    arguments = (True, 7, 5, latent_of(), 0, 5, False)
    assert same(given.sample_advanced(*arguments), wanted.sample_advanced(*arguments))


# --- TwoSamplersForMask -------------------------------------------------------------------------------------------


def test_each_sampler_has_its_side_of_the_mask(unet: Pipe) -> None:
    """Hard masks of whole cells: each side is what its sampler makes of it alone."""
    latent = latent_of(noise_mask=torch.ones(1, 64, 64))
    before = {"samples": latent["samples"].clone(), "noise_mask": latent["noise_mask"].clone()}
    base, masked = provided(unet, denoise=0.6), provided(unet, seed=9, denoise=0.5, steps=3)
    [given] = nodes.TwoSamplersForMask().doit(latent, base, masked, MASK)
    assert same(latent, before)
    assert given.keys() == {"samples"}
    around = base.sample({"samples": latent["samples"], "noise_mask": 1.0 - MASK})["samples"]
    wanted = masked.sample({"samples": around, "noise_mask": MASK})["samples"]
    torch.testing.assert_close(given["samples"], wanted)
    inside = MASK[:, ::8, ::8].bool().expand_as(wanted)
    torch.testing.assert_close(given["samples"][~inside], around[~inside], atol=1e-5, rtol=0)
    assert float((given["samples"] - around)[inside].abs().mean()) > 0.05
    assert float((around - latent["samples"])[~inside].abs().mean()) > 0.05
    torch.testing.assert_close(around[inside], latent["samples"][inside], atol=1e-5, rtol=0)


def test_a_mask_sampler_that_does_nothing_leaves_the_base_alone(unet: Pipe) -> None:
    latent = latent_of()
    base, still = provided(unet, denoise=0.6), provided(unet, denoise=0.0)
    [given] = nodes.TwoSamplersForMask().doit(latent, base, still, MASK)
    assert same(given["samples"], base.sample({**latent, "noise_mask": 1.0 - MASK})["samples"])


def test_samplers_of_other_packs_run_too(unet: Pipe) -> None:
    class Adding:
        def sample(self, latent: Any, hook: Any = None) -> Any:
            return {**latent, "samples": latent["samples"] + latent["noise_mask"].reshape(1, 1, 64, 64)[..., ::8, ::8]}

    latent = latent_of()
    [given] = nodes.TwoSamplersForMask().doit(latent, Adding(), Adding(), MASK)
    torch.testing.assert_close(given["samples"], latent["samples"] + 1)


# --- tiles --------------------------------------------------------------------------------------------------------

LARGE = (1, 4, 24, 40)  # of tiles of 16 x 16 cells


@pytest.mark.parametrize("strategy", ["random", "padded", "simple"])
def test_one_tile_is_a_ksampler(unet: Pipe, strategy: str) -> None:
    latent = latent_of(1, 4, 16, 16)
    assert same(tiled(unet, tiling_strategy=strategy).sample(latent), provided(unet).sample(latent))


@pytest.mark.parametrize("strategy", ["random", "padded", "simple"])
@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "euler_ancestral", "euler_cfg_pp"])
def test_a_model_that_looks_at_single_cells_gives_the_same_in_tiles(flow: Pipe, name: str, strategy: str) -> None:
    """One without velocity: what it predicts of a cell depends on nothing around it."""
    latent = latent_of(1, 16, *LARGE[2:], noise_mask=mask_of(192, 320, (40, 40, 250, 120)))
    given = tiled(flow, sampler_name=name, tiling_strategy=strategy, denoise=0.7).sample(latent)["samples"]
    wanted = provided(flow, sampler_name=name, denoise=0.7).sample(latent)["samples"]
    torch.testing.assert_close(given, wanted, atol=2e-5, rtol=0)


def test_tiles_of_a_real_model_have_no_seam(unet: Pipe) -> None:
    """Where one tile counts alone and where two overlap, neighbouring cells differ no more than elsewhere."""
    given = tiled(unet, denoise=0.4).sample(latent_of(*LARGE))["samples"]
    wanted = provided(unet, denoise=0.4).sample(latent_of(*LARGE))["samples"]
    assert given.shape == wanted.shape
    assert float((given - wanted).std() / wanted.std()) < 0.5
    steps = (given[..., 1:] - given[..., :-1]).abs().mean(dim=(0, 1, 2))
    assert float(steps.max() / steps.mean()) < 1.6


def test_conditioning_is_cut_to_the_tiles(flow: Pipe, unet: Pipe, tmp_path: Any) -> None:
    """An area prompt and a ControlNet's hint: run through, and the area's prompt only acts where it is."""
    model, _, vae, positive, negative = unet
    left = [[positive[0][0] * 3, {"area": (24, 12, 0, 0), "strength": 5.0}]]
    latent = latent_of(*LARGE)
    pipe = (model, None, vae, positive + left, negative)
    plain, areas = tiled(unet).sample(latent)["samples"], tiled(pipe).sample(latent)["samples"]
    changed = (plain - areas).abs().mean(dim=(0, 1, 2))
    assert float(changed[:10].mean()) > 20 * float(changed[-10:].mean())
    net = tiny_control_net(tmp_path)
    hint = torch.rand(1, 192, 320, 3, generator=torch.Generator().manual_seed(2))
    controlled = host.control_net.with_control_net_on_positive(positive, net, hint, 1.0)
    made = tiled((model, None, vae, controlled, negative)).sample(latent)["samples"]
    assert torch.isfinite(made).all()
    assert float((made - plain).abs().mean()) > 1e-3


def test_the_random_grid_is_the_seed_s(unet: Pipe) -> None:
    latent = latent_of(1, 4, 16, 56)
    one, again, other = (tiled(unet, tiling_strategy="random", seed=seed).sample(latent) for seed in (7, 7, 8))
    assert same(one, again)
    assert not same(one, other)


def test_an_interrupt_ends_it(unet: Pipe) -> None:
    import comfy.model_management

    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        tiled(unet).sample(latent_of(*LARGE))
