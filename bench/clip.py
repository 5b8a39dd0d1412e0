"""How steady moving parts are, and how near to the truth: drawn scenes that move, and the small trained model.

python dev.py bench clip [FRAMES]
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
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
CLIP: dict[str, Any] = dict(smoothing=1.0, gap=4, fade=0, cut_threshold=0.18, span=81, overlap=16)
HIDDEN = {"out of sight and back": (2, 3)}  # frames in which the part is not there, moving on as in "translate"
KINDS = {  # of motion, each at a guide size of its own: the size that a part is sampled at matters by itself
    "translate": 240, "zoom": 232, "turn": 248, "out of sight and back": 256, "rush": 236, "over the border": 252,
    "crossing": 228, "cut": 264,
}  # fmt: skip
BY_ITSELF = ("translate", "zoom", "turn", "out of sight and back")  # each part; else the first, or both together


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
        window: the same in windows, before they are put back.
        frozen: flicker of windows whose picture is the same in all frames: what putting it back alone makes.
        off_before, off_each, off: mean difference to the truth.
        sharp_each, sharp: gradients over the truth's.
        outside: the largest change where no feathered mask reaches.
    """

    truth: float
    each: float
    window: float
    ours: float
    frozen: float
    off_before: float
    off_each: float
    off: float
    sharp_each: float
    sharp: float
    outside: float

    @classmethod
    def mean(cls, some: Sequence[Found]) -> Found:
        return cls(*(float(np.mean([getattr(one, own.name) for one in some])) for own in fields(cls)))


STEADY = {
    "truth": "truth", "each": "frame by frame", "window": "within the window", "ours": "put back",
    "frozen": "one picture put back",
}  # fmt: skip
TRUE = {
    "off_before": "off before", "off_each": "off frame by frame", "off": "off in windows",
    "sharp_each": "sharpness frame by frame", "sharp": "sharpness in windows", "outside": "change outside",
}  # fmt: skip
BRIEF = {name: {**STEADY, **TRUE}[name] for name in ("truth", "each", "window", "ours", "off_each", "off")}


