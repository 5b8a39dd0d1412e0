"""SEGS on disk: a safetensors file with float32 masks and pictures, JSON text for all else. Nothing runs on load."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core import SEG, SEGS, Region, printable
from ..core.new_file import NewFile
from .filters import confidence

logger = logging.getLogger("mask_detailer")

ENDING = ".safetensors"
FORMAT_VERSION = 1
_MARK = "mask_detailer.segs"  # the one entry of the file's metadata, and how a file of ours is known
_LENGTH_BYTES = 8  # safetensors: how long the header is, little-endian; the header, JSON; the tensors' bytes

_MOST_DIGITS = 25  # of a number; those that are taken have up to 16

_CHOOSE = "Choose a file that 'Save SEGS' wrote"
_AGAIN = "Copy the file again, or save the segments again with 'Save SEGS'"
_FEWER = "Save fewer segments in a file, or segments without pictures of their own"
_CLOSE = "Close other programs, or save fewer segments in a file"


class SegsFileError(ValueError):
    """SEGS can't be written, or a file can't be read as SEGS: what was found, and what to do."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(printable(f"{found}. {fix}"))
        self.found = found
        self.fix = fix


@dataclass(frozen=True)
class Limits:
    """What a file may hold; looked at before memory is taken.

    Attributes:
        segments: how many.
        header: bytes of everything but masks and pictures.
        side: pixels of a side of a mask, a picture or the whole picture.
        total: bytes of the file.
        free: bytes of memory that its masks and pictures may take, None: as many as the file has.
    """

    segments: int = 2**16
    header: int = 2**25
    side: int = 2**16
    total: int = 2**33
    free: int | None = None


DEFAULT_LIMITS = Limits()


def save(segs: SEGS, paths: Path | Iterable[Path], limits: Limits = DEFAULT_LIMITS) -> Path:
    """Write SEGS to the first of the paths where there is no file: it is either whole or not there, and nobody's else.

    Masks and pictures are kept as float32, in their shape and as numpy or torch; numbers as whole or not, exactly. A
    ControlNet wrapper is left out, with a line in the log.

    Args:
        paths: one, or several in one folder, of which the first that is free is taken.

    Returns:
        the path that it has.

    Raises:
        SegsFileError: for what ``load`` would refuse, and where the file can't be written.
    """
    height, width = segs[0]
    tensors: dict[str, np.ndarray] = {}
    entries = []
    left_out = 0
    for number, seg in enumerate(segs[1], start=1):
        mask, picture = _array(seg.cropped_mask), _array(seg.cropped_image)
        kept = {_name(number, "mask"): mask, _name(number, "picture"): picture}
        tensors |= {name: array for name, array in kept.items() if array is not None}
        entries.append(_entry(number, seg, mask, picture))
        left_out += getattr(seg, "control_net_wrapper", None) is not None
    document = {"format": FORMAT_VERSION, "size": [int(height), int(width)], "segments": entries}
    _check(document, limits)
    _check_finite(document, tensors.__getitem__)
    document["sha256"] = _digest(document, tensors.__getitem__)
    text = json.dumps(document)
    if len(text) > limits.header // 2:  # it grows where it is written into the header
        raise SegsFileError(f"the segments' labels and numbers take {len(text)} bytes", _FEWER)
    if sum(array.nbytes for array in tensors.values()) + limits.header > limits.total:
        raise SegsFileError(f"masks and pictures take more than {limits.total - limits.header} bytes", _FEWER)
    path = _written(tensors, text, [paths] if isinstance(paths, Path) else paths)
    if left_out:
        logger.info(
            "%s: the ControlNet of %d segment(s) can't be saved; connect it again after loading", path, left_out
        )
    return path


def _written(tensors: dict[str, np.ndarray], text: str, paths: Iterable[Path]) -> Path:
    """Write a file under a name that nobody looks for, and give it the first name that is free."""
    import safetensors.numpy

    path, new = Path(), None
    try:
        with contextlib.ExitStack() as unfinished:
            for path in paths:
                if new is None:
                    new = unfinished.enter_context(NewFile(path.parent))
                    safetensors.numpy.save_file(tensors, new.path, {_MARK: text})
                if new.named(path):
                    return path
        raise FileExistsError(errno.EEXIST, "it is there already", str(path))
    except (OSError, safetensors.SafetensorError) as error:
        fix = "Look whether the folder may be written to and the disk has room"
        raise SegsFileError(f"the file {path} can't be written ({error})", fix) from error


