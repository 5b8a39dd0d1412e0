"""The page's search finds our nodes by what users look for; our kinds of connection have colours of their own."""

from __future__ import annotations

from typing import Any

import pytest
from support.page import ADD, CONNECT, SCREENSHOTS, look_at

SEARCH = "Comfy.Canvas.AddNode"
NODES = """() => [...document.querySelectorAll('[data-testid="result-item"], .option-container, [role="option"]')]
    .map(option => option.textContent.trim())"""
FOUND = """query => document.querySelector("#vue-app").__vue_app__.config.globalProperties.$pinia._s.get("nodeDef")
    .nodeSearchService.searchNode(query, [], {limit: 64}).map(node => [node.name, node.display_name])"""
KINDS = ("SEGS", "BASIC_PIPE", "DETAILER_PIPE", "DETAIL_OPTIONS", "DETAILER_HOOK", "BBOX_DETECTOR", "SAM_MODEL")
SLOTS = "kinds => kinds.map(kind => window.app.canvas.default_connection_color_byType[kind])"
LINKS = "kinds => kinds.map(kind => window.app.canvas.constructor.link_type_colors[kind])"
DOTS = """kinds => kinds.map(
    kind => getComputedStyle(document.documentElement).getPropertyValue(`--color-datatype-${kind}`))"""
PALETTE = "async id => { await window.app.extensionManager.setting.set('Comfy.ColorPalette', id) }"


@pytest.mark.parametrize("word", ["hands", "eyes"])
def test_search_finds_a_detailer(page: Any, word: str) -> None:
    found = [name for name, _ in page.evaluate(FOUND, word)]
    assert {"MaskDetailerPipe", "FaceDetailer"} & set(found[:3])


def test_search_finds_inpaint(page: Any) -> None:
    """What has the word in its name comes first, one of ours among it; of what remains ours are at the top."""
    found = page.evaluate(FOUND, "inpaint")
    assert "MaskDetailerTouchUp" in [name for name, _ in found[:8]]
    others = [name for name, shown in found if "inpaint" not in f"{name} {shown}".lower()]
    assert {"MaskDetailerPipe", "DetailerForEach"} <= set(others[:4])


def test_our_kinds_have_colours(page: Any, renderer: str) -> None:
    colours = page.evaluate(SLOTS, list(KINDS))
    assert all(colours) and len(set(colours)) == len(KINDS)
    assert page.evaluate(LINKS, list(KINDS)) == colours
    assert [dot.strip() for dot in page.evaluate(DOTS, list(KINDS))] == colours
    core = page.evaluate(SLOTS, ["MODEL", "IMAGE", "MASK", "LATENT", "CONDITIONING", "VAE", "CLIP"])
    assert all(core) and not set(core) & set(colours)
    segs, detailer = page.evaluate(ADD, "EmptySegs"), page.evaluate(ADD, "DetailerForEachPipe")
    page.evaluate("id => { window.app.graph.getNodeById(id).pos = [420, 40] }", detailer)
    page.evaluate(CONNECT, [segs, detailer, "segs"])
    look_at(page, segs)
    page.wait_for_timeout(500)
    page.screenshot(path=SCREENSHOTS / f"colours_{renderer}.png")


def test_colours_outlive_another_palette(page: Any) -> None:
    colours = page.evaluate(SLOTS, list(KINDS))
    try:
        page.evaluate(PALETTE, "light")
        page.wait_for_function("() => document.body.className.includes('light') || true")
        page.wait_for_timeout(500)
        assert page.evaluate(SLOTS, list(KINDS)) == colours
        assert [dot.strip() for dot in page.evaluate(DOTS, list(KINDS))] == colours
    finally:
        page.evaluate(PALETTE, "dark")
        page.wait_for_timeout(300)
