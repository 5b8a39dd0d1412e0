"""The files of templates and blueprints, as they lie there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import mask_detailer.core
import pytest

ROOT = Path(mask_detailer.core.__file__).resolve().parents[1]
TEMPLATES = sorted((ROOT / "example_workflows").glob("*.json"))
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
SMALL = {"a", "of", "and"}  # words that titles leave so
FOLDERS = {"checkpoints", "detection", "diffusion_models", "loras", "text_encoders", "ultralytics", "vae"}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def nodes(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """All of a workflow, those inside subgraphs too."""
    inside = workflow.get("definitions", {}).get("subgraphs", [])
    return [node for graph in [workflow, *inside] for node in graph["nodes"]]


def test_the_starter_is_first() -> None:
    """ComfyUI lists them as the folder has them, which where it has an order is the alphabet's."""
    assert TEMPLATES[0].stem == "Detail a Mask"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_name_and_picture(path: Path) -> None:
    words = path.stem.split()
    assert words == [word if word in SMALL and place else word.capitalize() for place, word in enumerate(words)]
    picture = cv2.imread(str(path.with_suffix(".jpg")))
    assert picture is not None
    assert picture.shape[0] == picture.shape[1] >= 400


def test_every_picture_is_a_template_s() -> None:
    pictures = (ROOT / "example_workflows").glob("*.jpg")
    assert {path.stem for path in pictures} == {path.stem for path in TEMPLATES}


@pytest.mark.parametrize("path", [*TEMPLATES, *BLUEPRINTS], ids=lambda path: path.stem)
def test_files_that_are_loaded_can_be_had(path: Path) -> None:
    """From a page that the browser lets its button lead to, or they come with ComfyUI."""
    found = nodes(read(path))
    models = {model["name"]: model for node in found for model in node["properties"].get("models", [])}
    for value in (value for node in found for value in node["widgets_values"]):
        if isinstance(value, str) and re.search(r"\.(safetensors|pt|pth|mp4|png|jpg|webm)$", value):
            assert value in models or value == "example.png"
    for model in models.values():
        assert re.fullmatch(r"https://huggingface\.co/[\w.-]+/[\w.-]+/resolve/main/[\w./-]+", model["url"])
        assert model["url"].endswith("/" + model["name"].rsplit("/", 1)[-1])
        assert model["directory"] in FOLDERS


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_notes_have_no_code(path: Path) -> None:
    """Names stand bold: code is dark on the note's brown."""
    notes = [node["widgets_values"][0] for node in nodes(read(path)) if node["type"] == "MarkdownNote"]
    assert notes and not any("`" in note for note in notes)


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_node(path: Path) -> None:
    workflow = read(path)
    (node,), (graph,) = workflow["nodes"], workflow["definitions"]["subgraphs"]
    assert node["type"] == graph["id"] and graph["name"] == path.stem
    assert graph["description"] and workflow["extra"]["BlueprintSearchAliases"]
    numbers = [inner["id"] for inner in graph["nodes"]]
    assert len({*numbers, node["id"]}) == len(numbers) + 1


@pytest.mark.parametrize("path", [*TEMPLATES, *BLUEPRINTS], ids=lambda path: path.stem)
def test_wires_end_where_they_are_plugged_in(path: Path) -> None:
    """Later pages go by a wire's place among the inputs, not by what the input says of its wire."""
    workflow = read(path)
    wires = [(workflow["nodes"], wire[0], wire[3], wire[4]) for wire in workflow["links"]]
    for inside in workflow.get("definitions", {}).get("subgraphs", []):
        for wire in inside["links"]:
            wires.append((inside["nodes"], wire["id"], wire["target_id"], wire["target_slot"]))
    for around, wire, target, slot in wires:
        for node in around:
            if node["id"] == target:
                assert node["inputs"][slot]["link"] == wire, (node["type"], wire)
