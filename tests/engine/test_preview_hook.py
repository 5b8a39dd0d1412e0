"""The preview hook: what it writes, and whom it tells."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy_execution.graph
import comfy_execution.progress
import folder_paths
import pytest
import torch
from engine.running import detail
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.nodes import hooks as nodes
from PIL import Image

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


class Server:
    """Stands for the running server: notes what it is told to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def send_sync(self, *event: Any) -> None:
        self.sent.append(event)


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    standing = Server()
    prompt_server = SimpleNamespace(instance=standing)
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=prompt_server))  # type: ignore[arg-type]
    return standing


def test_preview(unet: Pipe, image: torch.Tensor, running: Server, tmp_path: Path) -> None:
    """Inside a running event loop, as ComfyUI runs nodes."""
    hook, for_upscalers = nodes.PreviewDetailerHookProvider().doit(95, "12:3")
    assert hook is for_upscalers
    two = mask_of(*SIZE, UPPER, LOWER)

    async def run() -> torch.Tensor:
        return detail(image, two, unet, detailer_hook=hook).image

    made = asyncio.run(run())

    assert torch.equal(made, detail(image, two, unet).image)
    item = {"filename": "12_3.webp", "subfolder": "pvhook", "type": "temp"}
    assert running.sent == [("impact-preview", {"node_id": "12:3", "item": item})] * 2
    with Image.open(tmp_path / "pvhook" / "12_3.webp") as shown:
        assert shown.format == "WEBP"
        assert shown.size == (SIZE[1], SIZE[0])
        pixels = torch.frombuffer(bytearray(shown.convert("RGB").tobytes()), dtype=torch.uint8)
    torch.testing.assert_close(pixels.reshape(1, *SIZE, 3) / 255, made, atol=0.15, rtol=0)


@pytest.mark.parametrize("runs_as", ["12:5", "12:5.0.0.7"], ids=["in a subgraph", "in a loop in one"])
def test_preview_is_sent_to_the_node_that_the_browser_has(running: Server, tmp_path: Path, runs_as: str) -> None:
    """Nodes that others make while they run, as loops do, are shown as the node that stands in the workflow."""
    prompt = comfy_execution.graph.DynamicPrompt({"12:5": {"class_type": "PreviewDetailerHookProvider", "inputs": {}}})
    prompt.add_ephemeral_node("12:5.0.0.7", {}, "12:5", "12:5")
    comfy_execution.progress.reset_progress_state("prompt 1", prompt)
    nodes.PreviewDetailerHookProvider().doit(95, runs_as)[0].post_paste(torch.rand(1, 8, 8, 3))
    item = {"filename": "12_5.webp", "subfolder": "pvhook", "type": "temp"}
    assert running.sent == [("impact-preview", {"node_id": "12:5", "item": item})]
    assert (tmp_path / "pvhook" / "12_5.webp").is_file()


def test_quality_and_batches(running: Server, tmp_path: Path) -> None:
    sizes = []
    image = torch.rand(2, 64, 64, 4)
    before = image.clone()
    for quality in (20, 95):
        hook = nodes.PreviewDetailerHookProvider().doit(quality, "7")[0]
        assert hook.post_paste(image) is image
        sizes.append((tmp_path / "pvhook" / "7.webp").stat().st_size)
    assert sizes[0] < sizes[1]
    assert torch.equal(image, before)


def test_preview_that_cannot_be_written(
    running: Server, tmp_path: Path, image: torch.Tensor, told: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pvhook").write_text("in the way")
    hook = nodes.PreviewDetailerHookProvider().doit(95, "7")[0]
    assert hook.post_paste(image) is image
    assert running.sent == []
    assert [record.levelno for record in told.records] == [logging.WARNING]


def test_preview_without_a_server(
    running: Server, tmp_path: Path, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "server")
    assert nodes.PreviewDetailerHookProvider().doit(95, "7")[0].post_paste(image) is image
    assert (tmp_path / "pvhook" / "7.webp").is_file()
