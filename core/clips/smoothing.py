"""A path smoothed by what is known of it: measures that are sure stay, those that are not give way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

UNEVEN = 0.5  # what a part's speed changes by from frame to frame, in pixels: a path is that rough by nature
BENT = 0.01  # the same of the zoom's logarithm and of the turn
TURNS = 6.0  # times that: from there on a path turns sharply
STEPS = 20  # at most, until it is found where it does
LEAST_SURE = 1e-6  # of a place: as if it were known to a thousand pixels
EXACT = 1e-11  # of the largest weight: what a solution tells from nothing
ENOUGH = 1e-3  # of the roughness: a step that changes less is the last


class Measure(Protocol):
    """A place and how exactly it is known, ``[4]`` each."""

    @property
    def place(self) -> np.ndarray: ...

    @property
    def doubt(self) -> np.ndarray: ...


def smoothed(measures: Mapping[int, Measure | None], smoothing: float = 1.0) -> dict[int, np.ndarray]:
    """The likeliest path: measures off by their doubts, speeds that change a little from frame to frame.

    It solves ``min sum ((path - place) / doubt)^2 + sum (second differences of the path * smoothing / roughness)^2``
    (E. T. Whittaker, "On a New Method of Graduation", Proc. Edinburgh Math. Society 41, 1923); what was not measured is
    filled in. Where the path turns sharply all the same, by more than ``TURNS`` roughnesses, that counts less and less
    (Geman and McClure's weights, by steps of least squares): what is sure of itself is not drawn from its place there.

    Args:
        measures: by frame, on end; the first and the last are there.
        smoothing: 0 leaves measured places as they are; more makes the path straighter.

    Returns:
        ``[4]`` by frame.
    """
    frames = list(measures)
    known = [one for one in measures.values() if one is not None]
    if len(frames) < 3:
        last = known[0]
        path = []
        for one in measures.values():
            last = one or last
            path.append(last.place)
        return dict(zip(frames, path, strict=True))
    seen = [index for index, one in enumerate(measures.values()) if one is not None]
    between = [np.interp(range(len(frames)), seen, [float(one.place[axis]) for one in known]) for axis in range(4)]
    places = np.stack(between, axis=1)
    sure = np.zeros(places.shape)
    for index, one in zip(seen, known, strict=True):
        sure[index] = 1.0 / np.square(one.doubt)
    made = np.zeros(places.shape)
    for axis, rough in enumerate((UNEVEN, UNEVEN, BENT, BENT)):
        stiff = np.full(len(frames) - 2, max(smoothing / rough, 1e-6) ** 2)
        path = _graduated(places[:, axis], sure[:, axis], stiff)
        for _ in range(STEPS):
            bends = np.diff(path, 2) / (TURNS * rough)
            before, path = path, _graduated(places[:, axis], sure[:, axis], stiff / (1.0 + bends**2) ** 2)
            if np.abs(path - before).max() < rough * ENOUGH:
                break
        made[:, axis] = path
    return dict(zip(frames, made, strict=True))


def _graduated(places: np.ndarray, sure: np.ndarray, stiff: np.ndarray) -> np.ndarray:
    """``[n]``: the path of least squares, each place and each second difference of it weighted."""
    from scipy.linalg import solveh_banded

    bands = np.zeros((3, len(places)))  # of the symmetric matrix, upper form
    for index, weight in enumerate(stiff):  # the second difference of three frames
        for a, x in enumerate((1.0, -2.0, 1.0)):
            for b, y in enumerate((1.0, -2.0, 1.0)):
                if b >= a:
                    bands[2 - (b - a), index + b] += weight * x * y
    # what nobody knows is drawn a little to the straight line between what is known: else there may be no one answer
    sure = np.maximum(sure, max(LEAST_SURE, EXACT * max(float(sure.max()), float(bands.max()))))
    bands[2] += sure
    return solveh_banded(bands, sure * places)
