"""A path smoothed by what is known of it: measures that are sure stay, those that are not give way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

UNEVEN = 0.5  # what a part's speed changes by from frame to frame, in pixels: a path is that rough by nature
BENT = 0.01  # the same of the zoom's logarithm and of the turn


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
    filled in.

    Args:
        measures: by frame, on end; the first and the last are there.
        smoothing: 0 leaves measured places as they are; more makes the path straighter.

    Returns:
        ``[4]`` by frame.
    """
    from scipy.linalg import solveh_banded

    frames = list(measures)
    count = len(frames)
    known = [one for one in measures.values() if one is not None]
    if count < 3:
        last = known[0]
        path = []
        for one in measures.values():
            last = one or last
            path.append(last.place)
        return dict(zip(frames, path, strict=True))
    made = np.zeros((count, 4))
    for axis, rough in enumerate((UNEVEN, UNEVEN, BENT, BENT)):
        stiffness = max(smoothing / rough, 1e-6) ** 2
        bands = np.zeros((3, count))  # of the symmetric matrix, upper form
        for index in range(count - 2):  # the second difference of three frames
            for a, x in enumerate((1.0, -2.0, 1.0)):
                for b, y in enumerate((1.0, -2.0, 1.0)):
                    if b >= a:
                        bands[2 - (b - a), index + b] += stiffness * x * y
        wanted = np.zeros(count)
        for index, one in enumerate(measures.values()):
            if one is not None:
                weight = 1.0 / float(one.doubt[axis]) ** 2
                bands[2, index] += weight
                wanted[index] = weight * float(one.place[axis])
        made[:, axis] = solveh_banded(bands, wanted)
    return dict(zip(frames, made, strict=True))
