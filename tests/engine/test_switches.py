"""Switches and branches through ComfyUI's executor: only what is chosen runs, and only what hangs on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from engine.executing import Prompt, execute, keep, refused, registered, source, step
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.validate import InputError


@pytest.fixture(autouse=True)
def nodes() -> Iterator[None]:
    with registered():
        yield


def switch(kind: str = "ImpactSwitch", /, **inputs: Any) -> Prompt:
    return {
        "a": source("a"), "b": source("b"), "bad": source("fails"), "two": step("ImpactInt", value=2),
        "switch": step(kind, **inputs),
        "value": keep("switch", 0, "value"), "label": keep("switch", 1, "label"), "index": keep("switch", 2, "index"),
    }  # fmt: skip


@pytest.mark.parametrize("sel_mode", [False, True, None])
@pytest.mark.parametrize(
    ("kind", "name"), [("ImpactSwitch", "input"), ("LatentSwitch", "latent"), ("SEGSSwitch", "segs")]
)
def test_only_the_chosen_input_runs(kind: str, name: str, sel_mode: bool | None) -> None:
    """In both modes, without one too as old prompts are, and under the names that the typed switches had."""
    mode = {} if sel_mode is None else {"sel_mode": sel_mode}
    inputs = {f"{name}1": ["bad", 0], f"{name}2": ["b", 0], f"{name}10": ["a", 0]}
    made = execute(switch(kind, select=2, **mode, **inputs))
    assert made.error is None and made.ran == ["b"]
    assert made.kept == {"value": ["b"], "label": ["input2"], "index": [2]}
    assert execute(switch(kind, select=10, **mode, **inputs)).kept["value"] == ["a"]


def test_select_by_a_link() -> None:
    made = execute(switch(select=["two", 0], sel_mode=True, input1=["bad", 0], input2=["b", 0]))
    assert made.error is None and made.ran == ["b"] and made.kept["value"] == ["b"]


def test_an_input_that_is_not_connected_gives_none() -> None:
    made = execute(switch(select=3, sel_mode=False, input1=["a", 0]))
    assert made.ran == [] and made.kept == {"value": [None], "label": [""], "index": [3]}


def test_a_list_is_chosen_from_item_by_item() -> None:
    prompt = switch(select=["many", 0], input1=["a", 0], input2=["b", 0])
    made = execute(prompt | {"many": step("TestListSource", value="numbers")}, numbers=[2, 1, 2])
    assert made.kept["value"] == ["b", "a", "b"] and sorted(made.ran) == ["a", "b", "numbers"]


def test_the_label_is_the_slot_s_own() -> None:
    """In the workflow and in a subgraph of it."""
    node = {"id": 5, "type": "ImpactSwitch", "inputs": [{"name": "select"}, {"name": "input2", "label": "eyes"}]}
    outer = {"id": 12, "type": "some-uuid"}
    subgraphs = {"subgraphs": [{"id": "some-uuid", "nodes": [node], "links": []}]}
    for place, workflow in (("5", {"nodes": [node]}), ("12:5", {"nodes": [outer], "definitions": subgraphs})):
        prompt = {"b": source("b"), place: step("ImpactSwitch", select=2, input2=["b", 0]), "label": keep(place, 1)}
        assert execute(prompt, workflow).kept["kept"] == ["eyes"]


@pytest.mark.parametrize("workflow", ["text", [], {"nodes": 5}, {"nodes": [None, {"id": "switch", "inputs": [7]}]}])
def test_a_workflow_that_is_none(workflow: Any) -> None:
    assert execute(switch(select=2, input2=["b", 0]), workflow).kept["label"] == ["input2"]


def inversed(**inputs: Any) -> Prompt:
    made = {"a": source("a"), "switch": step("ImpactInversedSwitch", input=["a", 0], **inputs)}
    return made | {f"keep{place}": keep("switch", place, f"output{place + 1}") for place in (0, 1, 11)}


@pytest.mark.parametrize("mode", [{}, {"sel_mode": False}, {"sel_mode": True}])
@pytest.mark.parametrize("select", [1, 2, 12])
def test_only_the_chosen_output_gives_something(select: int, mode: dict[str, bool]) -> None:
    made = execute(inversed(select=select, **mode))
    assert made.error is None and made.kept == {f"output{select}": ["a"]}


def test_an_output_that_is_not_connected_is_no_error() -> None:
    for select in (3, 999999):
        made = execute(inversed(select=select))
        assert made.error is None and made.kept == {}


def test_what_is_blocked_stays_blocked() -> None:
    """At all outputs, and at a switch that it comes to."""
    made = execute(inversed(select=2) | {"a": step("TestBlocking", value="a")})
    assert made.error is None and made.kept == {}
    made = execute(switch(select=1, input1=["blocked", 0]) | {"blocked": step("TestBlocking", value="x")})
    assert made.error is None and made.kept == {}


def branch(kind: str, cond: Any, **sides: Any) -> Prompt:
    sources = {"a": source("a"), "bad": source("fails"), "yes": step("ImpactBoolean", value=True)}
    return sources | {"branch": step(kind, cond=cond, **sides), "kept": keep("branch")}


@pytest.mark.parametrize("kind", ["ImpactConditionalBranch", "ImpactConditionalBranchSelMode"])
def test_only_the_side_that_is_taken_runs(kind: str) -> None:
    for cond, sides in (
        (True, {"tt_value": ["a", 0], "ff_value": ["bad", 0]}),
        (False, {"tt_value": ["bad", 0], "ff_value": ["a", 0]}),
        (["yes", 0], {"tt_value": ["a", 0], "ff_value": ["bad", 0]}),
    ):
        prompt = branch(kind, cond, **sides)
        prompt["branch"]["inputs"]["sel_mode"] = True  # which saved prompts may have
        made = execute(prompt)
        assert made.error is None and made.ran == ["a"] and made.kept["kept"] == ["a"]


def test_a_side_may_be_missing() -> None:
    assert execute(branch("ImpactConditionalBranchSelMode", True, ff_value=["bad", 0])).kept["kept"] == [None]
    prompt = branch("ImpactConditionalBranch", True, ff_value=["a", 0])
    assert refused(prompt) == {"branch": ["tt_value"]}


def pairs(**more: Any) -> dict[str, Any]:
    images = {f"images{number}_opt": torch.full((1, 4, 4, 3), number / 10) for number in (2, 4)}
    return {"images1": torch.full((1, 4, 4, 3), 0.1), **images, "mask4_opt": torch.ones(4, 4), **more}


def test_pictures_with_their_masks() -> None:
    node = NODE_CLASS_MAPPINGS["ImageMaskSwitch"]()
    for select in (1, 2, 4):
        image, mask = node.doit(select=select, **pairs())
        assert float(image.mean()) == pytest.approx(select / 10)
        assert (mask is None) == (select != 4)
    with pytest.raises(InputError, match="ImageMaskSwitch, input 'select': 3 is chosen, but images3_opt has no pic"):
        node.doit(select=3, **pairs())
