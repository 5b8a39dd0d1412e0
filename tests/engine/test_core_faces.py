"""ComfyUI's face model: its landmarks as detectors, and faces sampled upright."""

from __future__ import annotations

import math
import re
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from engine import tiny_detectors
from engine.core_detection import FACE_WIDGETS, SIZE, WIDGETS, boxed, needs_models, shown
from engine.running import Recorder, decibels, detail
from engine.tiny_models import Pipe, SpaceToDepth, flow_pipe, lossless_vae, mask_of
from mask_detailer import NODE_CLASS_MAPPINGS as OFFERED
from mask_detailer.core import Region, Size, seg_mask
from mask_detailer.detailer.detection.core_models import FACE_PARTS, hull
from mask_detailer.detailer.detection.faces import View
from mask_detailer.detailer.hooks.upright_faces import FaceFinder
from mask_detailer.nodes import core_detectors as nodes
from mask_detailer.nodes.detectors import BboxDetectorSEGS, SegmDetectorSEGS
from mask_detailer.nodes.faces import FaceDetailer
from support.detectors import Disc, drawn


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return shown()


# --- faces --------------------------------------------------------------------------------------------------------


def face_detectors(part: str = "face", variant: str = "short", roll: float = 0.0) -> tuple[Any, Any]:
    return nodes.MaskDetailerFaceLandmarkProvider().doit(tiny_detectors.face_model(roll), part, variant, "fast")


@needs_models
@pytest.mark.parametrize("variant", ["short", "full"])
@pytest.mark.parametrize("part", FACE_PARTS)
def test_face_landmarks_as_detectors(image: torch.Tensor, part: str, variant: str) -> None:
    """Where the landmarks are is known in closed form."""
    boxes, outlines = face_detectors(part, variant, roll=0.4)
    for detector in (boxes, outlines):
        segs = (BboxDetectorSEGS if detector is boxes else SegmDetectorSEGS)().doit(detector, image, **WIDGETS)[0]
        assert [seg.label for seg in segs[1]] == [label for label, _ in FACE_PARTS[part]]
        for seg, (_, landmarks) in zip(segs[1], FACE_PARTS[part], strict=True):
            points = tiny_detectors.face_points(landmarks, SIZE.width, SIZE.height, 0.4)
            low, high = points.amin(dim=0) + 1e-3, points.amax(dim=0) - 1e-3  # not beside a whole pixel by rounding
            assert np.abs(np.subtract(seg.bbox, boxed([*low.tolist(), *high.tolist()]))).max() <= 1
            assert seg.confidence == pytest.approx(tiny_detectors.FACE_SCORE, abs=1e-4)
            whole = torch.zeros(SIZE)
            whole[Region.of(seg.crop_region).slices] = seg_mask(seg)[0]
            x1, y1, x2, y2 = seg.bbox
            if detector is boxes:
                assert bool(whole[y1:y2, x1:x2].all()) and whole.sum() == (x2 - x1) * (y2 - y1)
            else:
                area = abs(cv2.contourArea(points.numpy()))
                rim = cv2.arcLength(points.numpy(), True)  # OpenCV's polygons hold every pixel that they touch
                assert area - rim < float(whole.sum()) < area + rim
    assert boxes.detect(image, 0.95, 0, 2.0) == (SIZE, [])
    assert boxes.detect_combined(image, 0.95, 0) is None


def test_hull() -> None:
    made = hull(np.array([[10.0, 5.0], [20.0, 5.0], [20.0, 15.0], [10.0, 15.0], [13.0, 9.0]]), Size(20, 30))
    inside = torch.zeros(20, 30)
    inside[5:15, 10:20] = 1.0
    assert bool((made >= inside).all()) and float(made.sum()) <= 11 * 11


