"""YOLO nets from their files' tensors, held against the library that people have the files from."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.yolo_cases import compare, pictures

SIZES = [f"{family}{size}{kind}" for family in ("yolov8", "yolo11") for kind in ("", "-seg") for size in "nsm"]
OTHERS = ["yolov5nu", "yolov9t", "yolov9c-seg", "yolov10n", "yolo12n", "yolo26n"]
ONCE = {"nms": False}  # the library's word for a head that gives each thing once


def _options(name: str) -> dict[str, bool]:
    return ONCE if name.startswith(("yolov10", "yolo26")) else {}


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolov8n-seg", "yolo11n-seg"])
def test_as_the_library(name: str, tmp_path: Path) -> None:
    compare(tmp_path, name, pictures(4)).check()


@pytest.mark.parametrize("name", OTHERS)
def test_other_families(name: str, tmp_path: Path) -> None:
    compare(tmp_path, name, pictures(2, seed=1), **_options(name)).check()


@pytest.mark.by_hand
@pytest.mark.parametrize("name", SIZES)
def test_as_the_library_on_fifty_pictures(name: str, tmp_path: Path) -> None:
    compared = compare(tmp_path, name, pictures(50))
    print(name, compared)
    compared.check()
