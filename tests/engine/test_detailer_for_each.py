"""DetailerForEach: SEGS of any pack, and the call that other packs make."""

from __future__ import annotations

import inspect
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from engine.running import SEGS_SIZE as SIZE
from engine.running import Recorder, detail, do_detail, pipe_with, same, segs_of
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.core import SEG, mask_to_segs
from mask_detailer.nodes.detailers import DetailerForEach

UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


def test_same_as_the_mask_node(unet: Pipe, image: torch.Tensor) -> None:
    made = do_detail(image, segs_of(UPPER, LOWER), unet)
    wanted = detail(image, mask_of(*SIZE, UPPER, LOWER), unet)
    assert torch.equal(made[0], wanted.image)
    assert same(made[2], wanted.refined)
    assert same(made[3], wanted.refined_alpha)


def test_outputs(unet: Pipe, image: torch.Tensor) -> None:
    segs = segs_of(UPPER, LOWER)
    made, crops, refined, refined_alpha, control_images, new_segs = do_detail(image, segs, unet, feather=0)
    for seg, before, after, with_alpha in zip(segs[1], crops, refined, refined_alpha, strict=True):
        x1, y1, x2, y2 = seg.crop_region
        assert torch.equal(before, image[:, y1:y2, x1:x2])
        alpha = torch.from_numpy(seg.cropped_mask)[None, ..., None]
        assert torch.equal(with_alpha, torch.cat([after, alpha], dim=-1))
        assert torch.equal(made[:, y1:y2, x1:x2], (1 - alpha) * before + alpha * after)
    assert control_images == []
    assert new_segs[0] == SIZE
    for seg, new, after in zip(segs[1], new_segs[1], refined, strict=True):
        assert isinstance(new.cropped_image, np.ndarray)
        assert np.array_equal(new.cropped_image, after.numpy())
        assert same(tuple(new[2:]), tuple(seg[2:]))
        assert np.array_equal(new.cropped_mask, seg.cropped_mask)


def test_parameters_of_the_call() -> None:
    """Other packs call it by position and by these names."""
    parameters = inspect.signature(DetailerForEach.do_detail).parameters
    assert [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD] == [
        "image", "segs", "model", "clip", "vae", "guide_size", "guide_size_for_bbox", "max_size", "seed", "steps",
        "cfg", "sampler_name", "scheduler", "positive", "negative", "denoise", "feather", "noise_mask", "force_inpaint",
        "wildcard_opt", "detailer_hook", "refiner_ratio", "refiner_model", "refiner_clip", "refiner_positive",
        "refiner_negative", "cycle", "inpaint_model", "noise_mask_feather", "scheduler_func_opt",
        "crop_batch", "detail_options",
    ]  # fmt: skip
    assert isinstance(inspect.getattr_static(DetailerForEach, "do_detail"), staticmethod)


def test_call_by_position(unet: Pipe, image: torch.Tensor) -> None:
    model, clip, vae, positive, negative = unet
    segs, hook = segs_of(UPPER), Recorder()
    made = DetailerForEach.do_detail(
        image, segs, model, clip, vae, 64.0, True, 128.0, 7, 4, 3.0, "euler", "normal", positive, negative, 0.5, 4,
        True, True, None, hook, 0.5, model, clip, positive, negative, 2, False, 3, lambda *_: torch.linspace(9, 0, 9),
    )  # fmt: skip
    wanted = do_detail(
        image, segs, unet, steps=4, detailer_hook=Recorder(), refiner_ratio=0.5, refiner_model=model, refiner_clip=clip,
        refiner_positive=positive, refiner_negative=negative, cycle=2, noise_mask_feather=3,
        scheduler_func_opt=lambda *_: torch.linspace(9, 0, 9),
    )  # fmt: skip
    assert len(made) == 6
    assert torch.equal(made[0], wanted[0])
    assert hook.names.count("pre_ksample") == 2


