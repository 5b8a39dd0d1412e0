"""Which of the nodes in a prompt or file are ours, and what they are like today."""

from __future__ import annotations

from dataclasses import dataclass

from ...detailer import host
from ..growing import AnyNumber
from ..schema import InputTypes
from .versions import NOTHING, VERSIONS, Versions

_PACK = __name__.rpartition(".nodes.past.")[0]


@dataclass(frozen=True)
class Today:
    """One of our nodes.

    Attributes:
        types: its inputs.
        outputs: name and type of each.
        gives_more: there may be links to more outputs than these.
        versions: what it was like before.
    """

    types: InputTypes
    outputs: tuple[tuple[str, str], ...]
    gives_more: bool
    versions: Versions


class OurNodes:
    """Our nodes by id; those that another pack serves, or that are not offered, are none. Each is read once."""

    def __init__(self) -> None:
        self._read: dict[str, Today | None] = {}

    def get(self, node_id: object) -> Today | None:
        if not isinstance(node_id, str):
            return None
        if node_id not in self._read:
            self._read[node_id] = _today(node_id)
        return self._read[node_id]


def _today(node_id: str) -> Today | None:
    node = host.nodes.registered_nodes().get(node_id)
    if node is None or not node.__module__.startswith(f"{_PACK}."):
        return None
    declared = getattr(node, "RETURN_TYPES", ())
    kinds = tuple(str(kind) for kind in declared)
    outputs = tuple(zip(getattr(node, "RETURN_NAMES", kinds), kinds, strict=True))
    types = node.INPUT_TYPES()  # type: ignore[attr-defined]
    return Today(types, outputs, isinstance(declared, AnyNumber), VERSIONS.get(node_id, NOTHING))
