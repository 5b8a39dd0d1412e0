"""Choices carried out on plans: what changes, what stays, what is told."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from mask_detailer.core import Size
from mask_detailer.detailer.choices import Choices
from mask_detailer.detailer.pipeline.chosen import Chosen
from mask_detailer.detailer.pipeline.plan import NOWHERE, Plan, make_plan
from mask_detailer.detailer.values import SizeOptions
from unit.build import seg, settings

PICTURE = Size(200, 300)
FORCED = SizeOptions(64, True, 1024, True)
BOXES = [(150, 20, 250, 120), (10, 50, 30, 70), (10, 100, 90, 120), (60, 10, 90, 40)]


def plan_of(text: str = "a face") -> Plan:
    return make_plan((tuple(PICTURE), [seg(box) for box in BOXES]), PICTURE, settings(FORCED, text), 100, 8)


def chosen(text: str) -> Chosen:
    return Chosen(Choices.parse(text))


def test_without_choices_nothing_changes() -> None:
    plan = plan_of()
    assert chosen("").carried_out(plan, 1) is plan


def test_one_segment_changes_and_no_other() -> None:
    plan = plan_of()
    made = chosen('{"2": {"seed": 5, "denoise": 0.25, "text": "a hand", "candidates": 3}}').carried_out(plan, 1)
    assert made.crops[1] == replace(plan.crops[1], seed=5, denoise=0.25, text="a hand", candidates=3)
    assert [made.crops[i] for i in (0, 2, 3)] == [plan.crops[i] for i in (0, 2, 3)]


def test_an_empty_text_is_the_nodes_conditioning() -> None:
    assert chosen('{"2": {"text": " "}}').carried_out(plan_of(), 1).crops[1].text is None


def test_kept_is_shown_and_changes_nothing_around_it() -> None:
    made = chosen('{"2": {"keep": true, "seed": 3}, "3": {"keep": false}}').carried_out(plan_of(), 1)
    kept = made.crops[1]
    assert kept.kept and kept.skipped and kept.reach == NOWHERE and kept.seed == 101
    assert [crop.number for crop in made.to_visit] == [1, 2, 3, 4]
    assert [crop.number for crop in made.to_sample] == [1, 3, 4]


def test_left_out_is_nowhere() -> None:
    made = chosen('{"2": {"skip": true, "keep": true}}').carried_out(plan_of(), 1)
    assert [crop.number for crop in made.to_visit] == [1, 3, 4]
    assert [crop.seed for crop in made.crops] == [100, 101, 102, 103]


def test_what_is_skipped_anyway_stays_so() -> None:
    plan = plan_of()
    plan = replace(plan, crops=tuple(replace(crop, skipped="its mask is empty") for crop in plan.crops))
    assert chosen('{"2": {"keep": true}, "1": {"seed": 1}}').carried_out(plan, 1).to_visit == ()


def test_pictures() -> None:
    run, plan = chosen('{"2.1": {"seed": 1}, "1": {"seed": 2}, "3.1": {"seed": 3}, "2.9": {"seed": 4}}'), plan_of()
    assert [run.carried_out(plan, picture).crops[0].seed for picture in (1, 2)] == [2, 1]
    assert run.lost == ["3.1", "2.9"]


def test_by_place_when_segments_moved() -> None:
    run = chosen('{"1": {"seed": 1, "box": [12, 52, 30, 70]}, "2": {"seed": 2, "box": [200, 150, 220, 170]}}')
    assert [crop.seed for crop in run.carried_out(plan_of(), 1).crops] == [100, 1, 102, 103]
    assert run.lost == ["2"]


def test_the_later_of_two_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mask_detailer")
    run = chosen('{"2": {"seed": 1}, "4": {"seed": 2, "box": [10, 50, 30, 70]}, "9": {}}')
    assert [crop.seed for crop in run.carried_out(plan_of(), 1).crops] == [100, 2, 102, 103]
    run.carried_out(plan_of(), 2)
    run.tell()
    assert caplog.messages == [
        "the choices 2 and 4 mean one segment: 4 counts",
        "chosen: 2: seed 1; 4: seed 2",
        "no segment is found for the choices 9: they change nothing",
    ]
