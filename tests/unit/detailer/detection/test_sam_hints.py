"""What SAM is asked, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mask_detailer.core import SEGS, Size
from mask_detailer.detailer.detection.sam_hints import HINTS, Prompt, SamSettings, prompts
from unit.build import ForeignSEG, seg

PICTURE = Size(96, 128)


def asked(segs: list[Any], hint: str, picture: Size = PICTURE, **settings: Any) -> list[Prompt]:
    made: SEGS = ((picture.height, picture.width), segs)
    return prompts(made, picture, SamSettings(hint, 0.9, **settings))


def one(hint: str, box: Any = (30, 20, 61, 50), **settings: Any) -> Prompt:
    (prompt,) = asked([seg((15, 5, 76, 65), box)], hint, **settings)
    return prompt


# The box is 31 x 30, grown by 3 it is 27..64 and 17..53: 37 x 36, its thirds 12 1/3 and 12.
CENTRE = (45.5, 35.0)
LEFT, RIGHT = 27 + 37 / 3, 27 + 2 * 37 / 3
POINTS = {
    "center-1": [CENTRE],
    "mask-point-bbox": [CENTRE],
    "horizontal-2": [(LEFT, 35.0), (RIGHT, 35.0)],
    "vertical-2": [(45.5, 29.0), (45.5, 41.0)],
    "rect-4": [(LEFT, 35.0), (RIGHT, 35.0), (45.5, 29.0), (45.5, 41.0)],
    "diamond-4": [(LEFT, 29.0), (RIGHT, 29.0), (LEFT, 41.0), (RIGHT, 41.0)],
    "none": [],
}


@pytest.mark.parametrize("hint", POINTS)
def test_points_by_thirds_of_the_expanded_box(hint: str) -> None:
    prompt = one(hint, bbox_expansion=3)
    assert len(prompt.points) == len(POINTS[hint])
    assert np.allclose(sorted(prompt.points), sorted(POINTS[hint]))
    assert prompt.labels == [1] * len(POINTS[hint])
    assert prompt.box == [27, 17, 64, 53]


def test_every_hint_is_tested_here() -> None:
    assert {*POINTS, "mask-area", "mask-points"} == set(HINTS)


def test_expanded_box_stays_in_the_picture_and_the_centre_stays_where_it_is() -> None:
    prompt = one("vertical-2", (100, 2, 120, 22), bbox_expansion=20)
    assert prompt.box == [80, 0, 128, 42]
    assert prompt.points == [(110.0, 14.0), (110.0, 28.0)]


def test_mask_area_is_a_grid_on_the_mask() -> None:
    """A crop of 70 x 40 has steps of 3 on both axes; of 24 x 14 cells the block at 6..12, 3..9 holds 3 x 3."""
    mask = np.zeros((40, 70), np.float32)
    mask[3:10, 6:13] = 0.8
    mask[:, 30:70] = 0.75  # not above the threshold, and not 0
    block = [(20.0 + x, 10.0 + y) for y in (3, 6, 9) for x in (6, 9, 12)]
    segment = seg((20, 10, 90, 50), mask=mask)
    (prompt,) = asked([segment], "mask-area", mask_hint_threshold=0.75)
    assert (prompt.points, prompt.labels) == (block, [1] * 9)
    assert prompt.box == [20, 10, 90, 50]

    (prompt,) = asked([segment], "mask-area", mask_hint_threshold=0.75, negative="Small")
    beside = [(20.0 + x, 10.0 + y) for y in range(0, 40, 3) for x in range(0, 30, 3)]
    assert prompt.labels == [1] * 9 + [0] * (14 * 10 - 9)
    assert prompt.points[:9] == block and sorted(prompt.points[9:]) == sorted(set(beside) - set(block))


def test_mask_area_takes_a_twentieth_of_a_long_side() -> None:
    (prompt,) = asked([seg((0, 0, 128, 90))], "mask-area")
    assert sorted({x for x, _ in prompt.points}) == list(range(0, 128, 6))
    assert sorted({y for _, y in prompt.points}) == list(range(0, 90, 4))


def test_mask_points_are_all_centres_at_once() -> None:
    segs = [seg((10, 10, 30, 30)), seg((40, 40, 49, 80)), seg((60, 20, 70, 25))]
    for negative, labels in (("False", [1, 1, 1]), ("Outter", [1, 1, 1]), ("Small", [1, 0, 1])):
        assert asked(segs, "mask-points", negative=negative, bbox_expansion=9) == [
            Prompt([(20.0, 20.0), (44.5, 60.0), (65.0, 22.5)], labels, None)
        ]


@pytest.mark.parametrize(("height", "width", "y_step", "x_step"), [(96, 128, 4, 6), (200, 50, 10, 3)])
def test_outter_surrounds_the_crop_and_stays_in_the_picture(height: int, width: int, y_step: int, x_step: int) -> None:
    """The known way swaps width and height: points lie below a wide picture, and a strip at its right is bare."""
    crop = (15, 25, 30, 50)
    (prompt,) = asked([seg(crop)], "center-1", Size(height, width), negative="Outter")
    points = [point for point, label in zip(prompt.points, prompt.labels, strict=True) if label == 0]
    grid = {(x, y) for y in range(10, height - 10, y_step) for x in range(10, width - 10, x_step)}
    near = {(x, y) for x, y in grid if 5 <= x <= 40 and 15 <= y <= 60}
    assert near and set(points) == grid - near
    assert max(x for x, _ in points) >= width - 10 - x_step and max(y for _, y in points) >= height - 10 - y_step
    assert prompt.labels == [1] + [0] * len(points)


@pytest.mark.parametrize("hint", [hint for hint in HINTS if hint != "mask-points"])
def test_small_adds_nothing_to_boxes_and_outter_to_every_hint(hint: str) -> None:
    plain, small, outter = (one(hint, negative=negative) for negative in ("False", "Small", "Outter"))
    assert small == plain  # the mask is 1 everywhere
    assert outter.points[: len(plain.points)] == plain.points and outter.box == plain.box
    assert 0 in outter.labels and 0 not in plain.labels


def test_odd_segments() -> None:
    """Boxes as arrays of floats, partly or wholly outside; masks without pixels, in frames, or of another size."""
    partly = ForeignSEG(
        None, np.ones((2, 5, 5), np.float32), [0.5], [90, 0, 150, 40], np.array([99.5, -8, 190, 20.25]), None
    )
    outside = seg((140, 10, 160, 30))
    hollow = seg((10, 10, 20, 20))._replace(cropped_mask=np.zeros((0, 0), np.float32))
    for hint in HINTS:
        made = asked([partly, outside, hollow], hint, negative="Outter")
        assert all(0 <= x < 128 and 0 <= y < 96 for prompt in made for x, y in prompt.points)
        if hint != "mask-points":
            assert [prompt.is_empty for prompt in made] == [False, True, False]
            assert made[0].box == [99.5, 0, 128, 20.25]
    assert asked([], "mask-points") == [Prompt([], [], None)]
    assert asked([], "center-1") == []
