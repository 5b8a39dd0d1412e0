"""The detector nodes with small real detectors on drawn pictures: what is on them is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine.running import Recorder
from mask_detailer.core import SEGS, Region, bbox, crop_region, seg_mask
from mask_detailer.detailer.detection.detect import (
    HINTS,
    DetectionSettings,
    Finders,
    FindSettings,
    SamSettings,
    detect_faces,
)
from mask_detailer.detailer.hooks.builtin import LabelFilterHook
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.detectors import (
    BboxDetectorCombined_v2,
    BboxDetectorSEGS,
    ImpactSimpleDetectorSEGS,
    ImpactSimpleDetectorSEGSPipe,
    SAMDetectorCombined,
    SAMDetectorSegmented,
    SegmDetectorCombined_v2,
    SegmDetectorSEGS,
)
from mask_detailer.nodes.door import Door
from mask_detailer.nodes.validate import InputError
from scipy.ndimage import maximum_filter
from support.detectors import (
    BoxDetector,
    Disc,
    FloodSam,
    FoundSEG,
    GivenDetector,
    HooklessDetector,
    MinSizeDetector,
    NoDetector,
    OutlineDetector,
    OverridingDetector,
    SamModel,
    WorldDetector,
    drawn,
)

SIZE = (96, 128)
DISCS = [Disc(30, 30, 12, "red"), Disc(90, 28, 10, "green"), Disc(60.5, 70, 14, "blue")]
WIDGETS: dict[str, Any] = dict(threshold=0.5, dilation=0, crop_factor=2.0, drop_size=5)
SIMPLE: dict[str, Any] = dict(
    bbox_threshold=0.5, bbox_dilation=0, crop_factor=2.0, drop_size=5, sub_threshold=0.6, sub_dilation=0,
    sub_bbox_expansion=0, sam_mask_hint_threshold=0.7,
)  # fmt: skip
SAM: dict[str, Any] = dict(
    detection_hint="center-1", dilation=0, threshold=0.9, bbox_expansion=0, mask_hint_threshold=0.7,
    mask_hint_use_negative="False",
)  # fmt: skip
SEGS_NODES = ((BboxDetectorSEGS, "bbox_detector"), (SegmDetectorSEGS, "segm_detector"))
MASK_NODES = ((BboxDetectorCombined_v2, "bbox_detector"), (SegmDetectorCombined_v2, "segm_detector"))
PIPE_OF_PARTS = 14


@pytest.fixture
def scene() -> tuple[torch.Tensor, torch.Tensor]:
    return drawn(*SIZE, DISCS)


@pytest.fixture
def image(scene: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return scene[0]


@pytest.fixture
def covers(scene: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return scene[1]


def by_name(segs: SEGS) -> dict[str, Any]:
    return {seg.label: seg for seg in segs[1]}


def pipe_of(**parts: Any) -> tuple[Any, ...]:
    names = {"bbox_detector": 6, "segm_detector": 7, "sam_model": 8, "detailer_hook": 9}
    pipe: list[Any] = [None] * PIPE_OF_PARTS
    for name, part in parts.items():
        pipe[names[name]] = part
    return tuple(pipe)


def whole(seg: Any) -> torch.Tensor:
    """A segment's mask on the picture, ``[H,W]``."""
    canvas = torch.zeros(SIZE)
    canvas[crop_region(seg).slices] = seg_mask(seg)[0]
    return canvas


def rectangle(seg: Any) -> torch.Tensor:
    """The mask the box detector gave it: both corners are in it."""
    canvas = torch.zeros(SIZE)
    box = bbox(seg)
    canvas[box.y1 : box.y2 + 1, box.x1 : box.x2 + 1] = 1.0
    return canvas


