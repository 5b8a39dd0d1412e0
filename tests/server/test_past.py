"""What was saved years ago, at a real server: prompts run, and the page is told how to open files."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

import pytest
from support import pictures
from support.client import Client, Prompt, RefusedError
from support.server import Server
from support.workflow import mask_detail, result

GUIDE_SIZE = 64.0  # twice the parts' shorter sides
SAMPLING: dict[str, Any] = {
    "seed": 5, "steps": 3, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5, "feather": 5,
}  # fmt: skip


def first_detailer(picture: str, mask: str) -> Prompt:
    """As of April 2023: MaskToSEGS with two widgets, and a detailer with neither clip, noise mask nor max_size."""
    prompt = mask_detail(picture, mask)
    pipe = prompt.pop("pipe")["inputs"]
    parts = {name: pipe[name] for name in ("model", "vae", "positive", "negative")}
    prompt["segs"] = {
        "class_type": "MaskToSEGS",
        "inputs": {"mask": ["mask", 0], "combined": "False", "crop_factor": 2.0},
    }
    prompt["detailer"] = {
        "class_type": "DetailerForEach",
        "inputs": {**SAMPLING, **parts, "image": ["picture", 0], "segs": ["segs", 0], "guide_size": GUIDE_SIZE},
    }
    return prompt


def test_an_old_prompt_runs(client: Client, server: Server, picture: str, mask: str) -> None:
    """All three parts are found, though "False" is a text, and are worked on."""
    prompt = first_detailer(picture, mask)
    prompt_id = client.queue(prompt)
    client.finish(prompt_id)
    after = result(client, prompt_id)
    before = result(client, client_result(client, picture))
    for x1, y1, x2, y2 in pictures.SMALL_BOXES:
        inside = (slice(y1 + 5, y2 - 5), slice(x1 + 5, x2 - 5))
        assert (after[inside] != before[inside]).any(-1).mean() > 0.9
    told = [line for line in server.log_text().splitlines() if "a prompt of an older version" in line]
    assert len(told) == 1
    assert "MaskToSEGS segs (" in told[0] and "DetailerForEach detailer (" in told[0]


def client_result(client: Client, picture: str) -> str:
    """A prompt that saves the picture as it is."""
    nodes: Prompt = {
        "picture": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "result": {"class_type": "SaveImage", "inputs": {"images": ["picture", 0], "filename_prefix": "as_it_is"}},
    }
    prompt_id = client.queue(nodes)
    client.finish(prompt_id)
    return prompt_id


def test_a_prompt_that_lacks_what_no_version_did_without_is_refused(client: Client, picture: str, mask: str) -> None:
    prompt = first_detailer(picture, mask)
    del prompt["detailer"]["inputs"]["model"]
    with pytest.raises(RefusedError, match="model"):
        client.queue(prompt)


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_the_page_is_told_how_to_open_a_file(client: Client, prefix: str) -> None:
    graph = {"nodes": [{"type": "MaskToSEGS", "widgets_values": ["True", 2]}, {"type": "SegsMaskCombine"}]}
    answer = json.loads(client.request(f"{prefix}/mask_detailer/old_file", json.dumps(graph).encode()))
    assert answer["changes"] == [[["nodes", 0, "widgets_values"], [True, 2, False, 1, False]]]
    assert answer["nodes"] == {"MaskToSEGS": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "cut", "bytes", "deep"])
def test_what_is_no_json_is_refused(client: Client, body: bytes) -> None:
    with pytest.raises((RefusedError, urllib.error.HTTPError), match="400"):
        client.request("/mask_detailer/old_file", body)


def test_deep_files_stay(client: Client) -> None:
    graph = {"nodes": [{"type": "MaskToSEGS", "widgets_values": json.loads("[" * 400 + "]" * 400)}]}
    answer = json.loads(client.request("/mask_detailer/old_file", json.dumps(graph).encode()))
    assert answer["changes"] == []
