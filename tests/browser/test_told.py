"""What ComfyUI's page says of our nodes: errors, what a user should know of a run, and in the console nothing."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from support import pictures, workflow
from support.client import Client
from support.page import ADD, CONNECT, LOAD, SCREENSHOTS, finished, look_at, queue, run_prompt, set_widget
from support.server import Server

from browser.conftest import READY

DETAILER, MASK = 7, 5
SEEDS = itertools.count(50_000)  # another each time: what ran already, ComfyUI has in its cache
LINE = ".mask-detailer-told"
KINDS = [
    "MaskDetailerPipe",
    "MaskDetailerOptions",
    "MaskDetailerPlan",
    "SEGSPreview",
    "ImpactSwitch",
    "ImpactSEGSPicker",
]


@pytest.fixture
def detailer(page: Any, server: Server) -> Any:
    pictures.write(server.base / "input" / "small_mask.png", pictures.box_mask(64, 48, [(10, 10, 30, 30)]))
    saved, _ = workflow.saved("mask_detailer_pipe")
    page.evaluate(LOAD, saved)
    for name, value in {"steps": 1, "cycle": 1, "batch_size": 1, "seed": next(SEEDS)}.items():
        set_widget(page, DETAILER, name, value)
    look_at(page, DETAILER)
    return page


def test_a_mask_of_another_size(detailer: Any, client: Client, renderer: str) -> None:
    """A line on the node says so; it goes with the next run whose mask fits, and no file or prompt knows of it."""
    set_widget(detailer, MASK, "image", "small_mask.png")
    run_prompt(detailer, client)
    line = detailer.locator(LINE)
    line.wait_for(timeout=10_000)
    assert "64x48" in line.inner_text() and "128x96" in line.inner_text()
    detailer.wait_for_timeout(300)
    detailer.screenshot(path=SCREENSHOTS / f"told_{renderer}.png")
    saved = detailer.evaluate("() => window.app.graph.serialize()")
    assert "stretched" not in str(saved)
    set_widget(detailer, MASK, "image", "mask.png")
    set_widget(detailer, DETAILER, "seed", next(SEEDS))
    run_prompt(detailer, client)
    line.wait_for(state="detached", timeout=10_000)


def test_errors_begin_with_what_they_are(detailer: Any, client: Client, renderer: str) -> None:
    """Not with the path of the file that has them."""
    number = detailer.evaluate(ADD, "ImpactFloat")
    set_widget(detailer, number, "value", 9_999_999.0)
    detailer.evaluate(CONNECT, [number, DETAILER, "guide_size"])
    history = finished(client, queue(detailer))
    (error,) = (told for kind, told in history["status"]["messages"] if kind == "execution_error")
    assert error["exception_type"] == "InputError"
    assert error["exception_message"].startswith("MaskDetailerPipe, input 'guide_size': 9999999.0 is out of range")
    said = detailer.get_by_text("input 'guide_size'").first
    detailer.wait_for_timeout(700)
    if not said.is_visible():
        detailer.get_by_role("button", name="View details").click(timeout=10_000)
    said.wait_for(timeout=10_000)
    shown = detailer.locator("body").inner_text()
    assert "InputError" in shown and "errors.InputError" not in shown
    detailer.screenshot(path=SCREENSHOTS / f"error_{renderer}.png")


def test_console_is_silent(opened: Any, chromium: Any, server: Server, client: Client) -> None:
    """From loading the page to a run: no warning that names us, none of something deprecated that our files call."""
    context = chromium.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    ours: list[str] = []

    def heard(message: Any) -> None:
        frames = f"{message.text} {message.location.get('url')}"
        if message.type in ("warning", "error") and "mask_detailer" in frames:
            ours.append(message.text)

    # where a deprecated thing is warned of, the console names the front end's file: who called stands in the stack
    context.add_init_script(
        """for (const kind of ["warn", "error"]) {
            const before = console[kind];
            console[kind] = (...args) => {
                const called = new Error().stack.includes("/extensions/mask_detailer/") ? " mask_detailer" : "";
                before.call(console, ...args, ...(called ? [called] : []));
            };
        }"""
    )
    page.on("console", heard)
    page.goto(server.url)
    page.wait_for_function(READY, timeout=120_000)
    page.evaluate("() => window.app.graph.clear()")
    saved, _ = workflow.saved("mask_detailer_pipe")
    page.evaluate(LOAD, saved)
    for kind in KINDS:
        page.evaluate(ADD, kind)
    plan = page.evaluate("() => window.app.graph.nodes.find(node => node.type === 'MaskDetailerPlan').id")
    for source, slot in ((4, "image"), (5, "mask"), (6, "basic_pipe")):
        page.evaluate(CONNECT, [source, plan, slot])
    page.evaluate(  # what is not wholly connected
        "kinds => window.app.graph.nodes.filter(n => kinds.includes(n.type)).forEach(n => window.app.graph.remove(n))",
        ["SEGSPreview", "ImpactSwitch", "ImpactSEGSPicker"],
    )
    set_widget(page, DETAILER, "seed", next(SEEDS))
    set_widget(page, DETAILER, "steps", 1)
    run_prompt(page, client)
    page.wait_for_timeout(500)
    context.close()
    assert ours == []
