"""The segment memory in runs: what changed is sampled, all else is as it was, bit for bit, in every detailer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine.remembering import (
    CLOSE,
    DETAILERS,
    PARTS,
    SIZE,
    Made,
    afresh,
    detail,
    equal,
    largest_difference,
    parts_of,
    remembers,  # noqa: F401 - a fixture
)
from engine.running import pipe_with
from engine.tiny_models import Pipe, mask_of, picture, text_encoder, tiny_control_net, unet_pipe
from mask_detailer.core import SEGS, mask_to_segs
from mask_detailer.detailer.control import ControlNetWrapper, with_control_net
from mask_detailer.detailer.pipeline.remembered import memory

pytestmark = pytest.mark.usefixtures("remembers")

SLOW_FACES = pytest.param("FaceDetailer", marks=pytest.mark.by_hand)
TURNED = {
    "seed": '{"3": {"seed": 4711}}',
    "text": '{"3": {"text": "a {red|blue} hat"}}',
    "denoise": '{"3": {"denoise": 0.8}}',
    "keep": '{"3": {"keep": true}}',
}


@pytest.fixture(scope="module")
def pipe(unet: Pipe) -> Pipe:
    return pipe_with(unet, clip=text_encoder())


@pytest.fixture(scope="module")
def refiner() -> Pipe:
    return unet_pipe(5)


def boxes_of(segs: SEGS) -> list[tuple[int, int, int, int]]:
    return [tuple(int(side) for side in seg.crop_region) for seg in segs[1]]


def only_there(first: Made, second: Made, segs: SEGS, number: int) -> bool:
    """Whether the two pictures differ in a segment's crop, and nowhere else."""
    x1, y1, x2, y2 = boxes_of(segs)[number - 1]
    differs = (first.image != second.image).any(dim=-1)[0]
    inside = differs[y1:y2, x1:x2].any()
    differs[y1:y2, x1:x2] = False
    return bool(inside) and not bool(differs.any())


@pytest.mark.parametrize(
    ("parts", "crop_batch"),
    [
        ("equal", 0),
        pytest.param("unequal", 1, marks=pytest.mark.by_hand),
        pytest.param("equal", 1, marks=pytest.mark.by_hand),
        pytest.param("unequal", 0, marks=pytest.mark.by_hand),
    ],
)
@pytest.mark.parametrize("name", DETAILERS)
def test_one_of_eight_costs_an_eighth(pipe: Pipe, name: str, parts: str, crop_batch: int) -> None:
    segs = parts_of(PARTS[parts])
    widgets: dict[str, Any] = dict(crop_batch=crop_batch)
    first = detail(name, segs, pipe, **widgets)
    assert first.items == 8 * 4  # two steps, with and without the prompt
    again = detail(name, segs, pipe, **widgets)
    assert again.items == 0 and equal(again, first)
    for turned, choices in TURNED.items():
        changed = detail(name, segs, pipe, choices=choices, **widgets)
        assert changed.items == (0 if turned == "keep" else 4), turned
        fresh = afresh(name, segs, pipe, choices=choices, **widgets)
        assert fresh.items == changed.items + 7 * 4
        assert largest_difference(changed.outputs, fresh.outputs) <= (0.0 if crop_batch == 1 else CLOSE)
        assert name == "SEGSDetailer" or only_there(first, changed, segs, 3)
    back = detail(name, segs, pipe, **widgets)
    assert back.items == 0 and equal(back, first)


class Inverts:
    """A preprocessor that counts its calls, which is nothing to what it does."""

    def __init__(self) -> None:
        self.calls = 0

    def fingerprint(self) -> object:
        return "inverts"

    def apply(self, image: torch.Tensor, mask: Any = None) -> torch.Tensor:
        self.calls += 1
        return 1 - image


WAYS: dict[str, dict[str, Any]] = {
    "whole crops": {"noise_mask": False},
    "Differential Diffusion": {"noise_mask_feather": 4},
    "three cycles": {"cycle": 3, "sampler_name": "euler_ancestral"},
    "Brownian noise": {"sampler_name": "dpmpp_2m_sde", "scheduler": "karras", "steps": 3},
    "denoise 1": {"denoise": 1.0},
    "the last seeds": {"seed": 2**64 - 3},
    "text": {"wildcard": "[CONCAT]a {red|green} hat BREAK on a head"},
}


@pytest.mark.parametrize("crop_batch", [0, pytest.param(1, marks=pytest.mark.by_hand)])
@pytest.mark.parametrize("way", WAYS)
def test_all_that_widgets_say(pipe: Pipe, way: str, crop_batch: int) -> None:
    segs, widgets = parts_of(), {**WAYS[way], "crop_batch": crop_batch}
    first = detail("DetailerForEachDebugPipe", segs, pipe, **widgets)
    changed = detail("DetailerForEachDebugPipe", segs, pipe, choices=TURNED["seed"], **widgets)
    assert changed.items * 8 == first.items
    fresh = afresh("DetailerForEachDebugPipe", segs, pipe, choices=TURNED["seed"], **widgets)
    assert largest_difference(changed.outputs, fresh.outputs) <= (0.0 if crop_batch == 1 else CLOSE)
    assert only_there(first, changed, segs, 3)


