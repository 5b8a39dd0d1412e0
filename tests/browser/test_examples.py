"""The example workflows in the real front end: nothing is missing, and what is queued is what the server tests run."""

from __future__ import annotations

from typing import Any

import pytest
from support import examples
from support.client import Client
from support.page import CONVERT, LOAD

UNKNOWN = "types => types.filter(type => !(type in window.LiteGraph.registered_node_types))"
VALUES = (
    "() => Object.fromEntries(window.app.graph.serialize().nodes.map(node => [node.id, node.widgets_values ?? []]))"
)
TOO_SMALL = """() => window.app.graph.nodes
    .filter(node => node.size.some((side, axis) => side < node.computeSize()[axis]))
    .map(node => `${node.type} ${node.size} ${node.computeSize()}`)"""
HELP_PICTURES = """async node => {
    const text = await (await fetch(`/extensions/mask_detailer/docs/${node}.md`)).text()
    const names = [...text.matchAll(/!\\[[^\\]]*\\]\\(([^)]+)\\)/g)].map(match => match[1])
    const load = name => new Promise(done => {
        const picture = new Image()
        picture.onload = () => done(picture.naturalWidth)
        picture.onerror = () => done(0)
        picture.src = `/extensions/mask_detailer/docs/${name}`
    })
    return Promise.all(names.map(load))
}"""


@pytest.mark.parametrize("name", examples.NAMES)
def test_loads_and_converts(page: Any, client: Client, name: str) -> None:
    workflow = examples.load(name)
    object_info = client.object_info()
    inside = workflow.get("definitions", {}).get("subgraphs", [])
    types = {node["type"] for nodes in (workflow, *inside) for node in nodes["nodes"]} - {one["id"] for one in inside}
    assert page.evaluate(UNKNOWN, sorted(types)) == []
    page.evaluate(LOAD, workflow)
    made = {node: step["inputs"] for node, step in page.evaluate(CONVERT).items()}
    assert made == {node: step["inputs"] for node, step in examples.as_prompt(workflow, object_info).items()}
    assert page.evaluate(VALUES) == {str(node["id"]): node["widgets_values"] for node in workflow["nodes"]}
    assert page.evaluate(TOO_SMALL) == []


@pytest.mark.parametrize("node", ["MaskDetailerPipe", "MaskDetailerClip"])
def test_help_pictures_load(page: Any, node: str) -> None:
    """A relative address in a help page leads to a picture that the browser can show, moving ones too."""
    widths = page.evaluate(HELP_PICTURES, node)
    assert widths and all(widths)
