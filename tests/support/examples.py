"""The example workflows as prompts, and what stands in for a user's models, pictures and clips when they run here."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from support import pictures, subgraphs
from support.client import Prompt
from support.clip_files import write_video
from support.pictures import Pixels
from support.server import CHECKOUT
from support.workflow import TRAINED

FOLDER = CHECKOUT / "example_workflows"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))
FACE_MODEL = "face.safetensors"
FRAMES = 3

Workflow = dict[str, Any]

_IN_BROWSER_ONLY = {"Note", "MarkdownNote"}
_UPLOADS = {"LoadImage", "LoadVideo"}  # a second slot for the upload button
_NOT_SAVED = {"IMAGECOMPARE": {"__value__": ["", ""]}}  # widgets without a saved value, and what the browser sends
_WIDGETS = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "COMFY_DYNAMICCOMBO_V3"}
_SEEDS = ("seed", "noise_seed")  # each is followed by what becomes of it after a run
_MUTED, _BYPASSED = 2, 4  # a node's mode

# small and quick: what a run costs is not what these tests are about
_QUICK: dict[str, Any] = {
    "guide_size": 64, "max_size": 128, "steps": 2, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple",
    "bbox_threshold": 0.2, "amount": FRAMES, "size_mode": "guide_size",
}  # fmt: skip


def load(name: str) -> Workflow:
    """The saved workflow of that name."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def blueprint(name: str) -> Workflow:
    """The workflow that holds that subgraph, and nothing else."""
    return json.loads((CHECKOUT / "subgraphs" / f"{name}.json").read_text(encoding="utf-8"))


def run_by_server(workflow: Workflow) -> list[dict[str, Any]]:
    """The nodes that the server knows of, those inside subgraphs too."""
    return [node for node in subgraphs.flat(workflow, muted=True)[0] if node["type"] not in _IN_BROWSER_ONLY]


def inputs_of(info: dict[str, Any]) -> dict[str, Any]:
    """A node's inputs by name, in their order, as the server describes them."""
    return {name: spec for group in ("required", "optional") for name, spec in info["input"].get(group, {}).items()}


def links_of(info: dict[str, Any]) -> dict[str, str]:
    """The types of the inputs that take a connection."""
    kinds = {name: spec[0] for name, spec in inputs_of(info).items() if not _is_widget(spec)}
    return {name: kind for name, kind in kinds.items() if kind not in _NOT_SAVED}


def widget_slots(node_type: str, info: dict[str, Any]) -> list[str]:
    """What each place of ``widgets_values`` holds."""
    slots = []
    for name, spec in inputs_of(info).items():
        if _is_widget(spec):
            slots += [name, "control after generate"] if name in _SEEDS else [name]
    return [*slots, "upload"] if node_type in _UPLOADS else slots


def as_prompt(workflow: Workflow, object_info: dict[str, Any], muted: bool = False) -> Prompt:
    """The prompt that the browser makes of a workflow; with ``muted`` of its muted and bypassed nodes too."""
    nodes, sources = subgraphs.flat(workflow, muted)
    if not muted:
        sources = _past_bypassed(nodes, sources)
    prompt: Prompt = {}
    for node in nodes:
        if node["type"] in _IN_BROWSER_ONLY or (node["mode"] in (_MUTED, _BYPASSED) and not muted):
            continue
        info = object_info[node["type"]]
        known = inputs_of(info)
        values = zip(widget_slots(node["type"], info), node["widgets_values"], strict=False)  # older ones know fewer
        inputs = {name: value for name, value in values if name in known} | node.get("given", {})
        inputs |= {name: _NOT_SAVED[spec[0]] for name, spec in known.items() if spec[0] in [*_NOT_SAVED]}
        inputs |= {slot["name"]: sources[slot["link"]] for slot in node["inputs"] if slot["link"] in sources}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def connected(workflow: Workflow, object_info: dict[str, Any]) -> Prompt:
    """The prompt of a workflow that is one node, with a picture, a mask and a checkpoint connected, and saved."""
    workflow = copy.deepcopy(workflow)
    (host,) = workflow["nodes"]
    kinds = {"CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"], "LoadImage": ["IMAGE", "MASK"]}
    for number, (kind, outputs) in enumerate(kinds.items(), host["id"] + 1):
        node = {"id": number, "type": kind, "mode": 0, "inputs": [], "widgets_values": [""]}
        workflow["nodes"].append(node)
        for slot in (slot for slot in host["inputs"] if slot["type"] in outputs):
            slot["link"] = 1 + len(workflow["links"])
            workflow["links"].append([slot["link"], number, outputs.index(slot["type"]), host["id"], 0, slot["type"]])
    link = 1 + len(workflow["links"])
    workflow["links"].append([link, host["id"], 0, host["id"] + 3, 0, "IMAGE"])
    inputs = [{"name": "images", "type": "IMAGE", "link": link}]
    saver = {"id": host["id"] + 3, "type": "SaveImage", "mode": 0, "inputs": inputs, "widgets_values": ["blueprint"]}
    workflow["nodes"].append(saver)
    return as_prompt(workflow, object_info)


