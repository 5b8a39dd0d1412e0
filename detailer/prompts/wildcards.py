"""Choices in prompts: ``{a|b}`` and ``__name__``, and the files that hold the lists of such names."""

from __future__ import annotations

import logging
import math
import os
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

logger = logging.getLogger("mask_detailer")

MAX_ROUNDS = 99
MAX_ADDED = 100_000  # characters that one expansion puts in, over all its rounds
MAX_REPEATS = 100
MAX_FILE_BYTES = 8 * 2**20
MAX_YAML_ENTRIES = 200_000
MAX_YAML_DEPTH = 50

_NAME = r"__(?! )([\w.\-+/*\\ ]{1,200}?)(?<! )__"
_WILDCARD = re.compile(_NAME)
_REPEATED = re.compile(rf"(\d+)#({_NAME})")
_BRACES = re.compile(r"\{([^{}]*)\}")
_WEIGHTED = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*::(.*)", re.DOTALL)
_SEVERAL = re.compile(
    r"\s*(?:(?P<count>\d+)|(?P<least>\d*)-(?P<most>\d+))\s*\$\$(?:(?P<joiner>[^|]*?)\$\$)?(?P<rest>.*)", re.S
)


# --- expansion ----------------------------------------------------------------------------------------------------


def expand(text: str, seed: int, lists: Mapping[str, Sequence[str]]) -> str:
    """The text with every choice made. The same text, seed and lists give the same result, always.

    Lines that start with ``#`` go. ``{a|b}`` becomes one of its options, innermost braces first, ``{2$$a|b|c}`` two of
    them in random order, ``{1-3$$, $$a|b|c}`` one to three with a comma between, ``{-3$$a|b|c}`` one to three.
    ``__name__`` becomes an entry of that list, and ``{2$$__name__}`` two of them; ``3#__name__`` within braces stands
    for three options. An option or entry ``5::a`` is chosen five times as often as a plain one, ``0::a`` never.

    Args:
        lists: entries by name; names are lower-case, with ``/`` between folders and ``-`` for blanks. In the text they
            may be written with capitals, backslashes and blanks, and with ``*`` for any part, which joins all lists
            that fit. A name without ``/`` that is no list is looked for in all folders; if it is none there either, it
            stays as it is.
    """
    return _Expansion(random.Random(seed), lists).of(_without_comments(text))


def normal_name(name: str) -> str:
    """A list's name as it is looked up."""
    return name.lower().replace("\\", "/").replace(" ", "-")


def _without_comments(text: str) -> str:
    """Without lines that start with ``#``; the line after one is put behind the line before it, with a blank."""
    kept = ""
    after_comment, first = False, True
    for line in text.split("\n"):
        if line.startswith("#"):
            after_comment = True
            continue
        kept += line if first else (" " if after_comment else "\n") + line
        after_comment = first = False
    return kept


@dataclass(frozen=True)
class _Options:
    """What to choose from, with the running sums of the weights."""

    texts: tuple[str, ...]
    weights: tuple[float, ...]
    sums: tuple[float, ...]

    @classmethod
    def of(cls, options: Iterable[str]) -> _Options:
        texts, weights = [], []
        for option in options:
            weighted = _WEIGHTED.match(option)
            texts.append(weighted[2] if weighted else option)
            weights.append(min(float(weighted[1]), 1e9) if weighted else 1.0)
        if not any(weights):
            weights = [1.0] * len(weights)
        return cls(tuple(texts), tuple(weights), tuple(accumulate(weights)))

    def one(self, source: random.Random) -> str:
        wanted = source.random() * self.sums[-1]
        low, high = 0, len(self.sums) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if wanted < self.sums[middle] else (middle + 1, high)
        return self.texts[low]

    def several(self, source: random.Random, count: int) -> list[str]:
        """Without repetition, in the order drawn, as if each were drawn by weight from those that are left."""
        times = [(-math.log(1.0 - source.random()) / w, i) for i, w in enumerate(self.weights) if w > 0]
        return [self.texts[i] for _, i in sorted(times)[:count]]


class _Expansion:
    """One text on its way.

    Attributes:
        made: choices made in this round.
        left: characters that may still be put in.
    """

    def __init__(self, source: random.Random, lists: Mapping[str, Sequence[str]]) -> None:
        self._source = source
        self._lists = lists
        self._found: dict[str, _Options | None] = {}
        self.made = 0
        self.left = MAX_ADDED

    def of(self, text: str) -> str:
        for _ in range(MAX_ROUNDS):
            self.made = 0
            text = _BRACES.sub(self._braces, _REPEATED.sub(self._repeated, text))
            if not self.made:
                text = _WILDCARD.sub(self._wildcard, text)
            if not self.made:
                break
        if self.left <= 0:
            logger.warning("a segment's text grows beyond %d characters: its other choices are not made", MAX_ADDED)
        unknown = [name for name, options in self._found.items() if options is None]
        if unknown:
            logger.warning("no wildcard list has the name %s: left in the text as it is", ", ".join(unknown))
        return text

    def _put(self, match: re.Match[str], replacement: str) -> str:
        """The replacement, unless that would be too much."""
        self.left -= len(replacement)
        if self.left <= 0:
            return match[0]
        self.made += 1
        return replacement

    def _repeated(self, match: re.Match[str]) -> str:
        count = int(match[1][-9:])
        return self._put(match, "|".join([match[2]] * min(count, MAX_REPEATS)))

    def _braces(self, match: re.Match[str]) -> str:
        several = _SEVERAL.fullmatch(match[1])
        if several is None:
            return self._put(match, _Options.of(match[1].split("|")).one(self._source))
        rest = several["rest"]
        name = _WILDCARD.fullmatch(rest.strip())
        options = self._options(name[1]) if name else None
        options = options or _Options.of(rest.split("|"))
        joiner = " " if several["joiner"] is None else several["joiner"]
        return self._put(match, joiner.join(options.several(self._source, self._count(several))))

    def _count(self, several: re.Match[str]) -> int:
        if several["count"]:
            return int(several["count"][-9:])
        least, most = sorted((int(several["least"][-9:] or 1), int(several["most"][-9:])))
        return least + int(self._source.random() * (most - least + 1))

    def _wildcard(self, match: re.Match[str]) -> str:
        options = self._options(match[1])
        return match[0] if options is None else self._put(match, options.one(self._source))

    def _options(self, name: str) -> _Options | None:
        if name not in self._found:
            wanted = normal_name(name)
            entries = self._entries(wanted)
            if not entries and "/" not in wanted:
                entries = self._entries(f"*/{wanted}")
            self._found[name] = _Options.of(entries) if entries else None
        return self._found[name]

    def _entries(self, wanted: str) -> list[str]:
        if "*" not in wanted:
            return list(self._lists.get(wanted, ()))
        names = sorted(name for name in self._lists if fnmatchcase(name, wanted))
        return [entry for name in names for entry in self._lists[name]]


# --- files --------------------------------------------------------------------------------------------------------


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


def _yaml(text: str) -> Any:
    """Plain texts, lists and mappings: the reader makes nothing else, so that ``no`` and ``1.0`` stay as written."""
    import yaml  # ComfyUI needs it too

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:  # the C reader would end the process where it is very deep
            raise ValueError(f"more than {MAX_YAML_DEPTH} levels")
    return yaml.load(text, Loader=loader)


def _flat(tree: Any) -> dict[str, Sequence[str]]:
    """The lists in nested mappings, by their names from the outside in."""
    lists: dict[str, Sequence[str]] = {}
    left = MAX_YAML_ENTRIES

    def walk(name: str, node: Any, depth: int) -> None:
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
