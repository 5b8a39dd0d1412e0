"""Workflows with subgraphs as the browser queues them: without, the nodes inside under ids such as ``12:5``."""

from __future__ import annotations

import copy
from typing import Any

Workflow = dict[str, Any]
Sources = dict[Any, list[Any]]  # by a link's id: the node's id as a text, and which of its outputs

_ENDS = (-10, -20)  # a subgraph's input and output
_OFF = (2, 4)  # muted, bypassed


def flat(workflow: Workflow, muted: bool = False) -> tuple[list[dict[str, Any]], Sources]:
    """(nodes, where each link comes from). What is inside subgraphs that are off is left out, but for ``muted``.

    A node inside has its widgets' values that are set outside under ``given``.
    """
    definitions = {each["id"]: each for each in workflow.get("definitions", {}).get("subgraphs", [])}
    hosts = {node["id"]: node for node in workflow["nodes"] if node["type"] in definitions}
    if not muted:
        hosts = {name: host for name, host in hosts.items() if host["mode"] not in _OFF}
    leaving = {name: _leaving(name, definitions[host["type"]]) for name, host in hosts.items()}
    sources: Sources = {}
    for link, source, output, *_ in workflow["links"]:
        sources[link] = leaving[source][output] if source in hosts else [str(source), output]
    nodes = [node for node in workflow["nodes"] if node["id"] not in hosts]
    for host in hosts.values():
        nodes += _opened(host, definitions[host["type"]], sources)
    return nodes, sources


def _leaving(host: int, definition: dict[str, Any]) -> dict[int, list[Any]]:
    """Which node inside each of a subgraph's outputs comes from."""
    links = (link for link in definition["links"] if link["target_id"] == _ENDS[1])
    return {link["target_slot"]: [f"{host}:{link['origin_id']}", link["origin_slot"]] for link in links}


def _opened(host: dict[str, Any], definition: dict[str, Any], sources: Sources) -> list[dict[str, Any]]:
    """The nodes inside a subgraph; where their links come from goes into ``sources``."""
    outside = {slot["name"]: slot for slot in host["inputs"]}
    widgets = [slot["name"] for slot in host["inputs"] if "widget" in slot]
    values = dict(zip(widgets, host["widgets_values"], strict=True))
    given: dict[int, Any] = {}
    for link in definition["links"]:
        if link["origin_id"] != _ENDS[0]:
            sources[f"{host['id']}/{link['id']}"] = [f"{host['id']}:{link['origin_id']}", link["origin_slot"]]
            continue
        name = definition["inputs"][link["origin_slot"]]["name"]
        if (outer := outside[name]["link"]) is not None:
            sources[f"{host['id']}/{link['id']}"] = sources[outer]
        elif name in values:
            given[link["id"]] = values[name]
    nodes = copy.deepcopy(definition["nodes"])
    for node in nodes:
        node["given"] = {slot["name"]: given[slot["link"]] for slot in node["inputs"] if slot["link"] in given}
        for slot in node["inputs"]:
            slot["link"] = slot["link"] and f"{host['id']}/{slot['link']}"
        node["id"] = f"{host['id']}:{node['id']}"
    return nodes
