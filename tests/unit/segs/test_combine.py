"""Several SEGS in one, several segments in one, and masks within masks."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_detailer.core import SEGS, Size
from mask_detailer.segs import (
    concat,
    mask_by_mask,
    mask_by_segs,
    mask_one_by_one,
    merge,
    rescale,
    subtract_segs,
    to_combined_mask,
    to_mask_list,
)
from unit.build import ForeignSEG, drawn, seg

HEADER = (60, 80)


def drawn_slowly(segs: SEGS) -> np.ndarray:
    """All masks on their picture, pixel by pixel."""
    height, width = segs[0]
    canvas = np.zeros((height, width), np.float32)
    for one in segs[1]:
        x1, y1, x2, y2 = one.crop_region
        for y in range(max(y1, 0), min(y2, height)):
            for x in range(max(x1, 0), min(x2, width)):
                canvas[y, x] = max(canvas[y, x], one.cropped_mask[y - y1, x - x1])
    return canvas


@st.composite
def soft_segs(draw: st.DrawFn, most: int = 4, least: int = 0) -> SEGS:
    """Segments with soft masks, some reaching outside of a small picture."""
    random = np.random.default_rng(draw(st.integers(0, 999)))
    made = []
    for _ in range(draw(st.integers(least, most))):
        x, y = draw(st.integers(-4, 11)), draw(st.integers(-4, 9))
        width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        made.append(seg((x, y, x + width, y + height), mask=random.random((height, width)).astype(np.float32)))
    return (10, 12), made


def wrapped(one: Any) -> Any:
    return one._replace(control_net_wrapper="wrapper", cropped_image="image", confidence=0.4, label="kept")


# ------------------------------------------------------------------------------------------------ concat and merge


def test_concat_keeps_the_order_of_its_inputs() -> None:
    a, b, c = (seg((0, 0, 4, 4), label=label) for label in "abc")
    assert concat({"segs1": (HEADER, [a]), "segs2": (HEADER, [b, c])}) == (HEADER, [a, b, c])
    assert concat({"segs2": (HEADER, [b, c]), "segs1": (HEADER, [a])}) == (HEADER, [b, c, a])


def test_concat_passes_over_what_is_empty_and_warns_of_other_sizes(caplog: pytest.LogCaptureFixture) -> None:
    a, b = seg((0, 0, 4, 4), label="a"), seg((0, 0, 4, 4), label="b")
    inputs = {"segs1": ((0, 0), []), "segs2": ((9, 9), []), "segs3": (HEADER, [a]), "segs4": ((9, 9), [b])}
    with caplog.at_level(logging.WARNING, logger="mask_detailer"):
        assert concat(inputs) == (HEADER, [a])
    (record,) = caplog.records
    assert "segs4 is left out: its 1 segments are for a 9x9 picture, the first ones for 80x60" in record.getMessage()


def test_concat_of_nothing_keeps_a_known_size() -> None:
    assert concat({}) == ((0, 0), [])
    assert concat({"segs1": ((0, 0), [])}) == ((0, 0), [])
    assert concat({"segs1": ((0, 0), []), "segs2": (HEADER, []), "segs3": ((9, 9), [])}) == (HEADER, [])


def test_concat_does_not_write_to_its_inputs() -> None:
    first, second = (HEADER, [seg((0, 0, 4, 4))]), (HEADER, [seg((0, 0, 4, 4))])
    concat({"segs1": first, "segs2": second})
    assert len(first[1]) == len(second[1]) == 1


def test_merge() -> None:
    box = np.array([20.7, 35, 40, 44.2])
    segs = (
        HEADER,
        [
            seg((10, 20, 30, 40), (12, 22, 28, 38), mask=0.5),
            ForeignSEG("image", torch.ones(1, 10, 20), np.array([0.3]), (20, 35, 40, 45), box, "b", "wrapper"),
        ],
    )
    header, (one,) = merge(segs)
    assert header == HEADER
    assert one.crop_region == [10, 20, 40, 45] and type(one.crop_region) is list
    assert one.bbox == [12, 22, 40, 44] and type(one.bbox) is list
    assert (float(one.confidence), one.label, one.cropped_image, one.control_net_wrapper) == (0.3, "merged", None, None)
    expected = drawn(60, 80, (10, 20, 30, 40), value=0.5)
    expected[35:45, 20:40] = 1.0
    assert type(one.cropped_mask) is np.ndarray and one.cropped_mask.dtype == np.float32
    assert np.array_equal(one.cropped_mask, expected[20:45, 10:40])


def test_merge_is_at_most_sure_and_keeps_nothing_empty() -> None:
    assert merge((HEADER, [seg((0, 0, 4, 4))._replace(confidence=3.0)]))[1][0].confidence == 1.0
    for empty in ((HEADER, []), ((0, 0), [])):
        assert merge(empty) == empty


@given(soft_segs(least=1))
def test_merging_changes_no_pixel(segs: SEGS) -> None:
    assert np.array_equal(to_combined_mask(segs)[0].numpy(), drawn_slowly(segs))
    assert torch.equal(to_combined_mask(merge(segs)), to_combined_mask(segs))
    assert torch.equal(to_combined_mask(merge(merge(segs))), to_combined_mask(segs))


@given(soft_segs(), soft_segs())
def test_a_concat_is_the_union(first: SEGS, second: SEGS) -> None:
    both = to_combined_mask(concat({"segs1": first, "segs2": second}))
    if first[1] or second[1]:
        assert np.array_equal(both[0].numpy(), np.maximum(drawn_slowly(first), drawn_slowly(second)))
    assert torch.equal(both, to_combined_mask(concat({"segs1": second, "segs2": first})))


@given(soft_segs())
def test_a_mask_for_each_segment(segs: SEGS) -> None:
    masks = to_mask_list(segs)
    assert all(mask.shape == (1, 10, 12) and mask.dtype == torch.float32 for mask in masks)
    assert len(masks) == max(len(segs[1]), 1)
    for one, mask in zip(segs[1], masks, strict=False):
        assert np.array_equal(mask[0].numpy(), drawn_slowly((segs[0], [one])))
    assert torch.equal(torch.cat(masks).amax(dim=0, keepdim=True), to_combined_mask(segs))


def test_a_mask_for_each_frame() -> None:
    frames = torch.stack([torch.zeros(20, 20), torch.ones(20, 20)])
    masks = to_mask_list((HEADER, [seg((10, 10, 30, 30), mask=frames), seg((0, 0, 4, 4))]))
    assert [float(mask.sum()) for mask in masks] == [0.0, 400.0, 16.0]
    assert torch.equal(to_mask_list(((0, 0), []))[0], torch.zeros(1, 64, 64))


@given(soft_segs(most=2), st.integers(1, 4))
def test_enlarging_by_a_whole_number_and_back(segs: SEGS, times: int) -> None:
    back = rescale(rescale(segs, Size(10 * times, 12 * times)), Size(10, 12))
    assert back[0] == (10, 12)
    for before, after in zip(segs[1], back[1], strict=True):
        assert list(after.crop_region) == before.crop_region and after.bbox == before.bbox


# ------------------------------------------------------------------------------------------------ masks within masks


def test_and_and_subtract_of_soft_masks() -> None:
    base = (HEADER, [wrapped(seg((10, 10, 30, 30)))])
    other = (HEADER, [seg((20, 20, 50, 40), mask=0.5)])
    (both,), (rest,) = mask_by_segs(base, other)[1], subtract_segs(base, other)[1]
    assert np.array_equal(both.cropped_mask, drawn(20, 20, (10, 10, 20, 20), value=0.5))
    assert np.array_equal(rest.cropped_mask, 1.0 - drawn(20, 20, (10, 10, 20, 20), value=0.5))
    for one in (both, rest):
        assert one.control_net_wrapper is None
        assert (one.cropped_image, one.confidence, one.label) == ("image", 0.4, "kept")
        assert (one.crop_region, one.bbox) == ([10, 10, 30, 30], (10, 10, 30, 30))
        assert one.cropped_mask.dtype == np.float32 and one.cropped_mask.ndim == 2


@given(soft_segs(), soft_segs())
def test_pixelwise_by_the_definition(base: SEGS, other: SEGS) -> None:
    covered = drawn_slowly(other)
    for one, both, rest in zip(base[1], mask_by_segs(base, other)[1], subtract_segs(base, other)[1], strict=True):
        x1, y1, x2, y2 = one.crop_region
        for y in range(y1, y2):
            for x in range(x1, x2):
                value = one.cropped_mask[y - y1, x - x1]
                cover = covered[y, x] if 0 <= x < 12 and 0 <= y < 10 else np.float32(0)
                assert both.cropped_mask[y - y1, x - x1] == min(value, cover)
                assert rest.cropped_mask[y - y1, x - x1] == pytest.approx(max(value - cover, 0), abs=1e-7)


@given(soft_segs())
def test_pixelwise_with_nothing(segs: SEGS) -> None:
    for empty in (((0, 0), []), ((10, 12), []), ((33, 7), [])):
        assert all(not one.cropped_mask.any() for one in mask_by_segs(segs, empty)[1])
        for before, after in zip(segs[1], subtract_segs(segs, empty)[1], strict=True):
            assert np.array_equal(before.cropped_mask, after.cropped_mask)
        assert mask_by_segs(empty, segs) == subtract_segs(empty, segs) == (empty[0], [])


def test_other_picture_sizes_are_fitted() -> None:
    base = (HEADER, [seg((10, 10, 30, 30))])
    double = ((120, 160), [seg((40, 40, 100, 80), mask=0.5)])
    assert np.array_equal(mask_by_segs(base, double)[1][0].cropped_mask, drawn(20, 20, (10, 10, 20, 20), value=0.5))
    halves = torch.zeros(1, 30, 40)
    halves[:, 10:] = 1.0
    masked = mask_by_mask(base, halves)[1][0].cropped_mask
    assert masked[:9].max() == 0.0 and masked[11:].min() == 1.0


def test_a_mask_and_a_batch_of_masks() -> None:
    base = (HEADER, [wrapped(seg((10, 10, 30, 30)))])
    left = torch.from_numpy(drawn(60, 80, (0, 0, 20, 60)))
    top = torch.from_numpy(drawn(60, 80, (0, 0, 80, 15), value=0.5))
    (one,) = mask_by_mask(base, left[None])[1]
    assert np.array_equal(one.cropped_mask, drawn(20, 20, (0, 0, 10, 20))) and one.control_net_wrapper is None
    (one,) = mask_by_mask(base, torch.stack([left, top]))[1]
    expected = drawn(20, 20, (0, 0, 20, 5), value=0.5)
    expected[:, :10] = 1.0
    assert np.array_equal(one.cropped_mask, expected)


def test_one_mask_for_each_segment(caplog: pytest.LogCaptureFixture) -> None:
    segs = (HEADER, [seg((10, 10, 30, 30), label=label) for label in "abc"])
    masks = torch.stack([torch.zeros(60, 80), torch.ones(60, 80), torch.ones(60, 80), torch.zeros(60, 80)])
    assert [one.cropped_mask.mean() for one in mask_one_by_one(segs, masks)[1]] == [0.0, 1.0, 1.0]
    with caplog.at_level(logging.WARNING, logger="mask_detailer"):
        assert [one.label for one in mask_one_by_one(segs, masks[:2])[1]] == ["a", "b"]
    assert "there are 2 masks for 3 segments: the last 1 are left out" in caplog.text


@pytest.mark.parametrize(
    "mask",
    [np.ones((20, 20)), np.ones((1, 20, 20), np.float32), torch.ones(20, 20), torch.ones(3, 20, 20).half(),
     torch.ones(1, 20, 20, dtype=torch.bool)],
    ids=["float64", "numpy 3-D", "torch", "frames", "bool"],
)  # fmt: skip
def test_forms_of_masks(mask: Any) -> None:
    foreign = ForeignSEG(None, mask, 1.0, np.array([10, 10, 30, 30]), np.array([10.0, 10, 30, 30]), "a", "wrapper")
    segs = (HEADER, [foreign])
    full = ((HEADER), [seg((0, 0, 80, 60))])
    for made in (
        mask_by_segs(segs, full),
        subtract_segs(segs, ((0, 0), [])),
        mask_by_mask(segs, torch.ones(1, 60, 80)),
    ):
        assert type(made[1][0].cropped_mask) is np.ndarray and made[1][0].cropped_mask.min() == 1.0
    assert merge(segs)[1][0].cropped_mask.min() == 1.0
    assert not mask_by_segs(full, ((0, 0), []))[1][0].cropped_mask.any()
    assert mask_by_segs(full, segs)[1][0].cropped_mask.sum() == 400
