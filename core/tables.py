"""Choices by name: one table each, in the file that owns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Choice = TypeVar("Choice")


def chosen(table: Mapping[str, Choice], name: str, what: str) -> Choice:
    """What a table has under a name.

    Args:
        what: the kind of thing that the names are, for the error: ``blend``.

    Raises:
        ValueError: for a name that is not in the table, with those that are.
    """
    if name not in table:
        raise ValueError(f"'{name}' is no {what}; it must be one of {', '.join(table)}")
    return table[name]
