"""ComfyUI's bounding boxes to segments and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import Region, Size, dilate_mask
from mask_detailer.segs import Crops, Found, found_in, frames_of, limited, to_boxes, to_combined_mask, to_mask, to_segs
from unit.build import ForeignSEG, drawn, seg

SIZE = Size(60, 80)


def box(x: Any, y: Any, width: Any, height: Any, **more: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "width": width, "height": height} | more


ONE, TWO = box(10, 12, 20, 8), box(40.5, 20.25, 10.0, 10.5, label="cat", score=0.75)


@pytest.mark.parametrize(
    ("value", "frames"),
    [
        (ONE, [[ONE]]),
        ([ONE, TWO], [[ONE, TWO]]),
        ([[ONE, TWO]], [[ONE, TWO]]),
        ([[ONE], [], [TWO]], [[ONE], [], [TWO]]),
        ([], [[]]),
        ([[]], [[]]),
    ],
)
def test_every_form_of_the_value(value: Any, frames: Any) -> None:
    assert frames_of(value) == frames


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "a NoneType is no BOUNDING_BOX"),
        ("boxes", "a str is no BOUNDING_BOX"),
        ([ONE, 7], "box 2 is a int"),
        ([[ONE], TWO], "box 1 is a list"),
        ({"x": 1, "y": 2, "width": 3}, "box 1 has no height"),
        (box(1, float("nan"), 3, 4), "box 1 has y nan"),
        ([ONE, box(1, 2, "wide", 4)], "box 2 has width 'wide'"),
        ([[(1, 2, 3, 4)]], "box 1 is a tuple"),
    ],
)
def test_what_is_no_box_is_named(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        frames_of(value)


def test_boxes_become_segments() -> None:
    header, segs = to_segs(found_in([ONE, TWO], "thing"), SIZE, Crops(crop_factor=2.0))
    assert header == (60, 80)
    assert [(one.label, one.confidence, one.bbox) for one in segs] == [
        ("thing", 1.0, (10, 12, 30, 20)),
        ("cat", 0.75, (40, 20, 51, 31)),  # rounded outwards
    ]
    for one in segs:
        region = Region.of(one.crop_region)
        assert region == Region.of(one.bbox).grown(2.0, SIZE)
        assert np.array_equal(one.cropped_mask, drawn(*SIZE, one.bbox)[region.slices])
        assert one.cropped_mask.dtype == np.float32 and one.cropped_mask.flags.owndata


def test_boxes_at_and_beyond_the_edge() -> None:
    boxes = [box(-5, -5, 20, 15), box(70, 50, 100, 100), box(90, 10, 20, 20), box(30, 30, -10, -12), box(5, 5, 0, 9)]
    segs = to_segs(found_in(boxes, "a"), SIZE, Crops())[1]
    assert [one.bbox for one in segs] == [(0, 0, 15, 10), (70, 50, 80, 60), (20, 18, 30, 30)]


@pytest.mark.parametrize(("drop_size", "left"), [(1, 3), (4, 2), (8, 1), (9, 0)])
def test_drop_size(drop_size: int, left: int) -> None:
    boxes = [box(0, 0, 4, 40), box(10, 0, 8, 8), box(20, 0, 9, 9)]
    assert len(to_segs(found_in(boxes, "a"), SIZE, Crops(drop_size=drop_size))[1]) == left


@pytest.mark.parametrize("dilation", [-9, -4, 0, 5, 14])
@pytest.mark.parametrize("crop_factor", [1.0, 1.5, 3.0])
def test_dilation_is_that_of_the_whole_mask(dilation: int, crop_factor: float) -> None:
    """As if the whole picture's mask were dilated and then cut."""
    outline = torch.from_numpy(drawn(*SIZE, (20, 15, 42, 40), (30, 10, 35, 50)))
    for mask, corners in ((None, (20, 15, 42, 40)), (outline, (20, 10, 42, 50)), (None, (0, 0, 30, 60))):
        whole = torch.from_numpy(drawn(*SIZE, corners)) if mask is None else mask
        found = [Found((*map(float, corners),), "a", mask=mask)]  # type: ignore[arg-type]
        (made,) = to_segs(found, SIZE, Crops(crop_factor, dilation))[1]
        wanted = dilate_mask(whole[None], dilation)[0]
        assert np.array_equal(made.cropped_mask, wanted[Region.of(made.crop_region).slices].numpy())
        assert torch.equal(to_mask(found, SIZE, dilation)[0], wanted)


def test_one_mask_of_all() -> None:
    soft = torch.zeros(SIZE)
    soft[5:30, 5:30] = 0.5
    found = [Found((10.0, 10.0, 20.0, 20.0), "a"), Found((5.0, 5.0, 30.0, 30.0), "b", mask=soft)]
    wanted = torch.maximum(soft, torch.from_numpy(drawn(*SIZE, (10, 10, 20, 20))))
    assert torch.equal(to_mask(found, SIZE, 0)[0], wanted)
    assert torch.equal(to_combined_mask(to_segs(found, SIZE, Crops()))[0], wanted)
    assert not to_mask([], SIZE, 8).any()


def test_a_hook_changes_crops() -> None:
    class Wider:
        def post_crop_region(self, size: Size, bbox: Any, crop: Any) -> Any:
            assert size == SIZE and bbox == (10, 12, 30, 20) and type(crop) is list
            return [-10, 5, 200, 25]

    (made,) = to_segs(found_in([ONE], "a"), SIZE, Crops(), Wider())[1]
    assert made.crop_region == [0, 5, 80, 25] and made.cropped_mask.shape == (20, 80)


def test_back_to_boxes() -> None:
    foreign = ForeignSEG(None, None, np.array([0.5]), (1, 2, 30, 40), np.array([4.5, 5.5, 20, 30]), "b")
    segs = ((60, 80), [seg((0, 0, 40, 40), (10, 12, 30, 20), label="A"), foreign])
    assert to_boxes(segs) == [
        box(10, 12, 20, 8, label="A", score=1.0),
        box(4, 5, 16, 25, label="b", score=0.5),
    ]
    assert to_boxes(segs, crops=True)[1] == box(1, 2, 29, 38, label="b", score=0.5)
    assert all(type(made[side]) is int for made in to_boxes(segs) for side in ("x", "y", "width", "height"))


sides = st.integers(2, 30)


@given(st.lists(st.builds(box, st.integers(0, 50), st.integers(0, 30), sides, sides, score=st.floats(0, 1))))
def test_there_and_back(boxes: list[dict[str, Any]]) -> None:
    segs = to_segs(found_in(boxes, "a"), Size(60, 80), Crops())
    assert to_boxes(segs) == [one | {"label": "a"} for one in boxes]


def test_labels() -> None:
    found = found_in([ONE, TWO], "thing")
    assert limited(found, ["cat"]) == found[1:]
    assert limited(found, []) == limited(found, [""]) == limited(found, ["dog", "all"]) == found
    assert limited(found, ["dog"]) == []