@pytest.mark.parametrize("missing", ["refiner_ratio", "refiner_model", "refiner_positive", "refiner_negative"])
def test_incomplete_refiner_is_not_used(unet: Pipe, image: torch.Tensor, missing: str) -> None:
    model, clip, _, positive, negative = unet
    refiner = dict(
        refiner_ratio=1.0, refiner_model=model, refiner_clip=clip, refiner_positive=negative, refiner_negative=positive
    )
    made = do_detail(image, segs_of(UPPER), unet, **(refiner | {missing: None}))
    assert torch.equal(made[0], do_detail(image, segs_of(UPPER), unet)[0])


Foreign = namedtuple(
    "Foreign", "cropped_image cropped_mask confidence crop_region bbox label control_net_wrapper", defaults=[None]
)
WithMore = namedtuple("WithMore", [*SEG._fields, "track_id"], defaults=[None, 5])


@pytest.mark.parametrize("kind", [Foreign, WithMore])
@pytest.mark.parametrize("box", [list, tuple, np.array, lambda box: [float(side) + 0.4 for side in box]])
@pytest.mark.parametrize(
    "mask", [np.asarray, torch.from_numpy, lambda m: torch.from_numpy(m)[None], lambda m: np.stack([m, 0.3 * m])]
)
def test_segments_of_other_packs(unet: Pipe, image: torch.Tensor, kind: Any, box: Any, mask: Any) -> None:
    size, segs = segs_of(UPPER)
    foreign = [
        kind(None, mask(seg.cropped_mask.copy()), np.float32(0.9), box(seg.crop_region), box(seg.bbox), "face")
        for seg in segs
    ]
    made = do_detail(image, (size, tuple(foreign)), unet)
    wanted = do_detail(image, (size, segs), unet)
    assert torch.equal(made[0], wanted[0])
    assert made[5][1][0].label == "face"


def test_segs_of_another_size_are_rescaled(unet: Pipe, image: torch.Tensor) -> None:
    small = mask_to_segs(mask_of(48, 56, (8, 8, 16, 16)), False, 2.0, False, 2)
    enlarged = torch.nn.functional.interpolate(mask_of(16, 16, (4, 4, 12, 12))[None], size=(32, 32), mode="bilinear")
    by_hand = SEG(None, enlarged[0, 0].numpy(), 1.0, (8, 8, 40, 40), UPPER, "A")
    made = do_detail(image, small, unet)
    assert torch.equal(made[0], do_detail(image, (SIZE, [by_hand]), unet)[0])
    assert made[5][0] == SIZE
    assert tuple(made[5][1][0].crop_region) == (8, 8, 40, 40)


