"""The hook protocol: what a hook lacks changes nothing, what it has is called as other packs expect."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mask_detailer.core import Size
from mask_detailer.detailer.hooks.builtin import CombinedHook, LabelFilterHook, PreviewHook, VariationNoiseHook
from mask_detailer.detailer.hooks.events import EVENTS, DetailerHook
from mask_detailer.detailer.hooks.protocol import Hook
from mask_detailer.detailer.values import KSampleCall

PIXELS = torch.zeros(1, 8, 8, 3)
LATENT = {"samples": torch.zeros(1, 4, 1, 1)}
CALL = KSampleCall("model", 1, 20, 7.0, "euler", "normal", [["p", {}]], [["n", {}]], LATENT, 0.5)


SAMPLER = SimpleNamespace(sample=None)


class Bare:
    """A hook with none of the protocol's methods."""


@pytest.mark.parametrize("inner", [None, Bare(), object(), "a string"])
def test_what_a_hook_lacks_changes_nothing(inner: Any) -> None:
    hook = Hook(inner)
    hook.set_steps(0, 3)
    assert hook.touch_scaled_size(Size(30, 40)) == Size(30, 40)
    assert hook.post_upscale(PIXELS, None) is PIXELS
    for method in (hook.post_encode, hook.cycle_latent, hook.pre_decode):
        assert method(LATENT) is LATENT
    for method in (hook.post_decode, hook.post_paste):
        assert method(PIXELS) is PIXELS
    assert hook.pre_ksample(CALL) is CALL
    assert hook.custom_noise(5, torch.zeros(1, 4, 1, 1)) is None
    assert hook.custom_sampler() is None
    assert hook.skips_sampling() is False


class Everything:
    """A hook that marks all it is given."""

    def __init__(self) -> None:
        self.steps: Any = None

    def set_steps(self, steps: tuple[int, int]) -> None:
        self.steps = steps

    def touch_scaled_size(self, w: int, h: int) -> tuple[float, int]:
        return w * 2.5, h + 1

    def post_encode(self, latent: Any) -> Any:
        return {**latent, "encoded": True}

    def cycle_latent(self, latent: Any) -> Any:
        return {**latent, "cycled": True}

    def pre_decode(self, latent: Any) -> Any:
        return {**latent, "decoded": True}

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels + 1

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        return image + 2

    def pre_ksample(self, *arguments: Any) -> tuple[Any, ...]:
        model, seed, steps, *others, denoise = arguments
        return (model + "'", seed + 1, steps * 2, *others, denoise / 2)

    def get_custom_sampler(self) -> Any:
        return SAMPLER

    def get_skip_sampling(self) -> int:
        return 1


def test_what_a_hook_gives_is_used() -> None:
    inner = Everything()
    hook = Hook(inner)
    hook.set_steps(2, 5)
    assert inner.steps == (2, 5)  # one tuple
    assert hook.touch_scaled_size(Size(30, 41)) == Size(31, 102)  # asked and answered width first, whole pixels
    assert hook.post_encode(LATENT) == {**LATENT, "encoded": True}
    assert hook.cycle_latent(LATENT) == {**LATENT, "cycled": True}
    assert hook.pre_decode(LATENT) == {**LATENT, "decoded": True}
    assert hook.post_decode(PIXELS).max() == 1 and hook.post_paste(PIXELS).max() == 2
    assert hook.pre_ksample(CALL) == CALL._replace(model="model'", seed=2, steps=40, denoise=0.25)
    assert isinstance(hook.pre_ksample(CALL), KSampleCall)
    assert hook.custom_sampler() is SAMPLER
    assert hook.skips_sampling() is True


class TakesOne:
    seen: Any

    def post_upscale(self, pixels: torch.Tensor) -> Any:
        self.seen = "one", pixels
        return pixels


class TakesTwo:
    seen: Any

    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None) -> Any:
        self.seen = "two", pixels, mask
        return pixels


class TakesADefault:
    seen: Any

    def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None = None) -> Any:
        self.seen = "two", pixels, mask
        return pixels


class TakesAny:
    seen: Any

    def post_upscale(self, *arguments: Any) -> Any:
        self.seen = "two", *arguments
        return arguments[0]


class TakesAKeyword:
    seen: Any

    def post_upscale(self, pixels: torch.Tensor, *, strength: float = 1.0) -> Any:
        self.seen = "one", pixels
        return pixels


