"""What the engine spends beside the VAE and the sampler, on a 4K picture with the tiny model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from engine.tiny_models import picture, taesd_vae, unet_pipe
from mask_detailer.detailer import host
from mask_detailer.detailer.options import (
    BlendOptions,
    ColourOptions,
    DenoiseOptions,
    DetailOptions,
    WorkingSizeOptions,
)
from mask_detailer.nodes.detailers import MaskDetailerPipe
from tables import Row, milliseconds

PICTURE = (2160, 3840)
VAE_AND_SAMPLER = (
    (host.vae, "encode"),
    (host.vae, "encode_for_inpainting"),
    (host.vae, "decode"),
    (host.sampling, "sample"),
)

WIDGETS: dict[str, Any] = dict(
    guide_size=256.0, guide_size_for=True, max_size=1024.0, mask_mode=True, seed=1, steps=4, cfg=3.0,
    sampler_name="euler", scheduler="normal", denoise=0.5, crop_factor=2.0, drop_size=10, refiner_ratio=0.2,
    batch_size=1, cycle=1,
)  # fmt: skip

ALL_ON = DetailOptions(
    ColourOptions("covariance"), BlendOptions("gradient"), "diffused", WorkingSizeOptions("guide_size_exact"),
    "correct", "match", DenoiseOptions("less_for_larger"), retries=1,
)  # fmt: skip

# segments a row and a column, side of a segment in pixels, feather, noise mask feather, detail options
CASES = {
    "1 segment of 160 px": (1, 160, 5, 20, None),
    "16 segments of 160 px": (4, 160, 5, 20, None),
    "16 segments of 160 px, all detail options on": (4, 160, 5, 20, ALL_ON),
    "64 segments of 100 px": (8, 100, 5, 20, None),
    "4 segments of 600 px, feathers 50 and 100": (2, 600, 50, 100, None),
}


WARM_UP = (1, 64, 5, 20, ALL_ON)


def squares(rows: int, side: int) -> torch.Tensor:
    mask = torch.zeros(1, *PICTURE)
    for row in range(rows):
        for column in range(rows):
            y = int((row + 0.5) * PICTURE[0] / rows) - side // 2
            x = int((column + 0.5) * PICTURE[1] / rows) - side // 2
            mask[0, y : y + side, x : x + side] = 1.0
    return mask


class Clock:
    """Times spent inside ComfyUI's VAE and sampler."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started

        return call


def rows() -> Iterator[Row]:
    image = picture(*PICTURE)
    pipe = unet_pipe(vae=taesd_vae())
    originals = {place: getattr(*place) for place in VAE_AND_SAMPLER}
    with torch.inference_mode():
        for name, (count, side, feather, noise_mask_feather, options) in {"warm-up": WARM_UP, **CASES}.items():
            clock = Clock()
            for place, original in originals.items():
                setattr(*place, clock.timed(original))
            mask = squares(count, side)
            arguments = WIDGETS | {"feather": feather, "noise_mask_feather": noise_mask_feather}
            arguments["detail_options"] = options
            started = time.perf_counter()
            MaskDetailerPipe().doit(image, mask, pipe, **arguments)
            total = time.perf_counter() - started
            beside = total - clock.seconds
            if name != "warm-up":
                vae_and_sampler = f"VAE and sampler {milliseconds(clock.seconds)}"
                share = f"{beside / total:.2%} of all"
                yield Row("the rest, 3840x2160, 4 steps", name, milliseconds(beside), vae_and_sampler, share)
    for place, original in originals.items():
        setattr(*place, original)
