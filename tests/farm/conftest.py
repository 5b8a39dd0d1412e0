"""Real ComfyUI servers for the farm's tests, with the pack, the demo's nodes and a tiny checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import farm_package  # noqa: F401 - makes `farm` importable
from support.checkpoint import make_checkpoint
from support.server import Server
from support.workflow import CHECKPOINT


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint, for servers that a farm starts."""
    folder = tmp_path_factory.mktemp("comfyui")
    make_checkpoint(folder / "models" / "checkpoints" / CHECKPOINT)
    (folder / "custom_nodes").mkdir()
    return folder


@pytest.fixture(scope="session")
def server(base: Path) -> Iterator[Server]:
    with Server(base, log=base / "server.log") as running:
        yield running


@pytest.fixture(scope="session")
def second_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    other = tmp_path_factory.mktemp("comfyui-2")
    make_checkpoint(other / "models" / "checkpoints" / CHECKPOINT)
    with Server(other, log=other / "server.log") as running:
        yield running
