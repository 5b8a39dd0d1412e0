"""Masks painted on a preview, receivers, and the text of wildcard nodes on the page."""

from __future__ import annotations

from typing import Any

import pytest
from support.client import Client
from support.page import ADD, CONNECT, CONVERT, LOAD, finished, queue, set_widget

VALUE = "([id, name]) => window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).value"
HAS_PICTURE = "id => window.app.graph.getNodeById(id).imgs?.length > 0"
PAINT = """async id => {
    const node = window.app.graph.getNodeById(id);
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
    const context = canvas.getContext("2d");
    context.fillRect(0, 0, 64, 64);
    context.clearRect(0, 0, 16, 64);
    const file = await new Promise(resolve => canvas.toBlob(resolve));
    const body = new FormData();
    body.append("image", file, `painted-${id}.png`);
    body.append("subfolder", "clipspace");
    const answer = await window.app.api.fetchApi("/upload/image", { method: "POST", body });
    const { name, subfolder, type } = await answer.json();
    const app = node.constructor.app ?? window.comfyAPI.app.ComfyApp;
    app.copyToClipspace(node);
    app.clipspace.images = [{ filename: name, subfolder, type }];
    app.clipspace.widgets.find(one => one.name === "image").value = { filename: name, subfolder, type };
    app.clipspace.selectedIndex = 0;
    app.pasteFromClipspace(node);
}"""
EMIT = "([event, detail]) => { window.app.api.dispatchEvent(new CustomEvent(event, { detail })) }"
SET = "on => window.app.extensionManager.setting.set('MaskDetailer.Receivers', on)"


def value(page: Any, node: int, name: str) -> Any:
    return page.evaluate(VALUE, [node, name])


def test_a_mask_that_an_editor_leaves_goes_on(page: Any, client: Client) -> None:
    """What ComfyUI's mask editors do once they are closed: the file's name comes into the node's ``image``."""
    image, bridge, info = (page.evaluate(ADD, kind) for kind in ("EmptyImage", "PreviewBridge", "MaskToImage"))
    shown = page.evaluate(ADD, "PreviewImage")
    for name in ("width", "height"):
        set_widget(page, image, name, 64)
    set_widget(page, image, "color", 0xFFFFFF)
    page.evaluate(CONNECT, [image, bridge, "images"])
    page.evaluate(
        "([from, to]) => { window.app.graph.getNodeById(from).connect(1, window.app.graph.getNodeById(to), 0) }",
        [bridge, info],
    )
    page.evaluate(CONNECT, [info, shown, "images"])
    finished(client, queue(page))
    page.wait_for_function(f"() => ({HAS_PICTURE})({bridge})")
    page.evaluate(PAINT, bridge)
    assert value(page, bridge, "image") == f"clipspace/painted-{bridge}.png [input]"
    history = finished(client, queue(page))
    assert history["status"]["status_str"] == "success"
    from support.pictures import decode

    mask = decode(client.view(history["outputs"][str(shown)]["images"][0]))
    assert (mask[:, :16] == 255).all() and not mask[:, 16:].any()


def test_objects_of_2023_become_names(page: Any) -> None:
    file = {"filename": "a.png", "subfolder": "clipspace", "type": "input", "image_hash": 5}
    nodes = [
        {
            "id": place,
            "type": kind,
            "pos": [0, 0],
            "size": [300, 300],
            "inputs": [],
            "outputs": [],
            "widgets_values": [file],
        }
        for place, kind in ((1, "PreviewBridge"), (2, "MaskPainter"))
    ]
    page.evaluate(LOAD, {"nodes": nodes, "links": [], "version": 0.4, "last_node_id": 2, "last_link_id": 0})
    for node in (1, 2):
        assert value(page, node, "image") == "clipspace/a.png [input]"


def test_a_receiver_takes_what_its_sender_sent(page: Any, client: Client, renderer: str) -> None:
    number, sender = page.evaluate(ADD, "ImpactInt"), page.evaluate(ADD, "ImpactValueSender")
    receiver, other = page.evaluate(ADD, "ImpactValueReceiver"), page.evaluate(ADD, "ImpactValueReceiver")
    set_widget(page, number, "value", 40_000 + len(renderer))
    set_widget(page, other, "link_id", 1)
    page.evaluate(CONNECT, [number, sender, "value"])
    finished(client, queue(page))
    page.wait_for_function(f"() => ({VALUE})([{receiver}, 'value']) !== ''")
    assert [value(page, receiver, name) for name in ("typ", "value")] == ["INT", str(40_000 + len(renderer))]
    assert value(page, other, "value") == ""


