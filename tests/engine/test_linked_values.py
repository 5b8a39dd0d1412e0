"""Values that come by a link, of which ComfyUI checks none: all widgets of all nodes, with values of every wrong kind.

Each is refused by an error that names node and input before anything is encoded, sampled or detected. What only looks
odd, such as 20.0 steps from a node that reckons, gives what the plain value gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import comfy.samplers
import comfy.sd
import numpy as np
import pytest
import torch
from engine.any_node import NODES, WIDGETS, Declared, Values, arguments, declared, replaced, run, values_of, widget
from engine.running import SMALL, detail, do_detail, segs_of
from engine.tiny_models import Pipe, mask_of, picture, tiny_control_net
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.detailer.detection.detect import Detector, Sam
from mask_detailer.nodes.bridges import NO_MASK
from mask_detailer.nodes.schema import MAX_SEED, Unread
from mask_detailer.nodes.validate import InputError, checked

NOT_A_NUMBER = float("nan")
NUMBERS = [None, "nan", NOT_A_NUMBER, float("inf"), [1], torch.ones(2, 2), {"value": 1}]
ANY_NUMBER = [None, "1", 1.5, [1], torch.ones(2, 2), {"value": 1}, NOT_A_NUMBER, float("-inf")]  # of seeds
CHOICES = [None, "no choice of anybody", 5, 1.5, ["a"], torch.ones(2, 2), {"a": 1}, NOT_A_NUMBER]
TEXTS = [5, 1.5, NOT_A_NUMBER, True, ["a"], torch.ones(2, 2), {"a": 1}, object()]
SWITCHES = [None, "False", "nan", 2, NOT_A_NUMBER, [True], torch.ones(2, 2), {"on": True}]


def is_widget(one: Declared) -> bool:
    """All whose value counts; a number that only comes by a link too. Texts of a list may be anything."""
    if one.name == "string_list" or one.kind == [NO_MASK]:
        return False
    return not isinstance(one.kind, Unread) and (isinstance(one.kind, list) or one.kind in WIDGETS)


def bad_values(one: Declared) -> list[Any]:
    """Eight or more."""
    if isinstance(one.kind, list):
        return CHOICES
    if one.kind == "STRING":
        return TEXTS
    if one.kind == "BOOLEAN":
        return [object(), *SWITCHES[1:]] if one.options.get("forceInput") else SWITCHES
    if one.options.get("max") == MAX_SEED:
        return ANY_NUMBER
    numbers = NUMBERS[1:] if one.options.get("forceInput") else NUMBERS
    if "max" not in one.options:
        return [*numbers, "5", object()]
    beyond = [-1e39, 1e39] if one.kind == "FLOAT" else [-(2.0**64), 2**64, 1.5]
    return [*numbers, *beyond]


def widgets_of(node_id: str) -> list[Declared]:
    return [one for one in declared(node_id) if is_widget(one)]


@pytest.fixture(scope="module")
def values(unet: Pipe, tmp_path_factory: pytest.TempPathFactory) -> Values:
    return values_of(unet, tiny_control_net(tmp_path_factory.mktemp("control")))


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was begun of all that takes time."""
    made: list[str] = []

    def noting(owner: Any, name: str) -> None:
        monkeypatch.setattr(owner, name, lambda *_, **__: made.append(f"{owner.__name__}.{name}"))

    for owner, names in (
        (comfy.samplers.CFGGuider, ["sample"]),
        (comfy.sd.VAE, ["encode", "decode", "encode_tiled", "decode_tiled"]),
        (Detector, ["detect"]),
        (Sam, ["masks"]),
    ):
        for name in names:
            if hasattr(owner, name):
                noting(owner, name)
    return made


@pytest.mark.parametrize("node_id", [node_id for node_id in NODES if widgets_of(node_id)])
def test_bad_values(node_id: str, values: Values, begun: list[str]) -> None:
    given = {} if node_id == "LoadSEGS" else arguments(node_id, values, optional=True)  # there is no file to choose
    for one in widgets_of(node_id):
        for value in bad_values(one):
            with pytest.raises(InputError, match=rf"^{node_id}, input '{one.name}': (?s:.+) is (?s:.+)\. [A-Z]"):
                run(node_id, replaced(node_id, given, one.name, value))
    assert not begun


