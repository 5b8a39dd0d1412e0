"""The example workflows fit the nodes as the server describes them, and ComfyUI's template browser finds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.client import Client
from support.server import CHECKOUT, Server

FOLDER = CHECKOUT / "example_workflows"
FILES = sorted(FOLDER.glob("*.json"))
IN_BROWSER_ONLY = {"Note", "MarkdownNote"}
UPLOADS = {"LoadImage"}  # a second slot for the upload button
WIDGET_TYPES = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO"}


@pytest.fixture(scope="module")
def object_info(server: Server) -> dict[str, Any]:
    return Client(server.url).object_info()


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text(encoding="utf-8"))


def inputs_of(info: dict[str, Any]) -> dict[str, Any]:
    return {name: spec for group in ("required", "optional") for name, spec in info["input"].get(group, {}).items()}


def is_widget(spec: Any) -> bool:
    return isinstance(spec[0], list) or spec[0] in WIDGET_TYPES


def widget_slots(node_type: str, info: dict[str, Any]) -> list[str]:
    """What each place of ``widgets_values`` holds; a seed is followed by what becomes of it after a run."""
    slots = []
    for name, spec in inputs_of(info).items():
        if is_widget(spec):
            slots += [name, "control after generate"] if name in ("seed", "noise_seed") else [name]
    return [*slots, "upload"] if node_type in UPLOADS else slots


def test_nodes_and_links_fit(workflow: dict[str, Any], object_info: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for node in nodes.values():
        if node["type"] in IN_BROWSER_ONLY:
            continue
        info = object_info[node["type"]]
        links = {name: spec[0] for name, spec in inputs_of(info).items() if not is_widget(spec)}
        assert {slot["name"]: slot["type"] for slot in node["inputs"]} == links, node["type"]
        outputs = [slot["type"] for slot in node["outputs"]]
        assert outputs == info["output"][: len(outputs)], node["type"]
        assert len(node["widgets_values"]) == len(widget_slots(node["type"], info)), node["type"]
        for slot in node["inputs"]:
            assert slot["link"] or slot["name"] in info["input"].get("optional", {}), (node["type"], slot["name"])
    for link, source, output, target, slot, kind in workflow["links"]:
        assert link in nodes[source]["outputs"][output]["links"]
        assert nodes[target]["inputs"][slot]["link"] == link
        assert nodes[source]["outputs"][output]["type"] == nodes[target]["inputs"][slot]["type"] == kind


def test_widget_values_are_valid(workflow: dict[str, Any], object_info: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        if node["type"] in IN_BROWSER_ONLY:
            continue
        info = object_info[node["type"]]
        for name, value in zip(widget_slots(node["type"], info), node["widgets_values"], strict=True):
            spec = inputs_of(info).get(name)
            if spec is None or name in ("ckpt_name", "image"):  # files that are the user's own
                continue
            if isinstance(spec[0], list):
                assert value in spec[0], name
            elif spec[0] in ("INT", "FLOAT"):
                assert spec[1]["min"] <= value <= spec[1]["max"] and not isinstance(value, bool), name
            else:
                assert isinstance(value, {"BOOLEAN": bool, "STRING": str}[spec[0]]), name


def test_template_browser_shows_them(server: Server) -> None:
    client = Client(server.url)
    assert sorted(client.get("/workflow_templates")["mask_detailer"]) == [file.stem for file in FILES]
    for file in FILES:
        picture = client.request(f"/api/workflow_templates/mask_detailer/{file.stem}.jpg")
        assert picture == (FOLDER / f"{file.stem}.jpg").read_bytes()
        assert picture[:3] == b"\xff\xd8\xff"


def test_picture_for_each() -> None:
    assert FILES
    assert {Path(file).stem for file in FILES} == {picture.stem for picture in FOLDER.glob("*.jpg")}
