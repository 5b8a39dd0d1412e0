"""Models in the form of the library ``transformers`` that are on this machine: never fetched, and never run as code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PureWindowsPath

import torch

from ...core import in_short
from .. import host
from ..host.placement import Placement

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")

# What from_pretrained is told, whatever the class: no network, no pickle, no code that a folder brings along. The plain
# way to attend needs no kernels, which a folder's settings could name.
ONLY_DATA = {"local_files_only": True, "trust_remote_code": False}
ONLY_WEIGHTS = {**ONLY_DATA, "use_safetensors": True, "attn_implementation": "eager"}

ROOM = 2**29  # bytes beside the weights: pictures are made small before they are looked at


class LocalModelError(ValueError):
    """Why a model can't be had: what was found, and what is to be done."""

    def __init__(self, found: str, fix: str) -> None:
        self.found, self.fix = in_short(found, 600), fix
        super().__init__(f"{self.found}. {fix}")


def model_folders(kind: str) -> list[Path]:
    """The folders of models of a kind: those that ComfyUI knows, and those right below them that hold a model."""
    found = []
    for folder in host.folders.registered_folders(kind):
        if folder.is_dir():
            found += [each for each in (folder, *sorted(folder.iterdir())) if (each / CONFIG).is_file()]
    return found


def named_folder(kind: str, name: str) -> Path | None:
    """The folder of a model that is called by a repository's id, such as ``owner/name``, or by a folder's name.

    It is looked for below ComfyUI's folders of that kind, first by the whole id and then by its last part, and then
    where ``transformers`` keeps what it has fetched before. None where it is in none of them.

    Raises:
        ValueError: for a path, or what else can't be the name of a model.
    """
    parts = name.strip().split("/")
    if len(parts) > 2 or any(_is_no_name(part) for part in parts):
        raise ValueError("it is neither owner/name of a repository nor the name of a folder")
    for folder in host.folders.registered_folders(kind):
        for below in (folder.joinpath(*parts), folder / parts[-1]):
            if (below / CONFIG).is_file():
                return below
    return cached_folder("/".join(parts))


def _is_no_name(part: str) -> bool:
    return part in ("", ".", "..") or not part.isprintable() or PureWindowsPath(part).name != part


def cached_folder(repository: str) -> Path | None:
    """Where ``transformers`` keeps what it has fetched of a repository before; None where it has not."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(repository, CONFIG)
    except HFValidationError:
        return None
    return Path(config).parent if isinstance(config, str) else None


def check_weights(folder: Path) -> None:
    """Look at a folder before ``transformers`` does.

    Raises:
        LocalModelError: where its weights are not ``.safetensors``, or its settings can't be read.
    """
    settings = _settings(folder / CONFIG)
    if "auto_map" in settings:
        fix = "It is not run. Take a model that transformers itself has the code of"
        raise LocalModelError(f"{folder} brings code of its own along", fix)
    if (folder / WEIGHTS).is_file():
        return
    fix = f"Put the model's {WEIGHTS} there; files of other kinds can carry programs and are not read"
    if not (folder / INDEX).is_file():
        others = sorted(file.name for pattern in OTHER_WEIGHTS for file in folder.glob(pattern))
        beside = f", but {', '.join(others)}" if others else ""
        raise LocalModelError(f"{folder} has no {WEIGHTS}{beside}", fix)
    for name in _shards(folder / INDEX):
        if not name.endswith(".safetensors") or _is_no_name(name):
            raise LocalModelError(f"{folder / INDEX} names '{name}', which is no .safetensors file beside it", fix)


def _shards(index: Path) -> Iterator[str]:
    files = _settings(index).get("weight_map")
    yield from sorted(set(map(str, files.values()))) if isinstance(files, Mapping) else ()


def _settings(file: Path) -> Mapping[str, object]:
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise LocalModelError(f"{file} can't be read ({error})", "Fetch the file again") from error
    if not isinstance(settings, dict):
        raise LocalModelError(f"{file} holds no settings", "Fetch the file again")
    return settings


def model_type(folder: Path) -> str:
    """What kind of network a folder's settings name, such as ``clipseg``; nothing where they can't be read."""
    try:
        return str(_settings(folder / CONFIG).get("model_type", ""))
    except LocalModelError:
        return ""


def placed(network: torch.nn.Module, mode: str) -> Placement:
    """Where a network of ``transformers`` is while it works and between.

    ComfyUI notes at what it loads on which device it is, which those networks say themselves and don't let others say.
    """
    return Placement(torch.nn.Sequential(network), mode, ROOM)


def one_of_type(folders: Iterable[Path], wanted: str) -> Path | None:
    """The first folder whose settings name that kind of network."""
    return next((folder for folder in folders if model_type(folder) == wanted), None)
