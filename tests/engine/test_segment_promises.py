"""Hooks and the segment memory: ours that do the same each time say so, with others nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.remembering import (
    PARTS,
    afresh,
    detail,
    equal,
    parts_of,
    remembers,  # noqa: F401 - a fixture
)
from engine.running import Recorder
from engine.tiny_models import Pipe
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import Size
from mask_detailer.detailer.hooks.builtin import CombinedHook, PreviewHook
from mask_detailer.detailer.hooks.fixed_size import FixedSizeHook
from mask_detailer.detailer.pipeline.remembered import memory

pytestmark = pytest.mark.usefixtures("remembers")

NAME = "DetailerForEachDebugPipe"
BOXES = PARTS["equal"][:3]
CHOSEN = '{"2": {"seed": 99}}'
BROWSER: dict[str, Any] = {"unique_id": "1"}


def hook(node: str, **widgets: Any) -> Any:
    return NODE_CLASS_MAPPINGS[node]().doit(**widgets)[0]


def ours(pipe: Pipe) -> dict[str, tuple[Any, Any]]:
    """Each of our hooks twice, with one of its values changed."""
    back: dict[str, Any] = dict(
        model=pipe[0], positive=pipe[3], negative=pipe[4], steps=4, start_end_at_step=1, end_end_at_step=3, cfg=1.0,
        sampler_name="euler", scheduler="normal", normalize="disable", schedule_for_cycle="from_start",
    )  # fmt: skip
    noise: dict[str, Any] = dict(
        schedule_for_cycle="from_start", source="CPU", seed=3, start_strength=0.5, end_strength=0.1
    )
    made: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "denoise": ("DenoiseSchedulerDetailerHookProvider", dict(schedule_for_cycle="simple", target_denoise=0.3),
                    dict(target_denoise=0.4)),
        "noise": ("NoiseInjectionDetailerHookProvider", noise, dict(seed=4)),
        "variation": ("VariationNoiseDetailerHookProvider", dict(seed=3, strength=0.2), dict(strength=0.3)),
        "unsampler": ("UnsamplerDetailerHookProvider", back, dict(steps=5)),
        "cfg": ("CfgScheduleHookProvider", dict(schedule_for_iteration="simple", target_cfg=3.0), dict(target_cfg=4.0)),
        "steps": ("StepsScheduleHookProvider", dict(schedule_for_iteration="simple", target_steps=4),
                  dict(target_steps=5)),
    }  # fmt: skip
    hooks = {
        name: (hook(node, **widgets), hook(node, **(widgets | other))) for name, (node, widgets, other) in made.items()
    }
    return hooks | {"fixed size": (FixedSizeHook(Size(64, 64)), FixedSizeHook(Size(64, 96)))}


OURS = ("denoise", "noise", "variation", "unsampler", "fixed size", "cfg", "steps")


@pytest.mark.parametrize("name", OURS)
def test_ours_promise_and_keep_it(unet: Pipe, name: str) -> None:
    first_hook, other_hook = ours(unet)[name]
    segs, widgets = parts_of(BOXES), dict(cycle=2)
    first = detail(NAME, segs, unet, detailer_hook=first_hook, **widgets)
    changed = detail(NAME, segs, unet, detailer_hook=ours(unet)[name][0], choices=CHOSEN, **widgets)
    assert changed.items * len(segs[1]) == first.items
    assert equal(changed, afresh(NAME, segs, unet, detailer_hook=first_hook, choices=CHOSEN, **widgets))
    assert detail(NAME, segs, unet, detailer_hook=other_hook, **widgets).items >= first.items


def test_combined_ones_promise_if_all_do(unet: Pipe) -> None:
    made, segs = ours(unet), parts_of(BOXES)
    both = CombinedHook(made["denoise"][0], made["noise"][0], PreviewHook("1", 90))
    first = detail(NAME, segs, unet, detailer_hook=both, cycle=2)
    assert detail(NAME, segs, unet, detailer_hook=both, cycle=2).items == 0
    swapped = CombinedHook(made["noise"][0], made["denoise"][0])
    assert detail(NAME, segs, unet, detailer_hook=swapped, cycle=2).items == first.items
    with_another = CombinedHook(made["denoise"][0], Recorder())
    for _ in range(2):
        assert detail(NAME, segs, unet, detailer_hook=with_another, cycle=2).items == first.items


def test_another_packs_hook_is_named(unet: Pipe, told: pytest.LogCaptureFixture) -> None:
    segs = parts_of(BOXES)
    for _ in range(2):
        assert detail(NAME, segs, unet, detailer_hook=Recorder()).items == 12
    line = f"{NAME}: the segment memory is off in this run: the detailer hook Recorder doesn't say that it does"
    assert sum(message.startswith(line) for message in told.messages) == 2
    assert len(memory) == 0


class OnlyDetects:
    """A hook for detectors; it has nothing to do with crops."""

    def post_detection(self, segs: Any) -> Any:
        return segs


class Pastes:
    """Changes the whole picture when a crop is pasted, anew each time."""

    def __init__(self) -> None:
        self.pasted = 0

    def post_paste(self, image: torch.Tensor) -> torch.Tensor:
        self.pasted += 1
        return image


def test_hooks_that_see_no_crop_on_its_way_need_no_promise(unet: Pipe) -> None:
    segs, pastes = parts_of(BOXES), Pastes()
    detail(NAME, segs, unet, detailer_hook=pastes)
    assert detail(NAME, segs, unet, detailer_hook=pastes).items == 0 and pastes.pasted == 6
    assert detail(NAME, segs, unet, detailer_hook=OnlyDetects()).items == 0


class Judge:
    """Turns down about every second picture; which, follows from its pixels."""

    def __init__(self, which: int) -> None:
        self.which, self.asked = which, 0

    def should_retry_patch(self, patch: torch.Tensor) -> bool:
        self.asked += 1
        return self.which < 2 and int(float(patch.double().sum()) * 1e3) % 2 == self.which


class PromisingJudge(Judge):
    def fingerprint(self) -> object:
        return self.which


@pytest.mark.parametrize("promises", [True, False])
def test_what_a_judge_let_pass_is_kept_if_it_promises(unet: Pipe, promises: bool) -> None:
    name, segs = "DetailerForEachAutoRetry", parts_of(BOXES)
    judge = PromisingJudge(0) if promises else Judge(0)
    widgets: dict[str, Any] = dict(max_retries=10, detailer_hook=judge)
    first = detail(name, segs, unet, **widgets)
    assert first.items > 12
    again = detail(name, segs, unet, **widgets)
    assert equal(again, first) and again.items == (0 if promises else first.items)
    if promises:
        asked = judge.asked
        detail(name, segs, unet, **widgets)
        assert judge.asked == asked
        assert detail(name, segs, unet, max_retries=10, detailer_hook=PromisingJudge(2)).items == 12
