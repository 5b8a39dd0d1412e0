"""What is kept of runs for the browser that watched them: bounded, and gone when it is superseded."""

from __future__ import annotations

import io

import numpy as np
import torch
from mask_detailer.detailer.review import AFTER, BEFORE, MOST_PARTS, MOST_RUNS, Node, Review, View
from PIL import Image

NODE = Node("browser", "workflow", "12:5")


def begun(review: Review, node: Node = NODE, prompt: str = "prompt") -> Review:
    review.begin(node, prompt, 1, lambda client: True)
    return review


def state(review: Review, running: bool = True, **asked: str) -> list[dict[str, object]]:
    query = {"client": NODE.client, "workflow": NODE.workflow, "node": None, **asked}
    found = review.states(query["client"] or "", query["workflow"], query["node"], lambda prompt: running)
    return [dict(one) for one in found]


def test_crop_comes_back_at_its_size() -> None:
    review = begun(Review())
    crop = torch.rand(1, 5, 7, 3, generator=torch.Generator().manual_seed(1))
    review.keep(NODE, View(0, 2, AFTER), crop)
    png = review.png(NODE, View(0, 2, AFTER))
    assert png is not None
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert np.array_equal(pixels, (crop[0] * 255).round().to(torch.uint8).numpy())
    crop.zero_()  # what is kept is its own
    assert review.png(NODE, View(0, 2, AFTER)) == png
    assert review.png(NODE, View(0, 2, BEFORE)) is None
    assert review.png(NODE._replace(client="another"), View(0, 2, AFTER)) is None
    assert review.png(NODE._replace(workflow=None), View(0, 2, AFTER)) is None


def test_superseded_runs_and_clients_that_are_gone() -> None:
    review = begun(begun(Review()), NODE._replace(client="gone"))
    for node in (NODE, NODE._replace(client="gone")):
        review.keep(node, View(0, 1, AFTER), torch.zeros(1, 4, 4, 3))
    review.begin(NODE, "next", 1, lambda client: client != "gone")
    assert review.png(NODE, View(0, 1, AFTER)) is None
    assert state(review, client="gone") == []


def test_bytes_are_bounded_and_the_oldest_go() -> None:
    review = begun(Review(most_bytes=3 * 300))
    for number in range(5):
        review.keep(NODE, View(0, number, AFTER), torch.zeros(1, 10, 10, 3))
    there = [number for number in range(5) if review.png(NODE, View(0, number, AFTER))]
    assert there == [2, 3, 4]
    review.keep(NODE, View(0, 9, AFTER), torch.zeros(1, 100, 100, 3))  # more than there is room for
    assert not any(review.png(NODE, View(0, number, AFTER)) for number in (*there, 9))


def test_runs_parts_and_ids_are_bounded() -> None:
    review = Review()
    for number in range(MOST_RUNS + 5):
        begun(review, NODE._replace(node=str(number)))
    assert len(state(review)) == MOST_RUNS
    begun(review, NODE._replace(node="x" * 201))
    assert state(review, node="x" * 201) == []

    begun(review)
    for picture in range(MOST_PARTS):
        review.planned(NODE, picture, [{"number": 1}, {"number": 2, "skipped": "small"}])
        review.tell(NODE, [{"picture": picture, "number": 1}], state="done")
    (event,) = state(review, node=NODE.node)
    segments, gone = event["segments"], event["gone"]
    assert isinstance(segments, list) and isinstance(gone, dict)
    assert len(segments) <= MOST_PARTS + 2
    assert len(segments) + sum(gone.values()) == 2 * MOST_PARTS


def test_state_of_a_run() -> None:
    review = begun(Review())
    review.planned(NODE, 0, [{"number": 1, "before": "a"}, {"number": 2}])
    review.tell(NODE, [{"picture": 0, "number": 1, "after": "b"}], state="done")
    review.keep(NODE, View(0, 2, AFTER), torch.zeros(1, 4, 4, 3))  # nobody was there to be sent its thumbnail
    review.lost(NODE, ["7"])
    (event,) = state(review)
    assert (event["prompt_id"], event["pictures"], event["lost"]) == ("prompt", 1, ["7"])
    assert (event["ended"], event["stopped"]) == (False, False)
    first, second = event["segments"]  # type: ignore[misc]
    assert first == {"picture": 0, "number": 1, "before": "a", "after": "b", "state": "done", "of": 2}
    assert second["state"] == "waiting" and second["after"]
    assert state(review, running=False)[0]["stopped"] is True
    review.ended(NODE)
    assert state(review, running=False)[0]["stopped"] is False
    assert state(review, node="another") == state(review, workflow="another") == []


def test_what_is_told_of_unknown_runs_is_nothing() -> None:
    review = Review()
    review.planned(NODE, 0, [{"number": 1}])
    review.tell(NODE, [{"picture": 0, "number": 1}], state="done")
    review.keep(NODE, View(0, 1, AFTER), torch.zeros(1, 4, 4, 3))
    review.lost(NODE, ["1"])
    review.ended(NODE)
    assert state(review) == []
