"""A job: what to work, with which graph, where to put it. Read from TOML, checked before anything else looks at it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from .errors import FarmError

Value = str | int | float | bool
T = TypeVar("T")


@dataclass(frozen=True)
class Pictures:
    """``files``: one glob or several, relative to the job's folder."""

    files: tuple[str, ...]


@dataclass(frozen=True)
class Masks:
    """Where masks come from.

    Attributes:
        source: ``files`` (by ``pattern``), ``alpha`` (the picture's own) or ``none`` (the graph finds its parts).
        pattern: path of a picture's mask, with ``{stem}``, ``{name}``, ``{folder}`` or a CSV column; it may be a glob
            that finds one file.
        other_sizes: ``refuse`` or ``stretch`` a mask of another size than its picture.
    """

    source: str = "none"
    pattern: str = ""
    other_sizes: str = "refuse"


@dataclass(frozen=True)
class Workflow:
    """The graph: a file in API format or, without one, the default graph; nodes by id or by title."""

    file: Path | None = None
    picture: str = "picture"
    mask: str = "mask"
    output: str = "result"


@dataclass(frozen=True)
class Rows:
    """Values of single items from a CSV file.

    Attributes:
        csv: the file, or None.
        match: the column that names the picture: its path as found, its file name or its stem.
        columns: a column's ``node.input``.
    """

    csv: Path | None = None
    match: str = "picture"
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seed:
    """``input``: ``node.input`` that gets it. ``by`` *item*: of ``base`` and the picture's path; *job*: ``base``."""

    input: str = ""
    base: int = 0
    by: str = "item"


