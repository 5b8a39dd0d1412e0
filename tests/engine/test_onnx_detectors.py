"""Detectors in ONNX files: as their library's, by either of those that can run them, and what is refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from engine import onnx_cases as cases
from mask_detailer.detailer.detection.onnx.detector import OnnxDetector, load_onnx, net_of
from mask_detailer.detailer.detection.onnx.engines import ENGINES
from mask_detailer.detailer.detection.onnx.header import OnnxHeaderError, read_header
from mask_detailer.detailer.detection.yolo.boxes import Frame, frame_for, frame_in
from mask_detailer.detailer.detection.yolo.values import YoloError
from numpy.typing import NDArray
from support.ultralytics_files import run_jobs

BOX, SCORE, IOU = 0.5, 1e-3, 0.99
CONFIDENCE = 0.12
SIDE = 192
EXPORTS: dict[str, dict[str, Any]] = {
    "yolov8n": {"imgsz": SIDE},
    "yolo11n": {"imgsz": [160, SIDE]},
    "yolov8n-seg": {"imgsz": SIDE},
    "yolo11n-seg": {"imgsz": SIDE, "dynamic": True},
}
QUICK = ("yolov8n", "yolo11n-seg")
engines = pytest.mark.parametrize("engine", ENGINES)

Pixels = NDArray[np.uint8]


def blots(count: int) -> list[Pixels]:
    dice = np.random.default_rng(0)
    made = []
    for number in range(count):
        cells, size = (4, 8, 16)[number % 3], (int(dice.integers(60, 400)), int(dice.integers(60, 400)))
        held = dice.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        made.append(cv2.resize(held, size, interpolation=cv2.INTER_CUBIC))
    return made


def as_image(picture: Pixels) -> torch.Tensor:
    return torch.from_numpy(picture)[None].float() / 255.0


class Exported:
    """``NAME.onnx`` of nets, and what the library finds in pictures with the files that they were exported from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = blots(6)
        self._files = [str(folder / f"{number}.npy") for number in range(len(self.pictures))]
        for file, picture in zip(self._files, self.pictures, strict=True):
            np.save(file, picture)

    def found(self, name: str) -> Any:
        """Made when it is first asked for."""
        if not (self.folder / f"{name}.npz").exists():
            weights, options = f"{name}.pt", EXPORTS[name]
            asked = {"conf": CONFIDENCE, "imgsz": options["imgsz"], "rect": bool(options.get("dynamic"))}
            make = {"do": "make", "name": name, "into": weights, "pictures": self._files}
            export = {"do": "export", "weights": weights, **options}
            predict = {"do": "predict", "weights": weights, "pictures": self._files, "into": f"{name}.npz", **asked}
            run_jobs([make, export, predict], self.folder)
        return np.load(self.folder / f"{name}.npz")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("exported"))


def frame_of(name: str, picture: Pixels) -> Frame:
    """How the picture lies in what the net is shown."""
    from mask_detailer.core import Size

    sides, size = EXPORTS[name]["imgsz"], Size(*picture.shape[:2])
    if EXPORTS[name].get("dynamic"):
        return frame_for(size, SIDE, 32)
    return frame_in(size, Size(*sides) if isinstance(sides, list) else Size(sides, sides))


@engines
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.by_hand) for name in EXPORTS]
)
def test_an_exported_net_finds_what_the_library_finds(exported: Exported, name: str, engine: str) -> None:
    held = exported.found(name)
    net = net_of((exported.folder / f"{name}.onnx").read_bytes(), f"{name}.onnx", {engine: ENGINES[engine]})
    count, masks = 0, 0
    for number, picture in enumerate(exported.pictures):
        theirs, frame = held[f"{number}.boxes"], frame_of(name, picture)
        things = list(net.things_in(as_image(picture), CONFIDENCE, True))
        assert len(things) == len(theirs)
        mine = np.array([[*thing.box, thing.score, int(thing.label)] for thing in things]).reshape(-1, 6)
        for row, index in zip(theirs, nearest(theirs, mine), strict=True):
            assert np.abs(row[:4] - mine[index, :4]).max() < BOX
            assert abs(row[4] - mine[index, 4]) < SCORE and row[5] == mine[index, 5]
            outline = things[index].outline
            if f"{number}.masks" in held and outline is not None:
                shown = held[f"{number}.masks"][count_of(theirs, row)] > 0
                inner = shown[frame.top :, frame.left :][: frame.inner.height, : frame.inner.width]
                mask = outline.mask.numpy()
                assert iou(mask, inner) > IOU or int((mask != inner).sum()) == 1  # a pixel of a very small one
                masks += 1
        count += len(theirs)
    assert count > 20
    assert net.has_outlines == ("seg" in name) and masks == (count if net.has_outlines else 0)


