"""Which noise levels are run over, by which model, and what the refiner gets; the sampler itself is a stand-in."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from mask_detailer.detailer import host
from mask_detailer.detailer.host.apart import Apart
from mask_detailer.detailer.host.custom_sampling import CustomSampling
from mask_detailer.detailer.host.progress import Progress
from mask_detailer.detailer.host.sampling import Descent, Guidance
from mask_detailer.detailer.ksampler import Run, Stages, Steps, sample_latent, sample_steps, unsample
from mask_detailer.detailer.values import KSampleCall, Refiner

MODEL: Any = "model"
REFINER = Refiner("refiner model", [], "refiner's negative", 0.25)
CLEAN = torch.full((1, 4, 2, 2), 5.0)
NOISE = torch.ones(1, 4, 2, 2)
HALF = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])


class Sampled:
    """What the sampler was asked, and what the schedule was. Each run adds 1 to the samples, and starts at the level
    that it says.
    """

    def __init__(self) -> None:
        self.runs: list[tuple[Guidance, Any, torch.Tensor, Descent, Any]] = []
        self.schedules: list[tuple[Any, ...]] = []
        self.samplers: list[tuple[Any, ...]] = []
        self.longer = 0
        self.broken = False

    def sample(self, guidance: Any, latent: Any, noise: torch.Tensor, descent: Any, progress: Any) -> torch.Tensor:
        self.runs.append((guidance, latent, noise, descent, progress))
        return latent["samples"] + 1.0

    def sigmas_for(self, *asked: Any) -> torch.Tensor:
        self.schedules.append(asked)
        steps = asked[3] + self.longer
        sigmas = torch.arange(steps, -1, -1, dtype=torch.float32)
        return sigmas / 0.0 if self.broken else sigmas

    def sampler_for(self, *asked: Any) -> str:
        self.samplers.append(asked)
        return "the named sampler"

    @property
    def levels(self) -> list[list[float]]:
        return [descent.sigmas.tolist() for _, _, _, descent, _ in self.runs]


@pytest.fixture(autouse=True)
def sampled(monkeypatch: pytest.MonkeyPatch) -> Sampled:
    made = Sampled()
    monkeypatch.setattr(host.sampling, "sample", made.sample)
    monkeypatch.setattr(host.sampling, "sampler_for", made.sampler_for)
    monkeypatch.setattr(host.schedules, "sigmas_for", made.sigmas_for)
    monkeypatch.setattr(host.sampling, "noise_for", lambda latent, seeds: NOISE)
    monkeypatch.setattr(host.latents, "fitted_to", lambda model, latent: dict(latent))
    monkeypatch.setattr(host.latents, "noise_mask_at", lambda mask, samples: mask[:, None])
    return made


def call(steps: int = 4, denoise: float = 1.0, **latent: Any) -> KSampleCall:
    given: Any = {"samples": CLEAN, **latent}
    return KSampleCall(MODEL, 7, steps, 3.0, "euler", "normal", [], "no", given, denoise)


def run(steps: int = 4, denoise: float = 0.5, ratio: float = 0.0, sampler: Any = None, **latent: Any) -> Run:
    return Run(
        "segment 1",
        call(steps, denoise, **latent),
        (7, 8),
        Stages.of(steps, denoise, ratio),
        None,
        CustomSampling(sampler),
    )


@pytest.mark.parametrize(
    ("steps", "denoise", "ratio", "wanted"),
    [
        (20, 1.0, 0.0, (20, 0, 20)),
        (20, 0.5, 0.0, (40, 20, 40)),
        (20, 0.3, 0.0, (66, 46, 66)),
        (20, 0.5, 0.2, (40, 20, 36)),
        (10, 1.0, 0.25, (10, 0, 7)),
        (10, 0.5, 1.0, (20, 10, 10)),
    ],
)
def test_stages(steps: int, denoise: float, ratio: float, wanted: tuple[int, ...]) -> None:
    stages = Stages.of(steps, denoise, ratio)
    assert (stages.total, stages.start, stages.switch) == wanted


def test_a_longer_schedule_ends_cleanly_where_it_should() -> None:
    given = torch.tensor([9.0, 5.0, 3.0, 2.0, 0.0])
    assert Stages(3, 0, 3).cut(given).tolist() == [9.0, 5.0, 3.0, 0.0]
    assert given.tolist() == [9.0, 5.0, 3.0, 2.0, 0.0]  # not ours to write to
    assert Stages(4, 0, 4).cut(given) is given


# --- a model alone ------------------------------------------------------------------------------------------------


def test_one_model_runs_over_the_last_steps(sampled: Sampled) -> None:
    bar = Progress.hidden()
    made = run().sample(None, NOISE, bar)
    ((guidance, latent, noise, descent, part),) = sampled.runs
    assert sampled.schedules == [(MODEL, "euler", "normal", 8, None)]
    assert descent.sigmas.tolist() == [4, 3, 2, 1, 0] and descent.finish and descent.seed == 7
    assert guidance == Guidance(MODEL, [], "no", 3.0)
    assert latent["samples"] is CLEAN and noise is NOISE and part is bar
    assert torch.equal(made, CLEAN + 1)
    assert descent.sampler == "the named sampler"
    ((name, model, start, whole, seeds),) = sampled.samplers
    assert (name, model, seeds) == ("euler", MODEL, (7, 8)) and start is NOISE
    assert whole.tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]  # Brownian trees lie over all of it


def test_a_hooks_own_sampler(sampled: Sampled) -> None:
    replace(run(sampler="own"), seeds=(7,)).sample(None, NOISE, Progress.hidden())
    assert sampled.runs[0][3].sampler == "own" and not sampled.samplers


def test_a_hooks_own_sampler_for_several(sampled: Sampled) -> None:
    run(sampler="own").sample(None, torch.cat([NOISE, NOISE]), Progress.hidden())
    sampler: Any = sampled.runs[0][3].sampler
    assert isinstance(sampler, Apart) and sampler.seeds == (7, 8)


def test_a_scheduler_function_is_asked_for_the_whole_schedule(sampled: Sampled) -> None:
    function: Any = object()
    Run("segment 1", call(4, 0.5), (7,), Stages.of(4, 0.5), function).sample(None, NOISE, Progress.hidden())
    assert sampled.schedules == [(MODEL, "euler", "normal", 8, function)]


def test_a_schedule_without_the_steps(sampled: Sampled, caplog: pytest.LogCaptureFixture) -> None:
    sampled.longer = -5
    made = run()
    assert made.sample(None, NOISE, Progress.hidden()) is CLEAN
    assert not sampled.runs
    assert "the schedule has 3 steps, none of them from step 4 on is to be run" in caplog.text


def test_noise_levels_that_are_not_finite(sampled: Sampled) -> None:
    sampled.broken = True
    with pytest.raises(ValueError, match=r"segment 1: the scheduler 'normal' .* not finite for 8 steps"):
        run().sample(None, NOISE, Progress.hidden())


# --- and a refiner ------------------------------------------------------------------------------------------------


def test_the_refiner_takes_over_the_last_steps_without_new_noise(sampled: Sampled) -> None:
    made = run(ratio=0.25, noise_mask=HALF, kept="as it is").sample(REFINER, NOISE, Progress.hidden())
    assert sampled.levels == [[4, 3, 2, 1], [1, 0]]
    (base, *_, first, early), (fine, latent, noise, second, late) = sampled.runs
    assert base == Guidance(MODEL, [], "no", 3.0)
    assert fine == Guidance("refiner model", [], "refiner's negative", 3.0, of_refiner=True)
    assert not first.finish and second.finish
    assert torch.equal(noise, torch.zeros_like(NOISE))
    # noise inside the mask, clean outside
    assert latent["samples"][0, 0].tolist() == [[5, 6], [5, 6]] and latent["kept"] == "as it is"
    assert made[0, 0].tolist() == [[6, 7], [6, 7]]
    assert (early.first, early.last, late.first, late.last) == (0.0, 0.5, 0.5, 1.0)
    assert [asked[0] for asked in sampled.schedules] == [MODEL, "refiner model"]


def test_a_refiner_for_all_steps_starts_from_the_noise(sampled: Sampled) -> None:
    made = run(ratio=1.0).sample(REFINER, NOISE, Progress.hidden())
    ((guidance, latent, noise, descent, part),) = sampled.runs
    assert guidance.model == "refiner model" and latent["samples"] is CLEAN and noise is NOISE
    assert descent.sigmas.tolist() == [4, 3, 2, 1, 0] and descent.finish
    assert (part.first, part.last) == (0.5, 1.0)
    assert torch.equal(made, CLEAN + 1)


def test_a_refiner_for_no_step_does_nothing(sampled: Sampled) -> None:
    run(ratio=0.0).sample(REFINER, NOISE, Progress.hidden())
    assert [guidance.model for guidance, *_ in sampled.runs] == [MODEL]
    assert sampled.levels == [[4, 3, 2, 1, 0]]


# --- the KSamplers ------------------------------------------------------------------------------------------------


def test_a_ksampler(sampled: Sampled) -> None:
    given = call(4, 0.5, kept="as it is")
    made = sample_latent(given, None, "Node", Progress.hidden())
    assert torch.equal(made["samples"], CLEAN + 1) and made["kept"] == "as it is"
    assert sampled.levels == [[4, 3, 2, 1, 0]] and sampled.runs[0][2] is NOISE
    assert sampled.samplers[0][-1] == [7]


@pytest.mark.parametrize("denoise", [0.0, -1.0])
def test_a_ksampler_without_denoise(sampled: Sampled, denoise: float, caplog: pytest.LogCaptureFixture) -> None:
    given = call(4, denoise)
    with caplog.at_level(logging.INFO, "mask_detailer"):
        assert sample_latent(given, None, "Node", Progress.hidden()) is given.latent
    assert not sampled.runs and "Node: denoise is 0" in caplog.text


@pytest.mark.parametrize(
    ("steps", "levels", "finish"),
    [
        (Steps(0, 10000, True, True), [6, 5, 4, 3, 2, 1, 0], True),
        (Steps(2, 4, True, False), [4, 3, 2], False),  # its noise stays in
        (Steps(2, 4, True, True), [4, 3, 0], True),
        (Steps(4, 6, False, False), [2, 1, 0], False),
    ],
)
def test_an_advanced_ksampler(sampled: Sampled, steps: Steps, levels: list[float], finish: bool) -> None:
    made = sample_steps(call(6, 0.5), None, steps, "Node", Progress.hidden())
    ((_, _, noise, descent, _),) = sampled.runs
    assert descent.sigmas.tolist() == levels and descent.finish is finish
    assert noise is NOISE if steps.add_noise else torch.equal(noise, torch.zeros_like(CLEAN))
    assert sampled.schedules == [(MODEL, "euler", "normal", 6, None)]
    assert sampled.samplers[0][3].tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert torch.equal(made["samples"], CLEAN + 1)


@pytest.mark.parametrize("first", [6, 9])
def test_an_advanced_ksampler_without_a_step(sampled: Sampled, first: int) -> None:
    given = call(6)
    assert sample_steps(given, None, Steps(first, 10000, True, True), "Node", Progress.hidden()) is given.latent
    assert not sampled.runs


@pytest.mark.parametrize(("last", "steps"), [(0, 4), (1, 3), (3, 1), (9, 1)])
def test_unsampling_goes_up_to_the_noise_of_a_step(sampled: Sampled, last: int, steps: int) -> None:
    made = unsample(call(4), last, normalize=False)
    ((_, _, noise, descent, _),) = sampled.runs
    assert descent.sigmas.tolist() == pytest.approx([step + 0.0001 for step in range(steps + 1)])
    assert not descent.finish and torch.equal(noise, torch.zeros_like(CLEAN))
    assert torch.equal(made["samples"], CLEAN + 1)


def test_unsampling_to_mean_0_and_deviation_1() -> None:
    given = torch.arange(16.0).reshape(1, 4, 2, 2)
    samples = unsample(call(4, samples=given), 0, normalize=True)["samples"]
    assert samples.mean().item() == pytest.approx(0, abs=1e-6) and samples.std().item() == pytest.approx(1)


@pytest.mark.parametrize("denoise", [1e-9, 5e-324])
def test_a_schedule_has_an_end(denoise: float) -> None:
    """A hook may ask for what no node lets through."""
    with pytest.raises(ValueError, match=r"20 steps at denoise .* are a schedule of [0-9]+ noise levels, too many"):
        Stages.of(20, denoise)
    assert Stages.of(100, 0.00005).total == 2_000_000
