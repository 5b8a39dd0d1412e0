"""Which conditionings of crops go into one batch, and how they lie in it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mask_detailer.core import Size
from mask_detailer.detailer.host.conditioning import KEYS, Items, items_of
from mask_detailer.detailer.host.stacking import stacked, what_differs

TOKENS = torch.zeros(1, 77, 8)
CELLS = Size(4, 6)


def one(value: float, **options: Any) -> Any:
    return [[torch.full((1, 77, 8), value), options]]


def filled(value: float, *shape: int) -> torch.Tensor:
    return torch.full(shape, value)


# Of each key a crop's value and another's that has the same form, and one that has another.
OWN = {
    "pooled_output": (filled(1, 1, 16), filled(2, 1, 16), filled(2, 1, 17)),
    "conditioning_llama3": (filled(1, 1, 3, 16), filled(2, 1, 3, 16), filled(2, 1, 4, 16)),
    "concat_latent_image": (filled(1, 1, 4, 4, 6), filled(2, 1, 4, 4, 6), filled(2, 1, 4, 4, 7)),
    "concat_mask": (filled(1, 1, 1, 4, 6), filled(2, 1, 1, 4, 6), filled(2, 1, 1, 5, 6)),
    "reference_latents": (
        [filled(1, 1, 4, 4, 6), filled(3, 1, 4, 8, 8)],
        [filled(2, 1, 4, 4, 6), filled(4, 1, 4, 8, 8)],
        [filled(2, 1, 4, 4, 6)],
    ),
    "vace_frames": ([filled(1, 1, 32, 1, 4, 6)], [filled(2, 1, 32, 1, 4, 6)], [filled(2, 1, 32, 1, 4, 7)]),
    "vace_mask": ([filled(1, 1, 64, 1, 4, 6)], [filled(2, 1, 64, 1, 4, 6)], [filled(2, 1, 64, 1, 5, 6)]),
}


def test_every_key_that_is_read_item_by_item_is_tried_here() -> None:
    assert set(OWN) == {key for key, facts in KEYS.items() if facts.items is Items.OWN}


@pytest.mark.parametrize("key", OWN)
def test_what_is_read_item_by_item_lies_side_by_side(key: str) -> None:
    first, second, of_another_form = OWN[key]
    assert what_differs(one(0, **{key: first}), one(1, **{key: second})) is None
    assert what_differs(one(0, **{key: first}), one(1, **{key: of_another_form})) == key
    ((tokens, options),) = stacked([one(0, **{key: first}), one(1, **{key: second})], CELLS)
    assert tokens.shape == (2, 77, 8) and tokens[0].unique().item() == 0 and tokens[1].unique().item() == 1
    made = options[key] if isinstance(first, list) else [options[key]]
    given = (first, second) if isinstance(first, list) else ([first], [second])
    for batch, a, b in zip(made, *given, strict=True):
        assert torch.equal(batch, torch.cat([a, b]))


def test_what_all_share_goes_once() -> None:
    pooled = filled(1, 1, 16)
    conditioning = [[TOKENS, {"pooled_output": pooled}]]
    ((tokens, options),) = stacked([conditioning, conditioning, conditioning], CELLS)
    assert tokens.shape == TOKENS.shape and options["pooled_output"].shape == (1, 16)


def test_of_several_items_a_crop_takes_the_first() -> None:
    ((tokens, _),) = stacked([one(0), [[torch.stack([filled(7, 77, 8), filled(8, 77, 8)]), {}]]], CELLS)
    assert tokens[:, 0, 0].tolist() == [0, 7]


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("area", ("percentage", 1.0, 0.5, 0.0, 0.0), ("percentage", 1.0, 0.6, 0.0, 0.0)),
        ("strength", 1.0, 0.5),
        ("guidance", 3.5, 3.0),
        ("attention_mask", filled(1, 1, 77), filled(0, 1, 77)),
        ("another_packs_key", object(), object()),
        ("list", [1, 2], (1, 2)),
        ("list", [1, 2], [1, 3]),
        ("list", [1, 2], [1]),
    ],
)
def test_all_else_must_be_the_same(key: str, first: Any, second: Any) -> None:
    assert what_differs(one(0, **{key: first}), one(1, **{key: second})) == key
    assert what_differs(one(0, **{key: first}), one(1, **{key: first})) is None


@pytest.mark.parametrize("value", [3.5, "a", None, True, [1, (2.0, "b")], ("percentage", 1.0), filled(1, 2)])
def test_equal_values_are_the_same(value: Any) -> None:
    copied = value.clone() if isinstance(value, torch.Tensor) else eval(repr(value))
    assert what_differs(one(0, guidance=value), one(1, guidance=copied)) is None


def test_masks_may_differ_in_size_and_are_brought_to_the_latents() -> None:
    first, second = one(0, mask=filled(1, 1, 32, 48), strength=1.0), one(1, mask=filled(0, 1, 40, 40), strength=1.0)
    assert what_differs(first, second) is None
    ((_, options),) = stacked([first, second], CELLS)
    assert torch.equal(options["mask"], torch.cat([filled(1, 1, 4, 6), filled(0, 1, 4, 6)]))


def test_masks_that_set_an_area_must_be_the_same() -> None:
    first, second = (one(0, mask=filled(value, 1, 8, 8), set_area_to_bounds=True) for value in (1, 0))
    assert what_differs(first, second) == "mask"
    ((_, options),) = stacked([first, first], CELLS)
    assert options["mask"].shape == (1, 8, 8)
    assert items_of("mask", {"set_area_to_bounds": True}) is Items.SAME
    assert items_of("mask", {"set_area_to_bounds": False}) is items_of("mask", {}) is Items.SCALED


def test_keys_lengths_and_numbers_must_be_the_same() -> None:
    assert what_differs(one(0, guidance=1.0), one(0, strength=1.0)) == "guidance, strength"
    assert what_differs(one(0), [*one(0), *one(0)]) == "how many prompts there are"
    assert what_differs(one(0), [[torch.zeros(1, 154, 8), {}]]) == "the prompts' lengths"


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [("placeholder", "placeholder", None), ("placeholder", "other", "the negative's kind")],
)
def test_placeholders(first: Any, second: Any, wanted: str | None) -> None:
    assert what_differs(first, second) == wanted
    assert what_differs(first, one(0)) == what_differs(one(0), first) == "the negative's kind"
    assert stacked([first, first], CELLS) == first


def test_one_crop_keeps_what_it_has() -> None:
    conditioning = one(0)
    assert stacked([conditioning], CELLS) is conditioning


def test_a_key_without_a_value_stays_without() -> None:
    ((_, options),) = stacked([one(0, pooled_output=None), one(1, pooled_output=None)], CELLS)
    assert options == {"pooled_output": None}
