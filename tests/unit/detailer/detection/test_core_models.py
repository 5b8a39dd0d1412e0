"""ComfyUI's own detection models as detectors; the models themselves are stand-ins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mask_detailer.detailer import host
from mask_detailer.detailer.detection.core_models import RTDETRDetector, TextSearch, sam3_text_detectors

IMAGE = torch.rand(1, 32, 48, 4)
BOX: dict[str, Any] = {"x": 8.0, "y": 8.0, "width": 16.0, "height": 8.0, "label": "cat", "score": 0.75}


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []

    def by_text(*given: Any) -> Any:
        asked.append(given)
        return [BOX], torch.ones(1, 32, 48)

    monkeypatch.setattr(host.detection, "rtdetr_boxes", lambda *given: [BOX, {**BOX, "label": "dog"}])
    monkeypatch.setattr(host.detection, "sam3_by_text", by_text)
    monkeypatch.setattr(host.text, "encode_text", lambda clip, text: (clip, text))
    monkeypatch.setattr(host.devices, "check_interrupted", lambda: None)
    return asked


class Hook:
    """Moves each crop region one to the right, and turns the order of what is found."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def post_crop_region(self, w: int, h: int, item_bbox: Any, crop_region: Any) -> Any:
        self.seen.append((w, h, tuple(item_bbox)))
        x1, y1, x2, y2 = crop_region
        return [x1 + 1, y1, x2 + 1, y2]

    def post_detection(self, segs: Any) -> Any:
        return segs[0], segs[1][::-1]


def test_a_hook_sees_each_crop_region_and_all_that_is_found() -> None:
    model: Any = object()
    plain = RTDETRDetector(model).detect(IMAGE, 0.5, 0, 1.0)
    hook = Hook()
    hooked = RTDETRDetector(model).detect(IMAGE, 0.5, 0, 1.0, detailer_hook=hook)
    assert [seg.label for seg in plain[1]] == ["cat", "dog"] and [seg.label for seg in hooked[1]] == ["dog", "cat"]
    assert hook.seen == [(48, 32, (8, 8, 24, 16))] * 2
    assert list(plain[1][0].crop_region) == [8, 8, 24, 16] and list(hooked[1][0].crop_region) == [9, 8, 25, 16]
    assert RTDETRDetector(model).detect(IMAGE, 0.5, 0, 1.0, detailer_hook=object())[0] == (32, 48)  # it has neither


def test_labels_and_one_mask() -> None:
    detector = RTDETRDetector(object(), ["dog"])
    assert [one.label for one in detector.found(IMAGE, 0.5)] == ["dog"]
    mask = detector.detect_combined(IMAGE, 0.5, 0)
    assert mask is not None and mask.shape == (32, 48) and int(mask.sum()) == 128
    assert RTDETRDetector(object(), ["bird"]).detect_combined(IMAGE, 0.5, 0) is None


def search(text: str = "", clip: Any = "clip") -> Any:
    return sam3_text_detectors(TextSearch("model", clip, text, 20, 2, "Node"))


def test_sam3_gives_boxes_or_outlines(found: list[Any]) -> None:
    boxes, outlines = search("a cat, a dog")
    assert [(one.label, one.mask is None) for one in boxes.found(IMAGE, 0.5)] == [("a cat", True), ("a dog", True)]
    assert [one.mask is None for one in outlines.found(IMAGE, 0.5)] == [False, False]
    assert [(given[2], *given[3:]) for given in found] == [
        (("clip", "a cat"), 0.5, 20, 0), (("clip", "a dog"), 0.5, 20, 0),  # boxes need no second look
        (("clip", "a cat"), 0.5, 20, 2), (("clip", "a dog"), 0.5, 20, 2),
    ]  # fmt: skip
    assert outlines.bbox_detector is boxes and not hasattr(boxes, "bbox_detector")


def test_sam3_looks_for_its_own_text_before_the_nodes(found: list[Any]) -> None:
    boxes, _ = search()
    boxes.setAux("face")
    boxes.found(IMAGE, 0.5)
    assert found[0][2] == ("clip", "face")
    boxes.setAux(None)
    with pytest.raises(ValueError, match="Node, input 'text': it is empty"):
        boxes.found(IMAGE, 0.5)
    with pytest.raises(ValueError, match="Node, input 'clip': nothing is connected"):
        search("a cat", clip=None)[0].found(IMAGE, 0.5)
