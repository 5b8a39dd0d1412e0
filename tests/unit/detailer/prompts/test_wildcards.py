"""Choices in prompts: hand-worked expansions, odds by counting, and texts made to break it."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import pytest
from mask_detailer.detailer.prompts.wildcards import MAX_ADDED, expand
from support.timing import loops

SEEDS = 6000
MOST_LOOPS = 100  # see support.timing; the slowest takes 12

LISTS = {
    "hair": ["hair one"], "my-hair": ["hair two"], "a/b/eyes": ["eyes"], "animals/cat": ["cat"], "animals/dog": ["dog"],
    "nested": ["{__hair__} and __eyes__"], "loop": ["__loop__"], "empty": [], "top": ["flat"], "x/top": ["deep"],
}  # fmt: skip


def counted(text: str, lists: Any = None) -> Counter[str]:
    return Counter(expand(text, seed, lists or {}) for seed in range(SEEDS))


def near(count: int, probability: float) -> bool:
    """Within five standard deviations of a binomial count."""
    return abs(count - SEEDS * probability) <= 5 * math.sqrt(SEEDS * probability * (1 - probability)) + 1e-9


def fits(counts: Counter[str], expected: dict[str, float]) -> bool:
    assert math.isclose(sum(expected.values()), 1.0)
    return set(counts) == set(expected) and all(near(counts[text], share) for text, share in expected.items())


# ------------------------------------------------------------------------------------------------ one result only


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ""),
        ("a red hat, (blue:1.2) \\(x\\)\nnext line ", "a red hat, (blue:1.2) \\(x\\)\nnext line "),
        # comments
        ("a\n# no\nb\nc", "a b\nc"),
        ("# no\na", "a"),
        ("a\n#no", "a"),
        ("a\n#\n# no\nb", "a b"),
        ("a\n  # no", "a"),
        ("# {a|b} __hair__", ""),
        ("\n# no\na", " a"),
        # braces
        ("{a}", "a"),
        ("{}", ""),
        ("x{ a }y", "x a y"),
        ("{{a}}", "a"),
        ("{a{b}{c}}", "abc"),
        ("{{a}|{a}}", "a"),
        ("{a", "{a"),
        ("a}", "a}"),
        ("{0::a|b}", "b"),
        ("{0::a}", "a"),
        ("{ 2.5 :: a}", " a"),
        ("{-1::a}", "-1::a"),
        ("{a::b}", "a::b"),
        # several
        ("{2$$a|a}", "a a"),
        ("{1$$a}", "a"),
        ("{9$$, $$a|a|a}", "a, a, a"),
        ("{2$$$$a|a}", "aa"),
        ("{2-2$$ and $$a|a}", "a and a"),
        ("{0$$a|b}", ""),
        ("{1-1$$a|a|a}", "a"),
        ("{-1$$a|a|a}", "a"),
        ("{2$$0::a|b|b}", "b b"),
        ("{x$$a}", "x$$a"),
        ("{3-$$a}", "3-$$a"),
        ("{2$$, $$__hair__|__hair__}", "hair one, hair one"),
        ("{2$$__hair__}", "hair one"),
        ("{2$$ __hair__ }", "hair one"),
        ("{2$$__nothing__}", "__nothing__"),
        ("{2$$+$$2#__hair__}", "hair one+hair one"),
        ("2#__hair__", "hair one|hair one"),
        ("{2#__hair__}", "hair one"),
        # names
        ("__hair__", "hair one"),
        ("x__hair____hair__y", "xhair onehair oney"),
        ("__HAIR__ and __My Hair__", "hair one and hair two"),
        ("__a\\B\\eyes__", "eyes"),
        ("__eyes__", "eyes"),
        ("__b/eyes__", "__b/eyes__"),
        ("__top__", "flat"),
        ("__x/top__", "deep"),
        ("__b__ __a__", "eyes eyes"),
        ("__*/cat__", "cat"),
        ("__animals/c*__", "cat"),
        ("__*cat__", "cat"),
        ("__nested__", "hair one and eyes"),
        ("__nope__ __empty__ __no pe__", "__nope__ __empty__ __no pe__"),
        ("__ hair__ __hair __ ____", "__ hair__ __hair __ ____"),
        ("a__ __hair__", "a__ hair one"),
        ("__{hair}__", "hair one"),
        ("{__hair__|__hair__} {__eyes__}", "hair one eyes"),
        ("__loop__", "__loop__"),
        ("<lora:a:0.5> BREAK [SEP]", "<lora:a:0.5> BREAK [SEP]"),
        # names of files
        ("<lora:My__hair__v2:0.7> a __hair__ hat", "<lora:My__hair__v2:0.7> a hair one hat"),
        ("<lora:sub/__hair__/x:1:0.5:LBW=__hair__>", "<lora:sub/__hair__/x:1:0.5:LBW=__hair__>"),
        ("<lora:x2#__hair__:1> <lora: a__hair__ >", "<lora:x2#__hair__:1> <lora: a__hair__ >"),
        ("{<lora:My__hair__v2:1>|<lora:My__hair__v2:1>} __hair__", "<lora:My__hair__v2:1> hair one"),
        ("{2$$, $$<lora:a__hair__:1>|<lora:a__hair__:1>}", "<lora:a__hair__:1>, <lora:a__hair__:1>"),
        ("<lora:{a__hair__|a__hair__}:{0.5|0.5}>", "<lora:a__hair__:0.5>"),
        ("<lora:__hair__:0.7>", "<lora:hair one:0.7>"),
        ("<lora:a__hair__", "<lora:ahair one"),
        ("embedding:My__hair__v2", "embedding:My__hair__v2"),
        ("(embedding:a__hair__:1.2), __hair__", "(embedding:a__hair__:1.2), hair one"),
        ("{embedding:a__hair__|embedding:a__hair__} embedding:__hair__", "embedding:a__hair__ embedding:hair one"),
        ("__hair__<lora:a__hair__:1>__hair__", "hair one<lora:a__hair__:1>hair one"),
        ("my embedding: __hair__", "my embedding: hair one"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_worked_by_hand(text: str, wanted: str, seed: int) -> None:
    assert expand(text, seed, LISTS) == wanted


def test_a_folder_s_name_joins_the_lists_in_it() -> None:
    lists = {"top/a": ["1"], "top/b": ["2"], "x/top/c": ["3"], "y/top": ["4"], "stop/a": ["5"], "topmost": ["6"]}
    assert sorted(expand("{9$$,$$__top__}", 0, lists).split(",")) == ["1", "2", "3", "4"]
    assert expand("__top__", 0, lists | {"top": ["itself"]}) == "itself"


def test_unknown_names_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    expand("__hair__ __nope__ __nope__ {__other__|__other__}", 0, LISTS)
    assert [record.getMessage() for record in caplog.records] == [
        "no wildcard list has the name nope, other: left in the text as it is"
    ]


# ------------------------------------------------------------------------------------------------ odds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a|b}", {"a": 1 / 2, "b": 1 / 2}),
        ("{a|b|}", {"a": 1 / 3, "b": 1 / 3, "": 1 / 3}),
        ("{a|a|b}", {"a": 2 / 3, "b": 1 / 3}),
        ("{5::a|b|0::c}", {"a": 5 / 6, "b": 1 / 6}),
        ("{.5::a|1.5::b}", {"a": 1 / 4, "b": 3 / 4}),
        ("{0::a|0::b}", {"a": 1 / 2, "b": 1 / 2}),
        ("{a|{b|c}}", {"a": 1 / 2, "b": 1 / 4, "c": 1 / 4}),
        ("{a|b}{a|b}", {"aa": 1 / 4, "ab": 1 / 4, "ba": 1 / 4, "bb": 1 / 4}),
        ("{2$$a|b|c}", {" ".join(pair): 1 / 6 for pair in itertools.permutations("abc", 2)}),
        ("{9$$-$$a|b|c}", {"-".join(all_): 1 / 6 for all_ in itertools.permutations("abc")}),
        # by weight from those that are left: P(a, b) = 2/4 * 1/2
        (
            "{2$$2::a|b|c}",
            {"a b": 1 / 4, "a c": 1 / 4, "b a": 1 / 6, "c a": 1 / 6, "b c": 1 / 12, "c b": 1 / 12},
        ),
        ("{1-2$$a|a}", {"a": 1 / 2, "a a": 1 / 2}),
        ("{2-1$$a|a}", {"a": 1 / 2, "a a": 1 / 2}),
        ("{-3$$a|a|a}", {"a": 1 / 3, "a a": 1 / 3, "a a a": 1 / 3}),
        ("{0-1$$a}", {"a": 1 / 2, "": 1 / 2}),
        ("__w__", {"red": 3 / 4, "blue": 1 / 4}),
        ("{2$$, $$__w__}", {"red, blue": 3 / 4, "blue, red": 1 / 4}),
        ("{a|3#__one__}", {"a": 1 / 4, "1": 3 / 4}),
        ("__p/*__", {"1": 1 / 4, "2": 1 / 4, "3": 1 / 2}),  # all entries of all lists alike
        ("__q__", {"1": 1 / 2, "3": 1 / 2}),
    ],
)
def test_odds(text: str, expected: dict[str, float]) -> None:
    lists = {"w": ["3::red", "blue"], "one": ["1"], "p/a": ["1", "2"], "p/b": ["3", "3"], "r/q": ["1"], "s/q": ["3"]}
    assert fits(counted(text, lists), expected)


def test_choices_are_independent_of_one_another() -> None:
    """A chi-squared test over the joint counts of two choices of five; 16 degrees of freedom, p about 1e-6."""
    counts = counted("{0|1|2|3|4}{0|1|2|3|4}")
    expected = SEEDS / 25
    assert sum((counts[f"{a}{b}"] - expected) ** 2 / expected for a in range(5) for b in range(5)) < 71


def test_the_same_seed_gives_the_same_text() -> None:
    text = "{a|b|c|d} {2$$e|f|g} {1-3$$, $$h|i|j} __*__ {k|{l|m}}"
    lists = {"z": ["1", "2"], "y": ["3", "4"]}
    once = [expand(text, seed, lists) for seed in range(50)]
    assert once == [expand(text, seed, dict(reversed(lists.items()))) for seed in range(50)]
    assert len(set(once)) > 40


def test_it_stays_the_same_from_release_to_release() -> None:
    """By Python's Mersenne Twister, whose ``random()`` never changes: 0.844, 0.758, 0.421 and 0.259 for seed 0."""
    assert expand("{a|b|c|d}{a|b|c|d}{a|b|c|d}{a|b|c|d}", 0, {}) == "ddbb"
    # the seed's numbers are used up from left to right: -log(1-u) is 1.86, 1.42, 0.55
    assert expand("{3$$a|b|c}", 0, {}) == "c b a"


