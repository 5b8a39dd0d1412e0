"""The farm and a real ComfyUI: bad jobs before anything runs, the same pictures as by hand, and what changes."""

from __future__ import annotations

import html
import json
import re
import shutil
import sqlite3
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import farm_jobs, pictures
from support.client import Client
from support.farm_jobs import Section
from support.server import Server
from support.workflow import RESULT

from farm import metrics
from farm.cli import main
from farm.ledger import Ledger
from farm.runner import Counts

pytestmark = pytest.mark.server

Change = Callable[[Path], dict[str, Section] | None]


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def prompt_without(folder: Path, node: str, name: str) -> None:
    prompt = farm_jobs.small_prompt()
    del prompt[node]["inputs"][name]
    (folder / "workflow.json").write_text(json.dumps(prompt))


def other_node(folder: Path, kind: str) -> None:
    (folder / "workflow.json").write_text(json.dumps(farm_jobs.small_prompt()).replace("ToBasicPipe", kind))


BAD: dict[str, tuple[Change, str]] = {
    "a node that is not installed": (
        lambda at: other_node(at, "ToBasicPip2"),
        "node pipe of the workflow is a ToBasicPip2, which this ComfyUI does not have; did you mean ToBasicPipe?",
    ),
    "a node's name that the workflow lacks": (
        lambda at: {"workflow": {"output": "resutl"}},
        "job.toml: workflow.output: the workflow has no node 'resutl'; did you mean 'result'?",
    ),
    "a wrong mask pattern": (
        lambda at: {"masks": {"pattern": "mask/{stem}.png"}},
        "masks.pattern gives 'mask/000.png' for pictures/000.png, and there is no such file (and 1 more such items; "
        "--skip-bad leaves them out)",
    ),
    "a picture that can't be read": (
        lambda at: cut_off(at / "pictures" / "001.png"),
        "the picture pictures/001.png is cut off (--skip-bad leaves it out)",
    ),
    "a mask of another size": (
        lambda at: void(pictures.write(at / "masks" / "000.png", pictures.box_mask(32, 48, []))),
        "the mask masks/000.png is 32x48 and its picture pictures/000.png 64x48; make it fit, or set masks.other_sizes "
        "to 'stretch' (--skip-bad leaves it out)",
    ),
    "an unknown model": (
        lambda at: {"values": {"checkpoint.ckpt_name": "tin.safetensors"}},
        "job.toml, values: 'ckpt_name' of node checkpoint (CheckpointLoaderSimple) is 'tin.safetensors', which this "
        "ComfyUI does not have; did you mean 'tiny.safetensors'?",
    ),
    "no GPU": (
        lambda at: {"comfyui": {"addresses": None, "path": "comfyui", "devices": [7]}},
        "comfyui.devices asks for GPU 7, but this machine shows none; 'cpu' works without one",
    ),
    "a workflow as the page saves it": (
        lambda at: void((at / "workflow.json").write_text('{"nodes": [], "links": [], "version": 0.4}')),
        "workflow.json is a workflow as saved for the page: export it with Workflow > Export (API)",
    ),
    "an old workflow": (
        lambda at: prompt_without(at, "mask", "channel"),
        "node mask (LoadImageMask) lacks 'channel', which this ComfyUI asks for: the workflow is older than that node; "
        "open it in ComfyUI and export it anew",
    ),
    "a value out of its range": (
        lambda at: {"values": {"detailer.denoise": 1.5}},
        "job.toml, values: 'denoise' of node detailer (MaskDetailerPipe) is 1.5, but must be from 0.0001 to 1.0",
    ),
    "a word for a number in the CSV": (
        lambda at: rows(at, "000,many\n001,3\n"),
        "values.csv, column 'how': 'steps' of node detailer (MaskDetailerPipe) must be a whole number, not 'many'",
    ),
    "an input that there is not": (
        lambda at: {"seed": {"input": "detailer.sed"}},
        "seed.input: node detailer (MaskDetailerPipe) has no input 'sed'; did you mean 'seed'?",
    ),
    "no ComfyUI": (
        lambda at: {"comfyui": {"addresses": None, "path": "nowhere"}},
        "comfyui.path is @/nowhere, which has no main.py; set it to a ComfyUI folder",
    ),
    "no server at the address": (
        lambda at: {"comfyui": {"addresses": ["http://127.0.0.1:9"]}},
        "no ComfyUI answers at http://127.0.0.1:9",
    ),
    "two items with one name": (
        lambda at: {"pictures": {"files": ["pictures/*.png", "masks/*.png"]}, "masks": {"pattern": "masks/000.png"}},
        "pictures/000.png and masks/000.png would both be written to '000': put {folder} or a column into naming",
    ),
}


def void(what: object) -> None:
    """Nothing, whatever came."""


def rows(folder: Path, lines: str) -> dict[str, Section]:
    (folder / "values.csv").write_text("picture,how\n" + lines)
    return {"items": {"csv": "values.csv", "columns": {"how": "detailer.steps"}}}


