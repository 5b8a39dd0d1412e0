"""What the tests of this folder's parent ask of the page that ComfyUI brings, of a later one."""

from __future__ import annotations

from typing import Any

import pytest
from support.borrowing import borrowed
from support.page import ADD, LOAD, SCREENSHOTS

from browser import test_picker, test_plan, test_search_and_colours, test_told, test_widgets
from browser.test_picker import picker as picker
from browser.test_plan import plan as plan
from browser.test_told import detailer as detailer
from browser.test_widgets import options as options

KINDS = ("MaskDetailerPipe", "MaskDetailerOptions", "MaskDetailerPlan", "FaceDetailer", "SEGSPreview")


def test_our_nodes_are_there(page: Any, renderer: str) -> None:
    """Each is made, shows what it should, and is as it was after a file."""
    for place, kind in enumerate(KINDS):
        node = page.evaluate(ADD, kind)
        page.evaluate("([id, x]) => { window.app.graph.getNodeById(id).pos = [x, 60] }", [node, 60 + 480 * place])
    widgets = (
        "() => window.app.graph.nodes.map(node => (node.widgets ?? []).map(widget => [widget.name, widget.value]))"
    )
    before = page.evaluate(widgets)
    assert all(before)
    page.evaluate(LOAD, page.evaluate("() => window.app.graph.serialize()"))
    assert page.evaluate(widgets) == before
    page.wait_for_timeout(500)
    page.screenshot(path=SCREENSHOTS / f"newest_{renderer}.png")


for module in (test_widgets, test_plan, test_picker, test_told, test_search_and_colours):
    globals().update(borrowed(module, pytest.mark.by_hand))
del module
