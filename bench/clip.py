"""How steady a moving part is: drawn scenes that move, the small trained model, and what a part differs by from frame
to frame.

    python dev.py bench clip [FRAMES]
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mask_detailer.nodes.clips import MaskDetailerClip
from mask_detailer.nodes.detailers import MaskDetailerPipe
from support.moving import MOTIONS, SCENES, MovingScene, error, flicker, moving_scene
from support.quality import CHECKPOINT, SETTINGS, load_models
from tables import print_table
from tiny_model import conditioning

FRAMES = 6
SHAKES = (0, 2)  # pixels
CLIP: dict[str, Any] = dict(smoothing=1.0, gap=4, fade=0, cut_threshold=0.18, span=81, overlap=16)
HIDDEN = {"leave and return": (2, 3)}  # frames in which the part is not there, moving on as in "translate"
SIZES: dict[str, Any] = dict(guide_size=256.0, max_size=512.0)


def detailed(models: tuple[Any, Any], scene: MovingScene, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The clip frame by frame, by windows, and the windows themselves as they came out."""
    model, vae = models
    pipe = (model, None, vae, conditioning.conditioning(scene.kind), conditioning.conditioning("generic"))
    clip, masks = torch.from_numpy(scene.bad), torch.from_numpy(scene.masks)
    settings = {**SETTINGS, **SIZES, "seed": seed}
    each = MaskDetailerPipe().doit(clip, masks, pipe, **settings)[0]
    settings.pop("batch_size")
    ours, _, after, *_ = MaskDetailerClip().doit(clip, pipe, mask=masks, **settings, **CLIP)
    return each.numpy(), ours.numpy(), after[0].numpy()


def in_window(windows: np.ndarray) -> float:
    """The mean difference of a window's middle to the next frame's, in levels."""
    rows, columns = (side // 4 for side in windows.shape[1:3])
    middle = windows[:, rows:-rows, columns:-columns]
    return float(np.abs(np.diff(middle, axis=0)).mean() * 255)


def row(models: tuple[Any, Any], case: int, kind: str, shake: int, frames: int) -> list[str]:
    hidden: Sequence[int] = HIDDEN.get(kind, ())
    scene = moving_scene(case, MOTIONS.get(kind, MOTIONS["translate"]), frames, shake, hidden)
    each, ours, windows = detailed(models, scene, case)
    outside = np.abs(ours - scene.bad)[~_near(scene.masks)].max()
    return [
        f"{scene.kind}, {kind}{f', masks shake by {shake} px' if shake else ''}",
        f"{flicker(scene.good, scene, hidden):.2f}",
        f"{flicker(each, scene, hidden):.2f}",
        f"{flicker(ours, scene, hidden):.2f}",
        f"{in_window(windows):.2f}",
        f"{error(scene.bad, scene, hidden):.2f}",
        f"{error(each, scene, hidden):.2f}",
        f"{error(ours, scene, hidden):.2f}",
        f"{outside:g}",
    ]


def _near(masks: np.ndarray) -> np.ndarray:
    """Where a feather of the settings' reach can spread them."""
    reach = 2 * int(SETTINGS["feather"]) + 1
    spread = torch.nn.functional.max_pool2d(torch.from_numpy(masks)[:, None], reach, stride=1, padding=reach // 2)
    return spread[:, 0].numpy() > 0


def run() -> None:
    if not CHECKPOINT.is_file():
        print(f"clip: no trained model; dev.py train makes {CHECKPOINT.name}")
        return
    frames = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), FRAMES)
    logging.disable(logging.INFO)
    with torch.inference_mode():
        models = load_models()
        rows = [
            row(models, case, kind, shake, frames)
            for case in SCENES
            for kind in ("translate", "zoom", "turn", *HIDDEN)
            for shake in SHAKES
        ]
    logging.disable(logging.NOTSET)
    print_table(
        f"A part that moves over {frames} frames: its mean difference to the next frame's, the known motion undone, "
        "and to the truth, in levels",
        ["part and motion", "truth", "frame by frame", "in windows", "within the window", "off before",
         "off frame by frame", "off in windows", "change outside"],
        rows,
    )  # fmt: skip
