"""YOLO nets from their files' tensors, held against the library that people have the files from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.yolo_cases import THRESHOLD, References, as_image, compare, iou, pictures, references
from mask_detailer.core import Region, Size
from mask_detailer.detailer.detection.yolo.detector import Thing, YoloDetector
from mask_detailer.detailer.detection.yolo.outlines import Outline
from mask_detailer.nodes.detectors import BboxDetectorSEGS, SegmDetectorSEGS
from mask_detailer.nodes.file_detectors import UltralyticsDetectorProvider
from mask_detailer.nodes.validate import InputError

QUICK = ("yolov8n", "yolo11n-seg")
OTHERS = ("yolov5nu", "yolov9t", "yolov10n", "yolo12n")
LARGER = ("yolov9c-seg", "yolo26n")
SIZES = tuple(f"{family}{size}{kind}" for size in "nsm" for family in ("yolov8", "yolo11") for kind in ("", "-seg"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> References:
    return references(tmp_path_factory.mktemp("yolo"), {name: pictures(3) for name in QUICK}, whole=True)


@pytest.mark.parametrize("name", QUICK)
def test_as_the_library(name: str, made: References) -> None:
    compare(made, name).check()


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> References:
    return references(tmp_path_factory.mktemp("others"), {name: pictures(2, seed=1) for name in OTHERS})


@pytest.mark.by_hand
@pytest.mark.parametrize("name", OTHERS)
def test_other_families(name: str, others: References) -> None:
    compare(others, name).check()


@pytest.mark.by_hand
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", [*SIZES, *LARGER])
def test_as_the_library_on_fifty_pictures(name: str, tmp_path: Path) -> None:
    compared = compare(references(tmp_path, {name: pictures(50)}), name)
    print(name, compared)
    compared.check()


# --- the node -----------------------------------------------------------------------------------------------------

WIDGETS: dict[str, Any] = dict(threshold=THRESHOLD, dilation=0, crop_factor=1.5, drop_size=1, labels="all")


@pytest.fixture
def folders(made: References, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """ComfyUI's folders of YOLO files: a detector in ``bbox`` and in a folder below it, a segmenter in ``segm``."""
    import folder_paths

    for kind, below in {"ultralytics": "", "ultralytics_bbox": "bbox", "ultralytics_segm": "segm"}.items():
        (tmp_path / below).mkdir(exist_ok=True)
        endings = folder_paths.folder_names_and_paths[kind][1]
        monkeypatch.setitem(folder_paths.folder_names_and_paths, kind, ([str(tmp_path / below)], endings))
    detector, segmenter = (made.folder / f"{name}.pt" for name in QUICK)
    (tmp_path / "bbox" / "faces").mkdir()
    for into in (tmp_path / "bbox" / "face.pt", tmp_path / "bbox" / "faces" / "other.pt"):
        into.write_bytes(detector.read_bytes())
    (tmp_path / "segm" / "person-seg.pt").write_bytes(segmenter.read_bytes())
    folder_paths.filename_list_cache.clear()
    yield tmp_path
    folder_paths.filename_list_cache.clear()


def test_choices(folders: Path) -> None:
    (shown, _) = UltralyticsDetectorProvider.INPUT_TYPES()["required"]["model_name"]
    assert shown == ["bbox/face.pt", "bbox/faces/other.pt", "segm/person-seg.pt"]
    with pytest.raises(InputError, match=r"'model_name': 'bbox/gone.pt' is none of its choices. Give one of bbox/face"):
        UltralyticsDetectorProvider().doit("bbox/gone.pt")


def test_segments_as_the_library_finds_them(folders: Path, made: References) -> None:
    """With its boxes, names and scores, the surest first; the mask is the box, both its corners included."""
    provider = UltralyticsDetectorProvider()
    for choice in ("bbox/face.pt", "bbox/faces/other.pt"):
        bbox, segm = provider.doit(choice)
        with pytest.raises(InputError, match=rf"UltralyticsDetectorProvider.*{choice} finds boxes only"):
            segm.detect(as_image(made.shown[QUICK[0]][0]), 0.5, 0, 3.0)
    count = 0
    for picture, found in zip(made.shown[QUICK[0]], made.found(QUICK[0]), strict=True):
        image = as_image(picture)
        size, segs = BboxDetectorSEGS().doit(bbox, image, **WIDGETS)[0]
        boxes = found["boxes"][np.minimum(*(found["boxes"][:, 2:4] - found["boxes"][:, :2]).T) > 1]
        assert size == picture.shape[:2] and len(segs) == len(boxes)
        assert all(first.confidence[0] >= second.confidence[0] for first, second in pairwise(segs))
        for seg in segs:
            box = boxes[np.abs(boxes[:, :4] - seg.bbox).max(axis=1).argmin()]
            assert np.allclose(seg.bbox, box[:4], atol=0.5) and abs(float(seg.confidence[0]) - box[4]) < 1e-3
            assert seg.label == made.checkpoint(QUICK[0]).names[int(box[5])]
            x1, y1, x2, y2 = seg.crop_region
            assert torch.equal(seg.cropped_image, image[:, y1:y2, x1:x2])
            whole = np.zeros(size)
            left, top, right, bottom = (int(side) for side in seg.bbox)
            whole[top : bottom + 1, left : right + 1] = 1
            assert np.array_equal(seg.cropped_mask, whole[y1:y2, x1:x2])
        count += len(segs)
    assert count > 20


