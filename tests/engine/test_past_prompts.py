"""Prompts of past versions, as ComfyUI validates them: what came later is filled in, and all else stays."""

from __future__ import annotations

import asyncio
import copy
import importlib
from typing import Any

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.past import prompts
from mask_detailer.nodes.past.versions import VERSIONS
from mask_detailer.nodes.past.widgets import default_of, inputs_of

SAMPLING: dict[str, Any] = {
    "seed": 5, "steps": 2, "cfg": 8.0, "sampler_name": "euler", "scheduler": "karras", "denoise": 0.5, "feather": 5,
}  # fmt: skip
PARTS: dict[str, Any] = {
    "image": ["picture", 0], "model": ["loader", 0], "vae": ["loader", 2], "positive": ["text", 0],
    "negative": ["text", 0],
}  # fmt: skip
FACE: dict[str, Any] = {
    "bbox_threshold": 0.5, "bbox_dilation": 10, "bbox_crop_factor": 3.0, "sam_detection_hint": "center-1",
    "sam_dilation": 0, "sam_threshold": 0.93, "sam_bbox_expansion": 0, "sam_mask_hint_threshold": 0.7,
    "sam_mask_hint_use_negative": "False",
}  # fmt: skip
MASKED: dict[str, Any] = {"noise_mask": "enabled", "force_inpaint": "disabled", "guide_size": 256.0}

# by what it is of: the node, its inputs then, and what it says today beside them
OLD: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "the first detailer": (
        "DetailerForEach",
        {**PARTS, **SAMPLING, "segs": ["segs", 0], "guide_size": 256.0},
        {
            "guide_size_for": True, "max_size": 16384, "noise_mask": False, "force_inpaint": False, "wildcard": "",
            "cycle": 1, "clip": None,
        },
    ),
    "a detailer of May 2023": (
        "DetailerForEachDebug",
        {**PARTS, **SAMPLING, **MASKED, "segs": ["segs", 0], "guide_size_for": "crop_region"},
        {
            "guide_size_for": False, "max_size": 16384, "noise_mask": True, "force_inpaint": False, "wildcard": "",
            "cycle": 1, "clip": None,
        },
    ),
    "a detailer of July 2023": (
        "DetailerForEach",
        {
            **PARTS, **SAMPLING, **MASKED, "segs": ["segs", 0], "guide_size_for": "bbox", "max_size": 768.0,
            "clip": ["loader", 1],
        },
        {"guide_size_for": True, "noise_mask": True, "force_inpaint": False, "wildcard": "", "cycle": 1},
    ),
    "a face detailer of April 2023": (
        "FaceDetailer",
        {**PARTS, **SAMPLING, **MASKED, **FACE, "guide_size_for": "bbox", "bbox_model": ["detector", 0]},
        {
            "guide_size_for": True, "max_size": 16384, "noise_mask": True, "force_inpaint": False, "drop_size": 1,
            "wildcard": "", "cycle": 1, "clip": None, "bbox_detector": ["detector", 0],
        },
    ),
    "a mask to SEGS": (
        "MaskToSEGS",
        {"mask": ["picture", 1], "combined": "True", "crop_factor": 3.0},
        {"combined": True, "bbox_fill": False, "drop_size": 1, "contour_fill": False},
    ),
    "SAM without hints": (
        "SAMDetectorCombined",
        {"sam_model": ["sam", 0], "segs": ["segs", 0], "image": ["picture", 0], "dilation": 0, "threshold": 0.93},
        {
            "detection_hint": "center-1", "bbox_expansion": 0, "mask_hint_threshold": 0.7,
            "mask_hint_use_negative": "False",
        },
    ),
    "a pipe of July 2023": (
        "ToDetailerPipe",
        {
            "model": ["loader", 0], "clip": ["loader", 1], "vae": ["loader", 2], "positive": ["text", 0],
            "negative": ["text", 0], "bbox_detector": ["detector", 0], "wildcard": "a face",
        },
        {
            "Select to add LoRA": "Select the LoRA to add to the text",
            "Select to add Wildcard": "Select the Wildcard to add to the text",
        },
    ),
}  # fmt: skip


