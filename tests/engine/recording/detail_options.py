"""Runs with Detailer Options: each by itself, and many at once."""

from __future__ import annotations

from typing import Any

import torch
from engine.recording.masks import detailed, watched
from engine.recording.parts import EIGHT, ODD, SIZE, WIDE, Runs, awkward, node, options, soft, textured, unet
from engine.tiny_models import mask_of, picture, strokes

WIDTH_AND_HEIGHT = dict(size_mode="fixed_size", width=96, height=64)

ALONE: dict[str, dict[str, Any]] = {
    "none": {},
    **{f"colour {name}": dict(colour=name) for name in ("mean_and_spread", "covariance")},
    "colour limit": dict(colour="covariance", colour_limit=0.02),
    **{f"blend {name}": dict(blend=name, blend_width=8) for name in ("multiband", "gradient")},
    "blend gradient without end": dict(blend="gradient", blend_width=0),
    "blend multiband, wide": dict(blend="multiband", blend_width=64),
    **{f"grow {pixels}": dict(paste_grow=pixels) for pixels in (-5, -1, 3)},
    **{f"ramp {name}": dict(ramp=name) for name in ("linear", "smooth")},
    **{f"fill {name}": dict(fill=name) for name in ("neutral", "blurred", "diffused", "noise")},
    "exact size": dict(size_mode="guide_size_exact"),
    "short side": dict(size_mode="short_side", short_side=64),
    "pixel budget": dict(size_mode="pixel_budget", megapixels=0.05),
    "fixed size": WIDTH_AND_HEIGHT,
    "never above max_size": dict(never_above_max_size=True),
    "multiple": dict(size_mode="guide_size_exact", multiple="32"),
    "context": dict(min_context=9),
    "mirror": dict(min_context=9, border="mirror"),
    "drift": dict(drift="correct", min_context=12),
    "detail": dict(detail="match", min_context=12),
    "denoise by size": dict(denoise_by_size="less_for_larger", full_denoise_up_to=16),
    "retries": dict(retries=2),
    "tiling always": dict(tiling="always"),
    "tiling never": dict(tiling="never"),
}

TOGETHER: dict[str, dict[str, Any]] = {
    "colour and multiband": dict(colour="covariance", blend="multiband", blend_width=12, min_context=16),
    "gradient, grown, smooth": dict(blend="gradient", blend_width=10, paste_grow=4, ramp="smooth"),
    "drift, colour and detail": dict(drift="correct", colour="mean_and_spread", detail="match", min_context=16),
    "mirror and fixed size": dict(**WIDTH_AND_HEIGHT, min_context=14, border="mirror", multiple="16"),
    "mirror and fill": dict(min_context=14, border="mirror", fill="diffused", blend="gradient"),
    "budget and denoise": dict(
        size_mode="pixel_budget", megapixels=0.06, denoise_by_size="less_for_larger", full_denoise_up_to=16
    ),
    "all": dict(
        colour="covariance", blend="gradient", blend_width=12, paste_grow=2, ramp="smooth", fill="diffused",
        size_mode="fixed_size", width=80, height=64, multiple="16", min_context=12, border="mirror", drift="correct",
        detail="match", denoise_by_size="less_for_larger", full_denoise_up_to=16, retries=1, tiling="never",
    ),
}  # fmt: skip


def on_awkward(**widgets: Any) -> Any:
    """Parts at all borders, of soft edges and odd sizes."""
    return detailed(picture(*ODD), awkward(), unet(3), steps=1, detail_options=options(**widgets), contour_fill=False)


def on_texture(**changes: Any) -> Any:
    """A part amid surroundings that can be measured, on a model that changes little."""
    widgets = {"crop_factor": 2.5, "denoise": 0.1, "guide_size": 80.0, "max_size": 256.0}
    return detailed(textured(128, 144), mask_of(128, 144, (44, 40, 92, 86)), unet(3), **(widgets | changes))


def rest() -> Runs:
    mirrored = options(min_context=24, border="mirror")
    return {
        "four corners mirrored": lambda: watched(
            size=WIDE, mask=[(0, 0, 16, 16), (120, 0, 136, 16), (0, 56, 16, 72), (120, 56, 136, 72)],
            detail_options=mirrored, noise_mask_feather=5,
        ),
        "mirrored, inpaint model": lambda: detailed(
            pipe=unet(0, 9), inpaint_model=True, mask=[(0, 0, 20, 20)], detail_options=mirrored
        ),
        "eight parts of a fixed size": lambda: watched(
            size=WIDE, mask=EIGHT, detail_options=options(**WIDTH_AND_HEIGHT), crop_batch=3
        ),
        "large part, never above max_size": lambda: watched(
            mask=[(10, 10, 100, 80)], max_size=64.0, detail_options=options(never_above_max_size=True)
        ),
        "denoise by size": lambda: watched(
            mask=[(8, 8, 40, 40), (80, 60, 92, 72)], steps=4, crop_batch=1,
            detail_options=options(denoise_by_size="less_for_larger", full_denoise_up_to=16),
        ),
        "fill at denoise 1": lambda: detailed(denoise=1.0, detail_options=options(fill="noise", blend="multiband")),
        "fill with a soft mask": lambda: detailed(
            mask=soft(*SIZE, 40, 50, 25), contour_fill=False, noise_mask_feather=4,
            detail_options=options(fill="blurred"),
        ),
        "denoise by size, cycles and refiner": lambda: watched(
            cycle=2, steps=4, refiner_ratio=0.5, refiner_basic_pipe_opt=unet(5),
            mask=[(8, 8, 40, 40), (80, 60, 92, 72)],
            detail_options=options(denoise_by_size="less_for_larger", full_denoise_up_to=16),
        ),
        "black decodes tried again": lambda: detailed(
            torch.full((1, *SIZE, 3), 0.5), detailer_hook=Black(2), crop_batch=1, detail_options=options(retries=3)
        ),
        "black decodes given up": lambda: detailed(detailer_hook=Black(9), detail_options=options(retries=1)),
        "black and white, all": lambda: detailed(
            strokes(*SIZE), mask=[(10, 20, 60, 70)], detail_options=options(**TOGETHER["all"])
        ),
        **{
            f"texture, {name}": lambda name=name: on_texture(detail_options=options(**ALONE[name]))
            for name in ("none", "colour covariance", "drift", "detail", "blend multiband", "blend gradient")
        },
        "texture, drift, colour and detail": lambda: on_texture(
            detail_options=options(**TOGETHER["drift, colour and detail"])
        ),
        "texture that is moved": lambda: on_texture(
            detailer_hook=Moving(), detail_options=options(drift="correct", colour="covariance", detail="match")
        ),
        "planned": lambda: node(
            "MaskDetailerPlan", image=picture(*ODD), mask=awkward(), basic_pipe=unet(), detail_options=mirrored
        )["result"],
        "planned, all": lambda: node(
            "MaskDetailerPlan", image=picture(*ODD), mask=awkward(), basic_pipe=unet(), batch_size=2,
            contour_fill=False, detail_options=options(**TOGETHER["all"]),
        )["result"],
    }  # fmt: skip


class Black:
    """A hook whose first pictures are black."""

    def __init__(self, count: int) -> None:
        self.left = count

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        return pixels * 0 if self.left >= 0 else pixels


class Moving:
    """A hook that moves what was decoded, and darkens it."""

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.roll((3, -4), (1, 2)) * 0.93 + 0.02


RUNS: Runs = {
    **{f"option/{name}": lambda given=given: on_awkward(**given) for name, given in (ALONE | TOGETHER).items()},
    **{f"options/{name}": run for name, run in rest().items()},
}
