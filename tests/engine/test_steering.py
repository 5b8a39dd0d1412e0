"""Nodes that steer the page, without one: they hand on what came in, say that they are off, and leave out what they
should. What a page is told is in tests/server/test_steering.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from engine.executing import Prompt, execute, keep, registered, source, step
from mask_detailer.detailer import steering
from mask_detailer.detailer.host.workflows import nodes_behind
from mask_detailer.nodes.steering import REMOTE

SIGNALS: dict[str, dict[str, Any]] = {
    "ImpactQueueTrigger": {"mode": True},
    "ImpactQueueTriggerCountdown": {"mode": True, "count": 3, "total": 10},
    "ImpactSetWidgetValue": {"node_id": 3, "widget_name": "seed", "int_value": ["five", 0]},
    "ImpactNodeSetMuteState": {"node_id": 3, "set_state": False},
}
SILENT: dict[str, dict[str, Any]] = {
    "ImpactQueueTrigger": {"mode": False},
    "ImpactQueueTriggerCountdown": {"mode": False, "count": 3, "total": 10},
    "ImpactSetWidgetValue": {"node_id": 3, "widget_name": "seed"},
}


@pytest.fixture(autouse=True)
def nodes() -> Iterator[None]:
    with registered():
        yield


def signal(node: str, inputs: dict[str, Any]) -> Prompt:
    return {
        "a": source("a"), "five": step("ImpactInt", value=5),
        "node": step(node, signal=["a", 0], **inputs), "kept": keep("node"),
    }  # fmt: skip


@pytest.mark.parametrize("node", SIGNALS)
def test_switched_off_it_hands_on_and_says_so(node: str, told: pytest.LogCaptureFixture) -> None:
    made = execute(signal(node, SIGNALS[node]))
    assert made.error is None and made.kept["kept"] == ["a"]
    assert made.shown["node"]["text"] == [steering.OFF]
    assert [line.getMessage() for line in told.records] == [f"{node}: {steering.OFF}"]


@pytest.mark.parametrize("node", SILENT)
def test_with_nothing_to_do_it_says_nothing(node: str, told: pytest.LogCaptureFixture) -> None:
    made = execute(signal(node, SILENT[node]))
    assert made.kept["kept"] == ["a"] and not made.shown["node"]["text"] and not told.records


def test_stop_and_remote_nodes_are_ends_of_a_prompt() -> None:
    prompt = {
        "yes": step("ImpactBoolean", value=True), "no": step("ImpactBoolean", value=False),
        "stop": step("ImpactConditionalStopIteration", cond=["yes", 0]),
        "not": step("ImpactConditionalStopIteration", cond=["no", 0]),
        "int": step("ImpactRemoteInt", node_id=1, widget_name="x", value=-5),
    }  # fmt: skip
    made = execute(prompt)
    assert made.error is None
    assert {node: bool(shown["text"]) for node, shown in made.shown.items()} == {
        "stop": True,
        "not": False,
        "int": True,
    }


# --- Control Bridge --------------------------------------------------------------------------------------------------


def workflow(*modes: int) -> dict[str, Any]:
    """Node 5 leads to node 7, and through two Reroutes to node 8."""
    kinds = {5: "ImpactControlBridge", 7: "X", 8: "X", 20: "Reroute", 21: "Reroute"}
    nodes = [{"id": number, "type": kind, "mode": 0} for number, kind in kinds.items()]
    for node, mode in zip(nodes[1:3], modes, strict=True):
        node["mode"] = mode
    links = [
        [1, 5, 0, 7, 0, "*"],
        [2, 5, 0, 20, 0, "*"],
        [3, 20, 0, 21, 0, "*"],
        [4, 21, 0, 8, 1, "*"],
        [5, 7, 0, 8, 0, "*"],
    ]
    return {"nodes": nodes, "links": links}


def bridge(mode: bool, behavior: str) -> Prompt:
    return {
        "a": source("a"),
        "5": step("ImpactControlBridge", value=["a", 0], mode=mode, behavior=behavior),
        "kept": keep("5"),
    }


@pytest.mark.parametrize("behavior", ["Stop", "Mute", "Bypass"])
@pytest.mark.parametrize("sent", [None, workflow(0, 0)], ids=["as an API prompt", "from a page"])
def test_the_bridge_leaves_out_what_hangs_on_it(behavior: str, sent: Any) -> None:
    on, off = (execute(bridge(mode, behavior), sent) for mode in (True, False))
    assert on.error is off.error is None
    assert on.kept == {"kept": ["a"]} and off.kept == {} and not on.shown["5"]["text"]
    assert bool(off.shown["5"]["text"]) == (behavior == "Bypass")


def test_what_is_bypassed_already_lets_the_value_through() -> None:
    assert execute(bridge(False, "Bypass"), workflow(4, 4)).kept == {"kept": ["a"]}
    assert execute(bridge(False, "Bypass"), workflow(4, 0)).kept == {}


def test_nodes_behind_an_output() -> None:
    assert sorted(nodes_behind({"workflow": workflow(0, 4)}, "5")) == [("7", 0), ("8", 4)]
    inner = workflow(2, 4)
    inner["links"] = [{"id": i, "origin_id": a, "origin_slot": b, "target_id": c} for i, a, b, c, *_ in inner["links"]]
    outer = {"nodes": [{"id": 12, "type": "uuid"}], "definitions": {"subgraphs": [{"id": "uuid", **inner}]}}
    assert sorted(nodes_behind({"workflow": outer}, "12:5")) == [("12:7", 2), ("12:8", 4)]
    for broken in (None, 5, {"workflow": []}, {"workflow": {"nodes": {}, "links": [[1], 5, None]}}):
        assert nodes_behind(broken, "5") == nodes_behind(broken, "12:5") == []


def test_reroutes_in_a_circle() -> None:
    made = workflow(0, 0)
    made["links"].append([9, 21, 0, 20, 0, "*"])
    assert sorted(nodes_behind({"workflow": made}, "5")) == [("7", 0), ("8", 0)]


# --- Remote nodes --------------------------------------------------------------------------------------------------


def sent(kind: str, name: str, value: Any, client: Any = "browser", node_id: Any = 3) -> dict[str, Any]:
    remote = step(kind, node_id=node_id, widget_name=name, value=value)
    later = step("ImpactRemoteInt", node_id=3, widget_name="last", value=9)
    target = step("X", seed=1, cfg=2.0, on=False, text="a", link=["1", 0], last=0)
    return {"client_id": client, "prompt": {"1": remote, "2": later, "3": target}}


@pytest.fixture
def allowed() -> Iterator[None]:
    steering.allowing.set("browser", True)
    yield
    steering.allowing.set("browser", False)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    ("kind", "name", "value", "wanted"),
    [
        ("ImpactRemoteInt", "seed", 7, 7), ("ImpactRemoteInt", "cfg", 7, 7), ("ImpactRemoteBoolean", "on", True, True),
        ("ImpactRemoteInt", "on", 3, False), ("ImpactRemoteInt", "text", 3, "a"),
        ("ImpactRemoteInt", "link", 3, ["1", 0]),
        ("ImpactRemoteBoolean", "seed", True, 1), ("ImpactRemoteInt", "seed", True, 1),
        ("ImpactRemoteInt", "seed", "7", 1),
        ("ImpactRemoteInt", "seed", ["1", 0], 1), ("Other", "seed", 7, 1),
    ],
)  # fmt: skip
def test_remote_nodes_write_what_fits(kind: str, name: str, value: Any, wanted: Any) -> None:
    """What doesn't fit is passed over, and the remote nodes after it still work."""
    asked = sent(kind, name, value)
    steering.set_remotely(asked, REMOTE)
    made = asked["prompt"]["3"]["inputs"]
    assert made[name] == wanted and type(made[name]) is type(wanted) and made["last"] == 9
    assert made | {name: 0, "last": 0} == sent(kind, name, value)["prompt"]["3"]["inputs"] | {name: 0, "last": 0}