def _past_bypassed(nodes: list[dict[str, Any]], sources: subgraphs.Sources) -> subgraphs.Sources:
    """Where each link comes from once bypassed nodes hand on their first input of an output's type."""
    bypassed = {str(node["id"]): node for node in nodes if node["mode"] == _BYPASSED}

    def origin(source: list[Any]) -> list[Any]:
        node = bypassed.get(source[0])
        if node is None:
            return source
        kind = node["outputs"][source[1]]["type"]
        handed_on = next((slot["link"] for slot in node["inputs"] if slot["type"] == kind and slot["link"]), None)
        return source if handed_on is None else origin(sources[handed_on])

    return {link: origin(source) for link, source in sources.items()}


def with_stand_ins(prompt: Prompt, **widgets: Any) -> Prompt:
    """The prompt with the small trained model, what stands in for its text encoder, and the files of ``write_inputs``.

    ``widgets`` replace those of every node that has them.
    """
    prompt = _as_checkpoints(copy.deepcopy(prompt))
    mask = itertools.cycle(masks())
    clip = "stand-in for the text encoder"
    encoders = {node for node, step in prompt.items() if step["class_type"] == "CheckpointLoaderSimple"}
    for step in prompt.values():
        inputs = step["inputs"]
        inputs.update({name: value for name, value in (_QUICK | widgets).items() if name in inputs})
        for name, value in inputs.items():
            if isinstance(value, list) and value[0] in encoders and value[1] == 1:
                inputs[name] = [clip, 0]
        match step["class_type"]:
            case "CheckpointLoaderSimple":
                inputs["ckpt_name"] = TRAINED
            case "LoadMediaPipeFaceLandmarker":
                inputs["model_name"] = FACE_MODEL
            case "UltralyticsDetectorProvider":
                step.update(class_type="MaskDetailerDemoDetector", inputs={})  # its outputs are in the same places
            case "SAM3_VideoTrack":
                step.update(class_type="MaskDetailerDemoTracks", inputs={"images": inputs["images"]})
            case "LoadImage":
                inputs["image"] = f"{next(mask)}.png"
            case "LoadVideo":
                inputs["file"] = "clip.mp4"
    prompt[clip] = {"class_type": "MaskDetailerDemoClip", "inputs": {}}
    return prompt


# what loads a part of a model, and which output of a checkpoint that is
_PARTS = {"UNETLoader": 0, "CLIPLoader": 1, "DualCLIPLoader": 1, "VAELoader": 2}


def _as_checkpoints(prompt: Prompt) -> Prompt:
    """Loaders of parts as loaders of checkpoints, and no LoRAs."""
    slots = {node: _PARTS[step["class_type"]] for node, step in prompt.items() if step["class_type"] in _PARTS}
    loras = {
        node: step["inputs"]["model"] for node, step in prompt.items() if step["class_type"] == "LoraLoaderModelOnly"
    }
    for step in prompt.values():
        for name, value in step["inputs"].items():
            if not isinstance(value, list) or not isinstance(value[0], str):
                continue
            source, slot = loras.get(value[0], value)
            step["inputs"][name] = [source, slots.get(source, slot)]
    for node in slots:
        prompt[node] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": ""}}
    return {node: step for node, step in prompt.items() if node not in loras}


def masks() -> dict[str, Pixels]:
    """The masks of the small picture by the name of their files."""
    boxes = pictures.SMALL_BOXES
    return {
        "painted": pictures.box_mask(*pictures.SMALL, boxes[:2]),
        "painted_too": pictures.box_mask(*pictures.SMALL, boxes[2:]),
    }


def write_inputs(folder: Path) -> None:
    """The files that the prompts load, for ComfyUI's input folder: pictures with a mask painted in, and a clip."""
    picture = pictures.demo_picture(*pictures.SMALL)
    for name, mask in masks().items():
        write_painted(folder / f"{name}.png", picture, mask)
    mask = masks()["painted"]
    write_video(folder / "clip.mp4", [np.roll(picture, 2 * frame, axis=1) for frame in range(FRAMES)])
    write_video(folder / "masks.mp4", [np.roll(mask, 2 * frame, axis=1) for frame in range(FRAMES)])


def write_painted(path: Path, picture: Pixels, mask: Pixels) -> None:
    """A picture as the mask editor saves it: see-through where the mask is white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [*cv2.split(picture)[::-1], 255 - mask]
    path.write_bytes(cv2.imencode(".png", cv2.merge(layers))[1].tobytes())


def unknown(workflow: Workflow, object_info: dict[str, Any]) -> Iterator[str]:
    """Types of nodes that the server doesn't offer."""
    return (node["type"] for node in run_by_server(workflow) if node["type"] not in object_info)


def _is_widget(spec: Any) -> bool:
    return isinstance(spec[0], list) or spec[0] in _WIDGETS
