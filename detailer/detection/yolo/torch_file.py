"""Files of ``torch.save``, read as data: a tree of plain values, and the tensors in it that are asked for.

Zip files, as torch has written them since 1.6, and the plain files before. Tensors are rebuilt here from what the file
says of them, each held against the bytes that are there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import torch

from .archive import Archive, ArchiveError
from .inert import MOST_BYTES, Call, Machine, PickleError, Reference
from .names import STORAGES, Name

MOST_DIMENSIONS = 8
MOST_TIMES = 2  # bytes of all tensors over bytes of the file; parameters that are shared are there once

Read = TypeVar("Read")

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_MAGIC = 0x1950A86A20F9469CFC6C  # of the plain files
_LITTLE = b"little"


class TorchFileError(ValueError):
    """What is wrong with a file; continues "the file ..."."""


@dataclass(frozen=True)
class Stored:
    """Numbers that lie somewhere in the file.

    Attributes:
        key: by which the file knows them.
        count: how many.
    """

    key: str
    dtype: torch.dtype
    count: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class View:
    """A tensor as the file describes it; it lies within what is stored, and has no more values than that."""

    stored: Stored
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the tensor."""
        return math.prod(self.shape) * self.stored.dtype.itemsize


@dataclass(frozen=True)
class TorchFile:
    """What a file holds.

    Attributes:
        root: dictionaries, lists, tuples, texts, numbers, ``inert.Made`` and ``View``.
    """

    root: object
    _read: Callable[[Stored], bytes]
    _size: int

    def tensors(self, views: Mapping[str, View]) -> dict[str, torch.Tensor]:
        """Tensors of their own memory, on the CPU.

        Raises:
            TorchFileError: for more bytes than the file can hold, and where the file's bytes aren't there.
        """
        if sum(view.size for view in views.values()) > MOST_TIMES * self._size:
            raise TorchFileError("describes tensors that are larger than the file")
        by_storage: dict[Stored, list[tuple[str, View]]] = {}
        for name, view in views.items():
            by_storage.setdefault(view.stored, []).append((name, view))
        made: dict[str, torch.Tensor] = {}
        for stored, shown in by_storage.items():
            values = _values(_told(lambda stored=stored: self._read(stored)), stored)
            for name, view in shown:
                own = values.as_strided(view.shape, view.stride, view.offset)
                made[name] = own if len(shown) == 1 and own.is_contiguous() else own.contiguous().clone()
        return {name: made[name] for name in views}


@contextmanager
def opened(path: Path) -> Iterator[TorchFile]:
    """A file of ``torch.save``.

    Raises:
        TorchFileError: for what is none, for a damaged one, and for one that would run code: it names what.
        OSError: where it can't be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(4)
        if beginning == _ZIP:
            yield _told(lambda: _from_zip(file, size))
        elif beginning[:1] == _PICKLE:
            yield _told(lambda: _from_plain(file, size))
        else:
            raise TorchFileError("is no file of torch.save")


def _told(read: Callable[[], Read]) -> Read:
    """What ``read`` gives, its own errors as this module's."""
    try:
        return read()
    except (PickleError, ArchiveError) as error:
        raise TorchFileError(str(error)) from error


