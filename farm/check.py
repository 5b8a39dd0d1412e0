"""Whether a server can run a graph, from what it tells of its nodes: told before anything is sampled."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import cast

from .errors import FarmError
from .graph import IMAGE_INPUT, Graph, Node, links
from .job import Value

Info = Mapping[str, Mapping[str, object]]  # a server's /object_info
NUMBERS = {"INT": (int,), "FLOAT": (int, float)}


def check_kinds(graph: Graph, info: Info) -> None:
    """FarmError where this server lacks a kind of node."""
    for node_id, node in graph.prompt.items():
        kind = node["class_type"]
        if kind not in info:
            near = difflib.get_close_matches(kind, list(info), 1, 0.85)
            hint = f"did you mean {near[0]}?" if near else "install the node pack that has it, or leave the node out"
            raise FarmError(f"node {node_id} of the workflow is a {kind}, which this ComfyUI does not have; {hint}")


def check(graph: Graph, info: Info) -> None:
    """FarmError in one sentence for the first thing that this server can't run; it has all kinds of nodes."""
    for node_id, node in graph.prompt.items():
        _check_links(graph, node_id, node, info)
        for name in node["inputs"]:
            if not (name == IMAGE_INPUT and node_id in (graph.picture, graph.mask)):
                check_value(graph, f"{node_id}.{name}", node["inputs"][name], info, "the workflow")
        _check_complete(node_id, node, info)
    if not info[graph.prompt[graph.output]["class_type"]].get("output_node"):
        kind = graph.prompt[graph.output]["class_type"]
        raise FarmError(f"workflow.output is node {graph.output} ({kind}), which saves nothing; name a SaveImage")


def check_value(graph: Graph, where: str, value: object, info: Info, source: str) -> None:
    """FarmError where the input ``where`` of the graph does not take this value."""
    node_id, _, name = where.rpartition(".")
    kind = graph.prompt[node_id]["class_type"]
    spec = declared(info[kind]).get(name)
    if isinstance(value, list) or spec is None:
        if spec is None and not isinstance(value, list) and source != "the workflow":
            names = [*declared(info[kind])]
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
            raise FarmError(f"{source}: node {node_id} ({kind}) has no input {name!r}; {hint}")
        return
    asked = f"{source}: {name!r} of node {node_id} ({kind})"
    if (known := choices(spec)) is not None:
        if known and value not in known:
            near = difflib.get_close_matches(str(value), [str(one) for one in known], 1)
            hint = f"did you mean {near[0]!r}?" if near else _some(known)
            raise FarmError(f"{asked} is {value!r}, which this ComfyUI does not have; {hint}")
        if not known:
            raise FarmError(f"{asked} is {value!r}, and this ComfyUI has no file for it at all")
        return
    if spec[0] in NUMBERS:
        _check_number(asked, value, spec)
    elif spec[0] == "BOOLEAN" and not isinstance(value, bool):
        raise FarmError(f"{asked} must be true or false, not {value!r}")
    elif spec[0] == "STRING" and not isinstance(value, str):
        raise FarmError(f"{asked} must be text, not {value!r}")


def _check_number(asked: str, value: object, spec: list[object]) -> None:
    options = cast(dict[str, float], spec[1]) if len(spec) > 1 and isinstance(spec[1], dict) else {}
    if isinstance(value, bool) or not isinstance(value, NUMBERS[str(spec[0])]):
        raise FarmError(f"{asked} must be {'a whole number' if spec[0] == 'INT' else 'a number'}, not {value!r}")
    least, most = options.get("min"), options.get("max")
    number = cast(float, value)
    if (least is not None and number < least) or (most is not None and number > most):
        raise FarmError(f"{asked} is {value!r}, but must be from {least} to {most}")


def _check_links(graph: Graph, node_id: str, node: Node, info: Info) -> None:
    for name, source, output in links(node):
        if source not in graph.prompt:
            raise FarmError(f"{name!r} of node {node_id} comes from node {source}, which the workflow does not have")
        kind = graph.prompt[source]["class_type"]
        outputs = cast(list[object], info[kind].get("output", []))
        if output >= len(outputs):
            raise FarmError(
                f"{name!r} of node {node_id} comes from output {output} of node {source} ({kind}), which has "
                f"{len(outputs)}: the workflow is older than that node; export it anew"
            )


def _check_complete(node_id: str, node: Node, info: Info) -> None:
    """Of ComfyUI's own nodes all inputs must be there; packs may bring old prompts up to date themselves."""
    kind = node["class_type"]
    if str(info[kind].get("python_module", "")).startswith("custom_nodes"):
        return
    given = cast(dict[str, dict[str, object]], info[kind].get("input", {})).get("required", {})
    for name in given:
        # inputs that are made as needed come under names that begin with theirs
        if name not in node["inputs"] and not any(one.startswith(f"{name}.") for one in node["inputs"]):
            raise FarmError(
                f"node {node_id} ({kind}) lacks {name!r}, which this ComfyUI asks for: the workflow is older than that "
                "node; open it in ComfyUI and export it anew"
            )


def declared(node: Mapping[str, object]) -> dict[str, list[object]]:
    """A node's inputs, required and optional: type or choices, and options."""
    inputs = cast(dict[str, dict[str, list[object]]], node.get("input", {}))
    return {**inputs.get("required", {}), **inputs.get("optional", {})}


def choices(spec: list[object]) -> list[object] | None:
    """What a list to choose from offers, None for an input of another kind."""
    if isinstance(spec[0], list):
        return spec[0]
    if spec[0] == "COMBO" and len(spec) > 1 and isinstance(spec[1], dict):
        options = spec[1].get("options")
        # a list that a page fetches by itself isn't told here
        return options if isinstance(options, list) and "remote" not in spec[1] else None
    return None


def _some(known: list[object]) -> str:
    shown = ", ".join(str(one) for one in known[:6])
    return (
        f"there {'is' if len(known) == 1 else 'are'} {shown}{f' and {len(known) - 6} more' if len(known) > 6 else ''}"
    )


MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx", ".tflite")


def models_named(values: Mapping[str, object] | Mapping[str, Value]) -> Iterator[str]:
    """The values that name a model's file."""
    for value in values.values():
        if isinstance(value, str) and PurePosixPath(value.replace("\\", "/")).suffix.lower() in MODEL_SUFFIXES:
            yield value
