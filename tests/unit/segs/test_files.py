"""SEGS written to a file and read again."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from mask_detailer.segs import files
from mask_detailer.segs.files import Limits, SegsFileError
from unit.build import ForeignSEG, seg


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor | np.ndarray):
        return type(first) is type(second) and first.dtype == second.dtype and np.array_equal(first, second)
    return first == second


def same(first: Any, second: Any) -> bool:
    if first[0] != second[0] or len(first[1]) != len(second[1]):
        return False
    return all(
        all(map(equal, (*one[:3], *map(list, one[3:5]), one[5]), (*other[:3], *map(list, other[3:5]), other[5])))
        for one, other in zip(first[1], second[1], strict=True)
    )


def random_segs(seed: int) -> Any:
    draw = np.random.default_rng(seed)
    segs = []
    for index in range(draw.integers(0, 6)):
        height, width, frames = (int(value) for value in draw.integers(1, 12, 3))
        mask: Any = draw.random((frames, height, width) if draw.random() < 0.5 else (height, width), np.float32)
        image: Any = draw.random((frames, height * 2, width, 3), np.float32) if draw.random() < 0.6 else None
        mask = torch.from_numpy(mask) if draw.random() < 0.5 else mask
        image = torch.from_numpy(image) if image is not None and draw.random() < 0.5 else image
        crop = [3, 5, 3 + width, 5 + height]
        box = tuple(float(value) for value in draw.normal(0, 100, 4)) if draw.random() < 0.5 else tuple(crop)
        segs.append(ForeignSEG(image, mask, float(draw.random()), crop, box, f"ä{index}\ud800\n"))
    return (int(draw.integers(0, 500)), int(draw.integers(0, 500))), segs


@pytest.mark.parametrize("seed", range(20))
def test_round_trip(tmp_path: Path, seed: int) -> None:
    segs = random_segs(seed)
    files.save(segs, tmp_path / "a")
    assert same(segs, files.load(tmp_path / "a"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_numbers_of_numpy_and_torch(tmp_path: Path) -> None:
    odd = seg((1, 2, 3, 4))._replace(
        confidence=np.array([0.25], np.float32), crop_region=np.array([1, 2, 3, 4]), bbox=torch.tensor([0.5, 2, 3, 4])
    )
    files.save(((9, 9), [odd]), tmp_path / "a")
    made = files.load(tmp_path / "a")[1][0]
    assert (made.confidence, made.crop_region, made.bbox) == (0.25, [1, 2, 3, 4], (0.5, 2.0, 3.0, 4.0))


def test_control_net_is_left_out_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mask_detailer")
    one = seg((1, 2, 3, 4))._replace(control_net_wrapper=object())
    files.save(((9, 9), [one, one]), tmp_path / "a")
    assert files.load(tmp_path / "a")[1][0].control_net_wrapper is None
    assert [record.getMessage().split(": ")[1][:20] for record in caplog.records] == ["the ControlNet of 2 "]


@pytest.mark.parametrize("changed", ["flipped", "cut", "lengthened"])
def test_damage_is_an_error_or_harmless(tmp_path: Path, changed: str) -> None:
    segs = random_segs(3)
    assert segs[1]
    path = tmp_path / "a"
    files.save(segs, path)
    whole = path.read_bytes()
    draw = random.Random(1)
    header = int.from_bytes(whole[:8], "little")
    places = {*range(24), *draw.sample(range(header), 250), *draw.sample(range(header, len(whole)), 100)}
    refused = 0
    for place in sorted(places):
        if changed == "flipped":
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :])
        else:
            path.write_bytes(whole[:place] if changed == "cut" else whole + whole[-place - 1 :])
        try:
            assert same(segs, files.load(path))
        except SegsFileError:
            refused += 1
    assert refused > 0.9 * len(places)


def rewritten(path: Path, change: Any) -> None:
    with safetensors.safe_open(path, framework="numpy") as file:
        text = json.loads(file.metadata()["mask_detailer.segs"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(text, tensors)
    safetensors.numpy.save_file(tensors, path, {"mask_detailer.segs": json.dumps(text)})


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text, _: text.update(format=2), "format is number 2"),
        (lambda text, _: text.update(size=[1, -1]), "the picture's size"),
        (lambda text, _: text["segments"][0].update(crop_region=[0, 0, 9, 9]), "does not fit its crop region of 9x9"),
        (lambda text, _: text["segments"][0].update(bbox=[0, 0, 9, float("nan")]), "not four finite numbers"),
        (lambda text, _: text["segments"].append(text["segments"][0]), "1 masks and pictures for 2"),
        (lambda text, _: text["segments"][0].update(label="other"), "checksum"),
        (lambda _, tensors: tensors.update({"1.mask": tensors["1.mask"].astype(np.float64)}), "F64"),
        (lambda _, tensors: tensors.update({"1.mask": tensors["1.mask"] * 0.5}), "checksum"),
        (lambda text, _: text.update(segments=5), "another form"),
    ],
)
def test_what_it_says(tmp_path: Path, change: Any, found: str) -> None:
    files.save(((9, 9), [seg((1, 2, 3, 4))]), tmp_path / "a")
    rewritten(tmp_path / "a", change)
    with pytest.raises(SegsFileError, match=found):
        files.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (Limits(segments=1), "2 segments"),
        (Limits(header=50), "header"),
        (Limits(side=1), "size|side"),
        (Limits(total=50), "bytes"),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, found: str) -> None:
    segs = (9, 9), [seg((1, 2, 3, 4))] * 2
    files.save(segs, tmp_path / "a")
    with pytest.raises(SegsFileError, match=found):
        files.load(tmp_path / "a", limits)


def test_no_file_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(SegsFileError, match="no such file"):
        files.load(tmp_path / "a")
    safetensors.numpy.save_file({"x": np.zeros(3, np.float32)}, tmp_path / "a")
    with pytest.raises(SegsFileError, match="holds no SEGS"):
        files.load(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(SegsFileError, match="cut short"):
        files.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (seg((1, 2, 3, 4), mask=float("nan")), "segment 1: its mask holds NaN"),
        (seg((1, 2, 3, 4), mask=np.ones((5, 5), np.float32)), "does not fit"),
        (seg((1, 2, 3, 4), box=(1, 2, 3)), "not four"),
        (seg((1, 2, 3, 4))._replace(cropped_mask=None), "no mask"),
        (seg((1, 2, 3, 4))._replace(confidence=None), "no number"),
    ],
)
def test_what_is_not_saved(tmp_path: Path, bad: Any, found: str) -> None:
    with pytest.raises(SegsFileError, match=found):
        files.save(((9, 9), [bad]), tmp_path / "a")
    assert not list(tmp_path.iterdir())


# --- several writers, and what is refused before it is read --------------------------------------------------------


def numbered(folder: Path) -> Any:
    return (folder / f"a_{number:05}" for number in itertools.count(1))


def save_some(folder: str, writer: int, count: int) -> list[str]:
    return [
        files.save(((9, 9), [seg((1, 2, 3, 4))._replace(label=f"{writer} {index}")]), numbered(Path(folder))).name
        for index in range(count)
    ]


def labels_in(folder: Path) -> set[str]:
    assert not [path.name for path in folder.iterdir() if not path.name.startswith("a_")]
    return {str(files.load(path)[1][0].label) for path in folder.iterdir()}


WRITERS, EACH = 8, 12
ALL_LABELS = {f"{writer} {index}" for writer in range(WRITERS) for index in range(EACH)}


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_threads_that_save_under_one_name_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr("os.link", no_links)
    with ThreadPoolExecutor(WRITERS) as pool:
        names = [*pool.map(lambda writer: save_some(str(tmp_path), writer, EACH), range(WRITERS))]
    assert len({name for some in names for name in some}) == len(ALL_LABELS)
    assert labels_in(tmp_path) == ALL_LABELS


def test_processes_that_save_under_one_name_lose_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = f"from unit.segs.test_files import save_some; save_some({str(tmp_path)!r}, WRITER, {EACH})"
    running = [
        subprocess.Popen([sys.executable, "-c", code.replace("WRITER", str(writer))], env=environment)
        for writer in range(2)
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert labels_in(tmp_path) == {label for label in ALL_LABELS if label.split()[0] in "01"}


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    save_some(str(tmp_path), 1, 1)
    with pytest.raises(SegsFileError, match="it is there already"):
        files.save(((9, 9), []), tmp_path / "a_00001")
    assert labels_in(tmp_path) == {"1 0"}


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def full(*arguments: Any, **_: Any) -> None:
        if arguments[0] == "half" or isinstance(arguments[0], dict):
            Path(arguments[1]).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    if links:
        monkeypatch.setattr(safetensors.numpy, "save_file", full)
    else:
        monkeypatch.setattr("os.link", full)
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SegsFileError, match=r"can't be written.*No space left"):
        files.save(((9, 9), [seg((1, 2, 3, 4))]), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with holes: they have their size, and no bytes on the disk."""
    path = tmp_path / "a"
    files.save(((9, 9), [seg((1, 2, 3, 4))]), path)
    size = path.stat().st_size

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it is read")

    with monkeypatch.context() as patch:
        patch.setattr(safetensors, "safe_open", never)
        with pytest.raises(SegsFileError, match=f"{size} bytes, and only {size - 1} bytes of memory are free"):
            files.load(path, Limits(free=size - 1))
        with path.open("r+b") as file:
            file.truncate(2**33 + 1)
        with pytest.raises(SegsFileError, match="more than the 8589934592"):
            files.load(path)
        for header in (2**25 + 1, 2**32, 2**63):
            with path.open("r+b") as file:
                file.write(header.to_bytes(8, "little"))
                file.truncate(2**32 + 2**20)
            with pytest.raises(SegsFileError, match=r"its header has|cut short"):
                files.load(path)


def test_numbers_without_end_are_refused(tmp_path: Path) -> None:
    files.save(((9, 9), [seg((1, 2, 3, 4))]), tmp_path / "a")
    with safetensors.safe_open(tmp_path / "a", framework="numpy") as file:
        text, mask = file.metadata()["mask_detailer.segs"], file.get_tensor("1.mask")
    text = text.replace('"format": 1', '"format": 1' + "0" * 100_000)
    safetensors.numpy.save_file({"1.mask": mask}, tmp_path / "a", {"mask_detailer.segs": text})
    with pytest.raises(SegsFileError, match="100001 digits"):
        files.load(tmp_path / "a")
