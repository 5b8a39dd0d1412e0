"""What ComfyUI's own validation lets through over HTTP, and the node must answer for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import pictures
from support.client import Client, Prompt, PromptError
from support.server import Server
from support.workflow import DETAILER, mask_detail, result

QUICK: dict[str, Any] = {"guide_size": 64, "max_size": 128, "steps": 1, "denoise": 0.5, "feather": 5}
WHITE = 0xFFFFFF


def plain(width: int, height: int, count: int = 1, colour: int = WHITE) -> dict[str, Any]:
    inputs = {"width": width, "height": height, "batch_size": count, "color": colour}
    return {"class_type": "EmptyImage", "inputs": inputs}


def with_pictures(prompt: Prompt, image: dict[str, Any] | None, mask: dict[str, Any]) -> Prompt:
    """The prompt with drawn pictures instead of the uploaded ones."""
    mask_nodes = {
        "drawn": mask,
        "mask": {"class_type": "ImageToMask", "inputs": {"image": ["drawn", 0], "channel": "red"}},
    }
    return prompt | mask_nodes | ({} if image is None else {"picture": image})


def test_picture_smaller_than_a_latent_cell(client: Client, picture: str, mask: str) -> None:
    prompt = with_pictures(mask_detail(picture, mask, **QUICK), plain(7, 40), plain(7, 40))
    with pytest.raises(PromptError, match=r"MaskDetailerPipe, input 'image': the picture is 7x40, .*8x8.* Enlarge"):
        client.finish(client.queue(prompt))


def test_counts_that_do_not_pair(client: Client, picture: str, mask: str) -> None:
    prompt = with_pictures(mask_detail(picture, mask, **QUICK), plain(64, 64, 3), plain(64, 64, 2))
    with pytest.raises(PromptError, match=r"MaskDetailerPipe, input 'mask': 2 masks for 3 images\. Give as many"):
        client.finish(client.queue(prompt))


def test_the_next_prompt_is_clean(client: Client, picture: str, mask: str) -> None:
    """An error leaves nothing behind."""
    prompt_id = client.queue(mask_detail(picture, mask, **QUICK | {"seed": 71}))
    client.finish(prompt_id)
    assert result(client, prompt_id).any()


def test_mask_of_another_size(server: Server, client: Client, picture: str, mask: str) -> None:
    """It is stretched to the picture: a white one of any size is all of it."""
    width, height = pictures.SMALL
    same, other = (
        with_pictures(mask_detail(picture, mask, **QUICK | {"seed": 72}), None, plain(w, h))
        for w, h in ((width, height), (31, 200))
    )
    ids = [client.queue(same), client.queue(other)]
    for prompt_id in ids:
        client.finish(prompt_id)
    assert np.array_equal(*(result(client, prompt_id) for prompt_id in ids))
    assert f"the 31x200 mask is rescaled to the {width}x{height} picture" in server.log_text()


def test_empty_mask(server: Server, client: Client, picture: str, mask: str, picture_file: Path) -> None:
    """The picture comes back as it is."""
    prompt = with_pictures(mask_detail(picture, mask, **QUICK), None, plain(*pictures.SMALL, colour=0))
    prompt_id = client.queue(prompt)
    client.finish(prompt_id)
    assert np.array_equal(result(client, prompt_id), pictures.decode(picture_file.read_bytes()))
    assert f"{prompt[DETAILER]['class_type']}: mask 0 is black: nothing is painted" in server.log_text()
