"""Nodes inside subgraphs: the server runs them under ids such as ``12:5``, whichever graph is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import workflow
from support.client import Client
from support.page import ADD, CONNECT, LOAD, SCREENSHOTS, look_at, run_prompt, set_widget

DETAILER = 7
INTO_SUBGRAPH = """ids => {
    const { graph } = window.app;
    return graph.convertToSubgraph(new Set(ids.map(id => graph.getNodeById(id)))).node.id;
}"""
OPEN = """id => {
    const { canvas, graph } = window.app;
    const node = graph.getNodeById(id);
    canvas.openSubgraph(node.subgraph, node);
}"""
CLOSE = "() => window.app.canvas.setGraph(window.app.rootGraph ?? window.app.graph)"
INSIDE = "([id, type]) => window.app.graph.getNodeById(id).subgraph.nodes.find(node => node.type === type).id"
LISTEN = """() => {
    if (window.told) return window.told = [];
    window.told = [];
    window.app.api.addEventListener("impact-preview", ({detail}) => (window.told ??= []).push(detail.node_id));
}"""
LOOK_INSIDE = """([around, id]) => {
    const { canvas, graph } = window.app;
    const [x, y] = graph.getNodeById(around).subgraph.getNodeById(id).pos;
    canvas.ds.scale = 1;
    canvas.ds.offset = [140 - x, 150 - y];
    canvas.setDirty(true, true);
}"""
PICK = """outer => {
    const inner = window.app.graph.getNodeById(outer).subgraph.nodes.find(node => node.subgraph).subgraph;
    inner.nodes.find(node => node.type === "ImpactSEGSPicker").widgets.find(({name}) => name === "pick").callback();
}"""
PREVIEW = ".mask-detailer-preview img"


@pytest.fixture
def page(page: Any) -> Iterator[Any]:
    yield page
    page.screenshot(path=SCREENSHOTS / "subgraph.png")
    page.evaluate(CLOSE)


@pytest.mark.parametrize("open_first", [False, True], ids=["closed", "open"])
def test_preview_hook(page: Any, client: Client, renderer: str, open_first: bool) -> None:
    """The picture is there, whether the subgraph is open when the server's event comes or opened later."""
    page.evaluate(LOAD, workflow.saved("mask_detailer_pipe")[0])
    hook = page.evaluate(ADD, "PreviewDetailerHookProvider")
    page.evaluate(CONNECT, [hook, DETAILER, "detailer_hook"])
    set_widget(page, DETAILER, "seed", 500 + open_first)  # what ran already, ComfyUI has in its cache
    for name, value in {"batch_size": 1, "cycle": 1, "steps": 2, "sampler_name": "euler"}.items():
        set_widget(page, DETAILER, name, value)
    around = page.evaluate(INTO_SUBGRAPH, [hook, DETAILER])
    inside = page.evaluate(INSIDE, [around, "PreviewDetailerHookProvider"])
    page.evaluate(LISTEN)
    if open_first:
        page.evaluate(OPEN, around)
    run_prompt(page, client)
    page.wait_for_function("() => window.told.length === 3")
    assert set(page.evaluate("() => window.told")) == {f"{around}:{inside}"}
    if not open_first:
        page.evaluate(OPEN, around)
    page.evaluate(LOOK_INSIDE, [around, inside])
    picture = page.locator(PREVIEW)
    picture.wait_for(timeout=10_000)
    page.wait_for_function("image => image.naturalWidth > 0 && image.clientHeight > 99", arg=picture.element_handle())
    page.screenshot(path=SCREENSHOTS / f"subgraph_preview_{renderer}.png")
    strips = page.locator(".mask-detailer-live:visible")
    assert strips.count() == 1  # the detailer's
    page.evaluate(CLOSE)
    look_at(page, around)
    page.wait_for_timeout(1000)  # the page draws its nodes anew, and what stood in one that is gone might come back
    assert strips.count() == 1  # the outer node's
    page.screenshot(path=SCREENSHOTS / f"subgraph_strip_{renderer}.png")


def test_picker(page: Any, client: Client) -> None:
    """In a subgraph within a subgraph."""
    saved, prompt = workflow.saved("segs_and_masks")
    page.evaluate(LOAD, saved)
    picker = next(int(node) for node, step in prompt.items() if step["class_type"] == "ImpactSEGSPicker")
    segs = next(int(node) for node, step in prompt.items() if step["class_type"] == "MaskToSEGS")
    page.evaluate(CONNECT, [segs, picker, "segs"])
    outer = page.evaluate(INTO_SUBGRAPH, [page.evaluate(INTO_SUBGRAPH, [picker])])
    run_prompt(page, client)
    page.evaluate(PICK, outer)
    thumbnails = page.locator(".mask-detailer-picker img")
    thumbnails.nth(2).wait_for(timeout=10_000)
    assert thumbnails.count() == 3
    page.locator(".mask-detailer-picker button", has_text="Cancel").click()


def test_subgraph_used_twice(page: Any) -> None:
    """Its nodes run under two ids, and both lead to them."""
    around = page.evaluate(INTO_SUBGRAPH, [page.evaluate(ADD, "EmptySegs")])
    inside = page.evaluate(INSIDE, [around, "EmptySegs"])
    twin, ids, found, unknown = page.evaluate(
        """async ([around, inside]) => {
            const { idsOf, nodeAt } = await import("/extensions/mask_detailer/nodes.js");
            const { graph } = window.app;
            const twin = graph.add(graph.getNodeById(around).clone()).id;
            const node = graph.getNodeById(around).subgraph.getNodeById(inside);
            const ids = idsOf(node);
            const unknown = ["404", `404:${inside}`, `${around}:404`, `${around}:${inside}:1`].map(nodeAt);
            return [twin, ids, ids.map(id => nodeAt(id) === node), unknown];
        }""",
        [around, inside],
    )
    assert ids == [f"{around}:{inside}", f"{twin}:{inside}"]
    assert found == [True, True]
    assert unknown == [None] * 4
