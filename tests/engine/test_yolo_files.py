"""Detector files that the ultralytics library wrote, whole and broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mask_detailer.detailer.detection.yolo.checkpoint import convert, read_checkpoint
from safetensors.torch import load_file
from support import mutated
from support.pickled import save_honest
from support.ultralytics_files import NAMES, UltralyticsFiles, run_jobs, ultralytics_files

MOST_GROWN = 2**26  # bytes beside twice the file's size
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is bounded as Linux does it")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> UltralyticsFiles:
    return ultralytics_files(tmp_path_factory.getbasetemp())


def test_a_file_holds_what_the_library_reads_in_it(files: UltralyticsFiles, tmp_path: Path) -> None:
    jobs = [{"do": "state", "weights": str(files.pt(name)), "into": f"{name}.safetensors"} for name in NAMES]
    run_jobs(jobs, tmp_path)
    for name in NAMES:
        state, read = load_file(tmp_path / f"{name}.safetensors"), read_checkpoint(files.pt(name))
        assert read.tensors.keys() == state.keys()
        assert all(torch.equal(read.tensors[key], tensor) for key, tensor in state.items())
        assert read.task == ("segment" if "seg" in name else "detect")
        assert read.names == {number: str(number) for number in range(80)}
        assert read.strides == [8.0, 16.0, 32.0]
        assert read.description["nc"] == 80 and read.description["scale"] == "n"


def test_a_converted_file_holds_the_same(files: UltralyticsFiles, tmp_path: Path) -> None:
    read = read_checkpoint(files.pt("yolo11n-seg"))
    again = read_checkpoint(convert(files.pt("yolo11n-seg"), tmp_path / "net.safetensors"))
    assert read.tensors.keys() == again.tensors.keys()
    assert all(torch.equal(tensor, again.tensors[key]) for key, tensor in read.tensors.items())
    for part in ("names", "task", "description", "strides", "size"):
        assert getattr(read, part) == getattr(again, part), part


def broken(source: Path, count: int) -> dict[str, Any]:
    """What reading broken copies of a file did, in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-P", mutated.__file__, str(source), str(count), os.environ.get("FUZZ_SEED", "0")],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@ON_LINUX
@pytest.mark.parametrize("form", ["zip", "plain"])
def test_broken_files_are_refused_and_do_nothing(files: UltralyticsFiles, tmp_path: Path, form: str) -> None:
    """The library's file in 210 ways, and a small one of torch's plain form: no crash, no code, little memory."""
    if form == "zip":
        source = Path(shutil.copy(files.pt("yolov8n"), tmp_path / "net.pt"))
        told = broken(source, 210)
    else:
        told = broken(save_honest(tmp_path / "net.pt", plain=True), 400)
    assert not told["crashed"] and not told["seen"] and not told["imported"], told
    assert told["refused"] > told["read"]
    assert told["grown"] < 2 * told["size"] + MOST_GROWN, told
