"""The hooks group: what each hook does within a real run."""

from __future__ import annotations

from typing import Any

import comfy.sample
import comfy.samplers
import pytest
import torch
from engine.running import Recorder, detail, segs_of
from engine.tiny_models import Pipe, conditioning, mask_of, picture
from mask_detailer.detailer.hooks.protocol import Hook
from mask_detailer.nodes import hooks as nodes
from mask_detailer.nodes.validate import InputError

SIZE = (96, 112)
UPPER = (16, 16, 32, 32)
LARGEST_SEED = 2**64 - 1


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def mask() -> torch.Tensor:
    return mask_of(*SIZE, UPPER)


def combined(*hooks: Any) -> Any:
    return nodes.DetailerHookCombine().doit(*hooks)[0]


def latent_of(seed: int = 1, *shape: int, **more: Any) -> dict[str, Any]:
    samples = torch.randn(*(shape or (1, 4, 8, 8)), generator=torch.Generator().manual_seed(seed))
    return {"samples": samples, **more}


# --- denoise ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "cycles", "wanted"),
    [(0.3, 3, [0.5, 0.4, 0.3]), (0.9, 3, [0.5, 0.7, 0.9]), (0.3, 1, [0.5]), (0.0, 2, [0.5, 0.0])],
)
def test_denoise_of_each_cycle(
    unet: Pipe, image: torch.Tensor, mask: torch.Tensor, target: float, cycles: int, wanted: list[float]
) -> None:
    watching = Recorder()
    hook = nodes.DenoiseSchedulerDetailerHookProvider().doit("simple", target)[0]
    made = detail(image, mask, unet, cycle=cycles, detailer_hook=combined(hook, watching)).image
    assert watching.all("pre_ksample", 9) == pytest.approx(wanted)
    if target == 0.0:
        assert torch.equal(made, detail(image, mask, unet).image)  # a last cycle that changes nothing


# --- noise injection ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (2, 16, 6, 10), (1, 16, 1, 8, 8)])
@pytest.mark.parametrize("source", ["CPU", "GPU"])
@pytest.mark.parametrize(
    ("schedule", "cycles", "wanted"),
    [
        ("skip_start", 3, [None, 2.0, 1.5]),
        ("from_start", 3, [2.0, 5 / 3, 4 / 3]),
        ("skip_start", 1, [None]),
        ("from_start", 1, [2.0]),
    ],
)
def test_injected_noise(
    schedule: str, source: str, cycles: int, wanted: list[float | None], shape: tuple[int, ...]
) -> None:
    hook = nodes.NoiseInjectionDetailerHookProvider().doit(schedule, source, LARGEST_SEED - 1, 2.0, 1.0)[0]
    latent = latent_of(1, *shape)
    before = latent["samples"].clone()
    strengths = iter(range(cycles))
    for cycle, strength in enumerate(wanted):
        Hook(hook).set_steps(cycle, cycles)
        given = hook.cycle_latent(latent)
        if strength is None:
            assert given is latent
            continue
        seed = (LARGEST_SEED - 1 + 2 * next(strengths)) % 2**64
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(given["samples"], before + strength * noise)
    assert torch.equal(latent["samples"], before)


def test_noise_goes_under_the_noise_mask() -> None:
    hook = nodes.NoiseInjectionDetailerHookProvider().doit("from_start", "CPU", 5, 2.0, 1.0)[0]
    soft = torch.zeros(1, 64, 64)
    soft[:, :, 32:], soft[:, :, 24:32] = 1.0, 0.5
    latent = latent_of(noise_mask=soft)
    state = torch.get_rng_state()
    given = hook.cycle_latent(latent)
    assert torch.equal(torch.get_rng_state(), state)
    noise = 2.0 * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    share = torch.tensor([0, 0, 0, 0.5, 1, 1, 1, 1])
    torch.testing.assert_close(given["samples"], latent["samples"] + share * noise)
    assert given["noise_mask"] is soft


