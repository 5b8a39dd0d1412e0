"""Residual paste beside direct: what stays that nobody asked to change, and what it costs."""

from __future__ import annotations

import sys
import time
from typing import Any

import cv2
import numpy as np
import torch
from mask_detailer.detailer.options import DetailOptions
from skimage.color import rgb2lab
from support.faults import FAULTS, Fault, FaultyVAE
from support.quality import CHECKPOINT, detailed, load_models, measure, plan_of
from tables import print_table
from tiny_model import scenes

CASES = 50
FEW = 10
LOW, USUAL = 0.15, 0.3
UNSAMPLED = {"denoise": 0.0001, "steps": 1}  # through the VAE and back, and nothing to speak of sampled
TEXTURE = 1.5  # pixels: finer than this blur is texture, the rest is what a part shows

PASTES = {paste: {"detail_options": DetailOptions(paste=paste)} for paste in ("direct", "residual")}


def coarse(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), TEXTURE)


def undegraded(models: tuple[Any, Any], case: int, changes: dict[str, Any]) -> dict[str, float]:
    """An undegraded scene's part after detailing, in levels of 255: beside itself, and beside the crop unsampled.

    The Lab shift is that of the crop where the mask's feather doesn't reach.
    """
    good, _, mask, _ = scenes.held_out_case(case)
    started = time.perf_counter()
    done, crop = detailed(models, case, changes, undegraded=True)
    seconds = time.perf_counter() - started
    unsampled, _ = detailed(models, case, {**changes, **UNSAMPLED}, undegraded=True)
    place = plan_of(models, case, changes).region.slices
    lab = np.linalg.norm(rgb2lab(crop[..., :3]) - rgb2lab(good[place]), axis=-1)
    texture = (done - coarse(done)) - (good - coarse(good))

    def mean(difference: np.ndarray) -> float:
        return float(np.abs(difference).mean(axis=-1)[mask > 0.5].mean() * 255)

    return {
        "worst": float(np.abs(done - good).max() * 255),
        "change": mean(done - good),
        "sampled": mean(coarse(done) - coarse(unsampled)),
        "texture": mean(texture),
        "lab": float(lab[crop[..., 3] <= 0].mean()),
        "seconds": seconds,
    }


def means(found: list[dict[str, float]], *names: str) -> list[str]:
    return [f"{np.mean([one[name] for one in found]):.3f}" for name in names]


def faults() -> dict[str, Fault]:
    """Planted in the decode."""

    def blurred(pixels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in pixels.cpu().numpy()]))

    return {**{name: FAULTS[name] for name in ("tint of +0.05", "gain of 1.1")}, "blur of 1 px": blurred}


def run() -> None:
    if not CHECKPOINT.is_file():
        print(f"residual: no trained model; dev.py train makes {CHECKPOINT.name}")
        return
    cases = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), CASES)
    few = min(cases, FEW)
    with torch.inference_mode():
        models = load_models()
        undegraded(models, 0, {"denoise": LOW})  # the first run of all is slower
        still(models, few)
        kept(models, cases)
        mended(models, cases)
        planted(models, few)


def still(models: tuple[Any, Any], cases: int) -> None:
    """Nothing to speak of is sampled: what direct and residual paste change all the same."""
    rows = []
    for paste, changes in PASTES.items():
        found = [undegraded(models, case, {**changes, **UNSAMPLED}) for case in range(cases)]
        worst = max(one["worst"] for one in found)
        rows.append([paste, f"{worst:.2f}", *means(found, "change", "lab")])
    head = ["paste", "worst value, levels", "mean change, levels", "Lab shift around the part"]
    print_table(f"The first {cases} scenes undegraded, denoise {UNSAMPLED['denoise']:g}", head, rows)


def kept(models: tuple[Any, Any], cases: int) -> None:
    """Undegraded scenes at a low denoise: whether the source's texture stays while the part changes."""
    found = {
        paste: [undegraded(models, case, {**changes, "denoise": LOW}) for case in range(cases)]
        for paste, changes in PASTES.items()
    }
    closer = sum(b["texture"] < a["texture"] for a, b in zip(found["direct"], found["residual"], strict=True))
    title = f"{cases} scenes undegraded, denoise {LOW:g}; texture is closer with residual paste in {closer} of {cases}"
    head = ["paste", "texture off, levels", "changed by sampling, levels", "Lab shift around the part", "seconds"]
    columns = ("texture", "sampled", "lab", "seconds")
    print_table(title, head, [[paste, *means(some, *columns)] for paste, some in found.items()])


def mended(models: tuple[Any, Any], cases: int) -> None:
    """The spoilt scenes that residual paste isn't for."""
    rows = []
    for paste, changes in PASTES.items():
        found = [measure(models, case, {**changes, "denoise": USUAL}) for case in range(cases)]
        seam = np.mean([one.seam for one in found]) / np.mean([one.seam_of_truth for one in found])
        similarity, sharp = (np.mean([getattr(one, name) for one in found]) for name in ("similarity", "sharpness"))
        rows.append([paste, f"{similarity:.4f}", f"{sharp:.3f}", f"{seam:.3f}"])
    print_table(f"{cases} spoilt scenes, denoise {USUAL:g}", ["paste", "SSIM after", "sharpness", "seam jump"], rows)


def planted(models: tuple[Any, Any], cases: int) -> None:
    """What the codec does wrong, where nothing is sampled: what is left of it."""
    rows = []
    for name, fault in faults().items():
        faulty, row = (models[0], FaultyVAE(models[1], fault)), [name]
        for changes in PASTES.values():
            found = [undegraded(faulty, case, {**changes, **UNSAMPLED}) for case in range(cases)]
            row += means(found, "change")
        rows.append(row)
    head = ["planted in the VAE's decode", "direct, levels off", "residual, levels off"]
    title = f"The first {cases} scenes undegraded, denoise {UNSAMPLED['denoise']:g}, with a fault planted in the VAE"
    print_table(title, head, rows)