@pytest.mark.parametrize("region", [(100, 80, 140, 120), (-20, -20, 20, 20), (200, 200, 240, 240), (30, 30, 30, 50)])
def test_crop_regions_outside_of_the_picture(
    unet: Pipe, image: torch.Tensor, region: tuple[int, int, int, int]
) -> None:
    """What lies outside is left out; a segment wholly outside is skipped."""
    x1, y1, x2, y2 = region
    seg = SEG(None, np.ones((y2 - y1, x2 - x1), np.float32), 1.0, region, region, "A")
    made = do_detail(image, (SIZE, [seg]), unet, feather=0)[0]
    changed = (made != image).any(-1)[0]
    inside = torch.zeros(SIZE, dtype=torch.bool)
    inside[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = True
    assert not changed[~inside].any()
    assert bool(changed.any()) == bool(inside.any())


def test_skipped_segments_count_for_seeds(unet: Pipe, image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    size, (lower, upper) = segs_of(UPPER, LOWER)
    empty = lower._replace(cropped_mask=np.zeros_like(lower.cropped_mask))
    hook = Recorder()
    made = do_detail(image, (size, [empty, lower, empty, upper]), unet, detailer_hook=hook, seed=2**64 - 2)
    assert hook.all("pre_ksample", 1) == [2**64 - 1, 1]
    assert len(made[5][1]) == 2
    assert [line for line in told.messages if "skipped" in line] == [
        f"segment {number}: skipped, its mask is empty" for number in (1, 3)
    ]


@pytest.mark.parametrize(("guide_size", "worked_on"), [(16.0, 0), (17.0, 1), (64.0, 1)])
def test_without_force_inpaint_large_parts_are_skipped(
    unet: Pipe, image: torch.Tensor, guide_size: float, worked_on: int
) -> None:
    made = do_detail(image, segs_of(UPPER), unet, force_inpaint=False, guide_size=guide_size)
    assert len(made[2]) == worked_on
    assert torch.equal(made[0], image) == (worked_on == 0)


def test_without_force_inpaint_crops_that_would_shrink_are_skipped(unet: Pipe, image: torch.Tensor) -> None:
    for max_size, worked_on in ((32.0, 0), (33.0, 1)):
        made = do_detail(image, segs_of(UPPER), unet, force_inpaint=False, max_size=max_size)
        assert len(made[2]) == worked_on


def test_with_force_inpaint_large_parts_keep_their_size(
    unet: Pipe, image: torch.Tensor, told: pytest.LogCaptureFixture
) -> None:
    hook = Recorder()
    do_detail(image, segs_of(UPPER), unet, guide_size=8.0, max_size=16.0, detailer_hook=hook)
    assert hook.seen["touch_scaled_size"] == [(32, 32)]
    assert any("above max_size 16" in line for line in told.messages)


def test_without_noise_mask_the_whole_crop_is_sampled(unet: Pipe, image: torch.Tensor) -> None:
    hook = Recorder()
    made = do_detail(image, segs_of(UPPER), unet, noise_mask=False, detailer_hook=hook)
    assert "noise_mask" not in hook.all("post_encode")[0]
    changed = (made[2][0] - made[1][0]).abs().amax(-1)[0]
    assert changed[0].mean() > 0.01  # far from the mask too


class Wrapper:
    """A ControlNet wrapper by duck type."""

    def __init__(self, model: Any, prompt: Any) -> None:
        self.model, self.prompt, self.calls = model, prompt, []
        self.images = [torch.zeros(1, 4, 4, 3), torch.ones(1, 4, 4, 3)]

    def apply(self, positive: Any, negative: Any, image: Any, mask: Any = None, use_acn: bool = False) -> Any:
        self.calls.append((positive, negative, image.clone(), mask))
        return self.prompt, negative, self.images[:1]

    def doit_ipadapter(self, model: Any) -> Any:
        return self.model, self.images[1:]


@pytest.mark.parametrize("negative", [None, "NegativePlaceholder"])
def test_control_wrapper(unet: Pipe, flow: Pipe, image: torch.Tensor, negative: str | None) -> None:
    pipe = unet if negative is None else pipe_with(unet, negative=negative)
    other_model = unet[0].clone()
    wrapper = Wrapper(other_model, unet[4])
    size, segs = segs_of(UPPER)
    hook = Recorder()
    segs = size, [segs[0]._replace(control_net_wrapper=wrapper)]
    made = do_detail(image, segs, pipe, detailer_hook=hook)
    [(_, got_negative, pixels, mask)] = wrapper.calls
    assert pixels.shape == (1, 128, 128, 3)
    assert mask.shape == (1, 32, 32)
    assert got_negative == pipe[4]
    call = hook.seen["pre_ksample"][0]
    assert call[0] is other_model
    assert call[6] is unet[4]
    assert same(made[4], wrapper.images)
    assert made[5][1][0].control_net_wrapper is wrapper
    wanted = do_detail(image, segs_of(UPPER), pipe_with(pipe, positive=unet[4]))
    assert torch.equal(made[0], wanted[0])


def test_frames_share_the_segments(unet: Pipe) -> None:
    frames = torch.cat([picture(*SIZE, seed=seed) for seed in range(2)])
    made = do_detail(frames, segs_of(UPPER, LOWER), unet)
    solo = [do_detail(frames[i : i + 1], segs_of(UPPER, LOWER), unet) for i in range(2)]
    assert torch.equal(made[0], torch.cat([one[0] for one in solo]))
    assert same(made[2], [crop for one in solo for crop in one[2]])
    assert len(made[5][1]) == 4
