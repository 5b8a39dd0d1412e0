"""Every node is explained where users look."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import quote, unquote

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "js" / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
LINK = re.compile(r"\]\(([^)#]+)(?:#([^)]*))?\)")
MOST_BYTES, MOST_BYTES_IN_ALL = 120_000, 1_000_000
MOST_BYTES_MOVING = 400_000
MOST_LINES_OF_README = 130


def script(path: str) -> ModuleType:
    """A Python file that is no part of the pack."""
    name = f"script_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("node", NODE_CLASS_MAPPINGS)
def test_help_page(node: str) -> None:
    page = (DOCS / f"{node}.md").read_text(encoding="utf-8")
    assert page.startswith("# ") and len(page) > 200


def test_made_pages_are_up_to_date() -> None:
    stale = [file.name for file in script("tools/docs.py").stale()]
    assert not stale, f"docs/ is behind in {', '.join(stale)}: run `python dev.py docs`"


def test_made_pages_notice_a_change(tmp_path: Path) -> None:
    docs = script("tools/docs.py")
    nodes, benchmarks, _ = docs.write(tmp_path)
    assert docs.stale(tmp_path) == docs.write(tmp_path) == []
    page = nodes.read_text(encoding="utf-8")
    for node, name in NODE_DISPLAY_NAME_MAPPINGS.items():
        assert f"| [{name}](../js/docs/{quote(node)}.md) | `{node}` | " in page
    nodes.write_text(page.replace("Detail Plan", "Detail Scheme"), encoding="utf-8")
    benchmarks.unlink()
    assert docs.stale(tmp_path) == [nodes, benchmarks]


def test_bench_keeps_its_tables(tmp_path: Path) -> None:
    """In the layout of the file that is there, and without touching those of other benchmarks."""
    tables = script("bench/tables.py")
    recorded = (ROOT / "docs" / "benchmarks.json").read_text(encoding="utf-8")
    assert tables.as_json(json.loads(recorded)) + "\n" == recorded
    file = tmp_path / "figures.json"
    file.write_text(recorded, encoding="utf-8")
    tables.print_rows([tables.Row("what", "case", "1 ms", "beside [2]", "1/2")])
    tables.keep(file, {"speed": tables.printed(), "gpu": tables.printed()})
    kept, before = json.loads(file.read_text(encoding="utf-8")), json.loads(recorded)
    assert kept["speed"]["tables"][0]["rows"] == [["what", "case", "1 ms", "beside [2]", "1/2"]]
    assert kept | {"speed": before["speed"]} == before


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        file = (page.parent / unquote(target)).resolve()
        if "://" in target:
            continue
        assert file.exists(), target
        if heading:
            text = file.read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.+)$", text, re.M)
            assert heading in {re.sub(r"[^\w\- ]", "", name).lower().replace(" ", "-") for name in headings}, heading


def test_no_help_page_without_a_node() -> None:
    assert {page.stem for page in (ROOT / "js" / "docs").glob("*.md")} == set(NODE_CLASS_MAPPINGS)


def test_pictures_of_the_pages() -> None:
    """Each picture that a page names is there and small, says in words what it shows, and none lies about unnamed."""
    named = [match for page in DOCS.glob("*.md") for match in PICTURE.findall(page.read_text(encoding="utf-8"))]
    assert all(len(words) > 20 for words, _ in named)
    files = {DOCS / name for _, name in named}
    assert files == set((DOCS / "pictures").iterdir())
    sizes = {file: file.stat().st_size for file in files}
    most = {".webp": MOST_BYTES_MOVING}
    assert all(size <= most.get(file.suffix, MOST_BYTES) for file, size in sizes.items())
    assert sum(sizes.values()) <= MOST_BYTES_IN_ALL
