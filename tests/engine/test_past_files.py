"""Files of past versions: values, inputs, outputs and links are brought to where they stand today."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.past import files
from mask_detailer.nodes.past.versions import CONTROL, GONE, LATER, NOTHING, VERSIONS
from mask_detailer.nodes.past.widgets import default_of, upgraded, widgets_of

SEED = 809263269440823
FACE = [0.5, 10, 3.5, "center-1", 20, 0.93, 0, 0.7, "False"]

# Per layout: the node, its values as a file of that time has them, and what today's widgets must say. What is not
# named has what that version did without it; see UNTOLD.
LAYOUTS: dict[str, tuple[str, list[Any] | None, dict[str, Any]]] = {
    "detailer without a noise mask": (
        "DetailerForEach",
        [256, SEED, False, 20, 8, "euler", "karras", 0.6, 5],
        {
            "guide_size": 256, "seed": SEED, "seed:control": "fixed", "steps": 20, "cfg": 8, "sampler_name": "euler",
            "scheduler": "karras", "denoise": 0.6, "feather": 5, "noise_mask": False, "max_size": 16384,
        },
    ),
    "detailer, April 2023": (
        "DetailerForEach",
        [192, SEED, True, 20, 8, "euler", "karras", 0.6, 5, "enabled"],
        {"guide_size": 192, "seed": SEED, "seed:control": "randomize", "noise_mask": True, "force_inpaint": False},
    ),
    "detailer with guide_size_for": (
        "DetailerForEachDebug",
        [320, "crop_region", SEED, "increment", 20, 7, "euler", "karras", 0.4, 5, "disabled"],
        {"guide_size_for": False, "max_size": 16384, "seed": SEED, "seed:control": "increment", "noise_mask": False},
    ),
    "a seed that could be a max_size": (
        "DetailerForEach",
        [320, "bbox", 777, "fixed", 20, 7, "euler", "karras", 0.4, 5, "disabled"],
        {"seed": 777, "max_size": 16384},
    ),
    "a sampler that is not here": (
        "DetailerForEach",
        [320, "bbox", SEED, "fixed", 20, 7, "theirs", "karras", 0.4, 5, "disabled"],
        {"sampler_name": "theirs", "scheduler": "karras", "seed": SEED},
    ),
    "a switch for a seed": (
        "DetailerForEach",
        [192, "bbox", True, "fixed", 20, 8, "euler", "karras", 0.4, 5, "enabled", "disabled"],
        {"seed": 1, "noise_mask": True, "force_inpaint": False},
    ),
    "detailer with force_inpaint": (
        "DetailerForEachPipe",
        [268.8, "bbox", SEED, "fixed", 19, 18, "euler", "normal", 0.5, 5, "enabled", "enabled"],
        {"guide_size": 268.8, "cfg": 18, "force_inpaint": True, "max_size": 16384, "wildcard": ""},
    ),
    "detailer with max_size": (
        "DetailerForEachDebugPipe",
        [384, "bbox", 768, SEED, "fixed", 20, 8, "euler", "normal", 0.63, 5, "enabled", "disabled"],
        {"guide_size_for": True, "max_size": 768, "seed": SEED, "noise_mask": True, "refiner_ratio": 0.2},
    ),
    "detailer with wildcard": (
        "DetailerForEach",
        [256, True, 768, 0, "fixed", 20, 8, "euler", "normal", 0.5, 5, True, False, "a face"],
        {"wildcard": "a face", "cycle": 1, "noise_mask_feather": 0},
    ),
    "detailer with cycle": (
        "DetailerForEachDebug",
        [1024, False, 1024, SEED, "randomize", 8, 6, "euler", "exponential", 0.25, 6, True, True, "", 3],
        {"cycle": 3, "inpaint_model": False, "noise_mask_feather": 0},
    ),
    "face detailer without drop_size": (
        "FaceDetailer",
        [256, "bbox", SEED, "fixed", 20, 8, "euler", "karras", 0.5, 5, "disabled", "disabled", *FACE],
        {"seed": SEED, "bbox_crop_factor": 3.5, "sam_detection_hint": "center-1", "drop_size": 1, "max_size": 16384},
    ),
    "face detailer without max_size": (
        "FaceDetailer",
        [256, "bbox", SEED, "fixed", 1, 8, "euler", "normal", 0.5, 5, "enabled", "disabled", *FACE, 12],
        {"drop_size": 12, "max_size": 16384, "wildcard": "", "steps": 1},
    ),
    "face detailer pipe with max_size": (
        "FaceDetailerPipe",
        [256, "bbox", 768, SEED, "fixed", 20, 8, "euler", "normal", 0.5, 5, "enabled", "disabled", *FACE, 10],
        {"max_size": 768, "drop_size": 10, "refiner_ratio": 0.2, "cycle": 1, "noise_mask_feather": 0},
    ),
    "SEGS detailer": (
        "SEGSDetailer",
        [256, True, 768, SEED, "fixed", 20, 8, "euler", "normal", 0.6, True, True, 0.3],
        {"refiner_ratio": 0.3, "batch_size": 1, "noise_mask_feather": 0},
    ),
    "SAM without hints": ("SAMDetectorCombined", [0, 0.9], {"dilation": 0, "threshold": 0.9}),
    "SAM that a version had shifted": (
        "SAMDetectorCombined", ["none", 0.93, 0.93], {"detection_hint": "none", "dilation": 0, "threshold": 0.93},
    ),
    "SAM with a switch for negatives": (
        "SAMDetectorCombined",
        ["mask-points", 0, 0.95, 1, 0.9, "True"],
        {"mask_hint_use_negative": "Small", "bbox_expansion": 1},
    ),
    "mask to SEGS": ("MaskToSEGS", ["True", 2], {"combined": True, "crop_factor": 2, "drop_size": 1}),
    "mask to SEGS with bbox_fill": ("MaskToSEGS", ["False", 3, "enabled"], {"combined": False, "bbox_fill": True}),
    "mask to SEGS with drop_size": ("MaskToSEGS", ["False", 3, "disabled", 8], {"drop_size": 8, "contour_fill": False}),
    "binary mask without a widget": ("ToBinaryMask", None, {"threshold": 1}),
    "preview without widgets": ("SEGSPreview", None, {"alpha_mode": False, "min_alpha": 0.0}),
    "preview without min_alpha": ("SEGSPreview", [True], {"alpha_mode": True, "min_alpha": 0.0}),
    "a sampler that a version had lost": (
        "KSamplerAdvancedProvider",
        [7, "fixed", "karras"],
        {"cfg": 7, "sampler_name": "euler", "scheduler": "karras", "sigma_factor": 1.0},
    ),
    "spoilt by a version that shifted it": (
        "DetailerForEachDebug",
        [256, True, SEED, "randomize", 20, 10, "euler", "euler", "normal", 3, "enabled", False, True, ""],
        {"seed": SEED, "steps": 20, "cfg": 10, "feather": 3, "noise_mask": True, "denoise": 0.5},
    ),
}  # fmt: skip

AS_THEY_ARE: dict[str, tuple[str, list[Any] | None]] = {
    "a bbox detector of 2023": ("BboxDetectorSEGS", [0.5, 10, 3, 10]),
    "nothing saved": ("FaceDetailer", None),
    "of no version": ("DetailerForEach", ["a", "b", "c"]),
    "too few for a version": ("DetailerForEach", [256, 1, "fixed"]),
    "of a newer version": ("SEGSPaste", [5, 255, "what comes later"]),
    "widgets by name": ("MaskToSEGS", {"combined": "True"}),  # type: ignore[dict-item]
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """ComfyUI's table of nodes, with ours as it holds them while it serves."""
    table: dict[str, Any] = importlib.import_module("nodes").NODE_CLASS_MAPPINGS
    for node_id, node in NODE_CLASS_MAPPINGS.items():
        monkeypatch.setitem(table, node_id, node)
    return table