def test_there_are_many() -> None:
    counts = [len(bad_values(one)) for node_id in NODES for one in widgets_of(node_id)]
    assert len(counts) > 350 and min(counts) >= 8


def test_bad_values_of_the_call_that_other_packs_make(unet: Pipe, begun: list[str]) -> None:
    bad: dict[str, list[Any]] = {
        "guide_size": [*NUMBERS, -1],
        "max_size": [*NUMBERS, 0],
        "cfg": NUMBERS,
        "feather": [*NUMBERS, 1.5],
        "noise_mask_feather": [*NUMBERS, 1.5],
        "steps": [*NUMBERS, 1.5, 0, -3],
        "cycle": [*NUMBERS, 1.5, 0, -3],
        "seed": ANY_NUMBER,
        "denoise": [*NUMBERS, -1, 1.5, 1e-9],
        "refiner_ratio": [*NUMBERS[1:], -1, 1.5],
        "crop_batch": [*NUMBERS, 1.5, -1, 65],
        **dict.fromkeys(("sampler_name", "scheduler"), CHOICES),
        **dict.fromkeys(("guide_size_for_bbox", "noise_mask", "force_inpaint", "inpaint_model"), SWITCHES),
        "wildcard_opt": TEXTS,
    }
    image, segs = picture(96, 112), segs_of((20, 20, 50, 50))
    for name, values in bad.items():
        for value in values:
            with pytest.raises(InputError, match=rf"^DetailerForEach, input '{name}': (?s:.+) is (?s:.+)\. [A-Z]"):
                do_detail(image, segs, unet, **{name: value})
    assert not begun


def test_a_schedule_without_end(values: Values, begun: list[str]) -> None:
    """10,000 steps at the least denoise are in their ranges, but a schedule of a hundred million noise levels."""
    nodes = [node_id for node_id in NODES if {"steps", "denoise"} <= {one.name for one in widgets_of(node_id)}]
    assert len(nodes) >= 10
    for node_id in nodes:
        given = arguments(node_id, values, optional=True) | {"steps": 10000, "denoise": 0.0001}
        with pytest.raises(InputError, match=f"^{node_id}, input 'denoise': 10000 steps .* Give fewer steps, or 0.01 "):
            run(node_id, given)
    assert not begun


# --- values that only look odd ------------------------------------------------------------------------------------

ODD: dict[str, list[Callable[[Any], Any]]] = {
    "INT": [np.int64, np.int32, float, np.float32],
    "FLOAT": [np.float64, float],
    "BOOLEAN": [int, float, np.bool_, np.int64],
    "STRING": [np.str_],
}


def odd_values(node_id: str) -> Iterator[tuple[str, Any, Any]]:
    """Widgets' own values, each as another type that stands for the same."""
    for one in widgets_of(node_id):
        plain = widget(one) if not isinstance(one.kind, list) or one.kind else None
        ways = [np.str_] if isinstance(one.kind, list) else ODD[one.kind]
        for way in ways if plain is not None else ():
            if abs(plain) < 2**24 if isinstance(plain, int | float) else True:  # what all of the types hold exactly
                yield one.name, plain, way(plain)


@pytest.mark.parametrize("node_id", [node_id for node_id in NODES if widgets_of(node_id)])
def test_odd_values_are_read_as_plain_ones(node_id: str) -> None:
    types = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    for name, plain, odd in odd_values(node_id):
        made = checked(node_id, types, {name: odd})[name]
        assert made == plain and isinstance(made, type(plain) if isinstance(plain, bool | str) else int | float)


def test_odd_values_give_the_same_picture(unet: Pipe) -> None:
    image, mask = picture(96, 112), mask_of(96, 112, (20, 20, 50, 50))
    plain = detail(image, mask, unet).image
    ways: dict[type, list[Callable[[Any], Any]]] = {
        bool: [int, float, np.bool_, np.int64], int: [float, np.int64, np.float32, np.uint16], float: [np.float64] * 4,
    }  # fmt: skip
    for place in range(4):
        odd = {name: ways[type(value)][place](value) for name, value in SMALL.items() if type(value) in ways}
        assert len(odd) > 12
        assert torch.equal(detail(image, mask, unet, **odd).image, plain)
    whole = {"guide_size": 64, "max_size": np.int32(128), "cfg": 3, "crop_factor": 2}
    assert torch.equal(detail(image, mask, unet, **whole).image, plain)
