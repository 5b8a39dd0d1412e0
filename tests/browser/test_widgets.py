"""What widgets a node shows: those that few turn only when asked, those that do nothing grey; what they hold counts."""

from __future__ import annotations

from typing import Any

import pytest
from support import workflow
from support.page import ADD, CONVERT, LOAD, SCREENSHOTS, look_at, set_widget

FEW_TURN = {
    "guide_size_for", "mask_mode", "drop_size", "refiner_ratio", "batch_size", "cycle", "inpaint_model",
    "noise_mask_feather", "bbox_fill", "contour_fill", "crop_batch", "choices",
}  # fmt: skip
NAMES = "id => window.app.graph.getNodeById(id).widgets.filter(w => w.options.advanced).map(w => w.name)"
DIMMED = """id => [...document.querySelectorAll(`[data-node-id="${id}"] .lg-node-widget`)]
    .filter(row => getComputedStyle(row).opacity === "0.5")"""
HEIGHT = """id => document.querySelector(`[data-node-id="${id}"]`).getBoundingClientRect().height"""
SAVED_HEIGHTS = "() => window.app.graph.serialize().nodes.map(node => node.size[1])"
GREY = """id => window.app.graph.getNodeById(id).widgets.filter(widget => widget.disabled).map(widget => widget.name)"""
TURN = """([id, name, value]) => {
    const node = window.app.graph.getNodeById(id);
    const widget = node.widgets.find(widget => widget.name === name);
    widget.value = value;
    widget.callback?.(value, window.app.canvas, node);
}"""
FIXED, SHORT, BUDGET = {"width", "height"}, {"short_side"}, {"megapixels"}
DEFAULTS = {
    "colour": "off", "blend": "feather", "size_mode": "guide_size", "min_context": 0, "denoise_by_size": "off",
    "width": 1024, "height": 1024, "short_side": 1024,
}  # fmt: skip
REST = {"colour_limit", "blend_width", "border", "full_denoise_up_to"}


def rows(page: Any, node: int) -> list[str]:
    """The names of the widgets that Nodes 2.0 show."""
    page.locator(f'[data-node-id="{node}"]').wait_for(timeout=10_000)
    page.wait_for_timeout(300)
    text = page.locator(f'[data-node-id="{node}"]').inner_text()
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_few_turn_them(page: Any, renderer: str) -> None:
    """Nodes 2.0 hide them until asked; the classic renderer has no place for that and shows all, as ComfyUI's own."""
    node = page.evaluate(ADD, "MaskDetailerPipe")
    look_at(page, node)
    assert set(page.evaluate(NAMES, node)) == FEW_TURN
    if renderer == "vue":
        assert not FEW_TURN & set(rows(page, node)) and {"guide_size", "denoise"} <= set(rows(page, node))
        height, (saved,) = page.evaluate(HEIGHT, node), page.evaluate(SAVED_HEIGHTS)
        assert 250 < saved <= height + 40 < 620
        page.screenshot(path=SCREENSHOTS / f"few_turn_{renderer}.png")
        page.locator(f'[data-node-id="{node}"]').get_by_text("Show advanced inputs").click()
        page.wait_for_timeout(300)
        assert set(rows(page, node)) >= FEW_TURN
        assert page.evaluate(HEIGHT, node) > height + 150
    page.screenshot(path=SCREENSHOTS / f"all_widgets_{renderer}.png")


def test_what_is_hidden_counts(page: Any) -> None:
    """Of a file of years ago, whose values are none of the defaults."""
    saved, wanted = workflow.saved("mask_detailer_pipe")
    page.evaluate(LOAD, saved)
    assert page.evaluate(CONVERT)["7"]["inputs"] == wanted["7"]["inputs"] | page.evaluate(CONVERT)["7"]["inputs"]
    values = {"cycle": 4, "refiner_ratio": 0.65, "bbox_fill": False, "contour_fill": True, "drop_size": 31}
    for name, value in values.items():
        set_widget(page, 7, name, value)
    made = page.evaluate(CONVERT)["7"]["inputs"]
    assert {name: made[name] for name in values} == values
    file = page.evaluate("() => window.app.graph.serialize()")
    page.evaluate(LOAD, file)
    assert page.evaluate(CONVERT)["7"]["inputs"] == made


@pytest.fixture
def options(page: Any) -> int:
    node = page.evaluate(ADD, "MaskDetailerOptions")
    for name, value in DEFAULTS.items():  # the page gives a node the values of one that had its id before
        page.evaluate(TURN, [node, name, value])
    look_at(page, node)
    return node


def test_what_does_nothing_is_grey(page: Any, options: int, renderer: str) -> None:
    before = page.evaluate(CONVERT)
    assert set(page.evaluate(GREY, options)) == REST | FIXED | SHORT | BUDGET
    for name, value, rest in (
        ("size_mode", "fixed_size", REST | SHORT | BUDGET),
        ("size_mode", "short_side", REST | FIXED | BUDGET),
        ("blend", "multiband", (REST | FIXED | BUDGET) - {"blend_width"}),
        ("colour", "covariance", (REST | FIXED | BUDGET) - {"blend_width", "colour_limit"}),
        ("min_context", 16, {"full_denoise_up_to"} | FIXED | BUDGET),
        ("denoise_by_size", "less_for_larger", FIXED | BUDGET),
        ("size_mode", "guide_size", FIXED | BUDGET | SHORT),
    ):
        page.evaluate(TURN, [options, name, value])
        assert set(page.evaluate(GREY, options)) == rest, (name, value)
    if renderer == "vue":
        shown = page.locator(f'[data-node-id="{options}"]')
        page.wait_for_timeout(300)
        page.wait_for_function(f"id => ({DIMMED})(id).length === 4", arg=options, timeout=10_000)
        fields = shown.locator(".lg-node-widget").all()
        grey = [field.evaluate("row => getComputedStyle(row).opacity") for field in fields]
        assert grey.count("0.5") == len(FIXED | BUDGET | SHORT) and set(grey) == {"0.5", "1"}
    page.screenshot(path=SCREENSHOTS / f"grey_{renderer}.png")
    made = page.evaluate(CONVERT)[str(options)]["inputs"]
    assert made | {"width": 1024, "height": 1024, "short_side": 1024} == made  # as they were, grey or not
    assert made.keys() == before[str(options)]["inputs"].keys()


def test_grey_after_a_file_and_with_links(page: Any, options: int) -> None:
    page.evaluate(TURN, [options, "size_mode", "fixed_size"])
    page.evaluate(TURN, [options, "width", 640])
    page.evaluate(LOAD, page.evaluate("() => window.app.graph.serialize()"))
    assert set(page.evaluate(GREY, options)) == REST | SHORT | BUDGET
    assert page.evaluate(CONVERT)[str(options)]["inputs"]["width"] == 640
    number = page.evaluate(ADD, "ImpactInt")
    page.evaluate(
        """([from, to]) => {
            const target = window.app.graph.getNodeById(to);
            const slot = target.inputs.findIndex(input => input.name === "min_context");
            window.app.graph.getNodeById(from).connect(0, target, slot);
        }""",
        [number, options],
    )
    assert "border" not in page.evaluate(GREY, options)  # what comes by the link is not known here