def nearest(theirs: NDArray[Any], mine: NDArray[Any]) -> list[int]:
    """For each of theirs the nearest of mine that is of its class."""
    far = np.abs(theirs[:, None, :5] - mine[None, :, :5]).max(axis=2, initial=0)
    far[theirs[:, None, 5] != mine[None, :, 5]] = np.inf
    return far.argmin(axis=1).tolist() if len(theirs) else []


def count_of(rows: NDArray[Any], row: NDArray[Any]) -> int:
    return int(np.flatnonzero((rows == row).all(axis=1))[0])


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int((one | other).sum())
    return 1.0 if union == 0 else int((one & other).sum()) / union


# --- the other kinds ----------------------------------------------------------------------------------------------

PICTURE = torch.zeros(1, 60, 80, 3)
PICTURE[..., 2] = 0.5  # blue
BOXES = np.array([[10.6, 10.2, 30.9, 40.7], [-5.0, 5, 20, 20], [40, 10, 90, 70], [1, 1, 3, 3], [50, 50, 60, 58]])


def of(file: bytes, engine: str) -> OnnxDetector:
    return OnnxDetector(net_of(file, "net.onnx", {engine: ENGINES[engine]}))


@engines
def test_labels_scores_and_boxes_become_segments_as_they_are_known(engine: str) -> None:
    """Blue comes first and less its mean; the list ends at -1; boxes are cut off to whole pixels in the picture."""
    scores, labels = np.array([0, 0.9, 0.8, 0.7, 0.6]), np.array([3, 1, 0, 2, -1])
    file = cases.retinanet(BOXES, scores, labels, open_sides=engine == "onnxruntime")
    picture = PICTURE if engine == "onnxruntime" else PICTURE[:, :32, :48]
    size, segs = of(file, engine).detect(picture, 0.25, 0, 1.0, drop_size=2)
    assert size == tuple(picture.shape[1:3])
    inside = [(10, 10, 30, 40), (0, 5, 20, 20), (40, 10, 80, 60)]
    height, width = size
    assert [seg.bbox for seg in segs] == [
        (left, top, min(right, width), min(bottom, height)) for left, top, right, bottom in inside
    ]
    assert [seg.label for seg in segs] == ["3", "1", "0"]  # the fourth is not wider than 2, the fifth ends the list
    assert [float(seg.confidence) for seg in segs] == pytest.approx([127 / 255, 0.9, 0.8], abs=1e-5)
    assert all(seg.cropped_image is None and seg.cropped_mask.min() == 1 for seg in segs)
    assert [seg.crop_region for seg in segs] == [list(seg.bbox) for seg in segs]


def test_a_list_without_an_end_is_read_to_its_end() -> None:
    scores = np.array([0, 0.9, 0.8, 0.7, 0.6])
    detector = of(cases.retinanet(BOXES, scores, np.arange(5)), "onnxruntime")
    assert [seg.label for seg in detector.detect(PICTURE, 0.0, 0, 1.0)[1]] == ["0", "1", "2", "3", "4"]
    assert [seg.label for seg in detector.detect(PICTURE, 0.7, 0, 1.0)[1]] == ["1", "2"]  # 0.7 is not above 0.7


