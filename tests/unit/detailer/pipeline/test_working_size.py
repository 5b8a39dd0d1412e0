"""Working sizes: every mode on random boxes, by the rules that the modes promise; and figures worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_detailer.core import Region, Size
from mask_detailer.detailer.options import Trained, WorkingSizeOptions
from mask_detailer.detailer.pipeline.working_size import SIZE_MODES, Part, WorkingSize, scale_for, working_size
from mask_detailer.detailer.values import SizeOptions

GUIDE = SizeOptions(512, True, 1024, True)
EXACT = [mode for mode in SIZE_MODES if mode != "guide_size"]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Region, Region, Size, float, bool]:
    """A picture, a box in it, a crop region around that, a max_size, and whether parts are worked on by force."""
    picture = Size(draw(st.integers(1, 3000)), draw(st.integers(1, 3000)))
    x1, y1 = draw(st.integers(0, picture.width - 1)), draw(st.integers(0, picture.height - 1))
    x2, y2 = draw(st.integers(x1 + 1, picture.width)), draw(st.integers(y1 + 1, picture.height))
    box = Region(x1, y1, x2, y2)
    region = box.grown(draw(st.floats(1, 4)), picture).within(picture).union(box)
    return region, box, picture, draw(st.sampled_from([256, 512, 777, 1024, 2048])), draw(st.booleans())


OPTIONS = st.builds(
    WorkingSizeOptions,
    mode=st.sampled_from(EXACT),
    short_side=st.integers(64, 2048),
    megapixels=st.floats(0.05, 4),
    width=st.integers(64, 2048),
    height=st.integers(64, 2048),
    never_above_max_size=st.booleans(),
    multiple=st.sampled_from([0, 8, 16, 32, 64]),
    context=st.sampled_from([0, 0, 5, 60]),
    border=st.sampled_from(["stop", "mirror"]),
    trained=st.builds(Trained, st.just("a model"), st.sampled_from([512, 1024, 1328]), st.sampled_from([1, 16, 64])),
)


@settings(max_examples=1000)
@given(cases(), OPTIONS, st.sampled_from([8, 16, 24]))
def test_shape_multiple_and_maximum(
    case: tuple[Region, Region, Size, float, bool], options: WorkingSizeOptions, cells: int
) -> None:
    region, box, picture, max_size, forced = case
    made = working_size(region, Part(box), picture, SizeOptions(512, True, max_size, forced), cells, options)
    working = made.working
    assert made.wished == working  # nothing is rounded away
    step = math.lcm(cells, options.multiple or 1, options.trained.multiple)
    assert working.width % step == 0 and working.height % step == 0 and min(working) >= step
    stretch = (working.width / made.region.width) / (working.height / made.region.height)
    assert abs(stretch - 1) <= 0.01
    if options.never_above_max_size:
        assert working.longer <= max(max_size, step)
    if options.mode == "pixel_budget" and min(working) > step:
        assert working.width * working.height <= options.megapixels * 1e6
    if options.mode == "model" and min(working) > step:
        assert working.width * working.height <= options.trained.side**2
    if options.mode == "fixed_size" and not options.never_above_max_size:
        assert abs(working.width - options.width) <= max(step - 1, step / 2)
    assert made.region.union(box) == made.region
    least = Region(
        box.x1 - options.context, box.y1 - options.context, box.x2 + options.context, box.y2 + options.context
    )
    if options.border == "stop":
        least = least.within(picture)
    assert made.region.union(least) == made.region
    if not any(made.padding(picture)):
        assert made.region.inside(picture)
    assert made.text


@settings(max_examples=200)
@given(st.integers(0, 1900), st.integers(0, 1900), st.integers(1, 100), st.integers(1, 100), OPTIONS)
def test_a_large_picture_is_never_mirrored(
    x: int, y: int, width: int, height: int, options: WorkingSizeOptions
) -> None:
    """Unless that is asked for: crops of 300 pixels in one of 2000, up to an aspect of 4."""
    picture = Size(2000, 2000)
    box = Region(x, y, x + width, y + height)
    options = replace(options, border="stop", width=max(options.width, 512), height=max(options.height, 512))
    found = working_size(box.grown(3, picture), Part(box), picture, GUIDE, 8, options)
    assert found.padding(picture) == (0, 0, 0, 0)


@settings(max_examples=200)
@given(cases(), st.sampled_from([1, 8, 16]))
def test_guide_size_is_as_without_options(case: tuple[Region, Region, Size, float, bool], cells: int) -> None:
    region, box, picture, max_size, forced = case
    size = SizeOptions(384, True, max_size, forced)
    made = working_size(region, Part(box), picture, size, cells)
    scale, reason = scale_for(box.size, region.size, size)
    assert (made.region, made.scale, made.skipped) == (region, scale, reason)
    assert made.wished == Size(int(region.height * scale), int(region.width * scale))


def made(region: tuple, box: tuple, picture: tuple[int, int], size: SizeOptions = GUIDE, **options: Any) -> WorkingSize:
    """With an 8 px cell; ``picture`` as width, height."""
    return working_size(
        Region(*region), Part(Region(*box)), Size(picture[1], picture[0]), size, 8, WorkingSizeOptions(**options)
    )


def test_the_crop_grows_to_a_fixed_size() -> None:
    one = made((400, 400, 600, 600), (450, 450, 550, 550), (2000, 2000), mode="fixed_size", width=1024, height=512)
    assert one.working == Size(512, 1024)
    # 400 x 200 around the same middle, as far as an aspect within 0.8 % asks
    assert one.region.height == 200 and abs(one.region.width - 400) <= 4
    assert abs(one.region.x1 + one.region.x2 - 1000) <= 1 and (one.region.y1, one.region.y2) == (400, 600)


def test_the_crop_slides_before_it_is_padded() -> None:
    one = made((0, 0, 200, 200), (0, 0, 100, 100), (2000, 2000), mode="fixed_size", width=1024, height=512)
    assert (one.region.x1, one.region.y1) == (0, 0) and one.padding(Size(2000, 2000)) == (0, 0, 0, 0)


def test_a_picture_that_is_too_small_gives_up_surroundings_first() -> None:
    one = made((0, 0, 300, 200), (100, 50, 200, 150), (300, 200), mode="fixed_size", width=512, height=512)
    assert one.region.size == Size(200, 200) and one.padding(Size(200, 300)) == (0, 0, 0, 0)


def test_a_picture_that_is_too_small_for_the_part_is_mirrored() -> None:
    one = made((0, 0, 300, 200), (0, 0, 300, 200), (300, 200), mode="fixed_size", width=512, height=512)
    assert one.region.width == 300 and 298 <= one.region.height <= 303
    left, top, right, bottom = one.padding(Size(200, 300))
    assert left == right == 0 and top + bottom == one.region.height - 200 and abs(top - bottom) <= 1
    assert "mirrored past the picture's border" in one.text


def test_short_side() -> None:
    one = made((100, 100, 500, 300), (200, 150, 300, 250), (1000, 1000), mode="short_side", short_side=512)
    assert one.working == Size(512, 1024)
    capped = made((100, 100, 700, 300), (200, 150, 300, 250), (1000, 1000), mode="short_side", short_side=512)
    assert capped.working.longer <= 1024 and "max_size 1024" in capped.text


def test_a_budget_keeps_the_shape() -> None:
    one = made((100, 100, 500, 300), (200, 150, 300, 250), (1000, 1000), mode="pixel_budget", megapixels=0.5)
    assert one.working == Size(504, 992)  # twice as wide but for a cell, 499,968 pixels; 504 x 1008 would be too many
    assert one.region.size == Size(202, 400)  # two rows more, so that 992 / 504 is met within 0.8 %


@pytest.mark.parametrize("mode", SIZE_MODES)
def test_never_above_max_size(mode: str) -> None:
    crop = (100, 100, 1700, 1300)
    one = made(crop, crop, (2000, 2000), mode=mode, never_above_max_size=True, width=2048, height=2048, megapixels=4.0,
               short_side=2048)  # fmt: skip
    assert 900 < one.working.longer <= 1024
    assert "max_size 1024" in one.text or mode == "fixed_size"


def test_least_context() -> None:
    one = made((100, 100, 200, 200), (100, 100, 200, 200), (1000, 1000), context=32)
    assert one.region == Region(68, 68, 232, 232) and "32 px" in one.text
    at_border = made((0, 0, 100, 100), (0, 0, 100, 100), (1000, 1000), context=32)
    assert at_border.region == Region(0, 0, 132, 132)
    mirrored = made((0, 0, 100, 100), (0, 0, 100, 100), (1000, 1000), context=32, border="mirror")
    assert mirrored.region == Region(-32, -32, 132, 132)
    assert mirrored.padding(Size(1000, 1000)) == (32, 32, 0, 0)


@pytest.mark.parametrize("mode", ["short_side", "pixel_budget", "fixed_size"])
def test_what_would_shrink_is_skipped_without_force(mode: str) -> None:
    crop, gentle = (100, 100, 1300, 1300), SizeOptions(512, True, 1024, False)
    one = made(crop, crop, (2000, 2000), gentle, mode=mode, short_side=512)
    assert one.skipped and "force_inpaint" in one.skipped
    assert made(crop, crop, (2000, 2000), mode=mode, short_side=512).skipped is None


def test_all_of_the_mask_stays() -> None:
    part = Region(0, 0, 300, 100)
    one = working_size(Region(0, 0, 300, 200), Part(Region(120, 20, 180, 80), part), Size(200, 300), GUIDE, 8,
                       WorkingSizeOptions("fixed_size", width=512, height=512))  # fmt: skip
    assert one.region.union(part) == one.region
