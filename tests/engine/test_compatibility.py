"""What saved workflows rely on, as tables worked out by hand from the Impact Pack's rules: order, crops, sizes, seeds.

Geometry: a side of ``n = length * crop_factor`` starts at ``trunc(middle - n / 2)``; one that would begin before the
picture begins at 0, one that would end beyond it slides inwards. ``scale = guide_size / shorter side``, capped so that
the longer enlarged side is ``max_size``; sizes are cut down to whole pixels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from engine.running import Recorder, pipe_with
from engine.tiny_models import Pipe, called_through, mask_of, picture, text_encoder
from mask_detailer.nodes.pipe_detailers import DetailerForEachPipe
from mask_detailer.nodes.segs import MaskToSEGS

HEIGHT, WIDTH = 160, 200
A, B = (20, 20, 40, 50), (120, 90, 150, 110)  # 20x30 and 30x20
LARGE, SMALL = (20, 60, 100, 130), (150, 10, 170, 30)  # 80x70, lower; 20x20, higher
Box = tuple[int, int, int, int]


class Part(NamedTuple):
    """One segment that is worked on: box, crop, width and height it is enlarged to."""

    box: Box
    crop: Box
    wished: tuple[int, int]


PART_A, PART_B = Part(A, (10, 5, 50, 65), (128, 192)), Part(B, (105, 80, 165, 120), (192, 128))
GEOMETRY: dict[str, tuple[tuple[Box, ...], dict[str, Any], list[Part]]] = {
    "from bottom to top": ((A, B), {}, [PART_B, PART_A]),
    "guide_size for the crop": (
        (A, B), {"guide_size_for": False},
        [PART_B._replace(wished=(96, 64)), PART_A._replace(wished=(64, 96))],
    ),
    "max_size caps": (
        (A, B), {"max_size": 100.0}, [PART_B._replace(wished=(100, 66)), PART_A._replace(wished=(66, 100))],
    ),
    "crop_factor 1": (
        (A, B), {"crop_factor": 1.0}, [Part(B, B, (96, 64)), Part(A, A, (64, 96))],
    ),
    "crop_factor 10 takes what there is": (
        (A,), {"crop_factor": 10.0}, [Part(A, (0, 0, 200, 160), (640, 512))],
    ),
    "slides inwards at the far corner": (
        ((170, 130, 200, 160),), {}, [Part((170, 130, 200, 160), (140, 100, 200, 160), (128, 128))],
    ),
    "begins at 0 at the near corner": (
        ((0, 0, 10, 10),), {"crop_factor": 3.0, "drop_size": 9}, [Part((0, 0, 10, 10), (0, 0, 30, 30), (192, 192))],
    ),
    "odd sides": (((60, 60, 81, 81),), {}, [Part((60, 60, 81, 81), (49, 49, 91, 91), (128, 128))]),
    "a half pixel goes down": (
        (LARGE,), {"crop_factor": 1.5, "guide_size": 140.0}, [Part(LARGE, (0, 42, 120, 147), (240, 210))],
    ),
    "large ones at their own size": ((LARGE,), {"crop_factor": 1.5}, [Part(LARGE, (0, 42, 120, 147), (120, 105))]),
    "also above max_size": (
        (LARGE,), {"crop_factor": 1.5, "max_size": 64.0}, [Part(LARGE, (0, 42, 120, 147), (120, 105))],
    ),
    "large ones skipped without force": (
        (LARGE, SMALL), {"force_inpaint": False}, [Part(SMALL, (140, 0, 180, 40), (128, 128))],
    ),
    "not skipped while one side is short": (
        (B,), {"force_inpaint": False, "guide_size": 25.0}, [PART_B._replace(wished=(75, 50))],
    ),
    "both sides reach guide_size": ((B,), {"force_inpaint": False, "guide_size": 20.0}, []),
    "nothing to enlarge": ((LARGE,), {"force_inpaint": False, "guide_size": 75.0, "max_size": 150.0}, []),
    "drop_size is strict": (
        ((60, 60, 81, 81), A, B), {"drop_size": 20}, [Part((60, 60, 81, 81), (49, 49, 91, 91), (128, 128))],
    ),
    "drop_size one less": ((A, B), {"drop_size": 19}, [PART_B, PART_A]),
    "combined is one, its far edges inclusive": (
        (A, B), {"combined": True, "crop_factor": 1.0, "guide_size": 178.0},
        [Part((20, 20, 149, 109), (20, 20, 149, 109), (258, 178))],
    ),
}  # fmt: skip


class Skipping(Recorder):
    def get_skip_sampling(self) -> bool:
        return True


def run(unet: Pipe, boxes: tuple[Box, ...], hook: Recorder, pipe: Any = None, **changes: Any) -> list[Any]:
    """The worked-on segments that DetailerForEachPipe gives for MASK to SEGS's segments."""
    widgets: dict[str, Any] = dict(
        guide_size=64.0, guide_size_for=True, max_size=1024.0, seed=7, steps=1, cfg=1.0, sampler_name="euler",
        scheduler="normal", denoise=0.5, feather=2, noise_mask=True, force_inpaint=True, wildcard="",
        refiner_ratio=0.2, cycle=1, noise_mask_feather=0,
    )  # fmt: skip
    segs_widgets = dict(combined=False, crop_factor=2.0, bbox_fill=False, drop_size=10, contour_fill=False)
    segs_widgets |= {name: changes.pop(name) for name in list(changes) if name in segs_widgets}
    (segs,) = MaskToSEGS().doit(mask_of(HEIGHT, WIDTH, *boxes), **segs_widgets)
    _, (_, made), *_ = DetailerForEachPipe().doit(
        picture(HEIGHT, WIDTH), segs, basic_pipe=pipe or unet, detailer_hook=hook, **(widgets | changes)
    )
    return [seg for seg in made if seg.cropped_image is not None]


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry(unet: Pipe, name: str) -> None:
    boxes, changes, wanted = GEOMETRY[name]
    hook = Skipping()
    made = run(unet, boxes, hook, **changes)
    assert [tuple(map(int, seg.bbox)) for seg in made] == [part.box for part in wanted]
    assert [tuple(seg.crop_region) for seg in made] == [part.crop for part in wanted]
    sizes = list(zip(hook.all("touch_scaled_size"), hook.all("touch_scaled_size", 1), strict=True))
    assert sizes == [part.wished for part in wanted]


