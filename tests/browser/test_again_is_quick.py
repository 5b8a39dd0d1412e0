"""How long the artist waits: from *again* until the new part is on the screen, beside a run of all parts."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from support.page import set_widget
from support.review import DETAILER, DIALOG, EMIT, JPEG, SEEDS, load, open_part, pictures, press, ran, run

MASK = 5
PARTS = 8
# eight squares that lie so far apart that no crop shows another's
DRAW = """async name => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 128, height: 96 });
    const draw = canvas.getContext("2d");
    draw.fillRect(0, 0, 128, 96);
    draw.fillStyle = "#fff";
    for (let part = 0; part < 8; part++) draw.fillRect(10 + 32 * (part % 4), 18 + 48 * (part >> 2), 12, 12);
    const body = new FormData();
    body.append("image", await new Promise(resolve => canvas.toBlob(resolve)), name);
    await window.app.api.fetchApi("/upload/image", { method: "POST", body });
}"""
SHOWN = f"""before => {{
    const after = document.querySelector("{DIALOG} .world img.after:not([hidden])");
    return after?.src.includes("/mask_detailer/review?") && after.src !== before && after.naturalWidth > 0;
}}"""
NOW = "() => performance.now()"
STEPS = 40
STEP = """([about, previews]) => previews.forEach((preview, step) => {
    const segments = [{ picture: 0, number: 1, preview }];
    const detail = { ...about, what: "step", step, steps: previews.length, segments };
    window.app.api.dispatchEvent(new CustomEvent("mask_detailer.live", { detail }));
})"""


def test_steps_lay_out_nothing(page: Any) -> None:
    """What a step changes is written and not looked at: a look would lay out the whole page, ten times a second."""
    load(page)
    run(page)
    open_part(page, 1)
    pictures(page)
    about = {"prompt_id": "steps", "node": str(DETAILER), "workflow": page.evaluate("() => window.app.graph.id")}
    parts = [{"number": number, "label": "", "skipped": None, "size": "64x64", "seed": "1"} for number in (1, 2, 3)]
    begun = {"what": "begun", "segments": [{"picture": 0, **parts[0]}]}
    for event in ({"what": "started", "pictures": 1}, {"what": "planned", "picture": 0, "segments": parts}, begun):
        page.evaluate(EMIT, ["mask_detailer.live", about | event])
    previews = [page.evaluate(JPEG, number) for number in range(STEPS)]
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = layouts(session)
    page.evaluate(STEP, [about, previews])
    assert layouts(session) - before < STEPS / 4
    assert page.locator(f"{DIALOG} .badge").text_content().startswith("segment 1 of 3")
    page.keyboard.press("Escape")


def layouts(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "LayoutCount")


@pytest.mark.by_hand
def test_one_of_eight(page: Any, renderer: str) -> None:
    page.evaluate(DRAW, "eight.png")
    load(page, steps=1000, crop_factor=1.5)  # a part takes seconds, as those of artists' models do
    set_widget(page, MASK, "image", "eight.png")
    run(page)  # what is loaded is loaded
    whole, again = [], []
    for _ in range(3):
        set_widget(page, DETAILER, "seed", next(SEEDS))
        begun = page.evaluate(NOW)
        assert len([part for part in run(page) if part.endswith("done")]) == PARTS
        whole.append(page.evaluate(NOW) - begun)
        dialog = open_part(page, 3)
        page.wait_for_function(SHOWN, arg="")
        shown = page.locator(f"{DIALOG} .world img.after").get_attribute("src")
        begun = page.evaluate(NOW)
        press(dialog, "Again")
        page.wait_for_function(SHOWN, arg=shown, timeout=60_000)
        again.append(page.evaluate(NOW) - begun)
        assert [part for part in ran(page) if part.endswith("done")] == ["3 done"]
        press(dialog, "Remove what I chose")
        ran(page)
        page.keyboard.press("Escape")
    all_parts, one = statistics.median(whole), statistics.median(again)
    print(f"\n{renderer}: all {PARTS} parts {all_parts:.0f} ms, one again {one:.0f} ms, 1/{all_parts / one:.1f}")
    assert one < 2 * all_parts / PARTS
