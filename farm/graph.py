"""The graph that is queued: read from a file or our default, with an item's picture, mask and values put in."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypedDict

from .errors import FarmError
from .job import Job, Value


class _Node(TypedDict):
    class_type: str
    inputs: dict[str, object]


class Node(_Node, total=False):
    """A node as ComfyUI's API format has it."""

    _meta: dict[str, str]


Prompt = dict[str, Node]
IMAGE_INPUT = "image"  # of every node that loads a picture or a mask


@dataclass(frozen=True)
class Graph:
    """A prompt, and the ids of the nodes where picture and mask go in and the output comes out; ``mask`` may be ""."""

    prompt: Prompt
    picture: str
    mask: str
    output: str

    def place(self, where: str, source: str) -> tuple[str, str]:
        """(node id, input) of ``node.input``; FarmError names what ``source`` got wrong."""
        node, dot, name = where.rpartition(".")
        if not dot:
            raise FarmError(f"{source}: {where!r} must be written node.input, as in 'detailer.denoise'")
        return find(self.prompt, node, f"{source} {where!r}"), name

    def filled(self, picture: str, mask: str, values: Mapping[str, Value]) -> Prompt:
        """The prompt for files as the server has them, and values by "id.input"."""
        prompt: Prompt = {name: {**node, "inputs": dict(node["inputs"])} for name, node in self.prompt.items()}
        prompt[self.picture]["inputs"][IMAGE_INPUT] = picture
        if mask and self.mask:
            prompt[self.mask]["inputs"][IMAGE_INPUT] = mask
        for where, value in values.items():
            node, _, name = where.rpartition(".")
            prompt[node]["inputs"][name] = value
        return prompt


def of(job: Job) -> Graph:
    """The job's graph with the values that hold for all items."""
    prompt = _read(job) if job.workflow.file else _default(job.masks.source)
    name = job.file.name
    picture = find(prompt, job.workflow.picture, f"{name}: workflow.picture")
    output = find(prompt, job.workflow.output, f"{name}: workflow.output")
    mask = find(prompt, job.workflow.mask, f"{name}: workflow.mask") if job.masks.source == "files" else ""
    graph = Graph(prompt, picture, mask, output)
    for node, what in ((picture, "picture"), (mask, "mask")):
        if node and IMAGE_INPUT not in prompt[node]["inputs"]:
            kind = prompt[node]["class_type"]
            raise FarmError(
                f"{name}: workflow.{what} is node {node} ({kind}), which loads no file; name a LoadImage or its like"
            )
        if node:
            prompt[node]["inputs"][IMAGE_INPUT] = ""  # whatever was there when it was exported
    for where, value in job.values.items():
        node, input_name = graph.place(where, f"{name}: values")
        graph.prompt[node]["inputs"][input_name] = value
    return graph


def find(prompt: Prompt, name: str, source: str) -> str:
    """The id of the node that has this id or, alone of all, this title."""
    if name in prompt:
        return name
    titles = [node_id for node_id, node in prompt.items() if node.get("_meta", {}).get("title") == name]
    if len(titles) == 1:
        return titles[0]
    if titles:
        raise FarmError(f"{source}: the nodes {', '.join(titles)} all have the title {name!r}; use an id")
    names = [*prompt, *filter(None, (node.get("_meta", {}).get("title") for node in prompt.values()))]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names[:12])}"
    raise FarmError(f"{source}: the workflow has no node {name!r}; {hint}")


def links(node: Node) -> Iterator[tuple[str, str, int]]:
    """(input, id of the node it comes from, which of its outputs)."""
    for name, value in node["inputs"].items():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int):
            yield name, str(value[0]), value[1]


def _read(job: Job) -> Prompt:
    file = job.workflow.file
    assert file is not None
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FarmError(f"the workflow {file} can't be read: {error.strerror or error}") from None
    except ValueError as error:
        raise FarmError(f"the workflow {file.name} is not JSON: {error}") from None
    if isinstance(said, dict) and isinstance(said.get("nodes"), list):
        raise FarmError(f"{file.name} is a workflow as saved for the page: export it with Workflow > Export (API)")
    if isinstance(said, dict) and isinstance(said.get("prompt"), dict):
        said = said["prompt"]
    whole = isinstance(said, dict) and all(
        isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
        for node in said.values()
    )
    if not (whole and said):
        raise FarmError(f"{file.name} is no workflow in API format: each node needs class_type and inputs")
    return said


def _default(source: str) -> Prompt:
    prompt = copy.deepcopy(DEFAULT)
    if source == "alpha":
        del prompt["mask"]
        prompt["detailer"]["inputs"]["mask"] = ["picture", 1]
    return prompt


# Every value can be set in the job's [values]; the checkpoint must be.
DEFAULT: Prompt = {
    "checkpoint": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": ""}},
    "positive": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["checkpoint", 1], "text": ""}},
    "negative": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["checkpoint", 1], "text": ""}},
    "picture": {"class_type": "LoadImage", "inputs": {"image": ""}},
    "mask": {"class_type": "LoadImageMask", "inputs": {"image": "", "channel": "red"}},
    "pipe": {
        "class_type": "ToBasicPipe",
        "inputs": {
            "model": ["checkpoint", 0], "clip": ["checkpoint", 1], "vae": ["checkpoint", 2],
            "positive": ["positive", 0], "negative": ["negative", 0],
        },
    },
    "detailer": {
        "class_type": "MaskDetailerPipe",
        "inputs": {
            "image": ["picture", 0], "mask": ["mask", 0], "basic_pipe": ["pipe", 0], "guide_size": 512,
            "guide_size_for": True, "max_size": 1024, "mask_mode": True, "seed": 0, "steps": 20, "cfg": 8.0,
            "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5, "feather": 5, "crop_factor": 3.0,
            "drop_size": 10, "refiner_ratio": 0.2, "batch_size": 1, "cycle": 1, "inpaint_model": False,
            "noise_mask_feather": 20, "bbox_fill": False, "contour_fill": True,
        },
    },
    "result": {"class_type": "SaveImage", "inputs": {"images": ["detailer", 0], "filename_prefix": "farm"}},
}  # fmt: skip
