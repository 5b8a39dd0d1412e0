"""At which size a crop is worked on. Every figure here was worked out by hand from the size rules."""

from __future__ import annotations

import numpy as np
import pytest
from mask_detailer.core import Region, Size
from mask_detailer.detailer.options import DetailOptions, WorkingSizeOptions
from mask_detailer.detailer.pipeline.plan import above_max_size, make_plan
from mask_detailer.detailer.pipeline.working_size import scale_for
from mask_detailer.detailer.values import SizeOptions
from unit.build import seg, settings

PICTURE = Size(2000, 2000)

# box, crop (both width, height); guide_size, guide_for_bbox, max_size, force_inpaint -> scale, wished, working
WORKED_ON = [
    ((100, 100), (300, 300), (512, True, 2048, False), 5.12, (1536, 1536), (1536, 1536)),
    ((100, 100), (300, 300), (512, False, 2048, False), 512 / 300, (512, 512), (512, 512)),
    ((100, 80), (150, 120), (384, True, 1024, True), 4.8, (720, 576), (720, 576)),
    ((80, 100), (120, 150), (384, True, 1024, True), 4.8, (576, 720), (576, 720)),  # the shorter side is guided
    ((100, 80), (150, 120), (384, False, 1024, True), 3.2, (480, 384), (480, 384)),
    # the Impact Pack's floats: 5.12 * (1024 / 1536) * 300 is a whisker under 1024, and is cut off all the same
    ((100, 100), (300, 300), (512, True, 1024, False), 1024 / 300, (1023, 1023), (1016, 1016)),
    ((50, 50), (300, 100), (512, True, 1024, False), 1024 / 300, (1023, 341), (1016, 336)),
    ((100, 100), (200, 200), (512, True, 768, False), 3.84, (768, 768), (768, 768)),  # 5.12 * 768 / 1024
    ((20, 200), (60, 600), (512, True, 768, False), 768 / 600, (76, 768), (72, 768)),
    ((100, 100), (133, 101), (256, True, 2048, False), 2.56, (340, 258), (336, 256)),  # 340.48 and 258.56, cut off
    ((600, 100), (700, 300), (512, True, 4096, False), 5.12, (3584, 1536), (3584, 1536)),  # one side reaches, not both
    ((600, 600), (700, 800), (512, True, 1024, True), 1.0, (700, 800), (696, 800)),
    ((512, 512), (700, 800), (512, True, 1024, True), 1.0, (700, 800), (696, 800)),
    ((600, 600), (1500, 1400), (512, True, 1024, True), 1.0, (1500, 1400), (1496, 1400)),  # its own size
    ((100, 100), (1500, 1400), (512, True, 1024, True), 1.0, (1500, 1400), (1496, 1400)),  # the scale came below 1
    ((3, 3), (5, 4), (3, True, 1024, True), 1.0, (5, 4), (8, 8)),  # never less than a latent cell
    ((100, 100), (150, 150), (100.5, True, 1024.0, False), 1.005, (150, 150), (144, 144)),
    ((10, 10), (20, 20), (512, True, 1024, False), 51.2, (1024, 1024), (1024, 1024)),
]

SKIPPED = [
    ((512, 512), (700, 700), (512, True, 1024, False), "already reaches guide_size 512"),
    ((513, 700), (800, 800), (512, False, 4096, False), "already reaches guide_size 512"),
    ((100, 600), (512, 700), (512, False, 1024, False), "would not be enlarged"),  # scale exactly 1
    ((100, 600), (600, 700), (512, False, 1024, False), "would not be enlarged"),
    ((100, 100), (1100, 1100), (512, True, 1024, False), "would not be enlarged"),  # max_size below the crop
]


def options(values: tuple[float, bool, float, bool]) -> SizeOptions:
    return SizeOptions(*values)


@pytest.mark.parametrize(("box", "crop", "size", "scale", "wished", "working"), WORKED_ON)
def test_worked_on(box: tuple, crop: tuple, size: tuple, scale: float, wished: tuple, working: tuple) -> None:
    segs = (tuple(PICTURE), [seg((10, 20, 10 + crop[0], 20 + crop[1]), (15, 25, 15 + box[0], 25 + box[1]))])
    (plan,) = make_plan(segs, PICTURE, settings(options(size)), 0, 8).crops
    assert plan.skipped is None
    assert plan.scale == pytest.approx(scale, rel=1e-12)
    assert (plan.wished.width, plan.wished.height) == wished
    assert (plan.working.width, plan.working.height) == working


