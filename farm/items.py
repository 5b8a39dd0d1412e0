"""From a job to its items: which picture goes with which mask and values, under which name, and each one's key."""

from __future__ import annotations

import csv
import glob
import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .check import models_named
from .errors import FarmError
from .graph import Graph
from .job import Job, Value
from .pictures import SUFFIXES, Facts, UnreadableError

FORMAT = 1  # of keys: another one does all anew
READERS = 8
TOGETHER = 100  # items that a reader is given
FIELD = re.compile(r"\{(\w+)\}")
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
WILD = re.compile(r"[*?\[]")

Typing = Callable[[str, str], Value]  # ("node id.input", text)
Facing = Callable[[Path], Facts]  # a file's facts, raising UnreadableError


class Item(NamedTuple):
    """One output to make.

    Attributes:
        name: its path below the output folder, without suffix.
        key: what it is made of; the same key gives the same file.
        label: the picture's path as the job finds it; seeds and the names of uploads are made of it.
        values: by "node id.input".
        problem: why it can't be worked, or "".
    """

    name: str
    label: str
    picture: Path
    mask: Path | None
    values: Mapping[str, Value]
    key: str = ""
    picture_digest: str = ""
    mask_digest: str = ""
    problem: str = ""


@dataclass
class Common:
    """What all items of a plan share; ``digest`` stands for it in their keys.

    Attributes:
        graph: with the job's values.
        pack_version: of this checkout.
        model: a model's identity by its name.
    """

    graph: Graph
    pack_version: str
    model: Callable[[str], str]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        named = {
            f"{node_id}.{name}": value
            for node_id, node in self.graph.prompt.items()
            for name, value in node["inputs"].items()
        }
        self._named = {where: name for where, value in named.items() for name in models_named({where: value})}
        self.digest = _hash([FORMAT, self.graph.prompt, self.pack_version])

    def key(self, item: Item) -> str:
        """Of the picture's, mask's and models' content, the graph, values and version; not of any name or order."""
        named = {where: name for where, name in self._named.items() if where not in item.values}
        models = {name: self.model(name) for name in (*named.values(), *models_named(item.values))}
        return _hash([self.digest, item.picture_digest, item.mask_digest, dict(item.values), models])


def items(job: Job, graph: Graph) -> Iterator[Item]:
    """The job's items in order, their files not looked into yet and values of a CSV still text.

    FarmError where the job does not fit what is there.
    """
    pictures = find_pictures(job)
    rows = _rows(job)
    places = {column: ".".join(graph.place(where, "items.columns")) for column, where in job.items.columns.items()}
    seed = ".".join(graph.place(job.seed.input, "seed.input")) if job.seed.input else ""
    matched: set[str] = set()
    masks = _Masks(job)
    taken: dict[str, str] = {}
    for picture, folder, label in pictures:
        if rows is None:
            matching = [{}]
        else:
            found = next((name for name in (label, picture.name, picture.stem) if name in rows), None)
            if found is None:
                raise FarmError(f"{_csv(job)} has no row for {label} in its column {job.items.match!r}")
            matched.add(found)
            matching = rows[found]
        for number, row in enumerate(matching):
            fields = {
                "stem": picture.stem, "name": picture.name, "folder": folder,
                **{column: UNSAFE.sub("_", text) for column, text in row.items()},
            }  # fmt: skip
            name = _name(job, fields)
            if (other := taken.get(name.lower())) is not None:
                raise FarmError(
                    f"{other} and {label} would both be written to {name!r}: put {{folder}} or a column into naming"
                )
            taken[name.lower()] = label
            values: dict[str, Value] = {place: row[column] for column, place in places.items()}
            if seed and seed not in values:
                values[seed] = job.seed.base if job.seed.by == "job" else seed_of(job.seed.base, label, number)
            mask, problem = masks.of(picture, label, fields)
            yield Item(name, label, picture, mask, values, problem=problem)
    if rows is not None and (left := set(rows) - matched):
        raise FarmError(f"{_csv(job)} has a row for {min(left)!r}, but pictures.files finds no such picture")


def looked_into(job: Job, found: Iterator[Item], facts: Facing) -> Iterator[Item]:
    """The items with their files' digests and problems, in the same order; files are read by several at once."""

    def look(some: list[Item]) -> list[Item]:
        return [_looked_into(job, item, facts) for item in some]

    with ThreadPoolExecutor(READERS) as readers:
        while some := list(itertools.islice(found, READERS * TOGETHER)):
            parts = [some[at : at + TOGETHER] for at in range(0, len(some), TOGETHER)]
            yield from itertools.chain.from_iterable(readers.map(look, parts))


def keyed(job: Job, found: Iterable[Item], common: Common, typed: Typing) -> Iterator[Item]:
    """The items with their values as their nodes take them, and with their keys."""
    places = {".".join(common.graph.place(where, "items.columns")) for where in job.items.columns.values()}
    for item in found:
        values = {where: typed(where, str(v)) if where in places else v for where, v in item.values.items()}
        whole = item._replace(values=values)
        yield whole._replace(key=common.key(whole))


