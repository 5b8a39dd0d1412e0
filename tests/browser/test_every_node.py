"""Each node of the contract as an old workflow file holds it, its widgets' values by position: none lands elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from support import interface
from support.client import Client
from support.page import CONVERT, LOAD

NODES = interface.nodes()
WIDGETS = ("INT", "FLOAT", "BOOLEAN", "STRING")
SEEDS = ("seed", "noise_seed")  # they take a second place: what becomes of them after a run


def other_value(name: str, kind: str, options: dict[str, Any], served: list[Any]) -> Any:
    """A value that is not the widget's default, and as a rule no other widget's either."""
    default = options.get("default")
    if kind.startswith("COMBO"):
        choices = served[0] if isinstance(served[0], list) else served[1]["options"]
        if not choices:  # of files that aren't here
            return "bbox/face.pth"
        return choices[0] if name.startswith("Select to add") else choices[-1]  # those are saved as their first
    if kind == "BOOLEAN":
        return not default
    if kind == "STRING":
        return f"text of {name}"
    step = options.get("step", 1 if kind == "INT" else 0.5)
    value = default + 3 * step
    return value if value <= options.get("max", value) else default - 3 * step


def as_saved(node: str, place: int, served: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the node in a workflow file, the inputs that it must become in a prompt)."""
    values: list[Any] = []
    wanted: dict[str, Any] = {}
    for group in ("required", "optional"):
        for name, (kind, *options) in NODES[node]["inputs"].get(group, {}).items():
            facts = options[0] if options else {}
            if facts.get("forceInput") or not (kind in WIDGETS or kind.startswith("COMBO")):
                continue
            known = {**served["input"].get("required", {}), **served["input"].get("optional", {})}
            wanted[name] = other_value(name, kind, facts, known[name])
            values.append(wanted[name])
            if name in SEEDS:
                values.append("fixed")
    saved = {
        "id": place, "type": node, "pos": [place % 10 * 420, place // 10 * 700], "size": [400, 600], "flags": {},
        "order": place, "mode": 0, "inputs": [], "outputs": [], "properties": {}, "widgets_values": values,
    }  # fmt: skip
    return saved, wanted


@pytest.fixture(scope="module")
def object_info(server: Any) -> dict[str, Any]:
    return Client(server.url).object_info()


def test_no_widget_is_shifted(page: Any, object_info: dict[str, Any]) -> None:
    assert len(NODES) == 94 + 51 + 29 + 4 + 5 + 11 + 4
    made = {node: as_saved(node, place, object_info[node]) for place, node in enumerate(NODES, start=1)}
    page.evaluate(
        LOAD,
        {
            "last_node_id": len(made), "last_link_id": 0, "nodes": [saved for saved, _ in made.values()], "links": [],
            "groups": [], "config": {}, "extra": {}, "version": 0.4,
        },
    )  # fmt: skip
    prompt = page.evaluate(CONVERT)
    found = {step["class_type"]: step["inputs"] for step in prompt.values()}
    assert found.keys() == NODES.keys()
    wrong = {
        f"{node}.{name}": (found[node].get(name), value)
        for node, (_, wanted) in made.items()
        for name, value in wanted.items()
        if found[node].get(name) != value
    }
    assert not wrong
    assert sum(len(wanted) for _, wanted in made.values()) > 300
