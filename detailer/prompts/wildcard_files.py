"""Wildcard lists in users' files: where they lie, and how they are read."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from .. import host
from .wildcards import normal_name

logger = logging.getLogger("mask_detailer")

MAX_FILE_BYTES = 8 * 2**20
MAX_YAML_ENTRIES = 200_000
MAX_YAML_DEPTH = 50

_OURS = Path(__file__).resolve().parents[2] / "wildcards"  # in this pack's folder


def wildcard_folders() -> list[Path]:
    """The folders that may hold users' wildcard files, the one that counts most first.

    What is registered as ``wildcards`` with ComfyUI, its base folder's and this pack's ``wildcards``, and those of an
    installed Impact Pack, so that lists made for it keep working.
    """
    folders = [*host.folders.registered_folders("wildcards"), host.folders.base_folder() / "wildcards", _OURS]
    for pack in host.folders.pack_folders():
        if pack.name.lower() == "comfyui-impact-pack":
            folders += [*_custom_wildcards(pack), pack / "custom_wildcards", pack / "wildcards"]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _custom_wildcards(pack: Path) -> list[Path]:
    """The folder of one's own that the Impact Pack's settings name."""
    import configparser

    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(pack / "impact-pack.ini", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        logger.warning("the settings in %s can't be read: %s", pack, " ".join(str(error).split()))
    named = settings.get("default", "custom_wildcards", fallback="").strip()
    return [Path(named)] if named else []


class Wildcards(Mapping[str, Sequence[str]]):
    """The lists in folders of ``.txt`` and ``.yaml`` files, by name. Files are read when they are asked for.

    A text file is one list: a line is an entry, empty lines and lines that start with ``#`` are none. Its name is its
    path under the folder. A YAML file holds lists under names of their own, one level of names after the other; its own
    name means nothing. Where two lists have the same name, the one of the earlier folder is taken.

    What can't be read is left out with a line in the log, once until the file changes.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)

    def __getitem__(self, name: str) -> Sequence[str]:
        source = self._sources[name]
        return _lists_in(source).get("", ()) if isinstance(source, Path) else source

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    @cached_property
    def _sources(self) -> dict[str, Path | Sequence[str]]:
        """By name, in order: a text file, or a list out of a YAML file, which must be read to know its names."""
        sources: dict[str, Path | Sequence[str]] = {}
        for folder in self._folders:
            for path in _files_under(folder):
                if path.suffix.lower() == ".txt":
                    sources.setdefault(normal_name(path.relative_to(folder).with_suffix("").as_posix()), path)
                elif path.suffix.lower() in (".yaml", ".yml"):
                    for name, entries in _lists_in(path).items():
                        sources.setdefault(name, entries)
        return dict(sorted(sources.items()))


def _files_under(folder: Path) -> Iterator[Path]:
    """All files, links to folders followed, each folder once; nothing hidden."""
    seen: set[Path] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        here = Path(parent).resolve()
        if here in seen:
            folders.clear()
            continue
        seen.add(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))


def _lists_in(path: Path) -> Mapping[str, Sequence[str]]:
    """The lists in a file by name, a text file's under ""."""
    try:
        if not path.is_file():
            return {}
        state = path.stat()
    except OSError:
        return {}
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _read(path: Path, _changed: int, size: int) -> Mapping[str, Sequence[str]]:
    if size > MAX_FILE_BYTES:
        logger.warning("wildcard file %s is larger than %d MB: left out", path, MAX_FILE_BYTES // 2**20)
        return {}
    try:
        text = _decoded(path)
        if path.suffix.lower() == ".txt":
            return {"": tuple(_lines(text))}
        return _flat(_yaml(text))
    except Exception as error:  # whatever users' files and the YAML reader come up with
        logger.warning("wildcard file %s can't be read, and is left out: %s", path, " ".join(str(error).split()))
        return {}


def _decoded(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        logger.warning("wildcard file %s is not UTF-8: read as Latin-1. Save it as UTF-8 if letters look wrong", path)
        return path.read_text("latin-1")


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            yield entry


def _yaml(text: str) -> object:
    """Plain texts, lists and mappings: the reader makes nothing else, so that ``no`` and ``1.0`` stay as written."""
    import yaml  # ComfyUI needs it too

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:  # the C reader would end the process where it is very deep
            raise ValueError(f"more than {MAX_YAML_DEPTH} levels")
    return yaml.load(text, Loader=loader)


def _flat(tree: object) -> dict[str, Sequence[str]]:
    """The lists in nested mappings, by their names from the outside in."""
    lists: dict[str, Sequence[str]] = {}
    left = MAX_YAML_ENTRIES

    def walk(name: str, node: object, depth: int) -> None:
        """Aliases may repeat parts without end, so both depth and number have one."""
        nonlocal left
        left -= len(node) if isinstance(node, list) else 1
        if left < 0 or depth > MAX_YAML_DEPTH:
            raise ValueError(f"more than {MAX_YAML_ENTRIES} entries or {MAX_YAML_DEPTH} levels")
        if isinstance(node, dict):
            for key, inner in node.items():
                part = normal_name(str(key))
                walk(f"{name}/{part}" if name else part, inner, depth + 1)
        elif name:
            entries = (
                entry.strip() for entry in (node if isinstance(node, list) else [node]) if isinstance(entry, str)
            )
            lists[name] = tuple(entry for entry in entries if entry)

    walk("", tree, 0)
    return {name: entries for name, entries in lists.items() if entries}