def node(node_id: str, values: Any = None, number: int = 1, **slots: Any) -> dict[str, Any]:
    return {"id": number, "type": node_id, **({} if values is None else {"widgets_values": values}), **slots}


def changed(graph: Any) -> dict[str, Any]:
    """What the server says of a file; the file is changed as the page does it, and then has nothing left to change."""
    answer = files.upgrades(copy.deepcopy(graph))
    for (*path, last), value in answer["changes"]:  # type: ignore[attr-defined]
        place = graph
        for key in path:
            place = place[key]
        place[last] = value
    assert files.upgrades(graph)["changes"] == []
    return answer


def by_name(made: dict[str, Any]) -> dict[str, Any]:
    names = list(widgets_of(NODE_CLASS_MAPPINGS[made["type"]].INPUT_TYPES()))
    return dict(zip(names, made["widgets_values"], strict=True))


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(name: str) -> None:
    node_id, values, wanted = LAYOUTS[name]
    graph = {"nodes": [node(node_id, values)], "links": []}
    assert changed(graph)["nodes"] == {node_id: 1}
    made = by_name(graph["nodes"][0])
    assert {key: made[key] for key in wanted} == wanted
    assert all(isinstance(made[key], type(value)) for key, value in wanted.items() if isinstance(value, bool | str))


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_stays_as_it_is(name: str) -> None:
    node_id, values = AS_THEY_ARE[name]
    graph = {"nodes": [node(node_id, values)], "links": []}
    before = copy.deepcopy(graph)
    assert changed(graph) == {"changes": [], "nodes": {}, "successors": {}}
    assert graph == before


