"""Who is asked for what, and how what they find is put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.core import SEG, Size
from mask_detailer.detailer import host
from mask_detailer.detailer.detection.detect import (
    DetectionSettings,
    Detector,
    Finders,
    FindSettings,
    Sam,
    SamSettings,
    detect_faces,
    detect_simple,
    sam_mask,
    sam_masks,
)

IMAGE = torch.rand(1, 32, 32, 4)
BBOX, SEGM = DetectionSettings(0.5, 1, 2.0, 5), DetectionSettings(0.3, 0, 2.0, 5)
ASKED = FindSettings(BBOX, SEGM, SamSettings("center-1", 0.9))
HOOK: Any = object()


def one(label: str, x1: int = 8, x2: int = 24) -> SEG:
    mask = np.zeros((32, 32), np.float32)
    mask[8:24, x1:x2] = 1.0
    return SEG(None, mask, 0.9, [0, 0, 32, 32], [x1, 8, x2, 24], label)


class Found:
    """A detector of any pack that finds one thing."""

    def __init__(self, label: str, x1: int = 8, x2: int = 24, **more: Any) -> None:
        self.segs = ((32, 32), [one(label, x1, x2)])
        self.asked: list[Any] = []
        self.aux: list[Any] = []
        vars(self).update(more)

    def detect(self, *given: Any, detailer_hook: Any = None) -> Any:
        image, *settings = given
        assert image.shape == (1, 32, 32, 3)
        self.asked.append((DetectionSettings(*settings), detailer_hook))
        return self.segs

    def setAux(self, text: Any) -> None:
        self.aux.append(text)


def dressed(detector: Any) -> Detector:
    read: Any = lambda segs: segs  # noqa: E731
    return Detector(detector, read, lambda mask, size: mask)


class Wrapper:
    """A SAM that finds the right half of the picture, whatever it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def predict(self, image: np.ndarray, points: Any, labels: Any, box: Any, threshold: float) -> Any:
        assert image.shape == (32, 32, 3) and image.dtype == np.uint8
        self.asked.append((points, labels, box, threshold))
        return [np.arange(32)[None].repeat(32, 0) >= 16]


def sam(wrapper: Any) -> Sam:
    def read(mask: Any, size: Size) -> torch.Tensor:
        return torch.from_numpy(mask).float()[None]

    return Sam(wrapper, read)


@pytest.fixture(autouse=True)
def not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.devices, "check_interrupted", lambda: None)


def columns(segs: Any) -> list[int]:
    """Which columns the only segment's mask covers: the first, and the one after the last."""
    (found,) = segs[1]
    covered = np.flatnonzero(np.asarray(found.cropped_mask).max(axis=0) > 0.5)
    return [int(covered[0]), int(covered[-1]) + 1]


# --- faces --------------------------------------------------------------------------------------------------------


def test_faces_are_looked_for_and_forgotten() -> None:
    boxes = Found("face")
    assert detect_faces(IMAGE, Finders(dressed(boxes)), ASKED, HOOK) == boxes.segs
    assert boxes.aux == ["face", None] and boxes.asked == [(BBOX, HOOK)]


def test_an_error_forgets_them_too() -> None:
    class Broken(Found):
        def detect(self, *given: Any, detailer_hook: Any = None) -> Any:
            raise ValueError("broken")

    boxes = Broken("face")
    with pytest.raises(ValueError, match="broken"):
        detect_faces(IMAGE, Finders(dressed(boxes)), ASKED)
    assert boxes.aux == ["face", None]


def test_a_segm_detector_limits_the_masks_and_sees_no_hook() -> None:
    boxes, outlines = Found("face"), Found("outline", 12, 20)
    segs = detect_faces(IMAGE, Finders(dressed(boxes), dressed(outlines)), ASKED, HOOK)
    assert columns(segs) == [12, 20] and segs[1][0].label == "face"
    assert outlines.asked == [(SEGM, None)]


@pytest.mark.parametrize(("overrides", "label"), [(True, "outline"), (False, "face")])
def test_a_segm_detector_that_replaces_the_boxes(overrides: bool, label: str) -> None:
    outlines = Found("outline", override_bbox_by_segm=overrides)
    segs = detect_faces(IMAGE, Finders(dressed(Found("face")), dressed(outlines)), ASKED, None)
    assert segs[1][0].label == label
    forbidden = detect_faces(IMAGE, Finders(dressed(Found("face")), dressed(outlines)), ASKED, HOOK)
    assert forbidden[1][0].label == "face"  # a hook without the attribute forbids it


def test_sam_goes_before_a_segm_detector() -> None:
    outlines, wrapper = Found("outline", 12, 20), Wrapper()
    segs = detect_faces(IMAGE, Finders(dressed(Found("face")), dressed(outlines), sam(wrapper)), ASKED)
    assert columns(segs) == [16, 24] and not outlines.asked
    ((points, labels, box, threshold),) = wrapper.asked
    assert (points, labels, box, threshold) == ([(16.0, 16.0)], [1], [8.0, 8.0, 24.0, 24.0], 0.9)


