"""Beside packs that have some of our ids, loaded before us and after us; and segments saved and loaded in a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.client import Client, PromptError, RefusedError
from support.server import PACK, Server

STAND_IN = """
import sys
table = sys.modules["nodes"].NODE_CLASS_MAPPINGS
print("stand-in @PACK@ comes", "after" if "SaveSEGS" in table else "before", flush=True)

class Theirs:
    CATEGORY, RETURN_TYPES, FUNCTION = "theirs", ("SEGS",), "doit"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def doit(self):
        raise RuntimeError("theirs ran")

NODE_CLASS_MAPPINGS = {name: type(name, (Theirs,), {}) for name in @IDS@}
NODE_DISPLAY_NAME_MAPPINGS = {name: f"{name} of theirs" for name in @IDS@}
"""
BEFORE, AFTER = ["MaskToSEGS", "ToBasicPipe", "OnlyBefore"], ["EmptySegs", "OnlyAfter"]
TAKEN = {"MaskToSEGS": "stand-in-a", "ToBasicPipe": "stand-in-a", "EmptySegs": "stand-in-z"}


@pytest.fixture(scope="module", params=["impact", "ours"])
def beside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:
    """A server with one such pack before us and one after; the setting from its file, or over it from the variable."""
    base = tmp_path_factory.mktemp(request.param)
    folders = []
    for name, ids in (("stand-in-a", BEFORE), ("stand-in-z", AFTER)):
        pack = base / f"{name}-folder" / name
        pack.mkdir(parents=True)
        (pack / "__init__.py").write_text(STAND_IN.replace("@PACK@", name).replace("@IDS@", repr(ids)))
        folders.append(pack.parent)
    (base / "user").mkdir()
    (base / "user" / "mask_detailer.json").write_text(json.dumps({"shared_nodes": "ours"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MASK_DETAILER_SHARED_NODES", raising=False)
        if request.param == "impact":
            patch.setenv("MASK_DETAILER_SHARED_NODES", "impact")
        node_folders = [folders[0], PACK, folders[1]]
        with Server(base, node_folders=node_folders, log=base / "server.log") as running:
            yield request.param, running


def test_who_serves_what(beside: tuple[str, Server]) -> None:
    choice, server = beside
    info = Client(server.url).object_info()
    log = server.log_text()
    assert "stand-in stand-in-a comes before" in log and "stand-in stand-in-z comes after" in log
    for node, pack in TAKEN.items():
        wanted = f"custom_nodes.{pack}" if choice == "impact" else "custom_nodes.mask_detailer"
        assert info[node]["python_module"] == wanted
        assert (info[node]["display_name"] == f"{node} of theirs") == (choice == "impact")
    for node in ("SaveSEGS", "LoadSEGS", "DetailerForEach"):
        assert info[node]["python_module"] == "custom_nodes.mask_detailer"
    assert {"OnlyBefore", "OnlyAfter"} <= set(info)


def test_it_says_so(beside: tuple[str, Server]) -> None:
    choice, server = beside
    lines = [line for line in server.log_text().splitlines() if "node ids are also in" in line]
    assert len(lines) == 2
    for pack, count, line in zip(("stand-in-a", "stand-in-z"), (2, 1), lines, strict=True):
        serves = pack if choice == "impact" else "Mask Detailer"
        other = "ours" if choice == "impact" else "impact"
        assert f"{count} node ids are also in {pack}; {serves} serves them" in line
        assert f"MASK_DETAILER_SHARED_NODES={other}" in line and "mask_detailer.json" in line


def test_what_runs(beside: tuple[str, Server]) -> None:
    choice, server = beside
    save: dict[str, Any] = {"class_type": "SaveSEGS", "inputs": {"segs": ["1", 0], "filename_prefix": "segs/segs"}}
    with Client(server.url) as client:
        prompt = client.queue({"1": {"class_type": "EmptySegs", "inputs": {}}, "2": save})
        if choice == "impact":
            with pytest.raises(PromptError, match="theirs ran"):
                client.finish(prompt)
            return
        client.finish(prompt)
        assert client.history(prompt)["outputs"]["2"]["text"] == ["segs/segs_00001_.safetensors"]
        load = {"class_type": "LoadSEGS", "inputs": {"file": "segs/segs_00001_.safetensors [output]"}}
        assert load["inputs"]["file"] in client.object_info()["LoadSEGS"]["input"]["required"]["file"][0]
        save["inputs"]["filename_prefix"] = "again"
        prompt = client.queue({"1": load, "2": save})
        client.finish(prompt)
        first, second = (server.base / "output" / name for name in (
            "segs/segs_00001_.safetensors", "again_00001_.safetensors",
        ))  # fmt: skip
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "no.safetensors", "link/x.safetensors"])
def test_files_outside_are_refused(beside: tuple[str, Server], file: str) -> None:
    _, server = beside
    outside = server.base / "outside"
    outside.mkdir(exist_ok=True)
    for secret in (outside / "x.safetensors", server.base / "secret.safetensors"):
        secret.write_bytes(b"x")
    link: Path = server.base / "input" / "link"
    if not link.exists():
        link.symlink_to(outside)
    load = {"class_type": "LoadSEGS", "inputs": {"file": file}}
    save = {"class_type": "SaveSEGS", "inputs": {"segs": ["1", 0], "filename_prefix": "x"}}
    with pytest.raises(RefusedError, match="there is no file"):
        Client(server.url).queue({"1": load, "2": save})
