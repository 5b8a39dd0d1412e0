"""Samplers: each one that is offered runs, and gives what ComfyUI's own KSampler gives for the same latent."""

from __future__ import annotations

from typing import Any

import comfy.k_diffusion.sampling
import comfy.sample
import comfy.samplers
import pytest
import torch
from engine.running import Recorder, detail, near, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer import host

# of ComfyUI's own samplers and libraries below it
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}") for text in ("Should have t", "To copy construct", "__array_wrap__")
]

SIZE = (48, 56)
MASK = mask_of(*SIZE, (16, 16, 32, 32))
BROWNIAN = ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_sde_gpu", "dpmpp_2m_sde_gpu", "dpmpp_3m_sde_gpu"]
LIKE_CORE = [
    "euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2s_ancestral", "dpmpp_2m", "ddpm",
    "lcm", "ipndm", "deis", "res_multistep", "gradient_estimation", "er_sde", "ddim",
]  # fmt: skip


def latents(pipe: Pipe, **changes: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The encoded and the sampled latent of a run, and the noise mask."""
    hook = Recorder()
    detail(picture(*SIZE), MASK, pipe, detailer_hook=hook, **changes)
    [encoded], [sampled] = hook.all("post_encode"), hook.all("pre_decode")
    return encoded["samples"], sampled["samples"], encoded.get("noise_mask")


@pytest.mark.parametrize("name", host.schedules.sampler_names())
@pytest.mark.by_turns(2)
def test_every_sampler_details(unet: Pipe, name: str) -> None:
    image = picture(*SIZE)
    made = detail(image, MASK, unet, sampler_name=name, scheduler="karras", steps=3, denoise=0.6)
    assert torch.isfinite(made.image).all()
    assert not torch.equal(made.image, image)
    assert unchanged_outside(made.image, image, near(MASK, 4))


@pytest.mark.parametrize(
    ("name", "mask_mode", "tolerance"),
    # where uni_pc's last state is not its last prediction, we give the prediction
    [*((name, masked, 2e-4) for name in LIKE_CORE for masked in (True, False)), ("uni_pc", False, 5e-3)],
)
@pytest.mark.by_turns(3)
def test_same_as_ksampler(unet: Pipe, name: str, mask_mode: bool, tolerance: float) -> None:
    """At denoise < 1, from the same latent with the same seed."""
    model, _, _, positive, negative = unet
    encoded, sampled, mask = latents(unet, sampler_name=name, steps=3, denoise=0.4, mask_mode=mask_mode)
    noise = comfy.sample.prepare_noise(encoded, 7)
    wanted = comfy.sample.sample(
        model, noise, 3, 3.0, name, "normal", positive, negative, encoded, denoise=0.4, noise_mask=mask, seed=7,
        disable_pbar=True,
    )  # fmt: skip
    scale = float(wanted.std())
    torch.testing.assert_close(sampled, wanted, atol=tolerance * scale, rtol=0)
    assert (sampled - encoded).std() > 0.05 * scale


def brownian_run(pipe: Pipe, name: str, scheduler: str, steps: int, denoise: float, seed: int) -> torch.Tensor:
    """What ComfyUI gives with a tree of our own over the whole schedule."""
    model, _, _, positive, negative = pipe
    encoded, _, mask = latents(pipe, sampler_name=name, scheduler=scheduler, steps=steps, denoise=denoise, seed=seed)
    total = int(steps / denoise)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, total)
    noise = comfy.sample.prepare_noise(encoded, seed)
    tree = comfy.k_diffusion.sampling.BrownianTreeNoiseSampler(
        torch.zeros_like(noise), sigmas[-2], sigmas[0], seed=seed, cpu=True
    )
    sampler = comfy.samplers.KSAMPLER(
        getattr(comfy.k_diffusion.sampling, f"sample_{name}"), extra_options={"noise_sampler": tree}
    )
    return comfy.sample.sample_custom(
        model, noise, 3.0, sampler, sigmas[total - steps :], positive, negative, encoded, noise_mask=mask, seed=seed,
        disable_pbar=True,
    )  # fmt: skip


@pytest.mark.parametrize("name", BROWNIAN)
def test_brownian_samplers_draw_over_the_whole_schedule(unet: Pipe, name: str) -> None:
    settings: dict[str, Any] = dict(scheduler="karras", steps=3, denoise=0.4, seed=11)
    _, sampled, _ = latents(unet, sampler_name=name, **settings)
    wanted = brownian_run(unet, name, **settings)
    torch.testing.assert_close(sampled, wanted, atol=2e-4 * float(wanted.std()), rtol=0)


@pytest.mark.parametrize("name", BROWNIAN)
def test_brownian_samplers_differ_from_core_below_denoise_1_only(unet: Pipe, name: str) -> None:
    model, _, _, positive, negative = unet
    for denoise in (0.4, 1.0):
        encoded, sampled, mask = latents(unet, sampler_name=name, scheduler="karras", steps=3, denoise=denoise)
        core = comfy.sample.sample(
            model, comfy.sample.prepare_noise(encoded, 7), 3, 3.0, name, "karras", positive, negative, encoded,
            denoise=denoise, noise_mask=mask, seed=7, disable_pbar=True,
        )  # fmt: skip
        close = torch.allclose(sampled, core, atol=1e-3 * float(core.std()), rtol=0)
        assert close == (denoise == 1.0)


@pytest.mark.parametrize("name", ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"])
@pytest.mark.parametrize("scheduler", ["AYS SD1", "AYS SVD"])
def test_a_schedule_that_a_flow_model_does_not_reach(flow: Pipe, name: str, scheduler: str) -> None:
    """All its levels are above 1, and ComfyUI puts the first just below: beyond the tree, whose answer had no end."""
    image = picture(*SIZE)
    made = detail(image, MASK, flow, sampler_name=name, scheduler=scheduler, steps=2, denoise=1.0)
    assert bool(torch.isfinite(made.image).all())