class Source:
    """Gives what a prompt needs that is not what the test is about."""

    FUNCTION, CATEGORY = "doit", ""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}


class Sink(Source):
    """Ends a prompt: it takes anything."""

    OUTPUT_NODE, RETURN_TYPES = True, ()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("*",)}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types: Any) -> bool:
        return True


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """ComfyUI's table of nodes, with ours as it holds them while it serves, and what the prompts need."""
    table: dict[str, Any] = importlib.import_module("nodes").NODE_CLASS_MAPPINGS
    sources = {
        "loader": ("MODEL", "CLIP", "VAE"), "text": ("CONDITIONING",), "segs": ("SEGS",), "picture": ("IMAGE", "MASK"),
        "detector": ("BBOX_DETECTOR",), "sam": ("SAM_MODEL",),
    }  # fmt: skip
    added = {f"Test {name}": type(name, (Source,), {"RETURN_TYPES": kinds}) for name, kinds in sources.items()}
    for node_id, node in {**NODE_CLASS_MAPPINGS, **added, "Test sink": Sink}.items():
        monkeypatch.setitem(table, node_id, node)
    return table


def with_sources(**nodes: Any) -> dict[str, Any]:
    sources = {name: node(f"Test {name}") for name in ("loader", "text", "segs", "picture", "detector", "sam")}
    return {**sources, **nodes}


def node(node_id: str, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"class_type": node_id, "inputs": {} if inputs is None else copy.deepcopy(inputs)}


def refused(prompt: dict[str, Any]) -> list[Any]:
    """ComfyUI's own say."""
    execution = importlib.import_module("execution")
    valid, error, _, of_nodes = asyncio.run(execution.validate_prompt("test", copy.deepcopy(prompt), None))
    return [] if valid else [error, of_nodes]


@pytest.mark.parametrize("name", OLD)
def test_an_old_prompt_is_valid(name: str, told: pytest.LogCaptureFixture) -> None:
    node_id, inputs, wanted = OLD[name]
    prompt = with_sources(old=node(node_id, inputs), sink=node("Test sink", {"value": ["old", 0]}))
    assert refused(prompt)
    prompts.bring_up_to_date({"prompt": prompt})
    assert not refused(prompt)
    kept = {name: value for name, value in inputs.items() if name not in VERSIONS[node_id].renamed}
    assert prompt["old"]["inputs"] == kept | wanted
    (line,) = [record.getMessage() for record in told.records if record.name == "mask_detailer"]
    assert f"{node_id} old (" in line and all(name in line for name in wanted)


@pytest.mark.parametrize("node_id", NODE_CLASS_MAPPINGS)
def test_todays_prompt_stays(node_id: str, told: pytest.LogCaptureFixture) -> None:
    inputs = {
        name: ["picture", 0] if kind[0].isupper() and kind not in ("INT", "FLOAT", "STRING", "BOOLEAN") else value
        for name, (kind, value) in {
            name: (declared[0] if isinstance(declared[0], str) else "choice", default_of(declared))
            for name, declared in inputs_of(NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES())
        }.items()
    }
    prompt = {"1": node(node_id, inputs)}
    prompts.bring_up_to_date({"prompt": prompt})
    assert prompt == {"1": node(node_id, inputs)}
    assert not told.messages


def test_links_lead_to_where_outputs_are_today() -> None:
    inputs = {**PARTS, **SAMPLING, **MASKED, **FACE, "guide_size_for": "bbox", "bbox_model": ["detector", 0]}
    later = {**inputs, "drop_size": 10}
    sinks = {f"sink {name} {place}": node("Test sink", {"value": [name, place]}) for name in "ab" for place in range(4)}
    prompt = with_sources(a=node("FaceDetailer", inputs), b=node("FaceDetailer", later), **sinks)
    prompts.bring_up_to_date({"prompt": prompt})
    names = NODE_CLASS_MAPPINGS["FaceDetailer"].RETURN_NAMES
    led = {name: names[sink["inputs"]["value"][1]] for name, sink in prompt.items() if name in sinks}
    assert [led[f"sink a {place}"] for place in range(3)] == ["image", "mask", "detailer_pipe"]
    assert [led[f"sink b {place}"] for place in range(4)] == ["image", "cropped_refined", "mask", "detailer_pipe"]


