"""Every node is explained where users look."""

from __future__ import annotations

from pathlib import Path

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("node", NODE_CLASS_MAPPINGS)
def test_help_page_and_readme_row(node: str) -> None:
    page = (ROOT / "js" / "docs" / f"{node}.md").read_text(encoding="utf-8")
    assert page.startswith("# ") and len(page) > 300
    assert f"| {NODE_DISPLAY_NAME_MAPPINGS[node]} | `{node}` | " in (ROOT / "README.md").read_text(encoding="utf-8")


def test_no_help_page_without_a_node() -> None:
    assert {page.stem for page in (ROOT / "js" / "docs").glob("*.md")} == set(NODE_CLASS_MAPPINGS)
