"""How steady moving parts are, and how near to the truth: drawn scenes that move, and the small trained model.

python dev.py bench clip [FRAMES]
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from mask_detailer.core import SEG
from mask_detailer.nodes.clips import MaskDetailerClip
from mask_detailer.nodes.detailers import MaskDetailerPipe
from support.moving import CROSSING, MOTIONS, SCENES, MovingScene, error, flicker, moving_scene, moving_scenes
from support.quality import CHECKPOINT, SETTINGS, load_models, sharpness
from tables import print_table
from tiny_model import conditioning

FRAMES = 6
SHAKES = (0, 2)  # pixels
GUIDE_SIZES = (240.0, 256.0, 272.0)  # by each frame's own the result varies, so that one of them says little
CLIP: dict[str, Any] = dict(smoothing=1.0, gap=4, fade=0, cut_threshold=0.18, span=81, overlap=16)
HIDDEN = {"out of sight and back": (2, 3)}  # frames in which the part is not there, moving on as in "translate"
ALONE = ("translate", "zoom", "turn", "rush", *HIDDEN, "over the border")
TOGETHER = ("crossing", "cut")


@dataclass(frozen=True)
class Clip:
    """A clip and what is known of it.

    Attributes:
        good, bad: ``[F,H,W,3]``, the truth, and with spoiled parts.
        masks: ``[n,F,H,W]``, of each part.
        parts: a scene for each, with the frame in which it begins.
    """

    good: np.ndarray
    bad: np.ndarray
    masks: np.ndarray
    parts: list[tuple[int, MovingScene]]

    @property
    def kinds(self) -> str:
        return " and ".join(scene.kind for _, scene in self.parts)

    def within(self, clip: np.ndarray) -> list[tuple[np.ndarray, MovingScene]]:
        """Each part's frames of a clip."""
        return [(clip[first : first + len(scene.bad)], scene) for first, scene in self.parts]


def drawn(kind: str, case: int, frames: int, shake: int) -> Clip:
    """A clip of one kind of motion; of those with two parts, ``case`` is the first and in front."""
    other = next(one for one in SCENES if one != case)
    if kind == "crossing":
        parts = moving_scenes({case: CROSSING[0], other: CROSSING[1]}, frames + 1, shake)
        masks = np.stack([part.masks for part in parts])
        return Clip(parts[0].good, parts[0].bad, masks, [(0, part) for part in parts])
    if kind == "cut":
        parts = [moving_scene(one, MOTIONS["translate"], frames - 2, shake) for one in (case, other)]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("good", "bad", "masks")}
        good, bad, masks = joined.values()
        return Clip(good, bad, masks[None], [(0, parts[0]), (frames - 2, parts[1])])
    motion = MOTIONS.get(kind, MOTIONS["translate"])
    scene = moving_scene(case, motion, frames, shake, HIDDEN.get(kind, ()))
    return Clip(scene.good, scene.bad, scene.masks[None], [(0, scene)])


@dataclass(frozen=True)
class Found:
    """What a clip, or several, came to: means over parts and frames, in levels of 8-bit pictures.

    Attributes:
        truth, each, ours: flicker of the truth, frame by frame, and in windows.
        window: mean difference of a window's middle to the next frame's, as it came out.
        off_before, off_each, off: mean difference to the truth.
        sharp_each, sharp: gradients over the truth's.
        outside: the largest change where no feathered mask reaches.
    """

    truth: float
    each: float
    ours: float
    window: float
    off_before: float
    off_each: float
    off: float
    sharp_each: float
    sharp: float
    outside: float

    @classmethod
    def mean(cls, some: Sequence[Found]) -> Found:
        return cls(*(float(np.mean([getattr(one, field.name) for one in some])) for field in fields(cls)))

    def cells(self) -> list[str]:
        return [
            *(f"{value:.2f}" for value in (self.truth, self.each, self.ours, self.ours / self.each, self.window)),
            *(f"{value:.2f}" for value in (self.off_before, self.off_each, self.off, self.sharp_each, self.sharp)),
            f"{self.outside:g}",
        ]


