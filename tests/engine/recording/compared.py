"""How two recordings differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each run that differs, in what: outputs by their path, ``log`` or ``progress``."""
    found: dict[str, list[str]] = {}
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in before or name not in after:
            found[name] = [f"only {'before' if name in before else 'after'}"]
            continue
        one, other = before[name], after[name]
        paths = [*one["outputs"], *(path for path in other["outputs"] if path not in one["outputs"])]
        what = [
            f"{path}: {_said(one['outputs'].get(path))} -> {_said(other['outputs'].get(path))}"
            for path in paths
            if one["outputs"].get(path) != other["outputs"].get(path)
        ]
        what += [f"log: {a!r} -> {b!r}" for a, b in _pairs(one["log"], other["log"]) if a != b]
        if one["progress"] != other["progress"]:
            what.append("progress")
        if what:
            found[name] = what
    return found


def _said(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "absent"
    return entry["value"] if "value" in entry else f"{entry['shape']} {entry['kind']} {entry['sha256'][:8]}"


def _pairs(first: list[str], second: list[str]) -> Iterator[tuple[str | None, str | None]]:
    for index in range(max(len(first), len(second))):
        yield (first[index] if index < len(first) else None, second[index] if index < len(second) else None)
