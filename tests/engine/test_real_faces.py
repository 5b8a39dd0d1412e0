"""Photographs of faces, at every angle and small, with the weights that MediaPipe publishes.

The oracle of a turned photograph are the landmarks of the upright one, turned by the angle that is known.
"""

from __future__ import annotations

import math
import time
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from engine.core_detection import FACE_WIDGETS, needs_models
from engine.running import Recorder, decibels
from engine.tiny_models import Pipe, SpaceToDepth, flow_pipe, lossless_vae
from mask_detailer.core import Turn
from mask_detailer.detailer.detection.core_models import FaceLandmarkDetector
from mask_detailer.detailer.detection.faces import eyes_of, look_for_faces
from mask_detailer.detailer.hooks.upright_faces import FaceFinder
from mask_detailer.detailer.host.detection import Face
from mask_detailer.nodes import core_detectors as nodes
from mask_detailer.nodes.faces import FaceDetailer
from support import face_weights
from support.photographs import EMPTY, FIVE, NO_FACE, PROFILE, SINGLE, SIX, photograph, turned

pytestmark = needs_models

ANGLES = range(0, 360, 30)
QUICK = {  # a photograph at three angles each, so that every angle is there three times
    name: [angle for angle in ANGLES if angle // 30 % 4 == number % 4] for number, name in enumerate(SINGLE)
}
ALL = {name: list(ANGLES) for name in SINGLE}
SMALL_FACE = 24  # pixels


def faces_in(pixels: np.ndarray, detail: str = "normal", threshold: float = 0.5, variant: str = "short") -> list[Face]:
    with torch.inference_mode():
        return look_for_faces(face_weights.model(), pixels, threshold, variant, detail)


def batched(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))[None].float() / 255


def lean(face: Face) -> float:
    """Degrees clockwise from upright."""
    left, right = eyes_of(face, face_weights.model())
    return math.degrees(math.atan2(right[1] - left[1], right[0] - left[0]))


class Tally:
    """What becomes of photographs at known angles."""

    def __init__(self, angles: dict[str, list[int]]) -> None:
        self.seen = {angle: 0 for angle in ANGLES}
        self.found, self.twice, self.wrong, self.seconds, self.worst = dict(self.seen), 0, 0, 0.0, 0.0
        for name, wanted in angles.items():
            self.photograph(name, wanted)

    def photograph(self, name: str, angles: list[int]) -> None:
        pixels = photograph(name, SINGLE[name])
        upright = faces_in(pixels)[0]
        width = float(np.ptp(upright.landmarks[:, 0]))
        for angle in angles:
            made, there = turned(pixels, angle)
            wanted = upright.landmarks @ there[:, :2].T + there[:, 2]
            before = time.perf_counter()
            faces = faces_in(made)
            self.seconds += time.perf_counter() - before
            errors = [float(np.linalg.norm(face.landmarks - wanted, axis=1).mean()) / width for face in faces]
            near = [face for face in faces if math.dist(face.landmarks.mean(0), wanted.mean(0)) < width]
            self.seen[angle] += 1
            self.twice += len(near) > 1
            if errors and min(errors) < 0.15:
                self.found[angle] += 1
                self.worst = max(self.worst, min(errors))
            self.wrong += not any(abs(math.remainder(lean(face) - angle - lean(upright), 360)) < 10 for face in near)

    @property
    def share(self) -> float:
        """Of the angle at which the fewest are found."""
        return min(self.found[angle] / self.seen[angle] for angle in ANGLES)


def assert_at_every_angle(tally: Tally, record_property: Any) -> None:
    count = sum(tally.seen.values())
    record_property("found", f"{sum(tally.found.values())} of {count}")
    record_property("turned upright", f"{count - tally.wrong} of {count}")
    record_property("landmarks, face widths", round(tally.worst, 3))
    record_property("seconds", round(tally.seconds / count, 3))
    assert tally.share >= 0.9
    assert tally.wrong <= count // 36  # 140 of 144
    assert tally.twice == 0


def test_faces_at_every_angle(record_property: Any) -> None:
    assert_at_every_angle(Tally(QUICK), record_property)


@pytest.mark.by_hand
@pytest.mark.timeout(1800)
def test_all_photographs_at_every_angle(record_property: Any) -> None:
    assert_at_every_angle(Tally(ALL), record_property)


def with_a_small_face(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A landscape of 1,024 pixels with a photograph shrunk to a face of 24 pixels; and where that one's middle is."""
    name = list(SINGLE)[number]
    pixels = photograph(name, SINGLE[name])
    face = faces_in(pixels)[0]
    scale = SMALL_FACE / float(np.ptp(face.landmarks[:, 0]))
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = cv2.resize(photograph(*EMPTY), (1024, 1024), interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    x, y = np.random.default_rng(number).integers(0, (1024 - width, 1024 - height))
    canvas[y : y + height, x : x + width] = small
    return canvas, face.landmarks.mean(axis=0) * scale + (x, y)


@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.by_hand) for number in (4, 7))])
def test_small_faces(number: int) -> None:
    pixels, middle = with_a_small_face(number)
    near = [face for face in faces_in(pixels, "thorough") if math.dist(face.landmarks.mean(axis=0), middle) < 8]
    assert len(near) == 1
    assert np.ptp(near[0].landmarks[:, 0]) == pytest.approx(SMALL_FACE, rel=0.25)


