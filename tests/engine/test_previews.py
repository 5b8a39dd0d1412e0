"""What only shows something: where it can't be written or sent the work goes on, and the log says so once."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import torch
from engine.running import SEGS_SIZE, detail, segs_of
from engine.test_live import PROMPT, WORKFLOW
from engine.test_live import server as live_server
from engine.test_plan_node import PLANNED
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.core.pixels import LARGEST_WEBP
from mask_detailer.detailer import host, live
from mask_detailer.detailer.hooks.builtin import PreviewHook
from mask_detailer.nodes.control import SEGSPreviewCNet
from mask_detailer.nodes.plan import MaskDetailerPlan
from mask_detailer.nodes.routes import candidates
from mask_detailer.nodes.segs import SEGSPreview
from mask_detailer.nodes.segs_lists import ImpactSEGSPicker

SIZE = (96, 112)
UPPER, LOWER = (16, 16, 32, 32), (80, 56, 96, 72)

server = live_server


def full(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def read_only(*_: Any, **__: Any) -> None:
    raise PermissionError(errno.EROFS, "Read-only file system")


@pytest.fixture(params=["full", "read-only", "a file in its place"])
def broken_temp(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    temp = tmp_path / "temp"
    monkeypatch.setattr(folder_paths, "temp_directory", str(temp))
    if request.param == "full":
        temp.mkdir()
        monkeypatch.setattr(Path, "write_bytes", full)
    elif request.param == "read-only":
        monkeypatch.setattr(Path, "mkdir", read_only)
        monkeypatch.setattr("os.makedirs", read_only)
    else:
        temp.write_text("in the way")
    yield temp
    assert not temp.is_dir() or not [path for path in temp.rglob("*") if path.is_file()]


def warnings(told: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in told.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("node", ["SEGSPreview", "SEGSPreviewCNet", "MaskDetailerPlan"])
def test_a_broken_temp_folder_costs_the_preview_only(
    unet: Pipe, broken_temp: Path, told: pytest.LogCaptureFixture, node: str
) -> None:
    segs, image = segs_of(UPPER, LOWER), picture(*SEGS_SIZE)
    if node == "SEGSPreview":
        made = SEGSPreview().doit(segs, True, 0.2, image)
        assert len(made["result"][0]) == 2
    elif node == "SEGSPreviewCNet":
        made = SEGSPreviewCNet().doit(segs)
        assert made["result"] == ([],)
    else:
        made = MaskDetailerPlan().doit(image, unet, segs=segs, **PLANNED)
        assert made["result"][0].shape == image.shape and "segment" in made["result"][1]
    assert made["ui"]["images"] == []
    (line,) = warnings(told)
    assert "can be shown" in line and "the work goes on" in line


def test_a_broken_temp_folder_costs_the_hook_its_preview_only(
    unet: Pipe, broken_temp: Path, told: pytest.LogCaptureFixture
) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER, LOWER)
    wanted = detail(image, mask, unet).image
    made = detail(image, mask, unet, detailer_hook=PreviewHook("7", 90)).image
    assert torch.equal(made, wanted)
    (line,) = warnings(told)  # not one a segment
    assert "node 7" in line


def test_the_hook_shows_again_and_tells_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    hook, image = PreviewHook("7", 90), torch.rand(1, 8, 8, 3)
    for broken in (True, True, False, True):
        with monkeypatch.context() as patch:
            if broken:
                patch.setattr(Path, "write_bytes", full)
            assert hook.post_paste(image) is image
    assert len(warnings(told)) == 2


def test_more_than_a_webp_holds_is_shown_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    (shown,) = host.folders.save_previews([torch.rand(2, LARGEST_WEBP + 10, 4)], "long")
    assert (tmp_path / shown["filename"]).is_file()


def test_what_is_shown_live_costs_no_run(
    unet: Pipe, server: Any, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    image, mask = picture(*SIZE), mask_of(*SIZE, UPPER, LOWER)
    wanted = detail(image, mask, unet).image
    told.clear()
    monkeypatch.setattr(live, "thumbnail", full)
    assert torch.equal(detail(image, mask, unet).image, wanted)
    (line,) = warnings(told)
    assert "shown no more of this run" in line


def test_a_picker_that_cannot_show_still_picks(monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(candidates, "keep", full)
    (picked,) = ImpactSEGSPicker().doit("2", segs_of(UPPER, LOWER), None, "7")
    assert len(picked[1]) == 1
    assert len(warnings(told)) == 1


def test_the_interrupt_is_no_failed_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management

    class OlderInterruptError(Exception):
        """As in releases where it is an ordinary one."""

    monkeypatch.setattr(comfy.model_management, "InterruptProcessingException", OlderInterruptError)
    with pytest.raises(OlderInterruptError), host.devices.only_a_preview("x"):
        raise OlderInterruptError


# --- whom it is sent to -------------------------------------------------------------------------------------------


def sent_by(server: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], str | None]]:
    sent: list[tuple[dict[str, Any], str | None]] = []
    monkeypatch.setattr(server, "send_sync", lambda event, data, client=None: sent.append((data, client)))
    PreviewHook("12:7", 90).post_paste(torch.rand(1, 8, 8, 3))
    return sent


def test_a_preview_goes_to_the_client_that_queued(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    ((data, client),) = sent_by(server, monkeypatch)
    assert client == "browser"
    assert (data["node_id"], data["workflow"], data["prompt_id"]) == ("12:7", WORKFLOW, PROMPT)
    assert data["item"]["filename"] == "12_7.webp"


def test_a_preview_goes_to_all_where_no_client_is_known(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    server.client_id = None
    ((data, client),) = sent_by(server, monkeypatch)
    assert client is None and data["node_id"] == "12:7"


@pytest.mark.parametrize("extra", [None, 5, {"extra_pnginfo": "x"}, {"extra_pnginfo": {"workflow": []}}, {}])
def test_whatever_came_with_the_prompt(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: Any
) -> None:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    server.prompt_queue.currently_running = {0: (1, PROMPT, {}, extra, [], {})}
    ((data, _),) = sent_by(server, monkeypatch)
    assert data["workflow"] is None
