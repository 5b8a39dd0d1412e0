"""SEGS of whatever pack in one form: what is mended, what is a fault, and what comes through untouched."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_detailer.core import SEG, SEGS, Region
from mask_detailer.core.normal import SegsError, normal_header, normal_region, normal_seg, normal_segs
from unit.build import ForeignSEG, seg

NAN, INF = float("nan"), float("inf")
CROP = [10, 20, 14, 23]  # 4 wide, 3 high
ONES = np.ones((3, 4), np.float32)
PICTURE = np.full((1, 3, 4, 3), 0.5, np.float32)


def mended(notes: list[str] | None = None, **fields: Any) -> SEG:
    return normal_seg(seg(CROP)._replace(**fields), "segment 1", notes=notes)


def same(made: Any, wanted: Any) -> bool:
    if isinstance(wanted, torch.Tensor | np.ndarray):
        return type(made) is type(wanted) and made.dtype == wanted.dtype and np.array_equal(made, wanted)
    return type(made) is type(wanted) and made == wanted


# --- untouched ----------------------------------------------------------------------------------------------------

IN_ORDER: list[dict[str, Any]] = [
    {},
    {"cropped_mask": torch.rand(2, 3, 4)},
    {"cropped_mask": ONES.astype(bool)},
    {"cropped_mask": ONES.astype(np.float64)},
    {"cropped_mask": torch.ones(3, 4, dtype=torch.bfloat16)},
    {"cropped_mask": np.ones((3, 8), np.float32)[:, ::-2]},
    {"cropped_mask": ONES * (1 + 1e-6)},
    {"cropped_image": PICTURE},
    {"cropped_image": torch.full((5, 9, 7, 4), 1.02)},
    {"crop_region": tuple(CROP)},
    {"crop_region": np.array(CROP)},
    {"crop_region": np.array(CROP, np.float32)},
    {"crop_region": [np.int64(side) for side in CROP]},
    {"crop_region": [float(side) for side in CROP]},
    {"bbox": np.array([10.25, 20, 14, 23], np.float32)},
    {"bbox": [-1000.5, -7, 9999, 23]},
    {"bbox": (12, 21, 12, 21)},
    {"confidence": 0},
    {"confidence": np.array([0.5], np.float32)},
    {"confidence": torch.tensor(0.5)},
    {"label": None},
    {"label": np.str_("face")},
    {"control_net_wrapper": object()},
    {"crop_region": [9, 9, 9, 9], "cropped_mask": np.ones((0, 0), np.float32)},
]


@pytest.mark.parametrize("fields", IN_ORDER)
def test_what_is_in_order_is_the_same_object(fields: dict[str, Any]) -> None:
    for kind in (SEG, ForeignSEG):
        one = kind(*seg(CROP)._replace(**fields))
        segs = (64, 80), [one, seg(CROP)]
        made, notes = normal_segs(segs)
        assert made[0] == (64, 80) and made[1][0] is one and made[1][1] is segs[1][1] and not notes


def test_other_packs_segments_need_no_wrapper() -> None:
    class Plain:
        cropped_image, cropped_mask, confidence = None, ONES, 0.5
        crop_region, bbox, label = CROP, CROP, "a"

    one: Any = Plain()
    assert normal_segs(((64, 80), [one]))[0][1] == [one]
    one.cropped_mask = ONES[None, None]
    made = normal_segs(((64, 80), [one]))[0][1][0]
    assert isinstance(made, SEG) and made.cropped_mask.shape == (1, 3, 4) and made.control_net_wrapper is None


# --- mended -------------------------------------------------------------------------------------------------------

_HOLE = ONES.copy()
_HOLE[1, 2] = NAN
_FILLED = ONES.copy()
_FILLED[1, 2] = 0

MENDED: list[tuple[str, Any, Any]] = [
    ("cropped_mask", _HOLE, _FILLED),
    ("cropped_mask", torch.from_numpy(_HOLE)[None], torch.from_numpy(_FILLED)[None]),
    ("cropped_mask", ONES * INF, ONES * 0),
    ("cropped_mask", ONES * 3, ONES),
    ("cropped_mask", torch.full((3, 4), -1.0, dtype=torch.float16), torch.zeros(3, 4, dtype=torch.float16)),
    ("cropped_mask", np.full((3, 4), 51, np.uint8), (ONES * 51) / 255),
    ("cropped_mask", np.full((3, 4), 65535, np.uint16), ONES),
    ("cropped_mask", torch.full((3, 4), 255), torch.ones(3, 4)),
    ("cropped_mask", ONES[None, None], ONES[None]),
    ("cropped_mask", np.ones((2, 1, 3, 4), np.float32), np.ones((2, 3, 4), np.float32)),
    ("cropped_mask", ONES[..., None], ONES),
    ("cropped_mask", torch.ones(2, 3, 4, 1), torch.ones(2, 3, 4)),
    ("cropped_mask", np.ones((6, 8), np.float32), ONES),
    ("cropped_mask", torch.ones(2, 6, 8), torch.ones(2, 3, 4)),
    ("cropped_mask", [[1.0] * 4] * 3, ONES.astype(np.float64)),
    ("cropped_mask", np.full((3, 4), 1.0, object), ONES),
    ("cropped_mask", ONES.astype(">f4"), ONES),
    ("cropped_mask", np.ones((0, 0), np.float32), ONES * 0),
    ("cropped_mask", np.ones((0, 3, 4), np.float32), ONES * 0),
    ("cropped_image", PICTURE[0], PICTURE),
    ("cropped_image", PICTURE[..., :1], PICTURE),
    ("cropped_image", torch.full((3, 4, 4), 0.5), torch.full((1, 3, 4, 4), 0.5)),
    ("cropped_image", PICTURE * NAN, PICTURE * 0),
    ("cropped_image", torch.full((1, 9, 9, 3), 3e38), torch.ones(1, 9, 9, 3)),
    ("cropped_image", np.full((1, 3, 4, 3), 255, np.uint8), np.ones((1, 3, 4, 3), np.float32)),
    ("cropped_image", np.ones((1, 3, 4, 3), bool), np.ones((1, 3, 4, 3), np.float32)),
    ("cropped_image", np.ones((0, 3, 4, 3), np.float32), None),
    ("crop_region", ["10", "20", "14", "23"], CROP),
    ("crop_region", [10.9, 20.1, 14.0, 23.7], CROP),
    ("crop_region", torch.tensor(CROP), CROP),
    ("crop_region", [torch.tensor(10), np.array(20), 14, np.array([23])], CROP),
    ("crop_region", [CROP], CROP),
    ("crop_region", [[10, 20], [14, 23]], CROP),
    ("crop_region", [14, 23, 10, 20], CROP),
    ("crop_region", np.array([14, 20, 10, 23]), CROP),
    ("bbox", (14, 20, 10, 23), (10, 20, 14, 23)),
    ("bbox", ["1.5", 0, 3, True], (1.5, 0, 3, 1)),
    ("bbox", torch.tensor([1, 2, 3, 4]), (1, 2, 3, 4)),
    ("confidence", None, 1.0),
    ("confidence", NAN, 0.0),
    ("confidence", np.array([INF]), 0.0),
    ("confidence", "0.5", 0.5),
    ("confidence", True, 1.0),
    ("label", 7, "7"),
    ("label", b"face", "face"),
]


@pytest.mark.parametrize(("field", "value", "wanted"), MENDED)
def test_what_is_mended(field: str, value: Any, wanted: Any) -> None:
    fields = {field: value}
    before = value.copy() if isinstance(value, np.ndarray) else value
    made = mended(**fields)
    assert isinstance(made, SEG) and same(getattr(made, field), wanted)
    assert made._replace(**{field: 0}) == seg(CROP)._replace(cropped_mask=made.cropped_mask)._replace(**{field: 0})
    assert normal_seg(made, "segment 1") is made, "it is in order now"
    if isinstance(value, np.ndarray) and value.dtype != object:
        assert np.array_equal(value, before, equal_nan=value.dtype.kind == "f"), "it was written to"


def test_a_region_without_pixels_has_nothing() -> None:
    made = mended(crop_region=[5, 5, 5, 9], cropped_image=PICTURE)
    assert made.cropped_mask.shape == (4, 0) and made.cropped_image is None


def test_what_changes_values_is_told() -> None:
    notes: list[str] = []
    mended(notes, cropped_mask=_HOLE, cropped_image=PICTURE * 5000, bbox=(9, 9, 1, 1))
    assert [note.split(" holds")[0].split(" (")[0] for note in notes] == [
        "segment 1: its cropped_image",
        "segment 1: its cropped_mask",
        "segment 1: the sides of its bbox",
    ]
    notes.clear()
    mended(notes, cropped_mask=ONES[None, None], crop_region=tuple(map(str, CROP)), label=7)
    assert not notes


# --- refused ------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, Any, str]] = [
    ("cropped_mask", None, r"has no cropped_mask \(None\)"),
    ("cropped_mask", np.ones(4, np.float32), r"of shape \[4\], not \[height, width\] or \[frames"),
    ("cropped_mask", np.ones((2, 3, 3, 4)), r"of shape \[2, 3, 3, 4\]"),
    ("cropped_mask", 1.0, r"of shape \[\]"),
    ("cropped_mask", "mask", "'mask' that is none"),
    ("cropped_mask", [[1.0], [1.0, 2.0]], "that is none"),
    ("cropped_mask", ONES * 1j, "that is none"),
    ("cropped_mask", torch.ones(3, 4).to_sparse(), "can't be read"),
    ("cropped_image", PICTURE[0, 0], r"of shape \[4, 3\], not \[frames, height, width, 3 or 4 channels\]"),
    ("cropped_image", PICTURE[None], "of shape"),
    ("cropped_image", PICTURE.transpose(0, 3, 1, 2)[..., :2], "of shape"),
    ("cropped_image", object(), "that is none"),
    ("crop_region", None, "None that is not four numbers"),
    ("crop_region", [1, 2, 3], "not four numbers"),
    ("crop_region", "1234", "not four numbers"),
    ("crop_region", [1, 2, NAN, 4], "not four numbers"),
    ("crop_region", [1, 2, 10**400, 4], "not four numbers"),
    ("crop_region", [0, 0, 2**70, 4], "farther out than any picture"),
    ("crop_region", [0, 0, 10**6, 4], "larger than pictures are"),
    ("crop_region", [4, 4, 0, 0], "in reverse"),
    ("crop_region", [0, 0, 2**15, 2**15], "doesn't fit its crop_region"),
    ("bbox", [1, 2, 3, 1e300], "farther out"),
    ("bbox", {"x": 1}, "not four numbers"),
    ("confidence", "sure", "'sure' that is no number"),
    ("confidence", np.array([]), "no number"),
    ("confidence", 10**400, "no number"),
]


@pytest.mark.parametrize(("field", "value", "found"), REFUSED)
def test_what_is_refused(field: str, value: Any, found: str) -> None:
    with pytest.raises(SegsError, match=f"^segment 1 .*{found}") as refused:
        mended(**{field: value})
    assert field in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 250


def test_a_region_far_larger_than_the_picture() -> None:
    """Moved to a large picture, it would take all memory."""
    with pytest.raises(SegsError, match=r"segment 2 has a crop_region .* far larger than the 1x1 picture"):
        normal_segs(((1, 1), [seg([0, 0, 1, 1]), seg([0, 0, 9, 9])]))


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ((64, 80), (64, 80)),
        ([64.0, np.int64(80)], (64, 80)),
        (np.array([64, 80]), (64, 80)),
        (torch.Size([64, 80]), (64, 80)),
        (("64", "80"), (64, 80)),
        ((0, 80), (0, 80)),
    ],
)
def test_headers(header: Any, wanted: tuple[int, int]) -> None:
    assert normal_header(header) == wanted and all(type(side) is int for side in normal_header(header))


@pytest.mark.parametrize(
    "header",
    [None, 64, "64", (64,), (1, 2, 3), (-1, 2), (NAN, 2), (INF, 2), (2**70, 2), (10**400, 2), (1.5, 2), ("a", "b"), {}],
)
def test_what_is_no_header(header: Any) -> None:
    with pytest.raises(SegsError, match=r"is not \(height, width\)"):
        normal_header(header)
    with pytest.raises(SegsError, match=r"^its header .*is not"):
        normal_segs((header, []))


def test_a_box_of_its_own() -> None:
    assert normal_region([9.7, "8", 3, 2]) == Region(3, 2, 9, 8)
    with pytest.raises(SegsError, match=r"^\[1\] is not four numbers"):
        normal_region([1])


# --- detections ---------------------------------------------------------------------------------------------------


def test_detections_without_pixels_stay() -> None:
    """They are left out later, and counted."""
    nothing = [seg([40, 5, 35, 35], mask=ONES), seg([5, 5, 9, 9], mask=np.ones((0, 0), np.float32))]
    made, notes = normal_segs(((64, 80), nothing), detected=True)
    assert all(one is before for one, before in zip(made[1], nothing, strict=True)) and not notes
    with pytest.raises(SegsError, match=r"^detection 2 has a bbox"):
        normal_segs(((64, 80), [nothing[0], seg(CROP, box=None)._replace(bbox=None)]), detected=True)


# --- anything -----------------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-100, 200), st.floats(), st.just(2**70), st.booleans(), st.none(), st.text(max_size=3), st.just(10**400)
)
boxes = st.one_of(
    st.lists(numbers, max_size=5),
    st.lists(st.integers(0, 90), min_size=4, max_size=4),
    st.lists(st.integers(0, 90), min_size=4, max_size=4).map(np.array),
    numbers,
)
shapes = st.lists(st.integers(0, 5), max_size=5).map(tuple)
dtypes = st.sampled_from(["float16", "float32", "float64", "bool", "uint8", "uint16", "int64", "complex64", "object"])


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    shape = draw(shapes)
    value = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 200.0]))
    array = np.full(shape, value).astype(draw(dtypes))
    if array.size and array.dtype.kind == "f":
        array.reshape(-1)[0] = draw(st.sampled_from([0.25, NAN, INF, -INF, 6e4]))
    if draw(st.booleans()) and array.dtype.kind in "bf":
        return torch.from_numpy(array)
    return array


segments = st.builds(
    ForeignSEG,
    cropped_image=st.one_of(st.none(), arrays(), numbers),
    cropped_mask=st.one_of(arrays(), numbers, st.just(ONES)),
    confidence=st.one_of(numbers, arrays()),
    crop_region=st.one_of(boxes, st.just(CROP), st.just([14, 23, 10, 20])),
    bbox=st.one_of(boxes, st.just(CROP)),
    label=st.one_of(numbers, st.binary(max_size=2)),
)


def proper(segs: SEGS) -> bool:
    height, width = segs[0]
    for one in segs[1]:
        region, mask, image = Region.of(one.crop_region), one.cropped_mask, one.cropped_image
        assert list(one.crop_region) == region.as_list() and region.width >= 0 and region.height >= 0
        x1, y1, x2, y2 = (float(side) for side in one.bbox)
        assert -math.inf < x1 <= x2 < math.inf and -math.inf < y1 <= y2 < math.inf
        assert tuple(mask.shape[-2:]) == region.size and mask.ndim in (2, 3)
        values = torch.as_tensor(np.ascontiguousarray(mask)).float()
        assert bool(((values >= -1e-4) & (values <= 1 + 1e-4)).all())
        if image is not None:
            assert image.ndim == 4 and image.shape[-1] in (3, 4) and 0 not in image.shape
            assert bool(torch.isfinite(torch.as_tensor(image).float()).all())
        assert math.isfinite(float(np.asarray(one.confidence).reshape(-1)[0]))
        assert one.label is None or isinstance(one.label, str)
    return height >= 0 and width >= 0


@settings(max_examples=400)
@given(st.tuples(st.one_of(st.just((64, 80)), st.just((0, 0)), boxes), st.lists(segments, max_size=2)))
def test_anything_is_proper_or_refused(segs: Any) -> None:
    try:
        made, _ = normal_segs(segs)
    except SegsError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
        return
    assert proper(made)
    again, notes = normal_segs(made)
    assert not notes and all(one is before for one, before in zip(again[1], made[1], strict=True))


def test_it_costs_little() -> None:
    """30 segments of 256 pixels: it is asked at each node of a chain."""
    from time import perf_counter

    mask = np.random.default_rng(0).random((256, 256), np.float32)
    segs = (512, 512), [seg([index, index, index + 256, index + 256], mask=mask) for index in range(30)]
    took = []
    for _ in range(20):
        start = perf_counter()
        normal_segs(segs)
        took.append(perf_counter() - start)
    print(f"{min(took) * 1000:.2f} ms")
    assert min(took) < 0.02  # about a millisecond where the machine is not busy
