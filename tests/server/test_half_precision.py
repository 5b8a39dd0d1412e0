"""A ComfyUI started with ``--fp16-intermediates``: pictures and masks between nodes are half precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import comfy.cli_args
import numpy as np
import pytest
from support import pictures
from support.checkpoint import make_checkpoint
from support.client import Client
from support.server import Server
from support.workflow import CHECKPOINT, mask_detail, result

FEATHER = 5

pytestmark = pytest.mark.skipif(
    not hasattr(comfy.cli_args.args, "fp16_intermediates"), reason="this ComfyUI has no --fp16-intermediates"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("half")
    make_checkpoint(base / "models" / "checkpoints" / CHECKPOINT, zero_last_layer=True)
    with Server(base, log=base / "server.log", arguments=["--fp16-intermediates"]) as running:
        yield running


def test_a_detailer(client: Client, picture: str, mask: str, picture_file: Path) -> None:
    """The saved picture's bytes are the loaded one's but for what the paste mask reaches."""
    prompt_id = client.queue(
        mask_detail(picture, mask, guide_size=64, max_size=128, steps=2, denoise=0.5, feather=FEATHER, seed=5)
    )
    client.finish(prompt_id)
    after, before = result(client, prompt_id), pictures.decode(picture_file.read_bytes())
    reach = np.zeros(before.shape[:2], bool)
    for x1, y1, x2, y2 in pictures.SMALL_BOXES:
        reach[y1 - FEATHER : y2 + FEATHER, x1 - FEATHER : x2 + FEATHER] = True
    # a byte over 255 as the nearest half, times 255: less than half a byte off, but SaveImage cuts off what follows
    assert np.abs(after.astype(int) - before)[~reach].max() <= 1
    assert (after[reach] != before[reach]).any(-1).mean() > 0.5
