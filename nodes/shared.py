"""Living beside a pack that has nodes of the same ids, such as the Impact Pack: who serves them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..detailer import host

logger = logging.getLogger("mask_detailer")

VARIABLE = "MASK_DETAILER_SHARED_NODES"
KEY = "shared_nodes"  # in the settings file
IMPACT, OURS = "impact", "ours"

_PACKAGE = __name__.rpartition(".")[0].rpartition(".")[0]


@dataclass
class Sharing:
    """Our nodes, and which of them another pack has too.

    ComfyUI gives an id to the pack it loads last. With ``impact`` we leave an id that is taken, and who comes later
    takes it from us. With ``ours`` we take it, and once more when all packs are loaded. So the order does not count.

    Attributes:
        nodes: classes by id.
        names: display names by id.
        own: the ids that are ours alone; they are never left out.
        choice: ``impact`` or ``ours``.
        others: the packs that have some of our ids, and which.
    """

    nodes: Mapping[str, type]
    names: Mapping[str, str]
    own: frozenset[str]
    choice: str
    others: dict[str, set[str]] = field(default_factory=dict)

    def to_register(self) -> tuple[dict[str, type], dict[str, str]]:
        """Classes and names for ComfyUI, while it loads us."""
        self._look()
        taken = set[str]().union(*self.others.values()) if self.choice == IMPACT else set[str]()
        return (
            {node_id: node for node_id, node in self.nodes.items() if node_id not in taken},
            {node_id: name for node_id, name in self.names.items() if node_id not in taken},
        )

    def settle(self) -> None:
        """Once all packs are loaded: take what is ours, and say who serves what."""
        self._look()
        if self.choice == OURS:
            registered, names = host.nodes.registered_nodes(), host.nodes.registered_names()
            for node_id in set[str]().union(*self.others.values()):
                registered[node_id] = self.nodes[node_id]
                names[node_id] = self.names[node_id]
        for pack, ids in self.others.items():
            server, other = (pack, OURS) if self.choice == IMPACT else ("Mask Detailer", IMPACT)
            logger.info(
                'Mask Detailer: %d node ids are also in %s; %s serves them. To change that, set %s=%s, or {"%s": "%s"} '
                "in %s, and restart",
                len(ids), pack, server, VARIABLE, other, KEY, other, host.folders.settings_file(),
            )  # fmt: skip

    def _look(self) -> None:
        registered = host.nodes.registered_nodes()
        for node_id in self.nodes.keys() - self.own:
            node = registered.get(node_id)
            if node is not None and not node.__module__.startswith(f"{_PACKAGE}."):
                self.others.setdefault(host.nodes.pack_of(node), set()).add(node_id)


def choice() -> str:
    """The user's: the environment variable, else the settings file, else ``impact``."""
    where, value = VARIABLE, os.environ.get(VARIABLE)
    if value is None:
        where, value = str(host.folders.settings_file()), _from_file()
    if value is None:
        return IMPACT
    chosen = str(value).strip().lower()
    if chosen in (IMPACT, OURS):
        return chosen
    logger.warning("Mask Detailer: %s says %r; write %s or %s. Taken as %s", where, value, IMPACT, OURS, IMPACT)
    return IMPACT


def _from_file() -> object:
    file = host.folders.settings_file()
    if file is None or not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8-sig")).get(KEY)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        logger.warning('Mask Detailer: %s is no JSON such as {"%s": "%s"} (%s): not used', file, KEY, OURS, error)
        return None
