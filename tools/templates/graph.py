"""A workflow as the page saves it, built node by node: values by name, defaults and sockets from the server."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Saved = dict[str, Any]  # a piece of a saved workflow

SUBGRAPH_INPUT, SUBGRAPH_OUTPUT = -10, -20  # what the page calls a subgraph's own two ends
NOTE = "MarkdownNote"
COLOURS = {"green": ("#232", "#353"), "red": ("#322", "#533"), "brown": ("#432", "#653")}
BYPASSED, MUTED = 4, 2
_WIDGETS = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "COMFY_DYNAMICCOMBO_V3"}
_SEEDS = {"seed", "noise_seed"}  # each is followed by what becomes of it after a run
_UPLOADS = {"LoadImage", "LoadVideo"}  # have a last widget for the upload's button


@dataclass(frozen=True)
class Output:
    """A node's output, to be handed to another node's input."""

    node: Node
    slot: int
    type: str


@dataclass(frozen=True)
class Link:
    id: int
    source: Output
    target: Node
    slot: int

    def saved(self) -> list[Any]:
        return [self.id, self.source.node.id, self.source.slot, self.target.id, self.slot, self.source.type]


@dataclass(eq=False)
class Node:
    """A node; ``size`` is its width, and its height where that shall be more than what it holds needs."""

    id: int
    type: str
    title: str | None
    size: tuple[int, int]
    colour: str | None
    mode: int
    sockets: list[tuple[str, str]]  # name and type of the inputs that take a connection
    outputs: list[tuple[str, str]]
    values: list[Any]
    widgets: dict[str, str] = field(default_factory=dict)  # the type of each widget, by name
    models: list[dict[str, str]] = field(default_factory=list)
    given: dict[str, Link | int] = field(default_factory=dict)  # what comes in by a wire, or its number in a subgraph
    position: tuple[int, int] = (0, 0)

    def slot(self, name: str) -> int:
        """Which of its inputs that is, once its widgets that have a wire are inputs too."""
        return self.inputs().index(name)

    def inputs(self) -> list[str]:
        """Its inputs' names, those of its widgets that have a wire last."""
        return [name for name, _ in self.sockets] + [widget for widget in self.widgets if widget in self.given]

    def kind(self, name: str) -> str:
        return (dict(self.sockets) | self.widgets)[name]

    def value(self, widget: str) -> Any:
        """The value of one of its widgets."""
        places = [place for name in self.widgets for place in ([name, ""] if name in _SEEDS else [name])]
        return self.values[places.index(widget)]

    def out(self, name: str) -> Output:
        slot = [name for name, _ in self.outputs].index(name)
        return Output(self, slot, self.outputs[slot][1])


@dataclass(frozen=True)
class Subgraph:
    """A subgraph's definition, and its inputs that are widgets with their values."""

    saved: Saved
    widgets: dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A model file: where it is had from, and in which of ComfyUI's folders it belongs."""

    name: str
    url: str
    directory: str

    def saved(self) -> dict[str, str]:
        return {"name": self.name, "url": self.url, "directory": self.directory}


@dataclass(frozen=True)
class Ends:
    """What goes into a subgraph, by the name that its node shows, what comes out, and where its two ends stand."""

    inputs: dict[str, list[tuple[Node, str]]]
    outputs: dict[str, Output]
    left: tuple[int, int] = (0, 0)
    right: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Inner:
    """A wire inside a subgraph."""

    id: int
    origin_id: int
    origin_slot: int
    target_id: int
    target_slot: int
    type: str

    def as_dict(self) -> Saved:
        return dataclasses.asdict(self)


