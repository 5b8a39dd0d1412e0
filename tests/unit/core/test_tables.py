"""Choices by name."""

from __future__ import annotations

import pytest
from mask_detailer.core.tables import chosen


def test_a_choice_or_an_error_that_lists_them() -> None:
    table = {"one": 1, "none": None}
    assert chosen(table, "one", "number") == 1 and chosen(table, "none", "number") is None
    with pytest.raises(ValueError, match=r"^'two' is no number; it must be one of one, none$"):
        chosen(table, "two", "number")
