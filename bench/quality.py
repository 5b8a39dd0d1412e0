"""How good detailed pictures are: 50 held-out scenes against the undegraded ones, and what each detail option does."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mask_detailer.core.fill import FILLS
from mask_detailer.detailer.options import (
    BlendOptions,
    ColourOptions,
    DenoiseOptions,
    DetailOptions,
    WorkingSizeOptions,
)
from support.faults import FAULTS
from support.quality import CHECKPOINT, Again, Quality, load_models, measure, vae_shift
from tables import print_table

CASES = 50
FEW = 10  # scenes for what is sampled once more, and for planted faults
VAE_CASES = 10

PUT_BACK = {  # options that change only how a part is put back
    "as it is": DetailOptions(),
    "colour mean_and_spread": DetailOptions(colour=ColourOptions("mean_and_spread")),
    "colour covariance": DetailOptions(colour=ColourOptions("covariance")),
    "blend multiband": DetailOptions(blend=BlendOptions("multiband")),
    "blend gradient": DetailOptions(blend=BlendOptions("gradient")),
    "drift correct": DetailOptions(drift="correct"),
    "detail match": DetailOptions(detail="match"),
    "covariance, multiband, drift and detail": DetailOptions(
        ColourOptions("covariance"), BlendOptions("multiband"), drift="correct", detail="match"
    ),
}

SAMPLED_ANEW = {
    "size_mode guide_size_exact": DetailOptions(size=WorkingSizeOptions("guide_size_exact")),
    "size_mode short_side, 448": DetailOptions(size=WorkingSizeOptions("short_side", short_side=448)),
    "size_mode pixel_budget, 0.25": DetailOptions(size=WorkingSizeOptions("pixel_budget", megapixels=0.25)),
    "size_mode fixed_size, 512 x 512": DetailOptions(size=WorkingSizeOptions("fixed_size", width=512, height=512)),
    "multiple 64": DetailOptions(size=WorkingSizeOptions(multiple=64)),
    "min_context 32": DetailOptions(size=WorkingSizeOptions(context=32)),
    "denoise_by_size less_for_larger, 64": DetailOptions(denoise=DenoiseOptions("less_for_larger", 64)),
    "paste residual": DetailOptions(paste="residual"),
    "best_of 4": DetailOptions(best_of=4),
    **{f"fill {how}": DetailOptions(fill=how) for how in FILLS if how != "original"},
}

REMEDIES = {
    "tint of +0.05": ("colour mean_and_spread", "colour covariance", "blend multiband", "blend gradient"),
    "gain of 1.1": ("colour mean_and_spread", "colour covariance", "blend multiband", "blend gradient"),
    "shift of 2 px": ("drift correct",),
    "zoom of 1 %": ("drift correct",),
}

HEAD = ["SSIM before", "after", "closer", "sharpness before", "after", "in 0.8..1.25", "seam jump", "fade at the edge",
        "change outside", "off in levels"]  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What one way of putting a scene's part back came to: the option, and the fault planted before, if any."""

    case: int
    option: str
    fault: str | None
    quality: Quality


def in_share(values: list[bool]) -> str:
    return f"{sum(values)} of {len(values)}"


def row(name: str, found: list[Quality]) -> list[str]:
    def mean(field: str) -> float:
        return float(np.mean([getattr(quality, field) for quality in found]))

    return [
        name,
        f"{mean('similarity_before'):.3f}",
        f"{mean('similarity'):.3f}",
        in_share([quality.similarity > quality.similarity_before for quality in found]),
        f"{mean('sharpness_before'):.2f}",
        f"{mean('sharpness'):.2f}",
        in_share([0.8 <= quality.sharpness <= 1.25 for quality in found]),
        f"{mean('seam') / mean('seam_of_truth'):.2f}",
        f"{mean('fade'):.2f}",
        f"{max(quality.outside for quality in found):g}",
        f"{np.mean([abs(quality.brighter) for quality in found]):.2f}",
    ]


def tried(models: tuple[Any, Any], case: int) -> Iterator[Found]:
    """One scene: sampled once for all options that only change how its part is put back, and the planted faults."""
    again = Again()
    for name, options in PUT_BACK.items():
        yield Found(case, name, None, measure(models, case, {"detail_options": options, "detailer_hook": again}))
    if case >= FEW:
        return
    for name, options in SAMPLED_ANEW.items():
        yield Found(case, name, None, measure(models, case, {"detail_options": options}))
    for fault, remedies in REMEDIES.items():
        hook = again.with_fault(FAULTS[fault])
        for name in ("as it is", *remedies):
            changes = {"detail_options": PUT_BACK[name], "detailer_hook": hook}
            yield Found(case, name, fault, measure(models, case, changes))


def run() -> None:
    if not CHECKPOINT.is_file():
        print(f"quality: no trained model; dev.py train makes {CHECKPOINT.name}")
        return
    cases = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), CASES)
    logging.disable(logging.INFO)
    with torch.inference_mode():
        models = load_models()
        found = [one for case in range(cases) for one in tried(models, case)]
        shift = float(np.mean([vae_shift(models, case) for case in range(min(cases, VAE_CASES))]))
    logging.disable(logging.NOTSET)
    scenes = f"{cases} held-out scenes"
    plain = [one.quality for one in found if one.option == "as it is" and one.fault is None]
    kinds = sorted({quality.kind for quality in plain})
    by_kind = {kind: [quality for quality in plain if quality.kind == kind] for kind in kinds}
    print_table(
        f"{scenes}: similarity to the undegraded scene; sharpness and seam as ratios to its own; "
        f"the VAE's own Lab shift is {shift:.2f}",
        ["part", *HEAD],
        [row(name, some) for name, some in {**by_kind, "all": plain}.items()],
    )

    def table(title: str, some: list[Found]) -> None:
        by_option = {one.option: [other.quality for other in some if other.option == one.option] for one in some}
        print_table(title, ["option", *HEAD], [row(name, qualities) for name, qualities in by_option.items()])

    clean = [one for one in found if one.fault is None]
    table(f"{scenes}: each detail option by itself", [one for one in clean if one.option in PUT_BACK])
    first = f"The first {min(cases, FEW)} of them"
    anew = [one for one in clean if one.case < FEW and one.option in ("as it is", *SAMPLED_ANEW)]
    table(f"{first}, sampled anew", anew)
    for fault in REMEDIES:
        table(f"{first}, decoded with a {fault}", [one for one in found if one.fault == fault])
