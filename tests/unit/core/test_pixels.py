"""Pictures as bytes and as files to look at."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from mask_detailer.core.pixels import FORMATS, encoded, shrunk_bytes, to_bytes
from PIL import Image


def test_every_level_comes_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_bytes(torch.from_numpy(levels) / 255.0), levels)
    assert np.array_equal(to_bytes((torch.from_numpy(levels) / 255.0).half()), levels)


def test_rounded_to_the_nearest() -> None:
    shares = torch.tensor([0.0, 0.4, 0.6, 99.4, 99.6, 254.4, 254.6, 255.0]) / 255
    assert to_bytes(shares).tolist() == [0, 0, 1, 99, 100, 254, 255, 255]


def test_what_is_no_level() -> None:
    odd = torch.tensor([-0.1, 1.1, float("nan"), float("inf"), -float("inf"), 300.0])
    assert to_bytes(odd).tolist() == [0, 255, 0, 255, 0, 255]


def test_shape_and_input_stay() -> None:
    picture = torch.rand(2, 5, 6, 3)
    kept = picture.clone()
    made = to_bytes(picture.requires_grad_())
    assert made.shape == (2, 5, 6, 3) and made.dtype == np.uint8
    assert torch.equal(picture, kept)


@pytest.mark.parametrize(
    ("size", "shown"),
    [((60, 80), (60, 80)), ((96, 20), (96, 20)), ((97, 20), (96, 20)), ((500, 1000), (48, 96)), ((2000, 3), (96, 1))],
)
def test_shrunk_to_the_longest_side(size: tuple[int, int], shown: tuple[int, int]) -> None:
    picture = torch.full((*size, 3), 0.5)
    made = shrunk_bytes(picture, 96)
    assert made.shape == (*shown, 3)
    assert (made == 128).all()


def test_shrunk_by_area() -> None:
    picture = torch.zeros(200, 200, 3)
    picture[:, 100:] = 1.0
    made = shrunk_bytes(picture, 50)
    assert (made[:, :25] == 0).all() and (made[:, 25:] == 255).all()


@pytest.mark.parametrize(("form", "channels"), [("jpeg", 3), ("png", 3), ("png", 4), ("webp", 3), ("webp", 4)])
def test_files_that_can_be_read(form: str, channels: int) -> None:
    assert form in FORMATS
    pixels = np.zeros((40, 60, channels), np.uint8)
    pixels[:, :, 0], pixels[:20, :, 1] = 200, 90  # red and green, so that a swap of channels shows
    pixels[..., 3:] = 255
    file = Image.open(io.BytesIO(encoded(pixels, form)))
    assert file.format == form.upper() and file.size == (60, 40)
    read = np.asarray(file.convert("RGBA" if channels == 4 else "RGB")).astype(int)
    off = np.abs(read - pixels)[[5, 35]].max()
    assert off == 0 if form == "png" else off < 24


def test_quality_costs_bytes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for form in ("jpeg", "webp"):
        assert len(encoded(pixels, form, 20)) < len(encoded(pixels, form, 80)) < len(encoded(pixels, form, 95))


def test_another_format_is_named() -> None:
    with pytest.raises(ValueError, match="'gif' is no format of previews; it must be one of jpeg, png, webp"):
        encoded(np.zeros((4, 4, 3), np.uint8), "gif")
