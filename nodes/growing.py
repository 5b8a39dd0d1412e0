"""Inputs NAME1, NAME2, ... and outputs without end, of which a node declares the first; the browser adds the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

from .schema import ANY, Input

MOST_DIGITS = 6


class Growing(dict[str, Input]):
    """Optional inputs, to which ComfyUI may add others of these names with a number: they are as the last declared.

    So it knows of each that it is lazy. The browser is told of the declared ones alone.
    """

    def __init__(self, declared: Mapping[str, Input], *names: str) -> None:
        super().__init__(declared)
        self._numbered = re.compile(f"(?:{'|'.join(names)})[0-9]{{1,{MOST_DIGITS}}}")

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and self._numbered.fullmatch(name) is not None)

    def __missing__(self, name: str) -> Input:
        if name not in self:
            raise KeyError(name)
        return self[next(reversed(self))]


class AnyNumber(tuple[str, ...]):
    """Kinds of outputs of which there may be links to more than are declared."""

    def __getitem__(self, place: SupportsIndex | slice) -> Any:  # as tuple's, two overloads
        if isinstance(place, slice):
            return super().__getitem__(place)
        return ANY if int(place) >= len(self) else super().__getitem__(place)


def in_order(values: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Of the inputs with one of these names and a number those that have a value, by number: 2 comes before 10."""
    numbered = {name: number for name in values if (number := number_of(name, names)) is not None}
    return {name: values[name] for name in sorted(numbered, key=numbered.__getitem__) if values[name] is not None}


def number_of(name: str, names: Sequence[str]) -> int | None:
    """The number at the end of an input's name; None where it is another's."""
    plain = name.rstrip("0123456789")
    return int(name[len(plain) :]) if plain in names and name != plain else None
