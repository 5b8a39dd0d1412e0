"""Every node is explained where users look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "js" / "docs"
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
MOST_BYTES, MOST_BYTES_IN_ALL = 120_000, 1_000_000


@pytest.mark.parametrize("node", NODE_CLASS_MAPPINGS)
def test_help_page_and_readme_row(node: str) -> None:
    page = (ROOT / "js" / "docs" / f"{node}.md").read_text(encoding="utf-8")
    assert page.startswith("# ") and len(page) > 300
    assert f"| {NODE_DISPLAY_NAME_MAPPINGS[node]} | `{node}` | " in (ROOT / "README.md").read_text(encoding="utf-8")


def test_no_help_page_without_a_node() -> None:
    assert {page.stem for page in (ROOT / "js" / "docs").glob("*.md")} == set(NODE_CLASS_MAPPINGS)


def test_pictures_of_the_pages() -> None:
    """Each picture that a page names is there and small, says in words what it shows, and none lies about unnamed."""
    named = [match for page in DOCS.glob("*.md") for match in PICTURE.findall(page.read_text(encoding="utf-8"))]
    assert all(len(words) > 20 for words, _ in named)
    files = {DOCS / name for _, name in named}
    assert files == set((DOCS / "pictures").iterdir())
    sizes = [file.stat().st_size for file in files]
    assert max(sizes) <= MOST_BYTES and sum(sizes) <= MOST_BYTES_IN_ALL


def test_pictures_of_the_readme() -> None:
    for _, name in PICTURE.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), name
