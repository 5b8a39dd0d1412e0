"""``paste`` *residual*: the picture, and what sampling has changed in it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from engine.running import decibels, detail, near, pipe_with, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.core.blend import BLENDS
from mask_detailer.core.fill import FILLS
from mask_detailer.detailer.options import BlendOptions, DetailOptions
from support.faults import FAULTS, Fault, FaultyVAE

SIZE = (96, 112)
MASK = mask_of(*SIZE, (16, 16, 40, 40), (64, 16, 88, 40), (30, 60, 64, 90))
RESIDUAL = DetailOptions(paste="residual")


def blurred(pixels: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(pixels.movedim(-1, 1), 5, stride=1, padding=2, count_include_pad=False).movedim(1, -1)


CODEC: dict[str, Fault] = {**FAULTS, "blur": blurred}


def made(pipe: Pipe, options: DetailOptions = RESIDUAL, fault: Fault | None = None, **changes: Any) -> torch.Tensor:
    if fault is not None:
        pipe = pipe_with(pipe, vae=FaultyVAE(pipe[2], fault))
    return detail(picture(*SIZE), MASK, pipe, detail_options=options, **changes).image


@pytest.mark.parametrize("fault", [None, *CODEC])
@pytest.mark.parametrize("fill", ["original", "neutral"])
def test_nothing_sampled_changes_nothing(unet: Pipe, fault: str | None, fill: str) -> None:
    """Whatever the codec does, and through enlarging and shrinking; a fill is sampled away, or seen."""
    image = picture(*SIZE)
    options = DetailOptions(paste="residual", fill=fill)
    out = made(unet, options, fault and CODEC[fault], denoise=0.0)
    assert fill != "original" or (out - image).abs().max() < 1e-6
    assert unchanged_outside(out, image, near(MASK, 4))


@pytest.mark.parametrize("blend", BLENDS)
def test_with_blends(unet: Pipe, blend: str) -> None:
    options = DetailOptions(paste="residual", blend=BlendOptions(blend))
    assert (made(unet, options, CODEC["tint of +0.05"], denoise=0.0) - picture(*SIZE)).abs().max() < 1e-5


@pytest.mark.parametrize("fault", ["tint of +0.05", "gain of 1.1"])
def test_what_the_codec_does_is_undone(unet: Pipe, fault: str) -> None:
    """The same as with a faultless codec, where nothing reaches black or white."""
    image = picture(*SIZE) * 0.5 + 0.2

    def run(vae: Any, options: DetailOptions) -> torch.Tensor:
        pipe = pipe_with(unet, vae=vae)
        return detail(image, MASK, pipe, detail_options=options, denoise=0.2, cfg=1.0, steps=2).image

    faulty, sound = FaultyVAE(unet[2], CODEC[fault]), unet[2]
    wanted, direct = run(sound, RESIDUAL), DetailOptions()
    assert decibels(run(faulty, RESIDUAL), wanted) > decibels(run(faulty, direct), run(sound, direct)) + 6


def test_as_direct_where_the_codec_loses_nothing(unet: Pipe) -> None:
    """At the crop's own size: nothing is resampled, and the codec's loss is all that differs."""
    image = picture(*SIZE)
    same_size = {"guide_size": 8.0, "crop_factor": 1.0, "drop_size": 2, "feather": 0}
    vae = unet[2]
    boxed = vae.decode(vae.encode(image))[:, : SIZE[0], : SIZE[1]]  # what the codec gives back, it gives back again

    def run(options: DetailOptions) -> torch.Tensor:
        return detail(boxed, mask_of(*SIZE, (16, 16, 48, 48)), unet, detail_options=options, **same_size).image

    assert (run(RESIDUAL) - run(DetailOptions())).abs().max() < 1e-4


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("crop_batch", [0, 2])
def test_batched_equals_solo(unet: Pipe, fill: str, crop_batch: int) -> None:
    options = DetailOptions(paste="residual", fill=fill)
    alone = made(unet, options, crop_batch=1)
    assert (made(unet, options, crop_batch=crop_batch) - alone).abs().max() < 2e-3


def test_one_more_decode_a_crop(unet: Pipe) -> None:
    vae = FaultyVAE(unet[2], lambda pixels: pixels)
    made(pipe_with(unet, vae=vae), crop_batch=1)
    assert vae.calls.count("decode") == 6 and vae.calls.count("encode") == 3


def test_in_tiles(unet: Pipe) -> None:
    vae = FaultyVAE(unet[2], lambda pixels: pixels)
    made(pipe_with(unet, vae=vae), DetailOptions(paste="residual", tiling="always"))
    assert set(vae.calls) <= {"encode_tiled", "decode_tiled", "spacial_compression_encode"}
