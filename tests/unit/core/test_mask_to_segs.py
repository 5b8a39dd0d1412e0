"""mask_to_segs: the recorded cases, forms of input, and who owns which memory."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.core import SEG, mask_to_segs
from unit.build import Box, drawn


def separate(mask: Any, crop_factor: float = 1.0, bbox_fill: bool = False, **options: Any) -> list[SEG]:
    return mask_to_segs(mask, False, crop_factor, bbox_fill, **options)[1]


def combined(mask: Any, crop_factor: float = 1.0, bbox_fill: bool = False, **options: Any) -> list[SEG]:
    return mask_to_segs(mask, True, crop_factor, bbox_fill, **options)[1]


def corners(segs: list[SEG]) -> list[tuple[int, int]]:
    return [tuple(seg.bbox[:2]) for seg in segs]


def square(x: int, y: int, side: int = 20) -> Box:
    return x, y, x + side, y + side


# ------------------------------------------------------------------------------------------------ order and parts


def test_order_of_seven_squares() -> None:
    places = [(10, 10), (60, 12), (120, 8), (10, 80), (60, 82), (120, 78), (10, 150)]
    segs = separate(drawn(200, 200, *(square(*place) for place in places)))
    assert corners(segs) == [(10, 150), (60, 82), (10, 80), (120, 78), (60, 12), (10, 10), (120, 8)]


def test_on_one_row_the_rightmost_comes_first() -> None:
    segs = separate(drawn(50, 200, *(square(x, 10) for x in (10, 60, 120))))
    assert corners(segs) == [(120, 10), (60, 10), (10, 10)]


def test_the_first_pixel_decides_not_the_box() -> None:
    hook_shape = [(100, 10, 140, 20), (130, 10, 140, 100), (5, 90, 140, 100)]
    segs = separate(drawn(120, 160, *hook_shape, (10, 20, 30, 40)))
    assert [seg.bbox for seg in segs] == [(10, 20, 30, 40), (5, 10, 140, 100)]


@pytest.mark.parametrize("is_contour", [False, True])
def test_what_lies_in_a_hole_belongs_to_the_part_around_it(is_contour: bool) -> None:
    mask = drawn(200, 200, (20, 20, 180, 180))
    mask[60:140, 60:140] = 0
    mask[90:110, 90:110] = 1
    (seg,) = separate(mask, is_contour=is_contour)
    expected = np.ones((160, 160)) if is_contour else mask[20:180, 20:180]
    assert np.array_equal(seg.cropped_mask, expected)


def test_squares_that_touch_at_a_corner_are_one_part() -> None:
    (seg,) = separate(drawn(50, 50, square(10, 10, 10), square(20, 20, 10)))
    assert seg.bbox == (10, 10, 30, 30)
    assert seg.cropped_mask.sum() == 200


def test_another_part_in_the_crop_is_left_out() -> None:
    first, second = separate(drawn(60, 60, square(20, 20, 10), square(31, 20, 10)), crop_factor=3.0, is_contour=False)
    assert first.cropped_mask.sum() == second.cropped_mask.sum() == 100
    assert first.bbox == (31, 20, 41, 30)


def test_soft_values_and_what_is_too_faint() -> None:
    mask = drawn(40, 40, square(10, 10, 9), value=0.4)
    mask[12:16, 12:16] = 0.003  # below 1/255: a hole, whose values are kept
    mask[30, 30:35] = 0.0039
    (seg,) = separate(mask, is_contour=False)
    assert np.array_equal(seg.cropped_mask, mask[10:19, 10:19])
    (seg,) = separate(mask)
    assert np.array_equal(seg.cropped_mask, np.ones((9, 9)))


@pytest.mark.parametrize(
    ("value", "counts"), [(1 / 255, True), (0.0039, False), (0.0, False), (0.5, True), (1.0, True)]
)
def test_threshold(value: float, counts: bool) -> None:
    assert bool(separate(drawn(20, 20, square(5, 5, 5), value=value))) is counts


@pytest.mark.parametrize(
    ("drop_size", "box", "kept"),
    [
        (10, (5, 5, 16, 16), True),
        (10, (5, 5, 16, 15), False),
        (10, (5, 5, 15, 16), False),
        (10, (5, 5, 15, 15), False),
        (1, (5, 5, 7, 7), True),
        (1, (5, 5, 6, 25), False),
        (0, (5, 5, 25, 6), False),
        (0, (5, 5, 7, 7), True),
        (-5, (5, 5, 6, 6), False),
    ],
)
def test_drop_size_is_strict(drop_size: int, box: Box, kept: bool) -> None:
    assert len(separate(drawn(40, 40, box), drop_size=drop_size)) == int(kept)


# ------------------------------------------------------------------------------------------------ regions


def test_a_block_without_context() -> None:
    mask = drawn(60, 60, (10, 10, 40, 30))
    (seg,) = separate(mask)
    assert (seg.bbox, seg.crop_region, seg.cropped_mask.shape) == ((10, 10, 40, 30), [10, 10, 40, 30], (20, 30))
    (seg,) = combined(mask)
    assert (seg.bbox, seg.crop_region, seg.cropped_mask.shape) == ((10, 10, 39, 29), [10, 10, 39, 29], (19, 29))


def test_filling_the_box() -> None:
    mask = drawn(100, 100, (40, 40, 45, 60), (40, 55, 60, 60), value=0.5)
    (seg,) = separate(mask, 2.0, True, is_contour=False)
    assert seg.crop_region == [30, 30, 70, 70]
    assert np.array_equal(seg.cropped_mask, drawn(40, 40, (10, 10, 30, 30)))
    (seg,) = combined(mask, 2.0, True)
    assert seg.crop_region == [30, 30, 68, 68]
    filled = seg.cropped_mask == 1.0
    assert np.array_equal(filled, drawn(38, 38, (10, 10, 29, 29)) == 1.0)  # the crop's corner is subtracted
    assert np.array_equal(seg.cropped_mask[~filled], mask[30:68, 30:68][~filled])


def test_filling_the_box_of_a_combined_mask_in_the_corner() -> None:
    (seg,) = combined(drawn(64, 64, square(4, 4, 16), value=0.5), 2.0, True)
    assert seg.crop_region == [0, 0, 30, 30]
    assert np.array_equal(seg.cropped_mask == 1.0, drawn(30, 30, (4, 4, 19, 19)) == 1.0)


def test_least_side_of_a_crop() -> None:
    (seg,) = separate(drawn(100, 100, (40, 40, 50, 80)), crop_min_size=33)
    assert seg.crop_region == [28, 40, 61, 80]
    (seg,) = combined(drawn(100, 100, (40, 40, 51, 81)), crop_min_size=33)
    assert seg.crop_region == [28, 40, 61, 80]


def test_a_crop_may_cut_into_its_own_part() -> None:
    """A box of three columns times 1.25 gives a crop of three columns one to the left: the part is clipped exactly."""
    mask = drawn(2, 22)
    mask[0, 19] = mask[1, 20] = mask[0, 21] = mask[1, 21] = 1.0
    (seg,) = separate(mask, 1.25)
    assert (seg.bbox, seg.crop_region) == ((19, 0, 22, 2), [18, 0, 21, 2])
    assert seg.cropped_mask.tolist() == [[0, 1, 0], [0, 0, 1]]


# ------------------------------------------------------------------------------------------------ combined mode


@pytest.mark.parametrize("faint", [0.0001, 1.0])
def test_combined_has_no_threshold(faint: float) -> None:
    mask = drawn(50, 50, (5, 5, 10, 10))
    mask[40, 45] = faint
    (seg,) = combined(mask)
    assert seg.bbox == (5, 5, 45, 40)
    assert all(type(value) is int for value in (*seg.bbox, *seg.crop_region))


def test_combined_keeps_all_values_of_the_crop() -> None:
    mask = np.random.default_rng(3).random((50, 60)).astype(np.float32)
    mask[:5] = mask[45:] = 0
    (seg,) = combined(mask, drop_size=1000)
    assert np.array_equal(seg.cropped_mask, mask[5:44, 0:59])


def test_combined_of_nothing_and_of_a_line() -> None:
    assert combined(np.zeros((30, 30), np.float32)) == []
    for box in ((5, 5, 6, 20), (5, 5, 20, 6), (5, 5, 6, 6)):
        assert combined(drawn(30, 30, box), crop_factor=3.0) == []


# ------------------------------------------------------------------------------------------------ forms of input


def test_frames_go_into_one_list() -> None:
    frames = np.stack([
        drawn(60, 70, square(10, 10, 8)),
        drawn(60, 70, square(10, 10, 8), square(30, 40, 9)),
        drawn(60, 70, square(20, 20, 10)),
    ])  # fmt: skip
    header, segs = mask_to_segs(torch.from_numpy(frames), False, 1.0, False)
    assert header == (60, 70) and all(type(side) is int for side in header)
    assert corners(segs) == [(10, 10), (30, 40), (10, 10), (20, 20)]
    assert [seg.bbox for seg in combined(frames)] == [(10, 10, 17, 17), (10, 10, 38, 48), (20, 20, 29, 29)]


@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int32, torch.bool])
@pytest.mark.parametrize("is_combined", [False, True])
def test_ranks_and_types(lead: tuple[int, ...], dtype: torch.dtype, is_combined: bool) -> None:
    mask = torch.from_numpy(drawn(40, 50, square(10, 10, 11))).to(dtype).reshape(*lead, 40, 50)
    for form in (mask, mask.numpy()):
        header, (seg,) = mask_to_segs(form, is_combined, 2.0, False, is_contour=False)
        assert header == (40, 50)
        assert seg.cropped_mask.dtype == np.float32
        assert seg.cropped_mask.sum() == 121


@pytest.mark.parametrize("shape", [(1, 2, 40, 50), (2, 1, 40, 50), (2, 40, 50)])
def test_batches(shape: tuple[int, ...]) -> None:
    mask = torch.from_numpy(drawn(40, 50, square(10, 10, 11))).expand(shape)
    assert corners(separate(mask)) == [(10, 10), (10, 10)]


@pytest.mark.parametrize("shape", [(50,), (2, 2, 40, 50), (1, 1, 1, 40, 50)])
def test_other_ranks_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a mask is"):
        separate(torch.zeros(shape))


@pytest.mark.parametrize("mode", [separate, combined])
def test_nothing_in_nothing_out(mode: Any) -> None:
    assert mode(torch.zeros(2, 40, 50)) == []
    assert mode(None) == []
    assert mode(torch.zeros(0, 40, 50)) == []
    assert mode(torch.zeros(1, 0, 0)) == []
    assert mode(torch.zeros(1, 0, 7)) == []
    assert mask_to_segs(None, False, 3.0, False) == ((0, 0), [])
    assert mask_to_segs(torch.zeros(1, 40, 50), False, 3.0, False) == ((40, 50), [])


def test_values_outside_0_and_1_are_clamped() -> None:
    mask = drawn(40, 50, square(10, 10, 10))
    mask[12, 12], mask[13, 13], mask[14, 14], mask[15, 15] = 256 / 255, 7.0, -3.0, np.inf
    for segs in (separate(mask, is_contour=False), combined(mask, 2.0)):
        (seg,) = segs
        assert seg.cropped_mask.min() >= 0.0 and seg.cropped_mask.max() <= 1.0
        assert seg.cropped_mask.sum() == 99
    assert separate(drawn(40, 50, square(10, 10, 10), value=-0.5)) == []
    assert len(separate(drawn(40, 50, square(10, 10, 10), value=300.0))) == 1


@pytest.mark.parametrize("is_contour", [False, True])
def test_not_a_number_counts_as_0(is_contour: bool) -> None:
    mask = drawn(40, 50, square(10, 10, 10), square(30, 10, 10))
    mask[10:20, 30:40] = np.nan
    mask[15, 15] = np.nan
    (seg,) = separate(mask, is_contour=is_contour)
    assert seg.bbox == (10, 10, 20, 20)
    assert seg.cropped_mask[5, 5] == (1.0 if is_contour else 0.0)
    assert np.isfinite(combined(mask, 3.0)[0].cropped_mask).all()


def test_the_other_fields() -> None:
    for segs in (
        separate(drawn(40, 50, square(5, 5)), label="face"),
        combined(drawn(40, 50, square(5, 5)), label="face"),
    ):
        (seg,) = segs
        assert (seg.cropped_image, seg.confidence, seg.label, seg.control_net_wrapper) == (None, 1.0, "face", None)
        assert type(seg.crop_region) is list and type(seg.bbox) is tuple
    assert separate(drawn(40, 50, square(5, 5)))[0].label == "A"


# ------------------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize("is_combined", [False, True])
@pytest.mark.parametrize("is_contour", [False, True])
@pytest.mark.parametrize("bbox_fill", [False, True])
def test_input_and_result_share_nothing(is_combined: bool, is_contour: bool, bbox_fill: bool) -> None:
    mask = torch.from_numpy(drawn(40, 50, square(10, 10, 12), square(30, 20, 9), value=0.5))
    kept = mask.clone()
    _, segs = mask_to_segs(mask, is_combined, 3.0, bbox_fill, is_contour=is_contour)
    assert torch.equal(mask, kept)
    masks = [seg.cropped_mask.copy() for seg in segs]
    mask.fill_(0.25)
    assert all(np.array_equal(seg.cropped_mask, mask) for seg, mask in zip(segs, masks, strict=True))
    mask.copy_(kept)
    for seg in segs:
        seg.cropped_mask[:] = 9.0
    assert torch.equal(mask, kept)


def test_the_parts_masks_share_nothing() -> None:
    mask = drawn(60, 80, *(square(x, y, 9) for x in (5, 30, 55) for y in (5, 35)))
    segs = separate(mask, 4.0)
    masks = [seg.cropped_mask.copy() for seg in segs]
    segs[2].cropped_mask[:] = 9.0
    assert all(np.array_equal(segs[i].cropped_mask, masks[i]) for i in range(6) if i != 2)


# ------------------------------------------------------------------------------------------------ hooks


class RecordingHook:
    """Answers each crop region with ``answer(region)`` and keeps what it was asked."""

    def __init__(self, answer: Any = lambda region: region) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []

    def post_crop_region(self, width: int, height: int, box: Any, region: Any) -> Any:
        self.calls.append((width, height, tuple(box), tuple(region)))
        return self.answer(region)


def test_the_hook_sees_every_part_also_a_dropped_one_in_order() -> None:
    hook = RecordingHook()
    mask = drawn(60, 80, square(10, 10, 12), square(50, 20, 3), square(20, 40, 12))
    segs = separate(mask, 2.0, drop_size=5, detailer_hook=hook)
    assert corners(segs) == [(20, 40), (10, 10)]
    assert hook.calls == [
        (80, 60, (20, 40, 32, 52), (14, 34, 38, 58)),
        (80, 60, (50, 20, 53, 23), (48, 18, 54, 24)),
        (80, 60, (10, 10, 22, 22), (4, 4, 28, 28)),
    ]


@pytest.mark.parametrize("answer", [[5, 6, 45, 46], (5, 6, 45, 46), np.array([5, 6, 45, 46]), (5.7, 6.2, 45.9, 46.0)])
@pytest.mark.parametrize("mode", [separate, combined])
def test_the_hooks_region_is_used(mode: Any, answer: Any) -> None:
    mask = drawn(60, 80, square(10, 10, 12), value=0.5)
    (seg,) = mode(mask, is_contour=False, detailer_hook=RecordingHook(lambda _: answer))
    assert seg.crop_region == [5, 6, 45, 46]
    assert np.array_equal(seg.cropped_mask, mask[6:46, 5:45])


@pytest.mark.parametrize("mode", [separate, combined])
@pytest.mark.parametrize("is_contour", [False, True])
@pytest.mark.parametrize("bbox_fill", [False, True])
def test_a_hook_may_cut_into_the_part(mode: Any, is_contour: bool, bbox_fill: bool) -> None:
    mask = drawn(60, 80, square(10, 10, 12), value=1.0)
    hook = RecordingHook(lambda _: [14, 5, 30, 16])
    (seg,) = mode(mask, bbox_fill=bbox_fill, is_contour=is_contour, detailer_hook=hook)
    assert np.array_equal(seg.cropped_mask, mask[5:16, 14:30])


@pytest.mark.parametrize("mode", [separate, combined])
def test_a_hooks_region_outside_the_picture_is_cut_with_a_warning(mode: Any, caplog: pytest.LogCaptureFixture) -> None:
    mask = drawn(60, 80, square(10, 10, 12))
    with caplog.at_level(logging.WARNING, "mask_detailer"):
        (seg,) = mode(mask, detailer_hook=RecordingHook(lambda _: [-5, -6, 30, 400]))
    assert seg.crop_region == [0, 0, 30, 60]
    assert np.array_equal(seg.cropped_mask, mask[:, :30])
    assert len(caplog.records) == 1


def test_a_hook_may_change_nothing() -> None:
    assert len(separate(drawn(60, 80, square(10, 10, 12)), detailer_hook=object())) == 1


@pytest.mark.parametrize("mode", [separate, combined])
def test_a_hooks_region_far_outside_leaves_the_part_out(mode: Any) -> None:
    mask = drawn(60, 80, square(10, 10, 12))
    assert mode(mask, detailer_hook=RecordingHook(lambda _: [500, 500, 600, 600])) == []