def test_masks_grow_and_shrink_within_their_crops() -> None:
    detector = of(cases.retinanet(BOXES[-1:], np.array([0.0]), np.array([0])), "onnxruntime")

    def mask(dilation: int, factor: float) -> NDArray[np.float32]:
        return detector.detect(PICTURE, 0.1, dilation, factor)[1][0].cropped_mask

    assert mask(0, 2.0).sum() == 10 * 8 and mask(3, 2.0).sum() == 12 * 10 and mask(-3, 2.0).sum() == 8 * 6
    assert mask(-3, 1.0).sum() == 10 * 8  # it fills its crop: there is nothing to shrink from


def test_a_hook_is_asked_as_every_detector_asks_it() -> None:
    class Hook:
        def post_crop_region(self, w: int, h: int, box: Any, region: Any) -> Any:
            return [0, 0, w, h]

        def post_detection(self, segs: Any) -> Any:
            return segs[0], segs[1][:1]

    detector = of(cases.retinanet(BOXES, np.full(5, 0.9), np.arange(5)), "onnxruntime")
    (seg,) = detector.detect(PICTURE, 0.5, 0, 1.0, detailer_hook=Hook())[1]
    assert seg.crop_region == [0, 0, 80, 60] and seg.cropped_mask.sum() > 0


@engines
def test_ultraface_finds_faces_once(engine: str) -> None:
    boxes = np.array([[0.1, 0.1, 0.5, 0.6], [0.11, 0.11, 0.51, 0.6], [0.6, 0.5, 0.9, 1.1], [0, 0, 1, 1]])
    detector = of(cases.ultraface(boxes, np.array([0, 0.5, 0.8, 0.1])), engine)
    picture = torch.zeros(1, 60, 80, 3)
    picture[..., 0] = 1.0
    found = detector.detect(picture, 0.4, 0, 1.0)[1]
    assert [seg.label for seg in found] == ["face", "face"]
    assert [float(seg.confidence) for seg in found] == pytest.approx([1.0, 0.8], abs=1e-4)
    assert [seg.bbox for seg in found] == [(8, 6, 40, 36), (48, 30, 72, 60)]


