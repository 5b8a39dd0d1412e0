"""500 small pictures by the farm and by a bare loop in turns: the same bytes, and hardly less speed.

By hand: `python dev.py test tests/farm/test_throughput.py -m by_hand -s`; FARM_COUNT takes another number. The Ray one
runs where Ray can be installed, and compares with a loop a server.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import farm_jobs
from support.client import Client
from support.farm_ray import ray_python
from support.server import Server
from support.workflow import RESULT

from farm.comfy import Client as FarmClient
from farm.items import seed_of

COUNT = int(os.environ.get("FARM_COUNT", "500"))
ROUNDS = 5  # in turns, so that what else the machine does meets both
SIZED = {"guide_size": 128, "max_size": 128, "steps": 2}

pytestmark = [pytest.mark.by_hand, pytest.mark.timeout(7200)]


def bare(server: Server, folder: Path, names: list[str]) -> dict[str, bytes]:
    """A loop as one writes it: upload, queue, wait, fetch, write. Files hold the server's names: as the farm's."""
    made = {}
    with Client(server.url) as client:
        for name in names:
            label = f"pictures/{name}"
            place = f"farm/{hashlib.blake2b(label.encode(), digest_size=6).hexdigest()}"
            prompt = farm_jobs.small_prompt(**SIZED, seed=seed_of(7, label))
            uploads = FarmClient(server.url)
            for node, kind, to in (("picture", "pictures", place), ("mask", "masks", f"{place}/mask")):
                prompt[node]["inputs"]["image"] = uploads.upload((folder / kind / name).read_bytes(), to, name)
            prompt_id = client.queue(prompt)
            client.finish(prompt_id)
            (saved,) = client.history(prompt_id)["outputs"][RESULT]["images"]
            made[name] = client.view(saved)
            (folder / f"bare-{name}").write_bytes(made[name])
    return made


def warm(servers: list[Server], folder: Path) -> None:
    """Nothing is kept of earlier prompts, and the model is loaded."""
    for server in servers:
        FarmClient(server.url).forget_results()
        bare(server, folder, ["warm.png"])


@pytest.mark.parametrize(("executor", "least"), [("local", 0.95), ("ray", 0.9)])
def test_beside_a_bare_loop(executor: str, least: float, tmp_path: Path, server: Server, second_server: Server) -> None:
    servers = [server] if executor == "local" else [server, second_server]
    python = ray_python() if executor == "ray" else None
    seconds = {"bare": 0.0, "farm": 0.0}
    each = COUNT // ROUNDS
    (tmp_path / "workflow.json").write_text(farm_jobs.json.dumps(farm_jobs.small_prompt(**SIZED)))
    for turn in range(ROUNDS):
        folder = tmp_path / f"{turn}"
        farm_jobs.write_pictures(folder, each + 1, first=turn * each)
        for kind in ("pictures", "masks"):
            (folder / kind / f"{turn * each + each:03d}.png").rename(folder / kind / "warm.png")
        names = sorted(path.name for path in (folder / "pictures").iterdir() if path.name != "warm.png")
        job = farm_jobs.write_job(
            folder,
            {
                "pictures": {"files": "pictures/[0-9]*.png"},
                "workflow": {"file": "../workflow.json"},
                "comfyui": {"addresses": [one.url for one in servers]},
                "run": {"executor": executor, "workers": len(servers)},
            },
        )
        wanted: dict[str, bytes] = {}
        for what in ("bare", "farm") if turn % 2 else ("farm", "bare"):
            warm(servers, folder)
            if what == "bare":
                started = time.monotonic()
                parts = [names[at :: len(servers)] for at in range(len(servers))]
                with ThreadPoolExecutor(len(servers)) as loops:
                    for made in loops.map(bare, servers, [folder] * len(servers), parts):
                        wanted |= made
                seconds["bare"] += time.monotonic() - started
            else:
                code, said = farm_jobs.farm("run", job, python=python)
                assert code == 0, said
                (spent,) = re.findall(rf"{each} done in [^(]*\(([\d.]+) s\)", said)
                seconds["farm"] += float(spent)
        assert farm_jobs.made(folder / "done") == wanted
    ratio = seconds["bare"] / seconds["farm"]
    speeds = {what: f"{each * ROUNDS / spent:.2f}/s" for what, spent in seconds.items()}
    sys.stderr.write(f"\n{executor}: {each * ROUNDS} pictures, {speeds}, ratio {ratio:.3f}\n")
    assert ratio >= least
