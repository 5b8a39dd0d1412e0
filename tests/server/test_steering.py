"""Nodes that steer the page: what the server tells which client, and what a queued prompt becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.client import Client, Event, Prompt, RefusedError
from support.server import Server

STEER = "mask_detailer.steer"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """One whose user lets nodes steer it."""
    with Client(server.url) as connected:
        allow(connected)
        yield connected


def allow(client: Client, on: int = 1) -> None:
    client.request(f"/mask_detailer/steering?client={client.id}&on={on}")


def step(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def prompt(**nodes: dict[str, Any]) -> Prompt:
    """ComfyUI runs a node anew only if its inputs are new: a number that never comes again."""
    prompt.count += 1  # type: ignore[attr-defined]
    return {"new": step("ImpactInt", value=prompt.count), **nodes}  # type: ignore[attr-defined]


prompt.count = 1000  # type: ignore[attr-defined]


def steered(events: list[Event]) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.data.items() if key not in ("prompt_id", "workflow")}
            for event in events if event.type == STEER]  # fmt: skip


ASKED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (step("ImpactQueueTrigger", signal=["new", 0], mode=True), {"what": "queue"}),
    (
        step("ImpactQueueTriggerCountdown", signal=["new", 0], mode=True, count=3, total=5),
        {"what": "widget", "target": "node", "name": "count", "value": 4, "queue": True},
    ),
    (
        step("ImpactQueueTriggerCountdown", signal=["new", 0], mode=True, count=4, total=5),
        {"what": "widget", "target": "node", "name": "count", "value": 0, "queue": False},
    ),
    (
        step("ImpactSetWidgetValue", signal=["new", 0], node_id=7, widget_name="seed", int_value=["new", 0]),
        {"what": "widget", "target": "7", "name": "seed"},
    ),
    (
        step("ImpactNodeSetMuteState", signal=["new", 0], node_id=7, set_state=False),
        {"what": "modes", "nodes": ["7"], "mode": 2},
    ),
]


@pytest.mark.parametrize(("node", "wanted"), ASKED)
def test_only_who_queued_and_allows_it_is_told(
    server: Server, client: Client, node: dict[str, Any], wanted: dict[str, Any]
) -> None:
    with Client(server.url) as other:
        allow(other)
        (told,) = steered(client.finish(client.queue(prompt(node=node))))
        assert told.pop("node") == "node" and {key: told[key] for key in wanted} == wanted
        allow(client, 0)
        prompt_id = client.queue(prompt(node=node))
        assert steered(client.finish(prompt_id)) == []
        assert client.history(prompt_id)["outputs"]["node"]["text"][0].startswith("Switched off")
        assert [event for event in other.heard() if event.type == STEER] == []


def test_remote_nodes_write_into_the_prompt(server: Server, client: Client) -> None:
    def logged(who: Client) -> str:
        remote = step("ImpactRemoteInt", node_id=3, widget_name="value", value=77)
        queued = prompt(node=remote) | {
            "3": step("ImpactInt", value=5),
            "log": step("ImpactLogger", data=["3", 0], text=""),
        }
        prompt_id = who.queue(queued)
        who.finish(prompt_id)
        return who.history(prompt_id)["outputs"]["log"]["text"][0]

    assert logged(client) == "77"
    with Client(server.url) as other:
        assert logged(other) == "5"


def test_a_prompt_of_nonsense_is_still_answered(client: Client) -> None:
    remote = {"1": {"class_type": "ImpactRemoteInt", "inputs": 5}}
    for nonsense in ({"client_id": client.id, "prompt": remote}, [1], "text"):
        with pytest.raises(RefusedError):
            client.request("/prompt", nonsense)
    assert client.finish(client.queue(prompt(log=step("ImpactLogger", data=["new", 0], text=""))))


def test_a_value_that_is_no_json_does_no_harm(client: Client) -> None:
    """A picture on the link of a number is refused by the node; the server lives on."""
    image = step("EmptyImage", width=8, height=8, batch_size=1, color=0)
    bridge = step("ImpactConvertDataType", value=["image", 0])
    node = step("ImpactSetWidgetValue", signal=["image", 0], node_id=7, widget_name="x", string_value=["bridge", 0])
    (told,) = steered(client.finish(client.queue(prompt(image=image, bridge=bridge, node=node))))
    assert told["value"].startswith("tensor(")
    log = step("ImpactLogger", data=["image", 0], text="")
    assert client.finish(client.queue(prompt(image=image, log=log)))
