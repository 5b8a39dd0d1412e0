"""A thousand prompts and twenty interrupts, one server: nothing grows, nothing stays behind.

    python dev.py test tests/server/test_soak.py -m by_hand -s

SOAK_PROMPTS is another number of prompts.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from support.checkpoint import make_checkpoint
from support.client import Client, Prompt, PromptError
from support.server import Server
from support.workflow import CHECKPOINT, DETAILER, RESULT, mask_detail

pytestmark = [pytest.mark.by_hand, pytest.mark.timeout(0)]

PROMPTS = int(os.environ.get("SOAK_PROMPTS") or 1000)
EVERY = 50
WARM = 4  # measurements until all that is kept is there: ComfyUI's threads, PyTorch's blocks
INTERRUPTS = 20
QUICK: dict[str, Any] = {"guide_size": 64, "max_size": 64, "steps": 1, "denoise": 0.5}
MIB = 2**20


class Use(NamedTuple):
    """What a process holds."""

    resident: float  # MiB
    handles: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> Use:
        handles = process.num_handles() if hasattr(process, "num_handles") else process.num_fds()
        return cls(process.memory_info().rss / MIB, handles, process.num_threads())

    def __str__(self) -> str:
        return f"{self.resident:.0f} MiB, {self.handles} handles, {self.threads} threads"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of its own: what other tests did in it would count."""
    base = tmp_path_factory.mktemp("soak")
    make_checkpoint(base / "models" / "checkpoints" / CHECKPOINT, zero_last_layer=True)
    with Server(base, log=base / "server.log") as running:
        yield running


def varied(picture: str, mask: str, number: int) -> Prompt:
    """Never the same twice, so that nothing comes from ComfyUI's cache."""
    rng = random.Random(number)
    return mask_detail(
        picture, mask, **QUICK, seed=number, batch_size=rng.choice([1, 1, 1, 2]), cycle=rng.choice([1, 1, 1, 2]),
        noise_mask_feather=rng.choice([0, 20]), crop_batch=rng.choice([0, 1, 3]), crop_factor=rng.choice([1.0, 1.5]),
        sampler_name=rng.choice(["euler", "dpmpp_2m_sde", "ddim"]),
    )  # fmt: skip


def test_a_thousand_prompts(server: Server, client: Client, picture: str, mask: str) -> None:
    process = psutil.Process(server.pid)
    uses = []
    started = time.monotonic()
    for first in range(0, PROMPTS, EVERY):
        queued = [client.queue(varied(picture, mask, first + number)) for number in range(EVERY)]
        for prompt_id in queued:
            events = client.finish(prompt_id)
            assert any(event.data.get("node") == DETAILER for event in events if event.type == "executing")
        uses.append(Use.of(process))
        print(f"{first + EVERY:5} prompts, {time.monotonic() - started:5.0f} s: {uses[-1]}", flush=True)
    settled, rest = uses[WARM - 1], uses[WARM:]
    told = "\n".join(map(str, uses))
    assert max(use.handles for use in rest) <= settled.handles + 4, told
    assert max(use.threads for use in rest) <= settled.threads + 2, told
    # ComfyUI keeps each prompt's history: some 10 KiB
    assert max(use.resident for use in rest) <= settled.resident + 48, told


def test_interrupts_at_random_moments(server: Server, client: Client, picture_file: Path, mask: str) -> None:
    """After each, the same prompt makes the same file as before, byte for byte."""
    process = psutil.Process(server.pid)
    rng = random.Random(5)
    uploads = iter(range(10**6))

    def prompt(**inputs: Any) -> Prompt:
        # another file name each time, or ComfyUI would take the result from its cache
        picture = client.upload_image(picture_file, f"{next(uploads)}.png")
        return mask_detail(picture, mask, **QUICK | {"seed": 7, "steps": 4} | inputs)

    def picture_of(prompt_id: str) -> bytes:
        (image,) = client.history(prompt_id)["outputs"][RESULT]["images"]
        written = client.view(image)
        return written[: written.index(b"tEXt") - 4] + written[written.index(b"IDAT") - 4 :]  # without the prompt

    def clean_run() -> bytes:
        prompt_id = client.queue(prompt())
        client.finish(prompt_id)
        return picture_of(prompt_id)

    started = time.monotonic()
    wanted = clean_run()
    takes, stopped = time.monotonic() - started, 0
    before = Use.of(process)
    for number in range(INTERRUPTS):
        prompt_id = client.queue(prompt(steps=rng.choice([30, 200, 2000]), batch_size=rng.choice([1, 2])))
        # what comes before its start, ComfyUI forgets
        next(event for event in client.events(prompt_id) if event.type == "execution_start")
        time.sleep(rng.uniform(0, takes))
        client.interrupt()
        try:
            client.finish(prompt_id)
        except PromptError as error:
            assert str(error) == "interrupted"
            stopped += 1
            for _ in client.events(prompt_id):
                pass
        assert clean_run() == wanted, f"after interrupt {number + 1}"
        assert client.waiting() == 0
    after = Use.of(process)
    print(f"{stopped} of {INTERRUPTS} stopped within a prompt; before: {before}; after: {after}")
    assert stopped >= INTERRUPTS // 2
    assert after.threads <= before.threads + 2 and after.handles <= before.handles + 4
    assert after.resident <= before.resident + 48
