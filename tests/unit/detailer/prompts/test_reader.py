"""The parts of a prompt."""

from __future__ import annotations

import pytest
from mask_detailer.detailer.prompts.reader import parts_of


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
