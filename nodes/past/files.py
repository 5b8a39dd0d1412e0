"""Files of past versions, as the page saves them: brought up to date before it builds their nodes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...detailer import host
from .nodes import OurNodes, Today
from .versions import SUCCESSORS
from .widgets import inputs_of, upgraded, widgets_of

logger = logging.getLogger("mask_detailer")

Path = tuple[str | int, ...]
Change = tuple[Path, object]
"""Where in a file, and what is to stand there."""

GROUP_NODES = ("workflow/", "workflow>")


def upgrades(graph: object) -> dict[str, object]:
    """What is to be changed in a file, and what the page should say.

    Args:
        graph: the file, or as much of it as holds nodes: ``nodes``, ``links``, ``definitions``, ``extra``.

    Returns:
        ``changes``: pairs of a path into the file and what is to stand there; ``nodes``: how many nodes of each type
        are brought up to date; ``successors``: what became of types that aren't there, by type.
    """
    ours = OurNodes()
    changes: list[Change] = []
    touched: Counter[str] = Counter()
    types: set[str] = set()
    for place in _places(graph):
        kind = str(place.node.get("type"))
        types.add(kind)
        try:
            today = ours.get(kind)
            made = _group_node(graph, place, ours) if today is None else _node(today, place)
        except Exception as error:  # whatever the file holds, and what INPUT_TYPES finds on the disk
            logger.debug("Mask Detailer: %s of a file is left as it is (%s)", place.path, error)
            continue
        changes += made
        touched[kind] += bool(made)
    return {"changes": changes, "nodes": dict(+touched), "successors": _successors(types)}


@dataclass(frozen=True)
class _Place:
    """A node in a file.

    Attributes:
        path: where it stands.
        origins: where the file says from which output a link comes, by the link's id.
    """

    path: Path
    node: Mapping[str, object]
    origins: Mapping[object, Path]


def _places(graph: object) -> Iterator[_Place]:
    """All nodes of a file: of its own graph, of its subgraphs and of its group nodes."""
    root = _dict(graph)
    graphs: list[tuple[Path, object]] = [((), root)]
    subgraphs = _list(_dict(root.get("definitions")).get("subgraphs"))
    graphs += [(("definitions", "subgraphs", index), subgraph) for index, subgraph in enumerate(subgraphs)]
    graphs += [(("extra", "groupNodes", name), group) for name, group in _groups(graph).items()]
    for path, within in graphs:
        origins = {} if "groupNodes" in path else _origins(path, _list(_dict(within).get("links")))
        for index, node in enumerate(_list(_dict(within).get("nodes"))):
            if isinstance(node, dict):
                yield _Place((*path, "nodes", index), node, origins)


def _origins(path: Path, links: Sequence[object]) -> dict[object, Path]:
    """A link is a list, or in newer files an object."""
    found: dict[object, Path] = {}
    for index, link in enumerate(links):
        if isinstance(link, list) and len(link) > 2:
            found[link[0]] = (*path, "links", index, 2)
        elif isinstance(link, dict):
            found[link.get("id")] = (*path, "links", index, "origin_slot")
    return found


def _groups(graph: object) -> Mapping[str, object]:
    return _dict(_dict(_dict(graph).get("extra")).get("groupNodes"))


def _node(today: Today, place: _Place) -> list[Change]:
    """What changes of a node of ours."""
    made: list[Change] = []
    widgets, values = widgets_of(today.types), place.node.get("widgets_values")
    if widgets and (values is None or isinstance(values, list)):
        better = upgraded(widgets, today.versions, values or [])
        made += [] if better is None else [((*place.path, "widgets_values"), better)]
    return made + _inputs(today, place) + _outputs(today, place)


def _inputs(today: Today, place: _Place) -> list[Change]:
    """Renamed inputs under today's names, and none that is gone, unless something is connected to it."""
    declared = dict(inputs_of(today.types))
    slots = _list(place.node.get("inputs"))
    names = {_dict(slot).get("name") for slot in slots}
    made: list[object] = []
    for slot in slots:
        old = str(_dict(slot).get("name"))
        new = today.versions.renamed.get(old, old)
        if old in declared or (new not in names and new in declared):
            kind = declared[new][0] if new != old else None
            made.append(slot if kind is None else {**_dict(slot), "name": new, "type": kind})
        elif old not in today.versions.gone or _dict(slot).get("link") is not None:
            made.append(slot)
    return [] if made == slots else [((*place.path, "inputs"), made)]


def _outputs(today: Today, place: _Place) -> list[Change]:
    """Outputs in today's places, and links that come from there; nothing where a connected one is not found."""
    names = [(name.lower(), kind) for name, kind in today.outputs]
    made: list[object] = [{"name": name, "type": kind, "links": None} for name, kind in today.outputs]
    moved: list[Change] = []
    for index, slot in enumerate(map(_dict, _list(place.node.get("outputs")))):
        links, known = _list(slot.get("links")), (str(slot.get("name")).lower(), str(slot.get("type")))
        if known in names:
            now = names.index(known)
            made[now] = {**slot, "name": today.outputs[now][0], "slot_index": now}
            moved += [(place.origins[link], now) for link in links if now != index and link in place.origins]
        elif links:
            return []
    return [((*place.path, "outputs"), made), *moved] if moved else []


def _group_node(graph: object, place: _Place, ours: OurNodes) -> list[Change]:
    """The values of a group node, which are those of its nodes one after another; nothing where they don't add up."""
    name = str(place.node.get("type"))
    if not name.startswith(GROUP_NODES):
        return []
    inner = [_dict(one) for one in _list(_dict(_groups(graph).get(name[len(GROUP_NODES[0]) :])).get("nodes"))]
    values = _list(place.node.get("widgets_values"))
    if sum(len(_list(one.get("widgets_values"))) for one in inner) != len(values):
        return []
    made: list[object] = []
    at = 0
    for one in inner:
        count, today = len(_list(one.get("widgets_values"))), ours.get(one.get("type"))
        own, at = values[at : at + count], at + count
        better = upgraded(widgets_of(today.types), today.versions, own) if today and own else None
        made += own if better is None else better
    return [] if made == values else [((*place.path, "widgets_values"), made)]


def _successors(types: set[str]) -> dict[str, str]:
    there = host.nodes.registered_nodes()
    found = {old: next((new for new in SUCCESSORS[old] if new in there), None) for old in types & SUCCESSORS.keys()}
    return {old: new for old, new in sorted(found.items()) if new is not None and old not in there}


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