def test_injection_within_a_run(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    hook = nodes.NoiseInjectionDetailerHookProvider().doit("skip_start", "CPU", 5, 0.5, 0.0)[0]
    plain, made = (detail(image, mask, unet, cycle=2, detailer_hook=one).image for one in (None, hook))
    assert not torch.equal(made, plain)
    assert torch.equal(detail(image, mask, unet, detailer_hook=hook).image, detail(image, mask, unet).image)


# --- variation noise ----------------------------------------------------------------------------------------------


def test_no_variation_is_the_plain_result(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    hook = nodes.VariationNoiseDetailerHookProvider().doit(99, 0.0)[0]
    plain, made = (detail(image, mask, unet, cycle=2, detailer_hook=one).image for one in (None, hook))
    assert torch.equal(made, plain)


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_variation_has_unit_variance(strength: float) -> None:
    like = torch.zeros(1, 4, 128, 128)
    hook = nodes.VariationNoiseDetailerHookProvider().doit(LARGEST_SEED, strength)[0]
    noise, touched = hook.get_custom_noise(7, like, is_touched=False)
    assert touched
    assert float(noise.std()) == pytest.approx(1.0, abs=0.01)
    first, second = (comfy.sample.prepare_noise(like, seed) for seed in (7, LARGEST_SEED))
    length = ((1 - strength) ** 2 + strength**2) ** 0.5
    torch.testing.assert_close(noise, ((1 - strength) * first + strength * second) / length)


def test_variation_of_another_hooks_noise() -> None:
    hook = nodes.VariationNoiseDetailerHookProvider().doit(3, 0.0)[0]
    theirs = torch.full((1, 4, 2, 2), 0.25)
    assert torch.equal(hook.get_custom_noise(7, theirs, is_touched=True)[0], theirs)


# --- unsampler ----------------------------------------------------------------------------------------------------


def unsampler(pipe: Pipe, schedule: str = "from_start", normalize: str = "disable", **changes: Any) -> Any:
    model, _, _, positive, negative = pipe
    widgets = dict(
        model=model, steps=6, start_end_at_step=3, end_end_at_step=5, cfg=1.5, sampler_name="euler",
        scheduler="normal", normalize=normalize, positive=positive, negative=negative, schedule_for_cycle=schedule,
    )  # fmt: skip
    return nodes.UnsamplerDetailerHookProvider().doit(**(widgets | changes))[0]


def inverted(pipe: Pipe, latent: dict[str, Any], last: int, sampler_name: str = "euler") -> torch.Tensor:
    """ComfyUI's KSampler run backwards."""
    model, _, _, positive, negative = pipe
    sampler = comfy.samplers.KSampler(model, 6, model.load_device, sampler_name, "normal", 1.0)
    return sampler.sample(
        torch.zeros_like(latent["samples"]), positive, negative, 1.5, latent["samples"], start_step=0,
        last_step=6 - min(last, 5), denoise_mask=latent.get("noise_mask"), sigmas=sampler.sigmas.flip(0) + 0.0001,
        disable_pbar=True, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("schedule", "ends"), [("from_start", [3, 3, 4]), ("skip_start", [None, 3, 4])], ids=["from_start", "skip_start"]
)
def test_unsampling_is_ksampler_backwards(unet: Pipe, schedule: str, ends: list[int | None]) -> None:
    hook, latent = unsampler(unet, schedule), latent_of(noise_mask=torch.ones(1, 64, 64))
    before = latent["samples"].clone()
    for cycle, last in enumerate(ends):
        Hook(hook).set_steps(cycle, 3)
        given = hook.cycle_latent(latent)
        if last is None:
            assert given is latent
            continue
        torch.testing.assert_close(given["samples"], inverted(unet, latent, last))
        assert given["noise_mask"] is latent["noise_mask"]
        assert float((given["samples"] - before).abs().max()) > 0.01
    assert torch.equal(latent["samples"], before)


@pytest.mark.parametrize("last", [0, 5, 6, 9999])
@pytest.mark.parametrize("sampler_name", ["euler", "dpm_2", "ddim"])
def test_unsampling_to_any_step(unet: Pipe, last: int, sampler_name: str) -> None:
    latent = latent_of()
    hook = unsampler(unet, start_end_at_step=last, end_end_at_step=last, sampler_name=sampler_name)
    given = hook.cycle_latent(latent)["samples"]
    torch.testing.assert_close(given, inverted(unet, latent, last, sampler_name))


def test_unsampling_honours_the_noise_mask(unet: Pipe) -> None:
    left = torch.zeros(1, 64, 64)
    left[..., :32] = 1.0
    latent = latent_of(noise_mask=left)
    given = unsampler(unet).cycle_latent(latent)["samples"]
    torch.testing.assert_close(given[..., 4:], latent["samples"][..., 4:], atol=1e-3, rtol=0)
    assert not torch.allclose(given[..., :4], latent["samples"][..., :4], atol=0.01)


def test_normalized(unet: Pipe) -> None:
    given = unsampler(unet, normalize="enable").cycle_latent(latent_of())["samples"]
    assert float(given.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(given.std()) == pytest.approx(1.0, abs=1e-5)


def test_unsampling_within_a_run(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    made = detail(image, mask, unet, cycle=2, detailer_hook=unsampler(unet, "skip_start")).image
    assert torch.isfinite(made).all()
    assert not torch.equal(made, detail(image, mask, unet, cycle=2).image)


def test_unsampler_without_a_model(unet: Pipe) -> None:
    with pytest.raises(InputError, match="UnsamplerDetailerHookProvider, input 'model'"):
        unsampler(unet, model=None)


def test_unsampler_with_a_negative_placeholder(unet: Pipe) -> None:
    given = unsampler(unet, negative="NegativePlaceholder", positive=conditioning(torch.Generator())).cycle_latent(
        latent_of()
    )
    assert torch.isfinite(given["samples"]).all()


# --- filters ------------------------------------------------------------------------------------------------------

BOXES = ((8, 60, 28, 70), (40, 30, 50, 60), (60, 4, 84, 20))  # lowest first, as MASK to SEGS gives them


def labels_left(hook: Any, labels: str = "ABC") -> str:
    header, kept = hook.post_detection(segs_of(*BOXES, labels=labels))
    assert header == SIZE
    return "".join(seg.label for seg in kept)


@pytest.mark.parametrize(
    ("widgets", "wanted"),
    [
        (("y1", True, 0, 2), "AB"),
        (("y1", False, 0, 2), "CB"),
        (("x1", False, 1, 5), "BC"),
        (("area(=w*h)", True, 0, 1), "C"),
        (("width", True, 0, 0), ""),
    ],
)
def test_ordered_filter(widgets: tuple[Any, ...], wanted: str) -> None:
    assert labels_left(nodes.SEGSOrderedFilterDetailerHookProvider().doit(*widgets)[0]) == wanted


@pytest.mark.parametrize(
    ("widgets", "wanted"),
    [
        (("y1", True, 0, 40), "BC"),
        (("y1", False, 0, 40), "A"),
        (("length_percent", True, 100, 160), "C"),
        (("length_percent", False, 100, 160), "AB"),
        (("area(=w*h)", True, 0, 67108864), "ABC"),
    ],
)
def test_range_filter(widgets: tuple[Any, ...], wanted: str) -> None:
    assert labels_left(nodes.SEGSRangeFilterDetailerHookProvider().doit(*widgets)[0]) == wanted


@pytest.mark.parametrize(("labels", "wanted"), [("A, C", "AC"), ("all", "ABC"), ("a", ""), ("", "")])
@pytest.mark.parametrize("segs", [{}, {"segs": ((1, 1), [])}], ids=["no segs", "segs"])
def test_label_filter(labels: str, wanted: str, segs: dict[str, Any]) -> None:
    assert labels_left(nodes.SEGSLabelFilterDetailerHookProvider().doit("hand", labels, **segs)[0]) == wanted


def test_two_filters_together() -> None:
    largest = nodes.SEGSOrderedFilterDetailerHookProvider().doit("area(=w*h)", True, 0, 1)[0]
    lower = nodes.SEGSRangeFilterDetailerHookProvider().doit("y2", False, 0, 30)[0]
    by_label = nodes.SEGSLabelFilterDetailerHookProvider().doit("all", "A,B")[0]
    assert labels_left(combined(combined(by_label, lower), largest)) == "B"
    assert labels_left(combined(largest, by_label)) == ""


def test_hooks_have_every_method_of_the_protocol(unet: Pipe) -> None:
    """Detailers of other packs call them without a look."""
    methods = {name for name in dir(Recorder) if not name.startswith("_")} - {"all"}
    hooks = [combined(None, None), unsampler(unet), nodes.PreviewDetailerHookProvider().doit(95, "7")[0]]
    for hook in hooks:
        assert methods | {"should_retry_patch", "should_skip_by_cnet_image"} <= set(dir(hook))
        assert (hook.cur_step, hook.total_step) == (0, 0)
