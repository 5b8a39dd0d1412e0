"""Whether what a hook answers can be gone on with: by event, what came and what is wanted, None where it can.

What a hook passes on as it was given is its giver's to answer for. It may make several of one picture or latent, as
those for models of a fixed batch do, so long as another method makes one of them again: ``sample`` counts at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch

from ..host.answers import fault_of_pictures, fault_of_tensor, is_number, told
from ..host.custom_sampling import CustomSampling
from ..values import KSampleCall

LONGEST_SIDE = 2**16  # pixels
LEAST_DENOISE = 1e-4  # a schedule has steps / denoise steps

Fault = tuple[str, str] | None  # what came, what is wanted


def _size(answer: tuple[object, object], w: int, h: int) -> Fault:
    if answer == (w, h) or all(is_number(side, 1, LONGEST_SIDE) for side in answer):
        return None
    return f"{told(answer[0])} and {told(answer[1])}", f"a width and a height of 1 to {LONGEST_SIDE} pixels"


def _pixels(answer: object, pixels: object, *_: object) -> Fault:
    """The size may be another. What is no number shows where it is decoded."""
    if not isinstance(pixels, torch.Tensor) or pixels.ndim != 4:
        return None
    fault = fault_of_pictures(answer)
    return None if fault is None else (fault, f"a picture [{len(pixels)}, height, width, 3] of 0..1")


def _latent(answer: object, latent: object) -> Fault:
    given = latent.get("samples") if isinstance(latent, Mapping) else None
    if not isinstance(given, torch.Tensor):
        return None
    wanted = f"a LATENT with samples of {given.ndim} axes"
    if not isinstance(answer, Mapping):
        return told(answer), wanted
    if "samples" not in answer:
        return f"{told(answer)} but no samples", wanted
    fault = fault_of_tensor(answer["samples"], (given.ndim,), made_of=given)
    return None if fault is None else (f"samples that are {fault}", wanted)


def _noise(answer: tuple[object, object], seed: int, noise: object, is_touched: bool) -> Fault:
    given, touched = answer
    if given is noise or not isinstance(noise, torch.Tensor) or (isinstance(touched, bool | None) and not touched):
        return None
    fault = fault_of_tensor(given, (noise.ndim,), made_of=noise)
    if fault is None and isinstance(given, torch.Tensor) and given.shape == noise.shape:
        return None
    return fault or told(given), f"noise {list(noise.shape)}"


def _sampling(answer: tuple[object, ...], *given: object) -> Fault:
    """What stands at each place of ``values.KSampleCall``."""
    model, seed, steps, cfg, sampler_name, scheduler, positive, negative, _, denoise = answer
    checks: dict[str, tuple[object, bool, str]] = {
        "model": (model, model is not None, "a MODEL"),
        "seed": (seed, is_number(seed), "a whole number"),
        "steps": (steps, is_number(steps, 0, 10**5), "a whole number of 0 to 100000"),
        "cfg": (cfg, is_number(cfg), "a number"),
        "sampler_name": (sampler_name, isinstance(sampler_name, str), "a name"),
        "scheduler": (scheduler, isinstance(scheduler, str), "a name"),
        "positive": (positive, isinstance(positive, list), "a CONDITIONING"),
        "negative": (negative, isinstance(negative, list | str), "a CONDITIONING"),
        "denoise": (
            denoise,
            is_number(denoise, LEAST_DENOISE, 10**5) or is_number(denoise, most=0.0),
            f"0, or a number of {LEAST_DENOISE:g} and more",
        ),
    }
    before = KSampleCall._make(given)._asdict()
    for name, (value, fits, wanted) in checks.items():
        passed_on = value is before[name] or (isinstance(value, str) and isinstance(before[name], str))
        if not fits and not passed_on:
            return f"{name} {told(value)}", wanted
    return None


def _sampler(answer: object) -> Fault:
    return None if answer is None or hasattr(answer, "sample") else (told(answer), "a SAMPLER or None")


def _custom_sampling(answer: object, custom: object) -> Fault:
    if not isinstance(custom, CustomSampling) or isinstance(answer, CustomSampling):
        return None
    return told(answer), "a CustomSampling"


def _picture(answer: object, image: object) -> Fault:
    if not isinstance(image, torch.Tensor) or image.ndim != 4:
        return None
    fault = fault_of_tensor(answer, (4,), made_of=image)
    if fault is None and isinstance(answer, torch.Tensor) and answer.shape == image.shape:
        return None
    return fault or told(answer), f"the picture {list(image.shape)}"


def _region(answer: object, *given: object) -> Fault:
    if answer is given[-1] or isinstance(given[-1], str) or _is_region(answer):
        return None
    return told(answer), "a region of four numbers: left, top, right, bottom"


def _is_region(answer: object) -> bool:
    sides = [*answer] if isinstance(answer, Iterable) else []
    return len(sides) == 4 and all(is_number(side, -(2**31), 2**31) for side in sides)


def _segs(answer: object, segs: object) -> Fault:
    if not isinstance(segs, tuple | list):
        return None
    if isinstance(answer, tuple | list) and len(answer) == 2 and isinstance(answer[1], list | tuple):
        return None
    return told(answer), "SEGS: a size and a list"


CHECKS: dict[str, Callable[..., Fault]] = {
    "post_crop_region": _region,
    "post_detection": _segs,
    "touch_scaled_size": _size,
    "post_upscale": _pixels,
    "post_encode": _latent,
    "get_custom_sampling": _custom_sampling,
    "get_custom_sampler": _sampler,
    "cycle_latent": _latent,
    "pre_ksample": _sampling,
    "get_custom_noise": _noise,
    "pre_decode": _latent,
    "post_decode": _pixels,
    "post_paste": _picture,
}
