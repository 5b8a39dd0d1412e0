"""DetailerHookCombine: two hooks of any packs within a real run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.running import Recorder, RecorderV7, detail, same
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.nodes import hooks as nodes

SIZE = (96, 112)
UPPER = (16, 16, 32, 32)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def mask() -> torch.Tensor:
    return mask_of(*SIZE, UPPER)


def combined(*hooks: Any) -> Any:
    return nodes.DetailerHookCombine().doit(*hooks)[0]


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
    one = torch.ones(1, 2, 2, 3)
    wanted = 2 * (2 * one + 1) + 10
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


class Sampler:
    """What has ``sample`` is a SAMPLER."""

    def sample(self) -> None: ...


SAMPLERS = (Sampler(), Sampler())


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
    hooks = [object() if yes is None else Answers(yes, yes, SAMPLERS[0] if yes else None) for yes in (first, second)]
    hook = combined(*hooks)
    assert hook.get_skip_sampling() == (first is True and second is True)
    assert hook.should_retry_patch(None) == (True in (first, second))
    assert hook.should_skip_by_cnet_image(None) == (True in (first, second))
    assert hook.get_custom_sampler() is (SAMPLERS[0] if True in (first, second) else None)


def test_first_sampler_is_taken() -> None:
    first, second = SAMPLERS
    assert combined(Answers(sampler=first), Answers(sampler=second)).get_custom_sampler() is first


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
