"""Which object one is, and what a tensor holds, as digests."""

from __future__ import annotations

import functools
import hashlib
import itertools
import weakref
from collections.abc import Callable, Iterable

import torch


class Identities:
    """A number for each object, never the same for two, also where one goes and another comes in its place."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[object], int]] = {}
        self._numbers = itertools.count(1)

    def of(self, thing: object) -> int:
        """
        Raises:
            TypeError: for what can't be referred to weakly.
        """
        place = id(thing)
        known = self._known.get(place)
        if known is not None and known[0]() is thing:
            return known[1]
        number = next(self._numbers)
        self._known[place] = weakref.ref(thing, functools.partial(self._forget, place)), number
        return number

    def _forget(self, place: int, gone: weakref.ref[object]) -> None:
        known = self._known.get(place)
        if known is not None and known[0] is gone:
            del self._known[place]


identities = Identities()


class Contents:
    """Digests that hold for a run: of tensors as long as nobody writes into them, and of large modules.

    It holds what they are of, so that nothing comes in its place.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, int | None, bytes]] = {}

    def of(self, thing: object, made: Callable[[], bytes]) -> bytes:
        """The digest that was made of a thing, or one that is made now."""
        version = thing._version if isinstance(thing, torch.Tensor) and not thing.is_inference() else None
        known = self._known.get(id(thing))
        if known is None or known[1] != version:
            known = self._known[id(thing)] = thing, version, made()
        return known[2]


def joined(tag: str, parts: Iterable[bytes]) -> bytes:
    """A digest of parts, in their order."""
    made = hashlib.sha256(tag.encode() + b"\0")
    for part in parts:
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.digest()


def content_of(tensor: torch.Tensor) -> bytes:
    """A digest of all values of a tensor, its type and shape, wherever it lies."""
    made = hashlib.sha256(f"{tensor.dtype}{list(tensor.shape)}".encode())
    if tensor.numel():
        plain = tensor.detach().to("cpu").contiguous().reshape(-1)
        made.update(plain.view(torch.uint8).numpy().data)
    return made.digest()