class Graph:
    """Nodes and wires, the nodes numbered from ``first``.

    ``info`` is what the server tells of all nodes; ``models`` are known by their names.
    """

    def __init__(self, info: dict[str, Any], models: Sequence[Model] = (), first: int = 1) -> None:
        self._first = first  # a page gives new numbers to nodes of subgraphs that have others' numbers
        self.nodes: list[Node] = []
        self.links: list[Link] = []
        self.subgraphs: list[Saved] = []
        self._info = info
        self._models = {model.name: model for model in models}

    def note(self, text: str, width: int, title: str = "What to do") -> Node:
        return self._append(Node(0, NOTE, title, (width, 60), "brown", 0, [], [], [text.strip()]))

    def add(
        self, kind: str, size: int | tuple[int, int], title: str | None = None, look: str | int = "", **given: Any
    ) -> Node:
        """A node of that type. ``look`` is a colour's name, or a mode; what is given comes by a wire or as a value."""
        info = self._info[kind]
        inputs = {
            name: spec for group in ("required", "optional") for name, spec in info["input"].get(group, {}).items()
        }
        widgets = {name: spec for name, spec in inputs.items() if _is_widget(spec)}
        sockets = [
            (name, spec[0]) for name, spec in inputs.items() if name not in widgets and spec[0] != "IMAGECOMPARE"
        ]
        values: list[Any] = []
        for name, spec in widgets.items():
            values.append(given[name] if name in given and not isinstance(given[name], Output) else _default(spec))
            if name in _SEEDS:
                values.append(given.get("after", "randomize"))
        if kind in _UPLOADS:
            values.append("image")
        named = [self._models[value].saved() for value in values if isinstance(value, str) and value in self._models]
        node = self._append(
            Node(
                0, kind, title, size if isinstance(size, tuple) else (size, 0), look if isinstance(look, str) else None,
                look if isinstance(look, int) else 0, sockets, [*zip(info["output_name"], info["output"], strict=True)],
                values, {name: _type(spec) for name, spec in widgets.items()}, named,
            )
        )  # fmt: skip
        growing = [name for name in given if isinstance(given[name], Output) and name not in inputs]
        node.sockets += [(name, given[name].type) for name in growing]
        unknown = given.keys() - inputs.keys() - {"after", *growing}
        assert not unknown, f"{kind} has no {unknown}"
        wires = {name: value for name, value in given.items() if isinstance(value, Output)}
        node.given.update(dict.fromkeys(wires, 0))  # all that have a wire, before a place among them is asked for
        for name, value in wires.items():
            self.connect(value, node, name)
        return node

    def put(self, subgraph: Subgraph, size: int, look: int = 0, **given: Output) -> Node:
        """A node that holds a subgraph; its widgets have the values that they have inside."""
        if subgraph.saved not in self.subgraphs:
            self.subgraphs.append(subgraph.saved)
        saved, widgets = subgraph.saved, subgraph.widgets
        inputs, outputs = ([(slot["name"], slot["type"]) for slot in saved[end]] for end in ("inputs", "outputs"))
        sockets = [(name, kind) for name, kind in inputs if name not in widgets]
        node = Node(0, saved["id"], saved["name"], (size, 0), None, look, sockets, outputs, list(widgets.values()))
        node.widgets = {name: kind for name, kind in inputs if name in widgets}
        self._append(node)
        for name, value in given.items():
            self.connect(value, node, name)
        return node

    def connect(self, source: Output, target: Node, name: str) -> None:
        target.given[name] = 0
        link = Link(len(self.links) + 1, source, target, target.slot(name))
        self.links.append(link)
        target.given[name] = link

    def saved(self) -> Saved:
        """The workflow, without its layout's groups and reroutes."""
        saved: Saved = {
            "last_node_id": max(
                [node.id for node in self.nodes] + [node["id"] for inner in self.subgraphs for node in inner["nodes"]]
            ),
            "last_link_id": len(self.links),
            "nodes": [self.node(node) for node in self.nodes],
            "links": [link.saved() for link in self.links],
            "groups": [],
            "config": {},
            "extra": {},
            "version": 0.4,
        }
        return saved | ({"definitions": {"subgraphs": self.subgraphs}} if self.subgraphs else {})

    def node(self, node: Node) -> Saved:
        """One node as it is saved; what a widget gets from a subgraph's input is among its inputs."""
        linked = {name: given.id if isinstance(given, Link) else given for name, given in node.given.items()}
        inputs: list[Saved] = [{"name": name, "type": kind, "link": linked.get(name)} for name, kind in node.sockets]
        inner = "-" in node.type  # a subgraph's: all its widgets are inputs of it
        inputs += [
            {"name": name, "type": kind, "widget": {"name": name}, "link": linked.get(name)}
            for name, kind in node.widgets.items()
            if inner or name in linked
        ]
        outgoing = {(link.source.node.id, link.source.slot): [] for link in self.links}
        for link in self.links:
            outgoing[link.source.node.id, link.source.slot].append(link.id)
        properties: Saved = {} if node.type == NOTE or inner else {"Node name for S&R": node.type}
        saved: Saved = {
            "id": node.id,
            "type": node.type,
            "pos": list(node.position),
            "size": list(node.size),
            "flags": {},
            "order": self.nodes.index(node),
            "mode": node.mode,
            "inputs": inputs,
            "outputs": [
                {"name": name, "type": kind, "links": outgoing.get((node.id, slot), [])}
                for slot, (name, kind) in enumerate(node.outputs)
            ],
            "properties": properties | ({"models": node.models} if node.models else {}),
            "widgets_values": node.values,
        }
        if node.title:
            saved["title"] = node.title
        if node.colour:
            saved["color"], saved["bgcolor"] = COLOURS[node.colour]
        return saved

    def as_subgraph(self, name: str, about: dict[str, Any], ends: Ends) -> Subgraph:
        """All of it as the inside of a subgraph. ``about``: what of the definition the page shows in its menus."""
        number = len(self.links)
        inputs, links, widgets = [], [], {}
        for node, wanted in (target for targets in ends.inputs.values() for target in targets):
            node.given[wanted] = 0  # all that have a wire, before a place among them is asked for
        for slot, (label, targets) in enumerate(ends.inputs.items()):
            ids = []
            for node, wanted in targets:
                number += 1
                ids.append(number)
                node.given[wanted] = number
                links.append(Inner(number, SUBGRAPH_INPUT, slot, node.id, node.slot(wanted), node.kind(wanted)))
            node, wanted = targets[0]
            if wanted in node.widgets:
                widgets[label] = node.value(wanted)
            inputs.append(_end(name, label, node.kind(wanted), ids))
        outputs, leaving = [], {}
        for slot, (label, source) in enumerate(ends.outputs.items()):
            number += 1
            links.append(Inner(number, source.node.id, source.slot, SUBGRAPH_OUTPUT, slot, source.type))
            leaving.setdefault((source.node.id, source.slot), []).append(number)
            outputs.append(_end(name, label, source.type, [number]))
        nodes = [self.node(node) for node in self.nodes]
        for node in nodes:
            for slot, output in enumerate(node["outputs"]):
                output["links"] = output["links"] + leaving.get((node["id"], slot), [])
        saved: Saved = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"mask-detailer/{name}")),
            "version": 1,
            "state": {"lastGroupId": 0, "lastNodeId": self.nodes[-1].id, "lastLinkId": number, "lastRerouteId": 0},
            "revision": 0,
            "config": {},
            "name": name,
            **about,
            "inputNode": {"id": SUBGRAPH_INPUT, "bounding": [*ends.left, 120, 40 + 20 * len(inputs)]},
            "outputNode": {"id": SUBGRAPH_OUTPUT, "bounding": [*ends.right, 120, 40 + 20 * len(outputs)]},
            "inputs": inputs,
            "outputs": outputs,
            "widgets": [],
            "nodes": nodes,
            "groups": [],
            "links": [Inner(*link.saved()).as_dict() for link in self.links] + [link.as_dict() for link in links],
            "extra": {},
        }
        return Subgraph(saved, widgets)

    def _append(self, node: Node) -> Node:
        node.id = self._first + len(self.nodes)
        self.nodes.append(node)
        return node

    def inside(self) -> Graph:
        """An empty graph for a subgraph of this one; its nodes have numbers that no others have."""
        return Graph(self._info, tuple(self._models.values()), self._first + 100 * (1 + len(self.subgraphs)))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)


def _end(graph: str, name: str, kind: str, links: list[int]) -> Saved:
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"mask-detailer/{graph}/{name}")
    return {"id": str(identity), "name": name, "type": kind, "linkIds": links}


def _is_widget(spec: Any) -> bool:
    return isinstance(spec[0], list) or spec[0] in _WIDGETS


def _type(spec: Any) -> str:
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def _default(spec: Any) -> Any:
    facts = spec[1] if len(spec) > 1 else {}
    if "default" in facts:
        return facts["default"]
    choices: list[Any] = spec[0] if isinstance(spec[0], list) else facts.get("options") or [""]
    return choices[0]["key"] if isinstance(choices[0], dict) else choices[0]
