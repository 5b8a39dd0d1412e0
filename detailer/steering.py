"""Nodes that steer the browser: it queues again, changes a widget, mutes a node. Only where its user allows that.

A browser says that its user allows it; nothing is sent to another than the one that queued the running prompt, and it
acts only while the workflow that was queued is open.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from . import host
from .live import Audience

logger = logging.getLogger("mask_detailer")

EVENT = "mask_detailer.steer"
OFF = (
    "Switched off: nothing is changed or queued. To allow it, turn on 'Let nodes change widgets and queue' in the "
    "settings under Mask Detailer"
)

allowing = Audience()
"""The browsers whose users allow it."""


def steer(node: str, what: str, **about: object) -> str | None:
    """Ask the browser that queued the running prompt to do something.

    Args:
        node: the id of the node's kind, for the log.
        what: ``queue``, ``stop``, ``widget`` or ``modes``.
        about: what else it needs to know; something for JSON.

    Returns:
        None where it was asked, else why not, which the log and the node say too.
    """
    browser = host.server.browser_of_prompt(allowing)
    if browser is not None:
        browser.send(EVENT, {"what": what, **about})
        return None
    logger.info("%s: %s", node, OFF)
    client = host.server.client_of_prompt()
    if client is not None:
        client.say(OFF)
    return OFF


def set_remotely(sent: Mapping[str, object], nodes: Mapping[str, type]) -> None:
    """Before a prompt is validated: what its Remote nodes say is written into the inputs of others of the prompt.

    Only for a client whose user allows it, and only where the input holds a value of that kind already: whole numbers
    into numbers, switches into switches. What isn't so is passed over.

    Args:
        sent: what the client sent to queue the prompt.
        nodes: the kinds of Remote nodes, by id, and the type of their values.
    """
    prompt, client = sent.get("prompt"), sent.get("client_id")
    if not isinstance(prompt, dict) or not isinstance(client, str) or client not in allowing:
        return
    for step in list(prompt.values()):
        kind = _get(step, "class_type")
        if not isinstance(kind, str) or kind not in nodes:
            continue
        inputs = _get(step, "inputs")
        name, value = _get(inputs, "widget_name"), _get(inputs, "value")
        target = _get(prompt.get(str(_get(inputs, "node_id"))), "inputs")
        if not isinstance(target, dict) or not isinstance(name, str) or type(value) is not nodes[kind]:
            continue
        before = target.get(name)
        takes = isinstance(before, bool) if nodes[kind] is bool else type(before) in (int, float)
        if takes:
            target[name] = value


def _get(within: object, key: str) -> object:
    return within.get(key) if isinstance(within, Mapping) else None
