"""What an artist does, on a later page: the review, paint and go on, subgraphs; by default one of them."""

from __future__ import annotations

from typing import Any

import pytest
from support.borrowing import borrowed

from browser import test_review, test_subgraphs, test_touch_up
from browser.test_touch_up import touched as touched

for module in (test_review, test_touch_up, test_subgraphs):
    globals().update(borrowed(module, pytest.mark.by_hand))
del module


@pytest.fixture(autouse=True)
def all_of_the_graph(page: Any) -> Any:
    """A test that failed may have left a subgraph open."""
    yield
    page.evaluate(test_subgraphs.CLOSE)


@pytest.mark.parametrize("opened", ["vue"], indirect=True)
def test_one_journey(page: Any) -> None:
    test_review.test_undo_keeps_the_strip(page)
