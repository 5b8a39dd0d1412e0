"""The hooks group: what each hook does within a real run, and two of them together."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.sample
import comfy.samplers
import comfy_execution.graph
import comfy_execution.progress
import folder_paths
import pytest
import torch
from engine.running import Recorder, RecorderV7, detail, same, segs_of
from engine.tiny_models import Pipe, conditioning, mask_of, picture
from mask_detailer.detailer.hooks.protocol import Hook
from mask_detailer.nodes import hooks as nodes
from mask_detailer.nodes.validate import InputError
from PIL import Image

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
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


# --- combine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Recorder, RecorderV7])
def test_two_hooks_that_change_nothing(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, kind: type) -> None:
    alone, first, second = kind(), kind(), kind()
    wanted = detail(image, mask, unet, cycle=2, detailer_hook=alone).image
    made = detail(image, mask, unet, cycle=2, detailer_hook=combined(first, second)).image
    assert torch.equal(made, wanted)
    skipping = {"get_skip_sampling"}  # the second isn't asked where the first says no
    assert first.names == alone.names
    assert [name for name in second.names if name not in skipping] == [
        name for name in alone.names if name not in skipping
    ]
    assert all(same(first.seen[name], alone.seen[name]) for name in alone.seen if name != "pre_ksample")


class Adding(RecorderV7):
    """Adds a number to what it is given, so that the order shows: ``x -> 2 x + number``."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def post_crop_region(self, w: int, h: int, item_bbox: Any, crop_region: Any) -> Any:
        super().post_crop_region(w, h, item_bbox, crop_region)
        return [2 * side + self.number for side in crop_region]

    def post_detection(self, segs: Any) -> Any:
        return segs[0], [*segs[1], self.number]

    def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
        return int(2 * w + self.number), int(2 * h + self.number)

    def post_upscale(self, pixels: Any) -> Any:
        return 2 * pixels + self.number

    def post_encode(self, latent: Any) -> Any:
        return {"samples": 2 * latent["samples"] + self.number}

    cycle_latent = pre_decode = post_encode
    post_decode = post_paste = post_upscale

    def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
        return (*call[:-1], 2 * call[-1] + self.number)

    def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
        super().get_custom_noise(seed, noise, is_touched)
        return 2 * noise + self.number, True


def test_the_second_works_on_what_the_first_gives() -> None:
    first, second = Adding(1), Adding(10)
    hook = combined(first, second)
    one = torch.ones(1)
    wanted = torch.tensor([2 * (2 + 1) + 10.0])
    assert hook.post_crop_region(9, 8, "box", [1, 1, 1, 1]) == [16, 16, 16, 16]
    assert first.seen["post_crop_region"] == [(9, 8, "box", [1, 1, 1, 1])]
    assert second.seen["post_crop_region"] == [(9, 8, "box", [3, 3, 3, 3])]
    assert hook.post_detection(((1, 1), []))[1] == [1, 10]
    assert hook.touch_scaled_size(1, 2) == (16, 20)
    for method in ("post_decode", "post_paste"):
        assert torch.equal(getattr(hook, method)(one), wanted)
    assert torch.equal(hook.post_upscale(one, None), wanted)  # theirs takes the picture alone
    for method in ("post_encode", "cycle_latent", "pre_decode"):
        assert torch.equal(getattr(hook, method)({"samples": one})["samples"], wanted)
    assert hook.pre_ksample(*range(9), 1)[-1] == 16
    noise, touched = hook.get_custom_noise(5, torch.zeros(1), is_touched=False)
    assert (float(noise), touched) == (12.0, True)
    assert [(seed, float(noise), touched) for seed, noise, touched in second.seen["get_custom_noise"]] == [(5, 1, True)]
    hook.set_steps((1, 3))
    assert (hook.cur_step, hook.total_step) == (1, 3)
    assert first.seen["set_steps"] == second.seen["set_steps"] == [((1, 3),)]


class Answers:
    def __init__(self, skip: bool = False, retry: bool = False, sampler: Any = None) -> None:
        self.skip, self.retry, self.sampler = skip, retry, sampler

    def get_skip_sampling(self) -> bool:
        return self.skip

    def should_retry_patch(self, image: Any) -> bool:
        return self.retry

    should_skip_by_cnet_image = should_retry_patch

    def get_custom_sampler(self) -> Any:
        return self.sampler


@pytest.mark.parametrize("first", [False, True, None])
@pytest.mark.parametrize("second", [False, True, None])
def test_questions(first: bool | None, second: bool | None) -> None:
    """``None``: a hook without these methods."""
    hooks = [object() if yes is None else Answers(yes, yes, "sampler" if yes else None) for yes in (first, second)]
    hook = combined(*hooks)
    assert hook.get_skip_sampling() == (first is True and second is True)
    assert hook.should_retry_patch(None) == (True in (first, second))
    assert hook.should_skip_by_cnet_image(None) == (True in (first, second))
    assert hook.get_custom_sampler() == ("sampler" if True in (first, second) else None)


def test_first_sampler_is_taken() -> None:
    assert combined(Answers(sampler="a"), Answers(sampler="b")).get_custom_sampler() == "a"


