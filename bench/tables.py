"""Timing and printing, shared by the benchmarks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_printed: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Row:
    """A line of the one table of speed: what was measured, on what, what it took, beside what, and the ratio."""

    what: str
    case: str
    ours: str
    beside: str
    ratio: str


def best_of(runs: int, function: Callable[[], Any]) -> float:
    """The shortest of several runs in seconds: what the work costs when nothing else disturbs it."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def print_rows(rows: Sequence[Row]) -> None:
    head = [field.name for field in fields(Row)]
    print_table(
        "Speed: compare the ratios, each taken within one run", head, [list(vars(row).values()) for row in rows]
    )


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table, columns aligned."""
    _printed.append({"title": title, "head": list(head), "rows": [list(row) for row in rows]})
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    print(f"\n{title}\n")
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def printed() -> list[dict[str, Any]]:
    """The tables printed since this was last asked."""
    tables = _printed.copy()
    _printed.clear()
    return tables


def keep(file: Path, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Put the tables of some benchmarks into a JSON file; those of others stay in it."""
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    machine = f"{os.cpu_count()} CPU cores"
    kept |= {name: {"machine": machine, "tables": tables} for name, tables in found.items() if tables}
    file.write_text(as_json(kept) + "\n", encoding="utf-8")


def as_json(value: Any, indent: str = "") -> str:
    """Lists of strings on one line each, so that a difference shows the rows that have changed."""
    within = f"{indent} "
    if isinstance(value, Mapping):
        items = [f"{json.dumps(key)}: {as_json(item, within)}" for key, item in value.items()]
        return f"{{\n{within}" + f",\n{within}".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        items = [as_json(item, within) for item in value]
        return f"[\n{within}" + f",\n{within}".join(items) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"