def load(path: Path, limits: Limits = DEFAULT_LIMITS) -> SEGS:
    """Read what ``save`` wrote: crop regions as lists, bounding boxes as tuples, torch masks and pictures on the CPU.

    Their values are as they are in the file: see ``core.normal``.

    Raises:
        SegsFileError: for a file that is missing, damaged, cut short, too large, or not of ours.
    """
    import safetensors

    _check_size(path, limits)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _MARK not in metadata:
                raise SegsFileError("it is a safetensors file, but holds no SEGS", _CHOOSE)
            document = _parsed(metadata[_MARK])
            digest = document.pop("sha256", None)
            _check(document, limits)
            _check_tensors(document, file)
            if digest != _digest(document, file.get_tensor):
                raise SegsFileError("it is damaged: its checksum is another", _AGAIN)
            segments = [
                _segment(number, entry, file.get_tensor) for number, entry in enumerate(document["segments"], start=1)
            ]
    except (OSError, safetensors.SafetensorError) as error:
        raise SegsFileError(f"it is damaged or cut short, or no safetensors file ({error})", _AGAIN) from error
    except MemoryError as error:
        raise SegsFileError("there is not enough memory to load it", _CLOSE) from error
    height, width = document["size"]
    return (height, width), segments


# --- one segment --------------------------------------------------------------------------------------------------


def _name(number: int, what: str) -> str:
    return f"{number}.{what}"


def _array(value: Any) -> np.ndarray | None:
    if value is None:
        return None
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float32).contiguous().numpy()
    return np.ascontiguousarray(value, dtype=np.float32)


def _number(value: Any) -> int | float:
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, Integral) else float(value)


def _entry(number: int, seg: SEG, mask: np.ndarray | None, picture: np.ndarray | None) -> dict[str, Any]:
    """A segment without its pixels."""
    try:
        return {
            "confidence": _number(confidence(seg)),
            "crop_region": [_number(value) for value in seg.crop_region],
            "bbox": [_number(value) for value in seg.bbox],
            "label": None if seg.label is None else str(seg.label),
            "mask": _kind(seg.cropped_mask, mask),
            "picture": _kind(seg.cropped_image, picture),
        }
    except (TypeError, ValueError) as error:
        found = f"segment {number} has a confidence, region or box that is no number ({error})"
        raise SegsFileError(found, "Look at the node that made it") from error


def _kind(value: Any, array: np.ndarray | None) -> dict[str, Any] | None:
    if array is None:
        return None
    return {"torch": isinstance(value, torch.Tensor), "shape": list(array.shape)}


def _segment(number: int, entry: dict[str, Any], tensor: Callable[[str], np.ndarray]) -> SEG:
    def pixels(what: str) -> Any:
        kind = entry[what]
        if kind is None:
            return None
        array = tensor(_name(number, what))
        return torch.from_numpy(array) if kind["torch"] else array

    return SEG(
        cropped_image=pixels("picture"),
        cropped_mask=pixels("mask"),
        confidence=entry["confidence"],
        crop_region=entry["crop_region"],
        bbox=tuple(entry["bbox"]),
        label=entry["label"],
    )


# --- checks -------------------------------------------------------------------------------------------------------


def _check_size(path: Path, limits: Limits) -> None:
    """Raises SegsFileError for a file that is missing, or larger or shorter than it may be."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise SegsFileError("it is no file", _CHOOSE)
        with path.open("rb") as file:
            header = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    except FileNotFoundError as error:
        raise SegsFileError(
            "there is no such file", "Choose another; press R in the browser to see new ones"
        ) from error
    except (OSError, ValueError) as error:
        raise SegsFileError(f"it can't be opened ({error})", _CHOOSE) from error
    if size > limits.total:
        raise SegsFileError(f"it has {size} bytes, more than the {limits.total} that are read", _FEWER)
    if limits.free is not None and size > limits.free:
        found = f"it has {size} bytes, and only {limits.free} bytes of memory are free"
        raise SegsFileError(found, _CLOSE)
    if size < _LENGTH_BYTES + header:
        raise SegsFileError(f"it is cut short or no safetensors file: only {size} bytes", _AGAIN)
    if header > limits.header:
        raise SegsFileError(f"its header has {header} bytes, more than the {limits.header} that are read", _CHOOSE)


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise SegsFileError(f"it is damaged: its description can't be read ({error})", _AGAIN) from error
    if not isinstance(document, dict):
        raise SegsFileError("it is damaged: its description is of another form", _AGAIN)
    version = document.get("format")
    if isinstance(version, int) and version > FORMAT_VERSION:
        found = f"its format is number {version}, this Mask Detailer reads up to {FORMAT_VERSION}"
        raise SegsFileError(found, "Update Mask Detailer")
    return document


def _check(document: Mapping[str, Any], limits: Limits) -> None:
    """Raises SegsFileError where the description says what can't be, or is too large; looks at no pixels."""
    if document.get("format") != FORMAT_VERSION or not isinstance(document.get("segments"), list):
        raise SegsFileError("it is damaged: its description is of another form", _AGAIN)
    if not _are_sides(document.get("size"), limits) or len(document["size"]) != 2:
        found = f"the picture's size {document.get('size')!r} is not two whole numbers from 0 to {limits.side}"
        raise SegsFileError(found, "Make the segments anew for a picture of such a size")
    count = len(document["segments"])
    if count > limits.segments:
        raise SegsFileError(f"there are {count} segments, more than the {limits.segments} a file may hold", _FEWER)
    for number, entry in enumerate(document["segments"], start=1):
        found = _fault(entry, limits)
        if found:
            raise SegsFileError(f"segment {number}: {found}", "Make the segments anew, and save them again")


