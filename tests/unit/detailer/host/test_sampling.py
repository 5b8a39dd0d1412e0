"""One run of a sampler: each item's own noise, what leads it, and what comes back. ComfyUI's parts are stand-ins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mask_detailer.detailer import host
from mask_detailer.detailer.host.progress import Progress
from mask_detailer.detailer.host.sampling import Descent, Guidance, couples_crops, noise_for, sample, sampler_for

LARGEST = 2**64 - 1


def own_noise(samples: torch.Tensor, seed: int, batch_index: Any = None) -> torch.Tensor:
    return torch.randn(samples.shape, generator=torch.Generator().manual_seed(seed)) + (batch_index or [0])[0]


class BrownianTree:
    made: list[tuple[Any, ...]] = []

    def __init__(self, like: torch.Tensor, lowest: Any, highest: Any, seed: int, cpu: bool) -> None:
        self.made.append((like.shape, float(lowest), float(highest), seed, cpu, like.dtype))
        self.seed, self.shape = seed, like.shape

    def __call__(self, sigma: Any, sigma_next: Any) -> torch.Tensor:
        return torch.full(self.shape, float(self.seed))


class KSampler:
    """ComfyUI's KSAMPLER."""

    def __init__(self, sampler_function: Any, extra_options: Any = None, inpaint_options: Any = None) -> None:
        self.sampler_function = sampler_function
        self.extra_options = extra_options or {}
        self.inpaint_options = inpaint_options or {}


@pytest.fixture(autouse=True)
def comfy_parts(comfy: Any) -> Any:
    BrownianTree.made = []
    functions: dict[str, KSampler] = {}
    comfy("sample", prepare_noise=own_noise)
    comfy("utils", PROGRESS_BAR_ENABLED=False)
    comfy("model_management", intermediate_device=lambda: torch.device("cpu"),
          throw_exception_if_processing_interrupted=lambda: None)  # fmt: skip
    comfy(
        "samplers",
        KSAMPLER=KSampler,
        CFGGuider=Guider,
        sampler_object=functions.__getitem__,
        ksampler=lambda name, options: KSampler(name, options),
    )
    comfy(
        "k_diffusion.sampling",
        BrownianTreeNoiseSampler=BrownianTree,
        default_noise_sampler=lambda item, seed: lambda sigma, sigma_next: torch.full(item.shape, float(seed)),
    )
    return functions


# --- noise --------------------------------------------------------------------------------------------------------


def test_each_item_has_the_noise_that_it_would_have_alone() -> None:
    latent: Any = {"samples": torch.zeros(3, 4, 2, 2)}
    made = noise_for(latent, [5, 9, 5])
    for item, seed in zip(made.split(1), [5, 9, 5], strict=True):
        assert torch.equal(item, own_noise(torch.zeros(1, 4, 2, 2), seed))


def test_one_seed_is_the_whole_batchs() -> None:
    latent: Any = {"samples": torch.zeros(3, 4, 2, 2), "batch_index": [7]}
    assert torch.equal(noise_for(latent, [5]), own_noise(latent["samples"], 5, [7]))


SIGMAS = torch.tensor([9.0, 4.0, 1.0, 0.0])
LEVELS = torch.tensor(9.0), torch.tensor(1.0)


@pytest.mark.parametrize("name", ["dpmpp_sde", "dpmpp_2m_sde_gpu", "dpmpp_3m_sde"])
def test_brownian_samplers_draw_from_a_tree_an_item_over_the_whole_schedule(name: str) -> None:
    model: Any = SimpleNamespace(load_device=torch.device("cpu"))
    sampler: Any = sampler_for(name, model, torch.zeros(2, 4, 2, 2, dtype=torch.float16), SIGMAS, [5, 9])
    on_cpu = not name.endswith("_gpu")
    assert BrownianTree.made == [((1, 4, 2, 2), 1.0, 9.0, seed, on_cpu, torch.float32) for seed in (5, 9)]
    drawn = sampler.extra_options["noise_sampler"](*LEVELS)
    assert drawn[:, 0, 0, 0].tolist() == [5, 9]


def drawing(model: Any, x: Any, sigmas: Any, extra_args: Any = None, noise_sampler: Any = None, own: Any = None) -> Any:
    return noise_sampler(*LEVELS), model.noise, extra_args, own


def plain(model: Any, x: Any, sigmas: Any, extra_args: Any = None, **others: Any) -> Any:
    return others


def run(sampler: Any, items: int = 2) -> Any:
    model = SimpleNamespace(noise="ComfyUI's")
    options = {**sampler.extra_options, "extra_args": "args"}
    return sampler.sampler_function(model, torch.zeros(items, 4, 2, 2), SIGMAS, **options)


def test_other_samplers_draw_for_each_item_alone(comfy_parts: Any) -> None:
    comfy_parts["euler_ancestral"] = KSampler(drawing, {"own": 3})
    drawn, noise, arguments, own = run(sampler_for("euler_ancestral", None, None, SIGMAS, [5, LARGEST]))
    assert drawn[:, 0, 0, 0].tolist() == [5, float(LARGEST - 1)]  # samplers add one to a seed
    assert (noise, arguments, own) == ("ComfyUI's", "args", 3)


