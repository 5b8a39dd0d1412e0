"""Batches, lists, comparisons, conversions and texts, as the contract says what comes out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from engine.executing import execute, keep, registered, source, step
from engine.tiny_models import text_encoder
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.validate import InputError


def run(node: str, **inputs: Any) -> Any:
    return NODE_CLASS_MAPPINGS[node]().doit(**inputs)


@pytest.fixture
def nodes() -> Iterator[None]:
    with registered():
        yield


def picture(value: float, height: int = 4, width: int = 6, channels: int = 3) -> torch.Tensor:
    return torch.full((1, height, width, channels), value)


# --- lists ---------------------------------------------------------------------------------------------------------


def test_inputs_come_by_number() -> None:
    """Not in the order of the prompt's keys, and 10 after 2."""
    given = {f"image{number}": picture(number / 20) for number in (10, 1, 2)}
    (batch,) = run("ImpactMakeImageBatch", **given)
    assert batch.mean(dim=(1, 2, 3)).tolist() == pytest.approx([0.05, 0.1, 0.5])
    (items,) = run("ImpactMakeImageList", **given)
    assert [float(item.mean()) for item in items] == pytest.approx([0.05, 0.1, 0.5])
    assert run("ImpactMakeAnyList", value10="z", value2=None, value1=5) == ([5, "z"],)


def test_a_batch_has_the_first_s_size_and_channels() -> None:
    first, second = picture(0.5), picture(0.25, 8, 12, 4)
    (batch,) = run("ImpactMakeImageBatch", image1=first, image2=second)
    assert batch.shape == (2, 4, 6, 3) and torch.allclose(batch[1], torch.tensor(0.25))
    (batch,) = run("ImpactMakeImageBatch", image1=second, image2=first, image3=picture(0.75, channels=1))
    assert batch.shape == (3, 8, 12, 4)
    assert torch.allclose(batch[1:, ..., 3], torch.ones(2, 8, 12)) and torch.allclose(
        batch[2, ..., :3], torch.tensor(0.75)
    )


def test_a_batch_is_cut_around_the_middle() -> None:
    """A picture twice as wide loses a quarter at the left and at the right."""
    wide = torch.zeros(1, 4, 8, 3)
    wide[:, :, 2:6] = 1.0
    (batch,) = run("ImpactMakeImageBatch", image1=picture(0.5, 4, 4), image2=wide)
    assert torch.equal(batch[1], torch.ones(4, 4, 3))


def test_channels_that_nothing_has() -> None:
    with pytest.raises(InputError, match="input 'image2': its pictures have 2 channels"):
        run("ImpactMakeImageBatch", image1=picture(0.5), image2=picture(0.5, channels=2))


def test_masks_of_any_rank_and_size_make_a_batch() -> None:
    (batch,) = run("ImpactMakeMaskBatch", mask1=torch.ones(4, 6), mask2=torch.full((2, 8, 12), 0.5), mask3=None)
    assert batch.shape == (3, 4, 6) and batch.mean(dim=(1, 2)).tolist() == pytest.approx([1.0, 0.5, 0.5])
    (items,) = run("ImpactMakeMaskList", mask2=torch.ones(2, 3, 3), mask1=torch.zeros(4, 6))
    assert [tuple(item.shape) for item in items] == [(1, 4, 6), (2, 3, 3)]


def test_lists_run_what_follows_once_for_each(nodes: None) -> None:
    prompt = {
        "a": source("a"), "b": source("b"), "numbers": step("TestListSource", value="numbers"),
        "list": step("ImpactMakeAnyList", value2=["b", 0], value1=["a", 0]), "items": keep("list", 0, "items"),
        "bridge": step("ImpactListBridge", list_input=["numbers", 0]), "bridged": keep("bridge", 0, "bridged"),
    }  # fmt: skip
    made = execute(prompt, numbers=[3, 1, 2])
    assert made.error is None and made.kept == {"items": ["a", "b"], "bridged": [3, 1, 2]}


def test_what_pictures_and_latents_measure() -> None:
    assert run("ImpactImageInfo", value=torch.zeros(2, 30, 40, 4)) == (2, 30, 40, 4)
    assert run("ImpactLatentInfo", value={"samples": torch.zeros(3, 4, 5, 7)}) == (3, 40, 56, 4)
    assert run("ImpactLatentInfo", value={"samples": torch.zeros(1, 16, 9, 5, 7)}) == (1, 40, 56, 16)


# --- logic ---------------------------------------------------------------------------------------------------------