@dataclass
class Frozen:
    """A hook by which, the second time, all frames of a part get one picture: the mean of what was decoded of them."""

    decoded: dict[torch.Size, list[torch.Tensor]] = field(default_factory=dict)
    again: bool = False

    def get_skip_sampling(self) -> bool:
        return self.again

    def post_decode(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.again:
            return torch.cat(self.decoded[pixels.shape]).mean(dim=0, keepdim=True)
        self.decoded.setdefault(pixels.shape, []).append(pixels.clone())
        return pixels


@dataclass(frozen=True)
class Trial:
    """A clip and how it is detailed."""

    models: tuple[Any, Any]
    clip: Clip
    guide_size: int
    seed: int

    @property
    def _given(self) -> dict[str, Any]:
        model, vae = self.models
        kind = self.clip.parts[0][1].kind if len(self.clip.parts) == 1 else "generic"
        pipe = (model, None, vae, conditioning.conditioning(kind), conditioning.conditioning("generic"))
        return {
            **SETTINGS,
            "basic_pipe": pipe,
            "guide_size": float(self.guide_size),
            "max_size": 512.0,
            "seed": self.seed,
        }

    def frame_by_frame(self) -> np.ndarray:
        made = torch.from_numpy(self.clip.bad)
        for masks in self.clip.masks[::-1]:  # what is in front last
            made = MaskDetailerPipe().doit(made, torch.from_numpy(masks), **self._given)[0]
        return made.numpy()

    def in_windows(self, hook: Frozen) -> tuple[np.ndarray, list[np.ndarray]]:
        """The clip, and the windows that it was detailed in, as they came out."""
        frames, given = torch.from_numpy(self.clip.bad), self._given
        given.pop("batch_size")
        height, width = frames.shape[1:3]
        whole = (0, 0, width, height)
        segs = (height, width), [SEG(None, masks, 1.0, list(whole), whole, "") for masks in self.clip.masks]
        made, _, after, *_ = MaskDetailerClip().doit(frames, segs=segs, detailer_hook=hook, **given, **CLIP)
        return made.numpy(), [window.numpy() for window in after]

    def found(self) -> Found:
        clip, hook = self.clip, Frozen()
        each, (ours, windows) = self.frame_by_frame(), self.in_windows(hook)
        hook.again = True
        frozen, _ = self.in_windows(hook)
        if len(windows) != len(clip.parts):
            print(f"{clip.kinds}: {len(windows)} windows for {len(clip.parts)} parts")

        def mean(measure: Callable[[np.ndarray, MovingScene], float], frames: np.ndarray) -> float:
            return float(np.mean([measure(*one) for one in clip.within(frames)]))

        sharp = mean(_sharpness, clip.good)
        return Found(
            *(mean(flicker, one) for one in (clip.good, each)),
            float(np.mean([_within(*one) for one in zip(windows, clip.parts, strict=False)])),
            *(mean(flicker, one) for one in (ours, frozen)),
            *(mean(error, one) for one in (clip.bad, each, ours)),
            *(mean(_sharpness, one) / sharp for one in (each, ours)),
            float(np.abs(ours - clip.bad)[~_near(clip.masks.max(axis=0))].max()),
        )


def _sharpness(frames: np.ndarray, scene: MovingScene) -> float:
    """The mean gradient of what is under the part's masks."""
    return float(np.mean([sharpness(frame)[mask > 0.5].mean() for frame, mask in zip(frames, scene.masks, strict=True)
                          if (mask > 0.5).any()]))  # fmt: skip


def _within(frames: np.ndarray, part: tuple[int, MovingScene]) -> float:
    """Flicker in a window's middle, where nothing moves: of frames and their next that both show the part."""
    _, scene = part
    count, height, width, _ = frames.shape
    middle = frames[:, height // 3 : -(height // 3), width // 3 : -(width // 3)]
    both = [index for index in range(count - 1) if scene.seen(index, index + 1) is not None]
    return float(np.mean([np.abs(middle[index] - middle[index + 1]).mean() for index in both])) * 255


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
    logging.disable(logging.WARNING)  # of masks that are black in some frames
    by_part: dict[tuple[str, str, int], Found] = {}
    with torch.inference_mode():
        models = load_models()
        for kind, size in KINDS.items():
            for case, shake in product(SCENES if kind in BY_ITSELF else SCENES[:1], SHAKES):
                clip = drawn(kind, case, frames, shake)
                by_part[kind, clip.kinds, shake] = Trial(models, clip, size, case).found()
    logging.disable(logging.NOTSET)
    print_found(by_part, frames)


def print_found(by_part: Mapping[tuple[str, str, int], Found], frames: int) -> None:
    """Tables by kind of motion, and for each part."""
    by_kind: dict[tuple[str, int], list[Found]] = {}
    for (kind, _, shake), one in by_part.items():
        by_kind.setdefault((kind, shake), []).append(one)
    for title, shown in {
        f"Flicker of parts over {frames} frames, by kind of motion": STEADY,
        "How far they are from the truth": TRUE,
    }.items():
        print_table(
            title,
            ["motion", "masks", "guide size", *shown.values()],
            [[kind, _masks(shake), str(KINDS[kind]), *_cells(Found.mean(some), shown)]
             for (kind, shake), some in by_kind.items()],
        )  # fmt: skip
    print_table(
        "Both for each part",
        ["motion", "part", "masks", *BRIEF.values()],
        [[kind, part, _masks(shake), *_cells(one, BRIEF)] for (kind, part, shake), one in by_part.items()],
    )


def _cells(one: Found, names: Iterable[str]) -> list[str]:
    return [f"{getattr(one, name):g}" if name == "outside" else f"{getattr(one, name):.2f}" for name in names]


def _masks(shake: int) -> str:
    return f"shake by {shake} px" if shake else "steady"