def test_a_sampler_that_draws_from_a_tree_over_the_part(comfy_parts: Any) -> None:
    comfy_parts["dpmpp_2m_sde_heun"] = KSampler(drawing)
    run(sampler_for("dpmpp_2m_sde_heun", None, None, torch.tensor([99.0, 0.5, 0.0]), [5, 9]))
    assert [made[:4] for made in BrownianTree.made] == [((1, 4, 2, 2), 1.0, 9.0, seed) for seed in (5, 9)]


def test_what_ddim_lays_under_the_mask_is_each_items_own(comfy_parts: Any) -> None:
    comfy_parts["ddim"] = KSampler(drawing, inpaint_options={"random": True})
    _, noise, *_ = run(sampler_for("ddim", None, None, SIGMAS, [5, 9]))
    for item, seed in zip(noise.split(1), (5, 9), strict=True):
        assert torch.equal(item, own_noise(torch.zeros(1, 4, 2, 2), seed + 1))


def test_a_sampler_that_draws_nothing_is_given_nothing(comfy_parts: Any) -> None:
    comfy_parts["euler"] = KSampler(plain)
    assert run(sampler_for("euler", None, None, SIGMAS, [5, 9])) == {}


def test_one_crop_has_comfyuis_own_sampler(comfy_parts: Any) -> None:
    comfy_parts["euler_ancestral"] = KSampler(drawing)
    assert sampler_for("euler_ancestral", None, None, SIGMAS, [5]) is comfy_parts["euler_ancestral"]


def test_samplers_that_let_one_crop_change_another() -> None:
    assert couples_crops("dpm_adaptive") and couples_crops("ar_video") and not couples_crops("dpm_fast")


# --- sampling -----------------------------------------------------------------------------------------------------


class Guider:
    """Makes the samples 1 larger a step; the predicted clean latents are 10 times the step."""

    last: Guider

    def __init__(self, model: Any) -> None:
        self.model, self.conds, self.cfg = model, {}, None
        type(self).last = self

    def set_conds(self, positive: Any, negative: Any) -> None:
        self.conds = {"positive": positive, "negative": negative}

    def inner_set_conds(self, conds: Any) -> None:
        self.conds = conds

    def set_cfg(self, cfg: float) -> None:
        self.cfg = cfg

    def sample(self, noise: Any, samples: Any, sampler: Any, sigmas: Any, **others: Any) -> torch.Tensor:
        self.asked = {"noise": noise, "samples": samples, "sampler": sampler, "sigmas": sigmas, **others}
        steps = len(sigmas) - 1
        for step in range(steps):
            others["callback"](step, samples + 10.0 * (step + 1), samples, steps)
        return samples + steps


class Model:
    model = SimpleNamespace(process_latent_out=lambda latent: latent * 2)


SAMPLES = torch.zeros(2, 4, 2, 2, dtype=torch.float16)
NOISE = torch.ones(2, 4, 2, 2)


def sampled(negative: Any = (), finish: bool = True, bar: Any = None, **latent: Any) -> torch.Tensor:
    guidance = Guidance(Model(), [("tokens", {})], negative, 3.5)
    given: Any = {"samples": SAMPLES, **latent}
    return sample(guidance, given, NOISE, Descent("sampler", SIGMAS, LARGEST, finish), bar or Progress.hidden())


def test_with_cfg() -> None:
    sampled(negative=[("negative", {})])
    assert Guider.last.conds == {"positive": [("tokens", {})], "negative": [("negative", {})]}
    assert Guider.last.cfg == 3.5
    asked = Guider.last.asked
    assert asked["noise"] is NOISE and asked["samples"] is SAMPLES and asked["sampler"] == "sampler"
    assert asked["sigmas"] is SIGMAS and asked["seed"] == LARGEST - 1 and asked["disable_pbar"]
    assert asked["denoise_mask"] is None


def test_a_placeholder_means_the_models_own_guidance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.sampling, "with_guidance", lambda positive, cfg: ("guided", positive, cfg))
    sampled(negative="placeholder")
    assert Guider.last.conds == {"positive": ("guided", [("tokens", {})], 3.5)}
    assert Guider.last.cfg is None


def test_it_ends_at_the_last_clean_latent_or_with_its_noise() -> None:
    made = sampled()
    assert made.dtype == torch.float32 and made.unique().tolist() == [60]  # the last step's 30, as latents come out
    assert sampled(finish=False).unique().tolist() == [3]


def test_a_mask_for_each_clip() -> None:
    mask = torch.ones(2, 8, 8)
    sampled(noise_mask=mask)
    assert Guider.last.asked["denoise_mask"] is mask
    sampled(samples=torch.zeros(2, 4, 3, 2, 2), noise_mask=mask)
    assert Guider.last.asked["denoise_mask"].shape == (2, 1, 1, 8, 8)


def test_steps_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    checks: list[str] = []
    monkeypatch.setattr(host.sampling, "check_interrupted", lambda: checks.append("checked"))
    bar: Any = SimpleNamespace(step=lambda step, steps, model, x0: told.append((step, steps, float(x0.max()))))
    sampled(bar=bar)
    assert told == [(1, 3, 10), (2, 3, 20), (3, 3, 30)] and len(checks) == 3
