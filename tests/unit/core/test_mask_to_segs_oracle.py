"""mask_to_segs against a slow, obvious version on random masks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_detailer.core import mask_to_segs
from unit import oracles
from unit.build import drawn

# On both sides of the threshold 1/255, out of range, and not a number.
FAINT = [0.0, 0.001, 0.0039, float(np.nextafter(np.float32(1 / 255), np.float32(0))), 1 / 255, 0.004, 0.0041]
WILD = [256 / 255, 1.5, 300.0, -0.5, float("nan"), float("inf")]


@st.composite
def blobs(draw: st.DrawFn, height: int, width: int, source: np.random.Generator) -> np.ndarray:
    """Discs, rectangles, rings with islands, and lines a pixel wide, in and across the border."""
    mask = np.zeros((height, width), np.float32)
    rows, columns = np.indices(mask.shape)
    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["disc", "box", "ring", "line", "diagonal"]))
        y, x = source.integers(-3, height + 3), source.integers(-3, width + 3)
        radius, value = source.integers(1, 14), source.choice([1.0, 1.0, 0.5, source.random()])
        distance = (rows - y) ** 2 + (columns - x) ** 2
        if kind == "disc":
            mask[distance <= radius**2] = value
        elif kind == "box":
            mask[max(y, 0) : max(y + radius, 0), max(x, 0) : max(x + 2 * radius, 0)] = value
        elif kind == "ring":
            mask[distance <= radius**2] = value
            mask[distance <= (radius - 2) ** 2] = 0.0
            mask[distance <= (radius - 5) ** 2 * (radius > 5)] = value
        elif kind == "line":
            mask[min(max(y, 0), height - 1), max(x, 0) : max(x + 2 * radius, 0)] = value
        else:
            mask[(rows - y == columns - x) & (distance <= 2 * radius**2)] = value
    return mask


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(1, 56)), draw(st.integers(1, 56))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["blobs", "noise", "soft", "faint", "maze"]))
    if kind == "blobs":
        mask = draw(blobs(height, width, source))
    elif kind == "noise":
        mask = (source.random((height, width)) < draw(st.sampled_from([0.02, 0.3, 0.5, 0.8, 0.97]))).astype(np.float32)
    elif kind == "soft":
        mask = source.random((height, width), np.float32) * draw(st.sampled_from([1.0, 0.02, 0.005]))
    elif kind == "faint":
        mask = source.choice(np.array(FAINT, np.float32), (height, width))
    else:
        mask = np.ones((height, width), np.float32)
        mask[:: draw(st.integers(2, 5))] = 0.0
        mask[:, :: draw(st.integers(2, 5))] *= source.random((height, 1)) < 0.5
    if draw(st.integers(0, 4)) == 0:
        for _ in range(5):
            mask[source.integers(height), source.integers(width)] = source.choice(WILD)
    return mask


OPTIONS = st.builds(
    oracles.Options,
    crop_factor=st.sampled_from([1.0, 1.25, 1.5, 2.0, 3.0, 7.5, 100.0]),
    bbox_fill=st.booleans(),
    drop_size=st.sampled_from([-1, 0, 1, 1, 2, 5, 12]),
    crop_min_size=st.sampled_from([None, None, 1, 9, 33, 200]),
    is_contour=st.booleans(),
)


def check(mask: np.ndarray, options: oracles.Options) -> None:
    expected = oracles.separate(mask, options)
    header, segs = mask_to_segs(
        mask,
        False,
        options.crop_factor,
        options.bbox_fill,
        options.drop_size,
        crop_min_size=options.crop_min_size,
        is_contour=options.is_contour,
    )
    assert header == mask.shape
    assert [seg.bbox for seg in segs] == [part.bbox for part in expected]
    assert [tuple(seg.crop_region) for seg in segs] == [part.crop for part in expected]
    for seg, part in zip(segs, expected, strict=True):
        assert seg.cropped_mask.dtype == np.float32
        assert np.array_equal(seg.cropped_mask, part.mask.astype(np.float32))


@settings(max_examples=300)
@given(masks(), OPTIONS)
def test_random_masks(mask: np.ndarray, options: oracles.Options) -> None:
    check(mask, options)


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=1, max_size=12), OPTIONS)
def test_overlapping_rectangles(boxes: list[tuple[int, int, int, int]], options: oracles.Options) -> None:
    check(drawn(40, 40, *boxes), options)


@given(masks(), st.sampled_from([1.0, 2.0, 3.5]), st.booleans())
def test_combined(mask: np.ndarray, factor: float, bbox_fill: bool) -> None:
    """One segment: the box from the first to the last pixel that is not 0, the values of its crop as they are."""
    header, segs = mask_to_segs(mask, True, factor, bbox_fill)
    places = np.argwhere(mask != 0)
    assert header == mask.shape
    if not len(places) or 0 in np.ptp(places, axis=0):
        assert segs == []
        return
    (y1, x1), (y2, x2) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    whole = np.clip(np.nan_to_num(mask, nan=0.0), 0.0, 1.0)
    if bbox_fill:
        whole[y1:y2, x1:x2] = 1.0
    crop = oracles.grown((x1, y1, x2, y2), factor, *mask.shape)
    (seg,) = segs
    assert seg.bbox == (x1, y1, x2, y2)
    assert tuple(seg.crop_region) == crop
    assert np.array_equal(seg.cropped_mask, whole[crop[1] : crop[3], crop[0] : crop[2]])
