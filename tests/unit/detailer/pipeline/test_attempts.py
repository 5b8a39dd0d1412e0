"""Trying again: seeds, order, how many at once, and when it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from mask_detailer.core import Region
from mask_detailer.detailer.host.progress import Progress
from mask_detailer.detailer.options import DetailOptions
from mask_detailer.detailer.pipeline.attempts import Attempts
from mask_detailer.detailer.pipeline.memory import Room
from unit.detailer.pipeline.steps import crop_of, recipe_of
from unit.parts import scenery


def attempts_of(count: int, recipe: Any, room: Room | None = None, **plan: Any) -> Attempts:
    image = scenery(20, 20 * count)
    crops = [crop_of(image, Region(20 * i, 0, 20 * i + 20, 20), recipe, number=i + 1, **plan) for i in range(count)]
    return Attempts(crops, recipe, room or Room(), Progress.hidden())


def tried_in(attempts: Attempts, faults: dict[int, int]) -> list[list[tuple[int, int]]]:
    """Numbers and seeds of each round; crop ``number`` is black ``faults[number]`` times."""
    rounds, left = [], dict(faults)
    for crops, _ in attempts:
        rounds.append([(crop.plan.number, crop.plan.seed) for crop in crops])
        for crop in crops:
            black = left.get(crop.plan.number, 0) > 0
            left[crop.plan.number] = left.get(crop.plan.number, 0) - 1
            attempts.take(replace(crop, fault="flat black") if black else crop)
    return rounds


def test_those_that_come_out_black_are_made_again_with_the_next_seed() -> None:
    attempts = attempts_of(3, recipe_of(DetailOptions(retries=2)))
    assert tried_in(attempts, {2: 1, 3: 9}) == [[(1, 101), (2, 102), (3, 103)], [(2, 103), (3, 104)], [(3, 105)]]
    assert [(crop.plan.number, crop.fault) for crop in attempts.made()] == [(1, None), (2, None), (3, "flat black")]


def test_without_retries_a_black_one_stays() -> None:
    attempts = attempts_of(2, recipe_of())
    assert tried_in(attempts, {1: 1}) == [[(1, 101), (2, 102)]]
    assert attempts.made()[0].fault == "flat black"


def test_a_skipped_crop_is_not_tried() -> None:
    attempts = attempts_of(1, recipe_of(), skipped="large enough", too_large=True)
    assert tried_in(attempts, {}) == []
    assert attempts.made()[0].fault == "large enough"


class Judge:
    """Content with the picture of the n-th attempt."""

    def __init__(self, content_at: int) -> None:
        self.content_at, self.asked = content_at, 0

    def should_retry_patch(self, _: torch.Tensor) -> bool:
        self.asked += 1
        return self.asked < self.content_at


def test_a_hook_has_its_say_on_each_attempt() -> None:
    judge = Judge(3)
    attempts = attempts_of(1, recipe_of(hook=judge, attempts=4))
    assert tried_in(attempts, {}) == [[(1, 101)], [(1, 102)], [(1, 103)]]
    assert judge.asked == 3


def test_black_ones_within_an_attempt_count_by_themselves() -> None:
    attempts = attempts_of(1, recipe_of(DetailOptions(retries=1), hook=Judge(2), attempts=3))
    assert tried_in(attempts, {1: 1}) == [[(1, 101)], [(1, 102)], [(1, 102)]]


def test_a_hook_that_is_never_content_ends_the_run_and_the_error_says_where() -> None:
    attempts = attempts_of(1, recipe_of(hook=Judge(9), attempts=2))
    with pytest.raises(RuntimeError, match=r"Node, segment 1: .* all 2 attempts.*max_retries"):
        tried_in(attempts, {})


def test_no_more_at_once_than_there_is_room() -> None:
    rounds = tried_in(attempts_of(5, recipe_of(), Room(2)), {})
    assert [[number for number, _ in crops] for crops in rounds] == [[1, 2], [3, 4], [5]]


def test_running_out_of_memory_halves_and_keeps_what_is_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mask_detailer.detailer import host

    monkeypatch.setattr(host.devices, "is_out_of_memory", lambda error: isinstance(error, MemoryError))
    freed: list[int] = []
    monkeypatch.setattr(host.devices, "free_memory", lambda: freed.append(1))
    room = Room()
    attempts = attempts_of(6, recipe_of(), room)
    rounds = []
    for crops, _ in attempts:
        rounds.append([crop.plan.number for crop in crops])
        with room.learning(crops):
            if len(rounds) == 1:
                attempts.take(crops[0])
            if len(crops) > 2:
                raise MemoryError("too much")
            for crop in crops:
                attempts.take(crop)
    assert rounds == [[1, 2, 3, 4, 5, 6], [2, 3, 4], [2], [3], [4], [5], [6]]
    assert len(freed) == 2 and len(attempts.made()) == 6
    assert "6 crops at once (too much): going on with 3" in caplog.text


def test_any_other_error_of_several_is_tried_one_by_one_before_it_is_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mask_detailer.detailer import host

    monkeypatch.setattr(host.devices, "is_out_of_memory", lambda error: False)
    room, rounds = Room(), []
    attempts = attempts_of(3, recipe_of(), room)
    for crops, _ in attempts:
        rounds.append([crop.plan.number for crop in crops])
        with room.learning(crops):
            if len(crops) > 1:
                raise TypeError("Boolean value of Tensor")
            attempts.take(crops[0])
    assert rounds == [[1, 2, 3], [1], [2], [3]]
    assert "3 crops at once failed (TypeError: Boolean value of Tensor): going on one by one" in caplog.text


def test_what_fails_for_a_single_crop_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    from mask_detailer.detailer import host

    monkeypatch.setattr(host.devices, "is_out_of_memory", lambda error: isinstance(error, MemoryError))
    for error, count in ((ValueError("x"), 1), (MemoryError("x"), 1)):
        tried, _ = next(iter(attempts_of(count, recipe_of())))
        with pytest.raises(type(error)), Room().learning(tried):
            raise error
