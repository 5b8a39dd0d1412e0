"""Hooks of the upscale group: their formulas, and what they change within a real run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.running import Recorder, detail, same
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer.hooks.protocol import Hook
from mask_detailer.nodes import hooks as detailer_nodes
from mask_detailer.nodes import pk_hooks as nodes
from mask_detailer.nodes.upscaler_providers import PixelKSampleUpscalerProviderPipe
from mask_detailer.nodes.upscalers import IterativeLatentUpscale


def latent_of(**more: Any) -> dict[str, Any]:
    return {"samples": torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)), **more}


def upscaled(pipe: Pipe, hook: Any, steps: int = 2, latent: Any = None) -> torch.Tensor:
    widgets: dict[str, Any] = dict(seed=7, steps=2, cfg=8.0, sampler_name="euler", scheduler="normal", denoise=0.5)
    [upscaler] = PixelKSampleUpscalerProviderPipe().doit(
        scale_method="bilinear", basic_pipe=pipe, use_tiled_vae=False, tile_size=512, pk_hook_opt=hook, **widgets
    )
    made, _ = IterativeLatentUpscale().doit(
        samples=latent_of() if latent is None else latent, upscale_factor=1.0, steps=steps, temp_prefix="",
        upscaler=upscaler, step_mode="simple", unique_id="7",
    )  # fmt: skip
    return made["samples"]


def combined(*hooks: Any) -> Any:
    return nodes.PixelKSampleHookCombine().doit(*hooks)[0]


# --- schedules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "target", "place", "steps", "wanted"),
    [
        (nodes.CfgScheduleHookProvider, 3.0, 3, 4, [8.0, 8 - 5 / 3, 8 - 10 / 3, 3.0]),
        (nodes.CfgScheduleHookProvider, 3.0, 3, 1, [3.0]),
        (nodes.DenoiseScheduleHookProvider, 0.2, 9, 4, [0.5, 0.4, 0.3, 0.2]),
        (nodes.DenoiseScheduleHookProvider, 0.2, 9, 1, [0.2]),
        (nodes.DenoiseScheduleHookProvider, 0.0, 9, 2, [0.5, 0.0]),
        (nodes.StepsScheduleHookProvider, 5, 2, 4, [2, 3, 4, 5]),
        (nodes.StepsScheduleHookProvider, 3, 2, 3, [2, 2, 3]),
        (nodes.StepsScheduleHookProvider, 3, 2, 1, [3]),
    ],
)
def test_schedules(unet: Pipe, provider: Any, target: float, place: int, steps: int, wanted: list[float]) -> None:
    watching = Recorder()
    made = upscaled(unet, combined(provider().doit("simple", target)[0], watching), steps)
    assert watching.all("pre_ksample", place) == pytest.approx(wanted)
    assert torch.isfinite(made).all()


def test_steps_of_the_contract() -> None:
    hook = nodes.StepsScheduleHookProvider().doit("simple", 20)[0]
    made = []
    for step in range(4):
        Hook(hook).set_steps(step, 4)
        made.append(hook.pre_ksample(None, 0, 9, 8.0, "euler", "normal", [], [], {}, 0.5)[2])
    assert made == [9, 12, 16, 20]


# --- what acts on the encoded latent ------------------------------------------------------------------------------


def test_injected_noise() -> None:
    """From the first step on; seeds two higher each time; the end strength is never reached."""
    hook = nodes.NoiseInjectionHookProvider().doit("simple", "CPU", 5, 2.0, 1.0)[0]
    latent = latent_of(noise_mask=torch.ones(1, 64, 64))
    before = latent["samples"].clone()
    for step, strength in enumerate([2.0, 5 / 3, 4 / 3]):
        Hook(hook).set_steps(step, 3)
        given = hook.post_encode(latent)
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5 + 2 * step))
        torch.testing.assert_close(given["samples"], before + strength * noise)
        assert given["noise_mask"] is latent["noise_mask"]
    assert torch.equal(latent["samples"], before)
    assert hook.cycle_latent(latent) is latent


def test_injection_within_a_run_is_under_the_mask(unet: Pipe) -> None:
    hook = nodes.NoiseInjectionHookProvider().doit("simple", "CPU", 5, 1.0, 1.0)[0]
    left = mask_of(64, 64, (0, 0, 32, 64))
    given, plain = (upscaled(unet, one, 1, latent_of(noise_mask=left)) for one in (hook, None))
    changed = (given - plain).abs().amax(dim=(0, 1))
    assert float(changed[:, :4].mean()) > 0.1
    assert float(changed[:, 4:].max()) < 1e-4


def unsampler(pipe: Pipe, provider: Any, schedule: dict[str, str]) -> Any:
    model, _, _, positive, negative = pipe
    return provider().doit(
        model=model, steps=6, start_end_at_step=3, end_end_at_step=5, cfg=1.5, sampler_name="euler",
        scheduler="normal", normalize="disable", positive=positive, negative=negative, **schedule,
    )[0]  # fmt: skip


def test_unsampling_is_the_detailer_hook_s(unet: Pipe) -> None:
    ours = unsampler(unet, nodes.UnsamplerHookProvider, {"schedule_for_iteration": "simple"})
    its = unsampler(unet, detailer_nodes.UnsamplerDetailerHookProvider, {"schedule_for_cycle": "from_start"})
    latent = latent_of()
    for step in range(3):
        Hook(ours).set_steps(step, 3)
        Hook(its).set_steps(step, 3)
        given = ours.post_encode(latent)["samples"]
        assert same(given, its.cycle_latent(latent)["samples"])
        assert float((given - latent["samples"]).abs().max()) > 0.01
    assert torch.isfinite(upscaled(unet, ours)).all()


# --- several ------------------------------------------------------------------------------------------------------


def test_two_hooks_work_one_after_the_other(unet: Pipe) -> None:
    first = nodes.CfgScheduleHookProvider().doit("simple", 3.0)[0]
    second = nodes.DenoiseScheduleHookProvider().doit("simple", 0.2)[0]
    watching = Recorder()
    upscaled(unet, combined(combined(first, second), watching), 2)
    assert [(call[3], call[9]) for call in watching.seen["pre_ksample"]] == [(8.0, 0.5), (3.0, pytest.approx(0.2))]


def test_a_detailer_s_hook_works_too(unet: Pipe) -> None:
    hook = detailer_nodes.DenoiseSchedulerDetailerHookProvider().doit("simple", 0.1)[0]
    watching = Recorder()
    upscaled(unet, combined(hook, watching), 2)
    assert watching.all("pre_ksample", 9) == pytest.approx([0.5, 0.1])
    assert same(upscaled(unet, object()), upscaled(unet, None))  # one without any of the methods


# --- Core ML ------------------------------------------------------------------------------------------------------


def test_one_size_and_two_at_once(unet: Pipe) -> None:
    hook = detailer_nodes.CoreMLDetailerHookProvider().doit("512x768")[0]
    watching = Recorder()
    both = detailer_nodes.DetailerHookCombine().doit(hook, watching)[0]
    image, mask = picture(96, 112), mask_of(96, 112, (40, 40, 60, 60))
    made = detail(image, mask, unet, detailer_hook=both, steps=1, max_size=1024.0).image
    assert [tuple(call[8]["samples"].shape) for call in watching.seen["pre_ksample"]] == [(2, 4, 96, 64)]
    assert [tuple(pixels.shape) for pixels in watching.all("post_decode")] == [(1, 768, 512, 3)]
    assert not same(made, image)
    assert hook.override_bbox_by_segm is False and both.override_bbox_by_segm is False
