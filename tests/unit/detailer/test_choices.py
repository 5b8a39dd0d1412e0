"""Choices for single segments: what is read, what is refused in words, and which segment is meant."""

from __future__ import annotations

import json

import pytest
from mask_detailer.core import Region
from mask_detailer.detailer.choices import Choice, Choices, ChoicesError, meant


def one(**said: object) -> Choice:
    (choice,) = Choices.parse(json.dumps({"3": said})).all
    return choice


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_nothing_is_chosen(text: str) -> None:
    assert Choices.parse(text).all == ()


def test_all_that_can_be_said() -> None:
    text = '{"3": {"seed": 4711, "denoise": 0.4, "text": "a cat", "candidates": 4, "box": [1, 2, 30, 40]}}'
    assert Choices.parse(text).all == (
        Choice("3", 3, seed=4711, denoise=0.4, text="a cat", candidates=4, box=Region(1, 2, 30, 40)),
    )
    assert Choices.parse('{"2.13": {"keep": true}, "5": {"skip": true}}').all == (
        Choice("2.13", 13, 2, keep=True), Choice("5", 5, skip=True),
    )  # fmt: skip


def test_seeds_may_be_digits() -> None:
    """JavaScript's numbers end before the largest seeds."""
    assert one(seed=str(2**64 - 1)).seed == 2**64 - 1
    assert one(seed="007").seed == 7
    assert one(seed=0).seed == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no JSON object"),
        ("7", "is no JSON object"),
        ("[" * 100_000, "nested too deep"),
        ('{"3": {"seed": ' + "9" * 5000 + "}}", "is no JSON"),
        ('{"0": {}}', "is no segment's number"),
        ('{"-1": {}}', "is no segment's number"),
        ('{"03": {}}', "is no segment's number"),
        ('{"1.0": {}}', "is no segment's number"),
        ('{"1.2.3": {}}', "is no segment's number"),
        ('{"three": {}}', "is no segment's number"),
        ('{" 3": {}}', "is no segment's number"),
        ('{"3": 4711}', "what is chosen for 3 is 4711"),
        ('{"3": {"sede": 1}}', '3 has "sede"'),
        ('{"3": {"seed": -1}}', "the seed of 3 is -1"),
        ('{"3": {"seed": 1.0}}', "the seed of 3 is 1.0"),
        ('{"3": {"seed": true}}', "the seed of 3 is true"),
        ('{"3": {"seed": "0x1"}}', "the seed of 3 is"),
        ('{"3": {"seed": "18446744073709551616"}}', "the seed of 3 is"),
        ('{"3": {"seed": 18446744073709551616}}', "the seed of 3 is"),
        ('{"3": {"denoise": 1.01}}', "the denoise of 3 is 1.01"),
        ('{"3": {"denoise": 0.00001}}', "the denoise of 3 is"),
        ('{"3": {"denoise": NaN}}', "the denoise of 3 is NaN"),
        ('{"3": {"denoise": false}}', "the denoise of 3 is false"),
        ('{"3": {"text": 5}}', "the text of 3 is 5"),
        ('{"3": {"text": null}}', "the text of 3 is null"),
        ('{"3": {"keep": 1}}', "the keep of 3 is 1"),
        ('{"3": {"skip": "yes"}}', "the skip of 3 is"),
        ('{"3": {"candidates": 1}}', "the candidates of 3 is 1"),
        ('{"3": {"candidates": 9}}', "the candidates of 3 is 9"),
        ('{"3": {"box": [0, 0, 4]}}', "the box of 3 is"),
        ('{"3": {"box": [0, 0, 4, 0]}}', "the box of 3 is"),
        ('{"3": {"box": [0, 0, 4.5, 4]}}', "the box of 3 is"),
    ],
)
def test_what_is_refused(text: str, found: str) -> None:
    with pytest.raises(ChoicesError) as raised:
        Choices.parse(text)
    assert found in raised.value.found and raised.value.fix.startswith(("Give", "Count"))


def test_what_is_said_of_one_picture_counts_last() -> None:
    choices = Choices.parse('{"2.3": {"seed": 1}, "3": {"seed": 2}, "1.3": {"seed": 3}}')
    assert [choice.key for choice in choices.for_picture(2)] == ["3", "2.3"]
    assert [choice.key for choice in choices.for_picture(3)] == ["3"]


BOXES = {1: Region(0, 0, 10, 10), 2: Region(20, 0, 30, 10), 3: Region(20, 0, 30, 10)}


@pytest.mark.parametrize(
    ("number", "box", "found"),
    [
        (2, None, 2),
        (4, None, None),
        (3, (0, 0, 10, 10), 1),  # the place counts, not the number
        (3, (20, 0, 30, 10), 3),  # of equal ones the number decides
        (2, (21, 0, 31, 10), 2),
        (1, (6, 0, 16, 10), None),  # a quarter in common
        (1, (5, 0, 15, 10), 1),  # a third
        (1, (50, 50, 60, 60), None),
    ],
)
def test_which_segment_is_meant(number: int, box: tuple[int, int, int, int] | None, found: int | None) -> None:
    assert meant(Choice("x", number, box=None if box is None else Region(*box)), BOXES) == found


def test_none_of_none() -> None:
    assert meant(Choice("1", 1, box=Region(0, 0, 9, 9)), {}) is None
