"""Digests of values: the same for what does the same, another for what doesn't, none for what can't be seen into."""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import random
import re
import threading
import uuid
import weakref
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.detailer.host import looking
from mask_detailer.detailer.host.identities import Contents, Identities
from mask_detailer.detailer.host.looking import Look, UnseenError

STEPS = [1, 2, 3]  # what functions of this module use
Pair = namedtuple("Pair", "a b")


def digest(value: object) -> bytes:
    return Look(Contents()).of(value)


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: float
    y: object = None


class Slotted:
    __slots__ = ("__hidden", "own")

    def __init__(self, own: object, hidden: object = None) -> None:
        self.own, self.__hidden = own, hidden


class Called:
    count = 0

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, value: float) -> float:
        return value * self.factor

    def method(self) -> float:
        return self.factor


def scaled(factor: float) -> Callable[[float], float]:
    return lambda value: value * factor


def shifted(factor: float) -> Callable[[float], float]:
    return lambda value: value + factor


def with_default(factor: float) -> Callable[..., float]:
    def function(value: float, by: float = factor, *, also: float = 2 * factor) -> float:
        return value * by * also

    return function


def uses_module() -> int:
    return len(STEPS)


def uses_another() -> int:
    return uses_module()


def kind_of(base: type) -> type:
    class Made(base):  # type: ignore[misc, valid-type]
        pass

    return Made


def holding_itself(last: object) -> list[object]:
    made: list[object] = [1]
    made += [made, last]
    return made


