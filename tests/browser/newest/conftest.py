"""The same page of a later release, which ComfyUI serves with ``--front-end-root``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import front_end
from support.client import Client
from support.server import Server

from browser.conftest import RENDERERS, Opened, open_page, serve


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        folder = front_end.newest()
    except RuntimeError as error:
        pytest.skip(str(error))
    with serve(tmp_path_factory.mktemp("comfyui"), "--front-end-root", str(folder)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


@pytest.fixture(scope="package", params=RENDERERS)
def opened(request: pytest.FixtureRequest, chromium: Any, server: Server) -> Iterator[Opened]:
    with open_page(chromium, server, request.param) as opened:
        yield opened


@pytest.fixture
def renderer(opened: Opened) -> str:
    return opened.renderer
