"""Prompts over HTTP and the websocket, as a user's browser sends and follows them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support import pictures
from support.client import Client, Event, Prompt, RefusedError
from support.server import Server
from support.workflow import DETAILER, mask_detail, result

# small and quick; what each test is about, it sets itself
QUICK: dict[str, Any] = {"guide_size": 64, "max_size": 128, "steps": 3, "denoise": 0.5, "feather": 5}


def run(client: Client, prompt: Prompt) -> tuple[pictures.Pixels, list[Event]]:
    prompt_id = client.queue(prompt)
    events = client.finish(prompt_id)
    return result(client, prompt_id), events


def nodes_run(events: list[Event]) -> list[str]:
    return [event.data["node"] for event in events if event.type == "executing" and event.data["node"]]


def test_only_the_feathered_mask_changes(client: Client, picture: str, mask: str, picture_file: Path) -> None:
    feather = 5
    after, _ = run(client, mask_detail(picture, mask, **QUICK | {"feather": feather, "seed": 5}))
    before = pictures.decode(picture_file.read_bytes())
    reach = np.zeros(before.shape[:2], bool)
    for x1, y1, x2, y2 in pictures.SMALL_BOXES:
        reach[y1 - feather : y2 + feather, x1 - feather : x2 + feather] = True
    assert after.shape == before.shape
    assert np.array_equal(after[~reach], before[~reach])
    for x1, y1, x2, y2 in pictures.SMALL_BOXES:
        inside = (slice(y1 + feather, y2 - feather), slice(x1 + feather, x2 - feather))
        assert (after[inside] != before[inside]).any(-1).mean() > 0.9


def test_progress_is_one_rising_bar(client: Client, picture: str, mask: str) -> None:
    """Over all three segments, from the detailer alone, between its start and the next node's."""
    _, events = run(client, mask_detail(picture, mask, **QUICK | {"seed": 6}))
    assert [event.type for event in events if event.type.startswith("execution")] == [
        "execution_start", "execution_cached", "execution_success",
    ]  # fmt: skip
    progress = [event for event in events if event.type == "progress" and event.data["node"] == DETAILER]
    values = [event.data["value"] for event in progress]
    (whole,) = {event.data["max"] for event in progress}
    assert all(earlier <= later for earlier, later in pairwise(values))
    assert values[0] < values[-1]  # ComfyUI leaves out those that follow quickly
    assert values[-1] == whole
    started = next(i for i, event in enumerate(events) if event.type == "executing" and event.data["node"] == DETAILER)
    ended = next(i for i, event in enumerate(events) if event.type == "executing" and event.data["node"] == "result")
    assert started < events.index(progress[0]) and events.index(progress[-1]) < ended


def test_interrupt_then_a_clean_run(client: Client, picture_file: Path, mask: str) -> None:
    def prompt(name: str, **inputs: Any) -> Prompt:
        # another file name each time, or ComfyUI would take the result from its cache
        return mask_detail(client.upload_image(picture_file, name), mask, **QUICK | {"seed": 7} | inputs)

    undisturbed, _ = run(client, prompt("undisturbed.png"))

    prompt_id = client.queue(prompt("interrupted.png", steps=5000))
    events: list[Event] = []
    progress: list[float] = []
    for event in client.events(prompt_id):
        events.append(event)
        if event.type == "progress":
            progress.append(event.data["value"] / event.data["max"])
            if len(progress) == 1:
                client.interrupt()
    assert progress and progress[-1] < 0.5  # so it was not at its end
    (stopped,) = [event for event in events if event.type == "execution_interrupted"]
    assert stopped.data["node_id"] == DETAILER
    assert client.history(prompt_id)["outputs"] == {}
    assert client.waiting() == 0

    again, events = run(client, prompt("again.png"))
    assert DETAILER in nodes_run(events)
    assert np.array_equal(again, undisturbed)


def test_memory_is_steady_over_twenty_prompts(server: Server, client: Client, picture: str, mask: str) -> None:
    process = psutil.Process(server.pid)
    resident = []
    for seed in range(100, 120):
        _, events = run(client, mask_detail(picture, mask, **QUICK | {"seed": seed}))
        assert DETAILER in nodes_run(events)
        resident.append(process.memory_info().rss / 2**20)
    assert max(resident[5:]) - resident[4] < 48, f"MiB after each prompt: {[round(value) for value in resident]}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guide_size", 10), ("max_size", 20000), ("seed", -1), ("steps", 0), ("steps", 10001), ("cfg", -1.0),
        ("sampler_name", "no such sampler"), ("scheduler", "no such scheduler"), ("denoise", 0.0), ("denoise", 1.5),
        ("feather", 101), ("crop_factor", 0.5), ("crop_factor", 20.0), ("drop_size", 0), ("refiner_ratio", 1.5),
        ("batch_size", 0), ("cycle", 11), ("noise_mask_feather", -1), ("steps", "many"),
    ],
)  # fmt: skip
def test_out_of_range_is_refused(client: Client, picture: str, mask: str, name: str, value: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        client.queue(mask_detail(picture, mask, **{name: value}))
    assert refused.value.status == 400
    found = refused.value.body["node_errors"][DETAILER]
    assert found["class_type"] == "MaskDetailerPipe"
    assert [error["extra_info"]["input_name"] for error in found["errors"]] == [name]
    assert client.waiting() == 0


def test_a_missing_pipe_is_refused(client: Client, picture: str, mask: str) -> None:
    prompt = mask_detail(picture, mask)
    del prompt[DETAILER]["inputs"]["basic_pipe"]
    with pytest.raises(RefusedError) as refused:
        client.queue(prompt)
    (error,) = refused.value.body["node_errors"][DETAILER]["errors"]
    assert error["type"] == "required_input_missing" and error["details"] == "basic_pipe"