def _fault(entry: Any, limits: Limits) -> str | None:
    """What is wrong with a segment's description."""
    if not isinstance(entry, dict):
        return "its description is of another form"
    for name in ("crop_region", "bbox"):
        box = entry.get(name)
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            return f"its {name} {box!r} is not four finite numbers"
    if not _is_number(entry.get("confidence")):
        return f"its confidence {entry.get('confidence')!r} is no finite number"
    if not isinstance(entry.get("label"), str | None):
        return "its label is no text"
    for what in ("mask", "picture"):
        kind = entry.get(what)
        if kind is None and what == "picture" and what in entry:
            continue
        if not isinstance(kind, dict) or not isinstance(kind.get("torch"), bool):
            return f"it has no {what}"
        if not _are_sides(kind.get("shape"), limits):
            return f"its {what}'s shape {kind.get('shape')!r} has a side beyond {limits.side}"
    region, shape = Region.of(entry["crop_region"]), entry["mask"]["shape"]
    wanted = [max(region.height, 0), max(region.width, 0)]
    if not (len(shape) in (2, 3) or (len(shape) == 4 and 1 in shape[:2])) or shape[-2:] != wanted:
        return f"its mask's shape {shape} does not fit its crop region of {wanted[1]}x{wanted[0]}"
    if entry["picture"] is not None and len(entry["picture"]["shape"]) not in (3, 4):
        return f"its picture's shape {entry['picture']['shape']} is not [frames, height, width, channels]"
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 2**53 if isinstance(value, int) else math.isfinite(value)


def _are_sides(shape: Any, limits: Limits) -> bool:
    return isinstance(shape, list) and all(type(side) is int and 0 <= side <= limits.side for side in shape)


def _check_tensors(document: Mapping[str, Any], file: Any) -> None:
    """Raises SegsFileError where the tensors are not those described; reads none."""
    wanted = dict(_described(document))
    names = set(file.keys())
    if names != set(wanted):
        raise SegsFileError(f"it is damaged: {len(names)} masks and pictures for {len(wanted)} described", _AGAIN)
    for name, shape in wanted.items():
        stored = file.get_slice(name)
        if stored.get_dtype() != "F32" or stored.get_shape() != shape:
            found = f"it is damaged: {name} is {stored.get_dtype()} {stored.get_shape()}, not F32 {shape}"
            raise SegsFileError(found, _AGAIN)


def _described(document: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[int]]]:
    """The name and shape of every mask and picture, in order."""
    for number, entry in enumerate(document["segments"], start=1):
        for what in ("mask", "picture"):
            if entry[what] is not None:
                yield _name(number, what), entry[what]["shape"]


def _check_finite(document: Mapping[str, Any], tensor: Callable[[str], np.ndarray]) -> None:
    for name, _ in _described(document):
        if not np.isfinite(tensor(name)).all():
            number, what = name.split(".")
            fix = "Find the node before it that makes them (a VAE in fp16 often does)"
            raise SegsFileError(f"segment {number}: its {what} holds NaN or infinite values", fix)


def _digest(document: Mapping[str, Any], tensor: Callable[[str], np.ndarray]) -> str:
    """SHA-256 of the description and of all pixels."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name, _ in _described(document):
        digest.update(tensor(name).tobytes())
    return digest.hexdigest()