# --- the simple detector ------------------------------------------------------------------------------------------


def test_both_detectors_see_the_hook() -> None:
    boxes, outlines = Found("box"), Found("outline", 12, 20)
    segs = detect_simple(IMAGE, Finders(dressed(boxes), dressed(outlines)), ASKED, HOOK)
    assert columns(segs) == [12, 20] and not boxes.aux
    assert boxes.asked == [(BBOX, HOOK)] and outlines.asked == [(SEGM, HOOK)]


def test_a_segm_detector_that_does_the_boxes_work() -> None:
    boxes = Found("box")
    outlines = Found("outline", 12, 20, bbox_detector=boxes)
    assert detect_simple(IMAGE, Finders(dressed(boxes), dressed(outlines), sam(Wrapper())), ASKED) == outlines.segs
    assert not boxes.asked


def test_masks_are_dilated_last() -> None:
    settings = FindSettings(BBOX, SEGM, ASKED.sam, post_dilation=3)
    finders = Finders(dressed(Found("box")), sam=sam(Wrapper()))
    assert columns(detect_simple(IMAGE, finders, ASKED)) == [16, 24]
    assert columns(detect_simple(IMAGE, finders, settings)) == [15, 25]


# --- detectors and SAM of any pack --------------------------------------------------------------------------------


def test_a_detector_without_a_hook_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    class Plain:
        def detect(self, image: Any, threshold: Any, dilation: Any, crop_factor: Any, drop_size: Any = 1) -> Any:
            return (32, 32), [one("a"), one("b")._replace(crop_region=[4, 4, 4, 9])]

    segs = dressed(Plain()).detect(IMAGE, BBOX, HOOK)
    assert [found.label for found in segs[1]] == ["a"]  # the other has no pixel
    assert "a Plain takes no detailer_hook" in caplog.text and "1 detections without a pixel" in caplog.text


def test_everything_in_one_mask() -> None:
    assert dressed(Found("a", 12, 20)).detect_combined(IMAGE, BBOX)[0, 16].nonzero()[0].item() == 12

    class Combined(Found):
        def detect_combined(self, image: Any, threshold: float, dilation: int) -> Any:
            assert (threshold, dilation) == (0.5, 1)
            return None

    assert torch.equal(dressed(Combined("a")).detect_combined(IMAGE, BBOX), torch.zeros(1, 32, 32))


def test_sam_one_by_one_and_at_once() -> None:
    segs: Any = ((32, 32), [one("a"), one("b")])
    union, each = sam_masks(IMAGE, segs, sam(Wrapper()), SamSettings("center-1", 0.9, dilation=3))
    assert each.shape == (2, 32, 32) and int(each[0, 0].sum()) == 16  # not dilated
    assert torch.equal(union, sam_mask(IMAGE, segs, sam(Wrapper()), SamSettings("center-1", 0.9, dilation=3)))
    assert int(union[0, 0].sum()) == 17
    wrapper = Wrapper()
    _, each = sam_masks(IMAGE, segs, sam(wrapper), SamSettings("mask-points", 0.9))
    assert each.shape == (2, 32, 32) and len(wrapper.asked) == 1
    assert sam_masks(IMAGE, ((32, 32), []), sam(wrapper), SamSettings("center-1", 0.9))[1].shape == (1, 32, 32)


def test_sams_device_is_given_back_on_an_error() -> None:
    events: list[str] = []

    class Broken(Wrapper):
        def prepare_device(self) -> None:
            events.append("prepared")

        def release_device(self) -> None:
            events.append("released")

        def predict(self, *given: Any) -> Any:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        sam_mask(IMAGE, ((32, 32), [one("a")]), sam(Broken()), SamSettings("center-1", 0.9))
    assert events == ["prepared", "released"]


def test_who_writes_into_the_picture_writes_into_a_copy() -> None:
    class Writer:
        def detect(self, image: torch.Tensor, *settings: Any, detailer_hook: Any = None) -> Any:
            image.fill_(7.0)
            return (32, 32), [one("a")]

        def detect_combined(self, image: torch.Tensor, *settings: Any) -> None:
            image.fill_(7.0)

    class WritingSam:
        seen: list[int] = []

        def predict(self, pixels: np.ndarray, *given: Any) -> list[np.ndarray]:
            self.seen.append(int(pixels[0, 0, 0]))
            pixels.fill(9)
            return [np.ones((32, 32), np.float32)]

    image = torch.full((1, 32, 32, 3), 0.5)
    dressed(Writer()).detect(image, BBOX)
    dressed(Writer()).detect_combined(image, BBOX)
    sam: Any = WritingSam()
    two = (32, 32), [one("a"), one("b")]
    sam_mask(image, two, Sam(sam, lambda mask, size: torch.from_numpy(mask)[None]), ASKED.sam)
    assert bool((image == 0.5).all()) and sam.seen == [128, 128]
