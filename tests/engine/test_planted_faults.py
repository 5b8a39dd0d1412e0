"""What VAEs do wrong, planted, and the detail options that must undo it: tints, seams, drift and black squares."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from engine.running import Made, detail, near, pipe_with
from engine.tiny_models import Pipe, flow_pipe, lossless_vae, mask_of, picture, unet_pipe
from mask_detailer.core.blend import BLENDS
from mask_detailer.core.surroundings.colour import COLOUR_MATCHES
from mask_detailer.detailer.options import BlendOptions, ColourOptions, DetailOptions
from scipy import ndimage
from scipy.optimize import minimize
from support.faults import FAULTS, Fault, FaultyVAE, moved, no_fault
from support.quality import jump

LEVEL = 1 / 255
SIZE = (131, 149)


@pytest.fixture(scope="module")
def pipe() -> Pipe:
    return unet_pipe(3)


def textured(height: int, width: int) -> torch.Tensor:
    """Waves and grain of a few pixels, within 0.1..0.85, so that no fault clips."""
    noise = torch.randn(1, 3, height + 8, width + 8, generator=torch.Generator().manual_seed(2))
    grain = torch.nn.functional.avg_pool2d(torch.nn.functional.avg_pool2d(noise, 5, 1), 5, 1).movedim(1, -1)
    return (0.9 * picture(height, width, 4) + 0.25 * grain).clamp(0.1, 0.85)


SCENE, PART = (176, 176), (56, 56, 120, 120)
SCALE = 2  # of the crop's working size: 160 px of the picture


@pytest.fixture(scope="module")
def clean() -> Made:
    return planted(no_fault)


def planted(fault: Fault, options: DetailOptions | None = None, **changes: Any) -> Made:
    """A part of 64 px in a crop of 160 px, on a codec that loses nothing and a model that adds little noise."""
    vae = FaultyVAE(lossless_vae(), fault)
    widgets = {"guide_size": 128.0, "max_size": 512.0, "crop_factor": 2.5, "denoise": 0.05, "steps": 1, "feather": 5}
    return detail(
        textured(*SCENE), mask_of(*SCENE, PART), flow_pipe(192, vae), detail_options=options, **(widgets | changes)
    )


def mean_error(made: Made, wanted: Made) -> float:
    """In levels of 8 bit, inside the mask."""
    x1, y1, x2, y2 = PART
    return float((made.image - wanted.image)[0, y1:y2, x1:x2].abs().mean()) / LEVEL


@pytest.mark.parametrize(("fault", "limit", "today"), [("tint of +0.05", 1.0, 11.0), ("gain of 1.1", 2.0, 8.0)])
@pytest.mark.parametrize("match", COLOUR_MATCHES[1:])
def test_a_tint_is_matched(match: str, fault: str, limit: float, today: float, clean: Made) -> None:
    plain = mean_error(planted(FAULTS[fault]), clean)
    matched = mean_error(planted(FAULTS[fault], DetailOptions(colour=ColourOptions(match))), clean)
    print(f"{fault}, {match}: {matched:.2f} levels, {plain:.2f} without")
    assert plain > today and matched < limit


@pytest.mark.parametrize("fault", ["tint of +0.05", "gain of 1.1"])
@pytest.mark.parametrize("method", BLENDS[1:])
def test_a_tint_leaves_half_the_seam(method: str, fault: str, clean: Made) -> None:
    """The seam is what the tint adds: the jump of the difference to the clean result, across the mask's edge."""
    inside = mask_of(*SCENE, PART)[0].numpy() > 0

    def seam(made: Made) -> float:
        return jump((made.image - clean.image)[0].numpy(), inside) / LEVEL

    plain = seam(planted(FAULTS[fault]))
    blended = seam(planted(FAULTS[fault], DetailOptions(blend=BlendOptions(method))))
    print(f"{fault}, {method}: {blended:.2f} levels, {plain:.2f} for feather")
    assert blended <= plain / 2


@pytest.mark.parametrize("method", BLENDS[1:])
def test_no_halo(method: str) -> None:
    """Three widths from the seam a blend leaves the refined crop alone, to a level."""
    tint, width = FAULTS["tint of +0.05"], 8
    plain, blended = planted(tint), planted(tint, DetailOptions(blend=BlendOptions(method, width)))
    x1, y1, x2, y2 = PART
    deep = (slice(None), slice(y1 + 3 * width - 5, y2 - 3 * width + 5), slice(x1 + 3 * width - 5, x2 - 3 * width + 5))
    halo = float((blended.image - plain.image)[deep].abs().max()) / LEVEL
    print(f"{method}: {halo:.2f} levels at three widths")
    assert halo <= 1


