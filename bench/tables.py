"""Timing and printing, shared by the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any


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
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    print(f"\n{title}\n")
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"
