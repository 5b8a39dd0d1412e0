"""Per-segment text: tags, lists, labels, and how prompts are dealt."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from mask_detailer.detailer.prompts.segment_text import MAX_RANDOM_SEED, Prompt, SegmentText
from unit.build import seg


def segments(count: int) -> list[Any]:
    return [seg((10 * i, 0, 10 * i + 10, 10), label=str(i)) for i in range(count)]


def dealt(text: str, count: int, seed: int = 0) -> list[Prompt]:
    return [prompt for _, prompt in SegmentText.parse(text, seed).deal(segments(count))]


def texts(text: str, count: int, seed: int = 0) -> list[str | None]:
    return [prompt.text for prompt in dealt(text, count, seed)]


def labelled(text: str, *labels: Any) -> list[str | None]:
    segs = [seg((0, 0, 10, 10), label=label) for label in labels]
    return [prompt.text for _, prompt in SegmentText.parse(text).deal(segs)]


# ------------------------------------------------------------------------------------------------ leading tags


@pytest.mark.parametrize(
    ("text", "order", "concat", "is_labels", "first"),
    [
        ("", "", False, False, None),
        ("a cat", "", False, False, "a cat"),
        ("[CONCAT]a cat", "", True, False, "a cat"),
        ("[CONCAT]", "", True, False, None),
        ("[ASC]a[SEP]b", "[ASC]", False, False, "a"),
        ("[DSC]a[SEP]b", "[DSC]", False, False, "a"),
        ("[ASC-SIZE]a", "[ASC-SIZE]", False, False, "a"),
        ("[DSC-SIZE]a", "[DSC-SIZE]", False, False, "a"),
        ("[RND]a", "[RND]", False, False, "a"),
        ("[CONCAT][ASC]a[SEP]b", "[ASC]", True, False, "a"),
        ("[CONCAT][LAB][x]a", "", True, True, None),
        ("[LAB][x]a", "", False, True, None),
        # a tag is one only at the very first character, in capitals, and CONCAT comes first
        (" [ASC]a[SEP]b", "", False, False, " [ASC]a[SEP]b"),
        ("\n[ASC]a", "", False, False, "\n[ASC]a"),
        ("[asc]a[SEP]b", "", False, False, "[asc]a[SEP]b"),
        ("[ASC][CONCAT]a", "[ASC]", False, False, "[CONCAT]a"),
        ("[CONCAT] [ASC]a", "", True, False, " [ASC]a"),
        (" [CONCAT]a", "", False, False, " [CONCAT]a"),
        ("a[SEP]b", "", False, False, "a[SEP]b"),
        ("[SEED:5]a", "", False, False, "[SEED:5]a"),
        ("[SEP:5]a", "", False, False, "[SEP:5]a"),
    ],
)
def test_leading_tags(text: str, order: str, concat: bool, is_labels: bool, first: str | None) -> None:
    parsed = SegmentText.parse(text)
    assert (parsed.order, parsed.concat, parsed.labels is not None) == (order, concat, is_labels)
    assert dealt(text, 1)[0].text == first


# ------------------------------------------------------------------------------------------------ lists


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[ASC]a[SEP]b[SEP]c", [("a", None), ("b", None), ("c", None)]),
        ("[ASC]a[SEP:7]b[SEP:0]c", [("a", None), ("b", 7), ("c", 0)]),
        ("[ASC]a[SEP:007]b", [("a", None), ("b", 7)]),
        ("[ASC]a[SEP:word]b[SEP:_1]c", [("a", None), ("b", None), ("c", None)]),
        ("[ASC][SEP:5]a", [(None, None), ("a", 5)]),  # the text starts with a separator: the first is empty
        ("[ASC]a[SEP:-1]b", [("a[SEP:-1]b", None)]),  # no separator
        ("[ASC]a[SEP:]b", [("a[SEP:]b", None)]),
        ("[ASC]a[sep]b", [("a[sep]b", None)]),
        ("[ASC] a [SEP] b ", [(" a ", None), (" b ", None)]),  # not trimmed
        ("[ASC]a[SEP]", [("a", None), (None, None)]),
        ("[ASC]a[SEP]\n \t[SEP]c", [("a", None), (None, None), ("c", None)]),  # nothing but white space is empty
        ("[ASC]", [(None, None)]),
        ("[ASC]a[SEP:r]b", [("a", None), ("b", None)]),  # only a capital R is random
    ],
)
def test_lists(text: str, expected: list[tuple[str | None, int | None]]) -> None:
    assert [(prompt.text, prompt.seed) for prompt in dealt(text, len(expected))] == expected
    assert [(item.text, item.seed) for item in SegmentText.parse(text).items] == expected


@pytest.mark.parametrize(
    ("text", "skip", "stop"),
    [
        ("[SKIP]", True, False),
        (" \n[SKIP]\t", True, False),
        ("[STOP]", False, True),
        (" [STOP] ", False, True),
        ("[SKIP] this", False, False),
        ("[skip]", False, False),
        ("[SKIP][STOP]", False, False),
    ],
)
@pytest.mark.parametrize("tag", ["", "[ASC]", "[RND]", "[CONCAT]", "[CONCAT][DSC]"])
def test_skip_and_stop(text: str, skip: bool, stop: bool, tag: str) -> None:
    (prompt,) = dealt(tag + text, 1)
    assert (prompt.skip, prompt.stop) == (skip, stop)
    assert prompt.text == (None if skip or stop else text)


def test_prompts_start_again_when_used_up() -> None:
    assert texts("[ASC]a[SEP]b[SEP]c", 7) == ["a", "b", "c", "a", "b", "c", "a"]
    assert [prompt.seed for prompt in dealt("[ASC]a[SEP:3]b", 5)] == [None, 3, None, 3, None]
    assert texts("one for all", 3) == ["one for all"] * 3


def test_random_seeds_are_the_same_for_the_same_node_seed() -> None:
    text = "[ASC]a[SEP:R]b[SEP:R]c"
    seeds = [prompt.seed for prompt in dealt(text, 3, 11)]
    assert seeds[0] is None
    assert all(seed is not None and 0 <= seed <= MAX_RANDOM_SEED for seed in seeds[1:])
    assert seeds[1] != seeds[2]
    assert seeds == [prompt.seed for prompt in dealt(text, 3, 11)]
    assert seeds != [prompt.seed for prompt in dealt(text, 3, 12)]
    assert len({dealt(text, 2, seed)[1].seed for seed in range(50)}) == 50
    assert MAX_RANDOM_SEED == 1125899906842624


def test_shuffling() -> None:
    names = list("abcdef")
    text = "[RND]" + "[SEP]".join(names)
    for seed in range(20):
        order = texts(text, 18, seed)
        assert order == texts(text, 18, seed)
        for start in (0, 6, 12):  # each round deals every prompt once
            assert sorted(order[start : start + 6], key=str) == names
    assert len({tuple(texts(text, 6, seed)) for seed in range(20)}) > 15
    assert any(texts(text, 12, seed)[:6] != texts(text, 12, seed)[6:] for seed in range(5))


def test_shuffling_keeps_a_prompts_seed_with_it() -> None:
    pairs = {(prompt.text, prompt.seed) for prompt in dealt("[RND]a[SEP:1]b[SEP:2]c", 30, 4)}
    assert pairs == {("a", None), ("b", 1), ("c", 2)}


def test_order_among_equals_is_that_of_the_list() -> None:
    segs = [seg((5, 5, 15, 15), label=name) for name in "abc"]
    for tag in ("[ASC]", "[DSC]", "[ASC-SIZE]", "[DSC-SIZE]"):
        assert "".join(each.label for each, _ in SegmentText.parse(tag).deal(segs)) == "abc"


def test_left_to_right_goes_by_the_box_then_by_its_top() -> None:
    boxes = {"a": (20, 0, 30, 90), "b": (10, 50, 15, 55), "c": (10, 5, 90, 9)}
    segs = [seg((0, 0, 100, 100), box, label=name) for name, box in boxes.items()]
    order = {
        tag: "".join(each.label for each, _ in SegmentText.parse(tag).deal(segs))
        for tag in ("[ASC]", "[DSC]", "[ASC-SIZE]", "[DSC-SIZE]")
    }
    assert order == {"[ASC]": "cba", "[DSC]": "abc", "[ASC-SIZE]": "bca", "[DSC-SIZE]": "acb"}  # 25, 320 and 900 pixels


def test_the_segments_list_is_left_alone() -> None:
    segs = segments(3)
    kept = list(segs)
    list(SegmentText.parse("[DSC]a").deal(segs))
    assert all(a is b for a, b in itertools.zip_longest(segs, kept))


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[LAB][face] red [hand] blue", ["red", "blue", None]),
        ("[LAB]\n[face] red\n[hand] blue\n", ["red", "blue", None]),
        ("[LAB][ALL]all, [face] red", ["all,red", "all,", "all,"]),  # nothing is put between
        ("[LAB][face]red[ALL]x", ["xred", "x", "x"]),
        ("[LAB][face] one [face] two", ["two", None, None]),  # the last wins
        ("[LAB][face] a red [b|c] nose", ["a red", None, None]),  # text ends at a bracket
        ("[LAB][face] [SKIP]", [None, None, None]),  # an empty entry: the node's own prompt
        ("[LAB][Face] red", [None, None, None]),
        ("[LAB]red", [None, None, None]),
        ("[LAB]", [None, None, None]),
        ("[LAB][face]", [None, None, None]),
        ("[LAB][face] a[SEP:5]b", ["a", None, None]),
    ],
)
def test_labels(text: str, expected: list[str | None]) -> None:
    assert labelled(text, "face", "hand", None) == expected


@pytest.mark.parametrize("name", ["left eye", "v1.5", "a_b", "7"])
def test_names_of_labels(name: str) -> None:
    assert labelled(f"[LAB][{name}] text", name) == ["text"]


def test_a_hyphen_is_no_part_of_a_name() -> None:
    assert labelled("[LAB][hot-dog] text [face] red", "hot-dog", "face") == [None, "red"]


def test_labels_know_no_seeds_no_skip_and_no_stop() -> None:
    segs = [seg((0, 0, 10, 10), label=name) for name in ("face", "hand")]
    prompts = [prompt for _, prompt in SegmentText.parse("[LAB][face] [STOP] [hand] red").deal(segs)]
    assert prompts == [Prompt(None), Prompt("red")]


# ------------------------------------------------------------------------------------------------ odd separators


def test_blank_prompts_are_empty_ones() -> None:
    assert dealt("[ASC]\n[SEP] \t[SEP:5]\u3000[SEP] a ", 4) == [Prompt(), Prompt(), Prompt(None, 5), Prompt(" a ")]
    assert dealt("[CONCAT] \n", 1) == [Prompt()]


def test_numbers_beyond_reading_are_no_seeds() -> None:
    assert dealt(f"[ASC]a[SEP:{'9' * 5000}]b[SEP:{'9' * 30}]c", 3) == [
        Prompt("a"), Prompt("b"), Prompt("c", int("9" * 30)),
    ]  # fmt: skip
