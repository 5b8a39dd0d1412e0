"""The segment memory's store: bounded, the longest unused first, and nobody writes into what it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from mask_detailer.core import Region
from mask_detailer.detailer.pipeline import remembered
from mask_detailer.detailer.pipeline.crop import Crop
from mask_detailer.detailer.pipeline.remembered import BOUND, DEFAULT_BOUND, MIB, Restored, SegmentMemory
from unit.detailer.pipeline.steps import crop_of, recipe_of

REGION = Region(0, 0, 64, 64)


def crop(value: float = 0.5, hints: Any = ()) -> Crop:
    made = crop_of(torch.zeros(1, 64, 64, 3), REGION, recipe_of())
    return replace(made, pixels=torch.full((1, 64, 64, 3), value), hints=hints)


ONE = Restored.of(crop()).bytes


def keys(memory: SegmentMemory) -> list[bytes]:
    return [key for key in (b"a", b"b", b"c", b"d") if memory.get(key) is not None]


def test_the_longest_unused_goes_first() -> None:
    memory = SegmentMemory(3 * ONE)
    for key in (b"a", b"b", b"c"):
        memory.keep(key, Restored.of(crop()))
    memory.begin()
    assert memory.get(b"a") is not None
    memory.keep(b"d", Restored.of(crop()))
    assert memory.used == 3 * ONE == 3 * (64 * 64 * 3 * 4 + 1024)
    assert len(memory) == 3 and memory.get(b"b") is None


def test_a_run_that_makes_too_much_finds_the_first_of_it_again() -> None:
    """If its own first went for its last, a run that is made again in the same order would find nothing at all."""
    memory = SegmentMemory(2 * ONE)
    memory.keep(b"a", Restored.of(crop()))
    for _ in range(2):
        memory.begin()
        kept = [memory.get(key) is not None or memory.keep(key, Restored.of(crop())) for key in (b"b", b"c", b"d")]
        assert kept == [True, True, False] and keys(memory) == [b"b", b"c"]


def test_what_is_kept_again_counts_once() -> None:
    memory = SegmentMemory(3 * ONE)
    for _ in range(5):
        memory.keep(b"a", Restored.of(crop()))
    assert memory.used == ONE and len(memory) == 1


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    memory = SegmentMemory(2 * ONE)
    memory.keep(b"a", Restored.of(crop()))
    memory.keep(b"b", Restored.of(crop(hints=[torch.zeros(1, 256, 256, 3)])))
    assert keys(memory) == [b"a"]


def test_a_lower_bound_takes_effect_at_once() -> None:
    memory = SegmentMemory(64 * MIB)
    for key in (b"a", b"b"):
        memory.keep(key, Restored.of(crop(hints=[torch.zeros(1, 512, 512, 2)])))  # two MiB
    memory.set_bound(3)
    assert keys(memory) == [b"b"] and memory.bound == 3 * MIB
    memory.set_bound(0)
    assert memory.used == 0 == len(memory)
    memory.keep(b"a", Restored.of(crop()))
    assert len(memory) == 0


def test_nobody_writes_into_it() -> None:
    made = crop(0.25, hints=[torch.full((1, 8, 8, 3), 0.75)])
    kept = Restored.of(made)
    made.pixels.fill_(9.0)
    made.hints[0].fill_(9.0)
    for _ in range(2):
        given = kept.put_into(crop(0.0))
        assert float(given.pixels.max()) == 0.25 and float(given.hints[0].max()) == 0.75 and given.is_remembered
        given.pixels.fill_(8.0)
        given.hints[0].fill_(8.0)


def test_what_a_page_is_told() -> None:
    memory = SegmentMemory(5 * MIB)
    assert memory.answer({}) == {"mib": 5, "used": 0, "segments": 0}
    assert memory.answer({"mib": "0"})["mib"] == 0
    assert memory.answer({"mib": "7"})["mib"] == 7
    for nonsense in ("-1", "x", "", "9" * 30, "1.5"):
        assert memory.answer({"mib": nonsense})["mib"] == 7


@pytest.mark.parametrize(
    ("said", "mib"), [("0", 0), ("12", 12), (" 5 ", 5), ("", DEFAULT_BOUND), ("lots", DEFAULT_BOUND)]
)
def test_the_environment_sets_it(said: str, mib: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOUND, said)
    memory = remembered._of_environment()
    assert memory.bound == mib * MIB
    assert memory.is_fixed is said.strip().isdecimal()
    memory.take(7)
    assert memory.answer({"mib": "9"})["mib"] == (mib if memory.is_fixed else 9)


@pytest.mark.parametrize(("saved", "mib"), [(7, 7), (0, 0), (None, 5), ("7", 5), (True, 5), (7.5, 5), (-1, 0)])
def test_the_setting_as_it_was_left(saved: object, mib: int) -> None:
    memory = SegmentMemory(5 * MIB)
    memory.take(saved)
    assert memory.bound == mib * MIB