@needs_models
def test_face_detailer_with_landmarks(image: torch.Tensor, unet: Pipe) -> None:
    """Both detectors in FaceDetailer: nothing but the face's outline changes."""
    boxes, outlines = face_detectors()
    parts = dict(zip(("model", "clip", "vae", "positive", "negative"), unet, strict=True))
    made, refined, _, mask, *_ = FaceDetailer().doit(
        image, **parts, **FACE_WIDGETS, bbox_detector=boxes, segm_detector_opt=outlines
    )
    wanted = hull(tiny_detectors.face_points("face_oval", SIZE.width, SIZE.height).numpy(), SIZE)
    assert len(refined) == 1 and float((mask[0] - wanted).abs().sum()) <= 30  # rounding, on the rim
    reach = torch.nn.functional.max_pool2d(mask[None], 9, stride=1, padding=4)[0, 0] > 0
    assert torch.equal(made[0][~reach], image[0][~reach])
    assert not torch.equal(made, image)


# --- upright faces ------------------------------------------------------------------------------------------------


class MarkedFaces:
    """A face model of the documented form: a red blob is the person's right eye, a blue one the left.

    As real models do, it sees a face only where it leans by less than 60 degrees.
    """

    connection_sets = {
        "right_eye": frozenset({(0, 1), (1, 0)}),
        "left_eye": frozenset({(2, 3), (3, 2)}),
    }

    def __init__(self) -> None:
        self.asked = 0

    def detect_batch(self, images: list[Any], num_faces: int, score_thresh: float, variant: str) -> list[list[Any]]:
        self.asked += 1
        return [self.faces_in(pixels) for pixels in images]

    def faces_in(self, pixels: np.ndarray) -> list[Any]:
        assert pixels.dtype == np.uint8
        eyes = []
        for channel in (0, 2):
            seen = pixels.astype(np.float32) / 255
            weight = np.clip(seen[..., channel] - np.delete(seen, channel, axis=-1).max(axis=-1) - 0.2, 0, None)
            if weight.sum() < 3:
                return []
            rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
            eyes.append(((columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()))
        right, left = np.array(eyes)
        lean = abs(math.degrees(math.atan2(left[1] - right[1], left[0] - right[0])))
        if lean > 60:
            return []
        # each eye has two landmarks; the score falls as a real model's does
        landmarks = np.stack([right - 4, right + 4, left - 4, left + 4]).astype(np.float32)
        return [{"landmarks_xy": landmarks, "score": 0.9 - lean / 300}]


def leaning(degrees: float, apart: float = 20.0) -> tuple[torch.Tensor, tuple[float, float], tuple[float, float]]:
    """A picture of two eyes that lean by that much about its middle, and where they are."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = SIZE.width / 2, SIZE.height / 2
    right, left = (x - apart / 2 * cos, y - apart / 2 * sin), (x + apart / 2 * cos, y + apart / 2 * sin)
    discs = drawn(*SIZE, [Disc(*right, 5, "red"), Disc(*left, 5, "blue")])[0]
    smooth = torch.nn.functional.avg_pool2d(discs.movedim(-1, 1), 3, stride=1, padding=1).movedim(1, -1)
    return (0.1 + 0.8 * smooth).clamp(0, 1), right, left


LEANS = (-175.0, -120.0, -90.0, -40.0, 20.0, 75.0, 110.0, 180.0)


@pytest.mark.parametrize("degrees", LEANS)
def test_faces_are_found_at_every_angle(degrees: float) -> None:
    image, right, left = leaning(degrees)
    turn = FaceFinder(MarkedFaces(), "short", 0.5).turn(image, (0.0, 0.0))
    assert turn is not None
    assert abs(math.remainder(turn.degrees - degrees, 360)) < 1.0
    assert math.dist(turn.centre, (SIZE.width / 2, SIZE.height / 2)) < 0.3
    assert turn.upright_point(left)[0] - turn.upright_point(right)[0] == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_of_a_view(quarters: int) -> None:
    pixels = np.zeros((7, 11, 3), np.uint8)
    pixels[2, 8] = 255
    turned = View(pixels, np.array([[2.0, 0.0, 5.0], [0.0, 2.0, 6.0]])).turned(quarters)
    row, column = divmod(int(turned.pixels[..., 0].argmax()), turned.pixels.shape[1])
    assert turned.back @ (column + 0.5, row + 0.5, 1.0) == pytest.approx((2 * 8.5 + 5, 2 * 2.5 + 6))


class Watch(Recorder):
    """Remembers, and leaves nothing to sample."""

    def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
        super().pre_ksample(*call)
        return (*call[:-1], 0.0)


@pytest.fixture(scope="module")
def lossless() -> Pipe:
    return flow_pipe(SpaceToDepth.CHANNELS, lossless_vae())


def upright_hook(min_angle: float = 15.0) -> Any:
    return nodes.MaskDetailerUprightFaceHook().doit(MarkedFaces(), min_angle, "short", 0.5)[0]


def combined(*hooks: Any) -> Any:
    return OFFERED["DetailerHookCombine"]().doit(*hooks)[0]


@pytest.mark.parametrize("degrees", LEANS)
def test_a_face_is_sampled_upright_and_comes_back(lossless: Pipe, degrees: float, record_property: Any) -> None:
    """With a codec that loses nothing and nothing sampled, the picture comes back as it was."""
    image, *_ = leaning(degrees)
    mask = mask_of(*SIZE, (40, 26, 88, 70))
    mask[0, 26:48, 40:64] = 0.0
    watch = Watch()
    hook = combined(upright_hook(), watch)
    made = detail(image, mask, lossless, detailer_hook=hook, crop_factor=1.8, noise_mask_feather=0)

    sampled = watch.all("post_upscale")[0]
    lean = FaceFinder(MarkedFaces(), "short", 0.5).turn(sampled, (0.0, 0.0))
    assert lean is not None and abs(lean.degrees) < 1.0  # upright while it is sampled
    noise_mask = watch.all("post_encode")[0]["noise_mask"].reshape(sampled.shape[1:3])
    enlarged = sampled.numel() / made.refined[0].numel()
    assert float(noise_mask.sum()) == pytest.approx(float(mask.sum()) * enlarged, rel=0.02)  # all of it is inside

    psnr = decibels(made.image, image)
    record_property("decibels", round(psnr, 1))
    assert psnr > 45
    assert torch.equal(made.image[:, :20], image[:, :20]) and torch.equal(made.image[:, -20:], image[:, -20:])


def test_the_noise_mask_stays_on_its_part(lossless: Pipe) -> None:
    """A mask over one eye covers that eye in the upright crop too."""
    image, _, left = leaning(90.0)
    x, y = (round(value) for value in left)
    watch = Watch()
    mask = mask_of(*SIZE, (x - 8, y - 8, x + 8, y + 8))
    detail(image, mask, lossless, detailer_hook=combined(upright_hook(), watch), crop_factor=5.0)
    pixels = watch.all("post_upscale")[0]
    noise_mask = watch.all("post_encode")[0]["noise_mask"].reshape(pixels.shape[1:3])
    blue, red = (pixels[0, ..., channel] > 0.5 for channel in (2, 0))
    assert blue.any() and bool((noise_mask[blue] > 0.9).all())
    assert red.any() and not bool((noise_mask[red] > 0.1).any())


@pytest.mark.parametrize(("degrees", "min_angle"), [(10.0, 15.0), (170.0, 180.0)])
def test_faces_that_hardly_lean_stay(lossless: Pipe, degrees: float, min_angle: float) -> None:
    image, *_ = leaning(degrees)
    mask = mask_of(*SIZE, (40, 26, 88, 70))
    wanted = detail(image, mask, lossless, detailer_hook=Watch()).image
    made = detail(image, mask, lossless, detailer_hook=combined(upright_hook(min_angle), Watch())).image
    assert torch.equal(made, wanted)


def test_no_face_no_turn(lossless: Pipe, image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    mask = mask_of(*SIZE, (40, 26, 88, 70))
    wanted = detail(image * 0.1, mask, lossless, detailer_hook=Watch()).image
    made = detail(image * 0.1, mask, lossless, detailer_hook=combined(upright_hook(), Watch())).image
    assert torch.equal(made, wanted)
    assert any(re.search("no face is found in this crop", record.message) for record in told.records)
