"""What our nodes do in the browser beyond what ComfyUI does for every node."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support import workflow
from support.page import ADD, CONNECT, CONVERT, LOAD, SCREENSHOTS, look_at

INPUT_NAMES = "id => window.app.graph.getNodeById(id).inputs.map(input => input.name)"
DISCONNECT = """([id, slot]) => {
    const node = window.app.graph.getNodeById(id);
    node.disconnectInput(node.inputs.findIndex(input => input.name === slot));
}"""
CHOOSE = """([id, name, value]) => {
    const widget = window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name);
    widget.value = value;
    widget.callback?.(value, window.app.canvas, window.app.graph.getNodeById(id));
    return widget.value;
}"""
PRESS = """([id, name]) => {
    window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).callback();
}"""
VALUE = "([id, name]) => window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).value"
SAVED = "id => window.app.graph.serialize().nodes.find(node => String(node.id) === String(id)).widgets_values"


def test_concat_grows_and_shrinks(page: Any) -> None:
    sources = [page.evaluate(ADD, "EmptySegs") for _ in range(3)]
    target = page.evaluate(ADD, "ImpactSEGSConcat")
    for number, source in enumerate(sources, start=1):
        page.evaluate(CONNECT, [source, target, f"segs{number}"])
        names = [name for name in page.evaluate(INPUT_NAMES, target) if name.startswith("segs")]
        assert names == [f"segs{place}" for place in range(1, number + 2)]
    page.evaluate(DISCONNECT, [target, "segs3"])
    assert page.evaluate(INPUT_NAMES, target)[:4] == ["segs1", "segs2", "segs3"]
    prompt = page.evaluate(CONVERT)[str(target)]["inputs"]
    assert prompt == {"segs1": [str(sources[0]), 0], "segs2": [str(sources[1]), 0]}


def test_concat_from_a_file_keeps_its_inputs(page: Any) -> None:
    saved, wanted = workflow.saved("detectors")
    page.evaluate(LOAD, saved)
    concat = next(node for node, step in wanted.items() if step["class_type"] == "ImpactSEGSConcat")
    assert page.evaluate(INPUT_NAMES, int(concat))[:3] == ["segs1", "segs2", "segs3"]


@pytest.mark.parametrize("kind", ["ImpactSEGSLabelFilter", "SEGSLabelFilterDetailerHookProvider"])
def test_preset_adds_a_label(page: Any, kind: str) -> None:
    node = page.evaluate(ADD, kind)
    page.evaluate(CHOOSE, [node, "labels", "hand"])
    page.evaluate(CHOOSE, [node, "preset", "face"])
    page.wait_for_function(f"() => ({VALUE})([{node}, 'labels']) !== 'hand'")
    labels = page.evaluate(VALUE, [node, "labels"])
    assert [label.strip() for label in labels.split(",")] == ["hand", "face"]


def test_choices_add_to_the_text(page: Any) -> None:
    node = page.evaluate(ADD, "ToDetailerPipe")
    lora, wildcard = "Select to add LoRA", "Select to add Wildcard"
    first = [page.evaluate(VALUE, [node, name]) for name in (lora, wildcard)]
    page.evaluate(CHOOSE, [node, lora, "styles/ink.safetensors"])
    page.evaluate(CHOOSE, [node, wildcard, "__hair__"])
    page.wait_for_function(f"() => ({VALUE})([{node}, 'wildcard']).includes('hair')")
    assert page.evaluate(VALUE, [node, "wildcard"]) == "<lora:styles/ink>, __hair__"
    assert [page.evaluate(VALUE, [node, name]) for name in (lora, wildcard)] == first
    assert page.evaluate(SAVED, node)[1:3] == first


def test_toggles_that_were_saved_as_text(page: Any) -> None:
    """As workflows of years ago hold them."""
    saved, wanted = workflow.saved("mask_detailer_pipe")
    old = copy.deepcopy(saved)
    detailer = next(node for node in old["nodes"] if node["type"] == "MaskDetailerPipe")
    values = detailer["widgets_values"]
    assert values[1] is False and values[3] is False
    values[1], values[3] = "mask bbox", "whole"  # guide_size_for, mask_mode
    page.evaluate(LOAD, old)
    made = page.evaluate(CONVERT)[str(detailer["id"])]["inputs"]
    expected = wanted[str(detailer["id"])]["inputs"] | {"guide_size_for": True, "mask_mode": False}
    assert {name: made[name] for name in expected} == expected


def show_preview(page: Any, node_id: str, **more: str) -> None:
    item = {"filename": "picture.png", "subfolder": "", "type": "input"}
    page.evaluate(
        "detail => { window.app.api.dispatchEvent(new CustomEvent('impact-preview', {detail})) }",
        {"node_id": node_id, "item": item, **more},
    )


def previews(page: Any, count: int) -> list[Any]:
    """The pictures of preview hooks that stand on the page, loaded and large enough to see something."""
    shown = page.locator(".mask-detailer-preview img")
    shown.nth(count - 1).wait_for(timeout=10_000)
    assert shown.count() == count
    for index in range(count):
        picture = shown.nth(index).element_handle()
        page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=picture)
        page.wait_for_function("image => image.clientHeight >= 100 && image.clientWidth >= 100", arg=picture)
    return [shown.nth(index) for index in range(count)]


def test_preview_event_shows_the_picture(page: Any) -> None:
    node = page.evaluate(ADD, "PreviewDetailerHookProvider")
    look_at(page, node)
    before = page.evaluate(SAVED, node)
    for _ in range(2):  # the second takes the first one's place
        show_preview(page, str(node))
    (picture,) = previews(page, 1)
    assert "filename=picture.png" in picture.get_attribute("src")
    page.wait_for_timeout(300)
    page.screenshot(path=SCREENSHOTS / "preview.png")
    assert page.evaluate(SAVED, node) == before


def test_preview_event_of_other_nodes(page: Any) -> None:
    """Of none that is there, of one that another pack serves, or of one in another workflow."""
    show_preview(page, str(page.evaluate(ADD, "PreviewDetailerHookProvider")), workflow="another")
    for node_id in ("404", "404:1", str(page.evaluate(ADD, "EmptySegs")) + ":1", str(page.evaluate(ADD, "LoadImage"))):
        show_preview(page, node_id)
    page.wait_for_timeout(300)
    assert page.locator(".mask-detailer-preview").count() == 0
