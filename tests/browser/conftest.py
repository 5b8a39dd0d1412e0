"""A real ComfyUI with its own front end, and a headless Chromium that looks at it.

One server and one browser serve all tests, and one page each renderer: starting them takes longer than most tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support import chromium as chromium_here
from support import workflow
from support.checkpoint import make_checkpoint
from support.client import Client
from support.page import SCREENSHOTS
from support.server import Server

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingNodesWarning": True, "MaskDetailer.Memory": 0}
# its graph is there, and the workflow that it opens by itself won't come over one of ours
READY = """() => window.app?.graph && window.app.canvas && window.app.vueAppReady !== false
    && window.app.extensionManager?.workflow?.activeWorkflow && !document.querySelector("#splash-loader")"""
RENDERERS = {"classic": False, "vue": True}


@pytest.fixture(scope="package")  # while it is open an event loop runs, which other tests don't bear
def chromium() -> Iterator[Any]:
    path = chromium_here.find()
    if path is None:
        pytest.skip("no Chromium here: the browser tests are left out (--browser installs it, CHROMIUM_PATH names one)")
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("comfyui")) as running:
        yield running


@contextmanager
def serve(base: Path, *arguments: str) -> Iterator[Server]:
    """A server with what the tests' workflows need, and more of ComfyUI's arguments."""
    make_checkpoint(base / "models" / "checkpoints" / workflow.CHECKPOINT, zero_last_layer=True)
    workflow.write_inputs(base / "input")
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MASK_DETAILER_MEMORY_MIB", raising=False)  # it would have its way over the page's setting
        running = Server(base, log=base / "server.log", arguments=arguments)
        running.start()
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


@dataclass
class Opened:
    """A page of one renderer, and what its console says of our files: errors, warnings, exceptions."""

    renderer: str
    page: Any
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._heard(message.type, message.text, message.location.get("url")))
        self.page.on("pageerror", lambda error: self._heard("error", f"{error}\n{error.stack}", ""))

    def _heard(self, kind: str, text: str, url: str | None) -> None:
        if kind in ("error", "warning") and "/extensions/mask_detailer" in f"{text} {url}":
            self.complaints.append(text)


@pytest.fixture(scope="package", params=RENDERERS)
def opened(request: pytest.FixtureRequest, chromium: Any, server: Server) -> Iterator[Opened]:
    with open_page(chromium, server, request.param) as opened:
        yield opened


@contextmanager
def open_page(chromium: Any, server: Server, renderer: str) -> Iterator[Opened]:
    """The server's page in one of ``RENDERERS``."""
    Client(server.url).request("/settings/Comfy.VueNodes.Enabled", json.dumps(RENDERERS[renderer]).encode())
    context = chromium.new_context(viewport={"width": 1600, "height": 1000})
    opened = Opened(renderer, context.new_page())
    opened.page.goto(server.url)
    opened.page.wait_for_function(READY, timeout=120_000)
    assert opened.page.evaluate("() => window.LiteGraph.vueNodesMode === true") is RENDERERS[renderer]
    yield opened
    context.close()


@pytest.fixture
def renderer(opened: Opened) -> str:
    return opened.renderer


@pytest.fixture
def page(opened: Opened, request: pytest.FixtureRequest) -> Iterator[Any]:
    """ComfyUI's page with an empty graph. A picture of how it ends is kept; a complaint of our files fails the test."""
    opened.page.evaluate("() => window.app.graph.clear()")
    opened.complaints.clear()
    yield opened.page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    opened.page.screenshot(path=SCREENSHOTS / f"{Path(request.node.name).name.replace('/', '_')}.png")
    assert not opened.complaints
