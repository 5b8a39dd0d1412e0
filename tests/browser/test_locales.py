"""The page in the language of the browser."""

from __future__ import annotations

from typing import Any

import pytest
from support.page import SCREENSHOTS
from support.server import Server

import locales
from browser.conftest import READY, Opened

NODE = """type => {
    const node = window.LiteGraph.createNode(type);
    window.app.graph.add(node);
    const shown = list => Object.fromEntries(list.map(one => [one.name, one.label ?? one.localized_name]));
    return {title: node.title, inputs: shown(node.inputs ?? []), widgets: shown(node.widgets ?? []),
            outputs: (node.outputs ?? []).map(one => one.label ?? one.localized_name)};
}"""
PICK = """() => window.app.graph.nodes.at(-1).widgets.find(widget => widget.name === "pick").callback()"""
GROWN = """async () => {
    const [source, target] = ["EmptySegs", "ImpactSEGSConcat"].map(type => window.LiteGraph.createNode(type));
    window.app.graph.add(source);
    window.app.graph.add(target);
    source.connect(0, target, 0);
    await new Promise(done => setTimeout(done));
    return target.inputs.map(input => input.localized_name);
}"""
STRIP = """async () => {
    const { Strip } = await import("/extensions/mask_detailer/strip.js");
    const { Run } = await import("/extensions/mask_detailer/run.js");
    const run = new Run({prompt_id: "prompt"});
    const strip = new Strip(run);
    const lines = [strip.element.textContent];
    run.take({what: "started", pictures: 2});
    run.take({what: "planned", picture: 1, segments: [{number: 1}, {number: 2}]});
    run.take({what: "begun", segments: [{picture: 1, number: 2, size: "512x512", seed: 7}]});
    lines.push(strip.main.textContent, strip.more.textContent);
    run.take({what: "started", pictures: 1});
    run.take({what: "planned", picture: 0, segments: [{number: 1, frames: [1, 24]}, {number: 2, frames: [3, 20]}]});
    run.take({what: "begun", segments: [{picture: 0, number: 2, size: "512x512", span: "1", spans: 4}]});
    return [...lines, strip.main.textContent, strip.more.textContent];
}"""
SETTING = """async file => (await import(`/extensions/mask_detailer/${file}.js`)).SETTING"""
LANGUAGES = [("ja-JP", "ja"), ("zh-CN", "zh"), ("fr-FR", "fr"), ("de-DE", "en")]  # this front end has no German yet


@pytest.mark.parametrize(("browser", "language"), LANGUAGES)
def test_names_are_shown_in_the_language(chromium: Any, server: Server, browser: str, language: str) -> None:
    texts = locales.read(language)
    context = chromium.new_context(viewport={"width": 1600, "height": 1000}, locale=browser)
    opened = Opened("classic", context.new_page())
    page = opened.page
    page.goto(server.url)
    page.wait_for_function(READY, timeout=60_000)
    page.evaluate("() => window.app.graph.clear()")

    shown = page.evaluate(NODE, "MaskDetailerPipe")
    here = (locales.NODES, "MaskDetailerPipe")
    assert shown["title"] == texts[(*here, "display_name")]
    for name in ("image", "mask", "basic_pipe"):
        assert shown["inputs"][name] == texts[(*here, "inputs", name, "name")]
    for name in ("guide_size", "seed", "sampler_name", "denoise", "drop_size"):
        assert shown["widgets"][name] == texts[(*here, "inputs", name, "name")]
    named = {int(path[3]): text for path, text in texts.items() if path[:3] == (*here, "outputs") and path[4] == "name"}
    assert named and {index: shown["outputs"][index] for index in named} == named

    picker = page.evaluate(NODE, "ImpactSEGSPicker")
    ours = (locales.BROWSER, "maskDetailer")
    assert picker["widgets"]["pick"] == texts[(*ours, "picker_button")]
    page.evaluate(PICK)
    dialog = page.locator(".mask-detailer-picker")
    dialog.wait_for(timeout=10_000)
    for key in ("picker_title", "picker_empty", "cancel", "ok"):
        assert texts[(*ours, key)] in dialog.inner_text()
    page.screenshot(path=SCREENSHOTS / f"locale_{browser}.png")

    english = locales.read(locales.ENGLISH)
    for file in ("live", "memory", "receivers", "steer"):  # the English file is written by hand
        setting = page.evaluate(SETTING, file)
        for key in ("name", "tooltip"):
            assert setting[key] == english["settings.json", setting["id"].replace(".", "_"), key]

    live = {path[-1]: text for path, text in texts.items() if path[:2] == ours}
    total = live["live_total"].replace("%total%", "2")
    segments = total.replace("%segments%", live["live_segments_1"].replace("%numbers%", "2"))
    assert page.evaluate(STRIP) == [
        live["live_looking"],
        live["live_pictures"].replace("%segments%", segments).replace("%pictures%", "2"),
        f"512x512 · {live['live_seed'].replace('%seeds%', '7')}",
        _filled(live["live_span"], segments=_filled(total, segments=_filled(live["live_track"], numbers="2")),
                span="1", spans="4"),
        f"{_filled(live['live_frames'], frames='3-20')} · 512x512",
    ]  # fmt: skip

    first = texts[locales.NODES, "ImpactSEGSConcat", "inputs", "segs1", "name"]
    assert page.evaluate(GROWN) == [first, first.replace("1", "2")]
    context.close()
    assert not opened.complaints


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"%{name}%", value)
    return text
