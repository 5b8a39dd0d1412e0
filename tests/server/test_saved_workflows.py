"""The saved workflows of the family as prompts: each is accepted and finishes."""

from __future__ import annotations

import numpy as np
import pytest
from support import workflow
from support.client import Client
from support.pictures import decode
from support.server import Server


@pytest.fixture(scope="module", autouse=True)
def inputs(server: Server) -> None:
    workflow.write_inputs(server.base / "input")


@pytest.mark.parametrize("name", workflow.saved_workflows())
def test_finishes(client: Client, name: str) -> None:
    _, prompt = workflow.saved(name)
    prompt_id = client.queue(prompt)
    client.finish(prompt_id)
    outputs = client.history(prompt_id)["outputs"]
    saving = next(node for node, step in prompt.items() if step["class_type"] == "SaveImage")
    pictures = [decode(client.view(image)) for image in outputs[saving]["images"]]
    assert pictures and all(np.ptp(picture) > 0 for picture in pictures)
