"""Values that take long to make and are wanted again, within a bound of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by what they were made from; those not asked for longest go first. Any thread may ask.

    Args:
        make: gives the value of some arguments.
        size: bytes that a value takes.
        most: bytes that all of them may take together.
    """

    def __init__(self, make: Callable[..., Value], size: Callable[[Value], int], most: int) -> None:
        self._make = make
        self._size = size
        self._most = most
        self._values: OrderedDict[tuple[Hashable, ...], Value] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that the values take now."""
        return self._held

    def __call__(self, *key: Hashable) -> Value:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = self._make(*key)
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._held += self._size(value)
            while self._held > self._most:
                self._held -= self._size(self._values.popitem(last=False)[1])
        return value

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._held = 0