def test_ssd_mobilenet_finds_what_it_counts() -> None:
    boxes, scores = np.array([[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [0, 0, 1, 1]]), np.array([0.9, 0.8, 0.7])
    for said, labels in ({}, ["18", "1"]), ({"names": '{18: \'dog\', 1: "a \\"man\\""}'}, ["dog", 'a "man"']):
        detector = of(cases.ssd_mobilenet(boxes, scores, np.array([18, 1, 7]), 2, **said), "onnxruntime")
        found = detector.detect(PICTURE, 0.5, 0, 1.0)[1]
        assert [seg.label for seg in found] == labels
        assert found[0].bbox == (16, 6, 48, 30)


def test_a_yolo_net_that_gives_each_thing_once_needs_no_choice() -> None:
    rows = np.array([[[8, 8, 24, 24, 0.9, 1], [8, 8, 24, 25, 0.8, 1], [0, 0, 9, 9, 0.1, 0], *[[0] * 6] * 7]])
    detector = of(cases.yolo(rows, task="detect", names="{0: 'face', 1: 'hand'}"), "onnxruntime")
    found = detector.detect(torch.zeros(1, 128, 128, 3), 0.5, 0, 1.0)[1]
    assert [(seg.label, seg.bbox) for seg in found] == [("hand", (16, 16, 48, 48)), ("hand", (16, 16, 48, 50))]


def test_everything_in_one_mask() -> None:
    detector = of(cases.retinanet(BOXES[:2], np.array([0, 0.9]), np.array([0, 0])), "onnxruntime")
    mask = detector.detect_combined(PICTURE, 0.25, 0)
    assert mask is not None and mask.shape == (60, 80) and mask.sum() == 20 * 30 + 20 * 15 - 10 * 10
    assert detector.detect_combined(PICTURE, 0.95, 0) is None


# --- what is refused ----------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "no file of ONNX": (lambda: b"<html>not found</html>", "no ONNX file"),
    "nothing": (lambda: b"", "no ONNX file"),
    "cut short": (lambda: cases.yolo(np.zeros((1, 6, 90)))[:-20], "cut short|damaged"),
    "poses": (lambda: cases.yolo(np.zeros((1, 56, 90)), task="pose"), "another task \\(pose\\)"),
    "a YOLOv5 net": (lambda: cases.yolo(np.zeros((1, 252, 85))), r"it takes images \[1, 3, 64, 64\] and gives output0"),
    "another number of names": (
        lambda: cases.yolo(np.zeros((1, 6, 90)), names="{0: 'a'}"),
        "no detector that is known",
    ),
    "a classifier": (lambda: cases.yolo(np.zeros((1, 1000))), r"gives output0 \[1, 1000\]"),
    "several pictures": (lambda: cases.yolo(np.zeros((1, 6, 90)), (4, 3, 64, 64)), "no detector that is known"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_files_are_refused_by_what_they_are(tmp_path: Path, kind: str) -> None:
    make, found = REFUSED[kind]
    (tmp_path / "net.onnx").write_bytes(make())
    with pytest.raises(YoloError, match=f"^net\\.onnx .*{found}") as raised:
        load_onnx(tmp_path / "net.onnx")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 600


@pytest.mark.parametrize("path", ["../secret.bin", "/etc/passwd", "weights.bin"])
@pytest.mark.parametrize("place", ["graph", "node", "graph within", "function"])
def test_no_other_file_is_opened_for_weights(tmp_path: Path, place: str, path: str) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(200))
    (tmp_path / "net.onnx").write_bytes(cases.with_weights_outside(place, path))
    with pytest.raises(YoloError, match=r"^net\.onnx keeps its weights in another file, which is not opened"):
        load_onnx(tmp_path / "net.onnx")


def test_broken_files_are_refused() -> None:
    """What is said of a net, in 400 broken copies: it is read, or refused."""
    whole = cases.retinanet(BOXES, np.full(5, 0.9), np.arange(5))
    dice, refused = random.Random(0), 0
    for _ in range(400):
        made = bytearray(whole if dice.random() < 0.8 else whole[: dice.randrange(len(whole))])
        for _ in range(dice.choice((1, 2, 8))):
            made[dice.randrange(len(made) or 1) : 1 + dice.randrange(len(made) or 1)] = bytes([dice.randrange(256)])
        try:
            read_header(bytes(made))
        except OnnxHeaderError:
            refused += 1
    assert refused > 100


def test_graphs_within_graphs_without_end_are_refused() -> None:
    inner = b""
    for _ in range(200):  # a node's attribute that is a graph of a node ...
        attribute = field(6, field(1, field(5, inner)))
        inner = attribute
    with pytest.raises(OnnxHeaderError, match="without end"):
        read_header(field(7, field(1, field(5, inner))))


def field(number: int, value: bytes) -> bytes:
    """A field of a protocol buffer."""
    length, made = len(value), bytearray([number << 3 | 2])
    while length > 127:
        made.append(length & 127 | 128)
        length >>= 7
    return bytes(made) + bytes([length]) + value


def test_who_can_run_it_is_asked_in_turn(told: pytest.LogCaptureFixture) -> None:
    file = cases.retinanet(BOXES, np.full(5, 0.9), np.arange(5))

    def missing(file: bytes, header: object) -> Any:
        raise ImportError

    def unable(file: bytes, header: object) -> Any:
        raise RuntimeError("unknown layer\nNonMaxSuppression")

    both: Mapping[str, Any] = {"none": missing, "OpenCV": unable, "onnxruntime": ENGINES["onnxruntime"]}
    assert net_of(file, "net.onnx", both).source == "net.onnx"
    assert "net.onnx can't be run by OpenCV" in told.text
    with pytest.raises(YoloError, match=r"net\.onnx can't be run: OpenCV says unknown layer NonMaxSuppression\. Use"):
        net_of(file, "net.onnx", {"none": missing, "OpenCV": unable})


def test_a_net_is_kept_while_its_file_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(cases.retinanet(BOXES, np.full(5, 0.9), np.arange(5)))
    first = load_onnx(path)
    assert load_onnx(path) is first
    path.write_bytes(cases.retinanet(BOXES[:2], np.full(2, 0.9), np.arange(2)))
    assert load_onnx(path) is not first
    path.unlink()
    with pytest.raises(YoloError, match="can't be read"):
        load_onnx(path)
