"""How long the artist waits: from *again* until the new part is on the screen, beside a run of all parts."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from support.page import set_widget
from support.review import DETAILER, DIALOG, SEEDS, load, open_part, press, ran, run

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


@pytest.mark.by_hand
def test_one_of_eight(page: Any, renderer: str) -> None:
    page.evaluate(DRAW, "eight.png")
    load(page, steps=250, crop_factor=1.5)
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
