"""Detail Plan shows its table on its node, and sends its settings to the detailer when its user says so."""

from __future__ import annotations

from typing import Any

import pytest
from support import workflow
from support.client import Client
from support.page import ADD, CONNECT, CONVERT, LOAD, SCREENSHOTS, look_at, run_prompt, set_widget

DETAILER = 7
WIDGETS = """id => Object.fromEntries(
    window.app.graph.getNodeById(id).widgets.map(widget => [widget.name, widget.value]))"""
TABLE = """element => [...element.querySelectorAll("tr")].map(
    row => [...row.children].map(cell => cell.textContent))"""
UNDO = "() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.undo()"
INSIDE = """() => {
    const all = document.querySelector(".mask-detailer-plan");
    const [outer, inner] = [all, all.querySelector(".sheet")].map(element => element.getBoundingClientRect());
    return inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
}"""


@pytest.fixture
def plan(page: Any) -> int:
    """The plan's id, beside a detailer that gets the same inputs."""
    saved, _ = workflow.saved("mask_detailer_pipe")
    page.evaluate(LOAD, saved)
    for name, value in {"steps": 1, "cycle": 1, "batch_size": 1, "sampler_name": "euler"}.items():
        set_widget(page, DETAILER, name, value)
    node = page.evaluate(ADD, "MaskDetailerPlan")
    page.evaluate("id => { window.app.graph.getNodeById(id).pos = [2400, 900] }", node)
    for source, slot in ((4, "image"), (5, "mask"), (6, "basic_pipe")):
        page.evaluate(CONNECT, [source, node, slot])
    for name, value in {"guide_size": 96, "max_size": 128, "drop_size": 2, "seed": 5, "crop_factor": 2.0}.items():
        set_widget(page, node, name, value)
    look_at(page, node)
    return node


def test_the_table_stands_on_the_node(page: Any, plan: int, client: Client, renderer: str) -> None:
    assert "Run the workflow" in page.locator(".mask-detailer-plan").inner_text()
    run_prompt(page, client)
    table = page.locator(".mask-detailer-plan table")
    table.wait_for(timeout=10_000)
    head, *rows = table.evaluate(TABLE)
    assert head[0] == "Part" and [row[0] for row in rows] == ["1", "2", "3"]
    assert [row[head.index("Seed")] for row in rows] == ["5", "6", "7"]
    assert page.evaluate(INSIDE)
    page.wait_for_timeout(700)
    page.screenshot(path=SCREENSHOTS / f"plan_{renderer}.png")


def test_its_settings_go_to_the_detailer(page: Any, plan: int, client: Client, renderer: str) -> None:
    before = page.evaluate(WIDGETS, DETAILER)
    run_prompt(page, client)  # after which the page has chosen another seed for the plan
    page.locator(".mask-detailer-plan table").wait_for(timeout=10_000)
    assert page.evaluate(WIDGETS, plan)["seed"] != 5
    here = page.evaluate(WIDGETS, DETAILER)
    varies = {"seed": 0, "segments": ""}  # the strip is there from the first run on
    assert {**here, **varies} == {**before, **varies}  # nothing was written by itself
    page.locator(".mask-detailer-plan button").click()
    after = page.evaluate(WIDGETS, DETAILER)
    changed = {name for name in after if after[name] != here[name]}
    assert {name: after[name] for name in ("guide_size", "max_size", "drop_size", "crop_factor", "seed")} == {
        "guide_size": 96, "max_size": 128, "drop_size": 2, "crop_factor": 2, "seed": 5,
    }  # fmt: skip
    assert changed <= set(page.evaluate(WIDGETS, plan)) and not changed & {"steps", "cfg", "denoise", "cycle"}
    assert "guide_size" in page.locator(".mask-detailer-plan .sent").inner_text()
    page.screenshot(path=SCREENSHOTS / f"plan_sent_{renderer}.png")
    page.evaluate(UNDO)  # one step
    page.wait_for_timeout(500)
    assert page.evaluate(WIDGETS, DETAILER) == here
    page.locator(".mask-detailer-plan table").wait_for(timeout=10_000)  # it is still there
    page.locator(".mask-detailer-plan button").click()
    assert page.evaluate(WIDGETS, DETAILER)["guide_size"] == 96


def test_which_detailer_is_meant(page: Any, plan: int) -> None:
    other = page.evaluate(ADD, "DetailerForEach")
    page.evaluate("id => { window.app.graph.getNodeById(id).pos = [3400, 900] }", other)
    page.locator(".mask-detailer-plan button").click()  # the one with the same inputs
    assert page.evaluate(WIDGETS, DETAILER)["guide_size"] == 96
    assert page.evaluate(WIDGETS, other)["guide_size"] == 512
    page.evaluate("id => window.app.canvas.selectNode(window.app.graph.getNodeById(id))", other)
    set_widget(page, plan, "guide_size", 320)
    page.evaluate("id => window.app.graph.getNodeById(id).widgets.at(-1).element.querySelector('button').click()", plan)
    assert page.evaluate(WIDGETS, other)["guide_size"] == 320
    assert page.evaluate(WIDGETS, DETAILER)["guide_size"] == 96
    page.evaluate("() => window.app.canvas.deselectAll()")
    page.evaluate("ids => ids.forEach(id => window.app.graph.getNodeById(id).disconnectInput(0))", [plan, DETAILER])
    page.evaluate(
        """ids => ids.forEach(id => {
            const node = window.app.graph.getNodeById(id);
            node.inputs.forEach((input, slot) => node.isInputConnected(slot) && node.disconnectInput(slot));
        })""",
        [plan],
    )
    page.evaluate("id => window.app.graph.getNodeById(id).widgets.at(-1).element.querySelector('button').click()", plan)
    assert "Select the detailer" in page.locator(".mask-detailer-plan .sent").inner_text()


def test_neither_the_prompt_nor_the_file_knows_of_it(page: Any, plan: int) -> None:
    made = page.evaluate(CONVERT)[str(plan)]["inputs"]
    assert "plan" not in made and made["guide_size"] == 96
    saved = page.evaluate("() => window.app.graph.serialize()")
    values = next(node for node in saved["nodes"] if str(node["id"]) == str(plan))["widgets_values"]
    page.evaluate(LOAD, saved)
    assert page.evaluate(CONVERT)[str(plan)]["inputs"] == made
    assert len(values) == len(made) - 3 + 1  # links are no widgets; the seed has a second place
