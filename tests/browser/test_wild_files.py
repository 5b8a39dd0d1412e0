"""Saved workflows of a folder (``WILD_WORKFLOWS``), opened one by one: each value is one that its widget can have.

By hand: `WILD_WORKFLOWS=folder python dev.py test tests/browser/test_wild_files.py -m by_hand -s`. Where WILD_PROMPTS
names a folder, the prompts that the page makes of them are kept there: `bench wild_runs` runs them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.past.widgets import widgets_of
from support.page import LOAD
from support.server import CHECKOUT

sys.path.append(str(CHECKOUT / "bench"))
from old_files import complaint

logger = logging.getLogger(__name__)

FOLDER = os.environ.get("WILD_WORKFLOWS", "")
PROMPTS = os.environ.get("WILD_PROMPTS", "")
LOOK = """() => {
    const graphs = [window.app.graph, ...window.app.graph.subgraphs.values()];
    const nodes = graphs.flatMap(graph => graph.nodes);
    const widgets = node => (node.widgets ?? []).filter(widget => widget.serialize !== false);
    return nodes.map(node => ({
        id: node.id, type: node.type, values: widgets(node).map(widget => widget.value),
        linked: (node.inputs ?? []).filter(input => input.link != null).map(input => input.name),
    }));
}"""

# types that the page lacks have no class: they are told as the file has them, with what their outputs are
CONVERT = """async () => {
    const { output } = await window.app.graphToPrompt();
    const found = path => path.split(":").reduce((graph, id) => (graph.subgraph ?? graph).getNodeById(id), app.graph);
    for (const [id, step] of Object.entries(output)) {
        const node = found(id);
        step.class_type ??= node.type;
        step.outputs = (node.outputs ?? []).map(slot => slot.type);
    }
    return output;
}"""


def wanted_links(graph: dict[str, Any]) -> dict[Any, set[str]]:
    """The inputs of our nodes that a file has something connected to, by node."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    return {
        number: {slot["name"] for slot in node.get("inputs") or () if slot.get("link") is not None}
        for number, node in nodes.items()
        if node["type"] in NODE_CLASS_MAPPINGS
    }


@pytest.mark.by_hand
@pytest.mark.timeout(7200)
def test_each_opens_right(page: Any, renderer: str) -> None:
    said, count, lost = [], 0, 0
    for file in sorted(Path(FOLDER).glob("*.json")):
        saved = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(saved.get("nodes"), list):
            continue
        logger.info("%s: %s", renderer, file.stem)
        page.evaluate(LOAD, saved)
        if PROMPTS:
            prompt = page.evaluate(CONVERT)
            (Path(PROMPTS) / file.name).write_text(json.dumps(prompt, indent=1), encoding="utf-8")
        links = wanted_links(saved)
        for node in page.evaluate(LOOK):
            if node["type"] not in NODE_CLASS_MAPPINGS:
                continue
            count += 1
            widgets = widgets_of(NODE_CLASS_MAPPINGS[node["type"]].INPUT_TYPES())
            found = [
                complaint(name, widgets[name], value) for name, value in zip(widgets, node["values"], strict=False)
            ]
            if len(node["values"]) != len(widgets):
                found.append(f"{len(node['values'])} values, {len(widgets)} widgets")
            missed = len(links.get(node["id"], set())) - len(node["linked"])
            lost += max(missed, 0)
            said += [f"{file.stem} {node['type']} {node['id']}: {one}" for one in found if one]
            said += [f"{file.stem} {node['type']} {node['id']}: {missed} links lost"] if missed > 0 else []
    print(f"\n{renderer}: {count} nodes of ours, {lost} links lost, {len(said)} complaints", *said, sep="\n")
    assert not said
