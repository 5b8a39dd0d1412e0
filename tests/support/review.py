"""The review in the page: a workflow whose detailer has three parts, and what tests do with its strip and dialog."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

from support import workflow
from support.page import ADD, CONNECT, LOAD, look_at, set_widget

DETAILER = 7
SEEDS = itertools.count(100_000, 100)  # another each time: what ran already is remembered
MEMORY = "/mask_detailer/memory"  # the segments that are remembered
STRIP, DIALOG = ".mask-detailer-live", ".mask-detailer-review"
# how the strips of all nodes look, and what was heard of the server
WATCH = """() => {
    const strip = node => node.widgets?.find(widget => widget.type === "mask_detailer_live")?.element;
    const look = element => element && {
        line: [...element.querySelector(".line").children].map(part => part.textContent).filter(Boolean).join(" · "),
        states: [...element.querySelectorAll(".segment")].map(segment => segment.dataset.state),
    };
    window.reviewStrips = () => Object.fromEntries(window.app.graph.nodes.map(node => [node.id, look(strip(node))]));
    window.reviewHeard = [];
    if (window.reviewWatching) return;
    window.reviewWatching = true;
    window.app.api.addEventListener("mask_detailer.live", ({detail}) => window.reviewHeard.push(detail));
}"""
EMIT = "([type, detail]) => { window.app.api.dispatchEvent(new CustomEvent(type, {detail})) }"
WIDGET = "([id, name]) => window.app.graph.getNodeById(id).widgets.find(widget => widget.name === name).value"
UNDOS = "() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.undoQueue.length"
ENDED = "count => window.reviewHeard.filter(event => event.what === 'ended').length >= count"
# a picture of one colour with a number on it, as the server sends thumbnails
JPEG = """number => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 96, height: 80});
    const draw = canvas.getContext("2d");
    draw.fillStyle = `hsl(${number * 12} 60% 45%)`;
    draw.fillRect(0, 0, 96, 80);
    draw.fillStyle = "#fff";
    draw.font = "32px sans-serif";
    draw.fillText(number, 24, 52);
    return canvas.toDataURL("image/jpeg").split(",")[1];
}"""


def load(page: Any, **widgets: Any) -> None:
    """The workflow, with a text encoder, so that a part can have a text; looked at where the strip will be."""
    if page.locator(DIALOG).count():  # what a test that failed left open
        page.keyboard.press("Escape")
    saved, _ = workflow.saved("mask_detailer_pipe")
    saved = copy.deepcopy(saved)
    for node in saved["nodes"]:
        if node["id"] != DETAILER:
            node["pos"] = [node["pos"][0] - 900, node["pos"][1]]  # nothing lies over the detailer
    page.evaluate(LOAD, saved)
    clip = page.evaluate(ADD, "MaskDetailerDemoAnyClip")
    page.evaluate("id => { window.app.graph.getNodeById(id).pos = [-900, 900] }", clip)
    pipe = next(node["id"] for node in saved["nodes"] if node["type"] == "ToBasicPipe")
    page.evaluate(CONNECT, [clip, pipe, "clip"])
    usual = {"batch_size": 1, "cycle": 1, "crop_batch": 1, "steps": 2, "sampler_name": "euler", "seed": next(SEEDS)}
    for name, value in {**usual, **widgets}.items():
        set_widget(page, DETAILER, name, value)
    look_at(page, DETAILER)
    page.evaluate(f"() => fetch('{MEMORY}?mib=64')")  # tests have none by default
    page.evaluate(WATCH)


def strip(page: Any, node: int | str = DETAILER) -> dict[str, Any]:
    return page.evaluate("() => window.reviewStrips()")[str(node)]


def choices(page: Any, node: int = DETAILER) -> Any:
    """What stands in the node's ``choices``, without the boxes."""
    text = page.evaluate(WIDGET, [node, "choices"])
    found = json.loads(text or "{}")
    assert all(len(choice.pop("box")) == 4 for choice in found.values())
    return found


def ran(page: Any, count: int = 1) -> list[str]:
    """Waits for so many runs of detailers; how each part ended in them: ``1 done``, ``2 reused``, ``3 kept``."""
    page.wait_for_function(ENDED, arg=count, timeout=60_000)
    heard = page.evaluate("() => { const all = window.reviewHeard; window.reviewHeard = []; return all; }")
    ended = [event for event in heard if event["what"] in ("done", "kept")]
    return [
        f"{part['number']} {'reused' if part.get('reused') else event['what']}"
        for event in ended
        for part in event["segments"]
    ]


def run(page: Any) -> list[str]:
    page.evaluate("() => window.app.queuePrompt(0, 1)")
    return ran(page)


def open_part(page: Any, number: int) -> Any:
    """Click a part's thumbnail; the dialog."""
    page.locator(f"{STRIP}:visible .segment").nth(number - 1).click(timeout=10_000)
    dialog = page.get_by_role("dialog", name="Review")
    dialog.wait_for(timeout=5_000)
    return dialog


def pictures(page: Any) -> list[list[Any]]:
    """Of the large pictures before and after their sizes; once they have come from the server."""
    page.wait_for_function(
        f"""() => [...document.querySelectorAll("{DIALOG} .world img:not([hidden])")].every(
            image => image.src.includes("/mask_detailer/review?") && image.naturalWidth)""",
        timeout=10_000,
    )
    return page.evaluate(
        f"""() => [...document.querySelectorAll("{DIALOG} .world img:not([hidden])")].map(
            image => [image.className, image.naturalWidth, image.naturalHeight])"""
    )


def press(dialog: Any, name: str) -> None:
    """A button of the dialog, by the beginning of what it says."""
    dialog.locator("aside button", has_text=name).first.click(timeout=5_000)