def _from_zip(file: BinaryIO, size: int) -> TorchFile:
    archive = Archive(file, size)
    descriptions = [name for name in archive.members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(descriptions) != 1:
        raise TorchFileError("is a zip file, but none of torch.save")
    folder = descriptions[0].removesuffix("/data.pkl")
    if f"{folder}/constants.pkl" in archive.members:
        raise TorchFileError("is a TorchScript program, which would have to be run")
    order = f"{folder}/byteorder"
    if order in archive.members and archive.read(order, 16).strip() != _LITTLE:
        raise TorchFileError("has its numbers in another order of bytes (big endian)")

    def stored(key: Stored) -> bytes:
        return archive.read(f"{folder}/data/{key.key}", key.size)

    description = archive.read(descriptions[0], MOST_BYTES)
    return TorchFile(Machine(description, _made_of).run(), stored, size)


def _from_plain(file: BinaryIO, size: int) -> TorchFile:
    """Five pickles one after another, magic number, version, system, description and keys, then what is stored."""
    file.seek(0)
    area = file.read(min(size, MOST_BYTES))
    place = 0
    seen: dict[str, Stored] = {}

    def made_of(call: Call) -> object:
        made = _made_of(call)
        if isinstance(made, View):
            seen[made.stored.key] = made.stored
        return made

    parts: list[object] = []
    for _ in range(5):
        machine = Machine(area[place:], made_of)
        parts.append(machine.run())
        place += machine.position
        if parts[0] != _MAGIC:
            raise TorchFileError("is no file of torch.save")
    keys = parts[4]
    if not isinstance(keys, list):
        raise TorchFileError("is damaged: it does not say where its tensors are")
    places: dict[str, int] = {}
    for key in keys:
        stored = seen.get(key) if isinstance(key, str) else None
        if stored is None:
            raise TorchFileError("is damaged: it does not say what it has stored")
        places[stored.key] = place + 8
        place += 8 + stored.size
        if place > size:
            raise TorchFileError("is cut short")

    def read(stored: Stored) -> bytes:
        if stored.key not in places:
            raise TorchFileError("is damaged: a tensor of it is missing")
        file.seek(places[stored.key] - 8)
        (count,) = struct.unpack("<q", file.read(8))
        if count != stored.count:
            raise TorchFileError("is damaged: a tensor of it has another size than it says")
        return file.read(stored.size)

    return TorchFile(parts[3], read, size)


def _values(found: bytes, stored: Stored) -> torch.Tensor:
    if len(found) != stored.size:
        raise TorchFileError("is damaged: a tensor of it has another size than it says")
    if not found:
        return torch.zeros(0, dtype=stored.dtype)
    if stored.dtype is torch.bool:  # other bytes than 0 and 1 are no booleans
        return torch.frombuffer(bytearray(found), dtype=torch.uint8) != 0
    return torch.frombuffer(bytearray(found), dtype=stored.dtype)


# --- calls that stand for data ------------------------------------------------------------------------------------


def _made_of(call: Call) -> object:
    """What a call in ``names.PLAIN_CALLS`` stands for."""
    name, args = call.name.name, call.args
    if call.name.module == "collections":
        return {}
    if name == "Size":
        return _whole_numbers(args[0])
    if name.startswith("_rebuild_parameter"):
        return args[0]
    return _view(*args[:4])


def _view(reference: object, offset: object, shape: object, stride: object) -> View:
    stored = _stored(reference)
    sizes, steps = _whole_numbers(shape), _whole_numbers(stride)
    (start,) = _whole_numbers((offset,))
    if len(sizes) != len(steps) or len(sizes) > MOST_DIMENSIONS:
        raise PickleError("describes a tensor that can't be")
    count = math.prod(sizes)
    last = start + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    if count > stored.count or start > stored.count or (count and last >= stored.count):
        raise PickleError("describes a tensor that is larger than what is stored of it")
    return View(stored, start, sizes, steps)


def _stored(reference: object) -> Stored:
    parts = list(reference.parts) if isinstance(reference, Reference) else list[object]()
    if len(parts) not in (5, 6) or parts[0] != "storage" or (len(parts) == 6 and parts[5] is not None):
        raise PickleError("has a tensor that is not stored in it as torch does")
    kind, key = parts[1], parts[2]
    if not isinstance(kind, Name) or kind.module != "torch" or kind.name not in STORAGES or not isinstance(key, str):
        raise PickleError("has a tensor of a kind that detectors don't have")
    (count,) = _whole_numbers((parts[4],))
    return Stored(key, cast(torch.dtype, getattr(torch, STORAGES[kind.name])), count)


def _whole_numbers(values: object) -> tuple[int, ...]:
    """A tuple or list of whole numbers from 0 to 2^48.

    Raises:
        PickleError: for anything else.
    """
    if not isinstance(values, tuple | list) or not all(type(value) is int and 0 <= value < 2**48 for value in values):
        raise PickleError("describes a tensor that can't be")
    return tuple(values)