DRIFTS: dict[str, Fault] = {
    "2 px of the picture to the right": lambda pixels: moved(pixels, 2.0 * SCALE, 0.0),
    "2 px of the picture up and left": lambda pixels: moved(pixels, -2.0 * SCALE, -2.0 * SCALE),
    "2 px of the working size": lambda pixels: moved(pixels, 0.0, 2.0),
    "1 % larger": lambda pixels: moved(pixels, 0.0, 0.0, 1.01),
    "1 % smaller and 1 px": lambda pixels: moved(pixels, SCALE, 0.0, 0.99),
}


def largest_shift(made: Made, wanted: Made) -> float:
    """Pixels by which the refined crop is off, in any of five squares of it: the shift that leaves least difference."""
    was, now = (one.refined[0][0].mean(dim=-1).numpy() for one in (wanted, made))

    def off(y: int, x: int) -> float:
        def left(shift: np.ndarray) -> float:
            square = slice(y - 8, y + 56), slice(x - 8, x + 56)
            back = ndimage.shift(now[square], -shift, order=3, mode="nearest")
            return float(np.square(back - was[square])[8:-8, 8:-8].mean())

        starts = [np.array([dy, dx]) for dy in (-2.0, 0.0, 2.0) for dx in (-2.0, 0.0, 2.0)]
        found = minimize(left, min(starts, key=left), method="Nelder-Mead", options={"xatol": 0.01, "fatol": 1e-9})
        return float(np.hypot(*found.x))

    return max(off(y, x) for y, x in ((8, 8), (8, 96), (56, 56), (96, 8), (96, 96)))


@pytest.mark.parametrize("name", DRIFTS)
def test_drift_is_undone(name: str, clean: Made) -> None:
    plain = largest_shift(planted(DRIFTS[name]), clean)
    corrected = largest_shift(planted(DRIFTS[name], DetailOptions(drift="correct")), clean)
    print(f"{name}: {corrected:.2f} px, {plain:.2f} px without")
    assert corrected < 0.25 and plain > 0.2  # one square shows no more of a zoom


def test_no_drift_is_left_alone(clean: Made) -> None:
    assert torch.equal(planted(no_fault, DetailOptions(drift="correct")).image, clean.image)


# --- black squares ------------------------------------------------------------------------------------------------


def not_finite(pixels: torch.Tensor) -> torch.Tensor:
    return torch.full_like(pixels, float("nan"))


def one_infinite_value(pixels: torch.Tensor) -> torch.Tensor:
    pixels = pixels.clone()
    pixels[..., 3, 3, 0] = float("inf")
    return pixels


@pytest.mark.parametrize("fault", [not_finite, one_infinite_value, torch.zeros_like])
def test_a_bad_decode_is_tried_again_with_the_next_seed(fault: Fault, pipe: Pipe) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, (40, 40, 72, 72))
    vae = FaultyVAE(pipe[2], fault, at=(1, 2))
    made = detail(image, mask, pipe_with(pipe, vae=vae), seed=7, detail_options=DetailOptions(retries=2))
    assert torch.equal(made.image, detail(image, mask, pipe, seed=9).image)
    assert vae.calls.count("decode") == 3


@pytest.mark.parametrize("fault", [not_finite, one_infinite_value, torch.zeros_like])
def test_what_stays_bad_leaves_the_picture(fault: Fault, pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, (40, 40, 72, 72))
    vae = FaultyVAE(pipe[2], fault)
    with caplog.at_level(logging.WARNING, "mask_detailer"):
        made = detail(image, mask, pipe_with(pipe, vae=vae), detail_options=DetailOptions(retries=1))
    assert torch.equal(made.image, image) and made.refined[0].shape == (1, 64, 64, 3)  # black: none is refined
    assert vae.calls.count("decode") == 2
    assert "segment 1" in caplog.text


def test_only_the_bad_one_of_a_batch_is_tried_again(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    def second(pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([pixels[:1], not_finite(pixels[1:])])

    image, mask = picture(*SIZE), mask_of(*SIZE, (20, 20, 44, 44), (90, 80, 114, 104))
    vae = FaultyVAE(pipe[2], second, at=(1,))
    with caplog.at_level(logging.WARNING, "mask_detailer"):
        made = detail(image, mask, pipe_with(pipe, vae=vae), crop_batch=0, detail_options=DetailOptions(retries=1))
    assert vae.calls.count("decode") == 2
    wanted = detail(image, mask, pipe)
    first = near(mask_of(*SIZE, (90, 80, 114, 104)), 4)  # the lowest part is the first
    assert torch.allclose(made.image[first], wanted.image[first], atol=1e-4)
    assert bool(torch.isfinite(made.image).all()) and not torch.equal(made.image[~first], image[~first])
    assert "segment 2" in caplog.text and "segment 1" not in caplog.text