def test_outlines_as_the_library_brings_them_to_the_picture(folders: Path, made: References) -> None:
    bbox, segm = UltralyticsDetectorProvider().doit("segm/person-seg.pt")
    assert isinstance(segm, YoloDetector) and segm.model is bbox.model
    compared = 0
    for picture, found in zip(made.shown[QUICK[1]], made.found(QUICK[1]), strict=True):
        image = as_image(picture)
        segs = SegmDetectorSEGS().doit(segm, image, **WIDGETS)[0][1]
        boxes, wholes = found["boxes"], found.get("whole", np.zeros((0, *picture.shape[:2])))
        large = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) > 1
        assert len(segs) == large.sum()
        for seg in segs:
            whole = wholes[np.abs(boxes[:, :4] - seg.bbox).max(axis=1).argmin()]
            theirs = whole[Region.of(seg.crop_region).slices] > 0.5
            if theirs.sum() > 500:  # of small ones a pixel at the edge is much
                assert iou(seg.cropped_mask > 0.5, theirs) > 0.99
                compared += 1
        union = segm.detect_combined(image, THRESHOLD, 0)
        assert (union is None) == (len(wholes) == 0)
        if union is not None:
            assert iou(union.numpy() > 0.5, wholes.max(axis=0) > 0.5) > 0.99
    assert compared > 20


# --- what becomes of a find -----------------------------------------------------------------------------------------


class One:
    """A net that finds the same in each picture."""

    def __init__(self, *things: Thing) -> None:
        self.things = things

    def things_in(self, image: torch.Tensor, threshold: float, outlines: bool) -> Iterator[Thing]:
        yield from self.things


def test_box_of_fractions() -> None:
    """The known node's: a box whose crop is no larger than it is."""
    detector = YoloDetector(One(Thing((10.6, 10.2, 30.9, 40.7), "face", 0.9)))
    image = torch.rand(1, 64, 80, 4)
    (header, (seg,)) = detector.detect(image, 0.5, 0, 1.0)
    assert header == (64, 80) and seg.crop_region == [10, 10, 30, 40] and seg.cropped_mask.shape == (30, 20)
    assert (seg.cropped_mask == 1).all() and seg.cropped_image.shape == (1, 30, 20, 4)
    union = detector.detect_combined(image, 0.5, 0)
    assert union is not None and union.sum() == 21 * 31  # both corners are the box's


@pytest.mark.parametrize(("drop_size", "count"), [(7, 1), (8, 0)])
def test_what_is_not_larger_is_left_out(drop_size: int, count: int) -> None:
    detector = YoloDetector(One(Thing((10.0, 10.0, 18.0, 40.0), "face", 0.9)))
    assert len(detector.detect(torch.rand(1, 64, 64, 3), 0.5, 0, 2.0, drop_size)[1]) == count


def test_dilation_below_0_has_no_effect() -> None:
    detector = YoloDetector(One(Thing((20.0, 20.0, 29.0, 29.0), "face", 0.9)))
    sums = [
        detector.detect(torch.rand(1, 64, 64, 3), 0.5, dilation, 4.0)[1][0].cropped_mask.sum()
        for dilation in (-9, 0, 3)
    ]
    assert sums == [100, 100, 144]


def test_one_picture_of_any_channels() -> None:
    detector = YoloDetector(One())
    assert detector.detect(torch.rand(1, 9, 9, 1), 0.5, 0, 1.0) == ((9, 9), [])
    assert detector.detect_combined(torch.rand(1, 9, 9, 3), 0.5, 0) is None


@pytest.mark.parametrize(("inner", "picture"), list(product([(23, 40), (64, 9)], [(50, 61), (17, 140), (20, 8)])))
def test_part_of_an_outline(inner: tuple[int, int], picture: tuple[int, int]) -> None:
    """What lies in a region is cut from what bilinear resizing of the whole gives; beyond its extent there is none."""
    dice = torch.Generator().manual_seed(3)
    small = torch.zeros(*inner, dtype=torch.bool)
    small[3:-4, 2:-2] = torch.rand(inner[0] - 7, inner[1] - 4, generator=dice) > 0.6
    outline = Outline(small, Size(*picture))
    whole = torch.nn.functional.interpolate(small[None, None].float(), size=picture, mode="bilinear")[0, 0]
    region = Region(3, 5, picture[1] - 1, picture[0] - 2)
    assert torch.allclose(outline.within(region), whole[region.slices], atol=1e-5)
    extent = outline.extent()
    rest = whole.clone()
    rest[extent.slices] = 0
    assert rest.sum() == 0 and extent.inside(Size(*picture))
    assert Outline(torch.zeros(4, 4, dtype=torch.bool), Size(9, 9)).extent().is_empty
