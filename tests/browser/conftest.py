"""A real ComfyUI with its own front end, and a headless Chromium that looks at it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import workflow
from support.checkpoint import make_checkpoint
from support.client import Client
from support.page import SCREENSHOTS
from support.server import Server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingNodesWarning": True}
READY = "() => window.app && window.app.graph && window.app.canvas && window.app.vueAppReady !== false"


@pytest.fixture(scope="module")  # while it is open an event loop runs, which other tests don't bear
def chromium() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium here: the browser tests are left out (set CHROMIUM_PATH, or install chromium)")
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfyui")
    make_checkpoint(base / "models" / "checkpoints" / workflow.CHECKPOINT, zero_last_layer=True)
    workflow.write_inputs(base / "input")
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    with Server(base, log=base / "server.log") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


class Complaints(list[str]):
    """What the page's console says of our files, and every exception in them."""

    def listen(self, page: Any) -> None:
        page.on("console", lambda message: self._heard(message.type, message.text, message.location.get("url", "")))
        page.on("pageerror", lambda error: self._heard("error", f"{error}\n{error.stack}", ""))

    def _heard(self, kind: str, text: str, url: str) -> None:
        if kind in ("error", "warning") and "/extensions/mask_detailer" in f"{text} {url}":
            self.append(text)


@pytest.fixture
def page(chromium: Any, server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    """ComfyUI's page with an empty graph. A picture of how it ends is kept; a complaint of our files fails the test."""
    context = chromium.new_context(viewport={"width": 2000, "height": 1250})
    opened = context.new_page()
    complaints = Complaints()
    complaints.listen(opened)
    opened.goto(server.url)
    opened.wait_for_function(READY, timeout=60_000)
    opened.evaluate("() => window.app.graph.clear()")
    yield opened
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=SCREENSHOTS / f"{Path(request.node.name).name.replace('/', '_')}.png")
    context.close()
    assert not complaints