@dataclass(frozen=True)
class ComfyUI:
    """The servers.

    Attributes:
        path: a ComfyUI folder whose servers the farm starts itself.
        python: its Python.
        base: folder with ``models`` and ``custom_nodes``; None for ComfyUI's own.
        custom_nodes: more folders of node packs.
        arguments: more arguments of ComfyUI's.
        environment: variables for it.
        addresses: servers that run already; then none is started.
        devices: ``auto``, ``cpu`` or numbers of GPUs.
        start_seconds: how long one may take to start.
    """

    path: Path | None = None
    python: Path | None = None
    base: Path | None = None
    custom_nodes: tuple[Path, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    devices: str | tuple[int, ...] = "auto"
    start_seconds: float = 300.0


@dataclass(frozen=True)
class Running:
    """How it is worked.

    Attributes:
        executor: ``local`` or ``ray``.
        workers: servers on the CPU, or actors of Ray's; 0 for one a GPU.
        tries: after so many an item has failed.
        item_seconds: longest time for an item.
        silent_seconds: a server that answers nothing for so long hangs.
        lease_seconds: a farm elsewhere that shows no life for so long has lost its items.
        tail: work the last items twice where a server is free, so that a slow one holds up nobody.
    """

    executor: str = "local"
    workers: int = 0
    tries: int = 3
    item_seconds: float = 1800.0
    silent_seconds: float = 60.0
    lease_seconds: float = 60.0
    tail: bool = True


@dataclass(frozen=True)
class Ray:
    """``address``: of a cluster, or "" for one of this process. ``files``: ``store``, or ``shared`` by equal paths."""

    address: str = ""
    files: str = "store"


@dataclass(frozen=True)
class Job:
    """A whole job; paths are absolute."""

    file: Path
    output: Path
    naming: str
    ledger: Path
    identity: str
    pictures: Pictures
    masks: Masks
    workflow: Workflow
    values: Mapping[str, Value]
    items: Rows
    seed: Seed
    comfyui: ComfyUI
    run: Running
    ray: Ray

    @property
    def folder(self) -> Path:
        return self.file.parent


TOP = {"output": str, "naming": str, "ledger": str, "identity": str}
SECTIONS: dict[str, type] = {
    "pictures": Pictures, "masks": Masks, "workflow": Workflow, "items": Rows, "seed": Seed, "comfyui": ComfyUI,
    "run": Running, "ray": Ray,
}  # fmt: skip
KINDS: dict[str, tuple[type, ...]] = {
    "files": (str, list), "source": (str,), "pattern": (str,), "other_sizes": (str,), "file": (str,),
    "picture": (str,), "mask": (str,), "output": (str,), "csv": (str,), "match": (str,), "columns": (dict,),
    "input": (str,), "base": (int, str), "by": (str,), "path": (str,), "python": (str,), "custom_nodes": (list,),
    "arguments": (list,), "environment": (dict,), "addresses": (list,), "devices": (str, list),
    "start_seconds": (int, float), "executor": (str,), "workers": (int,), "tries": (int,),
    "item_seconds": (int, float), "silent_seconds": (int, float), "lease_seconds": (int, float), "tail": (bool,),
    "address": (str,),
}  # fmt: skip
CHOICES = {
    "masks.source": ("files", "alpha", "none"), "masks.other_sizes": ("refuse", "stretch"), "seed.by": ("item", "job"),
    "run.executor": ("local", "ray"), "ray.files": ("store", "shared"), "identity": ("content", "stamp"),
}  # fmt: skip
PATHS = ("workflow.file", "items.csv", "comfyui.path", "comfyui.python", "comfyui.base")
WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


def load(file: Path) -> Job:
    """Read and check a job file; FarmError says in one sentence what is wrong with it."""
    if sys.version_info < (3, 11):
        raise FarmError("a job file needs Python 3.11 or newer")
    import tomllib

    file = file.resolve()
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FarmError(f"the job file {file} can't be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FarmError(f"{file.name} is not TOML: {error}") from None
    return _job(file, said)


def _job(file: Path, said: Mapping[str, object]) -> Job:
    for name in said:
        _known(file, name, (*TOP, *SECTIONS, "values"))
    for name in TOP:
        _is(file, name, said.get(name, ""), (str,))

    def section(kind: type[T]) -> T:
        name = next(name for name, its in SECTIONS.items() if its is kind)
        return _section(file, name, said.get(name, {}), kind)

    if "pictures" not in said:
        raise FarmError(f"{file.name} names no pictures: add [pictures] with files = a glob such as 'pictures/*.png'")
    if not said.get("output"):
        raise FarmError(f"{file.name} says no output: add output = a folder at its top")
    output = file.parent / str(said["output"])
    job = Job(
        file=file, output=output, naming=str(said.get("naming", "{folder}/{stem}")),
        ledger=file.parent / str(said["ledger"]) if said.get("ledger") else output / "farm.sqlite",
        identity=_chosen(file, "identity", str(said.get("identity", "content"))),
        values=_values(file, said.get("values", {})), pictures=section(Pictures), masks=section(Masks),
        workflow=section(Workflow), items=section(Rows), seed=section(Seed), comfyui=section(ComfyUI),
        run=section(Running), ray=section(Ray),
    )  # fmt: skip
    return _consistent(job)


def _section(file: Path, section: str, said: object, kind: type[T]) -> T:
    """A section's dataclass from what the file says."""
    _is(file, f"[{section}]", said, (dict,))
    assert isinstance(said, dict)
    known = [one.name for one in fields(SECTIONS[section])]
    values: dict[str, object] = {}
    for name, value in said.items():
        _known(file, name, known, section)
        where = f"{section}.{name}"
        expected = (int,) if where == "seed.base" else (str,) if where == "comfyui.base" else KINDS[name]
        if where == "ray.files":
            expected = (str,)
        _is(file, where, value, expected)
        if where in CHOICES:
            _chosen(file, where, str(value))
        if where == "pictures.files":
            value = (value,) if isinstance(value, str) else value
        if where in PATHS:
            value = file.parent / Path(str(value)).expanduser()
        elif where == "comfyui.custom_nodes":
            value = tuple(file.parent / Path(str(one)).expanduser() for one in value)
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    if section == "pictures":
        values.setdefault("files", ())
    return kind(**values)


def _values(file: Path, said: object) -> dict[str, Value]:
    """``[values]``, written "node.input" = value or as tables of nodes."""
    _is(file, "[values]", said, (dict,))
    assert isinstance(said, dict)
    flat: dict[str, Value] = {}
    for name, value in said.items():
        inside = {f"{name}.{one}": its for one, its in value.items()} if isinstance(value, dict) else {name: value}
        for where, its in inside.items():
            _is(file, f"values.{where}", its, (str, int, float, bool))
            flat[where] = its
    return flat


def _consistent(job: Job) -> Job:
    """The job, if its parts fit each other."""
    name, masks, run = job.file.name, job.masks, job.run
    if masks.source == "files" and not masks.pattern:
        raise FarmError(f"{name}: masks.source is 'files', so masks.pattern must say where, as in 'masks/{{stem}}.png'")
    if masks.source != "files" and masks.pattern:
        raise FarmError(f"{name}: masks.pattern is given, but masks.source is '{masks.source}': set it to 'files'")
    if masks.source == "none" and job.workflow.file is None:
        raise FarmError(f"{name}: without masks, workflow.file must name a workflow whose detector finds the parts")
    if job.items.columns and job.items.csv is None:
        raise FarmError(f"{name}: items.columns are given, but items.csv names no file")
    if min(run.tries, run.item_seconds, run.silent_seconds, run.lease_seconds) <= 0 or run.workers < 0:
        raise FarmError(f"{name}: in [run], tries and all seconds must be above 0, and workers not below it")
    for address in job.comfyui.addresses:
        if not address.startswith(("http://", "https://")):
            raise FarmError(f"{name}: the address {address!r} in comfyui.addresses must begin with http:// or https://")
    if not job.pictures.files:
        raise FarmError(f"{name}: pictures.files is empty: give it a glob such as 'pictures/*.png'")
    return job


def _known(file: Path, name: str, known: tuple[str, ...] | list[str], section: str = "") -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        where = f"[{section}] of {file.name}" if section else file.name
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise FarmError(f"{where} has an unknown entry {name!r}; {hint}")


def _is(file: Path, where: str, value: object, kinds: tuple[type, ...]) -> None:
    right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    if not right:
        wanted = " or ".join(dict.fromkeys(WORDS[kind] for kind in kinds))
        raise FarmError(f"{file.name}: {where} must be {wanted}, not {value!r}")
    if isinstance(value, list):
        wanted_in = int if where == "comfyui.devices" else str
        for one in value:
            _is(file, f"each of {where}", one, (wanted_in,))


def _chosen(file: Path, where: str, value: str) -> str:
    if value not in CHOICES[where]:
        raise FarmError(f"{file.name}: {where} is {value!r}; it may be {', '.join(CHOICES[where])}")
    return value