# --- segments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("node", "name"), SEGS_NODES)
def test_segs_are_the_detectors_own(image: torch.Tensor, node: Any, name: str) -> None:
    detector = BoxDetector()
    (segs,) = node().doit(**{name: detector}, image=image, **WIDGETS, labels="all")
    assert segs[0] == SIZE and sorted(by_name(segs)) == ["blue", "green", "red"]
    assert detector.calls == [WIDGETS | {"detailer_hook": None}]
    assert [seg.label for seg in segs[1]] == [seg.label for seg in detector.detect(image, **WIDGETS)[1]]
    assert all(type(seg) is FoundSEG for seg in segs[1])


def test_outlines_are_exact(image: torch.Tensor, covers: torch.Tensor) -> None:
    (segs,) = SegmDetectorSEGS().doit(OutlineDetector(), image, **WIDGETS)
    for disc, cover in zip(DISCS, covers, strict=True):
        assert torch.equal(whole(by_name(segs)[disc.label]), cover)


@pytest.mark.parametrize(("node", "name"), SEGS_NODES)
@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ("red", "red"), ("red, green", "red green"), ("Red", ""), ("blue,all", "red green blue"),
        ("", "red green blue"),
        (" \n", "red green blue"), (None, "red green blue"), ("eyes", ""),
    ],
)  # fmt: skip
def test_labels(image: torch.Tensor, node: Any, name: str, labels: Any, kept: str) -> None:
    (segs,) = node().doit(**{name: BoxDetector()}, image=image, **WIDGETS, labels=labels)
    assert set(by_name(segs)) == set(kept.split()) and segs[0] == SIZE


@pytest.mark.parametrize(("node", "name"), SEGS_NODES)
def test_hook_goes_by_keyword(image: torch.Tensor, node: Any, name: str) -> None:
    """By its place it would be another pack's sixth argument, and never be called."""
    hook, detector = Recorder(), MinSizeDetector()
    node().doit(**{name: detector}, image=image, **WIDGETS, detailer_hook=hook)
    assert detector.crop_min_sizes == [None] and detector.inner.calls[0]["detailer_hook"] is hook
    assert hook.names == ["post_crop_region"] * 3 + ["post_detection"]
    assert hook.seen["post_crop_region"][0][:2] == (SIZE[1], SIZE[0])


def test_hook_comes_before_labels(image: torch.Tensor) -> None:
    keeps, hook = LabelFilterHook(["red", "green"]), Recorder()
    (segs,) = BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS, labels="green,blue", detailer_hook=keeps)
    assert set(by_name(segs)) == {"green"}
    BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS, labels="green", detailer_hook=hook)
    assert len(hook.all("post_detection")[0][1]) == 3


