"""SEGSPreview says under each of its pictures which segment it is."""

from __future__ import annotations

from typing import Any

import pytest
from support import workflow
from support.client import Client
from support.page import ADD, CONNECT, CONVERT, LOAD, SCREENSHOTS, look_at, queue, set_widget
from support.page import finished as finish

CAPTIONS = "element => [...element.querySelectorAll('figcaption')].map(caption => caption.textContent)"
IMAGES = "element => [...element.querySelectorAll('img')].map(image => image.naturalWidth)"
VALUES = """() => window.app.graph.serialize().nodes
    .find(node => String(node.id) === String(window.preview)).widgets_values"""
FITS = """() => {
    const node = window.app.graph.getNodeById(window.preview);
    return node.size[1] >= node.computeSize()[1] && node.size[1] > 300;
}"""
EVIL = "<img src=x onerror=window.hacked=1>"


@pytest.fixture
def preview(page: Any) -> Any:
    """The page with the three segments of a mask, labelled and shown; the preview's id is in ``window.preview``."""
    saved, _ = workflow.saved("mask_detailer_pipe")
    page.evaluate(LOAD, saved)
    page.evaluate("() => window.app.graph.remove(window.app.graph.getNodeById(7))")
    segs, label = page.evaluate(ADD, "MaskToSEGS"), page.evaluate(ADD, "ImpactSEGSLabelAssign")
    node = page.evaluate(ADD, "SEGSPreview")
    links = [(5, segs, "mask"), (segs, label, "segs"), (label, node, "segs"), (4, node, "fallback_image_opt")]
    for source, target, slot in links:
        page.evaluate(CONNECT, [source, target, slot])
    set_widget(page, segs, "drop_size", 2)
    set_widget(page, label, "labels", f"face, {EVIL}")
    page.evaluate("id => { window.app.graph.getNodeById(id).pos = [420, 740]; window.preview = id }", node)
    look_at(page, node)
    return page


def test_each_picture_has_its_caption(preview: Any, client: Client, renderer: str) -> None:
    before = preview.evaluate(CONVERT)
    row = preview.locator(".mask-detailer-parts")
    assert row.count() == 0
    finish(client, queue(preview))
    row.wait_for(timeout=10_000)
    assert row.evaluate(CAPTIONS) == ["1 face 1.00", f"2 {EVIL} 1.00", "3"]
    preview.wait_for_function("() => [...document.querySelectorAll('.mask-detailer-parts img')].every(i => i.complete)")
    assert all(width > 0 for width in row.evaluate(IMAGES))
    assert not preview.evaluate("() => window.hacked")
    preview.wait_for_function(FITS, timeout=10_000)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    preview.screenshot(path=SCREENSHOTS / f"captions_{renderer}.png")
    assert preview.evaluate(CONVERT) == before
    assert preview.evaluate(VALUES) == [True, 0.2]
    finish(client, queue(preview))
    assert row.count() == 1