def _looked_into(job: Job, item: Item, facts: Facing) -> Item:
    problem, of_picture, of_mask = item.problem, None, None
    try:
        of_picture = facts(item.picture)
    except UnreadableError as error:
        problem = problem or f"the picture {item.label} {error}"
    if item.mask is not None and not problem:
        try:
            of_mask = facts(item.mask)
        except UnreadableError as error:
            problem = f"the mask {_shown(job, item.mask)} {error}"
    if of_picture and of_mask and job.masks.other_sizes == "refuse":
        sizes = [(one.width, one.height) for one in (of_picture, of_mask)]
        if sizes[0] != sizes[1] and all(all(size) for size in sizes):
            (w, h), (mask_w, mask_h) = sizes
            problem = (
                f"the mask {_shown(job, item.mask)} is {mask_w}x{mask_h} and its picture {item.label} {w}x{h}; make it "
                "fit, or set masks.other_sizes to 'stretch'"
            )
    of, of_mask = (one.digest if one else "" for one in (of_picture, of_mask))
    return item._replace(picture_digest=of, mask_digest=of_mask, problem=problem)


def find_pictures(job: Job) -> list[tuple[Path, str, str]]:
    """(file, its folder below the glob's fixed part, its path below the job's folder), in order; without outputs."""
    found: dict[str, tuple[Path, str, str]] = {}
    output, here = os.path.join(job.output, ""), os.path.join(job.folder, "")
    for pattern in job.pictures.files:
        base, rest = _fixed_part(job.folder, pattern)
        before = len(found)
        # texts, not paths: there may be a hundred thousand
        for name in sorted(glob.glob(rest, root_dir=base, recursive=True)) if rest else [""]:
            path = os.path.join(base, name) if name else str(base)
            if os.path.splitext(path)[1].lower() not in SUFFIXES or path.startswith(output):
                continue
            label = path.removeprefix(here).replace(os.sep, "/")
            found[path] = (Path(path), os.path.dirname(name).replace(os.sep, "/") or ".", label)
        if len(found) == before:
            raise FarmError(f"pictures.files {pattern!r} finds no picture below {job.folder}")
    return list(found.values())


def seed_of(base: int, label: str, number: int = 0) -> int:
    """The seed (0 to 2**48 - 1) of a picture's item by the job's base, its path and its row's number among its own."""
    return int.from_bytes(hashlib.blake2b(f"{base}\n{label}\n{number}".encode(), digest_size=6).digest(), "big")


class _Masks:
    """Masks by the job's pattern; folders are listed once where the pattern is a glob."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def of(self, picture: Path, label: str, fields: Mapping[str, str]) -> tuple[Path | None, str]:
        """(the mask's file, or why there is none)."""
        if self._job.masks.source != "files":
            return None, ""
        said = _fill(self._job.masks.pattern, fields, "masks.pattern")
        path = Path(self._job.folder, said)
        if WILD.search(self._job.masks.pattern):
            found = sorted(path.parent.glob(path.name))
            if len(found) != 1:
                how = "no file" if not found else f"{len(found)} files"
                return None, f"masks.pattern gives {said!r} for {label}, and that finds {how}"
            path = found[0]
        elif not os.path.isfile(path):
            return None, f"masks.pattern gives {said!r} for {label}, and there is no such file"
        if path == picture:
            return None, f"masks.pattern gives {label} itself as its mask"
        return path, ""


def _rows(job: Job) -> dict[str, list[dict[str, str]]] | None:
    """The CSV's rows by the picture that they name."""
    if job.items.csv is None:
        return None
    rows: dict[str, list[dict[str, str]]] = {}
    try:
        with job.items.csv.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for column in (job.items.match, *job.items.columns):
                if column not in (reader.fieldnames or []):
                    there = ", ".join(reader.fieldnames or ["none"])
                    raise FarmError(f"{_csv(job)} has no column {column!r}; it has {there}")
            for row in reader:
                if None in row or None in row.values():
                    raise FarmError(f"line {reader.line_num} of {_csv(job)} has not as many values as its first line")
                rows.setdefault(row[job.items.match], []).append(row)
    except OSError as error:
        raise FarmError(f"{job.items.csv} can't be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FarmError(f"{_csv(job)} is no CSV file in UTF-8: {error}") from None
    return rows


def _csv(job: Job) -> str:
    assert job.items.csv is not None
    return job.items.csv.name


def _name(job: Job, fields: Mapping[str, str]) -> str:
    name = os.path.normpath(_fill(job.naming, fields, "naming")).replace("\\", "/")
    if name.startswith(("/", "..")) or Path(name).is_absolute() or name == ".":
        raise FarmError(f"naming gives {name!r}, which is not inside the output folder")
    return name


def _fill(pattern: str, fields: Mapping[str, str], where: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise FarmError(f"{where} has {match[0]}, but there are only {', '.join(f'{{{one}}}' for one in fields)}")
        return fields[match[1]]

    return FIELD.sub(value, pattern)


def _fixed_part(folder: Path, glob: str) -> tuple[Path, str]:
    """(the folder before a glob's first wildcard, the rest); the rest is "" for a single file."""
    parts = Path(glob).parts
    wild = next((at for at, part in enumerate(parts) if WILD.search(part)), len(parts))
    return folder.joinpath(*parts[:wild]), "/".join(parts[wild:])


def _shown(job: Job, path: Path | None) -> str:
    """A file's path below the job's folder where it is there."""
    assert path is not None
    return path.relative_to(job.folder).as_posix() if path.is_relative_to(job.folder) else path.as_posix()


def _hash(of: object) -> str:
    return hashlib.blake2b(json.dumps(of, sort_keys=True).encode(), digest_size=16).hexdigest()