def small(bias: float = 0.0) -> torch.nn.Module:
    made = torch.nn.Linear(3, 3)
    torch.nn.init.constant_(made.weight, 1.0)
    torch.nn.init.constant_(made.bias, bias)
    return made


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# what is made anew each time must look the same; the two of a line must not
APART: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "numbers": (lambda: 1, lambda: 2),
    "kinds of numbers": (lambda: 1, lambda: 1.0),
    "truth and one": (lambda: True, lambda: 1),
    "signs of zero": (lambda: 0.0, lambda: -0.0),
    "text and bytes": (lambda: "a", lambda: b"a"),
    "where texts end": (lambda: ["ab", "c"], lambda: ["a", "bc"]),
    "nesting": (lambda: [[1], 2], lambda: [1, [2]]),
    "lists and tuples": (lambda: [1], lambda: (1,)),
    "order": (lambda: [1, 2], lambda: [2, 1]),
    "keys": (lambda: {"a": 1}, lambda: {"b": 1}),
    "values": (lambda: {"a": 1}, lambda: {"a": 2}),
    "order of keys": (lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1}),
    "kinds of mappings": (lambda: {"a": 1}, lambda: OrderedDict(a=1)),
    "sets": (lambda: {"a", "b"}, lambda: {"a", "c"}),
    "named tuples": (lambda: Pair(1, 2), lambda: (1, 2)),
    "enums": (lambda: Colour.RED, lambda: Colour.BLUE),
    "attributes": (lambda: Point(1, 2), lambda: Point(1, 3)),
    "deep in it": (lambda: Point(1, {"a": [Point(2)]}), lambda: Point(1, {"a": [Point(3)]})),
    "slots": (lambda: Slotted(1), lambda: Slotted(2)),
    "private slots": (lambda: Slotted(1, 2), lambda: Slotted(1, 3)),
    "classes": (lambda: Called, lambda: Point),
    "bases of a class": (lambda: kind_of(int), lambda: kind_of(float)),
    "what holds itself": (lambda: holding_itself(1), lambda: holding_itself(2)),
    "namespaces": (lambda: SimpleNamespace(a=1), lambda: SimpleNamespace(a=2)),
    "paths": (lambda: Path("a"), lambda: Path("b")),
    "patterns": (lambda: re.compile("a" * 300), lambda: re.compile("a" * 301)),
    "flags of a pattern": (lambda: re.compile("a"), lambda: re.compile("a", re.I)),
    "arrays": (lambda: np.arange(4), lambda: np.arange(4) + 1),
    "kinds of arrays": (lambda: np.zeros(4, np.float32), lambda: np.zeros(4, np.int32)),
    "shapes of arrays": (lambda: np.zeros((2, 2)), lambda: np.zeros(4)),
    "arrays of objects": (lambda: np.array([Point(1)], object), lambda: np.array([Point(2)], object)),
    "NumPy's numbers": (lambda: np.float32(1), lambda: np.float64(1)),
    "tensors": (lambda: torch.arange(9.0), lambda: torch.arange(9.0) + 1e-6),
    "a single value": (lambda: torch.zeros(999), lambda: torch.zeros(999).index_fill(0, torch.tensor(500), 1e-30)),
    "shapes": (lambda: torch.zeros(2, 3), lambda: torch.zeros(3, 2)),
    "types": (lambda: torch.zeros(2), lambda: torch.zeros(2, dtype=torch.int32)),
    "halves": (lambda: torch.ones(3, dtype=torch.bfloat16), lambda: torch.zeros(3, dtype=torch.bfloat16)),
    "empty ones": (lambda: torch.zeros(0, 3), lambda: torch.zeros(3, 0)),
    "views": (lambda: torch.arange(9.0)[::2], lambda: torch.arange(9.0)[1::2]),
    "torch's words": (lambda: torch.float16, lambda: torch.float32),
    "closures": (lambda: scaled(2.0), lambda: scaled(3.0)),
    "code": (lambda: scaled(2.0), lambda: shifted(2.0)),
    "defaults": (lambda: with_default(2.0), lambda: with_default(3.0)),
    "methods' objects": (lambda: Called(2.0).method, lambda: Called(3.0).method),
    "methods": (lambda: Called(2.0).method, lambda: Called(2.0).__call__),
    "partials": (lambda: functools.partial(scaled, 2.0), lambda: functools.partial(scaled, factor=2.0)),
    "functions of C": (lambda: [].append, lambda: [1].append),
    "torch's functions": (lambda: torch.nn.functional.gelu, lambda: torch.nn.functional.silu),
    "cached functions": (lambda: functools.lru_cache(scaled(2.0)), lambda: functools.lru_cache(scaled(3.0))),
    "small modules": (small, lambda: small(1.0)),
    "seeded generators": (lambda: seeded(1), lambda: seeded(2)),
    "Python's generators": (lambda: random.Random(1), lambda: random.Random(2)),
    "NumPy's generators": (lambda: np.random.default_rng(1), lambda: np.random.default_rng(2)),
    "NumPy's older generators": (lambda: np.random.RandomState(1), lambda: np.random.RandomState(2)),
    "weak references": (lambda: weakref.ref(Colour), lambda: weakref.ref(Point)),
    "numbers of ComfyUI's": (lambda: uuid.UUID(int=1), lambda: uuid.UUID(int=2)),
}


@pytest.mark.parametrize(("one", "other"), APART.values(), ids=APART.keys())
def test_what_differs_looks_different_and_what_is_made_anew_the_same(
    one: Callable[[], Any], other: Callable[[], Any]
) -> None:
    assert digest(one()) == digest(one())
    assert digest(other()) == digest(other())
    assert digest(one()) != digest(other())


def test_locks_and_loggers_hold_nothing_that_matters() -> None:
    assert digest(Point(1, threading.Lock())) == digest(Point(1, threading.Lock()))


def changed_in_place() -> list[tuple[str, object, Callable[[], object]]]:
    listed, mapped, point, called = [1], {"a": 1}, Point(1, [2]), Called(2.0)
    tensor, array, module = torch.zeros(4), np.zeros(4), small()
    enclosed = scaled(2.0)
    holder = [0]

    def counts() -> list[int]:
        return holder

    return [
        ("a list", listed, lambda: listed.append(2)),
        ("a dictionary", mapped, lambda: mapped.update(a=2)),
        ("an attribute", point, lambda: setattr(point, "x", 2)),
        ("within an attribute", point, lambda: point.y.append(3)),  # type: ignore[attr-defined]
        ("an object's method's factor", called.method, lambda: setattr(called, "factor", 3.0)),
        ("a class", called, lambda: setattr(Called, "count", Called.count + 1)),
        ("a tensor", tensor, lambda: tensor[2:].fill_(1.0)),
        ("an array", array, lambda: array.fill(1.0)),
        ("a small module's weights", module, lambda: module.bias.data.fill_(5.0)),
        ("a small module's attribute", module, lambda: setattr(module, "eps", 5.0)),
        ("a function's attribute", enclosed, lambda: setattr(enclosed, "strength", 5.0)),
        ("what a function encloses", counts, lambda: holder.append(1)),
        ("what a function uses", uses_module, lambda: STEPS.append(4)),
        ("what a function that it calls uses", uses_another, lambda: STEPS.append(4)),
    ]


