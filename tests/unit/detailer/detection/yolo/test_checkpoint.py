"""YOLO files read as data: what is in them comes out as it was saved."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from mask_detailer.detailer.detection.yolo.checkpoint import convert, read_checkpoint
from mask_detailer.detailer.detection.yolo.values import Checkpoint, YoloError
from safetensors.torch import save_file
from support.pickled import DetectionModel, honest, save_honest

NAMES = {0: "face", 1: "hand"}


def expected() -> dict[str, torch.Tensor]:
    model = honest()["model"]
    assert isinstance(model, DetectionModel)
    return dict(model.state_dict())


def check(read: Checkpoint) -> None:
    state = expected()
    assert read.tensors.keys() == state.keys()
    for name, tensor in state.items():
        assert read.tensors[name].dtype == tensor.dtype and torch.equal(read.tensors[name], tensor), name
    assert read.names == NAMES
    assert read.task == "detect"
    assert read.strides == [8.0, 16.0, 32.0]
    assert read.size == 320
    assert read.description["nc"] == 2 and read.description["backbone"] == [[-1, 1, "Conv", [4, 3]]]


@pytest.mark.parametrize("plain", [False, True], ids=["zip", "plain"])
def test_a_checkpoint_comes_out_as_it_was_saved(tmp_path: Path, plain: bool) -> None:
    read = read_checkpoint(save_honest(tmp_path / "face.pt", plain=plain))
    check(read)
    assert list(read.tensors) == list(expected())
    assert read.source == "face.pt"


def test_a_converted_file_holds_the_same(tmp_path: Path) -> None:
    into = convert(save_honest(tmp_path / "face.pt"), tmp_path / "face.safetensors")
    check(read_checkpoint(into))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["face.pt", "face.safetensors"]


def test_converting_overwrites_nothing(tmp_path: Path) -> None:
    path, into = save_honest(tmp_path / "face.pt"), tmp_path / "face.safetensors"
    into.write_bytes(b"mine")
    with pytest.raises(YoloError, match=r"face\.safetensors is there already"):
        convert(path, into)
    assert into.read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_the_averaged_weights_go_before_the_others(tmp_path: Path) -> None:
    averaged = DetectionModel().half()
    with torch.no_grad():
        averaged.model[0].conv.weight.fill_(0.5)
    path = save_honest(tmp_path / "last.pt", held=honest(ema=averaged))
    assert bool((read_checkpoint(path).tensors["model.0.conv.weight"] == 0.5).all())


def test_a_model_saved_by_itself_is_read(tmp_path: Path) -> None:
    read = read_checkpoint(save_honest(tmp_path / "net.pt", held=honest()["model"]))
    assert list(read.tensors) == list(expected()) and read.names == NAMES
    assert read.size == 640  # nothing says another


def test_a_description_that_names_one_list_over_and_over_ends(tmp_path: Path) -> None:
    """Written out it would have 900 to the power of 9 entries."""
    held = honest()
    nested: list[object] = [1]
    for _ in range(9):
        nested = [nested] * 900
    held["model"].yaml["endless"] = nested  # type: ignore[attr-defined]
    read = read_checkpoint(save_honest(tmp_path / "net.pt", held=held))
    assert read.description["nc"] == 2


@pytest.mark.parametrize("key", [None, "state_dict", "model"])
def test_tensors_alone_are_read_without_names(tmp_path: Path, key: str | None) -> None:
    state = expected()
    torch.save(state if key is None else {key: state, "epoch": 3}, tmp_path / "net.pt")
    read = read_checkpoint(tmp_path / "net.pt")
    assert list(read.tensors) == list(state)
    assert (read.names, read.task, read.description) == ({}, "", {})


def test_safetensors_without_a_word_are_tensors_alone(tmp_path: Path) -> None:
    save_file({"model.0.conv.weight": torch.ones(2)}, tmp_path / "net.safetensors", {"format": "pt"})
    read = read_checkpoint(tmp_path / "net.safetensors")
    assert list(read.tensors) == ["model.0.conv.weight"] and read.names == {}


@pytest.mark.parametrize("word", ["no json", "[]", "[" * 100_000, "1" * 2**24 + "0"], ids=len)
def test_a_broken_word_about_the_net_is_refused(tmp_path: Path, word: str) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "net.safetensors", {"mask_detailer.yolo": word})
    with pytest.raises(YoloError, match=r"^net\.safetensors is damaged"):
        read_checkpoint(tmp_path / "net.safetensors")


def test_odd_words_about_the_net_are_left_out(tmp_path: Path) -> None:
    odd = {"names": {"0": "face", "x": "a", "²": "b"}, "task": 3, "description": [], "strides": ["a"], "size": 10**9}
    save_file({"w": torch.ones(2)}, tmp_path / "net.safetensors", {"mask_detailer.yolo": json.dumps(odd)})
    read = read_checkpoint(tmp_path / "net.safetensors")
    assert (read.names, read.task, read.description, read.strides, read.size) == ({0: "face"}, "", {}, [], 640)


@pytest.mark.parametrize(
    ("names", "seen"),
    [(["face", "hand"], NAMES), ({}, {}), (None, {}), ({0: "face", "b": "c", 1: 7}, {0: "face", 1: "7"})],
)
def test_names_are_read_from_lists_and_dictionaries(tmp_path: Path, names: object, seen: dict[int, str]) -> None:
    model = DetectionModel()
    model.names = names  # type: ignore[assignment]
    assert read_checkpoint(save_honest(tmp_path / "net.pt", held={"model": model})).names == seen


@pytest.mark.parametrize(("size", "seen"), [([320, 480], 480), (1280, 1280), (-1, 640), ("x", 640), (10**9, 640)])
def test_the_size_of_training_is_read(tmp_path: Path, size: object, seen: int) -> None:
    path = save_honest(tmp_path / "net.pt", held=honest(train_args={"imgsz": size}))
    assert read_checkpoint(path).size == seen


def test_tensors_that_share_memory_come_out_apart(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    views = {"a": whole, "b": whole.T, "c": whole[1:, ::2], "d": torch.zeros(0, 3), "e": torch.tensor(3)}
    torch.save(views, tmp_path / "t.pt")
    read = read_checkpoint(tmp_path / "t.pt").tensors
    assert torch.equal(read["a"], whole) and torch.equal(read["b"], whole.T) and torch.equal(read["c"], whole[1:, ::2])
    assert read["d"].shape == (0, 3) and read["e"].shape == () and int(read["e"]) == 3
    read["a"].zero_()
    assert torch.equal(read["b"], whole.T)


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]
)
def test_every_kind_of_number_comes_out_exactly(tmp_path: Path, dtype: str) -> None:
    values = torch.tensor([0, 1, 3, 100]).to(getattr(torch, dtype))
    torch.save({"w": values, "none": None}, tmp_path / "t.pt")
    read = read_checkpoint(tmp_path / "t.pt").tensors["w"]
    assert read.dtype == values.dtype and torch.equal(read, values)


def test_the_first_yolov5_program_s_files_are_refused_by_name(tmp_path: Path) -> None:
    from support import pickled

    pickled.CLASSES["DetectionModel"] = "models.yolo"
    try:
        path = save_honest(tmp_path / "yolov5s.pt")
    finally:
        pickled.CLASSES["DetectionModel"] = "ultralytics.nn.tasks"
    with pytest.raises(YoloError, match=r"^yolov5s\.pt is of the first YOLOv5.*YOLOv5u"):
        read_checkpoint(path)


def test_a_file_that_changes_is_read_anew_and_else_kept(tmp_path: Path) -> None:
    path = save_honest(tmp_path / "face.pt")
    first = read_checkpoint(path)
    assert read_checkpoint(path) is first
    save_honest(path, held=honest(train_args={"imgsz": 640}))
    os.utime(path, ns=(1, 1))
    assert read_checkpoint(path).size == 640


def test_what_can_t_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(YoloError, match=r"^none\.pt can't be read"):
        read_checkpoint(tmp_path / "none.pt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(YoloError, match=r"^folder\.pt can't be read"):
        read_checkpoint(tmp_path / "folder.pt")
    (tmp_path / "net.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(YoloError, match=r"^net\.safetensors is damaged"):
        read_checkpoint(tmp_path / "net.safetensors")
    with pytest.raises(YoloError, match=r"can't be written"):
        convert(save_honest(tmp_path / "face.pt"), tmp_path / "nowhere" / "face.safetensors")
