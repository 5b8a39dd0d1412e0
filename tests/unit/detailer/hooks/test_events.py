"""The table of hook events: its order, how hooks are called, and what becomes of several answers."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mask_detailer.detailer.hooks import events
from mask_detailer.detailer.hooks.builtin import CombinedHook
from mask_detailer.detailer.hooks.events import EVENTS, DetailerHook, as_markdown
from mask_detailer.detailer.values import KSampleCall

# by hand, from the protocol: name, arguments, whether crops must go one at a time, and how answers join
CALL = "model seed steps cfg sampler_name scheduler positive negative latent denoise"
TABLE = [
    ("post_crop_region", "w h item_bbox crop_region", False, "chained crop_region"),
    ("post_detection", "segs", False, "chained segs"),
    ("get_custom_sampling", "custom", False, "chained custom"),
    ("touch_scaled_size", "w h", True, "chained w h"),
    ("post_upscale", "pixels mask", True, "chained pixels"),
    ("should_skip_by_cnet_image", "cnet_image", False, "any"),
    ("get_skip_sampling", "", True, "all"),
    ("post_encode", "samples", True, "chained samples"),
    ("get_custom_sampler", "", True, "first"),
    ("set_steps", "info", False, "told"),
    ("cycle_latent", "latent", True, "chained latent"),
    ("pre_ksample", CALL, True, f"chained {CALL}"),
    ("get_custom_noise", "seed noise is_touched", True, "chained noise is_touched"),
    ("pre_decode", "samples", True, "chained samples"),
    ("post_decode", "pixels", True, "chained pixels"),
    ("should_retry_patch", "patch", False, "any"),
    ("judge_candidate", "before candidate mask", False, "added"),
    ("post_paste", "image", True, "chained image"),
]
NAMES = [name for name, *_ in TABLE]
RULES = dict(zip(NAMES, (rule for *_, rule in TABLE), strict=True))


def test_events_in_the_order_of_the_calls() -> None:
    assert list(EVENTS) == NAMES


@pytest.mark.parametrize(("name", "arguments", "one_at_a_time", "rule"), TABLE, ids=NAMES)
def test_an_event(name: str, arguments: str, one_at_a_time: bool, rule: str) -> None:
    event = EVENTS[name]
    assert event.name == name
    assert [parameter.name for parameter in event.parameters] == arguments.split()
    assert event.one_at_a_time is one_at_a_time
    assert [*inspect.signature(getattr(DetailerHook(), name)).parameters] == arguments.split()


# --- one hook -------------------------------------------------------------------------------------------------------


def arguments_of(name: str) -> list[Any]:
    return [f"the {parameter.name}" for parameter in EVENTS[name].parameters]


def untouched(name: str) -> Any:
    """What comes of no hook, by the rule."""
    rule, *passed = RULES[name].split()
    values = tuple(f"the {argument}" for argument in passed)
    plain: dict[str, Any] = {"any": False, "all": False, "first": None, "told": None, "added": 0.0}
    return plain[rule] if rule in plain else values[0] if len(values) == 1 else values


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hook", [None, object(), "a string", DetailerHook(), CombinedHook(None, DetailerHook())])
def test_what_comes_of_no_answer(name: str, hook: Any) -> None:
    given: list[Any] = arguments_of(name)
    if name == "touch_scaled_size":
        given = [640, 480]
        assert EVENTS[name].ask(hook, *given) == (640, 480)
    elif name == "set_steps":
        assert EVENTS[name].ask(hook, (0, 2)) is None
    else:
        assert EVENTS[name].ask(hook, *given) == untouched(name)


def test_a_method_that_is_none_is_no_method() -> None:
    class Without:
        post_paste = None

    assert EVENTS["post_paste"].ask(Without(), "picture") == "picture"


@pytest.mark.parametrize(("answer", "said"), [(1, True), (0, False), ("", False), (torch.tensor(True), True)])
@pytest.mark.parametrize("name", ["get_skip_sampling", "should_retry_patch", "should_skip_by_cnet_image"])
def test_answers_to_questions_are_yes_or_no(name: str, answer: Any, said: bool) -> None:
    hook = type("Hook", (), {name: lambda self, *_: answer})()
    assert EVENTS[name].ask(hook, *arguments_of(name)) is said


def test_sizes_are_whole() -> None:
    class Half:
        def touch_scaled_size(self, w: int, h: int) -> list[float]:
            return [w / 2, h / 2]

    assert EVENTS["touch_scaled_size"].ask(Half(), 641, 481) == (320, 240)


@pytest.mark.parametrize(("name", "count"), [("touch_scaled_size", 2), ("pre_ksample", 10), ("get_custom_noise", 2)])
@pytest.mark.parametrize("more", [-1, 1])
def test_answers_of_the_wrong_length_name_the_hook(name: str, count: int, more: int) -> None:
    class Odd:
        pass

    setattr(Odd, name, lambda self, *_, **named: (0,) * (count + more))
    with pytest.raises(ValueError, match=rf"hook Odd gives {count + more} values in {name}, where {count} are"):
        EVENTS[name].ask(Odd(), *arguments_of(name))


def test_is_touched_is_passed_by_its_name() -> None:
    class ByName:
        def get_custom_noise(self, seed: int, noise: Any, *, is_touched: bool) -> Any:
            return (seed, noise), is_touched

    assert EVENTS["get_custom_noise"].ask(ByName(), 3, "zeros", True) == ((3, "zeros"), True)


# --- our own, as other packs' detailers call them ---------------------------------------------------------------------


@pytest.mark.parametrize("hook", [DetailerHook(), CombinedHook(DetailerHook(), object())])
def test_ours_take_arguments_by_place_and_by_name(hook: Any) -> None:
    assert hook.post_upscale("pixels") == "pixels"
    assert hook.post_upscale("pixels", "mask") == "pixels"
    assert hook.post_upscale(pixels="pixels", mask="mask") == "pixels"
    assert hook.get_custom_noise(1, "noise", is_touched=True) == ("noise", True)
    assert hook.get_custom_noise(1, "noise", True) == ("noise", True)
    assert hook.post_crop_region(w=1, h=2, item_bbox=3, crop_region=4) == 4
    assert hook.pre_ksample(*range(10)) == tuple(range(10))
    with pytest.raises(TypeError, match="argument"):
        hook.post_decode()


@pytest.mark.parametrize("hook", [DetailerHook(), CombinedHook(None, object())])
def test_the_cycle_is_known_once_it_is_set(hook: DetailerHook) -> None:
    assert (hook.cur_step, hook.total_step) == (0, 0)
    hook.set_steps((1, 3))
    assert (hook.cur_step, hook.total_step) == (1, 3)
    assert (DetailerHook.cur_step, DetailerHook.total_step) == (0, 0)


# --- several hooks ----------------------------------------------------------------------------------------------------


class Marking:
    """Notes each call in a list that several share, and marks what is passed on: ``x`` becomes ``x+mark``."""

    def __init__(self, mark: str, calls: list[str]) -> None:
        self.mark, self.calls = mark, calls

    def __getattr__(self, name: str) -> Any:
        if name not in RULES:
            raise AttributeError(name)

        def method(*given: Any, **named: Any) -> Any:
            self.calls.append(self.mark)
            values = dict(zip((of.name for of in EVENTS[name].parameters), given, strict=False)) | named
            _, *passed = RULES[name].split()
            marked = tuple(f"{values[argument]}+{self.mark}" for argument in passed)
            return marked[0] if len(marked) == 1 else marked

        return method


CHAINED = [name for name in NAMES if RULES[name].startswith("chained") and name != "touch_scaled_size"]


@pytest.mark.parametrize("name", CHAINED)
def test_each_works_on_what_the_one_before_gives(name: str) -> None:
    calls: list[str] = []
    hooks = [Marking("a", calls), object(), Marking("b", calls), DetailerHook(), Marking("c", calls)]
    _, *passed = RULES[name].split()
    wanted = tuple(f"the {argument}+a+b+c" for argument in passed)
    wanted = wanted[0] if len(wanted) == 1 else wanted
    assert EVENTS[name].joined(hooks, *arguments_of(name)) == wanted
    assert calls == ["a", "b", "c"]
    nested = CombinedHook(CombinedHook(*hooks[:3]), CombinedHook(*hooks[3:]))
    assert getattr(nested, name)(*arguments_of(name)) == wanted


def test_noise_of_one_goes_on_as_anyones_own() -> None:
    seen: list[tuple[Any, bool]] = []

    class Noisy:
        def get_custom_noise(self, seed: int, noise: Any, is_touched: bool) -> Any:
            seen.append((noise, is_touched))
            return noise + 1, True

    class Looking:
        def get_custom_noise(self, seed: int, noise: Any, is_touched: bool) -> Any:
            seen.append((noise, is_touched))
            return noise, is_touched

    assert CombinedHook(Looking(), Noisy(), Looking()).get_custom_noise(5, 0, is_touched=False) == (1, True)  # type: ignore[arg-type]
    assert seen == [(0, False), (0, False), (1, True)]
    assert CombinedHook(Looking(), Looking()).get_custom_noise(5, 0, is_touched=False) == (0, False)  # type: ignore[arg-type]


class Saying:
    """Gives the same answer to every question, and notes that it was asked."""

    def __init__(self, answer: Any, asked: list[Any]) -> None:
        self.answer, self.asked = answer, asked

    def get_skip_sampling(self, *_: Any) -> Any:
        self.asked.append(self.answer)
        return self.answer

    should_retry_patch = should_skip_by_cnet_image = get_custom_sampler = set_steps = get_skip_sampling


FIRST, SECOND = SimpleNamespace(sample=None), SimpleNamespace(sample=None)


@pytest.mark.parametrize(
    ("name", "answers", "wanted", "asked"),
    [
        ("get_skip_sampling", [True, True, True], True, 3),
        ("get_skip_sampling", [True, False, True], False, 2),
        ("should_retry_patch", [False, True, False], True, 2),
        ("should_retry_patch", [False, False, False], False, 3),
        ("should_skip_by_cnet_image", [False, True, False], True, 2),
        ("should_skip_by_cnet_image", [False, False, False], False, 3),
        ("get_custom_sampler", [None, FIRST, SECOND], FIRST, 2),
        ("get_custom_sampler", [None, None, None], None, 3),
        ("set_steps", ["a", None, "b"], None, 3),
    ],
)
def test_questions(name: str, answers: list[Any], wanted: Any, asked: int) -> None:
    notes: list[Any] = []
    hook = CombinedHook(*(Saying(answer, notes) for answer in answers))
    given = [(0, 1)] if name == "set_steps" else arguments_of(name)
    assert getattr(hook, name)(*given) == wanted
    assert notes == answers[:asked]


def test_a_hook_that_lacks_the_question_says_no() -> None:
    yes = Saying(True, [])
    assert CombinedHook(yes, object()).get_skip_sampling() is False
    assert CombinedHook(object(), yes).should_retry_patch(torch.zeros(1)) is True


# --- the documentation ------------------------------------------------------------------------------------------------


def test_the_table_of_the_documentation() -> None:
    head, line, *rows = as_markdown().splitlines()
    assert set(line) <= set("| -")
    assert [row.count("|") for row in (head, line, *rows)] == [6] * (2 + len(NAMES))
    assert [row.split("`")[1].split("(")[0] for row in rows] == NAMES
    by_name = dict(zip(NAMES, rows, strict=True))
    assert by_name["post_upscale"].startswith("| `post_upscale(pixels, [mask])` | ")
    assert "| `noise`, `is_touched` | a crop on its way | each works on what" in by_name["get_custom_noise"]
    assert f"pre_ksample({', '.join(KSampleCall._fields)})" in by_name["pre_ksample"]
    assert by_name["get_skip_sampling"].endswith("| yes if all say yes |")
    assert by_name["should_retry_patch"].endswith("| whether it is good | yes as soon as one says yes |")


def test_the_documentation_has_the_table() -> None:
    page = Path(events.__file__).resolve().parents[2] / "docs" / "architecture.md"
    assert as_markdown() in page.read_text(encoding="utf-8")