@pytest.mark.parametrize("change", [{"workflow": "another"}, {"prompt_id": None}, {"link": "7"}, None])
def test_what_a_receiver_does_not_take(page: Any, change: dict[str, Any] | None) -> None:
    """Of another workflow, of a pack that tells all pages, of another number; and where it is switched off."""
    receiver = page.evaluate(ADD, "ImpactValueReceiver")
    detail = {"prompt_id": "p", "link_id": 0, "link": "0", "typ": "INT", "text": "5", "value": 5}
    set_widget(page, receiver, "value", "")
    page.evaluate(SET, change is not None)
    page.evaluate(EMIT, ["value-send", detail | (change or {})])
    assert value(page, receiver, "value") == ""
    page.evaluate(SET, True)
    page.evaluate(EMIT, ["value-send", detail])
    assert value(page, receiver, "value") == "5"


def test_a_picture_that_was_sent(page: Any, client: Client, renderer: str) -> None:
    image, sender, receiver = (page.evaluate(ADD, kind) for kind in ("EmptyImage", "ImageSender", "ImageReceiver"))
    set_widget(page, image, "color", 500 + len(renderer))
    page.evaluate(CONNECT, [image, sender, "images"])
    page.evaluate("id => window.app.graph.getNodeById(id).widgets[2].value = true", receiver)
    page.evaluate("id => window.app.graph.getNodeById(id).mode = 4", receiver)  # there is no picture yet
    finished(client, queue(page))
    page.wait_for_function(f"() => ({VALUE})([{receiver}, 'image_data']).startsWith('data:image/png')")
    assert value(page, receiver, "image").endswith(" [temp]")
    page.evaluate("id => window.app.graph.getNodeById(id).mode = 0", receiver)
    assert page.evaluate(CONVERT)[str(receiver)]["inputs"]["image_data"].startswith("data:image/png")
    set_widget(page, receiver, "save_to_workflow", False)
    assert page.evaluate(CONVERT)[str(receiver)]["inputs"]["image_data"] == ""


@pytest.mark.parametrize(("mode", "after"), [("populate", "populate"), ("reproduce", "populate"), ("fixed", "fixed")])
def test_the_text_that_was_made_appears(page: Any, client: Client, mode: str, after: str) -> None:
    node, log = page.evaluate(ADD, "ImpactWildcardProcessor"), page.evaluate(ADD, "ImpactLogger")
    for name, text in (("wildcard_text", "{a|b}"), ("populated_text", "old"), ("mode", mode), ("seed", 5)):
        set_widget(page, node, name, text)
    page.evaluate(CONNECT, [node, log, "data"])
    logged = finished(client, queue(page))["outputs"][str(log)]["text"][0]
    assert (logged in "ab") == (mode == "populate")
    page.wait_for_function(f"([id, made]) => ({VALUE})([id, 'populated_text']) === made", arg=[node, logged])
    page.wait_for_function(f"([id, mode]) => ({VALUE})([id, 'mode']) === mode", arg=[node, after])


def test_modes_of_older_workflows(page: Any) -> None:
    nodes = [
        {"id": place, "type": "ImpactWildcardProcessor", "pos": [0, 0], "size": [300, 300], "inputs": [], "outputs": [],
         "widgets_values": ["a", "b", mode, 5, "fixed", "Select the Wildcard to add to the text"]}
        for place, mode in ((1, True), (2, False), (3, "reproduce"))
    ]  # fmt: skip
    page.evaluate(LOAD, {"nodes": nodes, "links": [], "version": 0.4, "last_node_id": 3, "last_link_id": 0})
    assert [value(page, node, "mode") for node in (1, 2, 3)] == ["populate", "fixed", "reproduce"]
    assert [value(page, node, "seed") for node in (1, 2, 3)] == [5, 5, 5]


def test_a_list_chosen_is_added(page: Any) -> None:
    node = page.evaluate(ADD, "ImpactWildcardEncode")
    set_widget(page, node, "wildcard_text", "a")
    page.evaluate(
        """id => {
            const node = window.app.graph.getNodeById(id);
            const choice = node.widgets.find(one => one.name === "Select to add Wildcard");
            choice.value = "__x__";
            choice.callback("__x__");
        }""",
        node,
    )
    assert value(page, node, "wildcard_text") == "a, __x__"
    assert value(page, node, "Select to add Wildcard") == "Select the Wildcard to add to the text"
