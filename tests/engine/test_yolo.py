"""YOLO nets from their files' tensors, held against the library that people have the files from."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.yolo_cases import References, compare, pictures, references

QUICK = ("yolov8n", "yolo11n-seg")
OTHERS = ("yolo11n", "yolov8n-seg", "yolov5nu", "yolov9t", "yolov9c-seg", "yolov10n", "yolo12n", "yolo26n")
SIZES = tuple(f"{family}{size}{kind}" for size in "nsm" for family in ("yolov8", "yolo11") for kind in ("", "-seg"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> References:
    return references(tmp_path_factory.mktemp("yolo"), {name: pictures(3) for name in QUICK})


@pytest.mark.parametrize("name", QUICK)
def test_as_the_library(name: str, made: References) -> None:
    compare(made, name).check()


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_families(name: str, tmp_path: Path) -> None:
    compare(references(tmp_path, {name: pictures(3, seed=1)}), name).check()


@pytest.mark.by_hand
@pytest.mark.parametrize("name", SIZES)
def test_as_the_library_on_fifty_pictures(name: str, tmp_path: Path) -> None:
    compared = compare(references(tmp_path, {name: pictures(50)}), name)
    print(name, compared)
    compared.check()
