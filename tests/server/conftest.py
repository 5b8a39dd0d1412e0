"""One real ComfyUI for all server tests, with the pack, the demo's nodes and a tiny checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pictures
from support.checkpoint import make_checkpoint
from support.client import Client
from support.server import Server
from support.workflow import CHECKPOINT


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfyui")
    make_checkpoint(base / "models" / "checkpoints" / CHECKPOINT, zero_last_layer=True)
    with Server(base, log=base / "server.log") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


@pytest.fixture(scope="session")
def picture_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    picture = pictures.demo_picture(*pictures.SMALL)
    return pictures.write(tmp_path_factory.mktemp("pictures") / "picture.png", picture)


@pytest.fixture(scope="session")
def mask_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mask = pictures.box_mask(*pictures.SMALL, pictures.SMALL_BOXES)
    return pictures.write(tmp_path_factory.mktemp("masks") / "mask.png", mask)


@pytest.fixture
def picture(client: Client, picture_file: Path) -> str:
    """The uploaded picture's name."""
    return client.upload_image(picture_file)


@pytest.fixture
def mask(client: Client, mask_file: Path) -> str:
    """The uploaded mask's name: three separate boxes."""
    return client.upload_image(mask_file)
