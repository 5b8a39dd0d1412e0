"""Random clips for as long as there is time: a fifth of what ``test_fuzz.py`` has, and repeated as its runs are."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from engine.fuzz import named, pipe_of, seconds
from engine.fuzz_cases import drawn_options
from engine.running import near, unchanged_outside
from engine.test_moving_clips import WIDGETS
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG

PARTS = 4
SEED = os.environ["FUZZ_SEED"]


@dataclass(frozen=True)
class Drawn:
    """A run.

    Attributes:
        masks: ``[parts,F,H,W]``, each part's.
        marked: how the node is told of them: ``segs`` or ``mask``.
    """

    seed: str
    clip: torch.Tensor
    masks: torch.Tensor
    marked: str
    widgets: dict[str, Any]
    options: dict[str, Any] | None

    def __str__(self) -> str:
        shapes = f"clip {list(self.clip.shape)}, {len(self.masks)} parts as {self.marked}"
        return f"FUZZ_SEED={self.seed}: {shapes}, widgets {self.widgets}, options {self.options}"


def draw(seed: str) -> Drawn:
    rng, generator = random.Random(seed), torch.Generator().manual_seed(random.Random(seed).randrange(2**31))
    height, width, frames = rng.randint(8, 160), rng.randint(8, 160), rng.randint(1, 9)
    small = torch.rand(1, rng.choice([3, 3, 4]), height // 4 + 2, width // 4 + 2, generator=generator)
    picture = torch.nn.functional.interpolate(small, (height, width), mode="bilinear")[0].movedim(0, -1)
    picture = (picture > 0.5).float() if rng.random() < 0.2 else picture.clamp(0.0, 1.0)
    down, right = rng.choice([0, 1, 7]), rng.choice([0, 1, 3])
    clip = torch.stack([torch.roll(picture, (down * frame, right * frame), (0, 1)) for frame in range(frames)])
    if rng.random() < 0.1:
        clip[rng.randrange(frames)] = 0.0
    widgets = WIDGETS | dict(
        smoothing=rng.choice([0.0, 0.5, 1.0, 3.0, 100.0]), gap=rng.choice([0, 0, 1, 4]), fade=rng.choice([0, 1, 3]),
        cut_threshold=rng.choice([0.18, 1.0]), feather=rng.choice([0, 2, 5, 20]), denoise=rng.choice([0.3, 1.0]),
        crop_factor=rng.choice([1.0, 1.3, 3.0]), crop_batch=rng.choice([0, 1, 3]), guide_size=rng.choice([16.0, 64.0]),
        max_size=rng.choice([64.0, 128.0]), noise_mask_feather=rng.choice([0, 6]), drop_size=1,
        steady=rng.choice(["moving", "all", "off"]), contour_fill=False,
    )  # fmt: skip
    masks = torch.stack([_part(rng, frames, height, width) for _ in range(rng.randint(1, 3))])
    options = drawn_options(rng, False) if rng.random() < 0.5 else None
    return Drawn(seed, clip, masks, rng.choice(["segs", "mask"]), widgets, options)


def _part(rng: random.Random, frames: int, height: int, width: int) -> torch.Tensor:
    """A disc that stands, drifts or rushes, grows or shrinks; hidden, cut in half or off in single frames."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(2, 40)
    right, down, zoom = (rng.uniform(-25, 25) * rng.choice([0.0, 0.1, 1.0]) for _ in range(3))
    masks = []
    for frame in range(frames):
        size = radius * (1 + 0.004 * zoom) ** frame
        mask = (columns - x - right * frame) ** 2 + (rows - y - down * frame) ** 2 <= size**2
        fault = rng.random()
        if fault < 0.1:
            mask[:] = False
        elif fault < 0.2:
            mask[:, : width // 2] = False
        masks.append(np.roll(mask, 3, axis=1) if fault > 0.9 else mask)
    return torch.from_numpy(np.stack(masks).astype(np.float32))


def run(case: Drawn) -> tuple[Any, ...]:
    height, width = case.clip.shape[1:3]
    given: dict[str, Any] = dict(case.widgets)
    if case.options is not None:
        given["detail_options"] = NODE_CLASS_MAPPINGS["MaskDetailerOptions"]().doit(**case.options)[0]
    if case.marked == "mask":
        given["mask"] = case.masks.amax(dim=0)
    else:
        whole = [0, 0, width, height]
        given["segs"] = (
            (height, width),
            [SEG(None, masks.numpy(), 1.0, whole, (0, 0, width, height), "") for masks in case.masks],
        )
    return NODE_CLASS_MAPPINGS["MaskDetailerClip"]().doit(image=case.clip, basic_pipe=pipe_of("cheap"), **given)


def check(seed: str) -> None:
    """The run of a seed, looked at: what came in stays, and so does all that no frame's own mask reaches."""
    case = draw(seed)
    before = case.clip.clone(), case.masks.clone()
    with named(case):
        made, windows_before, windows_after, plan, text = run(case)
        assert torch.equal(case.clip, before[0]) and torch.equal(case.masks, before[1]), "an input was written to"
        assert made.shape == case.clip.shape and torch.equal(made[..., 3:], case.clip[..., 3:])
        for picture in (made, *windows_before, *windows_after, plan):
            assert bool(torch.isfinite(picture).all()) and 0.0 <= float(picture.min()) <= float(picture.max()) <= 1.0
        assert len(windows_before) == len(windows_after) and text
        if case.widgets["gap"] == 0:  # else a part is carried on where it has no mask
            reach = case.widgets["feather"] + max((case.options or {}).get("paste_grow", 0), 0)
            assert unchanged_outside(made, case.clip, near(case.masks.amax(dim=0), reach)), "changed outside the masks"


@pytest.mark.parametrize("part", [0] if "/" in SEED else range(PARTS))
def test_random_clips(part: int) -> None:
    """What holds in each is in ``check``."""
    if "/" in SEED:
        check(SEED)
        return
    end = time.monotonic() + seconds(300 if os.environ.get("CI") == "true" else 20) / 5 / PARTS
    number = 0
    while time.monotonic() < end:
        check(f"{SEED}/clip {part}/{number}")
        number += 1
