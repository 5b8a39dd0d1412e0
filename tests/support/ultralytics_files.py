"""Detector files as the ``ultralytics`` library writes them, and what it finds: an oracle, in a child process.

The library is a package that only tests use. It is never imported here: importing it patches torch, OpenCV and Pillow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CHILD = Path(__file__).with_name("ultralytics_child.py")
NAMES = ("yolov8n", "yolo11n", "yolov8n-seg", "yolo11n-seg")
IMGSZ = 320  # of the exported ONNX files
MOST_SECONDS = 3000


@dataclass(frozen=True)
class UltralyticsFiles:
    """A folder with ``NAME.pt`` (lively random weights) and ``NAME.onnx`` for each of ``NAMES``."""

    folder: Path

    def pt(self, name: str) -> Path:
        return self.folder / f"{name}.pt"

    def onnx(self, name: str) -> Path:
        return self.folder / f"{name}.onnx"


def run_jobs(jobs: list[dict[str, Any]], folder: Path) -> None:
    """Do jobs (see the child) one after another in one child process; paths in them are absolute or in ``folder``."""
    file = folder / f"jobs-{os.getpid()}-{time.monotonic_ns()}.json"
    file.write_text(json.dumps(jobs), encoding="utf-8")
    own = {"YOLO_CONFIG_DIR": str(folder / "settings"), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    environment = {**os.environ, **own, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-P", str(CHILD), str(file)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=MOST_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def ultralytics_files(base: Path) -> UltralyticsFiles:
    """The files, made once for all tests below one base folder, by whichever worker comes first (about 8 s).

    Args:
        base: pytest's ``tmp_path_factory.getbasetemp()``; of a worker, the folder above it is shared.
    """
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return UltralyticsFiles(_once(shared / "ultralytics", _make))


def library_finds(weights: Path, pictures: list[np.ndarray], folder: Path, **options: Any) -> list[dict[str, Any]]:
    """What the library finds in pictures (uint8 RGB ``[H,W,3]``): for each ``boxes`` and, of segmenters, ``masks``.

    Args:
        folder: of the test; holds pictures and answers.
        options: the library's own, such as ``conf``, ``iou``, ``imgsz``.
    """
    files = []
    for number, picture in enumerate(pictures):
        files.append(folder / f"picture-{number}.npy")
        np.save(files[-1], picture)
    into = folder / f"found-{weights.name}.npz"
    job = {"do": "predict", "weights": str(weights), "pictures": [str(file) for file in files], "into": str(into)}
    run_jobs([{**job, **options}], folder)
    found = np.load(into)
    kinds = ("boxes", "masks")
    return [
        {kind: found[f"{number}.{kind}"] for kind in kinds if f"{number}.{kind}" in found}
        for number in range(len(pictures))
    ]


def _make(folder: Path) -> None:
    jobs: list[dict[str, Any]] = []
    for name in NAMES:
        jobs.append({"do": "make", "name": name, "into": f"{name}.pt"})
        jobs.append({"do": "export", "weights": f"{name}.pt", "imgsz": IMGSZ})
    run_jobs(jobs, folder)


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that whoever comes first makes, and all others wait for."""
    done = folder / "done"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + MOST_SECONDS
        while not done.exists():
            assert time.monotonic() < end, f"{folder} is not made"
            time.sleep(0.2)
        return folder
    make(folder)
    done.touch()
    return folder
