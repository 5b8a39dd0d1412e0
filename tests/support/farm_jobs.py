"""Small jobs for the farm's tests: pictures of 64x48, a mask each, the tiny checkpoint; and the farm as a process."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from support import pictures, workflow
from support.server import CHECKOUT, DEMO_NODES, PACK, comfyui_folder

SIZE = (64, 48)
BOX = [(16, 12, 44, 36)]
QUICK: dict[str, float] = {
    "guide_size": 64,
    "max_size": 64,
    "steps": 1,
    "denoise": 0.5,
    "feather": 2,
    "noise_mask_feather": 2,
}

Section = Mapping[str, object]


def write_pictures(folder: Path, count: int, first: int = 0) -> None:
    """``pictures/000.png`` and so on, each another one, and their masks."""
    for number in range(first, first + count):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        pictures.write(folder / "pictures" / f"{number:03d}.png", pixels)
        pictures.write(folder / "masks" / f"{number:03d}.png", pictures.box_mask(*SIZE, BOX))


def small_prompt(**detailer: float) -> workflow.Prompt:
    prompt = workflow.mask_detail("", "")
    prompt[workflow.DETAILER]["inputs"].update(QUICK | detailer)
    return prompt


def write_job(folder: Path, sections: Mapping[str, Section] = {}, top: Section = {}, name: str = "job.toml") -> Path:  # noqa: B006
    """A job over ``folder``'s pictures and masks; ``sections`` add to its own or, where None, take from them."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "workflow.json").exists():
        (folder / "workflow.json").write_text(json.dumps(small_prompt()))
    known: dict[str, dict[str, object]] = {
        "pictures": {"files": "pictures/*.png"},
        "masks": {"source": "files", "pattern": "masks/{stem}.png"},
        "workflow": {"file": "workflow.json"},
        "seed": {"input": "detailer.seed", "base": 7},
    }
    for section, entries in sections.items():
        known[section] = {k: v for k, v in (known.get(section, {}) | dict(entries)).items() if v is not None}
    lines = [_line(key, value) for key, value in ({"output": "done", "naming": "{stem}"} | dict(top)).items()]
    for section, entries in known.items():
        lines += [f"[{section}]", *(_line(key, value) for key, value in entries.items())]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def _line(key: str, value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(one)} = {json.dumps(its)}" for one, its in value.items())
        return f"{json.dumps(key)} = {{ {inside} }}"
    return f"{json.dumps(key)} = {json.dumps(value)}"


def own_comfyui(base: Path) -> dict[str, object]:
    """`[comfyui]` for servers that the farm starts itself, with models below ``base``."""
    return {
        "path": str(comfyui_folder()),
        "python": sys.executable,
        "base": str(base),
        "custom_nodes": [str(PACK), str(DEMO_NODES)],
        "devices": "cpu",
        "environment": {"PYTHONPATH": os.pathsep.join(str(CHECKOUT / name) for name in ("tests", "tools"))},
    }


def start(command: str, job: Path, *arguments: str, python: Path | None = None, **more: str) -> subprocess.Popen[str]:
    """`python farm ...` as a process; ``more`` are variables of its environment."""
    return subprocess.Popen(
        [str(python or sys.executable), str(CHECKOUT / "farm"), command, str(job), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=job.parent, env=os.environ | more,
    )  # fmt: skip


def farm(command: str, job: Path, *arguments: str, python: Path | None = None) -> tuple[int, str]:
    """(exit status, all that it said)."""
    process = start(command, job, *arguments, python=python)
    try:
        said, _ = process.communicate(timeout=580)
    finally:
        process.kill()
    return process.returncode, said


def made(output: Path) -> dict[str, bytes]:
    """All files below an output folder by their paths, but for the farm's own."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.relative_to(output).parts[0] not in OWN
    }


OWN = ("farm.sqlite", "farm.sqlite-wal", "farm.sqlite-shm", ".farm", "report.html")


def states(output: Path) -> dict[str, int]:
    """Items by state, from the ledger as it is now; empty before there is one."""
    ledger = output / "farm.sqlite"
    if not ledger.is_file():
        return {}
    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=10) as opened:
            found = opened.execute("SELECT state, COUNT(*) FROM items WHERE wanted = 1 GROUP BY state")
            return {state: count for state, count in found}
    except sqlite3.OperationalError:
        return {}


def done(output: Path) -> int:
    return states(output).get("done", 0)


def names(count: int) -> Sequence[str]:
    return [f"{number:03d}.png" for number in range(count)]