@pytest.mark.parametrize(
    "name",
    [
        "DetailerForEachDebugPipe",
        *(
            pytest.param(name, marks=pytest.mark.by_hand)
            for name in ("SEGSDetailer", "MaskDetailerPipe", "FaceDetailerPipe")
        ),
    ],
)
def test_refiner(pipe: Pipe, refiner: Pipe, name: str) -> None:
    segs = parts_of(PARTS["equal"][:4])
    widgets = {"refiner_basic_pipe_opt": refiner, "steps": 4, "refiner_ratio": 0.5}
    first = detail(name, segs, pipe, **widgets)
    changed = detail(name, segs, pipe, choices=TURNED["seed"], **widgets)
    assert changed.items * 4 == first.items
    assert equal(changed, afresh(name, segs, pipe, choices=TURNED["seed"], **widgets))
    other = detail(name, segs, pipe, **(widgets | {"refiner_basic_pipe_opt": unet_pipe(6)}))
    assert other.items == first.items


@pytest.mark.parametrize("name", ["DetailerForEachDebugPipe", "SEGSDetailer", SLOW_FACES])
def test_control_net(pipe: Pipe, name: str, tmp_path: Path) -> None:
    """Its hints come out too, and nothing is preprocessed for what is there."""
    net, inverts, four = tiny_control_net(tmp_path), Inverts(), PARTS["equal"][:4]
    segs = with_control_net(parts_of(four), ControlNetWrapper(net, 0.8, preprocessor=inverts), None)
    first = detail(name, segs, pipe)
    assert inverts.calls == 4
    changed = detail(name, segs, pipe, choices=TURNED["seed"])
    assert changed.items * 4 == first.items and inverts.calls == 5
    assert equal(changed, afresh(name, segs, pipe, choices=TURNED["seed"]))
    stronger = with_control_net(parts_of(four), ControlNetWrapper(net, 0.7, preprocessor=inverts), None)
    assert detail(name, stronger, pipe).items == first.items
    assert detail(name, parts_of(four), pipe).items == first.items


def test_inpaint_model(pipe: Pipe) -> None:
    inpainting = pipe_with(unet_pipe(3, in_channels=9), clip=pipe[1])
    segs = parts_of(PARTS["equal"][:4])
    first = detail("DetailerForEachDebugPipe", segs, inpainting, inpaint_model=True)
    changed = detail("DetailerForEachDebugPipe", segs, inpainting, inpaint_model=True, choices=TURNED["seed"])
    assert changed.items * 4 == first.items
    assert equal(
        changed,
        afresh("DetailerForEachDebugPipe", segs, inpainting, inpaint_model=True, choices=TURNED["seed"]),
    )


@pytest.mark.parametrize("name", ["DetailerForEachDebugPipe", "MaskDetailerPipe", SLOW_FACES])
def test_frames(pipe: Pipe, name: str) -> None:
    """A frame that changed is sampled, the others are not; nor is what a choice leaves alone."""
    frames = torch.cat([picture(*SIZE, seed=seed) for seed in (1, 2, 3)])
    prompts = [[torch.cat([pipe[3][0][0]] * 3) * torch.tensor([1.0, 0.9, 0.8])[:, None, None], {}]]
    own = pipe_with(pipe, positive=prompts)
    segs = parts_of(PARTS["equal"][:3])
    first = detail(name, segs, own, frames)
    changed = detail(name, segs, own, frames, choices='{"2.3": {"seed": 4711}}')
    assert (first.items, changed.items) == (3 * 3 * 4, 4)
    assert equal(changed, afresh(name, segs, own, frames, choices='{"2.3": {"seed": 4711}}'))
    everywhere = detail(name, segs, own, frames, choices='{"3": {"seed": 4711}}')
    assert everywhere.items == 2 * 4
    frames = frames.clone()
    frames[1] = 1 - frames[1]
    assert detail(name, segs, own, frames).items == 3 * 4


OVERLAPPING = [(20, 20, 40, 40), (44, 20, 64, 40), (100, 20, 120, 40)]


