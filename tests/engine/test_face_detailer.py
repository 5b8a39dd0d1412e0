"""FaceDetailer and its pipe form: what a real detector finds, detailed as Detailer (SEGS) does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine.running import Recorder, do_detail, same
from engine.tiny_models import Pipe, mask_of, unet_pipe
from mask_detailer.core import mask_to_segs
from mask_detailer.detailer.hooks.builtin import CombinedHook, OrderedFilterHook
from mask_detailer.nodes.faces import FaceDetailer, FaceDetailerPipe
from mask_detailer.nodes.validate import InputError
from mask_detailer.segs import mask_by_segs, to_combined_mask
from support.detectors import (
    BoxDetector,
    Disc,
    FloodSam,
    NoDetector,
    OutlineDetector,
    OverridingDetector,
    SamModel,
    drawn,
)

SIZE = (96, 128)
RED, BLUE = Disc(30, 28, 11, "red"), Disc(92, 64, 14, "blue")
BLACK = torch.zeros(1, 64, 64, 3)
FOUND: dict[str, Any] = dict(
    bbox_threshold=0.5, bbox_dilation=0, bbox_crop_factor=2.0, sam_detection_hint="center-1", sam_dilation=0,
    sam_threshold=0.93, sam_bbox_expansion=0, sam_mask_hint_threshold=0.7, sam_mask_hint_use_negative="False",
    drop_size=4,
)  # fmt: skip
WIDGETS: dict[str, Any] = FOUND | dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
    scheduler="normal", denoise=0.5, feather=4, noise_mask=True, force_inpaint=True, cycle=1,
    crop_batch=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return drawn(*SIZE, [RED, BLUE])[0]


def detect(detector: Any, image: torch.Tensor, hook: Any = None) -> Any:
    return detector.detect(image, 0.5, 0, 2.0, 4, detailer_hook=hook)


def face_detailer(image: torch.Tensor, pipe: Pipe, detector: Any, **changes: Any) -> tuple[Any, ...]:
    model, clip, vae, positive, negative = pipe
    parts = dict(model=model, clip=clip, vae=vae, positive=positive, negative=negative, wildcard="")
    return FaceDetailer().doit(image, **(parts | WIDGETS | {"bbox_detector": detector} | changes))


def as_detailer(image: torch.Tensor, segs: Any, pipe: Pipe, **changes: Any) -> Any:
    return do_detail(image, segs, pipe, **changes)


def test_rectangles(unet: Pipe, image: torch.Tensor) -> None:
    segs = detect(BoxDetector(), image)
    assert [seg.label for seg in segs[1]] == ["red", "blue"]
    wanted = as_detailer(image, segs, unet)
    made, refined, refined_alpha, mask, _, hints = face_detailer(image, unet, BoxDetector())
    assert torch.equal(made, wanted[0])
    assert same((refined, refined_alpha), wanted[2:4])
    assert same(hints, [BLACK])
    boxes = torch.zeros(1, *SIZE)
    for x, y, radius, *_ in (RED, BLUE):
        boxes[0, y - radius : y + radius, x - radius : x + radius] = 1.0
    assert torch.equal(mask, boxes)


def test_looks_for_faces(unet: Pipe, image: torch.Tensor) -> None:
    """A detector led by text is told what to find, and told to forget it, also where it fails."""
    detector = BoxDetector()
    face_detailer(image, unet, detector)
    assert detector.aux == ["face", None]


def test_outlines(unet: Pipe, image: torch.Tensor) -> None:
    outlines = OutlineDetector()
    segs = mask_by_segs(detect(BoxDetector(), image), detect(OutlineDetector(), image))
    made, *_, mask, _, _ = face_detailer(image, unet, BoxDetector(), segm_detector_opt=outlines)
    assert torch.equal(made, as_detailer(image, segs, unet)[0])
    assert torch.equal(mask, to_combined_mask(segs))
    assert outlines.calls[0]["threshold"] == 0.5 and outlines.calls[0]["detailer_hook"] is None


def test_outlines_instead(unet: Pipe, image: torch.Tensor) -> None:
    """They replace the rectangles where no hook forbids it."""
    segs = detect(OverridingDetector(), image)
    made, *_ = face_detailer(image, unet, BoxDetector(), segm_detector_opt=OverridingDetector())
    assert torch.equal(made, as_detailer(image, segs, unet)[0])
    hook = Recorder()
    anded, *_ = face_detailer(image, unet, BoxDetector(), segm_detector_opt=OverridingDetector(), detailer_hook=hook)
    segs = mask_by_segs(detect(BoxDetector(), image), detect(OutlineDetector(), image))
    assert torch.equal(anded, as_detailer(image, segs, unet)[0])
    hook.override_bbox_by_segm = False  # type: ignore[attr-defined]  # only its being there counts
    replaced, *_ = face_detailer(
        image, unet, BoxDetector(), segm_detector_opt=OverridingDetector(),
        detailer_hook=CombinedHook(hook, Recorder()),
    )  # fmt: skip
    assert torch.equal(replaced, made)


def test_sam_before_outlines(unet: Pipe, image: torch.Tensor) -> None:
    sam, outlines = FloodSam(), OutlineDetector()
    *_, mask, _, _ = face_detailer(image, unet, BoxDetector(), sam_model_opt=SamModel(sam), segm_detector_opt=outlines)
    discs = image.amax(dim=-1)
    assert mask[discs > 0.52].all() and not mask[discs < 0.48].any()
    assert outlines.calls == []
    assert sam.events == ["prepare", "predict", "predict", "release"]


def test_filter_hook_acts_on_what_was_found(unet: Pipe, image: torch.Tensor) -> None:
    largest = OrderedFilterHook("area(=w*h)", True, 0, 1)
    made, refined, *_, mask, _, _ = face_detailer(image, unet, BoxDetector(), detailer_hook=largest)
    header, (_, blue) = detect(BoxDetector(), image)
    assert torch.equal(made, as_detailer(image, (header, [blue]), unet)[0])
    assert len(refined) == 1
    assert not mask[0, :48].any()


def test_batch(unet: Pipe, image: torch.Tensor) -> None:
    """Frame i starts with seed + i; a frame without anything comes back, with placeholders in its place."""
    other = drawn(*SIZE, [BLUE])[0]
    frames = torch.cat([image, torch.zeros_like(image), other])
    made, refined, refined_alpha, mask, _, hints = face_detailer(frames, unet, BoxDetector())
    alone = [face_detailer(frame[None], unet, BoxDetector(), seed=7 + index) for index, frame in enumerate(frames)]
    assert torch.equal(made, torch.cat([one[0] for one in alone]))
    assert torch.equal(made[1], frames[1])
    assert mask.shape == (3, *SIZE) and not mask[1].any()
    assert [list(crop.shape) for crop in refined][2] == [1, 64, 64, 3] and len(refined) == 4
    assert len(refined_alpha) == 4 and len(hints) == 3


def test_pipe_it_gives(unet: Pipe, image: torch.Tensor) -> None:
    """What comes out of one goes into the other and does the same."""
    detector, sam, hook = BoxDetector(), SamModel(FloodSam()), Recorder()
    changes = dict(sam_model_opt=sam, detailer_hook=hook, wildcard="")
    made, *_, pipe, _ = face_detailer(image, unet, detector, **changes)
    assert len(pipe) == 14
    assert pipe[5:] == ("", detector, None, sam, hook, None, None, None, None)
    again = FaceDetailerPipe().doit(image, pipe, **WIDGETS, refiner_ratio=0.2)
    assert torch.equal(again[0], made)
    assert again[4] is pipe


def test_refiner(unet: Pipe, image: torch.Tensor) -> None:
    refiner = unet_pipe(seed=5)
    model, clip, _, positive, negative = refiner
    pipe = (*unet, "", BoxDetector(), None, None, None, model, clip, positive, negative)
    made = FaceDetailerPipe().doit(image, pipe, **(WIDGETS | {"steps": 4}), refiner_ratio=0.5)
    wanted = as_detailer(
        image, detect(BoxDetector(), image), unet, steps=4, refiner_ratio=0.5, refiner_model=model, refiner_clip=clip,
        refiner_positive=positive, refiner_negative=negative,
    )  # fmt: skip
    assert torch.equal(made[0], wanted[0])


def test_alpha_stays(unet: Pipe, image: torch.Tensor) -> None:
    with_alpha = torch.cat([image, torch.rand(1, *SIZE, 1)], dim=-1)
    made, *_ = face_detailer(with_alpha, unet, BoxDetector())
    assert torch.equal(made[..., 3], with_alpha[..., 3])
    assert torch.equal(made[..., :3], face_detailer(image, unet, BoxDetector())[0])


def test_sliced_off_box(unet: Pipe) -> None:
    """A disc that the picture's corner cuts."""
    image, _ = drawn(*SIZE, [Disc(2, 3, 14, "green")])
    made, *_ = face_detailer(image, unet, BoxDetector())
    assert torch.isfinite(made).all() and not torch.equal(made, image)
    assert np.array_equal(made.numpy()[0, 60:], image.numpy()[0, 60:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox_detector": None}, r"FaceDetailer, input 'bbox_detector': the BBOX_DETECTOR is missing"),
        ({"bbox_detector": NoDetector()}, r"FaceDetailer, input 'bbox_detector': a NoDetector is no BBOX_DETECTOR"),
        ({"segm_detector_opt": NoDetector()}, r"FaceDetailer, input 'segm_detector_opt': a NoDetector is no SEGM"),
        ({"sam_model_opt": object()}, r"FaceDetailer, input 'sam_model_opt': a object has no sam_wrapper"),
        ({"vae": None}, r"FaceDetailer, input 'vae': it is missing"),
        ({"wildcard": "a face", "clip": None}, r"FaceDetailer, input 'clip': it is missing"),
    ],
)
def test_what_is_missing(unet: Pipe, image: torch.Tensor, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        face_detailer(image, unet, changes.pop("bbox_detector", BoxDetector()), **changes)


def test_what_the_pipe_lacks(unet: Pipe, image: torch.Tensor) -> None:
    pipe = (*unet, "", None, None, None, None, None, None, None, None)
    with pytest.raises(InputError, match=r"FaceDetailerPipe, input 'detailer_pipe': the BBOX_DETECTOR is missing"):
        FaceDetailerPipe().doit(image, pipe, **WIDGETS, refiner_ratio=0.2)


# --- a mask or segments instead of the detector ----------------------------------------------------------------------


class Unasked(BoxDetector):
    """A detector that nobody may ask."""

    def detect(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the detector was asked")


def pipe_form(image: torch.Tensor, pipe: Pipe, detector: Any, **changes: Any) -> tuple[Any, ...]:
    model, clip, vae, positive, negative = pipe
    whole = (model, clip, vae, positive, negative, "", detector, None, None, None, None, None, None, None)
    return FaceDetailerPipe().doit(image, whole, **dict(WIDGETS, refiner_ratio=0.0, **changes))


FORMS = pytest.mark.parametrize("form", [face_detailer, pipe_form], ids=["parts", "pipe"])


@FORMS
@pytest.mark.parametrize("detector", [Unasked(), None], ids=["unasked", "none"])
def test_segs_instead(unet: Pipe, image: torch.Tensor, form: Any, detector: Any) -> None:
    segs = detect(BoxDetector(), image)
    sam = {} if form is pipe_form else {"sam_model_opt": SamModel(FloodSam()), "segm_detector_opt": Unasked()}
    wanted = form(image, unet, BoxDetector())
    made = form(image, unet, detector, segs=segs, **sam)
    assert same(made[:4], wanted[:4]) and same(made[5], wanted[5])


@FORMS
def test_a_mask_instead(unet: Pipe, image: torch.Tensor, form: Any) -> None:
    """Each separate part of it, soft and with holes as it is; with several pictures each its own."""
    mask = mask_of(*SIZE, (19, 17, 41, 39), (78, 50, 106, 78)) * 0.8
    segs = mask_to_segs(mask, False, 2.0, False, 4, is_contour=False)
    wanted = do_detail(image, segs, unet)
    made = form(image, unet, Unasked(), mask=mask)
    assert torch.equal(made[0], wanted[0]) and torch.equal(made[3], to_combined_mask(segs))
    pictures, masks = torch.cat([image, 1 - image]), torch.cat([mask, mask.roll(12, 2)])
    both = form(pictures, unet, Unasked(), mask=masks)
    assert torch.equal(both[0][:1], made[0]) and torch.equal(both[3][0], made[3][0])
    assert torch.equal(both[3][1], to_combined_mask(mask_to_segs(masks[1:], False, 2.0, False, 4, is_contour=False))[0])


@FORMS
def test_which_of_what_was_given(unet: Pipe, image: torch.Tensor, form: Any) -> None:
    segs = detect(BoxDetector(), image)
    only_blue = form(image, unet, None, segs=segs, parts_labels="blue")
    assert torch.equal(only_blue[0], form(image, unet, None, segs=(segs[0], segs[1][1:]))[0])
    mask = mask_of(*SIZE, (19, 17, 41, 39), (78, 50, 106, 78))
    one = form(image, unet, None, mask=mask, parts_most=1, parts_labels="face")[3]
    assert one.any() and not torch.equal(one, form(image, unet, None, mask=mask)[3])


@FORMS
def test_not_both(unet: Pipe, image: torch.Tensor, form: Any) -> None:
    with pytest.raises(InputError, match="input 'segs': there is a mask too"):
        form(image, unet, BoxDetector(), mask=torch.ones(1, *SIZE), segs=detect(BoxDetector(), image))


@FORMS
def test_an_empty_mask(unet: Pipe, image: torch.Tensor, form: Any) -> None:
    made = form(image, unet, Unasked(), mask=torch.zeros(1, *SIZE))
    assert torch.equal(made[0], image) and not made[3].any()
