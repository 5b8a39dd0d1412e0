"""The strip of segments that a detailer's node shows while it runs."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from support import workflow
from support.client import Client
from support.page import ADD, CONNECT, CONVERT, LOAD, SCREENSHOTS, finished, look_at, queue, run_prompt, set_widget

DETAILER = 7
SEEDS = itertools.count(1000, 100)  # another each time: what ran already, ComfyUI has in its cache
SETTING = "on => window.app.extensionManager.setting.set('MaskDetailer.Live', on)"
# what each event says, and how the strips of all nodes look once it was heard
WATCH = """() => {
    const strip = node => node.widgets?.find(widget => widget.type === "mask_detailer_live")?.element;
    const look = element => element && {
        line: element.querySelector(".line").textContent,
        states: [...element.querySelectorAll(".segment")].map(segment => segment.dataset.state),
        names: [...element.querySelectorAll(".name")].map(name => name.textContent),
        pictures: [...element.querySelectorAll(".segment")].map(
            segment => [...segment.querySelectorAll("img[src]")].map(image => image.className)),
    };
    window.strips = () => Object.fromEntries(window.app.graph.nodes.map(node => [node.id, look(strip(node))]));
    window.heard = [];
    window.onHeard = () => {};
    if (window.watching) return;
    window.watching = true;
    window.app.api.addEventListener("mask_detailer.live", ({detail}) => {
        window.heard.push({...detail, strips: window.strips()});
        window.onHeard(detail);
    });
}"""
EMIT = "([type, detail]) => { window.app.api.dispatchEvent(new CustomEvent(type, {detail})) }"
SAVED = "id => window.app.graph.serialize().nodes.find(node => node.id === id)"
IN_PAGE = ".mask-detailer-live"


@pytest.fixture
def live(page: Any) -> Any:
    """The page with a workflow whose detailer has three segments and does them one by one."""
    saved, _ = workflow.saved("mask_detailer_pipe")
    page.evaluate(LOAD, _spread(saved))
    set_widget(page, DETAILER, "seed", next(SEEDS))
    for name, value in {"batch_size": 1, "cycle": 1, "crop_batch": 1, "steps": 3, "sampler_name": "euler"}.items():
        set_widget(page, DETAILER, name, value)
    look_at(page, DETAILER)
    page.evaluate(WATCH)
    return page


def _spread(saved: dict[str, Any]) -> dict[str, Any]:
    """Without nodes that lie over the detailer."""
    saved = copy.deepcopy(saved)
    for node in saved["nodes"]:
        if node["id"] != DETAILER:
            node["pos"] = [node["pos"][0] - 900, node["pos"][1]]
    return saved


def heard(page: Any, what: str | None = None) -> list[dict[str, Any]]:
    return [event for event in page.evaluate("() => window.heard") if what in (None, event["what"])]


def strip(page: Any, node: int | str = DETAILER) -> dict[str, Any] | None:
    return page.evaluate("() => window.strips()").get(str(node))


def picture_of(page: Any, name: str, renderer: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"live_{name}_{renderer}.png")


def test_waiting_working_done(live: Any, client: Client, renderer: str) -> None:
    assert live.locator(IN_PAGE).count() == 0
    live.evaluate("""() => { window.onHeard = ({what, step}) => { window.atWork ||= what === "step"; } }""")
    prompt_id = queue(live)
    live.wait_for_function("() => window.atWork", timeout=60_000)
    picture_of(live, "working", renderer)
    finished(client, prompt_id)
    live.wait_for_function("() => window.heard.some(event => event.what === 'ended')")

    looks = [(event["what"], event["strips"][str(DETAILER)]) for event in heard(live)]
    assert [what for what, _ in looks if what != "step"] == [
        "started", "planned", "begun", "done", "begun", "done", "begun", "done", "ended",
    ]  # fmt: skip
    by_event = {what: look for what, look in reversed(looks)}  # the first of each
    assert by_event["planned"]["states"] == ["waiting"] * 3
    assert by_event["planned"]["pictures"] == [["before"]] * 3
    assert by_event["begun"]["states"] == ["working", "waiting", "waiting"]
    assert by_event["begun"]["line"].startswith("segment 1 of 3")
    seed = live.evaluate(SAVED, DETAILER)["widgets_values"][4]
    assert f"seed {seed}" in by_event["begun"]["line"]
    assert by_event["step"]["line"].startswith("segment 1 of 3step 1 of 3 · ")
    assert by_event["step"]["pictures"][0] == ["before", "after"]
    assert by_event["done"]["states"] == ["done", "waiting", "waiting"]
    begun = [look["line"] for what, look in looks if what == "begun"]
    assert [line[:14] for line in begun] == ["segment 1 of 3", "segment 2 of 3", "segment 3 of 3"]
    sizes = {segment["size"] for event in heard(live, "begun") for segment in event["segments"]}
    assert all(any(size in line for line in begun) for size in sizes)
    assert looks[-1][1]["states"] == ["done"] * 3
    assert looks[-1][1]["line"] == "3 of 3 segments done"

    element = live.locator(IN_PAGE)
    assert element.count() == 1
    box = element.bounding_box()
    assert box["width"] > 200
    assert box["height"] > 100
    first = element.locator(".pictures").first
    first.hover()
    assert first.evaluate("element => element.classList.contains('compared')")
    assert 40 < float(first.evaluate("element => element.style.getPropertyValue('--split')").rstrip("%")) < 60
    picture_of(live, "done", renderer)
    live.mouse.move(5, 5)
    assert not first.evaluate("element => element.classList.contains('compared')")


def test_interrupt_shows(live: Any, client: Client, renderer: str) -> None:
    set_widget(live, DETAILER, "steps", 200)
    live.evaluate("() => { window.onHeard = ({what}) => { if (what === 'step') window.app.api.interrupt() } }")
    assert finished(client, queue(live))["status"]["status_str"] == "error"
    live.wait_for_function(f"() => window.strips()[{DETAILER}].line.startsWith('interrupted')", timeout=10_000)
    look = strip(live)
    assert look is not None
    assert look["line"] == "interrupted at segment 1 of 30 done"
    assert look["states"] == ["stopped"] * 3
    picture_of(live, "interrupted", renderer)


def test_error_shows(live: Any) -> None:
    prompt = {"prompt_id": "a prompt", "node": str(DETAILER), "workflow": None}
    segments = [{"number": number, "label": "", "skipped": None} for number in (1, 2)]
    live.evaluate(EMIT, ["mask_detailer.live", {**prompt, "what": "started", "pictures": 1}])
    live.evaluate(EMIT, ["mask_detailer.live", {**prompt, "what": "planned", "picture": 0, "segments": segments}])
    live.evaluate(EMIT, ["execution_error", {"prompt_id": "another", "exception_message": ""}])
    assert strip(live)["states"] == ["waiting"] * 2  # type: ignore[index]
    live.evaluate(EMIT, ["execution_error", {"prompt_id": "a prompt", "exception_message": ""}])
    assert strip(live)["states"] == ["stopped"] * 2  # type: ignore[index]
    assert strip(live)["line"] == "stopped by an error0 done"  # type: ignore[index]


def test_two_nodes_and_two_prompts(live: Any, client: Client, renderer: str) -> None:
    second = live.evaluate(ADD, "MaskDetailerPipe")
    result = live.evaluate(ADD, "PreviewImage")
    live.evaluate("id => { window.app.graph.getNodeById(id).pos = [900, 740] }", second)
    for source, slot in ((4, "image"), (5, "mask"), (6, "basic_pipe")):
        live.evaluate(CONNECT, [source, second, slot])
    live.evaluate(CONNECT, [second, result, "images"])
    for name, value in {"guide_size": 64, "max_size": 96, "steps": 2, "drop_size": 2}.items():
        set_widget(live, second, name, value)
    prompts = []
    for _ in range(2):
        for node in (DETAILER, second):
            set_widget(live, node, "seed", next(SEEDS))
        prompts.append(queue(live))
    for prompt in prompts:
        assert finished(client, prompt)["status"]["status_str"] == "success"
    live.wait_for_function("() => window.heard.filter(event => event.what === 'ended').length === 4", timeout=20_000)

    nodes = {str(DETAILER), str(second)}
    runs = [(event["prompt_id"], event["node"]) for event in heard(live, "started")]
    assert sorted(runs) == sorted((prompt, node) for prompt in prompts for node in nodes)
    before: dict[str, Any] = {}
    for event in heard(live):
        (other,) = nodes - {event["node"]}
        assert event["strips"].get(other) == before.get(other), "an event of one node changed another"
        before = event["strips"]
    for event in heard(live, "started"):
        assert event["strips"][event["node"]]["states"] == []
    live.evaluate(EMIT, ["execution_interrupted", {"prompt_id": prompts[0]}])
    for node in nodes:
        assert strip(live, node)["states"] == ["done"] * 3  # type: ignore[index]
    assert live.locator(IN_PAGE).count() == 2
    picture_of(live, "two_nodes", renderer)


def test_crops_at_once(live: Any, client: Client, renderer: str) -> None:
    set_widget(live, DETAILER, "crop_batch", 3)
    set_widget(live, DETAILER, "bbox_fill", True)
    set_widget(live, DETAILER, "batch_size", 2)
    run_prompt(live, client)
    live.wait_for_function("() => window.heard.some(event => event.what === 'ended')")
    begun = [event for event in heard(live, "begun") if len(event["segments"]) > 1]
    assert begun, "no crops went together"
    assert begun[0]["strips"][str(DETAILER)]["states"].count("working") == len(begun[0]["segments"])
    assert begun[0]["strips"][str(DETAILER)]["line"].startswith("segments ")
    assert strip(live)["states"] == ["done"] * 6  # type: ignore[index]
    picture_of(live, "crops_at_once", renderer)


def test_saved_workflow_knows_nothing_of_it(live: Any, client: Client) -> None:
    before, prompt = live.evaluate(SAVED, DETAILER), live.evaluate(CONVERT)
    run_prompt(live, client)
    live.wait_for_function("() => window.heard.some(event => event.what === 'ended')")
    live.wait_for_timeout(300)
    after = live.evaluate(SAVED, DETAILER)
    assert after["widgets_values"] == before["widgets_values"]
    assert [round(side) for side in after["size"]] == [round(side) for side in before["size"]]
    assert after.keys() == before.keys()
    assert live.evaluate(CONVERT) == prompt
    live.evaluate("async () => { await window.app.loadGraphData(window.app.graph.serialize()) }")
    assert live.evaluate(CONVERT) == prompt
    assert strip(live)["line"] == "3 of 3 segments done"  # type: ignore[index]
    again = live.evaluate(SAVED, DETAILER)
    assert again["widgets_values"] == before["widgets_values"]
    assert [round(side) for side in again["size"]] == [round(side) for side in before["size"]]


def test_nothing_is_left_of_a_removed_node(live: Any, client: Client) -> None:
    """It is removed while it works."""
    live.evaluate(
        """id => { window.onHeard = ({what}) => {
            if (what !== "done") return;
            window.app.graph.remove(window.app.graph.getNodeById(id));
            window.onHeard = () => {};
        } }""",
        DETAILER,
    )
    finished(client, queue(live))
    live.wait_for_function("() => window.heard.some(event => event.what === 'ended')")
    live.evaluate(EMIT, ["execution_interrupted", {"prompt_id": heard(live)[0]["prompt_id"]}])
    live.wait_for_timeout(100)
    assert live.locator(IN_PAGE).count() == 0
    assert strip(live) is None


def test_switched_off(live: Any, client: Client) -> None:
    run_prompt(live, client)
    live.wait_for_function("() => window.heard.some(event => event.what === 'ended')")
    size = live.evaluate(SAVED, DETAILER)["size"]
    try:
        with live.expect_response(lambda response: "/mask_detailer/live" in response.url):
            live.evaluate(SETTING, False)
        live.wait_for_timeout(300)
        assert live.locator(IN_PAGE).count() == 0
        assert live.evaluate("id => [...window.app.graph.getNodeById(id).size]", DETAILER) == pytest.approx(size, abs=1)
        live.evaluate("() => { window.heard = [] }")
        set_widget(live, DETAILER, "seed", next(SEEDS))
        run_prompt(live, client)
        assert heard(live) == []
        assert live.locator(IN_PAGE).count() == 0
        assert live.evaluate("id => [...window.app.graph.getNodeById(id).size]", DETAILER) == pytest.approx(size, abs=1)
    finally:
        with live.expect_response(lambda response: "/mask_detailer/live" in response.url):
            live.evaluate(SETTING, True)


EVIL = "<img src=x onerror=window.hacked=1>"


def test_label_stays_text(live: Any, client: Client, renderer: str) -> None:
    segs, label = live.evaluate(ADD, "MaskToSEGS"), live.evaluate(ADD, "ImpactSEGSLabelAssign")
    detailer, result = live.evaluate(ADD, "DetailerForEachPipe"), live.evaluate(ADD, "PreviewImage")
    live.evaluate("id => window.app.graph.remove(window.app.graph.getNodeById(id))", DETAILER)
    links = [(5, segs, "mask"), (segs, label, "segs"), (4, detailer, "image"), (label, detailer, "segs")]
    for source, target, slot in [*links, (6, detailer, "basic_pipe"), (detailer, result, "images")]:
        live.evaluate(CONNECT, [source, target, slot])
    set_widget(live, segs, "drop_size", 2)
    set_widget(live, label, "labels", f"{EVIL}, face")
    for name, value in {"guide_size": 64, "max_size": 96, "steps": 2}.items():
        set_widget(live, detailer, name, value)
    live.evaluate("id => { window.app.graph.getNodeById(id).pos = [420, 740] }", detailer)
    look_at(live, detailer)
    run_prompt(live, client)
    live.wait_for_function("() => window.heard.some(event => event.what === 'ended')")
    assert strip(live, detailer)["names"][:2] == [f"1 {EVIL}", "2 face"]  # type: ignore[index]
    assert live.locator(f"{IN_PAGE} .name img").count() == 0
    assert not live.evaluate("() => window.hacked")
    picture_of(live, "label", renderer)


def test_another_workflow_is_left_alone(live: Any) -> None:
    event = {"prompt_id": "a prompt", "node": str(DETAILER), "what": "started", "pictures": 1}
    live.evaluate(EMIT, ["mask_detailer.live", {**event, "workflow": "another"}])
    live.evaluate(EMIT, ["mask_detailer.live", {**event, "workflow": None, "node": "404:1"}])
    live.evaluate(EMIT, ["mask_detailer.live", {**event, "workflow": None, "node": "4"}])
    assert live.locator(IN_PAGE).count() == 0
    live.evaluate(EMIT, ["mask_detailer.live", {**event, "workflow": live.evaluate("() => window.app.graph.id")}])
    assert strip(live) is not None


def test_long_clips_stay_light(live: Any) -> None:
    """Pictures that are finished make room, and none that is not."""
    counts = live.evaluate(
        """async () => {
            const { Strip } = await import("/extensions/mask_detailer/strip.js");
            const { Run } = await import("/extensions/mask_detailer/run.js");
            const run = new Run({prompt_id: "a prompt"});
            const strip = new Strip(run);
            run.take({what: "started", pictures: 160});
            const numbers = [1, 2, 3, 4, 5];
            const counts = [];
            for (let picture = 0; picture < 160; picture++) {
                run.take({what: "planned", picture, segments: numbers.map(number => ({number, label: ""}))});
                if (picture < 40) continue;
                run.take({what: "done", segments: numbers.map(number => ({picture: picture - 40, number}))});
                counts.push(strip.element.querySelectorAll(".segment").length);
            }
            run.take({what: "ended"});
            counts.push(run.main);
            return counts;
        }"""
    )
    assert counts.pop() == "800 of 800 segments done"
    assert max(counts) <= 300 + 5
    assert counts[-1] >= 200