def test_several_people() -> None:
    assert len(faces_in(photograph(*FIVE))) == 5


@pytest.mark.slow
def test_six_people_once_each() -> None:
    assert len(faces_in(photograph(*SIX), "thorough")) == 6


@pytest.mark.parametrize("name", NO_FACE)
def test_no_face_where_there_is_none(name: str) -> None:
    assert faces_in(photograph(name)) == []


def test_no_small_faces_where_there_are_none() -> None:
    assert faces_in(photograph("rocket.jpg"), "thorough") == []


def test_a_profile_hides_an_eye() -> None:
    pixels = photograph(PROFILE)
    for part, wanted in (("eyes", ["right_eye"]), ("eyebrows", ["right_eyebrow"]), ("mouth", ["mouth"])):
        detector = FaceLandmarkDetector(face_weights.model(), part, "short", True, "normal")
        with torch.inference_mode():
            assert [found.label for found in detector.found(batched(pixels), 0.5)] == wanted
    both = FaceLandmarkDetector(face_weights.model(), "eyes", "short", True, "normal")
    with torch.inference_mode():
        assert len(both.found(batched(photograph("45-m7-di-ph.jpg", SINGLE["45-m7-di-ph.jpg"])), 0.5)) == 2


@pytest.fixture(scope="module")
def lossless() -> Pipe:
    return flow_pipe(SpaceToDepth.CHANNELS, lossless_vae())


class Still(Recorder):
    """Leaves nothing to sample."""

    def pre_ksample(self, *call: Any) -> tuple[Any, ...]:
        super().pre_ksample(*call)
        return (*call[:-1], 0.0)


@pytest.mark.parametrize(("name", "angle", "upright"), [("astronaut.png", 0, False), ("obama.jpg", 150, True)])
def test_face_detailer_on_a_photograph(
    lossless: Pipe, name: str, angle: int, upright: bool, record_property: Any
) -> None:
    """With a codec that loses nothing and nothing sampled the photograph comes back, turned upright between or not."""
    pixels, _ = turned(photograph(name, SINGLE[name]), angle)
    image = batched(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    model = face_weights.model()
    boxes, outlines = nodes.MaskDetailerFaceLandmarkProvider().doit(model, "face", "short", "normal")
    still = Still()
    hook = still
    if upright:
        (turns,) = nodes.MaskDetailerUprightFaceHook().doit(model, 15.0, "short", 0.5)
        hook = nodes_combined(turns, still)
    widgets = FACE_WIDGETS | {"guide_size": 256.0, "max_size": 512.0, "bbox_crop_factor": 2.0}
    parts = dict(zip(("model", "clip", "vae", "positive", "negative"), lossless, strict=True))
    with torch.inference_mode():
        made, refined, _, mask, *_ = FaceDetailer().doit(
            image, **parts, **widgets, bbox_detector=boxes, segm_detector_opt=outlines, detailer_hook=hook
        )
    assert len(refined) >= 1
    if upright:
        (face,) = faces_in((still.all("post_upscale")[0][0, ..., :3] * 255).round().byte().numpy())
        assert abs(lean(face)) < 10
    inside = mask[0] > 0
    psnr = decibels(made[0][inside], image[0][inside])
    record_property("decibels", round(psnr, 1))
    assert psnr >= 40
    reach = torch.nn.functional.max_pool2d(mask[None], 17, stride=1, padding=8)[0, 0] > 0
    assert torch.equal(made[0][~reach], image[0][~reach])


def nodes_combined(*hooks: Any) -> Any:
    from mask_detailer import NODE_CLASS_MAPPINGS as OFFERED

    return OFFERED["DetailerHookCombine"]().doit(*hooks)[0]


def test_the_face_under_the_mask_is_turned() -> None:
    """Of two faces that lean otherwise the one nearest to the point counts."""
    name = "single_face.jpg"
    half = [turned(photograph(name, SINGLE[name]), angle)[0] for angle in (60, -120)]
    height = max(one.shape[0] for one in half)
    both = np.concatenate([np.pad(one, [(0, height - len(one)), (0, 0), (0, 0)]) for one in half], axis=1)
    finder = FaceFinder(face_weights.model(), "full", 0.5)
    for x, wanted in ((half[0].shape[1] / 2, 60), (both.shape[1] - half[1].shape[1] / 2, -120)):
        with torch.inference_mode():
            turn = finder.turn(batched(both), (x, height / 2))
        assert turn is not None and abs(math.remainder(turn.degrees - wanted, 360)) < 10


def test_turning_is_quick(record_property: Any) -> None:
    """1,024 x 1,024; with torch's own kernels it took two seconds."""
    picture, turn = torch.rand(1, 1024, 1024, 3), Turn(0.5, (500.0, 500.0))
    taken = []
    for _ in range(3):
        before = time.process_time()
        turn.upright(picture)
        taken.append(time.process_time() - before)
    record_property("seconds", round(min(taken), 3))
    assert min(taken) < 0.4  # of all cores together; a tenth on an idle core