@pytest.mark.parametrize(("box", "crop", "size", "reason"), SKIPPED)
def test_skipped(box: tuple, crop: tuple, size: tuple, reason: str) -> None:
    segs = (tuple(PICTURE), [seg((10, 20, 10 + crop[0], 20 + crop[1]), (15, 25, 15 + box[0], 25 + box[1]))])
    plan = make_plan(segs, PICTURE, settings(options(size)), 0, 8)
    assert plan.to_sample == ()
    assert reason in str(plan.crops[0].skipped)
    assert "force_inpaint" in str(plan.crops[0].skipped)


@pytest.mark.parametrize("multiple", [1, 8, 16, 32])
def test_the_working_size_fits_the_latent_grid(multiple: int) -> None:
    segs = ((200, 200), [seg((10, 20, 101, 153))])
    (plan,) = make_plan(segs, Size(200, 200), settings(SizeOptions(333, True, 1024, True)), 0, multiple).crops
    assert (plan.wished.width, plan.wished.height) == (333, 486)  # 91 x 133 times 333 / 91
    expected = {1: (333, 486), 8: (328, 480), 16: (320, 480), 32: (320, 480)}[multiple]
    assert (plan.working.width, plan.working.height) == expected


def test_a_hook_changes_the_size() -> None:
    segs = ((200, 200), [seg((10, 20, 101, 153))])
    (plan,) = make_plan(segs, Size(200, 200), settings(SizeOptions(333, True, 1024, True)), 5, 8).crops
    changed = plan.resized(Size(5, 257))
    assert (changed.wished, changed.working) == (Size(5, 257), Size(8, 256))
    assert (changed.region, changed.seed, changed.scale) == (plan.region, plan.seed, plan.scale)
    assert plan.wished == Size(486, 333)


def test_a_box_without_pixels_is_no_division_by_zero() -> None:
    scale, reason = scale_for(Size(0, 0), Size(100, 100), SizeOptions(512, True, 1024, True))
    assert np.isfinite(scale) and reason is None


def test_above_max_size_names_what_is_worked_on_at_its_own_size() -> None:
    crops = [(0, 0, 1500, 1400), (0, 0, 200, 200), (0, 0, 1025, 30)]
    segs = (tuple(PICTURE), [*(seg(crop) for crop in crops), seg((0, 0, 1600, 1600), mask=0.0)])
    plan = make_plan(segs, PICTURE, settings(SizeOptions(512, True, 1024, True)), 0, 8)
    assert [crop.number for crop in above_max_size(plan.crops, 1024)] == [1, 3]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (WorkingSizeOptions("guide_size_exact"), "as guide_size says"),
        (WorkingSizeOptions("short_side", short_side=512), "short side 512"),
        (WorkingSizeOptions("pixel_budget", megapixels=0.5), "0.5 megapixels"),
        (WorkingSizeOptions("fixed_size", width=512, height=768), "fixed size 512x768"),
        (WorkingSizeOptions(context=150), "at least 150 px around the part"),
        (WorkingSizeOptions("short_side", short_side=2048), "no longer than max_size 1024"),
    ],
)
def test_the_plan_says_why(options: WorkingSizeOptions, words: str) -> None:
    segs = (tuple(PICTURE), [seg((800, 900, 1100, 1200), (900, 1000, 1000, 1100))])
    wanted = settings(SizeOptions(512, True, 1024, True), options=DetailOptions(size=options))
    (plan,) = make_plan(segs, PICTURE, wanted, 0, 8).crops
    assert words in plan.why and plan.why in str(plan)


def test_a_segment_with_a_control_net_keeps_its_crop() -> None:
    """Its hint was cut for it."""
    crop = (10, 20, 160, 140)
    plain = seg(crop, (60, 60, 100, 100))
    hinted = plain._replace(control_net_wrapper=object())
    options = DetailOptions(size=WorkingSizeOptions("fixed_size", width=512, height=512, context=80, border="mirror"))
    wanted = settings(SizeOptions(512, True, 1024, True), options=options)
    first, second = make_plan((tuple(PICTURE), [hinted, plain]), PICTURE, wanted, 0, 8).crops
    assert first.region == Region(*crop) and not first.why
    assert second.region != first.region and second.why
