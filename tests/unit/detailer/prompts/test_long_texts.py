"""Texts of twenty thousand characters, as nobody writes but many paste: read in time that grows with their length."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mask_detailer.detailer.prompts.loras import Lora, without_loras
from mask_detailer.detailer.prompts.reader import parts_of
from mask_detailer.detailer.prompts.segment_text import SegmentText
from mask_detailer.detailer.prompts.wildcards import MAX_PATTERNS, expand
from mask_detailer.segs.filters import parse_picks
from support.timing import loops, processor_seconds

LENGTH = 20_000
MOST_SECONDS = 0.2  # of the processor; digits took 4.4, which held the whole server up
MOST_LOOPS = 10  # the same, in support.timing's measure, on a machine that is slower

LISTS = {f"folder{number % 50}/name{number}": ("a", "b") for number in range(500)}
READERS: dict[str, Callable[[str], object]] = {
    "wildcards": lambda text: expand(text, 1, LISTS),
    "LoRAs": without_loras,
    "a LoRA": Lora.parse,
    "segments": lambda text: SegmentText.parse(text, 1),
    "parts": parts_of,
    "picks": parse_picks,
}
REPEATED = [
    *"0123456789{}|_$#*.:-+<>[](),;=/\\ \t\n\ra~!@%^&'\"`?", "\u0663", "\uff11", "\u2028", "\x00", "\ud800", "é",
    "BREAK", "[SEP:", "[SEP]", "[LAB]", "[a]", "[a", "<lora:", ":LBW=", ";A=", "::", "$$", "__", "__a ", " __a",
    "__a__", "__*a*__", "2$$__a", "1#", "1#__", "{1-", "{1$$", "{-", "{1::", "1.", "-1", "#\n", "\n#",
]  # fmt: skip
AROUND = [
    ("", ""), ("{", "}"), ("{1$$", "}"), ("{", "::a}"), ("__", "__"), ("[LAB][a", "]"), ("[ASC][SEP:", "]a"),
    ("<lora:", ">"), ("<lora:a:", ":1>"), ("1", "#__a__"), ("a", "b"),
]  # fmt: skip


@pytest.mark.parametrize("repeated", REPEATED, ids=ascii)
def test_any_character_very_often(repeated: str) -> None:
    inner = repeated * (LENGTH // len(repeated))
    slow = []
    for before, after in AROUND:
        for name, read in READERS.items():
            text = f"{before}{inner}{after}"
            if (
                processor_seconds(lambda read=read, text=text: read(text)) > MOST_SECONDS
                and loops(lambda read=read, text=text: read(text)) > MOST_LOOPS
            ):
                slow.append((name, before, after))
    assert not slow


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"__a{number}__" for number in range(LENGTH // 8)),
        " ".join(f"__*a{number}*__" for number in range(LENGTH // 10)),
        "{" + "|" * LENGTH + "}",
        "{" * (LENGTH // 2) + "}" * (LENGTH // 2),
    ],
    ids=["names", "patterns", "options", "braces"],
)
def test_many_different_ones(text: str) -> None:
    assert loops(lambda: expand(text, 1, LISTS)) < 2 * MOST_LOOPS


@pytest.mark.parametrize("digits", ["9" * LENGTH, "0" * LENGTH + "2", "1" + "0" * 9])
def test_long_numbers_are_read_as_what_they_mean(digits: str) -> None:
    """Python refuses to read more than 4,300 digits; the last nine of them are another number."""
    wanted = "a a" if digits.endswith("2") else "a a a"
    assert expand("{" + digits + "$$a|a|a}", 1, {}) == wanted
    assert len(expand("{-" + digits + "$$a|a|a}", 1, {}).split()) in range(1, 4)
    assert expand("{" + digits + "#__a__}", 1, {"a": ["x"]}) == "x"
    assert expand("{" + digits + "::b|a}", 1, {}) == ("b" if not digits.endswith("2") else expand("{2::b|a}", 1, {}))
    assert SegmentText.parse(f"[ASC]a[SEP:{digits}]b", 1).items[1].seed == (None if len(digits) > 100 else int(digits))
    assert Lora.parse(f"a:{digits}").name == "a"


def test_a_digit_of_another_script_within_a_run() -> None:
    assert expand("{\u06639#__a__}", 1, {"a": ["x"]}) == "x"


def test_patterns_beyond_the_most_stay_as_they_are() -> None:
    text = " ".join(f"__*{number}__" for number in range(MAX_PATTERNS + 1))
    made = expand(text, 1, {f"a/{number}": ["x"] for number in range(MAX_PATTERNS + 1)}).split()
    assert made == ["x"] * MAX_PATTERNS + [f"__*{MAX_PATTERNS}__"]
