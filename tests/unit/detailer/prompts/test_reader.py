"""LoRA tags as they are written, and the parts of a prompt."""

from __future__ import annotations

import pytest
from mask_detailer.detailer.host.models import LoraBlocks
from mask_detailer.detailer.prompts.loras import Lora, without_loras
from mask_detailer.detailer.prompts.reader import parts_of


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        ("a", Lora("a", 1.0, 1.0)),
        ("a:0.5", Lora("a", 0.5, 0.5)),
        ("a:0.5:0", Lora("a", 0.5, 0.0)),
        ("a:-1:.25", Lora("a", -1.0, 0.25)),
        ("a:2:3:4", Lora("a", 2.0, 3.0)),
        ("a:x:0.5::y:2", Lora("a", 0.5, 2.0)),
        ("a:1e-1", Lora("a", 1.0, 1.0)),
        ("a:nan:inf:0x1:1_0", Lora("a", 1.0, 1.0)),
        (" sub\\a b : 0.5 ", Lora("sub\\a b", 0.5, 0.5)),
        ("a:", Lora("a")),
        ("", Lora("")),
        ("a:LBW=1,0", Lora("a", 1.0, 1.0, LoraBlocks("1,0"))),
        ("a:0.5:LBW=ALL:1,0;A=2;B=-3", Lora("a", 0.5, 0.5, LoraBlocks("1,0", 2.0, -3.0))),
        ("a:LBW=1,A;a= .5 ; C=2;B=x", Lora("a", 1.0, 1.0, LoraBlocks("1,A", 0.5, 1.0))),
        ("a:LBW=", Lora("a")),
        ("a:lbw=1,0", Lora("a")),
    ],
)
def test_tags(tag: str, wanted: Lora) -> None:
    assert without_loras(f"red <lora:{tag}>, blue") == ("red , blue", (wanted,))


@pytest.mark.parametrize(
    ("text", "rest", "names"),
    [
        ("red", "red", []),
        ("<lora:a><lora:b>", "", ["a", "b"]),
        ("<lora:b:0.1>x<lora:a><lora:b:0.9>", "x", ["b", "a"]),
        ("<LORA:a> <lora:a <hypernet:a:1> lora:a>", "<LORA:a> <lora:a <hypernet:a:1> lora:a>", []),
        ("<lora:a\n> <lora:" + "a" * 50_000, " <lora:" + "a" * 50_000, ["a"]),
    ],
)
def test_where_tags_are(text: str, rest: str, names: list[str]) -> None:
    made, loras = without_loras(text)
    assert made == rest
    assert [lora.name for lora in loras] == names


def test_of_the_same_name_the_first_counts() -> None:
    assert without_loras("<lora:a:0.1><lora:a:0.9>")[1] == (Lora("a", 0.1, 0.1),)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a", ["a"]),
        (" a BREAK\n b ", ["a", "b"]),
        ("BREAKaBREAKBREAK bBREAK", ["a", "b"]),
        ("DAYBREAKING", ["DAY", "ING"]),
        ("break", ["break"]),
        (" BREAK ", [""]),
        ("", [""]),
    ],
)
def test_parts(text: str, wanted: list[str]) -> None:
    assert parts_of(text) == wanted
