"""Where the nodes of a template stand, and the way of its wires: nothing covers anything, in either renderer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from templates.graph import Graph, Link, Node, Saved

TITLE = 30  # a node's title bar, above its position
BETWEEN = 22  # from a node to the title of the one below
APART = 56  # from one column to the next
LANE, STEP = 18, 10  # from one wire that goes around to the next: beside it, and where they turn
OFF, NEAR = 20, 8  # from a node to where the nearest of them turns, before and behind the nodes between
STEEP = 220  # a wire that climbs further swings out: it is held where it turns
PANEL, PANEL_TITLE = 18, 40  # how far a panel reaches beyond its nodes, and more above them

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass
class Cell:
    """Nodes below one another; ``top`` is how far below the row's upper edge the first of them begins.

    A column's only cell may be taller than its row; all others of a row begin where those of the rows before end.
    """

    column: int
    row: int
    nodes: list[Node]
    top: int = 0


@dataclass
class Template:
    """A workflow with its layout. ``panels``: title, and how many columns stand in it."""

    graph: Graph
    cells: list[Cell]
    panels: list[tuple[str, int]]
    inputs: list[tuple[Node, str]] = field(default_factory=list)  # what the app asks for
    outputs: list[Node] = field(default_factory=list)  # and shows
    room: dict[int, int] = field(default_factory=dict)  # more space before a column, for wires that come from far


@dataclass(frozen=True)
class Measured:
    """A node in one renderer: its height, and how far below its position the middles of its sockets are."""

    height: float
    inputs: dict[str, float]
    outputs: list[float]


Sizes = dict[int, list[Measured]]  # of each node by its id, one for each renderer


def place(template: Template, sizes: Sizes) -> None:
    """Give all nodes their positions, and heights that suit both renderers."""
    for node in template.graph:
        needed = max((measured.height for measured in sizes[node.id]), default=0)
        node.size = (node.size[0], max(node.size[1], math.ceil(needed / 10) * 10))
    columns = sorted({cell.column for cell in template.cells})
    lefts = dict(zip(columns, _lefts(template), strict=True))
    edge = 0
    for row in sorted({cell.row for cell in template.cells}):
        cells = [cell for cell in template.cells if cell.row == row]
        ends = [edge]
        for cell in cells:
            y = edge + cell.top
            for node in cell.nodes:
                node.position = (lefts[cell.column], y)
                y += node.size[1] + BETWEEN + TITLE
            if sum(other.column == cell.column for other in template.cells) > 1:
                ends.append(y)
        edge = max(ends)


def _lefts(template: Template) -> list[int]:
    widths: dict[int, int] = {}
    for cell in template.cells:
        narrow = min(node.size[0] for node in cell.nodes)  # what is wider reaches into the next column
        widths[cell.column] = min(widths.get(cell.column, narrow), narrow)
    return [
        sum(widths[before] + APART + template.room.get(before + 1, 0) for before in widths if before < column)
        for column in sorted(widths)
    ]


def finished(template: Template, sizes: Sizes) -> Saved:
    """The workflow as it is saved: with panels, with wires that go around what stands in their way, and as an app."""
    saved = template.graph.saved()
    reroutes, extensions = _around(template, sizes)
    saved["groups"] = list(_panels(template, min((reroute["pos"][1] for reroute in reroutes), default=0)))
    saved["extra"] = {
        "ds": {"scale": 0.6, "offset": [80, 160]},
        "linearMode": False,
        "linearData": {
            "inputs": [[str(node.id), widget] for node, widget in template.inputs],
            "outputs": [str(node.id) for node in template.outputs],
        },
    }
    if reroutes:
        saved["extra"] |= {"reroutes": reroutes, "linkExtensions": extensions}
    return saved


def _panels(template: Template, highest_lane: float) -> Iterator[Saved]:
    boxes = {node.id: box_of(node) for node in template.graph}
    top = min(*(box[1] for box in boxes.values()), highest_lane) - PANEL - PANEL_TITLE
    bottom = max(box[3] for box in boxes.values()) + PANEL
    first = 0
    for number, (title, count) in enumerate(template.panels, 1):
        inside = [
            boxes[node.id] for cell in template.cells if first <= cell.column < first + count for node in cell.nodes
        ]
        left, right = min(box[0] for box in inside) - PANEL, max(box[2] for box in inside) + PANEL
        bounding = [round(left), round(top), round(right - left), round(bottom - top)]
        yield {"id": number, "title": title, "bounding": bounding, "color": "#3f789e", "font_size": 24, "flags": {}}
        first += count


def box_of(node: Node) -> Box:
    (x, y), (width, height) = node.position, node.size
    return x, y - TITLE, x + width, y + height


# --------------------------------------------------------------------------------------------------------- wires


def spline(start: Point, end: Point, steps: int = 40) -> Iterator[Point]:
    """A wire as both renderers draw it, from an output to an input: it leaves and comes in level."""
    reach = 0.25 * math.dist(start, end)
    (x0, y0), (x3, y3) = start, end
    for step in range(steps + 1):
        t = step / steps
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        yield a * x0 + b * (x0 + reach) + c * (x3 - reach) + d * x3, (a + b) * y0 + (c + d) * y3


def hits(start: Point, end: Point, boxes: Sequence[Box], margin: float = 3.0) -> bool:
    """Whether a wire runs behind one of the boxes, or within ``margin`` of it."""
    return any(
        box[0] - margin < x < box[2] + margin and box[1] - margin < y < box[3] + margin
        for x, y in spline(start, end)
        for box in boxes
    )


def _ends(link: Link, sizes: Sizes, renderer: int) -> tuple[Point, Point]:
    source, target = link.source.node, link.target
    (x0, y0), (x3, y3) = source.position, target.position
    name = target.inputs()[link.slot]
    below = sizes[source.id][renderer].outputs[link.source.slot], sizes[target.id][renderer].inputs[name]
    return (x0 + source.size[0], y0 + below[0]), (x3, y3 + below[1])


def _around(template: Template, sizes: Sizes) -> tuple[list[Saved], list[Saved]]:
    """Reroutes for the wires that would run behind a node: over the nodes between, each output in a lane of its own."""
    column = {node.id: cell.column for cell in template.cells for node in cell.nodes}

    def between(link: Link) -> list[Node]:
        first, last = column[link.source.node.id], column[link.target.id]
        return [node for node in template.graph if first < column[node.id] < last]

    def blocked(link: Link) -> bool:
        others = [box_of(node) for node in template.graph if node not in (link.source.node, link.target)]
        return any(hits(*_ends(link, sizes, renderer), others) for renderer in range(len(sizes[link.target.id])))

    around = [link for link in template.graph.links if between(link) and blocked(link)]
    sources = {(link.source.node.id, link.source.slot): _ends(link, sizes, 0)[0][1] for link in around}
    lanes = sorted(sources, key=lambda key: sources[key])  # upper outputs in upper lanes: no two cross
    top = min(box_of(node)[1] for node in template.graph)
    reroutes: dict[Point, Saved] = {}
    extensions: list[Saved] = []
    for link in around:
        lane = lanes.index((link.source.node.id, link.source.slot))
        y = top - LANE * (len(lanes) - lane)
        before = min(box_of(node)[0] for node in between(link)) - OFF - STEP * (len(lanes) - 1 - lane)
        behind = link.target.position[0] - NEAR * (1 + lane)
        parent = None
        start, end = _ends(link, sizes, 0)
        if start[1] - y > STEEP:
            before = (start[0] + before + OFF) / 2
            spots = [(before, start[1]), (before, y), (behind, y)]
        else:
            spots = [(before, y), (behind, y)]
        if end[1] - y > STEEP:
            spots.append((behind, end[1]))
        for spot in spots:
            known = {"id": len(reroutes) + 1, "pos": list(spot), "linkIds": []}
            reroute = reroutes.setdefault(spot, known | ({"parentId": parent} if parent else {}))
            reroute["linkIds"].append(link.id)
            parent = reroute["id"]
        extensions.append({"id": link.id, "parentId": parent})
    return [*reroutes.values()], extensions