@pytest.mark.parametrize(
    ("inner", "gets_mask"),
    [(TakesOne(), False), (TakesTwo(), True), (TakesADefault(), True), (TakesAny(), True), (TakesAKeyword(), False)],
)
@pytest.mark.parametrize("mask", [None, torch.ones(1, 8, 8)])
def test_post_upscale_of_older_and_newer_packs(inner: Any, gets_mask: bool, mask: torch.Tensor | None) -> None:
    expected = ("two", PIXELS, mask) if gets_mask else ("one", PIXELS)
    assert Hook(inner).post_upscale(PIXELS, mask) is PIXELS
    result = inner.seen
    assert len(result) == len(expected) and all(a is b for a, b in zip(result, expected, strict=True))


def test_an_error_in_post_upscale_is_not_taken_for_a_missing_argument() -> None:
    class Failing:
        def post_upscale(self, pixels: torch.Tensor, mask: torch.Tensor | None) -> None:
            raise TypeError("its own")

    with pytest.raises(TypeError, match="its own"):
        Hook(Failing()).post_upscale(PIXELS, None)


class Noise:
    """Gives noise of ones; ``is_touched`` can only be passed by its name."""

    def __init__(self, touched: bool) -> None:
        self.touched = touched
        self.asked: Any = None

    def get_custom_noise(self, seed: int, noise: torch.Tensor, *, is_touched: bool) -> tuple[torch.Tensor, bool]:
        self.asked = seed, noise.clone(), is_touched
        return torch.ones_like(noise), self.touched


@pytest.mark.parametrize("touched", [False, True])
def test_custom_noise(touched: bool) -> None:
    inner, like = Noise(touched), torch.rand(1, 4, 3, 2)
    noise = Hook(inner).custom_noise(9, like)
    seed, zeros, was_touched = inner.asked
    assert (seed, was_touched) == (9, False)
    assert torch.equal(zeros, torch.zeros(1, 4, 3, 2))
    assert noise is None if not touched else torch.equal(noise, torch.ones(1, 4, 3, 2))


def test_a_hook_may_answer_any_attribute() -> None:
    """Wrappers that hand every call on to another object."""

    class Proxy:
        def __init__(self, target: Any) -> None:
            self.target = target

        def __getattr__(self, name: str) -> Any:
            return getattr(self.target, name)

    hook = Hook(Proxy(Everything()))
    assert hook.touch_scaled_size(Size(10, 10)) == Size(11, 25)
    assert hook.post_upscale(PIXELS, None) is PIXELS


# --- which crops may go together --------------------------------------------------------------------------------------


class Judge(DetailerHook):
    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        return False


class Foreign:
    """Another pack's, with two methods and one that is switched off."""

    pre_decode = None

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        return False

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels


NOISE = VariationNoiseHook(1, 0.5)
FILTER, PREVIEW = LabelFilterHook(["all"]), PreviewHook("1", 80)


@pytest.mark.parametrize(
    ("inner", "crop_methods", "judges"),
    [
        (None, (), False),
        (object(), (), False),
        (DetailerHook(), (), False),
        (FILTER, (), False),
        (PREVIEW, (), False),  # it looks on
        (NOISE, ("get_custom_noise",), False),
        (Judge(), (), True),
        (Foreign(), ("post_decode",), True),
        (Everything(), tuple(name for name in EVENTS if hasattr(Everything, name) and name != "set_steps"), False),
        (CombinedHook(FILTER, PREVIEW), (), False),
        (CombinedHook(PREVIEW, NOISE), ("get_custom_noise",), False),
        (CombinedHook(Foreign(), NOISE), ("get_custom_noise", "post_decode"), True),
        (CombinedHook(FILTER, CombinedHook(Judge(), PREVIEW)), (), True),
        (CombinedHook(None, object()), (), False),
    ],
)
def test_what_a_hook_has_a_say_in(inner: Any, crop_methods: tuple[str, ...], judges: bool) -> None:
    """In the order of the calls; ours only where they do something."""
    assert Hook(inner).crop_methods == crop_methods
    assert Hook(inner).judges is judges


def test_a_hook_never_sees_the_picture_that_is_worked_on() -> None:
    class Painting:
        def post_paste(self, image: torch.Tensor) -> torch.Tensor:
            return image.fill_(1.0)

    image = torch.zeros(1, 2, 2, 3)
    assert Hook(Painting()).post_paste(image).min() == 1.0
    assert image.max() == 0.0
