"""Thumbnails of the segments that a picker node had to choose from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import workflow
from support.client import Client, Prompt, RefusedError
from support.pictures import decode
from support.server import Server

COUNT, VIEW = "/mask_detailer/picker/count", "/mask_detailer/picker/view"


@pytest.fixture(scope="module", autouse=True)
def inputs(server: Server) -> None:
    workflow.write_inputs(server.base / "input")


def picking(node: str) -> Prompt:
    """Three segments and a picker, whose picture goes on."""
    return {
        "picture": {"class_type": "LoadImage", "inputs": {"image": "picture.png"}},
        "mask": {"class_type": "LoadImageMask", "inputs": {"image": "mask.png", "channel": "red"}},
        "segs": {
            "class_type": "MaskToSEGS",
            "inputs": {"mask": ["mask", 0], "combined": False, "crop_factor": 2.0, "bbox_fill": False, "drop_size": 3,
                       "contour_fill": True},
        },
        node: {
            "class_type": "ImpactSEGSPicker",
            "inputs": {"picks": "1, 3", "segs": ["segs", 0], "fallback_image_opt": ["picture", 0]},
        },
        "result": {"class_type": "SEGSPreview", "inputs": {"segs": [node, 0], "alpha_mode": False, "min_alpha": 0.2,
                                                           "fallback_image_opt": ["picture", 0]}},
    }  # fmt: skip


def run(client: Client, prompt: Prompt) -> dict[str, Any]:
    prompt_id = client.queue(prompt)
    client.finish(prompt_id)
    return client.history(prompt_id)["outputs"]


def refused(client: Client, path: str) -> int:
    with pytest.raises(RefusedError) as raised:
        client.request(path)
    return raised.value.status


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("base", ["/mask_detailer/picker", "/impact/segs/picker"])
def test_thumbnails(client: Client, prefix: str, base: str) -> None:
    outputs = run(client, picking("7"))
    assert len(outputs["result"]["images"]) == 2
    assert client.request(f"{prefix}{base}/count?id=7") == b"3"
    whole = decode(client.request("/view?filename=picture.png&type=input")).astype(int)
    lowest = decode(client.request(f"{prefix}{base}/view?id=7&idx=0")).astype(int)
    x1, y1, x2, y2 = workflow.pictures.SMALL_BOXES[2]
    crop = whole[y1 - 12 : y2 + 12, x1 - 14 : x2 + 14]
    assert lowest.shape == crop.shape
    assert np.abs(lowest[12:-12, 14:-14] - crop[12:-12, 14:-14]).max() <= 1
    assert np.abs(lowest[:12] - 0.3 * crop[:12]).max() <= 1


@pytest.mark.parametrize(
    "query", ["", "?id=", "?id=404", "?id=404&idx=0", "?id=7&idx=3", "?id=7&idx=-1", "?id=7&idx=x"]
)
def test_unknown(client: Client, query: str) -> None:
    run(client, picking("7"))
    assert refused(client, VIEW + query) == 400
    if "idx" not in query:
        assert refused(client, COUNT + query) == 400


def test_what_stands_under_the_thumbnails(client: Client) -> None:
    """Before a node's first run there is nothing, which is no error."""
    path = "/mask_detailer/picker/segments"
    assert client.get(f"{path}?id=never") == {"segments": None} == client.get(path)
    run(client, picking("7"))
    assert client.get(f"{path}?id=7") == {"segments": [{"label": "A", "confidence": 1.0}] * 3}


def test_other_prompts_refused_ones_and_cached_runs_take_nothing(client: Client) -> None:
    run(client, picking("7"))
    run(client, picking("8"))
    assert client.request(f"{COUNT}?id=7") == client.request(f"{COUNT}?id=8") == b"3"
    with pytest.raises(RefusedError):
        client.queue({"9": {"class_type": "ImpactSEGSPicker", "inputs": {}}})
    run(client, picking("7"))  # out of ComfyUI's cache
    assert client.request(f"{COUNT}?id=7") == client.request(f"{COUNT}?id=8") == b"3"


def test_numbers_without_end_are_refused(client: Client) -> None:
    run(client, picking("7"))
    assert refused(client, f"{VIEW}?id=7&idx={'9' * 5000}") == 400


def test_wildcard_lists(client: Client) -> None:
    assert client.get("/impact/wildcards/list") == {"data": []}
