"""The example workflows fit the nodes as the server describes them, and ComfyUI's template browser finds them."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import quote

import pytest
from support import examples
from support.client import Client
from support.server import Server

OURS = "custom_nodes.mask_detailer"
# widgets that name files, which are the user's own
FILES = {"ckpt_name", "image", "model_name", "file", "unet_name", "clip_name", "clip_name1", "clip_name2", "vae_name",
         "lora_name"}  # fmt: skip


@pytest.fixture(scope="module")
def object_info(server: Server) -> dict[str, Any]:
    return Client(server.url).object_info()


@pytest.fixture(params=examples.NAMES)
def workflow(request: pytest.FixtureRequest, object_info: dict[str, Any]) -> dict[str, Any]:
    workflow = examples.load(request.param)
    if missing := set(examples.unknown(workflow, object_info)):
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")
    return workflow


def grown(name: str) -> str:
    """The input that a grown one, ``segs2`` of ``segs1``, repeats."""
    return re.sub(r"\d+$", "1", name)


def test_nodes_and_links_fit(workflow: dict[str, Any], object_info: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for node in examples.run_by_server(workflow):
        info = object_info[node["type"]]
        links = examples.links_of(info)
        slots = {slot["name"]: slot["type"] for slot in node["inputs"] if "widget" not in slot}
        outputs = [slot["type"] for slot in node["outputs"]]
        assert slots.keys() >= links.keys(), node["type"]
        assert all(links[name if name in links else grown(name)] == kind for name, kind in slots.items()), node["type"]
        values = len(node["widgets_values"]), len(examples.widget_slots(node["type"], info))
        if info["python_module"] == OURS:
            assert outputs == info["output"] and values[0] == values[1], node["type"]
        else:  # ComfyUI's own may have fewer in an older release
            assert outputs[: len(info["output"])] == info["output"] and values[0] >= values[1], node["type"]
        for slot in node["inputs"]:
            needed = slot["name"] in info["input"].get("required", {})
            assert slot["link"] or not needed, (node["type"], slot["name"])
    for link, source, output, target, slot, kind in workflow["links"]:
        assert link in nodes[source]["outputs"][output]["links"]
        assert nodes[target]["inputs"][slot]["link"] == link
        assert nodes[source]["outputs"][output]["type"] == kind and nodes[target]["inputs"][slot]["type"] in (kind, "*")


def test_widget_values_are_valid(workflow: dict[str, Any], object_info: dict[str, Any]) -> None:
    for node in examples.run_by_server(workflow):
        info = object_info[node["type"]]
        known = examples.inputs_of(info)
        for name, value in zip(examples.widget_slots(node["type"], info), node["widgets_values"], strict=False):
            kind, more = known.get(name, ["", {}])[:1][0], dict(*known.get(name, ["", {}])[1:])
            if name not in known or name in FILES:
                continue
            if isinstance(kind, list) or kind == "COMBO":
                assert value in (kind if isinstance(kind, list) else more["options"]), name
            elif kind in ("INT", "FLOAT"):
                least, most = more.get("min", -math.inf), more.get("max", math.inf)
                assert least <= value <= most and not isinstance(value, bool), name
            elif kind == "COMFY_DYNAMICCOMBO_V3":
                assert value in [option["key"] for option in more["options"]], name
            else:
                assert isinstance(value, {"BOOLEAN": bool, "STRING": str}[kind]), name


@pytest.mark.parametrize("name", examples.NAMES)
def test_nothing_overlaps(name: str) -> None:
    """Nodes stand apart, each wholly inside a group or outside of all."""
    workflow = examples.load(name)
    title = 30
    nodes = [
        (x, y - title, x + width, y + height)
        for (x, y), (width, height) in ((node["pos"], node["size"]) for node in workflow["nodes"])
    ]
    groups = [(x, y, x + width, y + height) for x, y, width, height in (g["bounding"] for g in workflow["groups"])]
    for boxes in (nodes, groups):
        for number, box in enumerate(boxes):
            assert not any(_touch(box, other) for other in boxes[number + 1 :]), (name, box)
    for box in nodes:
        around = [group for group in groups if _touch(box, group)]
        assert all(
            group[0] < box[0] and group[1] < box[1] and group[2] > box[2] and group[3] > box[3] for group in around
        ), (name, box)


def _touch(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_template_browser_shows_them(server: Server) -> None:
    client = Client(server.url)
    assert sorted(client.get("/workflow_templates")["mask_detailer"]) == examples.NAMES
    for name in examples.NAMES:
        picture = client.request(f"/api/workflow_templates/mask_detailer/{quote(name)}.jpg")
        assert picture == (examples.FOLDER / f"{name}.jpg").read_bytes()
        assert picture[:3] == b"\xff\xd8\xff"


def test_picture_for_each() -> None:
    assert sorted(picture.stem for picture in examples.FOLDER.glob("*.jpg")) == examples.NAMES


@pytest.mark.parametrize("name", examples.NAMES)
def test_says_what_to_do(name: str) -> None:
    """A note in each says step by step what to do; there may be others beside groups."""
    notes = [node for node in examples.load(name)["nodes"] if node["type"] == "MarkdownNote"]
    texts = [text for note in notes for text in note["widgets_values"]]
    assert any(re.search(r"^1\. ", text, re.MULTILINE) for text in texts)