@pytest.mark.parametrize("node_id", NODE_CLASS_MAPPINGS)
def test_todays_files_stay(node_id: str) -> None:
    """Those with all of today's widgets as they stand, whatever the seed."""
    widgets = widgets_of(NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES())
    for seed in (0, 1, 768, 2**53, 2**64 - 1):
        values = [seed if name in ("seed", "noise_seed") else default_of(widgets[name]) for name in widgets]
        assert upgraded(widgets, VERSIONS.get(node_id, NOTHING), values) is None


def told(name: str, place: int, declared: Any) -> Any:
    """A value that a file could hold for a widget, told from those of its neighbours."""
    kind, facts = declared
    if isinstance(kind, list):
        return kind[place % len(kind)] if kind else "file.pth"
    if kind == "BOOLEAN":
        return bool(place % 2)
    if kind == "STRING":
        return f"text {place}"
    if name in ("seed", "noise_seed"):
        return SEED + place
    return facts.get("max", 1) - (facts.get("max", 1) - facts.get("min", 0)) / 2 if kind == "FLOAT" else facts["min"]


@pytest.mark.parametrize("node_id", sorted(VERSIONS.keys() & NODE_CLASS_MAPPINGS.keys()))
def test_each_past_order(node_id: str) -> None:
    """Each value of a whole past order comes to the widget that the order names, and what is not in it as it was."""
    versions, widgets = VERSIONS[node_id], widgets_of(NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES())
    for order in filter(None, versions.orders):
        names = order.replace(LATER, "").split()
        assert all(name.startswith(GONE) or name in widgets for name in names)
        kinds = {name: ("INT", {"min": 0}) for name in names} | {f"{GONE}CONTROL": (["fixed"], {})} | widgets
        values = [told(name, place, kinds[name]) for place, name in enumerate(names)]
        made = upgraded(widgets, versions, values)
        assert made is not None
        made_by_name = dict(zip(widgets, made, strict=True))
        for name, value in zip(names, values, strict=True):
            assert name.startswith(GONE) or made_by_name[name] == value, name
        for name in widgets.keys() - set(names):
            assert made_by_name[name] == versions.without.get(name, default_of(widgets[name])), name


@pytest.mark.parametrize("node_id", sorted(VERSIONS.keys() & NODE_CLASS_MAPPINGS.keys()))
def test_the_table_names_what_there_is(node_id: str) -> None:
    types = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    names = {*types["required"], *types.get("optional", {}), *widgets_of(types)}
    versions = VERSIONS[node_id]
    # one group of values serves several nodes, so some have none of an input that it names
    named = (*versions.without, *versions.renamed.values())
    assert not named or any(name in names for name in named)
    assert not versions.gone & names
    for past in versions.outputs:
        assert set(past.names) <= set(NODE_CLASS_MAPPINGS[node_id].RETURN_NAMES)
    for name, value in versions.without.items():
        if name in types["required"] and value is not None and not name.endswith(CONTROL):
            kind = types["required"][name][0]
            assert value in kind if isinstance(kind, list) else isinstance(value, int | float | str)


def slot(name: str, kind: str, *links: int) -> dict[str, Any]:
    return {"name": name, "type": kind, "links": list(links) or None}


def test_outputs_and_inputs_move() -> None:
    """FaceDetailer's of April 2023, in the file's own graph and, with links of the newer form, in a subgraph."""
    values = [256, "bbox", 1, "fixed", 20, 8, "euler", "karras", 0.5, 5, "disabled", "disabled", *FACE]
    outputs = [slot("IMAGE", "IMAGE", 5), slot("MASK", "MASK", 6, 7), slot("DETAILER_PIPE", "DETAILER_PIPE", 8)]
    inputs = [{"name": "image", "type": "IMAGE", "link": 1}, {"name": "bbox_model", "type": "BBOX_MODEL", "link": 2}]
    links = [[5, 9, 0, 20, 0, "IMAGE"], [6, 9, 1, 21, 0, "MASK"], [7, 9, 1, 22, 0, "MASK"], [8, 9, 2, 23, 0, "P"]]
    face = node("FaceDetailer", values, 9, inputs=inputs, outputs=outputs)
    newer = [{"id": link[0], "origin_id": link[1], "origin_slot": link[2]} for link in links]
    inner = {"id": "x", "nodes": [copy.deepcopy(face)], "links": newer}
    graph = {"nodes": [face], "links": links, "definitions": {"subgraphs": [inner]}}

    assert changed(graph)["nodes"] == {"FaceDetailer": 2}

    for made in (graph["nodes"][0], inner["nodes"][0]):
        names = [one["name"] for one in made["outputs"]]
        assert names == list(NODE_CLASS_MAPPINGS["FaceDetailer"].RETURN_NAMES)
        assert {one["name"]: one["links"] for one in made["outputs"] if one["links"]} == {
            "image": [5], "mask": [6, 7], "detailer_pipe": [8],
        }  # fmt: skip
        assert [(one["name"], one["type"]) for one in made["inputs"]] == [
            ("image", "IMAGE"), ("bbox_detector", "BBOX_DETECTOR"),
        ]  # fmt: skip
    wanted = {5: "image", 6: "mask", 7: "mask", 8: "detailer_pipe"}
    assert {link[0]: names[link[2]] for link in links} == wanted
    assert {link["id"]: names[link["origin_slot"]] for link in newer} == wanted


