"""LoRA tags as they are written, and which file a name means."""

from __future__ import annotations

import pytest
from mask_detailer.detailer.host.models import LoraBlocks
from mask_detailer.detailer.prompts.loras import Lora, find_lora, without_loras

ENDINGS = (".safetensors", ".pt")
LISTED = ["sub\\style.safetensors", "style.safetensors", "a_style.safetensors", "deep/sub/style.pt", "x.y.safetensors"]


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
    ("name", "wanted"),
    [
        ("style", "style.safetensors"),  # the whole name before the end of a path
        ("sub/style", "sub\\style.safetensors"),
        ("sub\\style", "sub\\style.safetensors"),
        ("a_style", "a_style.safetensors"),
        ("tyle", "sub\\style.safetensors"),  # any end will do, the first in the list
        ("sub/style.pt", "deep/sub/style.pt"),
        ("style.PT", None),  # a file's name is what it is
        ("x.y", "x.y.safetensors"),
        ("/etc/style", None),
        ("../style", None),
        ("unknown", None),
        ("", None),
        ("/", None),
    ],
)
def test_the_file_that_a_name_means(name: str, wanted: str | None) -> None:
    assert find_lora(name, LISTED, ENDINGS) == wanted


def test_the_end_of_a_path_goes_before_any_end() -> None:
    assert find_lora("style", ["a_style.safetensors", "sub/style.safetensors"], ENDINGS) == "sub/style.safetensors"
