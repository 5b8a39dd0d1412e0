"""The interface that saved workflows rely on, as servers that had the nodes told it: ``tests/data/interface*``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"


def nodes() -> dict[str, Any]:
    """What is known of each node, by its id; anew each time."""
    files = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(DATA.glob("interface*.json"))]
    return {node: facts for groups in files for group in groups.values() for node, facts in group.items()}
