"""The templates in a real page: how much room each node takes, and where its sockets are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support import chromium
from support.client import Client

from templates.graph import Saved
from templates.layout import Measured

READY = """() => window.app?.graph && window.app.canvas && window.app.vueAppReady !== false
    && window.app.extensionManager?.workflow?.activeWorkflow && !document.querySelector("#splash-loader")"""
LOAD = """async workflow => {
    await window.app.loadGraphData(workflow, true, true, null, { openSource: "template" })
}"""
# heights, with what a text scrolls; sockets from the page's own answer
MEASURE = """() => Object.fromEntries(window.app.graph.nodes.map(node => {
    const held = document.querySelector(`[data-node-id="${node.id}"]`)
    const texts = [held, ...(node.widgets ?? []).map(widget => widget.element)].filter(Boolean)
        .flatMap(element => [element, ...element.querySelectorAll("*")])
        .filter(element => /auto|scroll/.test(getComputedStyle(element).overflowY))
    const more = node.type === "MarkdownNote"
        ? Math.max(0, ...texts.map(element => element.scrollHeight - element.clientHeight)) : 0
    const inputs = node.inputs.map((slot, index) => [slot.name, node.getInputPos(index)[1] - node.pos[1]])
    const outputs = node.outputs.map((_, index) => node.getOutputPos(index)[1] - node.pos[1])
    return [node.id, { height: node.size[1] + more, inputs: Object.fromEntries(inputs), outputs }]
}))"""


@contextmanager
def opened(url: str, renderer: str) -> Iterator[Any]:
    """ComfyUI's page in one renderer, "classic" or "vue"."""
    from playwright.sync_api import sync_playwright

    Client(url).request("/settings/Comfy.VueNodes.Enabled", json.dumps(renderer == "vue").encode())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(url)
        page.wait_for_function(READY, timeout=120_000)
        yield page
        browser.close()


def measure(page: Any, workflow: Saved) -> dict[int, Measured]:
    """How much room the nodes take, once the page has laid them out."""
    page.evaluate(LOAD, workflow)
    before: dict[str, Any] = {}
    for _ in range(20):
        page.wait_for_timeout(250)
        found = page.evaluate(MEASURE)
        if found == before:
            break
        before = found
    return {int(node): Measured(**facts) for node, facts in before.items()}
