"""Of how many saved workflows every node of the Impact Pack's family is served by this pack alone.

    python dev.py bench wild FOLDER

FOLDER holds workflows as the page or the API saves them, ``DATE-anything.json`` or any other name; it may be named by
the environment variable WILD_WORKFLOWS too, and is ``../shared/wild`` else. Whether a node is muted does not matter: a
workflow with a node that nobody serves opens with an error.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tables import print_table

VARIABLE = "WILD_WORKFLOWS"
USUAL = Path(__file__).resolve().parents[2] / "shared" / "wild"
FAMILY = frozenset(json.loads((Path(__file__).parent / "family_ids.json").read_text(encoding="utf-8")))
"""The ids of the family's nodes, those that old releases had too. Nodes that only this pack has are none of them."""

UI, API = "ui", "api"
UNDATED = "no date"


@dataclass(frozen=True)
class Layout:
    """What a saved workflow consists of.

    Attributes:
        quarter: of the date in its name, as ``2024 Q3``, or ``no date``.
        kind: ``ui`` or ``api``.
        types: its nodes' types, those inside subgraphs and group nodes too.
    """

    quarter: str
    kind: str
    types: frozenset[str]

    @property
    def family(self) -> frozenset[str]:
        return self.types & FAMILY


def read(file: Path) -> Layout | None:
    """A workflow's layout; None for a file that holds no workflow."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    for wrapper in ("workflow", "prompt"):
        if isinstance(saved, dict) and isinstance(saved.get(wrapper), dict) and "class_type" not in saved[wrapper]:
            saved = saved[wrapper]
    if not isinstance(saved, dict):
        return None
    kind = UI if isinstance(saved.get("nodes"), list) else API
    types = frozenset(_of_graph(saved) if kind == UI else _texts(saved.values(), "class_type"))
    return Layout(_quarter(file.name), kind, types) if types else None


def _of_graph(graph: Any) -> Iterator[str]:
    """The types in a graph of the page, in its subgraphs' definitions and in its group nodes'."""
    if not isinstance(graph, dict):
        return
    nodes = graph.get("nodes")
    yield from _texts(nodes if isinstance(nodes, list) else (), "type")
    within = [_inside(graph, "definitions", "subgraphs"), _inside(graph, "extra", "groupNodes")]
    for more in within:
        for inner in more.values() if isinstance(more, dict) else more if isinstance(more, list) else ():
            yield from _of_graph(inner)


def _inside(graph: Mapping[str, Any], name: str, inner: str) -> Any:
    found = graph.get(name)
    return found.get(inner) if isinstance(found, dict) else None


def _texts(nodes: Iterable[Any], key: str) -> Iterator[str]:
    values = (node.get(key) for node in nodes if isinstance(node, dict))
    return (value for value in values if isinstance(value, str))


def _quarter(name: str) -> str:
    date = re.match(r"(\d{4})-(0[1-9]|1[0-2])", name)
    return f"{date[1]} Q{(int(date[2]) + 2) // 3}" if date else UNDATED


def served(layouts: Iterable[Layout], ours: Collection[str]) -> list[Layout]:
    """Those of which every family node is one of ours."""
    return [layout for layout in layouts if not layout.family.difference(ours)]


def by_quarter(layouts: Sequence[Layout], ours: Collection[str]) -> list[list[str]]:
    """A row a quarter, and one of all: workflows, how many are served, their share, and of each kind."""
    groups: dict[str, list[Layout]] = defaultdict(list)
    for layout in layouts:
        groups[layout.quarter].append(layout)
    return [_row(quarter, groups[quarter], ours) for quarter in sorted(groups)] + [_row("all", layouts, ours)]


def _row(name: str, layouts: Sequence[Layout], ours: Collection[str]) -> list[str]:
    fit = served(layouts, ours)
    kinds = [
        f"{sum(one.kind == kind for one in fit)} of {sum(one.kind == kind for one in layouts)}" for kind in (UI, API)
    ]
    return [name, str(len(layouts)), str(len(fit)), f"{len(fit) / max(len(layouts), 1):.2f}", *kinds]


def missing(layouts: Iterable[Layout], ours: Collection[str]) -> list[list[str]]:
    """A row for each id that we don't serve: in how many workflows it is, and in how many nothing else is missing."""
    lacking, alone = Counter[str](), Counter[str]()
    for layout in layouts:
        lacks = layout.family.difference(ours)
        lacking.update(lacks)
        alone.update(lacks if len(lacks) == 1 else ())
    return [[name, str(count), str(alone[name])] for name, count in sorted(lacking.items(), key=_most_first)]


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def folder_of(arguments: Sequence[str]) -> Path:
    """The folder that was named, else the environment's, else the usual one."""
    named = next((Path(argument) for argument in arguments if Path(argument).is_dir()), None)
    return named or Path(os.environ.get(VARIABLE) or USUAL)


def run() -> None:
    """Print the tables.

    Raises:
        SystemExit: where there is no such folder, or no workflow in it.
    """
    from mask_detailer.nodes import NODE_CLASS_MAPPINGS

    folder = folder_of(sys.argv[1:])
    found = [(file, read(file)) for file in sorted(folder.glob("*.json"))]
    layouts = [layout for _, layout in found if layout is not None and layout.family]
    if not layouts:
        sys.exit(f"bench wild: no workflow with a node of the family in {folder}. Name a folder, or set {VARIABLE}")
    ours = NODE_CLASS_MAPPINGS.keys()
    left_out = len(found) - len(layouts)
    note = f"; {left_out} files without a node of the family are left out" if left_out else ""
    head = ["quarter", "workflows", "served", "share", UI, API]
    print_table(f"Saved workflows served by this pack alone{note}", head, by_quarter(layouts, ours))
    print_table("Ids still missing", ["id", "workflows", "nothing else is missing in"], missing(layouts, ours))
