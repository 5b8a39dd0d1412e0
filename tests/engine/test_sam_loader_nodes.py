"""A SAM from a file in every node that takes one: the masks it gives when asked directly, one encoding a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.discs import DISCS, SAM, SIMPLE, SIZE, WIDGETS, pipe_of
from engine.running import do_detail
from engine.sam_models import load, weights_of, write
from engine.test_face_detailer import WIDGETS as OF_FACES
from engine.test_face_detailer import face_detailer
from engine.tiny_models import Pipe
from mask_detailer.core import SEGS, to_bytes
from mask_detailer.nodes.detectors import (
    BboxDetectorSEGS,
    ImpactSimpleDetectorSEGS,
    ImpactSimpleDetectorSEGSPipe,
    SAMDetectorCombined,
    SAMDetectorSegmented,
)
from mask_detailer.nodes.faces import FaceDetailerPipe
from mask_detailer.segs import mask_by_mask
from support.detectors import BoxDetector, drawn
from support.sam_files import Vit


class Counted:
    """A SAM from a file, and how often it encoded a picture."""

    def __init__(self, folder: Path) -> None:
        self.model = load(write(folder, "sam1", Vit(), weights_of(Vit())))
        self.times = 0
        self.model.sam_wrapper.network.net.vision_encoder.register_forward_hook(self._count)

    def _count(self, *given: Any) -> None:
        self.times += 1


@pytest.fixture
def sam(sams: Path) -> Counted:
    return Counted(sams)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[0]


@pytest.fixture(scope="module")
def segs(image: torch.Tensor) -> SEGS:
    return BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS)[0]


def asked(sam: Counted, image: torch.Tensor, segs: SEGS, threshold: float) -> torch.Tensor:
    """For each segment, ``[n,H,W]``: its centre and its box, all masks that come back together."""
    each = []
    for seg in segs[1]:
        x1, y1, x2, y2 = map(float, seg.bbox)
        centre = ((x1 + x2) / 2, (y1 + y2) / 2)
        masks = sam.model.sam_wrapper.predict(to_bytes(image[0]), [centre], [1], [x1, y1, x2, y2], threshold)
        each.append(np.any([*masks, np.zeros(image.shape[1:3], bool)], axis=0))
    found = torch.from_numpy(np.stack(each)).float()
    assert 0 < found.mean() < 1
    return found


def test_sam_detectors(sam: Counted, image: torch.Tensor, segs: SEGS) -> None:
    wanted = asked(sam, image, segs, 0.9)
    sam.times = 0
    sam.model.sam_wrapper._seen = None
    union, each = SAMDetectorSegmented().doit(sam.model, segs, image, **SAM)
    assert sam.times == 1 and len(segs[1]) == 3
    assert torch.equal(each[:, 0], wanted) and torch.equal(union[0], wanted.amax(dim=0))
    (combined,) = SAMDetectorCombined().doit(sam.model, segs, image, **SAM)
    assert torch.equal(combined, union) and sam.times == 1


def test_every_hint(sam: Counted, image: torch.Tensor, segs: SEGS) -> None:
    from mask_detailer.detailer.detection.detect import HINTS, NEGATIVES

    for hint in HINTS:
        for negative in NEGATIVES:
            changes = {"detection_hint": hint, "mask_hint_use_negative": negative}
            (mask,) = SAMDetectorCombined().doit(sam.model, segs, image, **SAM | changes)
            assert mask.shape == (1, *SIZE) and set(mask.unique().tolist()) <= {0.0, 1.0}
    assert sam.times == 1


def test_simple_detectors(sam: Counted, image: torch.Tensor) -> None:
    found = BoxDetector().detect(image, 0.5, 0, 2.0, 5)
    wanted = mask_by_mask(found, asked(sam, image, found, 0.6).amax(dim=0, keepdim=True))
    (made,) = ImpactSimpleDetectorSEGS().doit(BoxDetector(), image, **SIMPLE, sam_model_opt=sam.model)
    pipe = pipe_of(bbox_detector=BoxDetector(), sam_model=sam.model)
    (piped,) = ImpactSimpleDetectorSEGSPipe().doit(pipe, image, **SIMPLE)
    for got in (made, piped):
        assert len(got[1]) == 3
        for one, its in zip(got[1], wanted[1], strict=True):
            assert np.array_equal(np.asarray(one.cropped_mask), np.asarray(its.cropped_mask))


def test_face_detailer(sam: Counted, image: torch.Tensor, unet: Pipe) -> None:
    found = BoxDetector().detect(image, 0.5, 0, 2.0, 4)
    masked = mask_by_mask(found, asked(sam, image, found, 0.93).amax(dim=0, keepdim=True))
    made, *_ = face_detailer(image, unet, BoxDetector(), sam_model_opt=sam.model)
    assert torch.equal(made, do_detail(image, masked, unet)[0])
    pipe = (*unet, "", BoxDetector(), None, sam.model, None, None, None, None, None)
    widgets = {name: value for name, value in OF_FACES.items() if name != "wildcard"}
    piped, *_ = FaceDetailerPipe().doit(image=image, detailer_pipe=pipe, refiner_ratio=0.2, **widgets)
    assert torch.equal(piped, made)
