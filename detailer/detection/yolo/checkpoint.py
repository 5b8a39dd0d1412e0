"""YOLO files as data: ``.pt`` as people have them, and ``.safetensors`` with what it needs to be known beside it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from ....core.kept import Kept
from ....core.new_file import NewFile
from . import torch_file
from .inert import Made
from .torch_file import TorchFileError, View
from .values import Checkpoint, YoloError

ENDINGS = (".pt", ".pth", ".safetensors")
CONVERTED = ".safetensors"
MOST_FILE = 2**32  # bytes
MOST_KEPT = 2**28  # bytes of all that was read and may be wanted again
MOST_PARTS, MOST_DEPTH = 20_000, 64  # of a net's modules within modules
MOST_NAMES = 100_000
MOST_PLAIN = 10_000  # lists and dictionaries of a net's description
MOST_TEXT = 2**24  # characters of what a converted file says of its net
LARGEST_PICTURE = 2**14  # pixels that a net may say it was trained with

TASKS = {
    "DetectionModel": "detect",
    "SegmentationModel": "segment",
    "PoseModel": "pose",
    "OBBModel": "obb",
    "ClassificationModel": "classify",
    "WorldModel": "world",
    "RTDETRDetectionModel": "rtdetr",
    "YOLOEModel": "yoloe",
    "YOLOESegModel": "yoloe",
}
"""What a model of each of the library's classes does."""

_MARK = "mask_detailer.yolo"  # the one entry of a converted file's metadata
_FROM_FIRST_HAND = "Get it anew from where it was first published, or use a .safetensors or .onnx file"
_ANOTHER = "Choose a YOLO detector (.pt, .safetensors or .onnx)"


def read_checkpoint(path: Path) -> Checkpoint:
    """A YOLO file. Nothing of it is run, whatever it holds, and it takes no more memory than twice its size.

    Of a ``.pt`` the averaged weights (ema) go before the others, as in the library. Its names and configuration are
    missing in a file that holds tensors alone. What was read lately is kept while the file stays the same.

    Raises:
        YoloError: for another kind of file, a damaged one, and one that would run code; for one that can't be read.
    """
    try:
        found = path.stat()
        if found.st_size > MOST_FILE:
            raise _error(path, f"has {found.st_size} bytes, more than any detector", _ANOTHER)
        return _kept(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise _error(path, f"can't be read ({error.strerror})", "Look whether it is there and may be read") from error


def convert(path: Path, into: Path) -> Path:
    """Write a YOLO file as ``.safetensors``, which no program can be led to run, and which this reads as well.

    Raises:
        YoloError: as ``read_checkpoint`` does; and where there is a file of that name already, or it can't be written.
    """
    import safetensors
    import safetensors.torch

    read = read_checkpoint(path)
    document = {
        "names": {str(number): name for number, name in read.names.items()},
        "task": read.task,
        "description": read.description,
        "strides": list(read.strides),
        "size": read.size,
    }
    try:
        with NewFile(into.parent) as new:
            safetensors.torch.save_file(dict(read.tensors), new.path, {_MARK: json.dumps(document)})
            if not new.named(into):
                raise _error(into, "is there already", "Rename or move it, or use it as it is")
    except (OSError, safetensors.SafetensorError) as error:
        fix = "Look whether the folder may be written to and the disk has room"
        raise _error(into, f"can't be written ({error})", fix) from error
    return into


def _read(path: Path, _changed: int, _size: int) -> Checkpoint:
    return _from_safetensors(path) if path.suffix.lower() == CONVERTED else _from_torch(path)


_kept = Kept(_read, lambda read: sum(tensor.nbytes for tensor in read.tensors.values()), MOST_KEPT)


def _error(path: Path, found: str, fix: str) -> YoloError:
    return YoloError(f"{path.name} {found}", fix)


# --- safetensors --------------------------------------------------------------------------------------------------


def _from_safetensors(path: Path) -> Checkpoint:
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_MARK, "{}")
            if len(text) > MOST_TEXT:
                raise ValueError
            document = json.loads(text)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise _error(path, "is damaged, or no safetensors file", _FROM_FIRST_HAND) from error
    if not isinstance(document, dict):
        raise _error(path, "is damaged: what it says of its net can't be read", _FROM_FIRST_HAND)
    description = document.get("description")
    return Checkpoint(
        tensors=tensors,
        names=_class_names(document.get("names")),
        task=task if isinstance(task := document.get("task"), str) else "",
        description=description if isinstance(description, dict) else {},
        strides=_numbers(document.get("strides")),
        source=path.name,
        size=_size_shown(document.get("size")),
    )


# --- torch --------------------------------------------------------------------------------------------------------


def _from_torch(path: Path) -> Checkpoint:
    try:
        with torch_file.opened(path) as file:
            model = _model_in(file.root)
            if isinstance(model, Made):
                return _of_module(path, file, model)
            views = _views(model)
            if not views:
                raise _error(path, "holds no detector: no model, and no tensors by name", _ANOTHER)
            return Checkpoint(file.tensors(views), {}, "", source=path.name)
    except TorchFileError as error:
        raise _error(path, f"{error}; nothing of it was run", _FROM_FIRST_HAND) from error


