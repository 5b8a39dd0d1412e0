"""Files of SAM weights, read so that nothing in them can run: ``.pth`` and ``.pt`` by PyTorch, and ``.safetensors``."""

from __future__ import annotations

import pickletools
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import torch

Tensors = dict[str, torch.Tensor]

HOLDERS = ("model", "state_dict")  # under which of its entries a checkpoint keeps the weights
LARGEST_PICKLE = 64 * 2**20  # bytes; SAM's are below one MB
LEGACY_PICKLES = 5  # that a file of before PyTorch 1.6 begins with
# How much more memory its tensors may take than the file has bytes: several may show the same values
MOST_SHARED = 2

# All that a file of weights names. PyTorch's own list is longer, and was not always safe.
_KNOWN = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
    *(
        f"torch {kind}Storage"
        for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Byte", "Bool")
    ),
}
# What makes an object of a name that only stands on the pickle's stack, or in a registry
_HIDDEN = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")


class SamFileError(ValueError):
    """A file that holds no SAM that can be used: what was found, in words that go on after its name.

    Attributes:
        is_unsafe: loading it as others do would run what it names.
    """

    def __init__(self, found: str, is_unsafe: bool = False) -> None:
        super().__init__(found)
        self.is_unsafe = is_unsafe


def read_tensors(path: Path) -> Tensors:
    """The weights in a file by name, most of them still on the disk; nothing of the file is ever called.

    Raises:
        SamFileError: for what is no file of weights, is broken, or holds more than weights.
        OSError: where it can't be read.
    """
    size = path.stat().st_size
    try:
        if path.suffix.lower() in (".safetensors", ".sft"):
            found: object = _of_safetensors(path)
        else:
            found = _of_pytorch(path)
    except SamFileError:
        raise
    except OSError:
        raise
    except Exception as error:  # whatever a broken file leads to
        raise SamFileError(f"is broken or no file of weights ({_first_line(error)})") from error
    tensors = _weights(found)
    if not tensors:
        raise SamFileError("holds no weights")
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > MOST_SHARED * size:
        raise SamFileError("claims to hold more weights than it has room for")
    return tensors


def _of_safetensors(path: Path) -> Tensors:
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict


def _of_pytorch(path: Path) -> object:
    zipped = zipfile.is_zipfile(path)
    for names in _names_in_zip(path) if zipped else _names_in_legacy(path):
        if names not in _KNOWN:
            raise SamFileError(f"holds more than weights: loading it would call {names.replace(' ', '.')}", True)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def _names_in_zip(path: Path) -> Iterator[str]:
    """What the pickle in a file of today's PyTorch names, ``module name`` each.

    Raises:
        SamFileError: for a zip that PyTorch doesn't write.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        inside = {entry.filename.partition("/")[2] for entry in entries}
        if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
            raise SamFileError("is a program (TorchScript), not weights", True)
        pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
        if [entry.filename.partition("/")[2] for entry in pickles] != ["data.pkl"]:
            raise SamFileError("is a zip file, but none of PyTorch's weights")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise SamFileError("is packed, which PyTorch's own files never are")
        if pickles[0].file_size > LARGEST_PICKLE:
            raise SamFileError("holds far more than a SAM's weights")
        with archive.open(pickles[0]) as stream:
            yield from _names_in_pickle(stream)


def _names_in_legacy(path: Path) -> Iterator[str]:
    """The same of a file that PyTorch before 1.6 wrote: several pickles one after another, then the numbers."""
    if tarfile.is_tarfile(path):
        raise SamFileError("is a tar archive, as PyTorch wrote before 0.1.10; save its weights anew")
    with path.open("rb") as stream:
        for _ in range(LEGACY_PICKLES):
            yield from _names_in_pickle(stream)


def _names_in_pickle(stream: BinaryIO | object) -> Iterator[str]:
    for operation, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type] - any with read and readline
        if operation.name == "GLOBAL":
            yield str(argument)
        elif operation.name in _HIDDEN:
            raise SamFileError("holds more than weights: objects that only code can make", True)


def _weights(found: object) -> Tensors:
    for holder in HOLDERS:
        if isinstance(found, dict) and isinstance(found.get(holder), dict):
            found = found[holder]
    if not isinstance(found, dict):
        return {}
    return {name: each for name, each in found.items() if isinstance(name, str) and isinstance(each, torch.Tensor)}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
