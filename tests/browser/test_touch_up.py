"""Paint and go on, in the page: paint, run, paint on the result, undo, step back, reload."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from support.client import Client, Prompt
from support.page import SCREENSHOTS, finished, look_at, queue, set_widget
from support.pictures import decode

NODE = 5
SEEDS = itertools.count(9000)
LOAD = "async prompt => { await window.app.loadApiJson(prompt, 'touch_up.json') }"
VALUE = "([id, name]) => window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).value"
SHOWN = "id => window.app.graph.getNodeById(id).imgs?.map(image => new URL(image.src).searchParams.get('filename'))"
# what a mask editor does once it is closed: a file with the mask as its alpha, pasted onto the node
PAINT = """async ([id, name, left]) => {
    const node = window.app.graph.getNodeById(id);
    const canvas = Object.assign(document.createElement("canvas"), { width: 128, height: 96 });
    const context = canvas.getContext("2d");
    context.fillRect(0, 0, 128, 96);
    context.clearRect(left, 30, 30, 30);
    const file = await new Promise(resolve => canvas.toBlob(resolve));
    const body = new FormData();
    body.append("image", file, name);
    body.append("subfolder", "clipspace");
    const answer = await window.app.api.fetchApi("/upload/image", { method: "POST", body });
    const { name: kept, subfolder, type } = await answer.json();
    const app = node.constructor.app ?? window.comfyAPI.app.ComfyApp;
    app.copyToClipspace(node);
    app.clipspace.images = [{ filename: kept, subfolder, type }];
    app.clipspace.widgets.find(one => one.name === "image").value = { filename: kept, subfolder, type };
    app.clipspace.selectedIndex = 0;
    app.pasteFromClipspace(node);
}"""
UNDO = "async () => { await window.app.extensionManager.command.execute('Comfy.Undo') }"
REOPEN = "async () => { await window.app.loadGraphData(JSON.parse(JSON.stringify(window.app.graph.serialize()))) }"
BAR = ".mask-detailer-touch-up"


def prompt(seed: int) -> Prompt:
    def step(kind: str, **inputs: Any) -> dict[str, Any]:
        return {"class_type": kind, "inputs": inputs}

    return {
        "1": step("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"),
        "2": step("MaskDetailerDemoConditioning", seed=1),
        "3": step("LoadImage", image="discs.png"),
        "4": step("ToBasicPipe", model=["1", 0], clip=["1", 1], vae=["1", 2], positive=["2", 0], negative=["2", 0]),
        "5": step(
            "MaskDetailerTouchUp", picture=["3", 0], basic_pipe=["4", 0], text="", strength=0.6, seed=seed, steps=2,
            cfg=1.0, sampler_name="euler", scheduler="normal", size=64, crop_factor=1.5, feather=4, image="",
            history="",
        ),
        "6": step("SaveImage", images=["5", 0], filename_prefix="touch_up"),
    }  # fmt: skip


@pytest.fixture
def touched(page: Any) -> Any:
    page.evaluate(LOAD, prompt(next(SEEDS)))
    set_widget(page, NODE, "control_after_generate", "fixed")
    page.evaluate(
        "id => { const node = window.app.graph.getNodeById(id); node.setSize([420, 700]);"
        "for (const other of window.app.graph.nodes) if (other !== node) other.pos = [-2000, other.id * 300] }",
        NODE,
    )
    look_at(page, NODE)
    return page


def value(page: Any, name: str) -> Any:
    return page.evaluate(VALUE, [NODE, name])


def steps(page: Any) -> list[dict[str, Any]]:
    return json.loads(value(page, "history") or '{"steps": []}')["steps"]


def run(page: Any, client: Client) -> np.ndarray:
    """Queue it; the picture that came of it, and the node shows it."""
    history = finished(client, queue(page))
    assert history["status"]["status_str"] == "success", history["status"]["messages"]
    (told,) = history["outputs"][str(NODE)]["touch_up"]
    page.wait_for_function(f"([id, after]) => ({VALUE})([id, 'history']) === after", arg=[NODE, told["after"]])
    (shown,) = history["outputs"][str(NODE)]["images"]
    shows(page, shown["filename"])
    return decode(client.view(history["outputs"]["6"]["images"][0]))


def shows(page: Any, filename: str) -> None:
    page.wait_for_function(f"([id, name]) => ({SHOWN})(id)?.[0] === name", arg=[NODE, filename])


def line(page: Any) -> str:
    return page.locator(f"{BAR} .line").text_content()


def screenshot(page: Any, name: str, renderer: str) -> None:
    page.wait_for_timeout(300)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"touch_up_{name}_{renderer}.png")


def test_paint_run_paint_run_undo(touched: Any, client: Client, renderer: str) -> None:
    page = touched
    assert line(page) == "Run once to see the picture, then paint on it."
    first = run(page, client)
    assert line(page) == "Paint on the picture, then run." and steps(page) == []
    page.evaluate(PAINT, [NODE, f"one-{renderer}.png", 10])
    page.wait_for_function("bar => document.querySelector(`${bar} .line`).textContent.startsWith('Painted')", arg=BAR)
    screenshot(page, "painted", renderer)
    one = run(page, client)
    assert (one != first).any() and value(page, "image") == "" and len(steps(page)) == 1
    assert line(page).startswith("Steps: 1. The last: 64 px, 2 steps, cfg 1, euler, normal")
    screenshot(page, "one", renderer)
    page.evaluate(PAINT, [NODE, f"two-{renderer}.png", 80])
    two = run(page, client)
    assert (two[:, 70:] != one[:, 70:]).any() and (two[:, :64] == one[:, :64]).all() and len(steps(page)) == 2
    screenshot(page, "two", renderer)
    before_undo = steps(page)
    page.evaluate(UNDO)
    page.wait_for_function(f"id => JSON.parse(({VALUE})([id, 'history'])).steps.length === 1", arg=NODE)
    assert value(page, "image").startswith(f"clipspace/two-{renderer}")  # painted, not yet detailed
    shows(page, f"two-{renderer}.png")
    again = run(page, client)
    assert (again == two).all() and steps(page) == before_undo


def test_step_back_and_reopen(touched: Any, client: Client, renderer: str) -> None:
    page = touched
    pictures = [run(page, client)]
    for number, left in enumerate((10, 80)):
        page.evaluate(PAINT, [NODE, f"back-{number}-{renderer}.png", left])
        pictures.append(run(page, client))
    ids = [one["picture"] for one in steps(page)]
    back = page.locator(f"{BAR} button").nth(1)
    back.click()
    page.wait_for_function(f"id => JSON.parse(({VALUE})([id, 'history'])).steps.length === 1", arg=NODE)
    shows(page, f"{ids[0]}.png")
    assert (run(page, client) == pictures[1]).all()
    page.evaluate(PAINT, [NODE, f"back-2-{renderer}.png", 50])
    back.click()  # what is only painted goes first
    assert value(page, "image") == "" and len(steps(page)) == 1
    shows(page, f"{ids[0]}.png")
    page.evaluate(REOPEN)
    shows(page, f"{ids[0]}.png")
    assert (run(page, client) == pictures[1]).all() and len(steps(page)) == 1
    back.click()
    assert (run(page, client) == pictures[0]).all() and back.is_disabled()
    screenshot(page, "back", renderer)


def test_painted_with_the_mask_editor(touched: Any, client: Client, renderer: str) -> None:
    """The real one, by our button: strokes of the mouse."""
    page = touched
    first = run(page, client)
    page.locator(f"{BAR} button").nth(0).click()
    dialog = page.locator("#maskEditorCanvasContainer, .maskEditor-canvas-container, .mask-editor-dialog").first
    dialog.wait_for(timeout=20_000)
    page.wait_for_timeout(1500)
    box = dialog.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=12)
    page.mouse.up()
    screenshot(page, "editor", renderer)
    page.get_by_role("button", name="Save").first.click()
    page.wait_for_function(f"id => ({VALUE})([id, 'image']) !== ''", arg=NODE, timeout=20_000)
    made = run(page, client)
    assert (made != first).any() and len(steps(page)) == 1 and value(page, "image") == ""
    screenshot(page, "after_editor", renderer)


def test_the_widgets_that_are_to_be_seen(touched: Any, renderer: str) -> None:
    """Six, and the bar; what holds the state is hidden."""
    page = touched
    seen = page.evaluate(
        """id => window.app.graph.getNodeById(id).widgets
            .filter(({ hidden, options }) => !hidden && !options?.hidden && !options?.advanced)
            .map(widget => widget.name)""",
        NODE,
    )
    assert [name for name in seen if name != "touch_up" and not name.startswith("$$")] == [
        "text", "strength", "seed", "control_after_generate", "steps", "cfg",
    ]  # fmt: skip
    screenshot(page, "widgets", renderer)


INTO_SUBGRAPH = """id => {
    const { graph } = window.app;
    return graph.convertToSubgraph(new Set([graph.getNodeById(id)])).node.id;
}"""
INNER = (
    "outer => window.app.rootGraph.getNodeById(outer).subgraph.nodes.find(node => node.type === 'MaskDetailerTouchUp')"
)
TO_PAINT = f"([outer, file]) => {{ ({INNER})(outer).widgets.find(({{ name }}) => name === 'image').value = file }}"
COUNT = f"""outer => {{
    const {{ value }} = ({INNER})(outer).widgets.find(({{ name }}) => name === "history");
    return value ? JSON.parse(value).steps.length : 0;
}}"""
OPEN = """outer => {
    const { canvas, rootGraph } = window.app;
    const node = rootGraph.getNodeById(outer);
    canvas.openSubgraph(node.subgraph, node);
    const [inner] = node.subgraph.nodes.filter(({ type }) => type === "MaskDetailerTouchUp");
    canvas.ds.scale = 1;
    canvas.ds.offset = [140 - inner.pos[0], 150 - inner.pos[1]];
    canvas.setDirty(true, true);
}"""
CLOSE = "() => window.app.canvas.setGraph(window.app.rootGraph)"


def test_inside_a_subgraph(touched: Any, client: Client, renderer: str) -> None:
    page = touched
    page.evaluate(PAINT, [NODE, f"sub-{renderer}.png", 10])
    painted = value(page, "image")
    outer = page.evaluate(INTO_SUBGRAPH, NODE)
    try:
        for made in (0, 1):
            page.evaluate(TO_PAINT, [outer, painted if made else ""])
            history = finished(client, queue(page))
            assert history["status"]["status_str"] == "success", history["status"]["messages"]
            page.wait_for_function(f"([outer, made]) => ({COUNT})(outer) === made", arg=[outer, made])
        page.evaluate(OPEN, outer)
        page.locator(f"{BAR} button").nth(1).click()
        page.wait_for_function(f"outer => ({COUNT})(outer) === 0", arg=outer)
        screenshot(page, "subgraph", renderer)
    finally:
        page.evaluate(CLOSE)