def _of_module(path: Path, file: torch_file.TorchFile, model: Made) -> Checkpoint:
    if model.of.module.split(".")[0] == "models":
        found = f"is of the first YOLOv5, v7 or v9 programs (its class is {model.of}), whose boxes are made another way"
        raise _error(path, found, "Use a model for the ultralytics library: YOLOv5u, v8, v9, v10, 11 or 12")
    tensors = file.tensors(dict(_state(model)))
    if not tensors:
        raise _error(path, "holds a model without tensors", _ANOTHER)
    description = _plain(model.state.get("yaml"))
    strides = model.state.get("stride")
    return Checkpoint(
        tensors=tensors,
        names=_class_names(model.state.get("names")),
        task=TASKS.get(model.of.name, model.of.name),
        description=description if isinstance(description, dict) else {},
        strides=file.tensors({"": strides})[""].flatten().tolist()[:16] if isinstance(strides, View) else (),
        source=path.name,
        size=_size_shown(_trained_with(file.root, model)),
    )


def _model_in(root: object) -> object:
    """What of a file is the net: a module, or its tensors by name."""
    if not isinstance(root, dict):
        return root
    for key in ("ema", "model", "state_dict", "model_state_dict"):
        held = root.get(key)
        if (isinstance(held, Made) and "_modules" in held.state) or (isinstance(held, dict) and _views(held)):
            return held
    return root


def _views(held: object) -> dict[str, View]:
    pairs = held.items() if isinstance(held, dict) else ()
    return {name: view for name, view in pairs if isinstance(name, str) and isinstance(view, View)}


def _state(model: Made) -> Iterator[tuple[str, View]]:
    """Parameters and buffers of a module and those within it, named as in its state dict.

    Raises:
        TorchFileError: for modules without end.
    """
    waiting: list[tuple[str, Made, int]] = [("", model, 0)]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        prefix, module, depth = waiting.pop()
        dropped = module.state.get("_non_persistent_buffers_set")
        without = set(_texts(dropped.args[0])) if isinstance(dropped, Made) and dropped.args else set[str]()
        for kind in ("_parameters", "_buffers"):
            for name, view in _views(module.state.get(kind)).items():
                if kind == "_parameters" or name not in without:
                    yield prefix + name, view
        inner = module.state.get("_modules")
        pairs = list(inner.items()) if isinstance(inner, dict) else []
        parts = [
            (f"{prefix}{name}.", part, depth + 1)
            for name, part in reversed(pairs)
            if isinstance(name, str) and isinstance(part, Made)
        ]
        if parts and depth >= MOST_DEPTH:
            break
        waiting += parts
    raise TorchFileError("holds a model of more parts than any detector has")


def _trained_with(root: object, model: Made) -> object:
    """The size of pictures in its training's settings."""
    settings = root.get("train_args") if isinstance(root, dict) else None
    for held in (settings, model.state.get("args")):
        held = held.state if isinstance(held, Made) else held
        if isinstance(held, dict) and "imgsz" in held:
            return held["imgsz"]
    return None


# --- plain values -------------------------------------------------------------------------------------------------


def _class_names(names: object) -> dict[int, str]:
    """Names by number, of a dictionary or a list."""
    pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list | tuple) else ()
    made: dict[int, str] = {}
    for number, name in list(pairs)[:MOST_NAMES]:
        digits = isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) < 7
        if (type(number) is int or digits) and isinstance(name, str | int | float):
            made[int(number)] = str(name)
    return made


def _size_shown(size: object) -> int:
    """A size of pictures, or the larger of two; 640 where there is none that could be."""
    sizes = [side for side in (size if isinstance(size, list | tuple) else [size]) if type(side) is int]
    return max(sizes) if sizes and 32 <= max(sizes) <= LARGEST_PICTURE else Checkpoint.size


def _numbers(values: object) -> list[float]:
    return [value for value in (values if isinstance(values, list) else []) if type(value) in (int, float)][:16]


def _texts(values: object) -> list[str]:
    return [value for value in (values if isinstance(values, list) else []) if isinstance(value, str)]


def _plain(value: object) -> object:
    """Texts, numbers, lists and dictionaries of them; None for all else, and for what is nested or long without end.

    A pickle can name one list many times, so what is copied is counted as it is made.
    """
    left = itertools.count(MOST_PLAIN, -1)

    def copied(value: object, depth: int) -> object:
        if isinstance(value, str | int | float) or value is None:
            return value
        if depth > 8 or next(left) < 0:
            return None
        if isinstance(value, list | tuple):
            return [copied(item, depth + 1) for item in value[:1000]]
        if isinstance(value, dict):
            return {key: copied(item, depth + 1) for key, item in list(value.items())[:1000]}
        return None

    return copied(value, 0)
