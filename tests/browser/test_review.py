"""The review: parts of a run looked at closely, one of them again, one of several, the old one, another text."""

from __future__ import annotations

from typing import Any

from support.client import Client
from support.page import ADD, CONNECT, LOAD, SCREENSHOTS, finished, look_at, queue, set_widget
from support.review import (
    DETAILER,
    DIALOG,
    EMIT,
    JPEG,
    STRIP,
    UNDOS,
    WATCH,
    WIDGET,
    choices,
    load,
    open_part,
    pictures,
    press,
    ran,
    run,
    strip,
)

from browser.conftest import READY
from browser.test_subgraphs import CLOSE, INSIDE, INTO_SUBGRAPH, OPEN

SCALE = "() => window.app.canvas.ds.scale"
ZOOM = f"() => parseFloat(document.querySelector('{DIALOG} output').textContent)"
TITLE = f"{DIALOG} header strong"
ALL = ["1 done", "2 done", "3 done"]


def shot(page: Any, name: str, renderer: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"review_{name}_{renderer}.png")


def test_looked_at_closely(page: Any, renderer: str) -> None:
    load(page)
    assert run(page) == ALL
    scale = page.evaluate(SCALE)
    open_part(page, 2)
    assert page.locator(TITLE).inner_text() == "Segment 2 of 3"
    (before, *size), (after, *same) = pictures(page)
    assert (before, after) == ("before", "after")
    assert size == same
    shot(page, "large", renderer)

    fitting = page.evaluate(ZOOM)
    page.mouse.move(600, 500)
    page.mouse.wheel(0, -200)
    assert page.evaluate(ZOOM) > fitting
    page.keyboard.press("1")
    assert page.evaluate(ZOOM) == 100
    page.keyboard.press("+")
    assert page.evaluate(ZOOM) == 125
    place = "() => document.querySelector('.mask-detailer-review .world').style.transform"
    moved = page.evaluate(place)
    page.mouse.down()
    page.mouse.move(650, 540, steps=3)
    page.mouse.up()
    assert page.evaluate(place) != moved
    page.keyboard.press("0")
    assert page.evaluate(ZOOM) == fitting
    line = page.locator(f"{DIALOG} .split")
    x, y = line.bounding_box()["x"] + 12, line.bounding_box()["y"] + 300
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 200, y, steps=3)
    page.mouse.up()
    assert int(line.get_attribute("aria-valuenow")) < 40
    page.keyboard.press("ArrowRight")  # the line has the focus: it moves, and the part stays
    assert page.locator(TITLE).inner_text() == "Segment 2 of 3"
    page.locator(DIALOG).focus()
    page.keyboard.down(" ")
    assert page.locator(f"{DIALOG} .stage").get_attribute("data-hides") == "true"
    page.keyboard.up(" ")

    for key, number in (("ArrowRight", 3), ("ArrowRight", 3), ("ArrowLeft", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert page.locator(TITLE).inner_text() == f"Segment {number} of 3"
    for _ in range(20):  # Tab stays within
        page.keyboard.press("Tab")
        assert page.evaluate(f"() => document.querySelector('{DIALOG}').contains(document.activeElement)")
    page.locator(DIALOG).focus()
    page.keyboard.press("Escape")
    assert page.locator(DIALOG).count() == 0
    assert page.evaluate(SCALE) == scale
    focused = page.evaluate("() => document.activeElement.closest('.segment')?.dataset.part")
    assert focused == "0 2"
    page.keyboard.press("Enter")
    assert page.locator(TITLE).inner_text() == "Segment 2 of 3"
    page.keyboard.press("Escape")


def test_again_candidates_keep_and_text(page: Any, renderer: str) -> None:
    """Each is one step to undo, and only that part is made anew; seeds that would move on are held."""
    load(page, control_after_generate="randomize")
    assert run(page) == ALL
    seed = int(strip_seed(page, 2))
    assert page.evaluate(WIDGET, [DETAILER, "seed"]) != seed - 1
    dialog = open_part(page, 2)
    steps = page.evaluate(UNDOS)

    press(dialog, "Again")
    assert ran(page) == ["1 reused", "2 done", "3 reused"]
    assert choices(page) == {"2": {"seed": seed + 1}}
    assert page.evaluate(WIDGET, [DETAILER, "seed"]) == seed - 1
    assert page.evaluate(WIDGET, [DETAILER, "control_after_generate"]) == "fixed"
    assert page.evaluate(UNDOS) == steps + 1

    press(dialog, "4 candidates")
    assert ran(page) == ["1 reused", "2 reused", "3 reused"]  # the first of them was there
    assert choices(page) == {"2": {"seed": seed + 1, "candidates": 4}}
    several = page.locator(f"{DIALOG} .candidate img")
    assert several.count() == 4
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{DIALOG} .candidate img')].every(one => one.src.includes('candidate'))"
    )
    shot(page, "candidates", renderer)
    page.keyboard.press("3")
    assert ran(page) == ["1 reused", "2 reused", "3 reused"]
    assert choices(page) == {"2": {"seed": seed + 3}}
    assert page.evaluate(UNDOS) == steps + 3
    assert page.locator(f"{DIALOG} .candidate:visible").count() == 0

    press(dialog, "Keep the old one")
    assert ran(page) == ["1 reused", "2 kept", "3 reused"]
    assert choices(page) == {"2": {"seed": seed + 3, "keep": True}}
    assert [name for name, *_ in pictures(page)] == ["before"]
    shot(page, "kept", renderer)
    press(dialog, "Keep the old one")
    assert ran(page) == ["1 reused", "2 reused", "3 reused"]

    dialog.get_by_role("textbox").fill("a red balloon, {a|b}")
    press(dialog, "Apply text")
    assert ran(page) == ["1 reused", "2 done", "3 reused"]
    assert choices(page) == {"2": {"seed": seed + 3, "text": "a red balloon, {a|b}"}}
    press(dialog, "Remove what I chose")
    assert ran(page) == ["1 reused", "2 reused", "3 reused"]
    assert choices(page) == {}
    assert page.evaluate(UNDOS) == steps + 7
    page.keyboard.press("Escape")
    assert page.locator(DIALOG).count() == 0


def strip_seed(page: Any, number: int) -> str:
    title = page.locator(f"{STRIP}:visible .segment").nth(number - 1).get_attribute("title")
    return title.split("seed ")[1].split("\n")[0]


def test_undo_keeps_the_strip(page: Any) -> None:
    """Nodes are new ones then; and the dialog says that the choices are others than those that ran."""
    load(page)
    run(page)
    dialog = open_part(page, 1)
    assert page.locator(f"{DIALOG} aside button", has_text="Run:").is_hidden()
    press(dialog, "Again")
    ran(page)
    undo_in_dialog(page)
    page.wait_for_function("() => !window.app.graph.getNodeById(7).widgets.find(({name}) => name === 'choices').value")
    press(dialog, "Run: the choices changed")
    assert ran(page) == ["1 reused", "2 reused", "3 reused"]
    page.keyboard.press("Escape")
    assert strip(page) == {"line": "3 of 3 segments done", "states": ["done"] * 3}
    assert page.locator(STRIP).count() == 1
    assert page.evaluate(
        """selector => document.querySelector(selector) === window.app.graph.getNodeById(7).widgets.find(
            widget => widget.type === "mask_detailer_live").element""",
        STRIP,
    )


def undo_in_dialog(page: Any) -> None:
    page.locator(DIALOG).focus()
    page.keyboard.press("Control+z")


def test_reload_and_late_page(page: Any, client: Client) -> None:
    """While it runs: what was done so far comes back, and what comes then goes on; and once more when it is over."""
    load(page, steps=5000)
    keep = "() => window.app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState()"
    page.evaluate(keep)
    page.wait_for_timeout(1000)  # the page keeps its workflow for the next one
    prompt_id = queue(page)
    page.wait_for_function("() => window.reviewHeard.some(({what}) => what === 'step')", timeout=60_000)
    page.reload()
    page.wait_for_function(READY, timeout=120_000)
    page.evaluate(WATCH)
    page.locator(STRIP).wait_for(state="attached", timeout=20_000)
    look_at(page, DETAILER)
    assert strip(page)["states"] == ["working", "waiting", "waiting"]
    assert strip(page)["line"].startswith("segment 1 of 3")
    page.wait_for_function("() => window.reviewHeard.some(({what}) => what === 'step')", timeout=60_000)
    page.evaluate("() => window.app.api.interrupt()")
    finished(client, prompt_id)
    page.wait_for_function(
        "() => window.reviewStrips()[7].line.startsWith('interrupted at segment 1 of 3')", timeout=10_000
    )

    set_widget(page, DETAILER, "steps", 2)
    page.evaluate("() => { window.reviewHeard = [] }")
    run(page)
    page.evaluate(keep)
    page.wait_for_timeout(1000)
    page.reload()
    page.wait_for_function(READY, timeout=120_000)
    page.evaluate(WATCH)
    page.locator(STRIP).wait_for(state="attached", timeout=20_000)
    look_at(page, DETAILER)
    assert strip(page) == {"line": "3 of 3 segments done", "states": ["done"] * 3}
    open_part(page, 3)
    assert [name for name, *_ in pictures(page)] == ["before", "after"]
    page.keyboard.press("Escape")


def test_events_without_a_beginning(page: Any) -> None:
    load(page)
    about = {"prompt_id": "unknown", "node": str(DETAILER), "workflow": None}
    step = {"what": "step", "step": 3, "steps": 8, "segments": [{"picture": 0, "number": 4}]}
    page.evaluate(EMIT, ["mask_detailer.live", {**about, **step}])
    assert strip(page)["line"].startswith("segment 4 of 1 · step 3 of 8")
    assert strip(page)["states"] == ["working"]


def test_another_tab_and_back(page: Any) -> None:
    """What runs goes on meanwhile."""
    load(page, steps=60)
    workflow = "() => window.app.extensionManager.workflow"
    mine = page.evaluate(f"({workflow})().activeWorkflow.path")
    page.evaluate("() => window.app.queuePrompt(0, 1)")
    page.wait_for_function("() => window.reviewHeard.some(({what}) => what === 'step')", timeout=60_000)
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for_function(f"path => ({workflow})().activeWorkflow.path !== path", arg=mine)
    assert page.locator(STRIP).count() == 0
    ran(page)
    page.evaluate("() => window.app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    page.wait_for_function(f"path => ({workflow})().activeWorkflow.path === path", arg=mine)
    page.wait_for_function("() => window.reviewStrips()[7]?.line === '3 of 3 segments done'", timeout=10_000)
    assert page.locator(STRIP).count() == 1


def test_in_a_subgraph(page: Any, renderer: str) -> None:
    """Its node shows the strip too, and choices go to the node inside."""
    load(page)
    around = page.evaluate(INTO_SUBGRAPH, [DETAILER])
    size = saved_size(page, around)
    assert run(page) == ALL
    look_at(page, around)
    outer = page.locator(f"{STRIP}:visible")
    outer.wait_for(timeout=10_000)
    assert saved_size(page, around) == size
    shot(page, "subgraph", renderer)
    dialog = open_part(page, 1)
    press(dialog, "Again")
    assert ran(page) == ["1 done", "2 reused", "3 reused"]
    page.keyboard.press("Escape")
    inside = page.evaluate(INSIDE, [around, "MaskDetailerPipe"])
    value = """([around, id]) => window.app.graph.getNodeById(around).subgraph.getNodeById(id).widgets.find(
        ({name}) => name === "choices").value"""
    assert '{"1":{"seed":' in page.evaluate(value, [around, inside])
    page.evaluate(OPEN, around)
    page.wait_for_function(f"() => document.querySelectorAll('{STRIP}').length >= 1")
    page.evaluate(CLOSE)
    page.locator(f"{STRIP}:visible").wait_for(timeout=10_000)
    place = {"pos": [0, 0], "size": [320, 600], "flags": {}, "order": 0, "mode": 0}
    other = {"id": around, "type": "FaceDetailer", **place}
    page.evaluate(LOAD, {"nodes": [other], "links": [], "groups": [], "version": 0.4})
    look_at(page, around)
    page.wait_for_timeout(500)
    assert page.locator(f"{STRIP}:visible").count() == 0  # a node of the same id in another workflow has none


def saved_size(page: Any, node: int) -> list[int]:
    size = page.evaluate(
        "id => window.app.graph.serialize().nodes.find(node => String(node.id) === String(id)).size", node
    )
    return [round(side) for side in size]


def test_thirty_parts_in_three_pictures(page: Any, renderer: str) -> None:
    load(page)
    about = {"prompt_id": "thirty", "node": str(DETAILER), "workflow": page.evaluate("() => window.app.graph.id")}

    def emit(what: str, **facts: Any) -> None:
        page.evaluate(EMIT, ["mask_detailer.live", {**about, "what": what, **facts}])

    def parts(numbers: range, picture: int = 0, **facts: Any) -> list[dict[str, Any]]:
        return [{"picture": picture, "number": number, "seed": str(100 + number), **facts} for number in numbers]

    thumbnail = page.evaluate(JPEG, 7)
    emit("started", pictures=3)
    for picture in range(3):
        emit("planned", picture=picture, segments=parts(range(1, 31), picture, before=thumbnail, size="512x640"))
    emit("done", segments=parts(range(1, 21), after=thumbnail))
    emit("begun", segments=parts(range(21, 31)))
    emit("step", step=1, steps=2, segments=parts(range(21, 31)))
    assert strip(page)["line"] == "segments 21-30 of 30, picture 1 · step 1 of 2 · 512x640 · seed 121-130"
    assert page.locator(f"{STRIP} .segments .picture").all_inner_texts() == ["picture 1", "picture 2", "picture 3"]
    shot(page, "thirty", renderer)
    row = page.locator(f"{STRIP} .segments")
    before, scale = row.evaluate("row => row.scrollLeft"), page.evaluate(SCALE)
    assert before > 0
    row.hover()
    page.mouse.wheel(0, 120)
    page.wait_for_timeout(100)
    assert row.evaluate("row => row.scrollLeft") == before + 120
    assert page.evaluate(SCALE) == scale
    for picture in range(3):
        emit("done", segments=parts(range(1, 31), picture, after=thumbnail))
    emit("ended")
    assert strip(page)["line"] == "90 of 90 segments done"
    emit("lost", keys=["31"])
    emit("ended")
    assert strip(page)["line"] == "90 of 90 segments done · no part where choice 31 was made"


def test_a_batch(page: Any) -> None:
    """Numbers are said with their picture's; a choice of one picture's part leaves the other's alone."""
    load(page, batch_size=2)
    assert run(page) == ALL * 2
    dialog = open_part(page, 5)
    assert page.locator(TITLE).inner_text() == "Segment 2 of 3, picture 2"
    press(dialog, "Again")
    reused = ["1 reused", "2 reused", "3 reused"]
    assert sorted(ran(page)) == sorted([*reused, "1 reused", "2 done", "3 reused"])
    assert list(choices(page)) == ["2.2"]
    page.keyboard.press("Escape")


def test_interrupted_while_looked_at(page: Any, client: Client) -> None:
    load(page)
    run(page)
    dialog = open_part(page, 1)
    set_widget(page, DETAILER, "steps", 5000)
    page.evaluate("() => { window.reviewHeard = [] }")
    press(dialog, "Again")
    page.wait_for_function("() => window.reviewHeard.some(({what}) => what === 'step')", timeout=60_000)
    badge = page.locator(f"{DIALOG} .badge")
    assert "segment 1 of 3" in badge.inner_text()
    page.evaluate("() => window.app.api.interrupt()")
    page.wait_for_function(
        f"() => document.querySelector('{DIALOG} .badge').textContent.startsWith('interrupted')", timeout=10_000
    )
    assert strip(page)["states"] == ["stopped"] * 3
    page.keyboard.press("Escape")
    assert page.locator(DIALOG).count() == 0


def test_an_error_leaves_the_word_to_the_page(page: Any, client: Client) -> None:
    load(page)
    run(page)
    open_part(page, 1)
    page.evaluate(EMIT, ["execution_error", {"prompt_id": "another", "exception_message": ""}])
    assert page.locator(DIALOG).count() == 0


def test_nothing_to_detail(page: Any, client: Client, renderer: str) -> None:
    load(page, drop_size=90)
    run(page)
    assert strip(page)["line"].startswith("every painted part is smaller than drop_size · lower drop_size")
    set_widget(page, 5, "channel", "alpha")  # of a file that has none: nothing is painted
    run(page)
    assert strip(page)["line"].startswith("nothing is painted in the mask · right-click the picture")
    shot(page, "nothing", renderer)


def test_choices_that_can_t_be_written(page: Any) -> None:
    load(page)
    run(page)
    set_widget(page, DETAILER, "choices", "{3:")
    open_part(page, 1)
    why = page.locator(f"{DIALOG} .why")
    assert why.inner_text().startswith("what is written in choices can't be read")
    assert page.locator(f"{DIALOG} aside button:enabled:visible").count() == 0
    page.keyboard.press("Escape")
    set_widget(page, DETAILER, "choices", "")
    text = page.evaluate(ADD, "PrimitiveString")
    page.evaluate(CONNECT, [text, DETAILER, "choices"])
    open_part(page, 1)
    assert why.inner_text().startswith("choices comes from a connection")
    assert page.locator(f"{DIALOG} aside button:enabled:visible").count() == 0
    page.keyboard.press("Escape")