def test_values_that_are_given_stay() -> None:
    """Those out of range, those that came later, and texts that are no switch."""
    given = {"combined": "perhaps", "crop_factor": -4.0, "contour_fill": True, "drop_size": 7, "mine": 5}
    prompt = {"1": node("MaskToSEGS", given)}
    prompts.bring_up_to_date({"prompt": prompt})
    assert prompt["1"]["inputs"] == {**given, "bbox_fill": False}


def test_a_link_from_nowhere_is_not_filled_in() -> None:
    """What a version could not do without is still missed."""
    prompt = with_sources(old=node("MaskToSEGS", {"combined": "True", "crop_factor": 3.0}))
    prompt["sink"] = node("Test sink", {"value": ["old", 0]})
    prompts.bring_up_to_date({"prompt": prompt})
    assert "mask" not in prompt["old"]["inputs"] and refused(prompt)


def test_inputs_that_are_gone_go() -> None:
    """A connected one would reach the node."""
    prompt = {"1": node("DetailerForEach", {"external_seed": ["2", 0], "random_seed": True})}
    prompts.bring_up_to_date({"prompt": prompt})
    assert "external_seed" not in prompt["1"]["inputs"]


def test_a_link_to_an_output_that_there_is_not(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing need be connected nothing is; of a switch with outputs without end each link stays."""
    prompt = {
        "1": node("PreviewDetailerHookProvider", {"quality": 95}), "2": node("ImpactInversedSwitch", {"select": 1}),
        "3": node("PixelKSampleUpscalerProviderPipe", {"pk_hook_opt": ["1", 2], "scheduler_func_opt": ["2", 7]}),
        "4": node("DetailerHookCombine", {"hook1": ["1", 2]}),
    }  # fmt: skip
    prompts.bring_up_to_date({"prompt": prompt})
    assert "pk_hook_opt" not in prompt["3"]["inputs"] and prompt["3"]["inputs"]["scheduler_func_opt"] == ["2", 7]
    assert prompt["4"]["inputs"]["hook1"] == ["1", 2]
    said = "PixelKSampleUpscalerProviderPipe 3, input 'pk_hook_opt' leads to output 3 of node 1, which there is not"
    assert said in caplog.text


def test_nodes_of_other_packs_stay(registered: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registered, "MaskToSEGS", type("Theirs", (Source,), {"__module__": "custom_nodes.theirs"}))
    prompt = {"1": node("MaskToSEGS", {"combined": "True"}), "2": node("KSampler", {"noise_mask": "enabled"})}
    before = copy.deepcopy(prompt)
    prompts.bring_up_to_date({"prompt": prompt})
    assert prompt == before


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"prompt": None}, {"prompt": []}, {"prompt": {"1": None, "2": 5, "3": {}, "4": {"class_type": []}}},
        {"prompt": {"1": {"class_type": "MaskToSEGS"}, "2": {"class_type": "MaskToSEGS", "inputs": 3}}},
    ],
    ids=repr,
)  # fmt: skip
def test_nonsense_stays(sent: dict[str, Any]) -> None:
    before = copy.deepcopy(sent)
    prompts.bring_up_to_date(sent)
    assert sent == before


def test_a_broken_node_keeps_no_other_from_being_brought_up_to_date() -> None:
    prompt = {"1": {"class_type": "MaskToSEGS", "inputs": 3}, "2": node("MaskToSEGS", {"crop_factor": 2.0})}
    prompts.bring_up_to_date({"prompt": prompt})
    assert prompt["2"]["inputs"]["drop_size"] == 1
