"""SEGS in all ways broken, and every input of every node that takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from engine.any_node import NODES, arguments, declared, replaced, run_checked
from mask_detailer.core import SEG
from mask_detailer.nodes.validate import InputError

NAN, INF = float("nan"), float("inf")
HEIGHT, WIDTH = 18, 18  # of the first segment's crop region

HEADERS: dict[str, Any] = {
    "None": None,
    "a number": 64,
    "a text": "64",
    "one number": (64,),
    "three numbers": (64, 80, 3),
    "negative": (-64, 80),
    "NaN": (NAN, 80),
    "infinite": (64, INF),
    "1e300": (1e300, 80),
    "2**70": (2**70, 2**70),
    "a million": (1_000_000, 1_000_000),
    "fractions": (64.5, 80.25),
    "floats": (64.0, 80.0),
    "texts": ("64", "80"),
    "words": ("high", "wide"),
    "an array": np.array([64, 80]),
    "a tensor": torch.tensor([64, 80]),
    "Nones": (None, None),
    "nested": ((64, 80), (64, 80)),
    "a dictionary": {"height": 64, "width": 80},
    "one pixel": (1, 1),
    "half known": (0, 80),
    "unknown": (0, 0),
}

BOXES: dict[str, Any] = {
    "None": None,
    "empty": [],
    "a number": 15,
    "a text": "15 15 33 33",
    "digits": "1234",
    "three": [15, 15, 33],
    "five": [15, 15, 33, 33, 1],
    "NaN": [NAN, 15, 33, 33],
    "infinite": [15, 15, INF, 33],
    "minus infinite": np.array([-INF, 15, 33, 33], np.float32),
    "1e300": [15, 15, 1e300, 33],
    "2**70": [15, 15, 2**70, 2**70],
    "10**400": [15, 15, 10**400, 33],
    "a million": [0, 0, 1_000_000, 1_000_000],
    "far": [40_000, 40_000, 40_018, 40_018],
    "texts": ["15", "15", "33", "33"],
    "words": ["left", "top", "right", "bottom"],
    "booleans": [False, False, True, True],
    "Nones": [None] * 4,
    "complex": [15j, 15, 33, 33],
    "0-D arrays": [np.array(15), np.array(15), np.array(33), np.array(33)],
    "0-D tensors": [torch.tensor(side) for side in (15, 15, 33, 33)],
    "a tensor": torch.tensor([15.0, 15.0, 33.0, 33.0]),
    "fractions": [15.4, 15.6, 33.2, 33.9],
    "nested": [[15, 15, 33, 33]],
    "corners": [[15, 15], [33, 33]],
    "reversed": [33, 33, 15, 15],
    "reversed in x": (33, 15, 15, 33),
    "reversed array": np.array([33, 33, 15, 15], np.float32),
    "no pixels": [15, 15, 15, 15],
    "no width": [15, 15, 15, 33],
    "a dictionary": {"x1": 15, "y1": 15, "x2": 33, "y2": 33},
    "an object": object(),
}

MASKS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a number": lambda: 1.0,
    "a text": lambda: "mask",
    "an object": object,
    "0-D": lambda: np.array(1.0),
    "1-D": lambda: np.ones(HEIGHT, np.float32),
    "1-D tensor": lambda: torch.ones(HEIGHT),
    "NaN": lambda: np.full((HEIGHT, WIDTH), NAN, np.float32),
    "one NaN": lambda: _with(np.ones((HEIGHT, WIDTH), np.float32), NAN),
    "NaN tensor": lambda: torch.full((1, HEIGHT, WIDTH), NAN),
    "infinite": lambda: _with(np.ones((HEIGHT, WIDTH), np.float32), INF),
    "huge": lambda: np.full((HEIGHT, WIDTH), 1e300),
    "out of range": lambda: np.linspace(-3, 5, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH),
    "another size": lambda: np.ones((5, 40), np.float32),
    "another size, frames": lambda: torch.ones(3, 40, 5),
    "no pixels": lambda: np.ones((0, 0), np.float32),
    "no frames": lambda: torch.ones(0, HEIGHT, WIDTH),
    "booleans": lambda: np.ones((HEIGHT, WIDTH), bool),
    "boolean tensor": lambda: torch.ones(HEIGHT, WIDTH, dtype=torch.bool),
    "bytes": lambda: np.full((HEIGHT, WIDTH), 255, np.uint8),
    "byte tensor": lambda: torch.full((HEIGHT, WIDTH), 128, dtype=torch.uint8),
    "16 bits": lambda: np.full((HEIGHT, WIDTH), 60000, np.uint16),
    "whole numbers": lambda: torch.ones(HEIGHT, WIDTH, dtype=torch.int64),
    "half": lambda: torch.ones(HEIGHT, WIDTH, dtype=torch.float16),
    "long double": lambda: np.ones((HEIGHT, WIDTH), np.longdouble),
    "other byte order": lambda: np.ones((HEIGHT, WIDTH), ">f4"),
    "complex": lambda: np.ones((HEIGHT, WIDTH), complex),
    "complex tensor": lambda: torch.ones(HEIGHT, WIDTH, dtype=torch.complex64),
    "sparse": lambda: torch.ones(HEIGHT, WIDTH).to_sparse(),
    "meta": lambda: torch.ones(HEIGHT, WIDTH, device="meta"),
    "objects": lambda: np.full((HEIGHT, WIDTH), None, object),
    "numbers as objects": lambda: np.full((HEIGHT, WIDTH), 1.0, object),
    "lists": lambda: [[1.0] * WIDTH] * HEIGHT,
    "ragged lists": lambda: [[1.0] * WIDTH, [1.0]],
    "4-D": lambda: np.ones((1, 1, HEIGHT, WIDTH), np.float32),
    "4-D frames": lambda: torch.ones(2, 1, HEIGHT, WIDTH),
    "4-D, no mask": lambda: np.ones((2, 3, HEIGHT, WIDTH), np.float32),
    "channel last": lambda: np.ones((HEIGHT, WIDTH, 1), np.float32),
    "frames, channel last": lambda: torch.ones(2, HEIGHT, WIDTH, 1),
    "5-D": lambda: torch.ones(1, 1, 1, HEIGHT, WIDTH),
    "backwards": lambda: np.ones((HEIGHT, WIDTH), np.float32)[::-1, ::-1],
}

PICTURES: dict[str, Callable[[], Any]] = {
    "a number": lambda: 1.0,
    "a text": lambda: "picture",
    "an object": object,
    "1-D": lambda: np.ones(HEIGHT, np.float32),
    "2-D": lambda: np.ones((HEIGHT, WIDTH), np.float32),
    "3-D": lambda: np.ones((HEIGHT, WIDTH, 3), np.float32),
    "3-D tensor": lambda: torch.ones(HEIGHT, WIDTH, 4),
    "5-D": lambda: torch.ones(1, 1, HEIGHT, WIDTH, 3),
    "channels first": lambda: torch.ones(1, 3, HEIGHT, WIDTH),
    "grey": lambda: np.ones((1, HEIGHT, WIDTH, 1), np.float32),
    "two channels": lambda: torch.ones(1, HEIGHT, WIDTH, 2),
    "no frames": lambda: torch.ones(0, HEIGHT, WIDTH, 3),
    "no pixels": lambda: np.ones((1, 0, 0, 3), np.float32),
    "NaN": lambda: np.full((1, HEIGHT, WIDTH, 3), NAN, np.float32),
    "one NaN": lambda: torch.from_numpy(_with(np.ones((1, HEIGHT, WIDTH, 3), np.float32), NAN)),
    "infinite": lambda: _with(np.ones((1, HEIGHT, WIDTH, 3), np.float32), -INF),
    "NaN, another size": lambda: _with(np.ones((2, 7, 9, 3), np.float32), NAN),
    "huge": lambda: torch.full((1, 7, 9, 3), 3e38),
    "bytes": lambda: np.full((1, HEIGHT, WIDTH, 3), 200, np.uint8),
    "booleans": lambda: torch.ones(1, HEIGHT, WIDTH, 3, dtype=torch.bool),
    "half": lambda: torch.ones(1, HEIGHT, WIDTH, 3, dtype=torch.float16),
    "lists": lambda: [[[0.5, 0.5, 0.5]] * WIDTH] * HEIGHT,
}

CONFIDENCES: dict[str, Any] = {
    "None": None,
    "NaN": NAN,
    "infinite": INF,
    "a text": "0.5",
    "a word": "sure",
    "empty": np.array([]),
    "an array": np.array([0.5, 0.25]),
    "NaN array": np.array([NAN]),
    "a tensor": torch.tensor(0.5),
    "a list": [0.5],
    "complex": 0.5j,
    "2**70": 2**70,
    "10**400": 10**400,
    "an object": object(),
}

LABELS: dict[str, Any] = {
    "None": None,
    "a number": 7,
    "NaN": NAN,
    "bytes": b"face",
    "an array": np.array("face"),
    "a numpy text": np.str_("face"),
    "a list": ["face"],
    "control characters": "a\x1b[31m\nb\ud800",
}


def _with(pixels: np.ndarray, value: float) -> np.ndarray:
    pixels.reshape(-1)[5] = value
    return pixels


class Broken(NamedTuple):
    """One way to be broken: the field, or ``header`` or ``segment``, how, and a change of the SEGS."""

    field: str
    form: str
    change: Callable[[Any], Any]

    @property
    def name(self) -> str:
        return f"{self.field}: {self.form}"


def _changed(field: str, value: Callable[[], Any]) -> Callable[[Any], Any]:
    def change(segs: Any) -> Any:
        first, *rest = segs[1]
        fields = {name: getattr(first, name) for name in SEG._fields} | {field: value()}
        return segs[0], [SEG(**fields), *rest]

    return change


class Half:
    """A segment with some of the fields only."""

    cropped_image = None
    crop_region = (15, 15, 33, 33)


WHOLES: dict[str, Callable[[Any], Any]] = {
    "None": lambda segs: None,
    "a text": lambda segs: "segs",
    "a number": lambda segs: 7,
    "a dictionary": lambda segs: {"header": segs[0], "segs": segs[1]},
    "an array": lambda segs: np.zeros(2),
    "one thing": lambda segs: ([],),
    "three things": lambda segs: (*segs, None),
    "the segments alone": lambda segs: segs[1],
    "swapped": lambda segs: (segs[1], segs[0]),
    "nested": lambda segs: (segs[0], segs),
    "nested segments": lambda segs: (segs[0], [segs[1]]),
    "a segment instead of a list": lambda segs: (segs[0], segs[1][0]),
    "a tuple of segments": lambda segs: (segs[0], tuple(segs[1])),
    "None among them": lambda segs: (segs[0], [None, *segs[1]]),
    "texts among them": lambda segs: (segs[0], ["seg", *segs[1]]),
    "plain tuples": lambda segs: (segs[0], [tuple(seg) for seg in segs[1]]),
    "dictionaries": lambda segs: (segs[0], [seg._asdict() for seg in segs[1]]),
    "half of the fields": lambda segs: (segs[0], [Half(), *segs[1]]),
}


def all_broken() -> list[Broken]:
    """Every way to be broken."""
    made = [Broken("segment", form, change) for form, change in WHOLES.items()]
    made += [Broken("header", form, lambda segs, value=value: (value, segs[1])) for form, value in HEADERS.items()]
    for field in ("crop_region", "bbox"):
        made += [Broken(field, form, _changed(field, lambda value=value: value)) for form, value in BOXES.items()]
    for field, pixels in (("cropped_mask", MASKS), ("cropped_image", PICTURES)):
        made += [Broken(field, form, _changed(field, value)) for form, value in pixels.items()]
    for field, values in (("confidence", CONFIDENCES), ("label", LABELS)):
        made += [Broken(field, form, _changed(field, lambda value=value: value)) for form, value in values.items()]
    return made


# ------------------------------------------------------------------------------------------------ inputs


class Input(NamedTuple):
    node_id: str
    name: str
    kind: str


KINDS = ("SEGS", "SEG_ELT", "SEGS_HEADER", "SEG_ELT_bbox", "SEG_ELT_crop_region")


def inputs() -> list[Input]:
    """Every input that takes SEGS, or a part of them."""
    return [Input(node, one.name, one.kind) for node in NODES for one in declared(node) if one.kind in KINDS]


def value_for(one: Input, broken: Broken, segs: Any) -> Any:
    """What goes into the input; raises LookupError where what is broken doesn't go through it."""
    if one.kind == "SEGS":
        return broken.change(segs)
    part = {"SEGS_HEADER": "header", "SEG_ELT_bbox": "bbox", "SEG_ELT_crop_region": "crop_region"}.get(one.kind)
    if part not in (None, broken.field):
        raise LookupError
    if broken.field == "header":
        if one.kind == "SEGS_HEADER":
            return broken.change(segs)[0]
        raise LookupError
    if broken.field == "segment":
        whole = broken.change(segs)
        elements = whole[1] if isinstance(whole, tuple) and len(whole) == 2 else whole
        return elements[0] if isinstance(elements, list) else elements
    seg = broken.change(segs)[1][0]
    return seg if one.kind == "SEG_ELT" else getattr(seg, broken.field)


