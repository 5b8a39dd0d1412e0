"""Slots that grow on either side, and what nodes may do to the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.client import Client
from support.page import ADD, CONNECT, CONVERT, LOAD, finished, queue, set_widget

NAMES = "([id, side]) => window.app.graph.getNodeById(id)[side].map(slot => slot.name)"
DISCONNECT = """([id, slot]) => {
    const node = window.app.graph.getNodeById(id);
    node.disconnectInput(node.inputs.findIndex(input => input.name === slot));
}"""
CONNECT_OUTPUT = """([from, slot, to, name]) => {
    const graph = window.app.graph;
    const [source, target] = [graph.getNodeById(from), graph.getNodeById(to)];
    source.connect(source.outputs.findIndex(one => one.name === slot), target,
        target.inputs.findIndex(input => input.name === name));
}"""
SAVE = "() => window.app.graph.serialize()"
SET = "on => window.app.extensionManager.setting.set('MaskDetailer.Steering', on)"
VALUE = "([id, name]) => window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).value"
MODE = "id => window.app.graph.getNodeById(id).mode"
EMIT = """detail => { window.app.api.dispatchEvent(new CustomEvent("mask_detailer.steer", {detail})) }"""

GROWING = {
    "ImpactSwitch": "input",
    "LatentSwitch": "input",
    "SEGSSwitch": "input",
    "ImpactMakeAnyList": "value",
}


KINDS = """id => {
    const node = window.app.graph.getNodeById(id);
    return [...node.inputs, ...node.outputs]
        .filter(slot => /^(in|out)put\\d*$|^selected_value$/.test(slot.name)).map(slot => slot.type);
}"""


def kinds(page: Any, node: int) -> set[str]:
    """Of the slots through which a switch lets its value, once it has settled."""
    page.wait_for_timeout(50)
    return set(page.evaluate(KINDS, node))


def numbered(page: Any, node: int, name: str, side: str = "inputs") -> list[str]:
    """The names of its slots that have that name and a number, once it has settled."""
    page.wait_for_timeout(50)
    return [slot for slot in page.evaluate(NAMES, [node, side]) if slot.rstrip("0123456789") == name]


@pytest.mark.parametrize("kind", GROWING)
def test_inputs_grow_and_keep_their_numbers(page: Any, kind: str) -> None:
    name = GROWING[kind]
    sources = [page.evaluate(ADD, "ImpactInt") for _ in range(3)]
    target = page.evaluate(ADD, kind)
    for number, source in enumerate(sources, start=1):
        page.evaluate(CONNECT, [source, target, f"{name}{number}"])
        assert numbered(page, target, name) == [f"{name}{place}" for place in range(1, number + 2)]
    page.evaluate(DISCONNECT, [target, f"{name}2"])
    assert numbered(page, target, name) == [f"{name}{place}" for place in range(1, 5)]
    inputs = page.evaluate(CONVERT)[str(target)]["inputs"]
    linked = {key: value for key, value in inputs.items() if isinstance(value, list)}
    assert linked == {f"{name}1": [str(sources[0]), 0], f"{name}3": [str(sources[2]), 0]}
    page.evaluate(DISCONNECT, [target, f"{name}3"])
    assert numbered(page, target, name) == [f"{name}1", f"{name}2"]


def test_outputs_grow(page: Any) -> None:
    source, switch = page.evaluate(ADD, "ImpactInt"), page.evaluate(ADD, "ImpactInversedSwitch")
    targets = [page.evaluate(ADD, "ImpactLogger") for _ in range(2)]
    page.evaluate(CONNECT, [source, switch, "input"])
    assert numbered(page, switch, "output", "outputs") == ["output1"]
    for number, target in enumerate(targets, start=1):
        page.evaluate(CONNECT_OUTPUT, [switch, f"output{number}", target, "data"])
        names = [f"output{place}" for place in range(1, number + 2)]
        assert numbered(page, switch, "output", "outputs") == names
    prompt = page.evaluate(CONVERT)
    assert [prompt[str(target)]["inputs"]["data"] for target in targets] == [[str(switch), 0], [str(switch), 1]]
    saved = page.evaluate(SAVE)
    page.evaluate(LOAD, saved)
    page.wait_for_timeout(100)
    assert numbered(page, switch, "output", "outputs") == ["output1", "output2", "output3"]
    assert page.evaluate(CONVERT) == prompt


@pytest.mark.parametrize("kind", ["ImpactSwitch", "LatentSwitch", "SEGSSwitch"])
def test_a_switch_is_of_the_kind_of_its_first_link(page: Any, kind: str) -> None:
    """So the page connects nothing else to it, nor it to anything else; with its last link that ends."""
    number, picture = page.evaluate(ADD, "ImpactInt"), page.evaluate(ADD, "EmptyImage")
    switch, target = page.evaluate(ADD, kind), page.evaluate(ADD, "PreviewImage")
    assert kinds(page, switch) == {"*"}
    page.evaluate(CONNECT, [picture, switch, "input1"])
    assert kinds(page, switch) == {"IMAGE"}
    page.evaluate(CONNECT, [number, switch, "input2"])
    page.evaluate(CONNECT, [switch, target, "images"])
    assert numbered(page, switch, "input") == ["input1", "input2"]
    page.evaluate(LOAD, page.evaluate(SAVE))
    assert kinds(page, switch) == {"IMAGE"}
    page.evaluate(DISCONNECT, [target, "images"])
    page.evaluate(DISCONNECT, [switch, "input1"])
    assert kinds(page, switch) == {"*"}
    page.evaluate(CONNECT, [number, switch, "input1"])
    assert kinds(page, switch) == {"INT"}


def test_an_inversed_switch_is_of_the_kind_of_its_link(page: Any) -> None:
    switch, target = page.evaluate(ADD, "ImpactInversedSwitch"), page.evaluate(ADD, "PreviewImage")
    page.evaluate(CONNECT_OUTPUT, [switch, "output1", target, "images"])
    assert kinds(page, switch) == {"IMAGE"}
    page.evaluate(DISCONNECT, [target, "images"])
    page.evaluate(CONNECT, [page.evaluate(ADD, "ImpactInt"), switch, "input"])
    assert kinds(page, switch) == {"INT"}


def test_a_saved_switch_keeps_a_gap(page: Any) -> None:
    """Newer pages save widgets as slots among the numbered ones; a slot in between may be free."""

    def slot(name: str, link: int | None) -> dict[str, Any]:
        return {"name": name, "type": "*", "link": link}

    sources = [{"id": number, "type": "ImpactInt", "pos": [0, 200 * number], "size": [200, 60], "mode": 0, "inputs": [],
                "outputs": [{"name": "INT", "type": "INT", "links": [number]}], "widgets_values": [number]}
               for number in (1, 2)]  # fmt: skip
    inputs = [slot("input1", 1), {"name": "select", "type": "INT", "widget": {"name": "select"}, "link": None},
              slot("input2", None), slot("input3", 2), slot("input4", None)]  # fmt: skip
    switch = {"id": 3, "type": "ImpactSwitch", "pos": [400, 0], "size": [300, 200], "mode": 0, "inputs": inputs,
              "outputs": [{"name": "*", "type": "*", "links": []}], "widgets_values": [3, False]}  # fmt: skip
    links = [[1, 1, 0, 3, 0, "INT"], [2, 2, 0, 3, 3, "INT"]]
    page.evaluate(
        LOAD, {"nodes": [*sources, switch], "links": links, "version": 0.4, "last_node_id": 3, "last_link_id": 2}
    )
    assert sorted(numbered(page, 3, "input")) == ["input1", "input2", "input3", "input4"]
    inputs = page.evaluate(CONVERT)["3"]["inputs"]
    assert inputs == {"select": 3, "sel_mode": False, "input1": ["1", 0], "input3": ["2", 0]}


# --- steering --------------------------------------------------------------------------------------------------------


@pytest.fixture
def steered(page: Any) -> Iterator[Any]:
    """The page, its user letting nodes change it."""
    page.evaluate(SET, True)
    yield page
    page.evaluate(SET, False)


def test_what_a_node_may_do(steered: Any) -> None:
    page = steered
    trigger, target = page.evaluate(ADD, "ImpactSetWidgetValue"), page.evaluate(ADD, "ImpactInt")
    page.evaluate(EMIT, {"node": str(trigger), "what": "widget", "target": str(target), "name": "value", "value": 42})
    assert page.evaluate(VALUE, [target, "value"]) == 42
    page.evaluate(EMIT, {"node": str(trigger), "what": "modes", "nodes": [str(target), "404"], "mode": 4})
    assert page.evaluate(MODE, target) == 4


@pytest.mark.parametrize(
    "change",
    [{"value": "a"}, {"name": "no such"}, {"target": "404"}, {"workflow": "another"}, {"node": "404"}, {"what": "?"}],
)  # fmt: skip
def test_what_it_may_not_do(steered: Any, change: dict[str, Any]) -> None:
    page = steered
    trigger, target = page.evaluate(ADD, "ImpactSetWidgetValue"), page.evaluate(ADD, "ImpactInt")
    asked = {"node": str(trigger), "what": "widget", "target": str(target), "name": "value", "value": 42}
    set_widget(page, target, "value", 7)
    page.evaluate(EMIT, asked | change)
    assert page.evaluate(VALUE, [target, "value"]) == 7


def test_nothing_where_the_user_does_not_allow_it(page: Any) -> None:
    trigger, target = page.evaluate(ADD, "ImpactSetWidgetValue"), page.evaluate(ADD, "ImpactInt")
    set_widget(page, target, "value", 7)
    page.evaluate(EMIT, {"node": str(trigger), "what": "widget", "target": str(target), "name": "value", "value": 42})
    page.evaluate(EMIT, {"node": str(trigger), "what": "modes", "nodes": [str(target)], "mode": 4})
    assert page.evaluate(VALUE, [target, "value"]) == 7 and page.evaluate(MODE, target) == 0


def counting(page: Any, start: int) -> int:
    """A countdown of three whose signal is a number that no other test has."""
    number, node = page.evaluate(ADD, "ImpactInt"), page.evaluate(ADD, "ImpactQueueTriggerCountdown")
    set_widget(page, number, "value", start)
    set_widget(page, node, "total", 3)
    page.evaluate(CONNECT, [number, node, "signal"])
    return node


def runs(client: Client) -> int:
    return len(client.get("/history"))


def test_a_countdown_queues_to_its_end(steered: Any, client: Client, renderer: str) -> None:
    node, before = counting(steered, 10_000 + len(renderer)), runs(client)
    steered.wait_for_timeout(200)  # the server is told of the setting
    queue(steered)
    give_up = time.monotonic() + 60
    while runs(client) < before + 3 and time.monotonic() < give_up:
        time.sleep(0.1)
    steered.wait_for_timeout(500)
    assert runs(client) == before + 3 and client.waiting() == 0
    assert steered.evaluate(VALUE, [node, "count"]) == 0


def test_a_countdown_that_is_switched_off_runs_once(page: Any, client: Client, renderer: str) -> None:
    node, before = counting(page, 20_000 + len(renderer)), runs(client)
    shown = finished(client, queue(page))["outputs"][str(node)]["text"]
    page.wait_for_timeout(500)
    assert shown[0].startswith("Switched off") and runs(client) == before + 1
    assert page.evaluate(VALUE, [node, "count"]) == 0


def test_the_logger_shows_the_value(page: Any, client: Client, renderer: str) -> None:
    number, node = page.evaluate(ADD, "ImpactInt"), page.evaluate(ADD, "ImpactLogger")
    set_widget(page, number, "value", 30_000 + len(renderer))
    page.evaluate(CONNECT, [number, node, "data"])
    finished(client, queue(page))
    page.wait_for_function(f"() => ({VALUE})([{node}, 'text']) !== ''")
    assert page.evaluate(VALUE, [node, "text"]) == str(30_000 + len(renderer))
