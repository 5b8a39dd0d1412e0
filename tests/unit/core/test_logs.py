"""What comes from outside into the log: on one line, and nothing that a terminal obeys."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import mask_detailer.core
import pytest
from mask_detailer.core import in_short, printable

PACK = Path(mask_detailer.core.__file__).parents[1]
NASTY = "a\nb\r\x1b[31mc\x00\x7f\x9b\u2028\u202e\ud800 d"


def test_what_is_unfit_is_escaped() -> None:
    assert printable(NASTY) == r"a\nb\r\x1b[31mc\x00\x7f\x9b\u2028\u202e\ud800 d"


@pytest.mark.parametrize("text", ["plain", "Grüße, 顔　目 \N{NO-BREAK SPACE}", "👩\u200d🚀", r"C:\new", ""])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


def test_no_line_of_the_log_holds_any(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mask_detailer")
    logger = logging.getLogger("mask_detailer")
    logger.info("%s: %s, %d", NASTY, ValueError(NASTY), 3)
    logger.warning("plain 100%")
    first, second = caplog.messages
    assert first == f"{printable(NASTY)}: {printable(NASTY)}, 3"
    assert second == "plain 100%"
    first.encode("utf-8")


def test_an_error_that_cannot_say_what_it_is_stops_nothing() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    record = logging.LogRecord("mask_detailer", logging.INFO, "", 1, "%s", (MuteError(),), None)
    assert logging.getLogger("mask_detailer").filter(record)


def test_everything_is_logged_through_it() -> None:
    """A logger of another name would not be looked through."""
    for path in PACK.rglob("*.py"):
        if path.relative_to(PACK).parts[0] not in ("core", "segs", "detailer", "nodes"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "getLogger":
                (name,) = node.args
                assert isinstance(name, ast.Name) or ast.literal_eval(name) == "mask_detailer", path


@pytest.mark.parametrize("most", [20, 160, 280])
def test_in_short(most: int) -> None:
    assert in_short("a file\nof two  lines", most) == "a file of two lines"
    assert in_short("", most) == ""
    for long in ("x" * 10**6, "\x1b" * most, "\x00" * 3000):
        made = in_short(f"begin{long}end", most)
        assert len(made) <= most and made.isprintable()
        assert made.startswith("begin") and made.endswith("end")