@pytest.mark.parametrize("crop_batch", [0, 1])
def test_a_later_part_whose_surroundings_changed_is_sampled_anew(pipe: Pipe, crop_batch: int) -> None:
    segs = parts_of(OVERLAPPING, factor=3.0)
    order = sorted(segs[1], key=lambda seg: seg.bbox[0])
    segs = segs[0], order
    first = detail("DetailerForEachDebugPipe", segs, pipe, crop_batch=crop_batch)
    for choice, sampled in (('{"1": {"seed": 5}}', 2), ('{"2": {"seed": 5}}', 1), ('{"3": {"seed": 5}}', 1)):
        changed = detail("DetailerForEachDebugPipe", segs, pipe, choices=choice, crop_batch=crop_batch)
        assert changed.items == 4 * sampled
        fresh = afresh("DetailerForEachDebugPipe", segs, pipe, choices=choice, crop_batch=crop_batch)
        assert largest_difference(changed.outputs, fresh.outputs) <= (0.0 if crop_batch == 1 else CLOSE)
    kept = detail("DetailerForEachDebugPipe", segs, pipe, choices='{"1": {"keep": true}}', crop_batch=crop_batch)
    assert kept.items == 4 and not equal(kept, first)


@pytest.mark.parametrize("widget", ["feather"])
def test_what_only_pasting_reads_is_done_anew(pipe: Pipe, widget: str) -> None:
    segs = parts_of()
    first = detail("DetailerForEachDebugPipe", segs, pipe)
    other = detail("DetailerForEachDebugPipe", segs, pipe, **{widget: 1})
    assert other.items == 0 and not equal(first, other)
    assert equal(other, afresh("DetailerForEachDebugPipe", segs, pipe, **{widget: 1}))


def test_outputs_belong_to_who_gets_them(pipe: Pipe) -> None:
    """A node after the detailer that writes into what it is given spoils nothing."""
    segs = parts_of()
    first = detail("DetailerForEachDebugPipe", segs, pipe)
    wanted = afresh("DetailerForEachDebugPipe", segs, pipe)
    for made in (first, detail("DetailerForEachDebugPipe", segs, pipe)):
        for listed in made.outputs[2:5]:
            for crop in listed:
                crop.fill_(0.123)
        for seg in made.outputs[1][1]:
            if seg.cropped_image is not None:
                torch.as_tensor(seg.cropped_image).fill_(0.123)
    again = detail("DetailerForEachDebugPipe", segs, pipe)
    assert again.items == 0 and equal(again, wanted)


def test_nothing_is_kept_or_said_when_it_is_off(pipe: Pipe, told: pytest.LogCaptureFixture) -> None:
    memory.set_bound(0)
    first = detail("DetailerForEachDebugPipe", parts_of(), pipe)
    assert detail("DetailerForEachDebugPipe", parts_of(), pipe).items == first.items
    assert len(memory) == 0 and not any("memory" in line for line in told.messages)


def test_it_is_told_once_a_run(pipe: Pipe, told: pytest.LogCaptureFixture) -> None:
    detail("DetailerForEachDebugPipe", parts_of(), pipe)
    detail("DetailerForEachDebugPipe", parts_of(), pipe, choices=TURNED["seed"])
    said = [line for line in told.messages if "memory" in line or "chosen" in line]
    assert said == [
        "DetailerForEachDebugPipe: 7 of 8 segments are as they were made before (segment memory)",
        "chosen: 3: seed 4711",
    ]


@pytest.mark.parametrize("names", [("MaskDetailerPipe", "DetailerForEach"), ("DetailerForEach", "FaceDetailer")])
def test_one_detailer_has_what_another_made(pipe: Pipe, names: tuple[str, str]) -> None:
    """Of the same crops with the same seeds and settings."""
    segs = parts_of(PARTS["unequal"])
    first = detail(names[0], segs, pipe)
    assert first.items and detail(names[1], segs, pipe).items == 0


def test_it_stays_within_its_bound(pipe: Pipe) -> None:
    memory.bound = 100_000
    most = 0
    for run in range(12):
        detail("DetailerForEach", parts_of(PARTS["equal"][:3]), pipe, steps=1, seed=1000 * run)
        most = max(most, memory.used)
    assert 80_000 < most <= 100_000 and 10 <= len(memory) <= 13


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * 4096


@pytest.mark.by_hand
def test_500_runs(pipe: Pipe) -> None:
    """Neither its own count nor the process grows."""
    image, boxes = picture(288, 544), [tuple(4 * side for side in box) for box in PARTS["equal"][:3]]
    segs = mask_to_segs(mask_of(288, 544, *boxes), False, 2.0, False, 2)
    memory.set_bound(4)
    after_warm = 0
    most = 0
    for run in range(500):
        detail("DetailerForEach", segs, pipe, image, steps=1, seed=1000 * run, crop_batch=0)
        most = max(most, memory.used)
        if run == 60:
            after_warm = resident()
    grown = (resident() - after_warm) / 2**20
    print(f"500 runs: at most {most / 2**20:.2f} of 4 MiB, {len(memory)} segments, process grown by {grown:.1f} MiB")
    assert most <= 4 * 2**20 and grown < 20
