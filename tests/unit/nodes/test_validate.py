"""Values of widgets that come by a link are held against the node's own INPUT_TYPES."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.compat import do_detail
from mask_detailer.nodes.detailers import DetailerForEach
from mask_detailer.nodes.schema import Input, InputTypes, Unread
from mask_detailer.nodes.validate import LEAST, InputError, checked

TYPES: InputTypes = {
    "required": {
        "steps": ("INT", {"min": 1, "max": 20}),
        "cfg": ("FLOAT", {"min": 0.5, "max": 9.0}),
        "seed": ("INT", {"min": 0, "max": 2**64 - 1}),
        "denoise": ("FLOAT", {"min": 0.1, "max": 1.0}),
        "kind": (["a", "b"], {}),
        "note": (Unread(["x"]), {}),
        "text": ("STRING", {}),
        "on": ("BOOLEAN", {}),
        "free": ("FLOAT", {}),
    },
    "optional": {"sure": ("FLOAT", {"min": 0, "max": 1, "forceInput": True}), "image": ("IMAGE", {})},
    "hidden": {"unique_id": "UNIQUE_ID"},
}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("steps", 3, 3),
        ("steps", 3.0, 3),
        ("steps", np.int64(3), 3),
        ("steps", np.float32(3), 3),
        ("steps", True, 1),
        ("steps", np.bool_(True), 1),
        ("steps", np.uint8(20), 20),
        ("cfg", 2, 2),
        ("cfg", 0.5, 0.5),
        ("cfg", np.float32(0.75), 0.75),
        ("cfg", np.float64(0.75), 0.75),
        ("cfg", Fraction(3, 2), 1.5),
        ("seed", 2**64, 0),
        ("seed", -1, 2**64 - 1),
        ("seed", 2**64 - 1, 2**64 - 1),
        ("denoise", 0.0, 0.0),
        ("denoise", 0.01, 0.01),
        ("kind", "b", "b"),
        ("note", "anything", "anything"),
        ("text", None, ""),
        ("text", "words", "words"),
        ("on", False, False),
        ("on", 1, True),
        ("on", 0.0, False),
        ("on", np.bool_(False), False),
        ("on", np.int64(1), True),
        ("sure", None, None),
        ("image", "no picture, which the door says", "no picture, which the door says"),
        ("unique_id", 7, 7),
        ("of another pack", object, object),
    ],
)
def test_what_can_be(name: str, value: Any, wanted: Any) -> None:
    (made,) = checked("Node", TYPES, {name: value}).values()
    assert made == wanted and type(made) is type(wanted)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("steps", 0, "0 is out of range. Give 1 to 20"),
        ("steps", 21.0, "21.0 is out of range. Give 1 to 20"),
        ("steps", 2.5, "2.5 is no whole number. Give 1 to 20"),
        ("steps", "3", "'3' is no whole number. Give 1 to 20"),
        ("steps", None, "None is no whole number. Give 1 to 20"),
        ("steps", float("inf"), "inf is no whole number. Give 1 to 20"),
        ("cfg", float("nan"), "nan is out of range. Give 0.5 to 9.0"),
        ("cfg", 0.25, "0.25 is out of range. Give 0.5 to 9.0"),
        ("cfg", [1.0], "[1.0] is no number. Give 0.5 to 9.0"),
        ("seed", "7", "'7' is no whole number"),
        ("seed", 1.5, "1.5 is no whole number"),
        ("denoise", -0.01, "-0.01 is out of range. Give 0.1 to 1.0"),
        ("denoise", 1.01, "1.01 is out of range. Give 0.1 to 1.0"),
        ("kind", "c", "'c' is none of its choices. Give one of a, b"),
        ("kind", None, "None is none of its choices. Give one of a, b"),
        ("text", 7, "7 is no text. Connect a STRING"),
        ("on", "False", "'False' is neither True nor False. Connect a BOOLEAN"),
        ("on", None, "None is neither True nor False. Connect a BOOLEAN"),
        ("on", 2, "2 is neither True nor False. Connect a BOOLEAN"),
        ("on", float("nan"), "nan is neither True nor False. Connect a BOOLEAN"),
        ("on", [True], "[True] is neither True nor False. Connect a BOOLEAN"),
        ("on", torch.ones(2), "a Tensor of the shape [2] is neither True nor False. Connect a BOOLEAN"),
        ("denoise", 1e-9, "1e-09 is out of range. Give 0, or 0.0001 to 1.0"),
        ("free", float("inf"), "inf is out of range. Connect a number"),
        ("free", float("nan"), "nan is out of range. Connect a number"),
        ("cfg", Fraction(10**400), "Fraction("),
        ("kind", "x" * 5000, "'xxxxxxxx"),
        ("sure", 1.5, "1.5 is out of range. Give 0 to 1"),
    ],
)
def test_what_can_not_be(name: str, value: Any, says: str) -> None:
    with pytest.raises(InputError, match=f"^Node, input '{name}': {re.escape(says)}"):
        checked("Node", TYPES, {name: value})


def test_a_schedule_has_an_end() -> None:
    types: InputTypes = {
        "required": {"steps": ("INT", {"min": 1, "max": 10000}), "denoise": TYPES["required"]["denoise"]}
    }
    most = {"steps": 100, "denoise": 0.0001}
    assert checked("Node", types, most) == most
    says = (
        "Node, input 'denoise': 150 steps at denoise 0.0001 are a schedule of 1500000 noise levels, more than 1000000. "
    )
    with pytest.raises(InputError, match=f"^{says}Give fewer steps, or 0.0002 and more$"):
        checked("Node", types, {"steps": 150, "denoise": 0.0001})
    assert checked("Node", types, {"steps": 10000, "denoise": 0.0})["denoise"] == 0.0


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


def test_what_was_found_is_told_in_a_few_words() -> None:
    for value in ("x" * 10**6, ["x" * 10**6] * 1000, Unprintable(), torch.zeros(99, 99), 10**9999):
        with pytest.raises(InputError) as raised:
            checked("Node", TYPES, {"steps": value})
        assert len(str(raised.value)) < 150


def test_a_tensor_is_no_choice_and_no_number() -> None:
    for name in ("kind", "steps", "cfg"):
        with pytest.raises(InputError):
            checked("Node", TYPES, {name: torch.zeros(2, 2)})


def test_what_a_node_checks_itself_is_left_alone() -> None:
    assert checked("Node", TYPES, {"kind": "c"}, {"kind"}) == {"kind": "c"}


def test_many_choices_are_not_all_named() -> None:
    types: InputTypes = {"required": {"file": ([f"{number}.png" for number in range(100)], {})}}
    with pytest.raises(InputError, match=r"Give one of 0\.png, .*, 39\.png and 60 more$"):
        checked("Node", types, {"file": "other.png"})


# --- every node ---------------------------------------------------------------------------------------------------


def widgets(node_id: str) -> dict[str, Input]:
    groups = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    declared = {**groups.get("required", {}), **groups.get("optional", {})}
    return {name: one for name, one in declared.items() if not isinstance(one, str)}


def default(kind: str | list[str], facts: dict[str, Any]) -> Any:
    if isinstance(kind, list):
        return facts.get("default", kind[0] if kind else "")
    return facts.get(
        "default",
        {"STRING": "", "BOOLEAN": False, "INT": facts.get("min", 0), "FLOAT": facts.get("min", 0.0)}.get(
            kind, object()
        ),
    )


def wrong(name: str, kind: str | list[str], facts: dict[str, Any]) -> Iterator[Any]:
    if isinstance(kind, list):
        if not isinstance(kind, Unread):
            yield from ("no choice of anybody", None, 5)
    elif kind in ("INT", "FLOAT"):
        yield from ("1", float("nan"), [1])
        if kind == "INT":
            yield 1.5
        if facts.get("max", 2**64 - 1) != 2**64 - 1 and facts["max"] + 1 != facts["max"]:
            yield from (min(facts["min"], LEAST.get(name, facts["min"])) - 1, facts["max"] + 1)
    elif kind == "STRING":
        yield from (5, ["a"])
    elif kind == "BOOLEAN":
        yield "False"
        if not facts.get("forceInput"):  # else None is what isn't connected
            yield None


TAKES_LISTS = {node_id for node_id, node in NODE_CLASS_MAPPINGS.items() if getattr(node, "INPUT_IS_LIST", False)}
CHECKED_BY_NODE = {
    ("LoadSEGS", "file"), ("MMDetLoader", "model_name"), ("MMDetDetectorProvider", "model_name"),
    ("PreviewBridge", "image"), ("PreviewBridgeLatent", "image"), ("MaskPainter", "image"),
    ("ImageReceiver", "image"), ("LatentReceiver", "latent"),
}  # fmt: skip
CASES = [
    (node_id, name)
    for node_id in NODE_CLASS_MAPPINGS
    for name, (kind, facts) in widgets(node_id).items()
    if node_id not in TAKES_LISTS and (node_id, name) not in CHECKED_BY_NODE and next(wrong(name, kind, facts), None)
]


@pytest.mark.parametrize(("node_id", "name"), CASES, ids=[" ".join(case) for case in CASES])
def test_every_widget_of_every_node(node_id: str, name: str) -> None:
    """It is refused by name before anything is looked at that comes by another link."""
    node, declared = NODE_CLASS_MAPPINGS[node_id], widgets(node_id)
    given = {each: default(kind, facts) for each, (kind, facts) in declared.items()}
    for value in wrong(name, *declared[name]):
        with pytest.raises(InputError, match=f"^{node_id}, input '{name}': (?s:.)+ is .+\\. (Give|Connect) "):
            node().doit(**(given | {name: value}))  # type: ignore[attr-defined]


def test_there_are_many() -> None:
    assert len(CASES) > 350 and len({node_id for node_id, _ in CASES}) > 50


@pytest.mark.parametrize("node_id", NODE_CLASS_MAPPINGS)
def test_defaults_are_left_as_they_are(node_id: str) -> None:
    there = {name: one for name, one in widgets(node_id).items() if one[0] != [] and node_id not in TAKES_LISTS}
    given = {name: default(kind, facts) for name, (kind, facts) in there.items()}
    made = NODE_CLASS_MAPPINGS[node_id].checked(given)
    assert all(made[name] is value for name, value in given.items())


# --- the call that other packs make -------------------------------------------------------------------------------

GIVEN: dict[str, Any] = dict(
    image=None, segs=None, model=None, clip=None, vae=None, guide_size=8, guide_size_for_bbox=True, max_size=16,
    seed=7, steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", positive=None, negative=None, denoise=0.5,
    feather=4, noise_mask=True, force_inpaint=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", "2"),
        ("steps", 2.5),
        ("guide_size", None),
        ("guide_size_for_bbox", "bbox"),
        ("sampler_name", "no sampler"),
        ("scheduler", None),
        ("wildcard_opt", 5),
        ("crop_batch", -1),
        ("crop_batch", 65),
        ("noise_mask_feather", "20"),
        ("refiner_ratio", "0.5"),
        ("refiner_ratio", 1.5),
        ("steps", 0),
        ("cycle", 0),
        ("denoise", -1),
        ("denoise", 1.5),
        ("denoise", 1e-9),
        ("cfg", float("nan")),
        ("feather", float("inf")),
        ("max_size", 0),
        ("guide_size", -8),
    ],
)
def test_do_detail(name: str, value: Any) -> None:
    assert DetailerForEach.do_detail is do_detail
    with pytest.raises(InputError, match=f"^DetailerForEach, input '{name}': "):
        do_detail(**(GIVEN | {name: value}))


def test_do_detail_goes_beyond_the_widgets_ranges() -> None:
    """Packs do, wherever it means something; what is amiss then is said of the first thing that is."""
    beyond = dict(guide_size=7, max_size=9, steps=20000, feather=500, cycle=11, wildcard_opt=None)
    with pytest.raises(InputError, match=r"^DetailerForEach, input 'model': it is missing"):
        do_detail(**(GIVEN | beyond))
