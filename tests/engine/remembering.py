"""What the tests of the segment memory share: every detailer run in the same way, and its outputs side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from engine import running
from engine.running import same
from engine.tiny_models import mask_of, picture
from mask_detailer.core import SEGS, mask_to_segs
from mask_detailer.detailer.pipeline.remembered import memory
from mask_detailer.nodes.detailers import (
    DetailerForEach,
    DetailerForEachAutoRetry,
    DetailerForEachDebug,
    MaskDetailerPipe,
)
from mask_detailer.nodes.faces import FaceDetailer, FaceDetailerPipe
from mask_detailer.nodes.pipe_detailers import DetailerForEachDebugPipe, DetailerForEachPipe
from mask_detailer.nodes.segs_detailers import SEGSDetailer
from support.calls import counted

SIZE = (72, 136)
EQUAL = [(x, y, x + 12, y + 12) for y in (12, 48) for x in (12, 44, 76, 108)]
UNEQUAL = [(x, y, x + 8 + 2 * i, y + 16 - 2 * (i % 3)) for i, (x, y, _, _) in enumerate(EQUAL[:4])] + [
    (x, y, x + 15 - 2 * i, y + 7 + 2 * i) for i, (x, y, _, _) in enumerate(EQUAL[4:])
]
PARTS = {"equal": EQUAL, "unequal": UNEQUAL}
CLOSE = 2e-3  # of a crop sampled alone and along with others

WIDGETS: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
    scheduler="normal", denoise=0.5, feather=3, noise_mask=True, force_inpaint=True, cycle=1, noise_mask_feather=0,
    crop_batch=1,
)  # fmt: skip
FOUND: dict[str, Any] = dict(
    bbox_threshold=0.5, bbox_dilation=0, bbox_crop_factor=2.0, sam_detection_hint="center-1", sam_dilation=0,
    sam_threshold=0.93, sam_bbox_expansion=0, sam_mask_hint_threshold=0.7, sam_mask_hint_use_negative="False",
    drop_size=2,
)  # fmt: skip


@pytest.fixture
def remembers() -> Iterator[None]:
    """The segment memory is on, and empty."""
    memory.clear()
    memory.set_bound(64)
    yield
    memory.clear()
    memory.set_bound(0)


def parts_of(boxes: list[tuple[int, int, int, int]] = EQUAL, factor: float = 2.0) -> SEGS:
    return mask_to_segs(mask_of(*SIZE, *boxes), False, factor, False, 2)


class Finds:
    """A detector that finds the given boxes."""

    def __init__(self, segs: SEGS) -> None:
        self.segs = segs

    def detect(self, *given: Any, **named: Any) -> SEGS:
        return self.segs

    def setAux(self, text: str | None) -> None:
        pass


class Made(NamedTuple):
    """What a detailer gave, and the items of all calls of its model: crop-evaluations."""

    outputs: tuple[Any, ...]
    items: int

    @property
    def image(self) -> torch.Tensor:
        return self.outputs[0]


Detail = Callable[..., Made]


def _parts(pipe: Any) -> dict[str, Any]:
    return dict(zip(("model", "clip", "vae", "positive", "negative"), pipe, strict=True))


def _mask_detailer(image: torch.Tensor, segs: SEGS, pipe: Any, **widgets: Any) -> Any:
    """Its parts come from a mask; those of one that touches others are one."""
    mask = torch.zeros(1, *image.shape[1:3])
    for seg in segs[1]:
        x1, y1, x2, y2 = (int(side) for side in seg.bbox)
        mask[0, y1:y2, x1:x2] = 1.0
    widgets = running.SMALL | {k: v for k, v in widgets.items() if k not in ("noise_mask", "force_inpaint")}
    return MaskDetailerPipe().doit(image, mask, pipe, **widgets)


def _segs_detailer(image: torch.Tensor, segs: SEGS, pipe: Any, **widgets: Any) -> Any:
    widgets = {k: v for k, v in widgets.items() if k not in ("feather", "wildcard", "detailer_hook")}
    return SEGSDetailer().doit(image, segs, pipe, **({"refiner_ratio": 0.2, "batch_size": 1} | widgets))


def _without_refiner(widgets: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in widgets.items() if k not in ("refiner_basic_pipe_opt", "refiner_ratio")}


def _face_detailer(image: torch.Tensor, segs: SEGS, pipe: Any, **widgets: Any) -> Any:
    given = {"wildcard": "", **FOUND, **_without_refiner(widgets), **_parts(pipe), "bbox_detector": Finds(segs)}
    made = FaceDetailer().doit(image, **given)
    return (*made[:4], made[5])


def _face_detailer_pipe(image: torch.Tensor, segs: SEGS, pipe: Any, **widgets: Any) -> Any:
    model, clip, vae, positive, negative = pipe
    refiner = widgets.pop("refiner_basic_pipe_opt", None)
    model2, clip2, _, positive2, negative2 = refiner or (None,) * 5
    hook, text = widgets.pop("detailer_hook", None), widgets.pop("wildcard", "")
    found = Finds(segs)
    whole = (model, clip, vae, positive, negative, text, found, None, None, hook, model2, clip2, positive2, negative2)
    made = FaceDetailerPipe().doit(image, whole, **({"refiner_ratio": 0.2} | FOUND | widgets))
    return (*made[:4], made[5])


def _each(node: Any, **own: Any) -> Callable[..., Any]:
    def run(image: torch.Tensor, segs: SEGS, pipe: Any, **widgets: Any) -> Any:
        given = {"wildcard": "", **own, **_without_refiner(widgets)}
        return node().doit(image, segs, **given, **_parts(pipe))

    return run


def _each_pipe(node: Any) -> Callable[..., Any]:
    def run(image: torch.Tensor, segs: SEGS, pipe: Any, **widgets: Any) -> Any:
        made = node().doit(image, segs, basic_pipe=pipe, **({"wildcard": "", "refiner_ratio": 0.2} | widgets))
        return (*made[:2], *made[3:])

    return run


DETAILERS: dict[str, Callable[..., Any]] = {
    "MaskDetailerPipe": lambda *given, **widgets: _mask_detailer(*given, **widgets)[:3],
    "DetailerForEach": _each(DetailerForEach),
    "DetailerForEachDebug": _each(DetailerForEachDebug),
    "DetailerForEachAutoRetry": _each(DetailerForEachAutoRetry, max_retries=2),
    "DetailerForEachPipe": _each_pipe(DetailerForEachPipe),
    "DetailerForEachDebugPipe": _each_pipe(DetailerForEachDebugPipe),
    "SEGSDetailer": _segs_detailer,
    "FaceDetailer": _face_detailer,
    "FaceDetailerPipe": _face_detailer_pipe,
}


def detail(name: str, segs: SEGS, pipe: Any, image: torch.Tensor | None = None, **changes: Any) -> Made:
    """Run a detailer with the small widgets, changed."""
    image = picture(*SIZE) if image is None else image
    with counted() as calls:
        outputs = DETAILERS[name](image, segs, pipe, **(WIDGETS | changes))
    return Made(tuple(outputs), calls.items)


def afresh(*given: Any, **changes: Any) -> Made:
    """The same without anything that was made before; the memory stays as it is."""
    bound, memory.bound = memory.bound, 0
    try:
        return detail(*given, **changes)
    finally:
        memory.bound = bound


def largest_difference(first: Any, second: Any) -> float:
    """Of all pictures in two runs' outputs."""
    pairs = zip(running.pictures_in(first), running.pictures_in(second), strict=True)
    return max(float((one.float() - other.float()).abs().max()) for one, other in pairs)


def equal(first: Made, second: Made) -> bool:
    """Bit for bit, all outputs."""
    return same(_compared(first.outputs), _compared(second.outputs))


def _compared(value: Any) -> Any:
    """Without what a segment carries that has no content of its own."""
    if hasattr(value, "_asdict"):
        return {k: _compared(v) for k, v in value._asdict().items() if k != "control_net_wrapper"}
    return [_compared(entry) for entry in value] if isinstance(value, list | tuple) else value
