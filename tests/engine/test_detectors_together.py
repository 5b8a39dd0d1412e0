"""Detectors together: rectangles limited by outlines or by SAM, and what FaceDetailer asks of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine.discs import DISCS, SIMPLE, SIZE, WIDGETS, by_name, pipe_of, rectangle, whole
from engine.running import Recorder
from mask_detailer.core import SEGS, bbox, crop_region
from mask_detailer.detailer.detection.detect import DetectionSettings, Finders, FindSettings, SamSettings, detect_faces
from mask_detailer.detailer.hooks.builtin import LabelFilterHook
from mask_detailer.nodes.detectors import ImpactSimpleDetectorSEGS, ImpactSimpleDetectorSEGSPipe
from mask_detailer.nodes.door import Door
from scipy.ndimage import maximum_filter
from support.detectors import (
    BoxDetector,
    Disc,
    FloodSam,
    FoundSEG,
    GivenDetector,
    MinSizeDetector,
    OutlineDetector,
    OverridingDetector,
    SamModel,
    WorldDetector,
    drawn,
)


@pytest.fixture
def image() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[0]


@pytest.fixture
def covers() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[1]


def test_rectangles_alone(image: torch.Tensor) -> None:
    detector = BoxDetector()
    (segs,) = ImpactSimpleDetectorSEGS().doit(detector, image, **SIMPLE)
    assert detector.calls == [WIDGETS | {"detailer_hook": None}] and detector.aux == []
    assert all(torch.equal(whole(seg), rectangle(seg)) for seg in segs[1]) and len(segs[1]) == 3


def test_rectangles_limited_by_outlines(image: torch.Tensor, covers: torch.Tensor) -> None:
    """The smaller value of rectangle and union of outlines; boxes stay."""
    boxes, outlines = BoxDetector(), OutlineDetector()
    (segs,) = ImpactSimpleDetectorSEGS().doit(boxes, image, **SIMPLE, segm_detector_opt=outlines)
    assert outlines.calls == [WIDGETS | {"threshold": 0.6, "detailer_hook": None}]
    for seg, before in zip(segs[1], boxes.detect(image, **WIDGETS)[1], strict=True):
        assert torch.equal(whole(seg), torch.minimum(rectangle(before), covers.amax(dim=0)))
        assert crop_region(seg) == crop_region(before) and bbox(seg) == bbox(before)
        assert seg.confidence is not None and seg.label == before.label


def test_soft_masks_take_the_smaller_value() -> None:
    """200 and 100 of 255, whose bits have only 64 in common."""
    crop = [10, 10, 20, 20]
    masks = [np.full((10, 10), value / 255, np.float32) for value in (200, 100)]
    soft = [FoundSEG(None, mask, 1.0, crop, crop, "A", "wrapper") for mask in masks]
    one, other = (GivenDetector((SIZE, [seg])) for seg in soft)
    (segs,) = ImpactSimpleDetectorSEGS().doit(one, torch.zeros(1, *SIZE, 3), **SIMPLE, segm_detector_opt=other)
    assert np.array_equal(segs[1][0].cropped_mask, soft[1].cropped_mask)
    assert segs[1][0].control_net_wrapper is None
    assert np.all(soft[0].cropped_mask == np.float32(200 / 255))


def test_neighbours_stay_and_what_became_empty_too() -> None:
    pair = [Disc(40, 40, 10, "red"), Disc(62, 40, 10, "green"), Disc(100, 80, 9, "blue", 0.55)]
    image, covers = drawn(*SIZE, pair)
    widgets = SIMPLE | {"bbox_dilation": 17}
    (segs,) = ImpactSimpleDetectorSEGS().doit(BoxDetector(), image, **widgets, segm_detector_opt=OutlineDetector())
    found = by_name(segs)
    assert set(found) == {"red", "green", "blue"}
    assert whole(found["red"])[covers[1] > 0].max() == 1.0
    assert whole(found["blue"]).max() == 0.0  # its outline's confidence is under sub_threshold


@pytest.mark.parametrize("with_segm", [False, True])
def test_sam_goes_before_segm(image: torch.Tensor, covers: torch.Tensor, with_segm: bool) -> None:
    wrapper, outlines = FloodSam(), OutlineDetector()
    more: dict[str, Any] = {"segm_detector_opt": outlines} if with_segm else {}
    (segs,) = ImpactSimpleDetectorSEGS().doit(
        BoxDetector(), image, **SIMPLE | {"sub_bbox_expansion": 4}, sam_model_opt=SamModel(wrapper), **more
    )
    assert outlines.calls == []
    for seg, (points, labels, box, threshold) in zip(segs[1], wrapper.asked, strict=True):
        x1, y1, x2, y2 = map(float, seg.bbox)
        assert (points, labels, threshold) == ([((x1 + x2) / 2, (y1 + y2) / 2)], [1], 0.6)
        assert box == [x1 - 4, y1 - 4, x2 + 4, y2 + 4]
        assert torch.equal(whole(seg), ((rectangle(seg) > 0) & (covers.amax(dim=0) >= 0.5)).float())


def test_sub_dilation_grows_what_sam_finds(image: torch.Tensor) -> None:
    masks = []
    for dilation in (0, 5):
        (segs,) = ImpactSimpleDetectorSEGS().doit(
            BoxDetector(), image, **SIMPLE | {"sub_dilation": dilation, "bbox_dilation": 30},
            sam_model_opt=SamModel(FloodSam()),
        )  # fmt: skip
        masks.append(whole(by_name(segs)["red"])[:45, :45])
    assert np.array_equal(masks[1], maximum_filter(masks[0], 5, mode="constant"))


def test_a_segm_detector_with_the_bbox_detector_in_it_does_all(image: torch.Tensor, covers: torch.Tensor) -> None:
    world, wrapper = WorldDetector(), FloodSam()
    (segs,) = ImpactSimpleDetectorSEGS().doit(
        world.bbox_detector, image, **SIMPLE, segm_detector_opt=world, sam_model_opt=SamModel(wrapper)
    )
    assert world.bbox_detector.calls == [] and wrapper.events == []
    assert world.calls == [WIDGETS | {"threshold": 0.6, "detailer_hook": None}]
    assert torch.equal(whole(by_name(segs)["red"]), covers[0])
    ImpactSimpleDetectorSEGS().doit(BoxDetector(), image, **SIMPLE, segm_detector_opt=world)
    assert len(world.calls) == 2 and world.bbox_detector.calls == []


@pytest.mark.parametrize("node", [ImpactSimpleDetectorSEGS, ImpactSimpleDetectorSEGSPipe])
def test_post_dilation(image: torch.Tensor, node: Any) -> None:
    detector = WorldDetector() if node is ImpactSimpleDetectorSEGSPipe else BoxDetector()
    given = {"bbox_detector": detector}
    if node is ImpactSimpleDetectorSEGSPipe:
        given = {"detailer_pipe": pipe_of(bbox_detector=detector.bbox_detector, segm_detector=detector)}
    (before,) = node().doit(**given, image=image, **SIMPLE)
    (after,) = node().doit(**given, image=image, **SIMPLE, post_dilation=7)
    for one, other in zip(before[1], after[1], strict=True):
        assert np.array_equal(other.cropped_mask, maximum_filter(one.cropped_mask, 7, mode="constant"))
        assert crop_region(one) == crop_region(other)


def test_pipe_gives_its_hook_to_both(image: torch.Tensor) -> None:
    boxes, outlines, hook = BoxDetector(), OutlineDetector(), Recorder()
    pipe = pipe_of(bbox_detector=boxes, segm_detector=outlines, detailer_hook=hook)
    (segs,) = ImpactSimpleDetectorSEGSPipe().doit(pipe, image, **SIMPLE)
    assert boxes.calls == [WIDGETS | {"detailer_hook": hook}]
    assert outlines.calls == [WIDGETS | {"threshold": 0.6, "detailer_hook": hook}]
    assert hook.names == (["post_crop_region"] * 3 + ["post_detection"]) * 2
    (plain,) = ImpactSimpleDetectorSEGS().doit(BoxDetector(), image, **SIMPLE, segm_detector_opt=OutlineDetector())
    assert all(np.array_equal(one.cropped_mask, two.cropped_mask) for one, two in zip(segs[1], plain[1], strict=True))


# --- what FaceDetailer asks for -----------------------------------------------------------------------------------

FACES = DetectionSettings(0.5, 0, 2.0, 5)
ASKS = FindSettings(FACES, FACES, SamSettings("center-1", 0.9))


def faces(image: Any, boxes: Any, segm: Any = None, sam: Any = None, hook: Any = None) -> SEGS:
    door = Door("FaceDetailer")
    return detect_faces(
        image,
        Finders(
            door.detector(boxes, "BBOX_DETECTOR", "bbox_detector"),
            door.optional_detector(segm, "SEGM_DETECTOR", "segm_detector_opt", needed=sam is None),
            door.optional_sam(sam),
        ),
        ASKS,
        hook,
    )


def test_faces_are_asked_for_and_forgotten(image: torch.Tensor) -> None:
    boxes = BoxDetector()
    assert len(faces(image, boxes)[1]) == 3
    assert boxes.aux == ["face", None]
    assert len(faces(image, MinSizeDetector())[1]) == 3  # it has no setAux

    class Fails(BoxDetector):
        def detect(self, *given: Any, **more: Any) -> Any:
            raise RuntimeError("the detector fails")

    boxes = Fails()
    with pytest.raises(RuntimeError, match="the detector fails"):
        faces(image, boxes)
    assert boxes.aux == ["face", None]


def test_segm_detector_gets_the_bbox_settings_and_no_hook(image: torch.Tensor, covers: torch.Tensor) -> None:
    boxes, outlines, hook = BoxDetector(), OutlineDetector(), Recorder()
    segs = faces(image, boxes, outlines, hook=hook)
    assert boxes.calls == [WIDGETS | {"detailer_hook": hook}]
    assert outlines.calls == [WIDGETS | {"detailer_hook": None}] and outlines.aux == []
    assert hook.names == ["post_crop_region"] * 3 + ["post_detection"]
    assert torch.equal(whole(by_name(segs)["red"]), torch.minimum(rectangle(by_name(segs)["red"]), covers[0]))


def test_filter_hooks_act_before_refinement(image: torch.Tensor) -> None:
    wrapper = FloodSam()
    segs = faces(image, BoxDetector(), sam=SamModel(wrapper), hook=LabelFilterHook(["blue"]))
    assert set(by_name(segs)) == {"blue"} and len(wrapper.asked) == 1


class Allows(Recorder):
    override_bbox_by_segm = False


@pytest.mark.parametrize(
    ("hook", "segm", "replaced"),
    [
        (None, OverridingDetector, True), (Recorder, OverridingDetector, False), (Allows, OverridingDetector, True),
        (None, OutlineDetector, False), (Allows, OutlineDetector, False),
    ],
)  # fmt: skip
def test_segm_replaces_bbox(image: torch.Tensor, hook: Any, segm: Any, replaced: bool) -> None:
    """Only the attribute's being there counts on a hook, its value doesn't."""
    detector = segm()
    segs = faces(image, GivenDetector((SIZE, [])), detector, hook=hook and hook())
    assert len(segs[1]) == (3 if replaced else 0)
    with_sam = faces(image, GivenDetector((SIZE, [])), detector, SamModel(FloodSam()), hook and hook())
    assert with_sam[1] == []
