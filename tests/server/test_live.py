"""Live events over the websocket: they go to the client that queued the prompt, if it asked for them."""

from __future__ import annotations

import base64

import pytest
from support import workflow
from support.client import Client, Event, RefusedError
from support.pictures import SMALL_BOXES, decode
from support.server import Server

LIVE = "mask_detailer.live"


def live_events(client: Client, picture: str, mask: str, seed: int) -> list[Event]:
    prompt = workflow.mask_detail(picture, mask, guide_size=64, max_size=128, steps=2, seed=seed)
    return [event for event in client.finish(client.queue(prompt)) if event.type == LIVE]


def ask(client: Client, on: int) -> None:
    client.request(f"/mask_detailer/live?client={client.id}&on={on}")


def test_only_who_asks_is_told(server: Server, client: Client, picture: str, mask: str) -> None:
    with Client(server.url) as other:
        ask(other, 1)
        assert live_events(client, picture, mask, 1) == []
        ask(client, 1)
        events = live_events(client, picture, mask, 2)
        ask(client, 0)
        assert live_events(client, picture, mask, 3) == []
        assert [event for event in other.heard() if event.type == LIVE] == []
    assert {event.data["node"] for event in events} == {workflow.DETAILER}
    assert [event.data["what"] for event in events if event.data["what"] in ("started", "planned", "ended")] == [
        "started", "planned", "ended",
    ]  # fmt: skip
    done = [segment for event in events if event.data["what"] == "done" for segment in event.data["segments"]]
    assert len(done) == len(SMALL_BOXES)
    for segment in done:
        assert decode(base64.b64decode(segment["after"])).shape[2] == 3


def test_review_serves_large_pictures_and_the_state(server: Server, client: Client, picture: str, mask: str) -> None:
    ask(client, 1)
    events = live_events(client, picture, mask, 4)
    assert events
    about = f"client={client.id}&node={workflow.DETAILER}"
    address = f"/mask_detailer/review?{about}&picture=0&number=1"
    before, after = (decode(client.request(f"{address}&which={which}")) for which in ("before", "after"))
    assert before.shape == after.shape
    (event,) = client.get(f"/mask_detailer/review/state?{about}")["events"]
    assert [part["state"] for part in event["segments"]] == ["done"] * len(SMALL_BOXES)
    assert client.get("/mask_detailer/review/state?client=another")["events"] == []
    number = f"/mask_detailer/review?{about}&picture=0&which=after&number="
    for asked in (
        f"{address}&which=else", f"{address}&which=candidate", f"{address}&which=candidate&seed=x", address,
        f"{address}&which=after&seed=1", f"{number}{'9' * 5000}", f"{number}-1", f"{number}404", f"{number}\u0661",
        "/mask_detailer/review",
    ):  # fmt: skip
        with pytest.raises(RefusedError) as raised:
            client.request(asked.encode("ascii", "ignore").decode())
        assert raised.value.status == 400
    ask(client, 0)