# ------------------------------------------------------------------------------------------------ made to break it


def quickly(text: str, lists: Any = None) -> str:
    made: list[str] = []
    assert loops(lambda: made.append(expand(text, 0, lists or {}))) < MOST_LOOPS
    return made[0]


@pytest.mark.parametrize(
    "text",
    [
        "{" * 50_000, "}" * 50_000, "{" * 20_000 + "}" * 20_000, "_" * 50_000, "__a " * 20_000, "{a|" * 10_000,
        "#" * 50_000, "#\n" * 50_000, "1#" * 50_000, "$$" * 50_000, "{" + "1$$" * 20_000 + "}", "__" + "*" * 50_000,
        "{" + "|" * 50_000 + "}", "{99999999999$$a|b}", "{-99999999999$$a|b}", "999999999999999#__a__",
        "<lora:" * 20_000, "<lora:" + "__a" * 20_000, "embedding:" * 20_000, "embedding:__a" * 10_000,
        "{0-" + "9" * 5000 + "$$a}", "{" + "9" * 5000 + "::a}", "__" + "*a" * 90 + "__",
    ],
)  # fmt: skip
def test_it_ends_quickly(text: str) -> None:
    quickly(text, {"a": ["a"], "a" * 300: ["b"]})


def test_deep_nesting_is_worked_out_as_far_as_rounds_go() -> None:
    assert quickly("{" * 90 + "a" + "}" * 90) == "a"
    assert quickly("{" * 200 + "a" + "}" * 200) == "{" * 101 + "a" + "}" * 101


@pytest.mark.parametrize(
    "entry", ["__a____a__", "__a__ {__a__|__a__} x", "{__a__}{__a__}", "9#__a__", "x" * 10 + "__a__"]
)
def test_lists_that_grow_without_end_are_stopped(entry: str, caplog: pytest.LogCaptureFixture) -> None:
    made = quickly("__a__", {"a": [entry]})
    assert len(made) <= MAX_ADDED + len(entry)
    grows = len(entry) < 30 and not entry.startswith("xx")
    assert ("grows beyond" in caplog.text) == grows
