"""The nodes of detector files, with files in folders that ComfyUI knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine import onnx_cases as cases
from mask_detailer.detailer.detection.yolo.checkpoint import read_checkpoint
from mask_detailer.detailer.errors import InputError
from mask_detailer.nodes.detector_files import MaskDetailerConvertDetector
from mask_detailer.nodes.detectors import BboxDetectorSEGS
from mask_detailer.nodes.file_detectors import UltralyticsDetectorProvider
from mask_detailer.nodes.onnx_detectors import ONNXDetectorProvider, ONNXDetectorSEGS
from support.pickled import archived, calling, save_honest

WIDGETS: dict[str, Any] = dict(threshold=0.5, dilation=0, crop_factor=2.0, drop_size=1, labels="all")
PICTURE = torch.zeros(1, 128, 128, 3)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """``onnx`` and ``bbox`` below it are where ComfyUI looks for such files."""
    import folder_paths

    for kind, name in (("onnx", "onnx"), ("ultralytics_bbox", "bbox")):
        (tmp_path / name).mkdir()
        known = folder_paths.folder_names_and_paths[kind]
        monkeypatch.setitem(folder_paths.folder_names_and_paths, kind, ([str(tmp_path / name)], known[1]))
    folder_paths.filename_list_cache.clear()
    yield tmp_path
    folder_paths.filename_list_cache.clear()


def yolo_file() -> bytes:
    rows = np.array([[[8, 8, 24, 24, 0.9, 1], *[[0] * 6] * 9]])
    return cases.yolo(rows, task="detect", names="{0: 'face', 1: 'hand'}")


def test_an_onnx_file_finds_things_through_the_known_nodes(folders: Path) -> None:
    (folders / "onnx" / "hand.onnx").write_bytes(yolo_file())
    assert ONNXDetectorProvider.INPUT_TYPES()["required"]["model_name"][0] == ["hand.onnx"]
    (detector,) = ONNXDetectorProvider().doit(model_name="hand.onnx")
    (segs,) = BboxDetectorSEGS().doit(bbox_detector=detector, image=PICTURE, **WIDGETS)
    assert [(seg.label, tuple(seg.bbox)) for seg in segs[1]] == [("hand", (16, 16, 48, 48))]
    for name in ("bbox_detector", "onnx_detector"):
        (again,) = ONNXDetectorSEGS().doit(image=PICTURE, **{name: detector}, **WIDGETS)
        assert [seg.bbox for seg in again[1]] == [seg.bbox for seg in segs[1]]
    with pytest.raises(InputError, match="BBOX_DETECTOR is missing"):
        ONNXDetectorSEGS().doit(image=PICTURE, **WIDGETS)


def test_an_onnx_file_may_lie_where_yolo_files_do(folders: Path) -> None:
    (folders / "bbox" / "hand.onnx").write_bytes(yolo_file())
    assert UltralyticsDetectorProvider.INPUT_TYPES()["required"]["model_name"][0] == ["bbox/hand.onnx"]
    detector, outlines = UltralyticsDetectorProvider().doit(model_name="bbox/hand.onnx")
    (seg,) = detector.detect(PICTURE, 0.5, 0, 2.0)[1]
    assert seg.label == "hand" and seg.bbox.tolist() == [16, 16, 48, 48]
    with pytest.raises(InputError, match="finds boxes only"):
        outlines.detect(PICTURE, 0.5, 0, 2.0)


def test_a_file_that_can_t_be_used_is_an_error_of_the_node(folders: Path) -> None:
    (folders / "onnx" / "bad.onnx").write_bytes(b"<html>")
    with pytest.raises(InputError, match=r"^ONNXDetectorProvider, input 'model_name': bad\.onnx .*no ONNX file"):
        ONNXDetectorProvider().doit(model_name="bad.onnx")
    (folders / "bbox" / "evil.pt").write_bytes(archived(calling("os.system", "touch canary")))
    with pytest.raises(InputError, match=r"evil\.pt names os\.system.*nothing of it was run"):
        UltralyticsDetectorProvider().doit(model_name="bbox/evil.pt")
    with pytest.raises(InputError, match=r"evil\.pt names os\.system"):
        MaskDetailerConvertDetector().doit(model_name="bbox/evil.pt")


def test_a_file_is_converted_once_and_never_overwritten(folders: Path) -> None:
    path = save_honest(folders / "bbox" / "face.pt")
    made = MaskDetailerConvertDetector().doit(model_name="bbox/face.pt")
    assert made["ui"] == {"text": ["face.safetensors"]}
    read, again = read_checkpoint(path), read_checkpoint(path.with_suffix(".safetensors"))
    assert read.names == again.names and read.tensors.keys() == again.tensors.keys()
    assert MaskDetailerConvertDetector.INPUT_TYPES()["required"]["model_name"][0] == ["bbox/face.pt"]
    with pytest.raises(InputError, match=r"face\.safetensors is there already"):
        MaskDetailerConvertDetector().doit(model_name="bbox/face.pt")