@pytest.mark.parametrize("index", range(len(changed_in_place())), ids=[name for name, *_ in changed_in_place()])
def test_what_is_changed_in_place_looks_different(index: int) -> None:
    _, value, change = changed_in_place()[index]
    before = digest(value)
    assert digest(value) == before
    change()
    assert digest(value) != before


def test_a_tensor_written_to_is_looked_at_again_in_the_same_run() -> None:
    contents, tensor = Contents(), torch.zeros(4)
    before = Look(contents).of(tensor)
    tensor.add_(1.0)
    assert Look(contents).of(tensor) != before
    with torch.inference_mode():  # where nothing says so, in the next run
        made = torch.zeros(4)
        before = Look(contents).of(made)
        made.add_(1.0)
        assert Look(Contents()).of(made) != before


UNSEEN: dict[str, Callable[[], Any]] = {
    "a file": lambda: io.BytesIO(b"x"),
    "a generator": lambda: (x for x in [1]),
    "a counter": lambda: itertools.count(),
    "C's without a name": lambda: hashlib.sha256(b"x"),
}


@pytest.mark.parametrize("made", UNSEEN.values(), ids=UNSEEN.keys())
def test_what_cannot_be_seen_into(made: Callable[[], Any]) -> None:
    with pytest.raises(UnseenError):
        digest({"a": [Point(1, made())]})


def test_too_much_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_VALUES", 100)
    digest([[i] for i in range(90)])
    with pytest.raises(UnseenError, match="more than"):
        digest([[i] for i in range(110)])
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    monkeypatch.setattr(looking, "MOST_VALUES", 10**6)
    with pytest.raises(UnseenError, match="more than"):
        digest(deep)


class Large(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(512, 512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_large_modules_are_known_by_which_they_are() -> None:
    one, other = Large(), Large()
    other.load_state_dict(one.state_dict())
    assert digest(one) == digest(one) != digest(other)


@pytest.mark.parametrize("path", ["", "inner"])
def test_what_takes_the_place_of_a_large_modules_methods_is_seen(path: str) -> None:
    module = Large()
    part = module.get_submodule(path)
    before = digest(module)
    part.forward = scaled(2.0)
    replaced = digest(module)
    part.forward = scaled(3.0)
    assert len({before, replaced, digest(module)}) == 3
    part.forward = type(part).forward.__get__(part)  # as ComfyUI puts it back
    assert digest(module) == before
    part.register_forward_hook(lambda *given: None)
    assert digest(module) != before


def test_identities_are_never_given_twice() -> None:
    known = Identities()
    seen = {known.of(Point(i)) for i in range(1000)}  # each goes before the next comes, most to the same place
    assert len(seen) == 1000
    kept = Point(1)
    assert known.of(kept) == known.of(kept)


class Promising:
    """Of a pack that says what it is, whatever else it holds."""

    def __init__(self, strength: float) -> None:
        self.strength, self.file = strength, io.BytesIO(b"x")

    def fingerprint(self) -> object:
        return self.strength


class PromisingNothing(Promising):
    def fingerprint(self) -> object:
        return None


def test_a_promise_is_taken_for_what_it_is() -> None:
    assert digest(Promising(1.0)) == digest(Promising(1.0)) != digest(Promising(2.0))
    with pytest.raises(UnseenError):
        digest(PromisingNothing(1.0))
