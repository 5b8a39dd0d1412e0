"""The plan: which segments, in which order, with which seed, and what is said about the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core import SEGS, Region, Size
from mask_detailer.detailer.options import DenoiseOptions, DetailOptions
from mask_detailer.detailer.pipeline.plan import Plan, make_plan
from mask_detailer.detailer.values import SizeOptions
from unit.build import ForeignSEG, drawn, seg, settings

PICTURE = Size(200, 300)
FORCED = SizeOptions(64, True, 1024, True)


def plan_of(segs: SEGS, seed: int = 100, text: str | None = None, size: SizeOptions = FORCED) -> Plan:
    return make_plan(segs, PICTURE, settings(size, text), seed, 8)


def four() -> SEGS:
    """Large and right, small and left, wide and low left, middling."""
    boxes = [(150, 20, 250, 120), (10, 50, 30, 70), (10, 100, 90, 120), (60, 10, 90, 40)]
    return tuple(PICTURE), [seg(box, label=name) for box, name in zip(boxes, "abcd", strict=True)]


def test_numbers_and_seeds_count_skipped_segments() -> None:
    segs = four()
    segs[1][1] = seg((10, 50, 30, 70), mask=0.0, label="b")
    plan = plan_of(segs)
    assert [(crop.number, crop.seed, crop.seg.label) for crop in plan.crops] == [
        (1, 100, "a"), (2, 101, "b"), (3, 102, "c"), (4, 103, "d"),
    ]  # fmt: skip
    assert [crop.number for crop in plan.to_sample] == [1, 3, 4]
    assert plan.crops[1].skipped == "its mask is empty"


def test_seeds_count_on_from_0_past_the_largest() -> None:
    largest = 2**64 - 1
    assert [crop.seed for crop in plan_of(four(), largest - 1).crops] == [largest - 1, largest, 0, 1]
    text = f"[ASC]a[SEP:{largest}]b[SEP:{2**64}]c[SEP:7]d"
    assert [crop.seed for crop in plan_of(four(), 5, text).crops] == [5, largest, 0, 7]


@pytest.mark.parametrize(
    ("tag", "order"),
    [
        ("", "abcd"),
        ("[ASC]", "bcda"),
        ("[DSC]", "adcb"),
        ("[ASC-SIZE]", "bdca"),
        ("[DSC-SIZE]", "acdb"),
        ("[RND]", "abcd"),
    ],
)
def test_orders(tag: str, order: str) -> None:
    plan = plan_of(four(), text=f"{tag}a prompt")
    assert "".join(crop.seg.label for crop in plan.crops) == order
    assert [(crop.number, crop.seed) for crop in plan.crops] == [(1, 100), (2, 101), (3, 102), (4, 103)]
    assert {crop.text for crop in plan.crops} == {"a prompt"}


def test_segments_that_the_text_skips_or_stops_at() -> None:
    plan = plan_of(four(), text="[ASC]one[SEP][SKIP][SEP:9] \n[SKIP] [SEP]four")
    assert [(crop.text, crop.seed) for crop in plan.to_sample] == [("one", 100), ("four", 103)]
    assert [crop.skipped for crop in plan.crops[1:3]] == ["its text says [SKIP]"] * 2
    plan = plan_of(four(), text="[ASC]one[SEP]two[SEP][STOP][SEP]four")
    assert [crop.text for crop in plan.crops] == ["one", "two"]
    assert plan_of(four(), text="[STOP]").crops == ()
    assert plan_of(four(), text=" [SKIP]\n").to_sample == ()


def test_labels_and_concatenation() -> None:
    plan = plan_of(four(), text="[CONCAT][LAB][ALL] all, [a] first [d] last")
    assert [crop.text for crop in plan.crops] == ["all,first", "all,", "all,", "all,last"]
    assert all(crop.adds_text for crop in plan.crops)
    assert not any(crop.adds_text for crop in plan_of(four(), text="prompt").crops)
    assert [crop.text for crop in plan_of(four()).crops] == [None] * 4


@pytest.mark.parametrize(
    "crop", [(300, 0, 400, 50), (0, 200, 50, 250), (-50, -50, -10, -10), (20, 20, 20, 40), (40, 40, 20, 20)]
)
def test_a_segment_outside_the_picture_is_skipped(crop: tuple[int, int, int, int]) -> None:
    mask = np.ones((max(crop[3] - crop[1], 0), max(crop[2] - crop[0], 0)), np.float32)
    (planned,) = plan_of((tuple(PICTURE), [seg(crop, mask=mask)])).crops
    assert "lies outside the 300x200 picture" in str(planned.skipped)


def test_a_region_that_reaches_outside_is_cut_and_so_is_its_mask() -> None:
    mask = np.random.default_rng(0).random((60, 50)).astype(np.float32)
    (crop,) = plan_of((tuple(PICTURE), [seg((-10, -20, 40, 40), mask=mask)])).crops
    assert crop.region == Region(0, 0, 40, 40)
    assert np.array_equal(crop.mask()[0].numpy(), mask[20:, 10:])
    mask[20:, 10:] = 0.0  # nothing left to see
    (crop,) = plan_of((tuple(PICTURE), [seg((-10, -20, 40, 40), mask=mask)])).crops
    assert crop.skipped == "its mask is empty"


def test_segments_of_another_picture_size_are_moved() -> None:
    (crop,) = plan_of(((100, 100), [seg((10, 10, 20, 20))])).crops
    assert crop.region == Region(30, 20, 60, 40)
    assert crop.mask().shape == (1, 20, 30)
    (crop,) = plan_of(((0, 0), [seg((10, 10, 20, 20))])).crops
    assert crop.region == Region(10, 10, 20, 20)


@pytest.mark.parametrize("form", ["frames", "tensor", "other size", "out of range", "float64"])
def test_masks_of_every_form(form: str) -> None:
    array = drawn(20, 20, (5, 5, 15, 15))
    tensor = torch.from_numpy(array)
    forms = {
        "frames": torch.stack([tensor * 0.2, tensor, tensor * 0.7]),
        "tensor": tensor[None],
        "other size": drawn(40, 40, (10, 10, 30, 30)),
        "out of range": array * 3.0 - 1.0,
        "float64": array.astype(np.float64),
    }
    (crop,) = plan_of((tuple(PICTURE), [seg((10, 10, 30, 30), mask=forms[form])])).crops
    mask = crop.mask()
    assert mask.shape == (1, 20, 20) and mask.dtype == torch.float32
    assert np.array_equal(mask[0].numpy(), array)


def test_another_packs_segment() -> None:
    foreign = ForeignSEG(
        None, np.ones((20, 20)), 1.0, np.array([10, 10, 30, 30]), np.array([12.0, 12.0, 28.9, 28.9], np.float32), None
    )
    (crop,) = plan_of((tuple(PICTURE), [foreign])).crops
    assert crop.skipped is None and crop.seg is foreign
    assert crop.scale == 4.0  # 64 over the box's 16


def test_the_plan_can_be_printed() -> None:
    segs = four()
    segs[1][1] = seg((10, 50, 30, 70), mask=0.0)
    lines = str(plan_of(segs)).splitlines()
    assert lines[0] == "picture 300x200, 3 of 4 segments"
    assert lines[1] == "segment 1: crop 100x100 at 150,20, scale 1.00, worked on at 96x96, seed 100"
    assert lines[2] == "segment 2: skipped, its mask is empty"
    assert lines[4] == "segment 4: crop 30x30 at 60,10, scale 2.13, worked on at 64x64, seed 103"


def test_no_segments() -> None:
    assert plan_of((tuple(PICTURE), [])).crops == ()
    assert plan_of(((0, 0), []), text="[ASC]a").crops == ()


def test_denoise_by_size_looks_at_the_part_s_box_not_at_its_crop() -> None:
    options = DetailOptions(denoise=DenoiseOptions("less_for_larger", 32))
    part = seg((50, 50, 150, 150), box=(80, 80, 120, 120))
    plan = make_plan((tuple(PICTURE), [part]), PICTURE, settings(FORCED, options=options), 100, 8)
    assert plan.crops[0].denoise == pytest.approx(0.5 * (32 / 40) ** 0.5)