def test_override_is_passed_on_where_either_has_it() -> None:
    class Overriding:
        override_bbox_by_segm = False

    assert not hasattr(combined(object(), Recorder()), "override_bbox_by_segm")
    for hooks in ((Overriding(), object()), (object(), Overriding())):
        assert combined(*hooks).override_bbox_by_segm is False
        assert hasattr(combined(combined(*hooks), object()), "override_bbox_by_segm")


@pytest.mark.parametrize("noisy_first", [True, False])
def test_noise_of_one_of_two_is_used(unet: Pipe, image: torch.Tensor, mask: torch.Tensor, noisy_first: bool) -> None:
    noisy = nodes.VariationNoiseDetailerHookProvider().doit(3, 0.5)[0]
    hooks = (noisy, Recorder()) if noisy_first else (Recorder(), noisy)
    wanted = detail(image, mask, unet, detailer_hook=noisy).image
    assert torch.equal(detail(image, mask, unet, detailer_hook=combined(*hooks)).image, wanted)
    assert not torch.equal(detail(image, mask, unet).image, wanted)


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


# --- preview ------------------------------------------------------------------------------------------------------


class Server:
    """Stands for the running server: notes what it is told to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def send_sync(self, *event: Any) -> None:
        self.sent.append(event)


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    standing = Server()
    prompt_server = SimpleNamespace(instance=standing)
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=prompt_server))  # type: ignore[arg-type]
    return standing


def test_preview(unet: Pipe, image: torch.Tensor, running: Server, tmp_path: Path) -> None:
    """Inside a running event loop, as ComfyUI runs nodes."""
    hook, for_upscalers = nodes.PreviewDetailerHookProvider().doit(95, "12:3")
    assert hook is for_upscalers
    two = mask_of(*SIZE, UPPER, LOWER)

    async def run() -> torch.Tensor:
        return detail(image, two, unet, detailer_hook=hook).image

    made = asyncio.run(run())

    assert torch.equal(made, detail(image, two, unet).image)
    item = {"filename": "12_3.webp", "subfolder": "pvhook", "type": "temp"}
    assert running.sent == [("impact-preview", {"node_id": "12:3", "item": item})] * 2
    with Image.open(tmp_path / "pvhook" / "12_3.webp") as shown:
        assert shown.format == "WEBP"
        assert shown.size == (SIZE[1], SIZE[0])
        pixels = torch.frombuffer(bytearray(shown.convert("RGB").tobytes()), dtype=torch.uint8)
    torch.testing.assert_close(pixels.reshape(1, *SIZE, 3) / 255, made, atol=0.15, rtol=0)


@pytest.mark.parametrize("runs_as", ["12:5", "12:5.0.0.7"], ids=["in a subgraph", "in a loop in one"])
def test_preview_is_sent_to_the_node_that_the_browser_has(running: Server, tmp_path: Path, runs_as: str) -> None:
    """Nodes that others make while they run, as loops do, are shown as the node that stands in the workflow."""
    prompt = comfy_execution.graph.DynamicPrompt({"12:5": {"class_type": "PreviewDetailerHookProvider", "inputs": {}}})
    prompt.add_ephemeral_node("12:5.0.0.7", {}, "12:5", "12:5")
    comfy_execution.progress.reset_progress_state("prompt 1", prompt)
    nodes.PreviewDetailerHookProvider().doit(95, runs_as)[0].post_paste(torch.rand(1, 8, 8, 3))
    item = {"filename": "12_5.webp", "subfolder": "pvhook", "type": "temp"}
    assert running.sent == [("impact-preview", {"node_id": "12:5", "item": item})]
    assert (tmp_path / "pvhook" / "12_5.webp").is_file()


def test_quality_and_batches(running: Server, tmp_path: Path) -> None:
    sizes = []
    image = torch.rand(2, 64, 64, 4)
    before = image.clone()
    for quality in (20, 95):
        hook = nodes.PreviewDetailerHookProvider().doit(quality, "7")[0]
        assert hook.post_paste(image) is image
        sizes.append((tmp_path / "pvhook" / "7.webp").stat().st_size)
    assert sizes[0] < sizes[1]
    assert torch.equal(image, before)


def test_preview_that_cannot_be_written(
    running: Server, tmp_path: Path, image: torch.Tensor, told: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pvhook").write_text("in the way")
    hook = nodes.PreviewDetailerHookProvider().doit(95, "7")[0]
    assert hook.post_paste(image) is image
    assert running.sent == []
    assert [record.levelno for record in told.records] == [logging.WARNING]


def test_preview_without_a_server(
    running: Server, tmp_path: Path, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "server")
    assert nodes.PreviewDetailerHookProvider().doit(95, "7")[0].post_paste(image) is image
    assert (tmp_path / "pvhook" / "7.webp").is_file()


def test_hooks_have_every_method_of_the_protocol(unet: Pipe) -> None:
    """Detailers of other packs call them without a look."""
    methods = {name for name in dir(Recorder) if not name.startswith("_")} - {"all"}
    hooks = [combined(None, None), unsampler(unet), nodes.PreviewDetailerHookProvider().doit(95, "7")[0]]
    for hook in hooks:
        assert methods | {"should_retry_patch", "should_skip_by_cnet_image"} <= set(dir(hook))
        assert (hook.cur_step, hook.total_step) == (0, 0)
