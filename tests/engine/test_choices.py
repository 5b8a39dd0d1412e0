"""Choices for single segments in runs: what is sampled, what comes out, what the page is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from engine.remembering import (
    CLOSE,
    DETAILERS,
    PARTS,
    SIZE,
    WIDGETS,
    afresh,
    detail,
    equal,
    largest_difference,
    parts_of,
    remembers,  # noqa: F401 - a fixture
)
from engine.running import Recorder, pipe_with
from engine.tiny_models import Pipe, picture, text_encoder
from mask_detailer.detailer.live import Live
from mask_detailer.nodes.plan import MaskDetailerPlan
from mask_detailer.nodes.validate import InputError

NAME = "DetailerForEachDebugPipe"
BOXES = PARTS["equal"][:3]


@pytest.fixture(scope="module")
def pipe(unet: Pipe) -> Pipe:
    return pipe_with(unet, clip=text_encoder())


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What a browser would be told of segments: what, number, and more."""
    told: list[tuple[Any, ...]] = []
    for what in ("done", "reused"):
        monkeypatch.setattr(
            Live, what, lambda self, place, shown, before=None, what=what: told.append((what, place.crop.number))
        )
    monkeypatch.setattr(Live, "kept", lambda self, place: told.append(("kept", place.crop.number)))
    monkeypatch.setattr(Live, "lost", lambda self, keys: told.append(("lost", *keys)))
    monkeypatch.setattr(
        Live,
        "candidates",
        lambda self, place, shown, *_: told.append(
            ("candidates", place.crop.number, [seed for seed, _ in shown], [make() for _, make in shown])
        ),
    )
    return told


@pytest.mark.parametrize("name", DETAILERS)
@pytest.mark.parametrize(
    ("choices", "found"),
    [('{"3": {"seed": -1}}', "the seed of 3 is -1"), ('{"3"', "is no JSON"), ('{"3": {"denoise": 0.0001}}', "levels")],
)
def test_what_is_wrong_is_told_before_anything_is_sampled(unet: Pipe, name: str, choices: str, found: str) -> None:
    calls: list[Any] = []
    with pytest.raises(InputError, match=rf"{name.partition('Pipe')[0]}.*, input 'choices': .*{found}"):
        detail(name, parts_of(BOXES), unet, choices=choices, steps=200, detailer_hook=Recorder())
    assert not calls


def test_a_text_wants_a_clip(unet: Pipe) -> None:
    with pytest.raises(InputError, match=r"its clip is missing.*text"):
        detail(NAME, parts_of(BOXES), pipe_with(unet, clip=None), choices='{"1": {"text": "a hat"}}')
    detail(NAME, parts_of(BOXES), pipe_with(unet, clip=None), choices='{"1": {"text": ""}}')


def test_a_choice_is_as_if_the_widgets_said_it_of_that_segment(pipe: Pipe) -> None:
    """Each alone, by what a run of that segment alone with such widgets gives."""
    size, listed = parts_of(BOXES)
    made = detail(NAME, (size, listed), pipe, choices='{"2": {"seed": 5, "denoise": 0.8, "text": "a {red|blue} hat"}}')
    alone = detail(NAME, (size, listed[1:2]), pipe, seed=5, denoise=0.8, wildcard="a {red|blue} hat")
    others = detail(NAME, (size, listed), pipe, choices='{"2": {"skip": true}}')
    crops = {tuple(seg.crop_region): seg.cropped_image for seg in made.outputs[1][1]}
    wanted = {tuple(seg.crop_region): seg.cropped_image for seg in [*alone.outputs[1][1], *others.outputs[1][1]]}
    assert crops.keys() == wanted.keys()
    assert all(torch.equal(torch.as_tensor(crops[key]), torch.as_tensor(wanted[key])) for key in crops)