HEAD = ["truth", "frame by frame", "in windows", "over frame by frame", "within the window", "off before",
        "off frame by frame", "off in windows", "sharpness frame by frame", "in windows", "change outside"]  # fmt: skip


def detailed(
    models: tuple[Any, Any], clip: Clip, guide_size: float, seed: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """The clip frame by frame, by windows, and the windows themselves as they came out."""
    model, vae = models
    kind = clip.parts[0][1].kind if len(clip.parts) == 1 else "generic"
    pipe = (model, None, vae, conditioning.conditioning(kind), conditioning.conditioning("generic"))
    settings = {**SETTINGS, "guide_size": guide_size, "max_size": 512.0, "seed": seed}
    frames = each = torch.from_numpy(clip.bad)
    for masks in clip.masks[::-1]:  # what is in front last
        each = MaskDetailerPipe().doit(each, torch.from_numpy(masks), pipe, **settings)[0]
    settings.pop("batch_size")
    size = tuple(clip.bad.shape[1:3])
    segs = [SEG(None, masks, 1.0, [0, 0, size[1], size[0]], (0, 0, size[1], size[0]), "") for masks in clip.masks]
    ours, _, after, *_ = MaskDetailerClip().doit(frames, pipe, segs=(size, segs), **settings, **CLIP)
    return each.numpy(), ours.numpy(), [one.numpy() for one in after]


def found(models: tuple[Any, Any], clip: Clip, guide_size: float, seed: int) -> Found:
    each, ours, windows = detailed(models, clip, guide_size, seed)
    if len(windows) != len(clip.parts):
        print(f"{clip.kinds}: {len(windows)} windows for {len(clip.parts)} parts")

    def mean(measure: Any, frames: np.ndarray) -> float:
        return float(np.mean([measure(*one) for one in clip.within(frames)]))

    sharp = mean(_sharpness, clip.good)
    return Found(
        *(mean(flicker, one) for one in (clip.good, each, ours)),
        float(np.mean([_in_window(one) for one in windows])),
        *(mean(error, one) for one in (clip.bad, each, ours)),
        *(mean(_sharpness, one) / sharp for one in (each, ours)),
        float(np.abs(ours - clip.bad)[~_near(clip.masks.max(axis=0))].max()),
    )


def _in_window(windows: np.ndarray) -> float:
    rows, columns = (side // 4 for side in windows.shape[1:3])
    middle = windows[:, rows:-rows, columns:-columns]
    return float(np.abs(np.diff(middle, axis=0)).mean() * 255)


def _sharpness(frames: np.ndarray, scene: MovingScene) -> float:
    """The mean gradient of what is under the part's masks."""
    return float(np.mean([sharpness(frame)[mask > 0.5].mean() for frame, mask in zip(frames, scene.masks, strict=True)
                          if (mask > 0.5).any()]))  # fmt: skip


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
    by_part: dict[tuple[str, str, int], Found] = {}
    with torch.inference_mode():
        models = load_models()
        for kind, case, shake in ((k, c, s) for k in (*ALONE, *TOGETHER) for c in SCENES for s in SHAKES):
            clip = drawn(kind, case, frames, shake)
            some = [found(models, clip, size, case) for size in GUIDE_SIZES]
            by_part[kind, clip.kinds, shake] = Found.mean(some)
    logging.disable(logging.NOTSET)
    sizes = ", ".join(f"{size:g}" for size in GUIDE_SIZES)
    by_kind = {
        (kind, shake): Found.mean([one for (k, _, s), one in by_part.items() if (k, s) == (kind, shake)])
        for kind in (*ALONE, *TOGETHER)
        for shake in SHAKES
    }
    print_table(
        f"Parts that move over {frames} frames, in levels, mean of guide sizes {sizes}",
        ["motion", "masks", *HEAD],
        [[kind, _masks(shake), *one.cells()] for (kind, shake), one in by_kind.items()],
    )
    print_table(
        "The same for each part",
        ["motion", "part", "masks", *HEAD],
        [[kind, part, _masks(shake), *one.cells()] for (kind, part, shake), one in by_part.items()],
    )


def _masks(shake: int) -> str:
    return f"shake by {shake} px" if shake else "steady"
