"""Saved workflows of years past, as files and as prompts: how many nodes are brought up to date, and what stays wrong.

    python dev.py bench old_files FOLDER

FOLDER is as for `wild`. Held against what INPUT_TYPES say and against ComfyUI's own validation; names of models and
texts that a folder has stand-ins for ("text", "file.ENDING") count as right, and nodes of other packs are stood in for.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

STAND_INS = ("text", "file.")
MOST_OUTPUTS = 64


def is_stand_in(value: object) -> bool:
    """Whether a folder's maker put it in the place of a text or of a file's name."""
    return isinstance(value, str) and (value in STAND_INS or "file." in value)


class AnyKind(str):
    """A type that goes with all others."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(str(self))


class Other:
    """Stands in for a node of another pack: it takes all, and gives what is wanted."""

    RETURN_TYPES = (AnyKind("*"),) * MOST_OUTPUTS
    FUNCTION, CATEGORY = "doit", ""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, object]:
        return {"required": {}}


class AnotherOutput(Other):
    """The same of one that ends a prompt."""

    OUTPUT_NODE = True


def complaint(name: str, declared: tuple[Any, Mapping[str, Any]], value: object) -> str | None:
    """What a widget's value is not; None for one that can be."""
    kind, facts = declared
    if isinstance(kind, list):
        return None if value in kind or is_stand_in(value) or not kind else f"{name} has no {value!r}"
    kinds: dict[str, Any] = {"BOOLEAN": bool, "STRING": str | dict, "INT": int, "FLOAT": int | float}
    if not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
        return f"{name} is no {kind}: {value!r}"
    if kind in ("INT", "FLOAT") and not facts.get("min", value) <= value <= facts.get("max", value):  # type: ignore[operator]
        return f"{name} is out of its range: {value!r}"
    return None


def nodes_of(graph: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a file, those of subgraphs and group nodes too."""
    parts = [graph, *(graph.get("definitions") or {}).get("subgraphs", ())]
    parts += ((graph.get("extra") or {}).get("groupNodes") or {}).values()
    for part in parts:
        yield from part.get("nodes", ())


def wrong(graph: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The nodes of ours in a file, and what is wrong with the values that the page gives their widgets."""
    from mask_detailer.nodes.past.nodes import OurNodes
    from mask_detailer.nodes.past.widgets import default_of, widgets_of

    ours = OurNodes()
    for node in nodes_of(graph):
        today = ours.get(node.get("type"))
        if today is not None:
            widgets = widgets_of(today.types)
            values = list(node.get("widgets_values") or ())[: len(widgets)]
            values += [default_of(widgets[name]) for name in list(widgets)[len(values) :]]
            found = [complaint(name, widgets[name], value) for name, value in zip(widgets, values, strict=True)]
            yield node, [one for one in found if one]


def put(graph: Any, changes: list[Any]) -> None:
    """Change a file as the page does."""
    for (*path, last), value in changes:
        place = graph
        for key in path:
            place = place[key]
        place[last] = value


def registered() -> dict[str, Any]:
    """ComfyUI's table of node classes."""
    return cast("dict[str, Any]", sys.modules["nodes"].NODE_CLASS_MAPPINGS)


def stand_in_for_others(prompt: Mapping[str, Any]) -> None:
    """Register a stand-in for each type that isn't there."""
    nodes = registered()
    linked = {str(value[0]) for node in prompt.values() for value in node["inputs"].values() if isinstance(value, list)}
    for node_id, node in prompt.items():
        if node["class_type"] not in nodes:
            ends = str(node_id) not in linked
            nodes[node["class_type"]] = AnotherOutput if ends else Other


def refusals(prompt: dict[str, Any]) -> list[str]:
    """Why ComfyUI would not run a prompt, stand-ins for names and texts aside."""
    import execution

    nodes = registered()
    before = set(nodes)
    stand_in_for_others(prompt)
    try:
        _, error, _, found = asyncio.run(execution.validate_prompt("bench", prompt, None))
    finally:
        for added in set(nodes) - before:
            del nodes[added]
    reasons = [
        f"{of['class_type']}: {one['message']}: {one['details']}"
        for of in found.values()
        for one in of["errors"]
        if not ("file." in one["details"] or is_stand_in(one["extra_info"].get("received_value")))
    ]
    if error and not found:
        reasons.append(f"{error['message']} {error['details']}")
    return sorted(set(reasons))


def prepare() -> None:
    """ComfyUI's own nodes and ours, registered in this process."""
    import mask_detailer

    comfyui: Any = importlib.import_module("nodes")
    asyncio.run(comfyui.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    comfyui.NODE_CLASS_MAPPINGS.update(mask_detailer.NODE_CLASS_MAPPINGS)


def run() -> None:
    """Print the figures, and what is wrong."""
    from mask_detailer.nodes.past import files, prompts
    from wild import folder_of

    logging.disable(logging.CRITICAL)
    prepare()
    count: Counter[str] = Counter()
    said: list[str] = []
    for file in sorted(folder_of(sys.argv[1:]).glob("*.json")):
        saved = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(saved.get("nodes"), list):
            count["files"] += 1
            before = [bool(found) for _, found in wrong(saved)]
            answer = files.upgrades(copy.deepcopy(saved))
            put(saved, answer["changes"])  # type: ignore[arg-type]
            after = list(wrong(saved))
            count["nodes of ours"] += len(after)
            count["invalid as they are"] += sum(before)
            count["brought up to date"] += sum(answer["nodes"].values())  # type: ignore[attr-defined]
            count["links moved"] += sum("links" in path for path, _ in answer["changes"])  # type: ignore[attr-defined]
            count["invalid after"] += sum(bool(found) for _, found in after)
            said += [f"{file.stem} {node['type']} {node.get('id')}: {', '.join(f)}" for node, f in after if f]
            again = files.upgrades(saved)["changes"]
            said += [f"{file.stem}: changes again: {again}"] if again else []
        else:
            prompt = saved.get("prompt", saved)
            count["prompts"] += 1
            count["valid as they are"] += not refusals(copy.deepcopy(prompt))
            prompts.bring_up_to_date({"prompt": prompt})
            found = refusals(prompt)
            count["valid after"] += not found
            said += [f"{file.stem}: {reason}" for reason in found]
    print("\n".join(said))
    for name, number in count.items():
        print(f"{number:6} {name}")