SEVEN = torch.full((2, 2), 7.0)
COMPARED: list[tuple[Any, str, Any, bool]] = [
    (1, "a = b", 1.0, True), ("a", "a = b", "a", True), (1, "a = b", "1", False), (None, "a = b", None, True),
    (1, "a <> b", 2, True), (2, "a > b", 1, True), (2, "a < b", 1, False), (2, "a >= b", 2, True),
    ("a", "a < b", "b", True), (1, "tt", object(), True), (1, "ff", 1, False),
    (SEVEN, "a = b", SEVEN.clone(), True), (SEVEN, "a <> b", SEVEN + torch.eye(2), True),
    (SEVEN, "a = b", torch.ones(3), False), (SEVEN, "a > b", 6, True), (SEVEN + torch.eye(2), "a <= b", 7, False),
    (np.ones(3), "a = b", np.ones(4), False),
]  # fmt: skip


@pytest.mark.parametrize(("a", "cmp", "b", "wanted"), COMPARED)
def test_compare(a: Any, cmp: str, b: Any, wanted: bool) -> None:
    (made,) = run("ImpactCompare", cmp=cmp, a=a, b=b)
    assert made is wanted


@pytest.mark.parametrize("node", ["ImpactCompare", "ImpactMinMax"])
def test_what_has_no_order(node: str) -> None:
    how: dict[str, Any] = {"cmp": "a < b"} if node == "ImpactCompare" else {"mode": True}
    for a, b in ((1, "a"), (None, 2), (SEVEN, torch.ones(3)), ({"a": SEVEN}, {})):
        with pytest.raises(InputError, match=rf"^{node}, input 'b': .* can't be compared with a, .* Connect two num"):
            run(node, a=a, b=b, **how)


def test_the_larger_and_the_smaller() -> None:
    for a, b in ((2.5, 1), ("b", "a"), (1, True)):
        assert run("ImpactMinMax", mode=True, a=a, b=b) == (a,) and run("ImpactMinMax", mode=False, a=b, b=a) == (b,)


def test_operators_give_switches() -> None:
    for a in (False, True):
        for b in (False, True):
            made = {
                name: run("ImpactLogicalOperators", operator=name, bool_a=a, bool_b=b)[0]
                for name in ("and", "or", "xor")
            }
            assert made == {"and": a and b, "or": a or b, "xor": a != b}
        assert run("ImpactNeg", value=a) == (not a,)


CONVERTED: list[tuple[Any, tuple[str, float, int, bool]]] = [
    (2.7, ("2.7", 2.7, 2, True)), (-2.7, ("-2.7", -2.7, -2, True)), (True, ("True", 1.0, 1, True)),
    (False, ("False", 0.0, 0, False)), ("FALSE", ("FALSE", 0.0, 0, False)), (0, ("0", 0.0, 0, False)),
    ("1e3", ("1e3", 1000.0, 1000, True)), ("5.", ("5.", 5.0, 5, True)), (".5", (".5", 0.5, 0, True)),
    (1e-7, ("1e-07", 1e-7, 0, True)), ("abc", ("abc", 1.0, 1, True)), ("", ("", 1.0, 1, True)),
    (None, ("None", 1.0, 1, True)), ("nan", ("nan", 1.0, 1, True)), ("-0", ("-0", 0.0, 0, False)),
    (2**63 - 1, (str(2**63 - 1), float(2**63), 2**63 - 1, True)), (10**400, (str(10**400), 1.0, 1, True)),
    (np.float32(0.5), ("0.5", 0.5, 0, True)), ("1e999", ("1e999", 1.0, 1, True)),
]  # fmt: skip


@pytest.mark.parametrize(("value", "wanted"), CONVERTED)
def test_conversion(value: Any, wanted: Any) -> None:
    made = run("ImpactConvertDataType", value=value)
    assert made == wanted and [type(one) for one in made] == [str, float, int, bool]


def test_if_none(nodes: None) -> None:
    assert run("ImpactIfNone") == (None, False) and run("ImpactIfNone", signal=5, any_input=False) == (5, True)
    prompt = {"a": source("a"), "if": step("ImpactIfNone", any_input=["a", 0]), "kept": keep("if", 1)}
    assert execute(prompt).kept["kept"] == [True]


def test_one_after_the_other(nodes: None) -> None:
    prompt = {
        "late": source("late"), "first": source("first"),
        "order": step("ImpactExecutionOrderController", signal=["first", 0], value=["late", 0]),
        "signal": keep("order", 0, "signal"), "value": keep("order", 1, "value"),
    }  # fmt: skip
    assert execute(prompt).kept == {"signal": ["first"], "value": ["late"]}


def test_any_pipe_to_basic() -> None:
    assert run("AnyPipeToBasic", any_pipe=tuple("abcdefg")) == (tuple("abcde"),)
    for pipe, said in (((1, 2), "of 2 things is no pipe"), (5, "a int is no pipe")):
        with pytest.raises(InputError, match=said):
            run("AnyPipeToBasic", any_pipe=pipe)


