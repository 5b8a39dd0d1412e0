"""The SAM nodes on drawn pictures: each hint, segments of any size or none, and the device's release."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine.discs import DISCS, SAM, SIZE, WIDGETS
from mask_detailer.detailer.detection.detect import HINTS
from mask_detailer.nodes.detectors import BboxDetectorSEGS, SAMDetectorCombined, SAMDetectorSegmented, SegmDetectorSEGS
from scipy.ndimage import maximum_filter
from support.detectors import BoxDetector, FloodSam, FoundSEG, OutlineDetector, SamModel, drawn


@pytest.fixture
def image() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[0]


@pytest.fixture
def covers() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[1]


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
    """SAM gives one mask a segment here; the Impact Pack puts any three in one."""
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
