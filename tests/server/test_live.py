"""Live events over the websocket: they go to the client that queued the prompt, if it asked for them."""

from __future__ import annotations

import base64

from support import workflow
from support.client import Client, Event
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