def test_the_logger_says_the_value_and_not_more(told: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    shown = run("ImpactLogger", data=torch.zeros(2, 3), text="")["ui"]["text"][0]
    assert "0." in shown and "ImpactLogger: [2, 3] tensor" in told.text
    assert len(run("ImpactLogger", data="x" * 10**6, text="")["ui"]["text"][0]) < 11_000
    assert "Broken" in run("ImpactLogger", data=Broken(), text="")["ui"]["text"][0]


def test_sleep_hears_the_interrupt() -> None:
    import comfy.model_management

    begun = time.monotonic()
    assert run("ImpactSleep", signal=5, seconds=0.2) == (5,) and time.monotonic() - begun >= 0.2
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run("ImpactSleep", signal=5, seconds=3600)
    assert time.monotonic() - begun < 20


# --- texts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strings", "multiline", "wanted"),
    [
        ("a\n\nb", False, ["a", "", "b", "a"]),
        ("", False, ["", ""]),
        ("before\n#x\n1\n\n# y\n##z", True, ["before", "x\n1", "y", "#z", "before"]),
        ("#x", True, ["x", "x"]),
        ("", True, ["", ""]),
        ("\n#x\n#y", True, ["x", "y", "x"]),
    ],
)
def test_string_selector(strings: str, multiline: bool, wanted: list[str]) -> None:
    made = [run("ImpactStringSelector", strings=strings, multiline=multiline, select=i)[0] for i in range(len(wanted))]
    assert made == wanted


def test_string_list() -> None:
    given = ["a", 5, None, "b"]
    assert run("StringListToString", join_with=["\\n", "unused"], string_list=given) == ("a\n5\nb",)
    assert run("StringListToString", join_with=["\\t"], string_list=["a", "b"]) == ("a\\tb",)
    assert given == ["a", 5, None, "b"]


def test_string_list_through_the_executor(nodes: None) -> None:
    prompt = {
        "words": step("TestListSource", value="words"),
        "joined": step("StringListToString", join_with=", ", string_list=["words", 0]), "kept": keep("joined"),
    }  # fmt: skip
    assert execute(prompt, words=["red", "green"]).kept["kept"] == ["red, green"]


def test_wildcard_prompt() -> None:
    given: dict[str, Any] = dict(string="smile, red,  hat\nblue,, red", delimiter="\\n")
    none: dict[str, Any] = dict(prefix_all="", postfix_all="", restrict_to_tags="", exclude_tags="")
    assert run("WildcardPromptFromString", **given, **none) == ("[LAB]\n[1] smile, red, hat\n[2] blue, red", "1, 2")
    made = run("WildcardPromptFromString", **given, **none | {"restrict_to_tags": "red, smile", "exclude_tags": "hat"})
    assert made[0] == "[LAB]\n[1] smile, red\n[2] red"
    made = run("WildcardPromptFromString", **given, **none | {"prefix_all": "photo  of ,", "postfix_all": ", sharp"})
    assert made[0] == "[LAB]\n[1] photo of, smile, red, hat, sharp\n[2] photo of, blue, red, sharp"
    assert run("WildcardPromptFromString", **given | {"delimiter": ""}, **none)[1] == "1"


def conditioning(value: float, tokens: int = 2, width: int = 4) -> list[Any]:
    return [[torch.full((1, tokens, width), value), {"value": value}]]


def test_conditionings_combined() -> None:
    given = {f"conditioning{number}": conditioning(number) for number in (10, 2, 1)}
    (made,) = run("ImpactCombineConditionings", **given)
    assert [options["value"] for _, options in made] == [1, 2, 10]


def test_conditionings_concatenated() -> None:
    first = [*conditioning(1.0), *conditioning(2.0)]
    (made,) = run(
        "ImpactConcatConditionings",
        conditioning1=first,
        conditioning3=conditioning(4.0),
        conditioning2=conditioning(3.0, 1),
    )
    assert [tokens[0, :, 0].tolist() for tokens, _ in made] == [[1, 1, 3, 4, 4], [2, 2, 3, 4, 4]]
    assert [options["value"] for _, options in made] == [1, 2] and first[0][0].shape == (1, 2, 4)
    (made,) = run("ImpactConcatConditionings", conditioning1=conditioning(1.0))
    assert torch.equal(made[0][0], conditioning(1.0)[0][0])
    with pytest.raises(InputError, match=r"input 'conditioning2': its prompt has the shape .* same CLIP"):
        run("ImpactConcatConditionings", conditioning1=conditioning(1.0), conditioning2=conditioning(1.0, width=5))


def test_through_comfyui_s_text_encoder() -> None:
    """Prompts of a real CLIP: two in one, and one behind the other."""
    clip = text_encoder()
    one, two = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a red hat", "a blue hat"))
    (both,) = run("ImpactConcatConditionings", conditioning1=one, conditioning2=two)
    assert torch.equal(both[0][0], torch.cat([one[0][0], two[0][0]], dim=1))
    assert len(run("ImpactCombineConditionings", conditioning1=one, conditioning2=two)[0]) == 2
