"""Files of years past in the real front end: each value stands in its widget, links lead on, and the page says so."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from support.page import CONVERT, LOAD

SEED = 809263269440823
DETAILED = {
    "guide_size": 192, "guide_size_for": True, "max_size": 16384, "seed": SEED, "steps": 20, "cfg": 7,
    "sampler_name": "euler", "scheduler": "karras", "denoise": 0.6, "feather": 3, "noise_mask": True,
    "force_inpaint": False, "wildcard": "", "cycle": 1, "inpaint_model": False, "noise_mask_feather": 0,
}  # fmt: skip
SAMPLED = [20, 7, "euler", "karras", 0.6, 3]
FACE = [0.5, 10, 3.5, "center-1", 20, 0.93, 0, 0.7, "False"]
VALUES = """([type, graph]) => {
    const { nodes } = graph ? window.app.graph.subgraphs.get(graph) : window.app.graph;
    const node = nodes.find(node => node.type === type);
    return Object.fromEntries(node.widgets.map(widget => [widget.name, widget.value]));
}"""
CONTROL = "() => window.app.graph.nodes.find(node => node.type === 'DetailerForEach').widgets[4].value"
TOASTS = ".p-toast-detail"
CLOSE = "() => window.app.extensionManager.toast.removeAll()"


@pytest.fixture(autouse=True)
def no_message(page: Any) -> None:
    close(page)


def close(page: Any) -> None:
    page.evaluate(CLOSE)
    page.wait_for_function("there => !document.querySelector(there)", arg=TOASTS)  # they fade


def node(number: int, node_id: str, values: list[Any] | None = None, **slots: Any) -> dict[str, Any]:
    place = {"pos": [300 * number, 100], "size": [250, 300], "flags": {}, "order": number, "mode": 0, "properties": {}}
    made = {"id": number, "type": node_id, **place, "inputs": [], "outputs": [], **slots}
    return made if values is None else {**made, "widgets_values": values}


def of(name: str, kind: str, link: int | None = None) -> dict[str, Any]:
    return {"name": name, "type": kind, "link": link}


def to(name: str, kind: str, *links: int) -> dict[str, Any]:
    return {"name": name, "type": kind, "links": list(links)}


def file(nodes: list[dict[str, Any]], links: list[Any], **more: Any) -> dict[str, Any]:
    last = {"last_node_id": 50, "last_link_id": 50, "groups": [], "config": {}, "extra": {}, "version": 0.4}
    return {"nodes": nodes, "links": links, **last, **more}


def april_2023() -> dict[str, Any]:
    """A detailer and a face detailer, whose mask and pipe were its second and third outputs."""
    face = [256, "crop_region", 7, "fixed", *SAMPLED, "disabled", "enabled", *FACE]
    parts = [of("image", "IMAGE"), of("bbox_model", "BBOX_MODEL")]
    outputs = [to("IMAGE", "IMAGE", 1), to("MASK", "MASK", 2), to("DETAILER_PIPE", "DETAILER_PIPE", 3)]
    preview = node(4, "PreviewImage", inputs=[of("images", "IMAGE", 1)])
    to_segs = node(5, "MaskToSEGS", ["True", 2], inputs=[of("mask", "MASK", 2)], outputs=[to("SEGS", "SEGS")])
    from_pipe = node(6, "FromDetailerPipe", inputs=[of("detailer_pipe", "DETAILER_PIPE", 3)])
    nodes = [
        node(1, "DetailerForEach", [192, SEED, False, *SAMPLED, "enabled"], inputs=[of("external_seed", "SEED")]),
        node(2, "FaceDetailer", face, inputs=parts, outputs=outputs),
        preview,
        to_segs,
        from_pipe,
    ]
    links = [[1, 2, 0, 4, 0, "IMAGE"], [2, 2, 1, 5, 0, "MASK"], [3, 2, 2, 6, 0, "DETAILER_PIPE"]]
    return file(nodes, links)


def test_april_2023(page: Any) -> None:
    page.evaluate(LOAD, april_2023())
    values = page.evaluate(VALUES, ["DetailerForEach", None])
    assert {name: values[name] for name in DETAILED} == DETAILED
    assert page.evaluate(CONTROL) == "fixed"
    values = page.evaluate(VALUES, ["FaceDetailer", None])
    wanted = {
        "guide_size": 256, "guide_size_for": False, "max_size": 16384, "seed": 7, "noise_mask": False,
        "force_inpaint": True, "bbox_crop_factor": 3.5, "sam_dilation": 20, "drop_size": 1, "noise_mask_feather": 0,
    }  # fmt: skip
    assert {name: values[name] for name in wanted} == wanted
    values = page.evaluate(VALUES, ["MaskToSEGS", None])
    assert values == {"combined": True, "crop_factor": 2, "bbox_fill": False, "drop_size": 1, "contour_fill": False}

    prompt = page.evaluate(CONVERT)
    assert prompt["4"]["inputs"]["images"] == ["2", 0]
    assert prompt["5"]["inputs"]["mask"] == ["2", 3]
    assert prompt["6"]["inputs"]["detailer_pipe"] == ["2", 4]
    slots = page.evaluate("() => window.app.graph.getNodeById(2).inputs.map(input => input.name)")
    assert "bbox_detector" in slots and "bbox_model" not in slots

    told = page.locator(TOASTS, has_text="Saved with an older version")
    told.wait_for(timeout=10_000)
    text = told.inner_text()
    assert all(name in text for name in ("FaceDetailer", "MASK to SEGS", "Detailer (SEGS)"))


@pytest.mark.parametrize("missing", ["SegsMaskCombine", "MMDetLoader"])
def test_what_became_of_a_missing_node(page: Any, missing: str) -> None:
    """Where this pack, or ComfyUI, has what it became; else nothing is said."""
    known = page.evaluate("types => types.map(type => type in window.LiteGraph.registered_node_types)", [missing])
    if known == [True]:
        pytest.skip("it is there")
    page.evaluate(LOAD, file([node(1, missing), node(2, "String Literal")], []))
    told = page.locator(TOASTS, has_text="String Literal is now")
    told.wait_for(timeout=10_000)
    there = missing == "SegsMaskCombine" or page.evaluate(
        "() => 'UltralyticsDetectorProvider' in window.LiteGraph.registered_node_types"
    )
    assert (f"{missing} is now" in told.inner_text()) is there


def subgraph_file() -> tuple[str, dict[str, Any]]:
    name = str(uuid.uuid4())
    inner = [
        node(1, "DetailerForEach", [192, "bbox", SEED, "increment", *SAMPLED, "enabled", "disabled"]),
        node(2, "FaceDetailer", None, outputs=[to("IMAGE", "IMAGE"), to("MASK", "MASK", 5)]),
        node(3, "MaskToSEGS", ["False", 3, "enabled"], inputs=[of("mask", "MASK", 5)]),
    ]
    link = {"id": 5, "origin_id": 2, "origin_slot": 1, "target_id": 3, "target_slot": 0, "type": "MASK"}
    ends = {"inputs": [], "outputs": [], "widgets": []}
    edge = {"bounding": [0, 0, 120, 60]}
    definition = {
        "id": name, "name": "parts", "version": 1, "revision": 0, "config": {}, "groups": [], "extra": {},
        "state": {"lastGroupId": 0, "lastNodeId": 3, "lastLinkId": 5, "lastRerouteId": 0},
        "inputNode": {"id": -10, **edge}, "outputNode": {"id": -20, "bounding": [600, 0, 120, 60]}, **ends,
        "nodes": inner, "links": [link],
    }  # fmt: skip
    return name, file([node(9, name)], [], definitions={"subgraphs": [definition]}, id=str(uuid.uuid4()), revision=0)


def test_a_subgraph(page: Any) -> None:
    name, saved = subgraph_file()
    page.evaluate(LOAD, saved)
    values = page.evaluate(VALUES, ["DetailerForEach", name])
    assert {name: values[name] for name in DETAILED} == DETAILED
    values = page.evaluate(VALUES, ["MaskToSEGS", name])
    assert values == {"combined": False, "crop_factor": 3, "bbox_fill": True, "drop_size": 1, "contour_fill": False}
    assert page.evaluate(CONVERT)["9:3"]["inputs"]["mask"] == ["9:2", 3]
    page.locator(TOASTS, has_text="Saved with an older version").wait_for(timeout=10_000)


def group_file() -> dict[str, Any]:
    """A group node of 2024: a picture and a detailer of an older version; its values one after another."""
    values = [192, "bbox", SEED, "increment", *SAMPLED, "enabled", "disabled"]
    picture = node(1, "EmptyImage", [64, 48, 1, 255], outputs=[to("IMAGE", "IMAGE")])
    parts = [of("image", "IMAGE"), of("segs", "SEGS"), of("model", "MODEL"), of("vae", "VAE")]
    detailer = node(2, "DetailerForEach", values, inputs=parts, outputs=[to("IMAGE", "IMAGE")])
    inner = [{**one, "id": -1, "index": index} for index, one in enumerate((picture, detailer))]
    group = {"nodes": inner, "links": [[0, 0, 1, 0, 1, "IMAGE"]], "external": []}
    inputs = [of("segs", "SEGS", 5), *(of(name, name.upper()) for name in ("model", "clip", "vae"))]
    outer = node(
        9, "workflow/parts", [72, 56, 1, 0, *values], inputs=inputs, outputs=[to("DetailerForEach IMAGE", "IMAGE", 6)]
    )
    to_segs = node(2, "MaskToSEGS", [True, 3, False, 10, True], outputs=[to("SEGS", "SEGS", 5)])
    shown = node(3, "PreviewImage", inputs=[of("images", "IMAGE", 6)])
    links = [[5, 2, 0, 9, 0, "SEGS"], [6, 9, 0, 3, 0, "IMAGE"]]
    return file([outer, to_segs, shown], links, extra={"groupNodes": {"parts": group}})


def test_a_group_node(page: Any) -> None:
    """ComfyUI makes a subgraph of it: every value and link of the nodes inside is where it was."""
    page.evaluate(LOAD, group_file())
    prompt = page.evaluate(CONVERT)
    of_type = {step["class_type"]: (number, step["inputs"]) for number, step in prompt.items()}
    detailer, values = of_type["DetailerForEach"]
    assert {name: values[name] for name in DETAILED} == DETAILED
    picture, sizes = of_type["EmptyImage"]
    assert sizes == {"width": 72, "height": 56, "batch_size": 1, "color": 0}
    assert values["segs"] == ["2", 0] and values["image"] == [picture, 0]
    assert prompt["3"]["inputs"]["images"] == [detailer, 0]


def test_todays_file_is_quiet(page: Any) -> None:
    """What the page saves of a file that was brought up to date is today's."""
    page.evaluate(LOAD, april_2023())
    saved = page.evaluate("() => window.app.graph.serialize()")
    page.locator(TOASTS).first.wait_for(timeout=10_000)
    close(page)
    page.evaluate(LOAD, saved)
    assert page.evaluate("() => window.app.graph.serialize()")["nodes"] == saved["nodes"]
    assert page.locator(TOASTS, has_text="Saved with an older version").count() == 0