# name: (boxes, widgets, [(box, seed of each cycle)])
SEEDS: dict[str, tuple[tuple[Box, ...], dict[str, Any], list[tuple[Box, int]]]] = {
    "one more for each segment": ((A, B), {}, [(B, 7), (A, 8)]),
    "skipped ones count": ((LARGE, SMALL), {"force_inpaint": False}, [(SMALL, 8)]),
    "cycles add one": ((A, B), {"cycle": 2}, [(B, 7), (B, 8), (A, 8), (A, 9)]),
    "past the end it goes on from 0": ((A, B), {"seed": 2**64 - 1}, [(B, 2**64 - 1), (A, 0)]),
    "left to right": ((A, B), {"wildcard": "[ASC]one[SEP]two"}, [(A, 7), (B, 8)]),
    "right to left": ((A, B), {"wildcard": "[DSC]one[SEP]two"}, [(B, 7), (A, 8)]),
    "smallest first": ((LARGE, SMALL), {"wildcard": "[ASC-SIZE]one[SEP]two"}, [(SMALL, 7), (LARGE, 8)]),
    "largest first": ((LARGE, SMALL), {"wildcard": "[DSC-SIZE]one[SEP]two"}, [(LARGE, 7), (SMALL, 8)]),
    "a seed of its own": ((A, B), {"wildcard": "[ASC]one[SEP:500]two"}, [(A, 7), (B, 500)]),
    "0 is a seed too": ((A, B), {"wildcard": "[ASC]one[SEP:0]two"}, [(A, 7), (B, 0)]),
    "prompts start again, seeds go on": ((A, B), {"wildcard": "[ASC]one"}, [(A, 7), (B, 8)]),
    "a skipped prompt counts": ((A, B), {"wildcard": "[ASC][SKIP][SEP]two"}, [(B, 8)]),
    "stop": ((A, B), {"wildcard": "[ASC]one[SEP][STOP]"}, [(A, 7)]),
    "without an order tag [SEP] is text": ((A, B), {"wildcard": "one[SEP:500]two"}, [(B, 7), (A, 8)]),
    "a tag after a space is text": ((A, B), {"wildcard": " [ASC]one[SEP:500]two"}, [(B, 7), (A, 8)]),
    "labels have no seeds": ((A, B), {"wildcard": "[LAB][A]one[SEP:500]"}, [(B, 7), (A, 8)]),
}


@pytest.fixture(scope="module")
def clip() -> Any:
    return text_encoder()


@pytest.mark.parametrize("name", SEEDS)
def test_order_and_seeds(unet: Pipe, clip: Any, name: str) -> None:
    boxes, changes, wanted = SEEDS[name]
    hook = Recorder()
    made = run(unet, boxes, hook, pipe_with(unet, clip=clip), guide_size=64.0, max_size=64.0, **changes)
    assert hook.all("pre_ksample", 1) == [seed for _, seed in wanted]
    cycles = changes.get("cycle", 1)
    assert [tuple(map(int, seg.bbox)) for seg in made] == [box for box, _ in wanted][::cycles]


@pytest.mark.parametrize(
    ("steps", "denoise", "asked"),
    [(4, 1.0, 4), (4, 0.5, 8), (4, 0.3, 13), (20, 0.7, 28), (3, 0.45, 6), (1, 0.9, 1)],
)
def test_steps(unet: Pipe, steps: int, denoise: float, asked: int) -> None:
    """The schedule is made for floor(steps / denoise) steps, and its last ones are run."""
    made_for: list[int] = []
    seen: list[int] = []

    def schedule(model: Any, sampler: str, count: int) -> torch.Tensor:
        made_for.append(count)
        return torch.linspace(10.0, 0.0, count + 1)

    class Counting(Recorder):
        def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
            return (called_through(call[0], self.counted), *call[1:])

        def counted(self, apply: Any, arguments: dict[str, Any]) -> Any:
            seen.append(1)
            return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    run(unet, (B,), Counting(), steps=steps, denoise=denoise, max_size=64.0, scheduler_func_opt=schedule)
    assert made_for == [asked]
    assert len(seen) == steps


def test_masks(unet: Pipe) -> None:
    """The noise mask is the crop's mask as it is without a feather; with noise_mask off there is none."""
    hook = Recorder()
    run(unet, (B,), hook)
    (latent,) = hook.all("post_encode")
    inside = torch.zeros(1, 40, 60)
    inside[0, 10:30, 15:45] = 1.0
    assert torch.equal(latent["noise_mask"], inside)
    hook = Recorder()
    run(unet, (B,), hook, noise_mask=False)
    assert "noise_mask" not in hook.all("post_encode")[0]