def product(segs: Any) -> Iterator[tuple[Input, Broken]]:
    """Every input with all that can be broken of what it takes."""
    for one in inputs():
        for broken in all_broken():
            try:
                value_for(one, broken, segs)
            except LookupError:
                continue
            yield one, broken


# ------------------------------------------------------------------------------------------------ what comes of it


def outcome(one: Input, broken: Broken, values: dict[str, Any]) -> str:
    """``made`` or ``refused``; AssertionError for what is neither."""
    given = replaced(
        one.node_id, arguments(one.node_id, values, optional=True), one.name, value_for(one, broken, values["SEGS"])
    )
    try:
        outputs = run_checked(one.node_id, given)
    except InputError as error:
        named(one, broken, str(error))
        return "refused"
    for made in outputs:
        assert_finite(made)
    return "made"


def named(one: Input, broken: Broken, message: str) -> None:
    """The message names node, input, segment and field, on one line."""
    assert message.startswith(f"{one.node_id}, input '{one.name}': "), message
    assert "\n" not in message and "\x1b" not in message and len(message) < 500, message
    whole = one.kind in ("SEGS_HEADER", "SEG_ELT_bbox", "SEG_ELT_crop_region")
    if not whole and broken.field not in ("segment", "header"):
        assert broken.field in message or one.node_id == "SaveSEGS", message
        assert "segment" in message, message
        if one.kind == "SEGS" or one.node_id == "ImpactAssembleSEGS":
            assert "segment 1" in message, message
    if one.kind == "SEGS" and broken.field == "header":
        assert "header" in message or "picture" in message, message


def assert_finite(value: Any) -> None:
    """No NaN and nothing infinite in a nested output."""
    if isinstance(value, torch.Tensor):
        assert not value.is_floating_point() or bool(torch.isfinite(value).all())
    elif isinstance(value, np.ndarray):
        assert value.dtype.kind in "biuf" and bool(np.isfinite(value).all())
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, dict):
        for entry in value.values():
            assert_finite(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            assert_finite(entry)
