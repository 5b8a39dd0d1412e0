"""ComfyUI's page in a browser: what the tests do with it."""

from __future__ import annotations

import time
from typing import Any

from support.client import Client
from support.server import CHECKOUT

SCREENSHOTS = CHECKOUT / ".env" / "screenshots"
LOAD = "async workflow => { await window.app.loadGraphData(workflow) }"
CONVERT = "async () => (await window.app.graphToPrompt()).output"


def run_prompt(page: Any, client: Client) -> None:
    """Queue what the page shows, as its button does, and wait until it has finished well."""
    with page.expect_response(lambda response: response.url.endswith("/prompt")) as answer:
        page.evaluate("() => window.app.queuePrompt(0, 1)")
    history = finished(client, answer.value.json()["prompt_id"])
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
