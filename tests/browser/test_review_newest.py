"""The same journeys on ComfyUI's newest page; by default one of them."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest
from support.front_end import newest
from support.server import Server

import browser.test_review as journeys
from browser.conftest import RENDERERS, Opened, open_page, serve


def by_hand(test: FunctionType) -> FunctionType:
    """Its own test: a mark on the function itself would hold where it stands too."""
    copied = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    return pytest.mark.by_hand(copied)


for name, test in vars(journeys).items():
    if name.startswith("test_"):
        globals()[name] = by_hand(test)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("newest"), "--front-end-root", str(newest())) as running:
        yield running


@pytest.fixture(scope="module", params=RENDERERS)
def opened(request: pytest.FixtureRequest, chromium: Any, server: Server) -> Iterator[Opened]:
    with open_page(chromium, server, request.param) as opened:
        yield opened


@pytest.mark.parametrize("opened", ["vue"], indirect=True)
def test_one_journey(page: Any) -> None:
    journeys.test_undo_keeps_the_strip(page)
