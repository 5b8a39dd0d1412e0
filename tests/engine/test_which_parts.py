"""Which of what a real detector finds a detector node gives and FaceDetailer details, on drawn pictures."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine.discs import SIMPLE, WIDGETS, pipe_of
from engine.running import Recorder, do_detail
from engine.test_face_detailer import FOUND, face_detailer
from engine.test_face_detailer import WIDGETS as FACE_WIDGETS
from engine.tiny_models import Pipe
from mask_detailer.core import SEGS, bbox
from mask_detailer.detailer.hooks.builtin import OrderedFilterHook
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.detectors import (
    BboxDetectorSEGS,
    ImpactSimpleDetectorSEGS,
    ImpactSimpleDetectorSEGSPipe,
    SegmDetectorSEGS,
)
from mask_detailer.nodes.faces import FaceDetailerPipe
from mask_detailer.nodes.validate import InputError
from mask_detailer.segs import ORDERS, to_combined_mask
from support.detectors import (
    BoxDetector,
    Disc,
    FloodSam,
    OutlineDetector,
    OverridingDetector,
    SamModel,
    WorldDetector,
    drawn,
)

SIZE = (96, 128)
# no two of a size, a place or a brightness
DISCS = [
    Disc(16, 70, 9, "red", 0.95),
    Disc(40, 22, 14, "red", 0.80),
    Disc(66, 76, 12, "green", 0.90),
    Disc(84, 30, 7, "green", 0.75),
    Disc(112, 50, 11, "blue", 1.0),
]
NODES = ("BboxDetectorSEGS", "SegmDetectorSEGS", "ImpactSimpleDetectorSEGS", "ImpactSimpleDetectorSEGSPipe")
DETAILERS = ("FaceDetailer", "FaceDetailerPipe")

# what the orders say, of the discs themselves
MEASURES: dict[str, Callable[[Disc], float]] = {
    "largest first": lambda disc: -disc.radius,
    "smallest first": lambda disc: disc.radius,
    "left to right": lambda disc: disc.x,
    "top to bottom": lambda disc: disc.y,
    "most confident first": lambda disc: -disc.brightness,
    "least confident first": lambda disc: disc.brightness,
}
LABELS = {"": "red green blue", "red, blue": "red blue", "-red": "green blue", "blue, -red": "blue", "Red": ""}
ONLY = {"": None, "2": {2}, "1, 3-9": {1, 3, 4, 5, 6, 7, 8, 9}}


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return drawn(*SIZE, DISCS)[0]


def discs_of(segs: SEGS) -> list[Disc]:
    """The disc of each segment, by the middle of its box."""
    middles = [((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2) for box in map(bbox, segs[1])]
    return [min(DISCS, key=lambda disc: abs(disc.x - x) + abs(disc.y - y)) for x, y in middles]


def meant(found: list[Disc], labels: str, order: str, most: int, only: str) -> list[Disc]:
    discs = [disc for disc in found if disc.label in LABELS[labels].split()]
    if order in MEASURES:
        discs.sort(key=MEASURES[order])
    discs = discs[:most] if most else discs
    taken = ONLY[only]
    return [disc for place, disc in enumerate(discs) if taken is None or place + 1 in taken]


def detect(node: str, image: torch.Tensor, labels: str = "", sam: Any = None, **parts: Any) -> SEGS:
    match node:
        case "BboxDetectorSEGS":
            return BboxDetectorSEGS().doit(BoxDetector(), image, **WIDGETS, labels=labels, **parts)[0]
        case "SegmDetectorSEGS":
            return SegmDetectorSEGS().doit(OutlineDetector(), image, **WIDGETS, labels=labels, **parts)[0]
        case "ImpactSimpleDetectorSEGS":
            more = {"sam_model_opt": sam, "parts_labels": labels, **parts}
            return ImpactSimpleDetectorSEGS().doit(BoxDetector(), image, **SIMPLE, **more)[0]
    pipe = pipe_of(bbox_detector=BoxDetector(), sam_model=sam)
    return ImpactSimpleDetectorSEGSPipe().doit(pipe, image, **SIMPLE, parts_labels=labels, **parts)[0]


@pytest.mark.parametrize("node", NODES)
def test_every_choice(image: torch.Tensor, node: str) -> None:
    """Labels by order by most by numbers; each segment stays what it was."""
    every = detect(node, image)
    found = discs_of(every)
    assert sorted(found) == sorted(DISCS)
    by_disc = dict(zip(found, every[1], strict=True))
    for labels, order, most, only in itertools.product(LABELS, ORDERS, (0, 3), ONLY):
        segs = detect(node, image, labels, parts_order=order, parts_most=most, parts_only=only)
        wanted = meant(found, labels, order, most, only)
        assert segs[0] == SIZE and discs_of(segs) == wanted, (labels, order, most, only)
        for disc, seg in zip(wanted, segs[1], strict=True):
            assert (seg.cropped_mask == by_disc[disc].cropped_mask).all() and seg.label == disc.label


@pytest.mark.parametrize("node", NODES)
def test_nothing_found(node: str) -> None:
    black = torch.zeros(1, *SIZE, 3)
    segs = detect(node, black, "red", parts_order="largest first", parts_most=2, parts_only="1-3")
    assert segs == (SIZE, [])


@pytest.mark.parametrize("node", NODES[2:])
def test_sam_is_asked_of_the_chosen_alone(image: torch.Tensor, node: str) -> None:
    all_asked, asked = FloodSam(), FloodSam()
    every = detect(node, image, sam=SamModel(all_asked))
    segs = detect(node, image, sam=SamModel(asked), parts_order="left to right", parts_only="2, 4")
    assert (all_asked.events.count("predict"), asked.events.count("predict")) == (5, 2)
    wanted = sorted(DISCS, key=lambda disc: disc.x)[1::2]
    assert discs_of(segs) == wanted
    by_disc = dict(zip(discs_of(every), every[1], strict=True))
    for disc, seg in zip(wanted, segs[1], strict=True):
        assert (seg.cropped_mask == by_disc[disc].cropped_mask).all()
        assert 0 < seg.cropped_mask.sum() < 3.5 * disc.radius**2  # a disc, no rectangle


def test_a_detector_that_does_all_itself(image: torch.Tensor) -> None:
    world = WorldDetector()
    (segs,) = ImpactSimpleDetectorSEGS().doit(
        world.bbox_detector, image, **SIMPLE, segm_detector_opt=world, parts_labels="-red", parts_order="smallest first"
    )
    assert discs_of(segs) == [DISCS[3], DISCS[4], DISCS[2]]


def test_the_log_says_what_is_left_out(image: torch.Tensor, told: pytest.LogCaptureFixture) -> None:
    detect("BboxDetectorSEGS", image, "all", parts_order="largest first")
    assert not told.records
    detect("BboxDetectorSEGS", image, "-blue", parts_most=3)
    (line,) = (record.getMessage() for record in told.records if record.levelno == logging.INFO)
    assert line.startswith("2 of 5 parts found are left out, as was asked: ") and "1 x blue" in line


@pytest.mark.parametrize("node", [*NODES, *DETAILERS])
@pytest.mark.parametrize("text", ["3-", "a", "0", "1,,2"])
def test_numbers_that_cannot_be_read(unet: Pipe, image: torch.Tensor, node: str, text: str) -> None:
    """Said before anything is looked for."""
    detector = BoxDetector()
    with pytest.raises(InputError, match=rf"{node}, input 'parts_only': .+ Write the numbers that SEGSPreview shows"):
        if node == "FaceDetailer":
            face_detailer(image, unet, detector, parts_only=text)
        elif node == "FaceDetailerPipe":
            FaceDetailerPipe().doit(image, whole_pipe(unet, detector), **FACE_WIDGETS, parts_only=text)
        else:
            detect(node, image, parts_only=text)
    assert detector.calls == []


@pytest.mark.parametrize("node", [*NODES, *DETAILERS])
def test_inputs_come_last_and_none_is_needed(node: str) -> None:
    types = NODE_CLASS_MAPPINGS[node].INPUT_TYPES()
    names = ["parts_order", "parts_most", "parts_only"]
    own = names if "labels" in types["required"] else ["parts_labels", *names]
    later = [name for name in types["optional"] if name not in {"mask", "segs", "choices"}]
    assert later[-len(own) :] == own
    assert not set(names) & set(types["required"])


# --- FaceDetailer ---------------------------------------------------------------------------------------------------


def whole_pipe(pipe: Pipe, detector: Any, **parts: Any) -> tuple[Any, ...]:
    return (*pipe, "", *pipe_of(bbox_detector=detector, **parts)[6:])


def found_by(detector: Any, image: torch.Tensor) -> SEGS:
    return detector.detect(image, FOUND["bbox_threshold"], 0, FOUND["bbox_crop_factor"], FOUND["drop_size"])


def of_discs(segs: SEGS, *discs: Disc) -> SEGS:
    by_disc = dict(zip(discs_of(segs), segs[1], strict=True))
    return segs[0], [by_disc[disc] for disc in discs]


@pytest.mark.parametrize("order", ["as found", "left to right", "least confident first"])
def test_face_detailer_works_in_that_order(unet: Pipe, image: torch.Tensor, order: str) -> None:
    """Each with the next seed, as Detailer (SEGS) does with such segments; the mask shows the chosen ones alone."""
    every = found_by(BoxDetector(), image)
    chosen = meant(discs_of(every), "-red", order, 2, "")
    segs = of_discs(every, *chosen)
    made, refined, *_, mask, _, _ = face_detailer(
        image, unet, BoxDetector(), parts_labels="-red", parts_order=order, parts_most=2
    )
    assert torch.equal(made, do_detail(image, segs, unet)[0])
    assert torch.equal(mask, to_combined_mask(segs)) and len(refined) == 2
    other, *_ = do_detail(image, (segs[0], segs[1][::-1]), unet)
    assert not torch.equal(made, other)  # the order counts


def test_face_detailer_pipe_does_the_same(unet: Pipe, image: torch.Tensor) -> None:
    choice = dict(parts_order="largest first", parts_only="1, 3")
    made, *_ = face_detailer(image, unet, BoxDetector(), **choice)
    again, *_ = FaceDetailerPipe().doit(image, whole_pipe(unet, BoxDetector()), **FACE_WIDGETS, **choice)
    assert torch.equal(made, again)


def test_numbers_count_in_each_picture(unet: Pipe, image: torch.Tensor) -> None:
    """The second from the left of each; a picture with one part has none, and stays as it is."""
    single = drawn(*SIZE, DISCS[1:2])[0]
    last = drawn(*SIZE, DISCS[2:])[0]
    frames = torch.cat([image, single, last])
    made, *_, mask, _, _ = face_detailer(frames, unet, BoxDetector(), parts_order="left to right", parts_only="2")
    wanted = [
        do_detail(image, of_discs(found_by(BoxDetector(), image), DISCS[1]), unet)[0],
        single,
        do_detail(last, of_discs(found_by(BoxDetector(), last), DISCS[3]), unet, seed=9)[0],
    ]
    assert torch.equal(made, torch.cat(wanted))
    assert [bool(one.any()) for one in mask] == [True, False, True]


def test_face_detailer_with_nothing_chosen(unet: Pipe, image: torch.Tensor) -> None:
    made, refined, *_, mask, _, _ = face_detailer(image, unet, BoxDetector(), parts_labels="hand")
    assert torch.equal(made, image) and not mask.any()
    assert [list(crop.shape) for crop in refined] == [[1, 64, 64, 3]]


def test_face_detailer_asks_sam_of_the_chosen_alone(unet: Pipe, image: torch.Tensor) -> None:
    sam = FloodSam()
    *_, mask, _, _ = face_detailer(image, unet, BoxDetector(), sam_model_opt=SamModel(sam), parts_labels="blue")
    assert sam.events.count("predict") == 1
    cover = drawn(*SIZE, DISCS)[1][4]
    assert mask[0][cover > 0.6].all() and not mask[0][cover < 0.4].any()


def test_outlines_instead_are_chosen_from_too(unet: Pipe, image: torch.Tensor) -> None:
    segs = of_discs(found_by(OverridingDetector(), image), DISCS[4])
    made, *_, mask, _, _ = face_detailer(
        image, unet, BoxDetector(), segm_detector_opt=OverridingDetector(), parts_order="most confident first",
        parts_most=1,
    )  # fmt: skip
    assert torch.equal(made, do_detail(image, segs, unet)[0])
    assert torch.equal(mask, to_combined_mask(segs))


def test_the_hook_sees_all_before(unet: Pipe, image: torch.Tensor) -> None:
    hook = Recorder()
    face_detailer(image, unet, BoxDetector(), detailer_hook=hook, parts_most=1)
    assert len(hook.all("post_detection")[0][1]) == 5 and hook.names.count("post_paste") == 1
    smallest = OrderedFilterHook("area(=w*h)", False, 0, 2)
    segs = detect("BboxDetectorSEGS", image, "all", detailer_hook=smallest, parts_order="largest first", parts_most=1)
    assert discs_of(segs) == [DISCS[0]]
