"""What a value is, as a digest: plain data and tensors by content, functions by their code and what they hold, objects
by their attributes, large modules by which they are. Equal digests mean that two values do the same.
"""

from __future__ import annotations

import datetime
import functools
import io
import itertools
import logging
import pathlib
import random
import re
import threading
import types
import weakref
from collections import deque, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import cast

import numpy as np
import torch

from .code import attributes_of, content_of_cell, is_library, is_opaque, is_own_method, name_of, used_by
from .identities import Contents, content_of, identities, joined

MOST_VALUES = 50_000  # looked at in one look; about 0.2 s
MOST_DEEP = 120
LARGEST_MODULE = 2**18  # bytes of weights; a larger one is known by which it is

_NOT_DATA = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl", "hidden"}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


class UnseenError(Exception):
    """There is something that can't be looked into.

    Attributes:
        what: its kind.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Look:
    """One look at values at one moment. What is met again is not looked at again.

    Args:
        contents: of the run that the look is a part of.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.left_behind: frozenset[str] = frozenset()  # attributes of modules that say nothing of what they do
        self._known: dict[int, tuple[object, bytes]] = {}  # holds the values, so that none comes in another's place
        self._open: dict[int, int] = {}
        self._seen = 0

    def of(self, value: object) -> bytes:
        """The digest of a value.

        Raises:
            UnseenError: for what can't be looked into, and for more than can be looked at.
        """
        plain = _plain(value)
        if plain is not None:
            return plain
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if id(value) in self._open:  # it holds itself
            return b"^%d" % (len(self._open) - self._open[id(value)])
        self._seen += 1
        if self._seen > MOST_VALUES or len(self._open) > MOST_DEEP:
            raise UnseenError("more than can be looked through")
        self._open[id(value)] = len(self._open)
        try:
            made = self._digest(value)
        finally:
            del self._open[id(value)]
        self._known[id(value)] = value, made
        return made

    def all(self, tag: str, values: Iterable[object]) -> bytes:
        """The digest of several values, in their order."""
        return joined(tag, map(self.of, values))

    def special(self, value: object) -> bytes | None:
        """The digest of an object of a kind that is known better; None for all else."""
        return None

    def identity(self, value: object) -> bytes:
        """Which object it is.

        Raises:
            UnseenError: where that can't be told.
        """
        try:
            return b"#%d" % identities.of(value)
        except TypeError as error:
            raise UnseenError(name_of(type(value))) from error

    def large_module(self, module: torch.nn.Module, instead: Mapping[str, object]) -> bytes:
        """Which module it is, and what of its own it calls in place of its classes' methods.

        Args:
            instead: what counts in place of an attribute that is replaced for now, by its path.
        """
        parts = [self.identity(module)]
        for path, inner in module.named_modules():
            for name, value in vars(inner).items():
                if name not in _HOOKS and (not callable(value) or isinstance(value, torch.Tensor | type)):
                    continue
                if name in self.left_behind:
                    continue
                where = f"{path}.{name}" if path else name
                own = instead.get(where, value)
                if own and not isinstance(own, torch.nn.Module) and not is_own_method(own, inner, name):
                    parts += [where.encode(), self._called(own)]
        return joined("module", parts)

    def _called(self, value: object) -> bytes:
        """A function; of another thing that can be called, what can be seen."""
        try:
            return self.of(value)
        except UnseenError:
            if isinstance(value, types.FunctionType | types.MethodType | functools.partial | Mapping):
                raise
            return name_of(type(value)).encode()

    def _digest(self, value: object) -> bytes:
        special = self.special(value)
        if special is not None:
            return special
        for kinds, look in _LOOKS:
            if isinstance(value, kinds):
                return look(self, value)
        return self._object(value)

    # --- data

    def _tensor(self, tensor: torch.Tensor) -> bytes:
        plain = type(tensor) in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)
        if not plain or tensor.device.type == "meta" or tensor.layout != torch.strided:
            return self.identity(tensor)
        return self.contents.of(tensor, lambda: content_of(tensor))

    def _array(self, array: np.ndarray) -> bytes:
        if array.dtype.hasobject:
            return self.all(f"array{array.shape}", array.ravel().tolist())
        return joined(f"array{array.dtype}{array.shape}", [np.ascontiguousarray(array).tobytes()])

    def _sequence(self, values: Iterable[object]) -> bytes:
        own = () if type(values) in (list, tuple) else (type(values), attributes_of(values))
        return self.all("sequence", (type(values).__name__, len(own), *own, *values))

    def _mapping(self, values: Mapping[object, object]) -> bytes:
        """Its order counts."""
        own = () if type(values) is dict else (type(values), attributes_of(values))
        return self.all("mapping", (len(own), *own, *itertools.chain.from_iterable(values.items())))

    def _set(self, values: Iterable[object]) -> bytes:
        return joined("set", sorted(map(self.of, values)))

    # --- code

    def _function(self, function: types.FunctionType) -> bytes:
        cells = [content_of_cell(cell) for cell in function.__closure__ or ()]
        used = {} if is_library(function.__module__) else used_by(function)
        return self.all("function", (
            function.__module__, function.__qualname__, function.__code__, function.__defaults__,
            function.__kwdefaults__, cells, vars(function), used,
        ))  # fmt: skip

    def _code(self, code: types.CodeType) -> bytes:
        return self.all("code", (code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_freevars))

    def _builtin(self, value: object) -> bytes:
        owner = getattr(value, "__self__", None)
        whose = None if isinstance(owner, types.ModuleType) else owner
        return self.all("builtin", (getattr(value, "__module__", None), getattr(value, "__qualname__", ""), whose))

    def _descriptor(self, value: object) -> bytes:
        inner = [getattr(value, name, None) for name in ("fget", "fset", "fdel", "__func__", "func", "__wrapped__")]
        return self.all("descriptor", (name_of(type(value)), *inner))

    def _class(self, kind: type) -> bytes:
        own = {} if is_library(kind.__module__) else {k: v for k, v in vars(kind).items() if k not in _NOT_DATA}
        return self.all("class", (name_of(kind), kind.__bases__, own))

    # --- objects

    def _module(self, module: torch.nn.Module) -> bytes:
        if not is_large(module):
            return self._object(module)
        return self.contents.of(module, lambda: self.large_module(module, {}))

    def _object(self, value: object) -> bytes:
        kind = type(value)
        promise = getattr(kind, "fingerprint", None)
        said = promise(value) if callable(promise) else None
        if said is not None:
            return self.all("promise", (name_of(kind), said))
        if isinstance(value, io.IOBase | Iterator | types.CoroutineType):
            raise UnseenError(name_of(kind))
        if is_opaque(kind):
            return joined("opaque", (name_of(kind).encode(), self.identity(value)))
        return self.all("object", (kind, attributes_of(value)))

    def _named(self, value: object) -> bytes:
        """What is the same wherever it is of one kind: it holds nothing that matters."""
        return self.of(name_of(type(value)))

    def _written(self, value: object) -> bytes:
        return self.all("written", (name_of(type(value)), repr(value)))


