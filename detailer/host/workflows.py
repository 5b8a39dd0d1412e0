"""The workflow that a browser sends with a prompt, as ``extra_pnginfo`` has it: what is read there of a node.

It is whatever its sender wrote: what isn't as a browser saves it counts as not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

REROUTES = ("Reroute",)
_MOST_BEHIND = 1000


@dataclass(frozen=True)
class _Graph:
    """The workflow or one of its subgraphs."""

    nodes: Mapping[str, Mapping[str, object]]
    links: tuple[tuple[str, int, str], ...]  # from which node, from which of its outputs, to which node


def slot_label(extra: object, node_id: str, name: str) -> str | None:
    """What the user called an input of a node, None where that isn't known.

    Args:
        extra: ``extra_pnginfo``.
        node_id: with the ids of the subgraphs around it before it: ``12:5``.
    """
    _, node = _found(extra, node_id)
    for slot in _list(_get(node, "inputs")):
        if _get(slot, "name") == name:
            label = _get(slot, "label")
            return label if isinstance(label, str) and label else None
    return None


def saved_node(extra: object, node_id: str) -> object:
    """A node as the workflow has it; None where it isn't there. What is written into it goes into saved pictures."""
    return _found(extra, node_id)[1]


def nodes_behind(extra: object, node_id: str, output: int = 0) -> list[tuple[str, int]]:
    """(id, mode) of the nodes that an output leads to, through Reroutes, each once; modes: 0 on, 2 muted, 4 bypassed.

    The ids are written as ``node_id`` is.
    """
    graph, _ = _found(extra, node_id)
    if graph is None:
        return []
    before, _, own = node_id.rpartition(":")
    found: dict[str, int] = {}
    sources, seen = [(own, output)], set[tuple[str, int]]()
    while sources and len(found) < _MOST_BEHIND:
        source = sources.pop()
        if source in seen:
            continue
        seen.add(source)
        for *link, target in graph.links:
            node = graph.nodes.get(target)
            if tuple(link) != source or node is None:
                continue
            if node.get("type") in REROUTES:
                sources.append((target, 0))
            else:
                mode = node.get("mode")
                found[f"{before}:{target}" if before else target] = mode if isinstance(mode, int) else 0
    return list(found.items())


def _found(extra: object, node_id: str) -> tuple[_Graph | None, object]:
    """The node of that id and the graph that it is in."""
    workflow = _get(extra, "workflow")
    inner = {_get(one, "id"): one for one in _list(_get(_get(workflow, "definitions"), "subgraphs")) if _has_id(one)}
    graph, node = _graph(workflow), None
    for part in node_id.split(":"):
        if node is not None:
            kind = _get(node, "type")
            graph = _graph(inner.get(kind) if isinstance(kind, str) else None)
        node = graph.nodes.get(part)
        if node is None:
            return None, None
    return graph, node


def _has_id(one: object) -> bool:
    return isinstance(_get(one, "id"), str)


def _graph(saved: object) -> _Graph:
    nodes = {str(_get(node, "id")): node for node in _list(_get(saved, "nodes")) if isinstance(node, Mapping)}
    return _Graph(nodes, tuple(_links(saved)))


def _links(saved: object) -> Iterator[tuple[str, int, str]]:
    """A workflow writes a link as a list, a subgraph as an object."""
    for link in _list(_get(saved, "links")):
        if isinstance(link, Mapping):
            source, slot, target = (link.get(key) for key in ("origin_id", "origin_slot", "target_id"))
        elif isinstance(link, list) and len(link) > 3:
            _, source, slot, target = link[:4]
        else:
            continue
        if isinstance(slot, int):
            yield str(source), slot, str(target)


def _get(within: object, key: str) -> object:
    return within.get(key) if isinstance(within, Mapping) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