def test_an_output_that_is_not_known_stays() -> None:
    outputs = [slot("MASK", "MASK", 6), slot("theirs", "THEIRS", 7)]
    graph = {"nodes": [node("FaceDetailer", None, 9, outputs=outputs)], "links": [[6, 9, 0, 2, 0, "MASK"]]}
    assert changed(graph)["changes"] == []


def test_inputs_that_are_gone_go_unless_connected() -> None:
    seeds = [
        {"name": "external_seed", "type": "SEED", "link": None},
        {"name": "external_seed", "type": "SEED", "link": 3},
    ]
    graph = {"nodes": [node("DetailerForEach", None, 1, inputs=copy.deepcopy(seeds))], "links": []}
    changed(graph)
    assert graph["nodes"][0]["inputs"] == seeds[1:]


def test_group_nodes() -> None:
    """The values of one are those of its nodes one after another; those inside are brought up to date too."""
    old, now = ["True", 2], [True, 2, False, 1, False]
    inner = [node("LoadImageMask", ["mask.png", "red"]), node("MaskToSEGS", old), node("MaskToSEGS", now)]
    outer = node("workflow>parts", ["a.png", "blue", "False", 4, *now])
    other = node("workflow/parts", ["a.png"], 2)  # of another time: left alone
    graph = {"nodes": [outer, other], "links": [], "extra": {"groupNodes": {"parts": {"nodes": inner, "links": []}}}}
    assert changed(graph)["nodes"] == {"workflow>parts": 1, "MaskToSEGS": 1}
    assert outer["widgets_values"] == ["a.png", "blue", False, 4, False, 1, False, *now]
    assert inner[1]["widgets_values"] == now
    assert other["widgets_values"] == ["a.png"]


def test_nodes_of_other_packs_stay(registered: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registered, "MaskToSEGS", type("Theirs", (), {"__module__": "custom_nodes.theirs"}))
    graph = {"nodes": [node("MaskToSEGS", ["True", 2]), node("DetailerForEach", [1, 2], 2)], "links": []}
    assert changed(graph)["changes"] == []


def test_successors_are_named_where_they_are(registered: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ["SegsMaskCombine", "Segs & Mask", "NobodyKnows", "MaskToSEGS"]
    for one in missing[:2]:
        monkeypatch.delitem(registered, one, raising=False)
    graph = {
        "nodes": [node(one) for one in missing],
        "definitions": {"subgraphs": [{"nodes": [node("String Literal")]}]},
    }
    monkeypatch.delitem(registered, "PrimitiveStringMultiline", raising=False)
    assert changed(graph)["successors"] == {"SegsMaskCombine": "SegsToCombinedMask", "Segs & Mask": "ImpactSegsAndMask"}
    monkeypatch.setitem(registered, "PrimitiveStringMultiline", object)
    assert changed(graph)["successors"]["String Literal"] == "PrimitiveStringMultiline"


@pytest.mark.parametrize(
    "graph",
    [
        None, [], "x", 5, {}, {"nodes": None}, {"nodes": [None, 3, {}, {"type": []}, {"type": None}]},
        {"nodes": [{"type": "MaskToSEGS", "widgets_values": 5, "inputs": 3, "outputs": [1, None, {}]}], "links": 5},
        {"nodes": [{"type": "FaceDetailer", "outputs": [{"name": "MASK", "type": "MASK", "links": [[1], {}]}]}]},
        {"nodes": [{"type": "workflow/x"}], "extra": {"groupNodes": {"x": {"nodes": [4]}, "y": 2}}},
        {"definitions": {"subgraphs": [None, {"nodes": {"a": 1}, "links": [[], {}, 3]}]}, "extra": []},
    ],
    ids=repr,
)  # fmt: skip
def test_nonsense_stays(graph: Any) -> None:
    assert files.upgrades(graph)["changes"] == []


def test_the_broken_keeps_no_other_from_being_brought_up_to_date() -> None:
    graph = {
        "nodes": [node("FaceDetailer", [{}], 1, outputs=[slot("MASK", "MASK", 1)]), node("MaskToSEGS", ["True", 2], 2)]
    }
    graph["nodes"][0]["outputs"][0]["links"] = [[1]]
    assert changed(graph)["nodes"] == {"MaskToSEGS": 1}
