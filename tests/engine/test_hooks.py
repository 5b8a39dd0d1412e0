"""The detailer hook protocol: what is called when, with what, and what becomes of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.sample
import comfy.samplers
import folder_paths
import pytest
import torch
from engine.running import Recorder, RecorderV7, detail, near, unchanged_outside
from engine.test_detailer_family import WIDGETS, parts
from engine.test_together import SIZE as TOGETHER
from engine.test_together import counted, eight
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.detailer.hooks.builtin import CombinedHook, LabelFilterHook, PreviewHook
from mask_detailer.detailer.hooks.events import EVENTS, DetailerHook
from mask_detailer.detailer.options import DetailOptions
from mask_detailer.nodes.detailers import DetailerForEachAutoRetry
from mask_detailer.nodes.detectors import BboxDetectorSEGS
from support.detectors import BoxDetector, Disc, drawn

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
CROP = (slice(None), slice(8, 40), slice(8, 40))  # of UPPER


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def mask() -> torch.Tensor:
    return mask_of(*SIZE, UPPER)


@pytest.fixture
def two() -> torch.Tensor:
    return mask_of(*SIZE, UPPER, LOWER)


CYCLE = ["set_steps", "cycle_latent", "pre_ksample", "get_custom_noise"]
SEGMENT_V7 = ["touch_scaled_size", "post_encode", *CYCLE, *CYCLE, "pre_decode", "post_decode", "post_paste"]
SEGMENT = [
    "touch_scaled_size", "post_upscale", "get_skip_sampling", "post_encode", "get_custom_sampler", *CYCLE, *CYCLE,
    "pre_decode", "post_decode", "post_paste",
]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("kind", "segment"), [(RecorderV7, SEGMENT_V7), (Recorder, SEGMENT)])
def test_order_of_calls(
    unet: Pipe, image: torch.Tensor, mask: torch.Tensor, two: torch.Tensor, kind: type, segment: list[str], count: int
) -> None:
    hook = kind()
    wanted = detail(image, mask if count == 1 else two, unet, cycle=2).image
    made = detail(image, mask if count == 1 else two, unet, cycle=2, detailer_hook=hook).image
    assert hook.names == segment * count
    assert torch.equal(made, wanted)


def test_arguments(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    hook = Recorder()
    made = detail(image, mask, unet, cycle=2, detailer_hook=hook, noise_mask_feather=3, cfg=4.0)
    assert hook.all("set_steps") == [(0, 2), (1, 2)]
    assert hook.seen["touch_scaled_size"] == [(128, 128)]
    [(pixels, noise_mask)] = hook.seen["post_upscale"]
    assert pixels.shape == (1, 128, 128, 3)
    assert noise_mask.shape == (1, 32, 32)  # the crop's, not the enlarged one's
    [encoded] = hook.all("post_encode")
    assert torch.equal(encoded["noise_mask"], noise_mask)
    assert encoded["samples"].shape == (1, 4, 16, 16)
    for cycle, call in enumerate(hook.seen["pre_ksample"]):
        assert call[1:6] == (7 + cycle, 2, 4.0, "euler", "normal")
        assert call[9] == 0.5
        assert torch.equal(call[8]["samples"], encoded["samples"])  # always the first one
    for cycle, (seed, noise, touched) in enumerate(hook.seen["get_custom_noise"]):
        assert (seed, touched) == (7 + cycle, False)
        assert torch.equal(noise, torch.zeros(1, 4, 16, 16))
    first, second = hook.all("cycle_latent")
    assert torch.equal(first["samples"], encoded["samples"])
    assert not torch.equal(second["samples"], first["samples"])
    assert torch.equal(second["noise_mask"], noise_mask)
    assert hook.all("post_decode")[0].shape == (1, 128, 128, 3)
    assert torch.equal(hook.all("post_paste")[0], made.image)


def test_detection_methods_are_not_for_masks(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    hook = Recorder()
    detail(image, mask, unet, detailer_hook=hook)
    assert not {"post_crop_region", "post_detection"} & set(hook.names)


def test_missing_methods_change_nothing(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class OnlyDecode:
        def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels

    wanted = detail(image, mask, unet).image
    for hook in (object(), OnlyDecode()):
        assert torch.equal(detail(image, mask, unet, detailer_hook=hook).image, wanted)


def test_post_upscale_of_one_argument(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class Old(RecorderV7):
        def post_upscale(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels * 0

    class New(RecorderV7):
        def post_upscale(self, pixels: torch.Tensor, mask: Any = None) -> torch.Tensor:
            return pixels * 0

    black = [detail(image, mask, unet, detailer_hook=hook).image for hook in (Old(), New())]
    assert torch.equal(*black)
    assert not torch.equal(black[0], detail(image, mask, unet).image)


def test_without_noise_mask_post_upscale_gets_none(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    hook = Recorder()
    detail(image, mask, unet, detailer_hook=hook, mask_mode=False)
    assert hook.all("post_upscale", 1) == [None]
    assert "noise_mask" not in hook.all("post_encode")[0]


def test_size(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    """Any size is allowed: it is rounded down to whole latent cells, and nothing in the picture moves."""

    class Sized(Recorder):
        def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
            return 77.0, 60  # type: ignore[return-value]  hooks reckon with ratios

    hook = Sized()
    made = detail(image, mask, unet, detailer_hook=hook)
    assert hook.all("post_encode")[0]["samples"].shape == (1, 4, 7, 9)
    assert unchanged_outside(made.image, image, near(mask, 4))


def test_custom_noise(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class Noisy(Recorder):
        def __init__(self, touched: bool, scale: float) -> None:
            super().__init__()
            self.touched, self.scale = touched, scale

        def get_custom_noise(self, seed: int, noise: torch.Tensor, is_touched: bool) -> tuple[torch.Tensor, bool]:
            return self.scale * comfy.sample.prepare_noise(noise, seed), self.touched

    wanted = detail(image, mask, unet, cycle=2).image
    same_noise, untouched, other = (
        detail(image, mask, unet, cycle=2, detailer_hook=Noisy(*kind)).image
        for kind in ((True, 1.0), (False, 3.0), (True, 0.5))
    )
    assert torch.equal(same_noise, wanted)
    assert torch.equal(untouched, wanted)
    assert not torch.equal(other, wanted)


def test_custom_sampler(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class Heun(Recorder):
        def get_custom_sampler(self) -> Any:
            super().get_custom_sampler()
            return comfy.samplers.sampler_object("heun")

    hook = Heun()
    made = detail(image, mask, unet, cycle=2, detailer_hook=hook).image
    assert hook.names.count("get_custom_sampler") == 1
    assert torch.equal(made, detail(image, mask, unet, cycle=2, sampler_name="heun").image)


def test_skip_sampling(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class Skipping(Recorder):
        def get_skip_sampling(self) -> bool:
            super().get_skip_sampling()
            return True

        def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
            return 1 - super().post_decode(pixels)

    hook = Skipping()
    made = detail(image, mask, unet, detailer_hook=hook)
    assert hook.names == ["touch_scaled_size", "post_upscale", "get_skip_sampling", "post_decode", "post_paste"]
    assert torch.equal(hook.all("post_decode")[0], hook.all("post_upscale")[0])
    torch.testing.assert_close(made.refined[0], 1 - image[CROP], atol=0.02, rtol=0)


def test_changes_of_a_cycle_do_not_add_up(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class Raising(Recorder):
        def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
            model, seed, steps, cfg, _, _, positive, negative, _, denoise = super().pre_ksample(*call)
            return (model, seed + 100, steps + 2, cfg * 2, "heun", "karras", negative, positive, None, denoise + 0.2)

    hook = Raising()
    detail(image, mask, unet, detailer_hook=hook, cycle=3)
    assert [call[1:6] + call[9:] for call in hook.seen["pre_ksample"]] == [
        (seed, 2, 3.0, "euler", "normal", 0.5) for seed in (7, 8, 9)
    ]
    assert all(call[6][0][0] is unet[3][0][0] for call in hook.seen["pre_ksample"])


def test_changes_of_a_call_are_used(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    """A hook that changes everything gives what the widgets would give."""

    class Changing(Recorder):
        def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
            return (call[0], 50, 3, 5.0, "dpmpp_2m", "karras", call[7], call[6], call[8], 0.7)

    model, clip, vae, positive, negative = unet
    wanted = detail(
        image, mask, (model, clip, vae, negative, positive), seed=50, steps=3, cfg=5.0, sampler_name="dpmpp_2m",
        scheduler="karras", denoise=0.7,
    )  # fmt: skip
    assert torch.equal(detail(image, mask, unet, detailer_hook=Changing()).image, wanted.image)


def test_denoise_zero_keeps_the_latent(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class Still(Recorder):
        def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
            return (*call[:-1], 0.0)

    hook = Still()
    detail(image, mask, unet, cycle=2, detailer_hook=hook)
    assert torch.equal(hook.all("pre_decode")[0]["samples"], hook.all("post_encode")[0]["samples"])


def test_latent_changes(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    class Painting(Recorder):
        def pre_decode(self, latent: Any) -> Any:
            return {**latent, "samples": torch.zeros_like(latent["samples"])}  # middle grey

    made = detail(image, mask, unet, detailer_hook=Painting())
    torch.testing.assert_close(made.refined[0], torch.full((1, 32, 32, 3), 0.5), atol=1e-5, rtol=0)


def test_hook_that_doubles_the_batch(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    """As hooks for models of a fixed batch do: two of each latent, of which the first is kept."""

    class Doubling(Recorder):
        def post_encode(self, latent: Any) -> Any:
            return {**latent, "samples": latent["samples"].repeat(2, 1, 1, 1)}

        def pre_decode(self, latent: Any) -> Any:
            super().pre_decode(latent)
            return {**latent, "samples": latent["samples"][:1]}

    hook = Doubling()
    made = detail(image, mask, unet, detailer_hook=hook, noise_mask_feather=3).image
    assert hook.all("pre_decode")[0]["samples"].shape[0] == 2
    # ComfyUI's prepare_noise draws for the whole batch, so the first item's noise is that of a batch of one
    torch.testing.assert_close(made, detail(image, mask, unet, noise_mask_feather=3).image, atol=1e-4, rtol=0)


def test_picture_after_a_paste_is_the_next_ones(unet: Pipe, image: torch.Tensor, two: torch.Tensor) -> None:
    class Darkening(Recorder):
        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            return super().post_paste(image) * 0.5

    hook = Darkening()
    made = detail(image, two, unet, detailer_hook=hook)
    plain = Recorder()
    detail(image, two, unet, detailer_hook=plain)
    torch.testing.assert_close(hook.all("post_upscale")[1], plain.all("post_upscale")[1] * 0.5, atol=1e-6, rtol=0)
    outside = ~near(two, 4)
    torch.testing.assert_close(made.image[outside], image[outside] * 0.25)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_picture_that_a_hook_keeps_is_not_written_to(unet: Pipe, two: torch.Tensor, dtype: torch.dtype) -> None:
    class Replacing(Recorder):
        kept = torch.full((1, *SIZE, 3), 0.25, dtype=dtype)

        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            return self.kept

    hook = Replacing()
    made = detail(picture(*SIZE), two, unet, detailer_hook=hook)
    assert torch.equal(hook.kept, torch.full((1, *SIZE, 3), 0.25, dtype=dtype))
    assert torch.equal(made.image, hook.kept.float())
    made.image.zero_()
    assert hook.kept.min() == 0.25


def test_hook_serves_frames_and_variants(unet: Pipe, image: torch.Tensor, mask: torch.Tensor) -> None:
    hook = Recorder()
    detail(image.repeat(2, 1, 1, 1), mask, unet, batch_size=2, detailer_hook=hook)
    assert hook.names.count("post_paste") == 4
    assert hook.all("pre_ksample", 1) == [7, 7, 8, 8]


# --- the table of events ----------------------------------------------------------------------------------------------


class Complete(Recorder):
    """Every method that the engine asks for."""

    def judge_candidate(self, before: torch.Tensor, candidate: torch.Tensor, mask: torch.Tensor) -> float:
        self._note("judge_candidate", before, candidate, mask)
        return 0.0

    def get_custom_sampling(self, custom: Any) -> Any:
        self._note("get_custom_sampling", custom)
        return custom

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        self._note("should_retry_patch", patch)
        return False


def test_the_table_is_in_the_order_of_the_calls(unet: Pipe) -> None:
    hook = Complete()
    image, _ = drawn(96, 128, [Disc(30, 28, 11, "red")])
    (segs,) = BboxDetectorSEGS().doit(BoxDetector(), image, 0.5, 0, 2.0, 4, "all", detailer_hook=hook)
    more = {"max_retries": 2, "detailer_hook": hook, "detail_options": DetailOptions(best_of=2)}
    DetailerForEachAutoRetry().doit(image, segs, **parts(unet), **WIDGETS, **more)
    assert list(dict.fromkeys(hook.names)) == [name for name in EVENTS if name != "should_skip_by_cnet_image"]


# --- which hooks make the auto retry node go crop by crop -------------------------------------------------------------


class Judge(DetailerHook):
    """Content with everything."""

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        assert len(patch) == 1
        return False


def retried(pipe: Pipe, hook: Any) -> list[int]:
    """The batches of the calls of the model."""
    counting, calls = counted(pipe)
    widgets = WIDGETS | {"crop_batch": 0}
    image = picture(*TOGETHER)
    DetailerForEachAutoRetry().doit(image, eight(), **parts(counting), **widgets, max_retries=3, detailer_hook=hook)
    return calls


@pytest.mark.parametrize(
    "hook",
    [PreviewHook("7", 80), LabelFilterHook(["all"]), CombinedHook(PreviewHook("7", 80), LabelFilterHook(["all"]))],
    ids=["preview", "filter", "both"],
)
def test_hooks_that_do_not_judge_let_crops_go_together(
    unet: Pipe, hook: Any, told: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    assert set(retried(unet, hook)) == {16}  # eight with and without the prompt
    assert "one at a time" not in told.text
    assert [path.name for path in tmp_path.glob("*/*")] == ([] if isinstance(hook, LabelFilterHook) else ["7.webp"])


@pytest.mark.parametrize("judge", [Judge(), CombinedHook(LabelFilterHook(["all"]), Judge())], ids=["alone", "combined"])
def test_hooks_that_judge_see_one_crop_at_a_time(unet: Pipe, judge: Any, told: pytest.LogCaptureFixture) -> None:
    assert set(retried(unet, judge)) == {2}
    assert "one at a time: the detailer_hook may want each tried again" in told.text
