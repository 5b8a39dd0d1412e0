"""What senders and wildcard nodes tell which page, and the routes of wildcards, in a real server."""

from __future__ import annotations

from typing import Any

import pytest
from support.client import Client, Event, RefusedError
from support.server import Server

EVENTS = ("value-send", "img-send", "latent-send", "mask_detailer.populated")
count = iter(range(10_000, 20_000))


def step(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def heard(events: list[Event]) -> list[dict[str, Any]]:
    return [event.data for event in events if event.type in EVENTS]


def senders() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    image = step("EmptyImage", width=8, height=8, batch_size=1, color=next(count))
    latent = step("EmptyLatentImage", width=64, height=64, batch_size=1)
    return [
        ({"new": step("ImpactInt", value=next(count)), "node": step("ImpactValueSender", value=["new", 0], link_id=3)},
         {"link_id": 3, "typ": "INT"}),
        ({"a": image, "node": step("ImageSender", images=["a", 0], filename_prefix="sent", link_id=2**60)},
         {"link": str(2**60)}),
        ({"a": latent, "node": step("LatentSender", samples=["a", 0], filename_prefix=f"l{next(count)}/x", link_id=0,
                                    preview_method="TAESD15")}, {"link_id": 0}),
    ]  # fmt: skip


@pytest.mark.parametrize("which", range(3))
def test_only_who_queued_is_told(server: Server, client: Client, which: int) -> None:
    prompt, wanted = senders()[which]
    with Client(server.url) as other:
        prompt_id = client.queue(prompt)
        (told,) = heard(client.finish(prompt_id))
        assert told["node"] == "node" and told["prompt_id"] == prompt_id
        assert {key: told[key] for key in wanted} == wanted
        for image in told.get("images", ()):
            assert client.view(image)
        assert heard(other.heard()) == []


def test_what_is_no_json_ends_no_server(client: Client) -> None:
    image = step("EmptyImage", width=8, height=8, batch_size=1, color=next(count))
    prompt_id = client.queue({"a": image, "node": step("ImpactValueSender", value=["a", 0], link_id=0)})
    events = list(client.events(prompt_id))
    assert [event for event in events if event.type == "execution_error"] and heard(events) == []
    assert client.get("/queue")


def wildcard(seed: int) -> dict[str, Any]:
    return {
        "7": step("ImpactWildcardProcessor", wildcard_text="{a|b|c}", populated_text="", mode="populate", seed=seed,
                  **{"Select to add Wildcard": "Select the Wildcard to add to the text"}),
        "log": step("ImpactLogger", data=["7", 0], text=""),
    }  # fmt: skip


def test_a_wildcard_node_makes_its_choices_as_it_is_queued(server: Server, client: Client) -> None:
    with Client(server.url) as other:
        prompt_id = client.queue(wildcard(next(count)))
        client.finish(prompt_id)
        history = client.history(prompt_id)
        inputs = history["prompt"][2]["7"]["inputs"]
        assert inputs["mode"] == "reproduce" and inputs["populated_text"] in ("a", "b", "c")
        assert history["outputs"]["log"]["text"] == [inputs["populated_text"]]
        assert heard(other.heard()) == []


def test_expanding(client: Client) -> None:
    first = [client.request("/impact/wildcards", {"text": "{a|b|c|d|e}", "seed": 4}) for _ in range(3)]
    assert len(set(first)) == 1
    assert client.request("/api/impact/wildcards", {"text": "x"}) == b'{"text": "x"}'


@pytest.mark.parametrize("body", [{}, [], {"text": 5}, {"text": "a", "seed": "x"}, b"nonsense", b"[" * 100_000])
def test_what_can_not_be_expanded(client: Client, body: Any) -> None:
    with pytest.raises(RefusedError) as raised:
        client.request("/impact/wildcards", body)
    assert raised.value.status == 400


def test_lists(client: Client) -> None:
    assert client.request("/impact/wildcards/refresh") == b""
    loaded = client.get("/impact/wildcards/list/loaded")
    assert loaded == {"data": [], "on_demand_mode": False, "total_available": 0}
