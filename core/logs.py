"""What the pack logs: text from outside can't end a line, move the cursor or colour a terminal."""

from __future__ import annotations

import contextlib
import logging
import re

NAME = "mask_detailer"

# control characters, what ends a line, what turns the direction of reading, and halves of characters
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text on one line, with escapes such as ``\\n`` and ``\\x1b`` for what is no letter, digit, sign or blank."""
    return _UNFIT.sub(lambda found: ascii(found[0])[1:-1], text)


def in_short(text: str, most: int = 280) -> str:
    """The text on one printable line of so many signs at most: what is too long lacks its middle.

    For what a file says of itself: a broken or hostile one may say much.
    """
    half = (most - 5) // 2
    first, last = (printable(" ".join(part.split())) for part in (text[:most], text[-most:]))
    return first if len(text) <= most and len(first) <= most else f"{first[:half]} ... {last[-half:]}"


class Printable(logging.Filter):
    """Makes every line printable, whatever labels, prompts, names or errors of other packs it tells of."""

    def filter(self, record: logging.LogRecord) -> bool:
        with contextlib.suppress(Exception):  # of a thing that can't say what it is; logging itself tells of that
            record.msg, record.args = printable(record.getMessage()), None
        return True


_FILTER = Printable()


def make_printable() -> None:
    """Let nothing else into the pack's log; once is enough."""
    logging.getLogger(NAME).addFilter(_FILTER)
