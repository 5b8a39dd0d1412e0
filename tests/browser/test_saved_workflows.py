"""Workflows saved with the Impact Pack's nodes, in the real front end: they load, convert, and run."""

from __future__ import annotations

from typing import Any

import pytest
from support import workflow
from support.client import Client
from support.page import CONVERT, LOAD, run_prompt

LATER_INPUTS = {  # inputs that the saved workflows know nothing of
    "choices": "", "tiled_encode": False, "tiled_decode": False, "parts_labels": "",
    "parts_order": "as found", "parts_most": 0, "parts_only": "",
}  # fmt: skip
UNKNOWN = """types => types.filter(type => !(type in window.LiteGraph.registered_node_types))"""


def loaded(page: Any, name: str) -> dict[str, Any]:
    """The prompt that the page makes of a saved workflow."""
    saved, _ = workflow.saved(name)
    assert page.evaluate(UNKNOWN, [node["type"] for node in saved["nodes"]]) == []
    page.evaluate(LOAD, saved)
    return page.evaluate(CONVERT)


@pytest.mark.parametrize("name", workflow.saved_workflows())
def test_loads_converts_and_runs(page: Any, client: Client, name: str) -> None:
    _, wanted = workflow.saved(name)
    made = loaded(page, name)
    assert made.keys() == wanted.keys()
    for node, step in wanted.items():
        inputs = dict(made[node]["inputs"])
        later = {key: inputs.pop(key) for key in LATER_INPUTS if key in inputs and key not in step["inputs"]}
        assert made[node]["class_type"] == step["class_type"]
        assert inputs == step["inputs"], f"node {node}, a {step['class_type']}"
        assert all(value == LATER_INPUTS[key] for key, value in later.items())
    run_prompt(page, client)
