"""The picker's dialog: segments chosen by their pictures, with the mouse or the keyboard."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from support import workflow
from support.client import Client
from support.page import ADD, CONNECT, LOAD, SCREENSHOTS, look_at, run_prompt, set_widget

PRESS = """([id, name]) => {
    window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).callback();
}"""
VALUE = "id => window.app.graph.getNodeById(id).widgets.find(widget => widget.name === 'picks').value"
THINGS = itertools.count(1)  # another each time: what ran already, ComfyUI has in its cache
DIALOG = ".mask-detailer-picker"


@pytest.fixture
def picker(page: Any) -> int:
    """The picker's id, behind three labelled segments; its file has "1"."""
    saved, prompt = workflow.saved("segs_and_masks")
    node, segs = (
        next(int(node) for node, step in prompt.items() if step["class_type"] == kind)
        for kind in ("ImpactSEGSPicker", "MaskToSEGS")
    )
    page.evaluate(LOAD, copy.deepcopy(saved))
    label = page.evaluate(ADD, "ImpactSEGSLabelAssign")
    page.evaluate(CONNECT, [segs, label, "segs"])
    page.evaluate(CONNECT, [label, node, "segs"])
    set_widget(page, label, "labels", f"face, a hand, thing {next(THINGS)}")
    look_at(page, node)
    return node


def opened(page: Any, picker: int) -> Any:
    page.evaluate(PRESS, [picker, "pick"])
    dialog = page.locator(DIALOG)
    dialog.wait_for(timeout=10_000)
    return dialog


def pressed(page: Any) -> list[bool]:
    return [button.get_attribute("aria-pressed") == "true" for button in page.locator(f"{DIALOG} .segment").all()]


def press(page: Any, name: str) -> None:
    page.locator(f"{DIALOG} button", has_text=name).click()


def test_before_the_first_run(page: Any) -> None:
    """It says what to do, and asks the server nothing that this would call an error."""
    node = page.evaluate(ADD, "ImpactSEGSPicker")
    refused: list[str] = []

    def heard(response: Any) -> None:
        if response.status >= 400 and "picker" in response.url:
            refused.append(response.url)

    page.on("response", heard)
    dialog = opened(page, node)
    assert "Run the workflow once" in dialog.inner_text()
    assert dialog.get_by_text("OK").is_disabled() and dialog.get_by_text("Invert").is_disabled()
    page.keyboard.press("Escape")
    assert page.locator(DIALOG).count() == 0
    page.remove_listener("response", heard)
    assert refused == []


def test_dialog(page: Any, picker: int, client: Client, renderer: str) -> None:
    run_prompt(page, client)
    dialog = opened(page, picker)
    captions = [one.text_content() for one in dialog.locator(".caption").all()]
    assert captions[:2] == ["1 face 1.00", "2 a hand 1.00"] and captions[2].startswith("3 thing ")
    assert pressed(page) == [True, False, False]
    assert "1 of 3" in dialog.inner_text()
    for name, wanted in (("All", [True] * 3), ("None", [False] * 3), ("Invert", [True] * 3)):
        press(page, name)
        assert pressed(page) == wanted
    page.locator(f"{DIALOG} .segment").nth(1).click()
    assert pressed(page) == [True, False, True]
    page.wait_for_function(f"() => [...document.querySelectorAll('{DIALOG} img')].every(i => i.naturalWidth > 0)")
    page.screenshot(path=SCREENSHOTS / f"picker_{renderer}.png")
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.mouse.click(30, 500)):
        close()
        page.locator(DIALOG).wait_for(state="detached", timeout=5_000)
        assert page.evaluate(VALUE, picker) == "1"  # as it was
        opened(page, picker)
        assert pressed(page) == [True, False, False]
    press(page, "Cancel")


def test_keyboard(page: Any, picker: int, client: Client) -> None:
    """Arrows go from one to the next, the space bar picks, and no key reaches the page's own shortcuts."""
    run_prompt(page, client)
    opened(page, picker)
    nodes = page.evaluate("() => window.app.graph.nodes.length")
    page.evaluate("id => window.app.canvas.selectNode(window.app.graph.getNodeById(id))", picker)
    for key in ("ArrowRight", "ArrowRight", "Space", "ArrowLeft", "Delete", "Backspace"):
        page.keyboard.press(key)
    assert pressed(page) == [True, False, True]
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert pressed(page) == [False, False, True]
    page.keyboard.press("Control+Enter")
    page.locator(DIALOG).wait_for(state="detached", timeout=5_000)
    assert page.evaluate(VALUE, picker) == "3"
    assert page.evaluate("() => window.app.graph.nodes.length") == nodes
    page.evaluate("() => window.app.canvas.deselectAll()")
    page.evaluate("() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    page.wait_for_function(f"id => ({VALUE})(id) === '1'", arg=picker)