def test_detector_without_hook(image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    (segs,) = BboxDetectorSEGS().doit(HooklessDetector(), image, **WIDGETS)
    assert len(segs[1]) == 3 and not told.records
    BboxDetectorSEGS().doit(HooklessDetector(), image, **WIDGETS, detailer_hook=Recorder())
    assert "HooklessDetector takes no detailer_hook" in told.text


def test_alpha_is_not_shown(image: torch.Tensor) -> None:
    """A picture's alpha would be a colour to a detector."""
    rgba = torch.cat([image, torch.ones(1, *SIZE, 1)], dim=-1)
    seen: list[Any] = []

    class Looks(BoxDetector):
        def detect(self, image: torch.Tensor, *settings: Any, **more: Any) -> Any:
            seen.append(image.shape)
            return super().detect(image, *settings, **more)

    assert len(BboxDetectorSEGS().doit(Looks(), rgba, **WIDGETS)[0][1]) == 3
    assert seen == [(1, *SIZE, 3)]


# --- masks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("node", "name"), MASK_NODES)
def test_nothing_found_is_a_black_mask(node: Any, name: str) -> None:
    """On a picture that is not square, the known way gives height for width."""
    (mask,) = node().doit(**{name: BoxDetector()}, image=torch.zeros(1, *SIZE, 3), threshold=0.5, dilation=0)
    assert torch.equal(mask, torch.zeros(1, *SIZE))


@pytest.mark.parametrize(("node", "name"), MASK_NODES)
def test_combined_mask(image: torch.Tensor, covers: torch.Tensor, node: Any, name: str) -> None:
    (mask,) = node().doit(**{name: OutlineDetector()}, image=image, threshold=0.5, dilation=0)
    assert torch.equal(mask, covers.amax(dim=0, keepdim=True))
    (mask,) = node().doit(**{name: OutlineDetector()}, image=image, threshold=0.5, dilation=3)
    assert np.array_equal(mask[0], maximum_filter(covers.amax(dim=0), 3, mode="constant"))


@pytest.mark.parametrize("dilation", [0, 5])
def test_detector_without_combined_mask(image: torch.Tensor, dilation: int) -> None:
    (mask,) = BboxDetectorCombined_v2().doit(MinSizeDetector(), image, 0.5, dilation)
    (wanted,) = BboxDetectorCombined_v2().doit(BoxDetector(), image, 0.5, dilation)
    assert torch.equal(mask, wanted) and mask.sum() > 1000


@pytest.mark.parametrize(
    "form",
    [
        lambda mask: mask[None], lambda mask: mask[None, None], lambda mask: mask.numpy(), lambda mask: mask.half(),
        lambda mask: torch.stack([mask, mask * 0.5])[:, None], lambda mask: mask * 1.2, lambda mask: mask.double(),
        lambda mask: torch.where(mask > 0, mask, torch.nan),
    ],
    ids=["3-D", "4-D", "numpy", "half", "frames", "above 1", "double", "NaN"],
)  # fmt: skip
def test_masks_of_any_form(form: Any) -> None:
    hard = torch.zeros(SIZE)
    hard[20:40, 50:90] = 1.0
    (mask,) = SegmDetectorCombined_v2().doit(GivenDetector(mask=form(hard)), torch.zeros(1, *SIZE, 3), 0.5, 0)
    assert mask.dtype == torch.float32 and torch.equal(mask, hard[None])


def test_mask_of_another_size_is_moved() -> None:
    small = torch.zeros(SIZE[0] // 2, SIZE[1] // 2)
    small[:, 32:] = 1.0
    (mask,) = SegmDetectorCombined_v2().doit(GivenDetector(mask=small), torch.zeros(1, *SIZE, 3), 0.5, 0)
    assert mask.shape == (1, *SIZE) and mask[..., :62].max() == 0 and mask[..., 66:].min() == 1
    (mask,) = SegmDetectorCombined_v2().doit(GivenDetector(mask=torch.zeros(0, 0)), torch.zeros(1, *SIZE, 3), 0.5, 0)
    assert torch.equal(mask, torch.zeros(1, *SIZE))


# --- both together ------------------------------------------------------------------------------------------------


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


# --- SAM ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("negative", ["False", "Small", "Outter"])
def test_sam_finds_the_discs(image: torch.Tensor, covers: torch.Tensor, hint: str, negative: str) -> None:
    """A flood in a disc finds all of it; one around it, from black, takes nothing of it away."""
    (segs,) = SegmDetectorSEGS().doit(OutlineDetector(), image, **WIDGETS)
    wrapper = FloodSam()
    widgets = SAM | {"detection_hint": hint, "mask_hint_threshold": 0.99, "mask_hint_use_negative": negative}
    (mask,) = SAMDetectorCombined().doit(SamModel(wrapper), segs, image, **widgets)
    wanted = covers.amax(dim=0, keepdim=True) >= 0.5
    assert mask.dtype == torch.float32 and torch.equal(mask, wanted.float())
    assert wrapper.events == ["prepare", *["predict"] * (1 if hint == "mask-points" else 3), "release"]
    assert wrapper.seen.dtype == np.uint8 and np.array_equal(wrapper.seen, (image[0] * 255).round().byte())


@pytest.mark.parametrize("hint", ["center-1", "mask-points"])
def test_one_mask_a_segment(image: torch.Tensor, covers: torch.Tensor, hint: str) -> None:
    """SAM gives one mask a segment here; the known way puts any three in one."""
    (segs,) = BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS)
    union, each = SAMDetectorSegmented().doit(
        SamModel(FloodSam()), segs, image, **SAM | {"dilation": 5, "detection_hint": hint}
    )
    hard = (covers >= 0.5).float()
    assert each.shape == (3, 1, *SIZE) and each.dtype == torch.float32
    for seg, mask in zip(segs[1], each, strict=True):
        alone = hard[[disc.label for disc in DISCS].index(seg.label)]
        assert torch.equal(mask[0], alone if hint == "center-1" else hard.amax(dim=0))
    assert union.shape == (1, *SIZE)
    assert np.array_equal(union[0], maximum_filter(hard.amax(dim=0), 5, mode="constant"))


@pytest.mark.parametrize("empty", [((0, 0), []), (SIZE, [])], ids=["no size", "known size"])
def test_no_segments_are_black_masks(image: torch.Tensor, empty: Any) -> None:
    for hint in ("center-1", "mask-points"):
        wrapper = FloodSam()
        given = SamModel(wrapper), empty, image
        (mask,) = SAMDetectorCombined().doit(*given, **SAM | {"detection_hint": hint})
        union, each = SAMDetectorSegmented().doit(*given, **SAM | {"detection_hint": hint})
        assert torch.equal(mask, torch.zeros(1, *SIZE)) and torch.equal(union, mask)
        assert torch.equal(each, torch.zeros(1, 1, *SIZE))
        assert wrapper.events == []


def test_sam_that_finds_nothing(image: torch.Tensor) -> None:
    class Blind(FloodSam):
        def predict(self, *given: Any) -> Any:
            return None if super().predict(*given) and len(self.asked) == 2 else []

    (segs,) = BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS)
    union, each = SAMDetectorSegmented().doit(SamModel(Blind()), segs, image, **SAM)
    assert torch.equal(each, torch.zeros(3, 1, *SIZE)) and torch.equal(union, torch.zeros(1, *SIZE))


