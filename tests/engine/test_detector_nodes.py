"""The detector nodes with small real detectors on drawn pictures: what is on them is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine.discs import DISCS, SAM, SIMPLE, SIZE, WIDGETS, by_name, pipe_of, whole
from engine.running import Recorder
from mask_detailer.core import Region, crop_region
from mask_detailer.detailer.detection.detect import HINTS
from mask_detailer.detailer.hooks.builtin import LabelFilterHook
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.detectors import (
    BboxDetectorCombined_v2,
    BboxDetectorSEGS,
    ImpactSimpleDetectorSEGS,
    ImpactSimpleDetectorSEGSPipe,
    SAMDetectorSegmented,
    SegmDetectorCombined_v2,
    SegmDetectorSEGS,
)
from mask_detailer.nodes.validate import InputError
from scipy.ndimage import maximum_filter
from support.detectors import (
    BoxDetector,
    FloodSam,
    FoundSEG,
    GivenDetector,
    HooklessDetector,
    MinSizeDetector,
    NoDetector,
    OutlineDetector,
    SamModel,
    drawn,
)

SEGS_NODES = ((BboxDetectorSEGS, "bbox_detector"), (SegmDetectorSEGS, "segm_detector"))
MASK_NODES = ((BboxDetectorCombined_v2, "bbox_detector"), (SegmDetectorCombined_v2, "segm_detector"))


@pytest.fixture
def image() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[0]


@pytest.fixture
def covers() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[1]


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
    """On a picture that is not square, the Impact Pack gives height for width."""
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
