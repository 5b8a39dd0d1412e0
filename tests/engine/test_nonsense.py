"""Hooks and VAEs that give what can't be gone on with: the error names them, the node and the segment."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.running import detail, pipe_with
from engine.test_faults import FailingVAE
from engine.tiny_models import Pipe, called_through, mask_of, picture
from mask_detailer.detailer.hooks.builtin import CombinedHook
from mask_detailer.detailer.host.answers import NonsenseError
from mask_detailer.nodes.hooks import PreviewDetailerHookProvider

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)
NAN = float("nan")


def with_nan(given: Any) -> Any:
    if isinstance(given, dict):
        return {**given, "samples": torch.full_like(given["samples"], NAN)}
    return torch.full_like(given, NAN)


def twice(given: Any) -> Any:
    if isinstance(given, dict):
        return {**given, "samples": torch.cat([given["samples"]] * 2)}
    return torch.cat([given] * 2)


ANY: list[tuple[str, Any]] = [("None", lambda *_: None), ("5", lambda *_: 5), ("a str", lambda *_: "x")]
LATENTS = [
    *ANY, ("a dictionary with nothing but no samples", lambda *_: {}), ("NaN", lambda latent: with_nan(latent)),
    ("samples that are None", lambda *_: {"samples": None}),
    ("a tensor", lambda latent: latent["samples"]),
    (r"a tensor \[1, 16, 16\]", lambda latent: {"samples": latent["samples"][0, :1]}),
]  # fmt: skip
PICTURES = [
    *ANY, (r"a tensor \[128, 128, 3\]", lambda pixels, *_: pixels[0]),
    (r"int32", lambda pixels, *_: pixels.int()), ("a list of 1", lambda pixels, *_: [pixels]),
]  # fmt: skip
SAMPLING = [
    *ANY, ("3 values", lambda *_: (1, 2, 3)), ("steps a str", lambda *call: (*call[:2], "x", *call[3:])),
    ("denoise nan", lambda *call: (*call[:9], NAN)), ("denoise 1e-09", lambda *call: (*call[:9], 1e-9)),
    ("positive None", lambda *call: (*call[:6], None, *call[7:])), ("model None", lambda *call: (None, *call[1:])),
]  # fmt: skip
NOISES = [
    *ANY, ("1 values", lambda *_, **__: (1,)), ("None", lambda *_, **__: (None, True)),
    ("NaN", lambda seed, noise, **_: (with_nan(noise), True)),
    ("a tensor", lambda seed, noise, **_: (noise[..., :1], True)),
]  # fmt: skip
SIZES = [
    *ANY, ("nan and 5", lambda *_: (NAN, 5)), ("0 and 5", lambda *_: (0, 5)), ("None and 5", lambda *_: (None, 5)),
    ("5 and 1000000", lambda *_: (5, 10**6)),
]  # fmt: skip
PASTED = [
    *ANY, ("a tensor", lambda image: image[:, :5]), ("NaN", lambda image: with_nan(image)),
    ("a tensor", lambda image: twice(image)),
]  # fmt: skip
CASES = [
    (event, found, answer)
    for event, answers in {
        "touch_scaled_size": SIZES, "post_upscale": PICTURES, "post_encode": LATENTS,
        "get_custom_sampler": ANY[1:], "cycle_latent": LATENTS, "pre_ksample": SAMPLING, "get_custom_noise": NOISES,
        "pre_decode": LATENTS, "post_decode": PICTURES, "post_paste": PASTED,
    }.items()
    for found, answer in answers
]  # fmt: skip


def hook_of(event: str, answer: Any) -> Any:
    """Of a class by the name of Odd, with the one method."""
    return type("Odd", (), {event: lambda self, *given, **named: answer(*given, **named)})()


@pytest.mark.parametrize(("event", "found", "answer"), CASES)
def test_a_hook_that_gives_nonsense_is_named(unet: Pipe, event: str, found: str, answer: Any) -> None:
    if event == "get_custom_noise":
        answer = (lambda inner: lambda *given, is_touched: inner(*given))(answer)
    with pytest.raises(
        NonsenseError, match=rf"MaskDetailerPipe, segment 1: the detailer hook Odd gives .*{found}.* in {event}, where"
    ):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER), unet, detailer_hook=hook_of(event, answer))


@pytest.mark.parametrize("event", ["post_upscale", "post_encode", "cycle_latent", "pre_decode", "post_decode"])
def test_a_hook_that_makes_two_of_one_is_named(unet: Pipe, event: str) -> None:
    """Once all is done: those for models of a fixed batch do so, and make one of it again."""
    with pytest.raises(NonsenseError, match=r"segment 1: the detailer hook Odd leaves 2 picture\(s\) where 1 went in"):
        detail(
            picture(*SIZE), mask_of(*SIZE, UPPER), unet, detailer_hook=hook_of(event, lambda given, *_: twice(given))
        )


def test_of_several_hooks_the_one_at_fault_is_named_and_its_segment(unet: Pipe) -> None:
    calls: list[int] = []

    def second_time(pixels: torch.Tensor) -> Any:
        calls.append(1)
        return pixels if len(calls) < 2 else None

    hook = CombinedHook(
        PreviewDetailerHookProvider().doit(90, "7")[0], CombinedHook(object(), hook_of("post_decode", second_time))
    )
    with pytest.raises(NonsenseError, match=r"segment 2: the detailer hook Odd gives None in post_decode"):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER, LOWER), unet, detailer_hook=hook)


@pytest.mark.parametrize("event", ["cycle_latent", "pre_decode", "post_decode"])
def test_a_hook_that_passes_on_what_broke_before_it_is_not_blamed(unet: Pipe, event: str) -> None:
    """A model that gives NaN: its part stays as it was, whether a hook saw its latent or not."""
    broken = called_through(unet[0], lambda _, call: torch.full_like(call["input"], NAN))
    image = picture(*SIZE)

    def scaled(given: Any) -> Any:
        return {**given, "samples": given["samples"] * 0.5} if isinstance(given, dict) else given * 0.5

    pipe = pipe_with(unet, model=broken)
    made = detail(image, mask_of(*SIZE, UPPER), pipe, detailer_hook=hook_of(event, scaled), cycle=2)
    assert torch.equal(made[0], image)


VAE_ANSWERS: list[tuple[str, Any]] = [
    ("None", lambda _: None), ("5", lambda _: 5), ("a dictionary", lambda _: {"samples": torch.zeros(1, 4, 16, 16)}),
    ("a tensor .2,", lambda given: torch.zeros(2, 4, 16, 16) if given.shape[-1] == 3 else torch.zeros(2, 8, 8, 3)),
    ("a tensor .5.", lambda _: torch.zeros(5)), ("int64", lambda _: torch.zeros(1, 4, 16, 16, dtype=torch.int64)),
]  # fmt: skip


@pytest.mark.parametrize(("found", "answer"), VAE_ANSWERS)
@pytest.mark.parametrize("method", ["encode", "decode"])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_vae_that_gives_nonsense_is_named(unet: Pipe, method: str, found: str, answer: Any, tiled: bool) -> None:
    name = f"{method}_tiled" if tiled else method
    vae = FailingVAE(unet[2], name, {2}, answer)
    tiles = {f"tiled_{method}": True} if tiled else {}
    with pytest.raises(NonsenseError, match=rf"segment 2: the VAE's {method} \(FailingVAE\) gives .*({found})"):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER, LOWER), pipe_with(unet, vae=vae), **{"crop_batch": 1, **tiles})


def test_latents_that_are_no_numbers_are_named(unet: Pipe) -> None:
    vae = FailingVAE(unet[2], "encode", {1}, lambda pixels: torch.full((1, 4, 16, 16), NAN))
    with pytest.raises(NonsenseError, match=r"segment 1: the VAE's encode .*NaN.*fp32"):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER), pipe_with(unet, vae=vae))


@pytest.mark.parametrize("ratio", [None, 0, "x", NAN, -8])
def test_a_vae_that_does_not_know_its_scale_is_named(unet: Pipe, ratio: Any) -> None:
    vae = FailingVAE(unet[2], "encode", set(), lambda _: None)
    vae.spacial_compression_encode = lambda: ratio  # type: ignore[attr-defined]
    with pytest.raises(NonsenseError, match="the VAE's spacial_compression_encode"):
        detail(picture(*SIZE), mask_of(*SIZE, UPPER), pipe_with(unet, vae=vae))