def test_an_empty_text_takes_the_nodes_prompt(pipe: Pipe) -> None:
    segs = parts_of(BOXES)
    made = detail(NAME, segs, pipe, wildcard="a hat", choices=json.dumps({str(i): {"text": ""} for i in (1, 2, 3)}))
    assert equal(made, detail(NAME, segs, pipe))


@pytest.mark.parametrize("name", ["DetailerForEachDebugPipe", "SEGSDetailer", "MaskDetailerPipe", "FaceDetailer"])
def test_kept_and_left_out(unet: Pipe, page: list[Any], name: str) -> None:
    segs, image = parts_of(BOXES), picture(*SIZE)
    kept = detail(name, segs, unet, image, choices='{"2": {"keep": true}}')
    assert kept.items == 8 and sorted(page) == [("done", 1), ("done", 3), ("kept", 2)]
    left_out = detail(name, segs, unet, image, choices='{"2": {"skip": true}}')
    assert left_out.items == 8
    if name == "SEGSDetailer":
        assert len(kept.outputs[0][1]) == len(left_out.outputs[0][1]) == 3
        return
    assert torch.equal(kept.image, left_out.image)
    x1, y1, x2, y2 = (int(side) for side in segs[1][1].crop_region)
    assert torch.equal(kept.image[:, y1:y2, x1:x2], image[:, y1:y2, x1:x2])
    if name == NAME:
        assert [len(made.outputs[1][1]) for made in (kept, left_out)] == [3, 2]
        assert [len(made.outputs[2]) for made in (kept, left_out)] == [3, 2]
        assert kept.outputs[1][1][1].cropped_image is None
        assert [len(made.outputs[3]) for made in (kept, left_out)] == [2, 2]


@pytest.mark.usefixtures("remembers")
@pytest.mark.parametrize("name", ["DetailerForEachDebugPipe", "SEGSDetailer", "MaskDetailerPipe"])
def test_candidates_are_made_at_once_and_choosing_costs_nothing(unet: Pipe, page: list[Any], name: str) -> None:
    segs, widgets = parts_of(BOXES), {"crop_batch": 0}
    first = detail(name, segs, unet, **widgets)
    page.clear()
    made = detail(name, segs, unet, choices='{"2": {"candidates": 4, "seed": 50}}', **widgets)
    assert made.items == 4 * 4
    (shown,) = [fact for fact in page if fact[0] == "candidates"]
    assert shown[1:3] == (2, [50, 51, 52, 53])
    others = [fact[:2] for fact in page if fact[0] != "candidates"]
    assert sorted(others, key=lambda fact: fact[1]) == [("reused", 1), ("done", 2), ("reused", 3)]
    for index, seed in enumerate((50, 51, 52, 53)):
        choices = json.dumps({"2": {"seed": str(seed)}})
        chosen = detail(name, segs, unet, choices=choices, **widgets)
        assert chosen.items == 0
        assert largest_difference(chosen.outputs, afresh(name, segs, unet, choices=choices, **widgets).outputs) <= CLOSE
        assert not index or not equal(chosen, made)
        if index == 0:
            assert equal(chosen, made)
        if name == NAME:  # what is shown is what the picture would be
            x1, y1, x2, y2 = (int(side) for side in segs[1][1].crop_region)
            assert torch.equal(shown[3][index], chosen.image[:, y1:y2, x1:x2])
    again = detail(name, segs, unet, choices='{"2": {"candidates": 5, "seed": 50}}', **widgets)
    assert again.items == 4
    assert detail(name, segs, unet, **widgets).items == 0 and first.items == 12


