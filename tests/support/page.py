"""ComfyUI's page in a browser: what the tests do with it."""

from __future__ import annotations

import time
from typing import Any

from support.client import Client
from support.server import CHECKOUT

SCREENSHOTS = CHECKOUT / ".env" / "screenshots"
LOAD = "async workflow => { await window.app.loadGraphData(workflow) }"
CONVERT = "async () => (await window.app.graphToPrompt()).output"
ADD = """type => {
    const node = window.LiteGraph.createNode(type);
    window.app.graph.add(node);
    return node.id;
}"""
CONNECT = """([from, to, slot]) => {
    const graph = window.app.graph;
    const target = graph.getNodeById(to);
    graph.getNodeById(from).connect(0, target, target.inputs.findIndex(input => input.name === slot));
}"""


def set_widget(page: Any, node: int, name: str, value: Any) -> None:
    page.evaluate(
        """([id, name, value]) => {
            window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).value = value;
        }""",
        [node, name, value],
    )


def look_at(page: Any, node: int) -> None:
    """Move the view so that the node stands at its upper left, unscaled."""
    page.evaluate(
        """id => {
            const { canvas, graph } = window.app;
            const [x, y] = graph.getNodeById(id).pos;
            canvas.ds.scale = 1;
            canvas.ds.offset = [140 - x, 150 - y];
            graph.setDirtyCanvas(true, true);
        }""",
        node,
    )


def queue(page: Any) -> str:
    """Queue what the page shows, as its button does; the prompt's id."""
    with page.expect_response(lambda response: response.url.endswith("/prompt")) as answer:
        page.evaluate("() => window.app.queuePrompt(0, 1)")
    return answer.value.json()["prompt_id"]


def run_prompt(page: Any, client: Client) -> None:
    """Queue what the page shows, and wait until it has finished well."""
    history = finished(client, queue(page))
    assert history["status"]["status_str"] == "success", history["status"]["messages"]


def finished(client: Client, prompt_id: str, timeout: float = 90.0) -> dict[str, Any]:
    """The history of a prompt, once it has one."""
    give_up = time.monotonic() + timeout
    while time.monotonic() < give_up:
        history = client.get(f"/history/{prompt_id}")
        if prompt_id in history:
            return history[prompt_id]
        time.sleep(0.1)
    raise TimeoutError(f"prompt {prompt_id} did not finish in {timeout:.0f} s")