def test_segments_of_another_size_are_moved(image: torch.Tensor) -> None:
    box = [10, 10, 19, 19]
    half = ((SIZE[0] // 2, SIZE[1] // 2), [FoundSEG(None, np.ones((9, 9), np.float32), 1.0, box, box, "red", None)])
    wrapper = FloodSam()
    (mask,) = SAMDetectorCombined().doit(SamModel(wrapper), half, image, **SAM)
    assert wrapper.asked[0][:3] == ([(29.0, 29.0)], [1], [20.0, 20.0, 38.0, 38.0])
    assert mask[0, 30, 30] == 1 and mask[0, 28, 90] == 0


@pytest.mark.parametrize("node", [SAMDetectorCombined, SAMDetectorSegmented])
def test_device_is_released_on_errors_and_interrupts(image: torch.Tensor, node: Any) -> None:
    import comfy.model_management as management

    (segs,) = BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS)
    wrapper = FloodSam(fails=True)
    with pytest.raises(RuntimeError, match="the model fails"):
        node().doit(SamModel(wrapper), segs, image, **SAM)
    assert wrapper.events == ["prepare", "predict", "release"]

    class Interrupts(FloodSam):
        def predict(self, *given: Any) -> Any:
            management.interrupt_current_processing()
            return super().predict(*given)

    wrapper = Interrupts()
    with pytest.raises(management.InterruptProcessingException):
        node().doit(SamModel(wrapper), segs, image, **SAM)
    assert wrapper.events == ["prepare", "predict", "release"]


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


# --- what goes wrong ----------------------------------------------------------------------------------------------


def every_node(detector: Any, image: Any, segs: Any = (SIZE, [])) -> dict[str, Any]:
    return {
        "BboxDetectorSEGS": dict(bbox_detector=detector, image=image, **WIDGETS),
        "SegmDetectorSEGS": dict(segm_detector=detector, image=image, **WIDGETS),
        "BboxDetectorCombined_v2": dict(bbox_detector=detector, image=image, threshold=0.5, dilation=0),
        "SegmDetectorCombined_v2": dict(segm_detector=detector, image=image, threshold=0.5, dilation=0),
        "ImpactSimpleDetectorSEGS": dict(bbox_detector=detector, image=image, **SIMPLE),
        "ImpactSimpleDetectorSEGSPipe": dict(detailer_pipe=pipe_of(bbox_detector=detector), image=image, **SIMPLE),
        "SAMDetectorCombined": dict(sam_model=detector, segs=segs, image=image, **SAM),
        "SAMDetectorSegmented": dict(sam_model=detector, segs=segs, image=image, **SAM),
    }


NODES = list(every_node(None, None))


def run(node_id: str, **given: Any) -> Any:
    return NODE_CLASS_MAPPINGS[node_id]().doit(**given)


@pytest.mark.parametrize("node_id", NODES)
def test_batches_are_refused(node_id: str) -> None:
    tool = SamModel(FloodSam()) if node_id.startswith("SAM") else BoxDetector()
    with pytest.raises(InputError, match=f"^{node_id}, input 'image': it holds 3 pictures.*takes one"):
        run(node_id, **every_node(tool, torch.zeros(3, *SIZE, 3))[node_id])


@pytest.mark.parametrize("tool", [None, NoDetector()], ids=["nothing", "a stub"])
@pytest.mark.parametrize("node_id", NODES)
def test_no_detector(image: torch.Tensor, node_id: str, tool: Any) -> None:
    given = every_node(tool, image)[node_id]
    found = "missing" if tool is None else "NoDetector"
    with pytest.raises(InputError, match=f"^{node_id}, input '{next(iter(given))}': .*{found}.*(Connect|Load) "):
        run(node_id, **given)


def test_a_stub_is_in_nobodys_way_where_sam_is_used(image: torch.Tensor) -> None:
    given = dict(image=image, **SIMPLE)
    with pytest.raises(InputError, match=r"'segm_detector_opt': a NoDetector is no SEGM_DETECTOR.*\(a segm model\)"):
        ImpactSimpleDetectorSEGS().doit(BoxDetector(), **given, segm_detector_opt=NoDetector())
    sam = SamModel(FloodSam())
    (segs,) = ImpactSimpleDetectorSEGS().doit(BoxDetector(), **given, segm_detector_opt=NoDetector(), sam_model_opt=sam)
    assert len(segs[1]) == 3
    pipe = pipe_of(bbox_detector=BoxDetector(), segm_detector=NoDetector(), sam_model=sam)
    assert len(ImpactSimpleDetectorSEGSPipe().doit(pipe, **given)[0][1]) == 3
    with pytest.raises(InputError, match=r"'sam_model_opt': a NoDetector has no sam_wrapper.*SAMLoader"):
        ImpactSimpleDetectorSEGS().doit(BoxDetector(), **given, sam_model_opt=NoDetector())


def found(box: Any, crop: Any, mask: Any = None) -> Any:
    return FoundSEG(None, np.ones((9, 9), np.float32) if mask is None else mask, np.array([0.5]), crop, box, None, None)


@pytest.mark.parametrize(
    ("segs", "message"),
    [
        (None, "a NoneType is no SEGS"),
        ([], "a list is no SEGS"),
        ((SIZE, ["seg"]), "segment 1 lacks cropped_image"),
        ((SIZE, [found([1, 2, np.nan, 4], [1, 2, 10, 11])]), "detection 1 has a bbox .* that is not four numbers"),
        ((SIZE, [found([1, 2, 9, 9], [1, 2, 10])]), "detection 1 has a crop_region .* that is not four numbers"),
    ],
)
def test_broken_detectors(image: torch.Tensor, segs: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^BboxDetectorSEGS, input 'bbox_detector': {message}.*another detector"):
        BboxDetectorSEGS().doit(GivenDetector(segs), image, **WIDGETS)
    with pytest.raises(InputError, match=r"^SegmDetectorCombined_v2, input 'segm_detector': .*str that is no mask"):
        SegmDetectorCombined_v2().doit(GivenDetector(mask="mask"), image, 0.5, 0)


def test_odd_detections_pass_every_node(image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    """Partly and wholly outside, without pixels, empty and in frames; boxes of floats; confidence as an array."""
    odd = [
        found(np.array([-8.5, 3.2, 20.9, 30], np.float32), [-20, 0, 30, 40], np.ones((40, 50), np.float32)),
        found((200.0, 10, 220, 30), (190, 5, 230, 35), torch.ones(1, 30, 40)),
        found([10, 10, 30, 30], np.array([5, 5, 35, 35]), torch.zeros(30, 30)),
        found([10, 10, 30, 30], np.array([5, 5, 35, 35], np.float32), np.ones((2, 30, 30), bool)),
        found([10, 10, 30, 30], [40, 5, 35, 35]),
        found([50.0, 50, 60, 60], [50, 50, 60, 60], np.zeros((0, 0), np.float32)),
    ]
    outlines, sam = OutlineDetector(), SamModel(FloodSam())
    (segs,) = BboxDetectorSEGS().doit(GivenDetector((SIZE, odd)), image, **WIDGETS)
    assert [id(seg) for seg in segs[1]] == [id(seg) for index, seg in enumerate(odd) if index != 4]
    assert "1 detections without a pixel" in told.text
    for more in ({"segm_detector_opt": outlines}, {"sam_model_opt": sam}):
        (refined,) = ImpactSimpleDetectorSEGS().doit(
            GivenDetector((SIZE, odd)), image, **SIMPLE, post_dilation=3, **more
        )
        for seg in refined[1]:
            assert seg.cropped_mask.shape[-2:] == crop_region(seg).size
            assert crop_region(seg).overlaps(Region(0, 0, 128, 96)) or seg.cropped_mask.max() == 0
    for hint in HINTS:
        union, each = SAMDetectorSegmented().doit(sam, segs, image, **SAM | {"detection_hint": hint})
        assert union.shape == (1, *SIZE) and each.shape == (5, 1, *SIZE)
    (combined,) = BboxDetectorCombined_v2().doit(HooklessGiven((SIZE, odd)), image, 0.5, 0)
    assert combined.shape == (1, *SIZE) and combined.max() == 1


class HooklessGiven:
    """Segments only, and no hook."""

    def __init__(self, segs: Any) -> None:
        self.segs = segs

    def detect(self, image: Any, threshold: float, dilation: int, crop_factor: float, drop_size: int) -> Any:
        return self.segs


@pytest.mark.parametrize("node_id", NODES)
def test_inputs_are_not_written_to_and_masks_share_no_memory(image: torch.Tensor, node_id: str) -> None:
    kept, mask = image.clone(), torch.ones(1, *SIZE)
    (segs,) = BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS)
    masks = [seg.cropped_mask.copy() for seg in segs[1]]
    tool = SamModel(FloodSam()) if node_id.startswith("SAM") else GivenDetector(segs, mask)
    outputs = run(node_id, **every_node(tool, image, segs)[node_id])
    for output in outputs:
        if isinstance(output, torch.Tensor):
            output.fill_(0.25)
    assert torch.equal(image, kept) and torch.equal(mask, torch.ones(1, *SIZE))
    assert all(np.array_equal(seg.cropped_mask, before) for seg, before in zip(segs[1], masks, strict=True))
