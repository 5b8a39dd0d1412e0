"""Wildcard nodes in a prompt that is being queued: their choices are made, and stand in it and in its workflow.

So a saved picture holds the very text that it was made with, whatever becomes of the lists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .. import host
from ..values import wrapped_seed
from .reader import Prompts

POPULATE, FIXED, REPRODUCE = "populate", "fixed", "reproduce"
MODES = (POPULATE, FIXED, REPRODUCE)
EVENT = "mask_detailer.populated"
TEXT_PLACE, MODE_PLACE = 1, 2  # of the widgets in a saved workflow
SEEDS = {"ImpactInt": "value", "PrimitiveInt": "value", "Seed (rgthree)": "seed"}
"""Nodes that a seed may come from, and which of their inputs it is."""


def mode_of(value: object) -> str | None:
    """A mode by its name, or as older workflows have it, on or off; None for what is none."""
    if isinstance(value, bool):
        return POPULATE if value else FIXED
    return str(value) if isinstance(value, str) and value in MODES else None


def populate(sent: Mapping[str, object], nodes: Collection[str]) -> None:
    """Make the choices of each of these nodes that is set to populate, and set it to reproduce.

    The page that queued is told the text. Left alone is what isn't known yet, such as a text that comes by a link:
    such a node makes its choices when it runs.

    Args:
        sent: what the client sent to queue the prompt; it is whatever its sender wrote.
        nodes: the kinds of nodes, by their ids.
    """
    prompt, client = sent.get("prompt"), sent.get("client_id")
    if not isinstance(prompt, dict):
        return
    extra = _get(_get(sent, "extra_data"), "extra_pnginfo")
    reader = Prompts()
    for node_id, step in list(prompt.items()):
        kind, inputs = _get(step, "class_type"), _get(step, "inputs")
        if not isinstance(kind, str) or kind not in nodes or not isinstance(inputs, dict):
            continue
        text, seed = inputs.get("wildcard_text"), _seed(prompt, inputs.get("seed"))
        if mode_of(inputs.get("mode")) != POPULATE or not isinstance(text, str) or seed is None:
            continue
        if not isinstance(inputs.get("populated_text", ""), str):
            continue
        made = reader.chosen(text, seed)
        inputs.update(populated_text=made, mode=REPRODUCE)
        _write(host.workflows.saved_node(extra, str(node_id)), kind, made)
        if isinstance(client, str):
            workflow = _get(_get(extra, "workflow"), "id")
            host.server.send_to(client, EVENT, {"node": str(node_id), "workflow": workflow, "text": made})


def _seed(prompt: Mapping[str, object], value: object) -> int | None:
    """A number, or the one that a node of a few kinds holds."""
    if isinstance(value, list) and value:
        source = prompt.get(str(value[0]))
        kind = _get(source, "class_type")
        value = _get(_get(source, "inputs"), SEEDS[kind]) if isinstance(kind, str) and kind in SEEDS else None
    return wrapped_seed(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _write(node: object, kind: str, text: str) -> None:
    """Into the node of the workflow that goes into pictures."""
    values = _get(node, "widgets_values")
    if _get(node, "type") == kind and isinstance(values, list) and len(values) > MODE_PLACE:
        values[TEXT_PLACE], values[MODE_PLACE] = text, REPRODUCE


def _get(within: object, key: str) -> object:
    return within.get(key) if isinstance(within, Mapping) else None