@pytest.mark.parametrize("crop_batch", [0, 2, 1])
def test_candidates_without_a_memory(unet: Pipe, page: list[Any], crop_batch: int) -> None:
    """As many at once as the node says; with a hook that sees crops one by one."""
    segs = parts_of(BOXES)
    made = detail(NAME, segs, unet, choices='{"1": {"candidates": 3}}', crop_batch=crop_batch)
    assert made.items == 5 * 4
    assert largest_difference(made.outputs, detail(NAME, segs, unet, crop_batch=crop_batch).outputs) <= CLOSE
    recorder = Recorder()
    detail(NAME, segs, unet, choices='{"1": {"candidates": 3}}', crop_batch=crop_batch, detailer_hook=recorder)
    assert {len(latent["samples"]) for latent in recorder.all("post_encode")} == {1}
    assert recorder.names.count("post_encode") == 5 and recorder.names.count("post_paste") == 3
    assert [fact[2] for fact in page if fact[0] == "candidates"] == [[7, 8, 9]] * 2


@pytest.mark.usefixtures("remembers")
def test_candidates_of_frames_with_cycles_and_a_refiner(pipe: Pipe, page: list[Any]) -> None:
    frames = torch.cat([picture(*SIZE, seed=1), picture(*SIZE, seed=2)])
    segs = parts_of(BOXES[:2])
    widgets: dict[str, Any] = dict(
        cycle=2, steps=4, refiner_basic_pipe_opt=pipe, refiner_ratio=0.5, wildcard="a {red|blue|green} hat"
    )
    made = detail(NAME, segs, pipe, frames, choices='{"2.1": {"candidates": 3}, "1": {"seed": 3}}', **widgets)
    evaluations = 2 * 4 * 2  # cycles, steps, with and without the prompt
    assert made.items == (4 + 2) * evaluations
    assert [fact[2] for fact in page if fact[0] == "candidates"] == [[7, 8, 9]]
    chosen = detail(NAME, segs, pipe, frames, choices='{"2.1": {"seed": 9}, "1": {"seed": 3}}', **widgets)
    assert chosen.items == 0
    fresh = afresh(NAME, segs, pipe, frames, choices='{"2.1": {"seed": 9}, "1": {"seed": 3}}', **widgets)
    assert largest_difference(chosen.outputs, fresh.outputs) <= CLOSE


@pytest.mark.usefixtures("remembers")
def test_what_finds_no_part_is_told(unet: Pipe, page: list[Any], told: pytest.LogCaptureFixture) -> None:
    segs = parts_of(BOXES)
    first = detail(NAME, segs, unet)
    far = '{"9": {"seed": 1}, "1": {"seed": 2, "box": [0, 60, 10, 70]}, "3.1": {"keep": true}}'
    assert equal(detail(NAME, segs, unet, choices=far), first)
    assert ("lost", "9", "1", "3.1") in page
    assert "no segment is found for the choices 9, 1, 3.1: they change nothing" in told.messages


@pytest.mark.usefixtures("remembers")
def test_a_choice_goes_with_its_part_when_others_come(unet: Pipe, page: list[Any]) -> None:
    size, listed = parts_of(BOXES)
    box = [int(side) for side in listed[1].bbox]
    choices = json.dumps({"2": {"seed": 99, "box": box}})
    detail(NAME, (size, listed), unet, choices=choices)
    later = detail(NAME, (size, [*parts_of(PARTS["equal"][4:5])[1], *listed]), unet, choices=choices)
    page.clear()
    assert later.items == 3 * 4  # the new one, and the two whose seeds count on; the chosen one keeps its own


def test_the_plan_shows_them(unet: Pipe) -> None:
    widgets = {k: v for k, v in WIDGETS.items() if k in ("guide_size", "guide_size_for", "max_size", "seed", "feather")}
    shown = MaskDetailerPlan().doit(
        picture(*SIZE), unet, segs=parts_of(BOXES), sampler_name="euler", force_inpaint=True, crop_factor=2.0,
        drop_size=2, batch_size=1, choices='{"1": {"seed": 4711}, "2": {"keep": true}, "3": {"skip": true}}', **widgets,
    )  # fmt: skip
    rows = json.loads(shown["result"][2])  # type: ignore[index]
    assert [(row["seed"], bool(row["skipped"])) for row in rows] == [(4711, False), (8, True), (9, True)]