_LOOKS: list[tuple[type | tuple[type, ...], Callable[..., bytes]]] = [
    (torch.Tensor, Look._tensor),
    (np.ndarray, Look._array),
    (type, Look._class),
    (torch.nn.Module, Look._module),
    (Enum, lambda look, value: look.all("enum", (type(value), value.name))),
    ((list, tuple, deque), Look._sequence),
    ((dict, types.MappingProxyType), Look._mapping),
    ((set, frozenset), Look._set),
    (types.FunctionType, Look._function),
    (types.MethodType, lambda look, value: look.all("method", (value.__func__, value.__self__))),
    (types.CodeType, Look._code),
    (functools.partial, lambda look, value: look.all("partial", (value.func, value.args, value.keywords))),
    ((types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType), Look._builtin),
    ((types.MethodDescriptorType, types.MemberDescriptorType, types.GetSetDescriptorType), Look._builtin),
    (type(vars(namedtuple("_", "field"))["field"]), Look._named),  # a named tuple's fields
    ((property, staticmethod, classmethod, functools.cached_property), Look._descriptor),
    (type(functools.lru_cache(lambda: None)), Look._descriptor),
    (types.ModuleType, lambda look, value: look.of(value.__name__)),
    ((type(threading.Lock()), type(threading.RLock()), threading.local, logging.Logger), Look._named),
    ((torch.device, torch.dtype, torch.layout, torch.memory_format, range, slice), Look._written),
    ((pathlib.PurePath, datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo), Look._written),
    ((types.GenericAlias, types.UnionType, type(Ellipsis), type(NotImplemented)), Look._written),
    (re.Pattern, lambda look, value: look.all("pattern", (value.pattern, value.flags))),
    (torch.Generator, lambda look, value: look.of(value.get_state())),
    (random.Random, lambda look, value: look.of(value.getstate())),
    (np.random.RandomState, lambda look, value: look.of(value.get_state())),
    (np.random.Generator, lambda look, value: look.of(value.bit_generator.state)),
    (weakref.ref, lambda look, value: look.all("weak", (value(),))),
]


def is_large(module: torch.nn.Module) -> bool:
    """Whether its weights are more than are looked at."""
    weights = 0
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        weights += tensor.nbytes
        if weights > LARGEST_MODULE:
            return True
    return False


def _plain(value: object) -> bytes | None:
    """A plain value itself; None of all else."""
    kind = type(value)
    if value is None or kind in (bool, int, float, complex):
        return f"{kind.__name__}:{value!r}".encode()
    if kind is str:
        return b"str:" + cast(str, value).encode("utf-8", "surrogatepass")
    if kind in (bytes, bytearray):
        return b"bytes:" + cast(bytes, value)
    if isinstance(value, np.generic) and not value.dtype.hasobject:
        return f"{value.dtype}:".encode() + value.tobytes()
    return None
