"""Which saved workflows this pack serves alone: how they are read, and what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, OWN_NODES

from unit.test_docs import ROOT, script

OURS = {"FaceDetailer", "ToBasicPipe"}
INNER = {"nodes": [{"id": 1, "type": "SAMLoader"}]}


@pytest.fixture
def wild(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return script("bench/wild.py")


def saved(folder: Path, name: str, content: Any) -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def of_page(*types: str, **more: Any) -> dict[str, Any]:
    return {"nodes": [{"id": number, "type": name} for number, name in enumerate(types)], "links": [], **more}


def of_api(*types: str) -> dict[str, Any]:
    return {str(number): {"class_type": name, "inputs": {}} for number, name in enumerate(types)}


def test_every_node_that_is_not_ours_alone_is_of_the_family(wild: ModuleType) -> None:
    """So a node that is added counts; what is ours alone is in no old workflow."""
    assert not NODE_CLASS_MAPPINGS.keys() - OWN_NODES - wild.FAMILY
    assert not wild.FAMILY & OWN_NODES


@pytest.mark.parametrize(
    ("content", "kind", "family"),
    [
        (of_page("FaceDetailer", "KSampler"), "ui", {"FaceDetailer"}),
        (of_api("FaceDetailer", "KSampler"), "api", {"FaceDetailer"}),
        ({"prompt": of_api("FaceDetailer")}, "api", {"FaceDetailer"}),
        ({"workflow": of_page("FaceDetailer")}, "ui", {"FaceDetailer"}),
        (of_page("workflow/mine", extra={"groupNodes": {"mine": INNER}}), "ui", {"SAMLoader"}),
        (of_page("1-2-3", definitions={"subgraphs": [INNER]}), "ui", {"SAMLoader"}),
        (of_page("1-2-3", definitions={"subgraphs": [of_page("4-5", definitions={"subgraphs": [INNER]})]}), "ui",
         {"SAMLoader"}),
        ({"nodes": [None, 3, {"type": None}, {"type": "FaceDetailer"}], "extra": [], "definitions": None}, "ui",
         {"FaceDetailer"}),
        ({"3": "text", "4": None, **of_api("FaceDetailer")}, "api", {"FaceDetailer"}),
    ],
)  # fmt: skip
def test_reads(wild: ModuleType, tmp_path: Path, content: Any, kind: str, family: set[str]) -> None:
    layout = wild.read(saved(tmp_path, "2024-07-01-x.json", content))
    assert (layout.quarter, layout.kind, layout.family) == ("2024 Q3", kind, family)


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[1, 2]", "{}", "7", '{"nodes": []}', "[" * 9999, '{"a": {"b": 1}}']
)
def test_what_is_no_workflow(wild: ModuleType, tmp_path: Path, content: str) -> None:
    assert wild.read(saved(tmp_path, "2024-07-01-x.json", content)) is None


@pytest.mark.parametrize(
    ("name", "quarter"),
    [("2023-03-31-ui-1.json", "2023 Q1"), ("2023-04-01.json", "2023 Q2"), ("2025-12.json", "2025 Q4"),
     ("2025-13-01.json", "no date"), ("mine.json", "no date")],
)  # fmt: skip
def test_quarters(wild: ModuleType, tmp_path: Path, name: str, quarter: str) -> None:
    assert wild.read(saved(tmp_path, name, of_page("FaceDetailer"))).quarter == quarter


def test_counts(wild: ModuleType, tmp_path: Path) -> None:
    """A workflow counts when each of its family nodes is ours; nodes of other families don't matter."""
    contents = {
        "2023-05-01-ui-1.json": of_page("FaceDetailer", "Other"),
        "2023-06-01-ui-2.json": of_page("FaceDetailer", "SAMLoader"),
        "2023-06-01-api-3.json": of_api("ToBasicPipe"),
        "2024-01-01-api-4.json": of_api("ToBasicPipe", "SAMLoader", "ImpactInt"),
    }
    layouts = [wild.read(saved(tmp_path, name, content)) for name, content in contents.items()]
    assert wild.by_quarter(layouts, OURS) == [
        ["2023 Q2", "3", "2", "0.67", "1 of 2", "1 of 1"],
        ["2024 Q1", "1", "0", "0.00", "0 of 0", "0 of 1"],
        ["all", "4", "2", "0.50", "1 of 2", "1 of 2"],
    ]
    assert wild.missing(layouts, OURS) == [["SAMLoader", "2", "1"], ["ImpactInt", "1", "0"]]


def test_folder(wild: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILD_WORKFLOWS", "elsewhere")
    assert wild.folder_of(["wild", "7", str(tmp_path)]) == tmp_path
    assert wild.folder_of(["wild"]) == Path("elsewhere")
    monkeypatch.delenv("WILD_WORKFLOWS")
    assert wild.folder_of([]).parts[-2:] == ("shared", "wild")


def test_says_where_there_is_none(wild: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "wild", str(tmp_path)])
    with pytest.raises(SystemExit, match="no workflow with a node of the family"):
        wild.run()
    saved(tmp_path, "2024-07-01.json", of_page("FaceDetailer"))
    wild.run()