@pytest.mark.usefixtures("allowed")
def test_remote_nodes_write_nothing_new_and_nothing_elsewhere() -> None:
    for name, node_id in (("new", 3), (["seed"], 3), ("seed", 99), ("seed", None), ("seed", {"a": 1})):
        asked = sent("ImpactRemoteInt", name, 7, node_id=node_id)  # type: ignore[arg-type]
        steering.set_remotely(asked, REMOTE)
        made = asked["prompt"]["3"]["inputs"]
        assert made["seed"] == 1 and "new" not in made and made["last"] == 9


@pytest.mark.parametrize("client", ["another", None, 5, ["browser"], ""])
@pytest.mark.usefixtures("allowed")
def test_remote_nodes_work_only_where_they_may(client: Any) -> None:
    asked = sent("ImpactRemoteInt", "seed", 7, client)
    steering.set_remotely(asked, REMOTE)
    assert asked == sent("ImpactRemoteInt", "seed", 7, client)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    "prompt",
    [
        None,
        [],
        "text",
        {"1": None},
        {"1": {"class_type": ["ImpactRemoteInt"]}},
        {"1": {"class_type": "ImpactRemoteInt"}},
    ],
)
def test_a_prompt_that_is_none(prompt: Any) -> None:
    steering.set_remotely({"client_id": "browser", "prompt": prompt}, REMOTE)