@pytest.mark.parametrize("what", BAD)
def test_bad_jobs(
    what: str, tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, and nothing was queued."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "comfyui").mkdir()
    (tmp_path / "comfyui" / "main.py").touch()
    farm_jobs.write_pictures(tmp_path, 2)
    change, wanted = BAD[what]
    sections = change(tmp_path) or {}
    comfyui = {"addresses": [server.url]} | dict(sections.get("comfyui", {}))
    job = farm_jobs.write_job(tmp_path, sections | {"comfyui": comfyui})
    queued = history(server)
    assert main(["run", str(job)]) == 1
    *_, said = capsys.readouterr().err.strip().splitlines()
    assert said == f"farm: {wanted.replace('@', str(tmp_path))}"
    assert history(server) == queued


def history(server: Server) -> int:
    client = Client(server.url)
    return len(client.get("/history")) + client.waiting()


def run(job: Path) -> int:
    return main(["run", str(job)])


def test_as_by_hand_and_only_what_changed(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    farm_jobs.write_pictures(tmp_path, 4)
    job = farm_jobs.write_job(tmp_path, {"comfyui": {"addresses": [server.url]}})
    before = history(server)
    assert main(["plan", str(job)]) == 0
    assert "4 items: 4 to do, 0 done already, 0 failed" in capsys.readouterr().out and history(server) == before
    assert run(job) == 0
    files = farm_jobs.made(tmp_path / "done")
    assert list(files) == farm_jobs.names(4) and history(server) == before + 4
    # by hand: the same graph, queued by another client
    seeds = seeds_of(tmp_path / "done")
    with Client(server.url) as client:
        for name in files:
            prompt = farm_jobs.small_prompt(seed=seeds[name])
            for node, folder in (("picture", "pictures"), ("mask", "masks")):
                uploaded = client.upload_image(tmp_path / folder / name, f"by-hand-{folder}-{name}")
                prompt[node]["inputs"]["image"] = uploaded
            prompt_id = client.queue(prompt)
            client.finish(prompt_id)
            (saved,) = client.history(prompt_id)["outputs"][RESULT]["images"]
            assert np.array_equal(pictures.decode(client.view(saved)), pictures.decode(files[name]))
    # again: nothing; another mask: that item alone; a file that is gone: that one
    queued = history(server)
    assert run(job) == 0 and history(server) == queued
    pictures.write(tmp_path / "masks" / "002.png", pictures.box_mask(*farm_jobs.SIZE, [(4, 4, 30, 40)]))
    (tmp_path / "done" / "001.png").unlink()
    assert run(job) == 0 and history(server) == queued + 2
    changed = farm_jobs.made(tmp_path / "done")
    assert [name for name in files if files[name] != changed[name]] == ["002.png"]


def seeds_of(output: Path) -> dict[str, int]:
    with sqlite3.connect(output / "farm.sqlite") as opened:
        found = opened.execute("SELECT name, given FROM items").fetchall()
    return {f"{name}.png": json.loads(given)["detailer.seed"] for name, given in found}


def test_a_poison_item(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """What ComfyUI can't work ends as failed with its reason, and the rest is done; retry, report and metrics."""
    farm_jobs.write_pictures(tmp_path, 3)
    tiny = np.zeros((6, 6, 3), np.uint8)
    pictures.write(tmp_path / "pictures" / "001.png", tiny)
    pictures.write(tmp_path / "masks" / "001.png", tiny[..., 0] + 255)
    job = farm_jobs.write_job(tmp_path, {"comfyui": {"addresses": [server.url]}, "run": {"tries": 2}})
    assert run(job) == 3
    said = capsys.readouterr().out
    reason = re.search(r"1 error: (node \w+ \(\w+\): .+)", said)
    assert "2 done" in said and reason, said
    assert farm_jobs.states(tmp_path / "done") == {"done": 2, "failed": 1}
    assert main(["status", str(job)]) == 0
    assert re.search(r"tried again\n.*\n  001 +2 ", capsys.readouterr().out)
    ledger = Ledger(tmp_path / "done" / "farm.sqlite")
    told = metrics.text(ledger, Counts(done=2))
    ledger.close()
    assert 'mask_detailer_farm_items{state="failed"} 1' in told and "mask_detailer_farm_done_total 2" in told
    assert main(["report", str(job), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4 and 'src="http' not in page
    assert html.escape(reason[1]) in page and "<h3>error (1)</h3>" in page
    assert main(["retry", str(job)]) == 0
    assert farm_jobs.states(tmp_path / "done") == {"done": 2, "planned": 1}
    shutil.copy(tmp_path / "pictures" / "000.png", tmp_path / "pictures" / "001.png")
    shutil.copy(tmp_path / "masks" / "000.png", tmp_path / "masks" / "001.png")
    assert run(job) == 0


def test_metrics_and_logs(tmp_path: Path, server: Server) -> None:
    farm_jobs.write_pictures(tmp_path, 3)
    job = farm_jobs.write_job(tmp_path, {"comfyui": {"addresses": [server.url]}})
    ledger = Ledger(tmp_path / "farm.sqlite")
    ledger.close()
    serving = metrics.serve("127.0.0.1:0", tmp_path / "farm.sqlite", Counts)
    with urllib.request.urlopen(f"http://127.0.0.1:{serving.server_address[1]}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'mask_detailer_farm_items{state="done"} 0' in answer.read().decode()
    serving.shutdown()
    code, said = farm_jobs.farm("run", job, "--log", "json", "--verbose")
    assert code == 0
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert sum(line["message"].startswith("done: ") for line in lines) == 3
    assert {"time", "level", "thread", "message"} <= set(lines[0])
