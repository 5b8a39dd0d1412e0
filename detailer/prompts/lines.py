"""Texts of several items: one of them picked, tags made into a text for each segment."""

from __future__ import annotations

import re
from collections.abc import Sequence

NEWLINE = "\\n"  # as it is written into a widget


def items(text: str, by_header: bool) -> list[str]:
    """The items of a text.

    Args:
        by_header: an item begins at each line that starts with ``#``, which goes; blanks around items go too. Else each
            line is one, an empty one too.
    """
    if not by_header:
        return text.split("\n")
    found: list[list[str]] = []
    for line in text.split("\n"):
        if line.startswith("#"):
            found.append([line[1:]])
        elif found:
            found[-1].append(line)
        else:
            found = [[line]]
    made = ["\n".join(lines).strip() for lines in found]
    return made[1:] if len(made) > 1 and not made[0] and not text.startswith("#") else made


def as_newlines(text: str) -> str:
    """``\\n`` as two characters becomes a new line."""
    return text.replace(NEWLINE, "\n")


def _tags(text: str) -> list[str]:
    return [tag for tag in (part.strip() for part in text.split(",")) if tag]


def _tidied(text: str) -> str:
    """One blank between words, one comma between tags, none at the beginning."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"( ?,)+", ",", text)
    return text.lstrip(", ").rstrip()


def text_by_label(parts: Sequence[str], around: tuple[str, str], only: str, without: str) -> tuple[str, str]:
    """A text for each segment by its label, and the labels, which are numbers from 1.

    Args:
        parts: the tags of each segment, separated by commas.
        around: what comes before the tags of all, and after them.
        only: tags; where there are some, all others are left out.
        without: tags that are left out.

    Returns:
        ``[LAB]`` and a line ``[1] before, tags, after`` for each, as per-segment text; and ``1, 2, ...``.
    """
    kept, left_out = set(_tags(only)), set(_tags(without))
    lines = ["[LAB]"]
    for number, part in enumerate(parts, start=1):
        tags = [tag for tag in _tags(part) if (not kept or tag in kept) and tag not in left_out]
        lines.append(f"[{number}] {_tidied(' '.join((around[0], ', '.join(tags), around[1])))}")
    return "\n".join(lines), ", ".join(str(number + 1) for number in range(len(parts)))
