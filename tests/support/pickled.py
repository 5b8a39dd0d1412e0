"""Files of ``torch.save`` made by hand, honest and hostile, for tests of what reads them."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

CLASSES = {
    "DetectionModel": "ultralytics.nn.tasks",
    "Conv": "ultralytics.nn.modules.conv",
    "Namespace": "ultralytics.utils",
}


class DetectionModel(nn.Module):
    """Named as the library's: see ``named_as_the_library``."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(Conv(3, 4), Conv(4, 2))
        self.yaml = {"nc": 2, "backbone": [[-1, 1, "Conv", [4, 3]]], "head": [[[0], 1, "Detect", ["nc"]]], "scale": "n"}
        self.names = {0: "face", 1: "hand"}
        self.stride = torch.tensor([8.0, 16.0, 32.0])
        self.register_buffer("cells", torch.zeros(2), persistent=False)


class Conv(nn.Module):
    def __init__(self, channels: int, into: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, into, 3, bias=False)
        self.bn = nn.BatchNorm2d(into)


class Namespace(types.SimpleNamespace):
    pass


@contextmanager
def named_as_the_library() -> Iterator[None]:
    """The classes above go by the names that the library's have."""
    ours = {name: globals()[name] for name in CLASSES}
    added = {}
    for name, module in CLASSES.items():
        ours[name].__module__ = module
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            path = ".".join(parts[:count])
            if path not in sys.modules:
                sys.modules[path] = added[path] = types.ModuleType(path)
        setattr(sys.modules[module], name, ours[name])
    try:
        yield
    finally:
        for path in added:
            del sys.modules[path]
        for kind in ours.values():
            kind.__module__ = __name__


def honest(**more: object) -> dict[str, object]:
    """What a checkpoint of the library holds."""
    torch.manual_seed(0)
    settings = {"imgsz": 320, "task": "detect"}
    return {"epoch": -1, "ema": None, "model": DetectionModel().half(), "train_args": settings, "date": "now", **more}


def save_honest(path: Path, *, plain: bool = False, held: object = None) -> Path:
    with named_as_the_library(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Couldn't retrieve source")
        torch.save(honest() if held is None else held, path, _use_new_zipfile_serialization=not plain)
    return path


def archived(description: bytes, stored: Mapping[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file as torch writes it, with any pickle in it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.writestr("net/data.pkl", description)
        file.writestr("net/byteorder", b"little")
        for key, numbers in (stored or {}).items():
            file.writestr(f"net/data/{key}", numbers)
        file.writestr("net/version", b"3\n")
    return made.getvalue()


def calling(function: str, *args: object) -> bytes:
    """A pickle that calls a function, such as ``os.system``, in place of a model."""
    module, name = function.rsplit(".", 1)
    return b"\x80\x02}X\x05\x00\x00\x00modelc" + f"{module}\n{name}\n".encode() + _bare(args) + b"Rs."


def building(kind: str, state: object) -> bytes:
    """A pickle that makes an object of a class and hands it a state."""
    module, name = kind.rsplit(".", 1)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b")\x81" + _bare(state) + b"b."


def _bare(value: object) -> bytes:
    """The instructions that make a value."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(shape: tuple[int, ...], stride: tuple[int, ...], **told: object) -> bytes:
    """A file with one tensor ``w`` of four stored floats, described as told.

    Args:
        told: ``offset``, ``count``, ``kind``, ``key``, ``location``, ``word``.
    """
    kind = str(told.get("kind", "torch FloatStorage")).replace(" ", "\n")
    usual = {"word": "storage", "key": "0", "location": "cpu"}
    word, key, place = (_bare(told.get(name, value)) for name, value in usual.items())
    reference = b"(" + word + b"c" + kind.encode() + b"\n" + key + place + _bare(told.get("count", 4)) + b"tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + reference + _bare(told.get("offset", 0))
    call += _bare(shape) + _bare(stride) + b"\x89ccollections\nOrderedDict\n)RtR"
    return archived(b"\x80\x02}" + _bare("w") + call + b"s.", {"0": struct.pack("<4f", 1, 2, 3, 4)})


def deflated_zeros(size: int) -> bytes:
    """A zip file whose pickle is said to be, and unpacks to, so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    part = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = part * (size >> 24) + packer.flush()
    name = b"net/data.pkl"
    sizes = struct.pack("<HHQQ", 1, 16, size, len(packed))
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 0, 8, 0, 0, 0, 2**32 - 1, 2**32 - 1, len(name), len(sizes))
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 45, 45, 0, 8, 0, 0, 0, 2**32 - 1, 2**32 - 1, len(name), len(sizes), 0, 0, 0, 0, 0
    )
    before = local + name + sizes + packed
    listed = entry + name + sizes
    return before + listed + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(listed), len(before), 0)
