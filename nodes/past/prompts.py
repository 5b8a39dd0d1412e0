"""Prompts of past versions: what came later gets what a version did without it, before ComfyUI looks at them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import cast

from .nodes import OurNodes, Today
from .widgets import as_today, inputs_of

logger = logging.getLogger("mask_detailer")

_Inputs = dict[str, object]


def bring_up_to_date(sent: Mapping[str, object]) -> None:
    """Change what was sent for a prompt in place, and say in the log of which nodes.

    Nodes of other packs stay as they are, and so does every value that says what it said then.
    """
    prompt = sent.get("prompt")
    if not isinstance(prompt, dict):
        return
    ours = OurNodes()
    found: dict[str, Today] = {}
    outputs: dict[str, list[int]] = {}
    said = []
    for node_id, node in prompt.items():
        try:
            today = ours.get(node["class_type"])
            if today is None:
                continue
            inputs = cast(_Inputs, node["inputs"])
            outputs |= {str(node_id): moved} if (moved := _moved_outputs(today, inputs)) else {}
            changed = _upgrade(today, inputs)
            found[str(node_id)] = today
        except Exception as error:  # whatever its sender wrote, and what INPUT_TYPES finds on the disk
            logger.debug("Mask Detailer: node %s of a prompt is left as it is (%s)", node_id, error)
            continue
        if changed or str(node_id) in outputs:
            said.append(f"{node['class_type']} {node_id} ({', '.join(changed or ['outputs'])})")
    if outputs:
        _follow(prompt, outputs)
    for lost in _without_lost(prompt, found):
        logger.warning("Mask Detailer: %s, which there is not, so nothing is connected there", lost)
    if said:
        logger.info("Mask Detailer: a prompt of an older version, brought up to date: %s", "; ".join(said))


def _upgrade(today: Today, inputs: _Inputs) -> list[str]:
    """Change the inputs in place; the names of those that changed."""
    versions, changed = today.versions, []
    declared = dict(inputs_of(today.types))
    for old, name in versions.renamed.items():
        if old in inputs and old not in declared and name not in inputs:
            inputs[name] = inputs.pop(old)
            changed.append(name)
    for old in versions.gone:
        if old not in declared and isinstance(inputs.get(old), list):
            del inputs[old]
            changed.append(old)
    for name in today.types.get("required", {}):
        if name not in inputs and name in versions.without:
            inputs[name] = versions.without[name]
            changed.append(name)
    for name, value in inputs.items():
        if name in declared and not isinstance(value, list):
            read = as_today(name, declared[name], versions, value)
            if read is not value:
                inputs[name] = read
                changed.append(name)
    return changed


def _moved_outputs(today: Today, inputs: Mapping[str, object]) -> list[int]:
    """Today's places of a past version's outputs; empty where the prompt is of today's."""
    names = [name for name, _ in today.outputs]
    for past in today.versions.outputs:
        if past.lacking.isdisjoint(inputs):
            return [names.index(name) for name in past.names]
    return []


def _follow(prompt: Mapping[str, object], outputs: Mapping[str, list[int]]) -> None:
    """Links to outputs lead to where these are today."""
    for node in prompt.values():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        for value in inputs.values() if isinstance(inputs, dict) else ():
            if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int):
                places = outputs.get(str(value[0]), [])
                if 0 <= value[1] < len(places):
                    value[1] = places[value[1]]


def _without_lost(prompt: Mapping[str, object], found: Mapping[str, Today]) -> Iterator[str]:
    """Take away links from optional inputs to outputs that our nodes don't have; in words which these were."""
    for node_id, node in prompt.items():
        today = found.get(str(node_id))
        if today is None:
            continue
        said = cast("dict[str, object]", node)
        kind, inputs = said["class_type"], cast(_Inputs, said["inputs"])
        for name in today.types.get("optional", {}).keys() & inputs.keys():
            link = inputs[name]
            if not (isinstance(link, list) and len(link) == 2 and isinstance(link[1], int)):
                continue
            origin = found.get(str(link[0]))
            if origin is not None and not origin.gives_more and link[1] >= len(origin.outputs):
                del inputs[name]
                yield f"{kind} {node_id}, input '{name}' leads to output {link[1] + 1} of node {link[0]}"
