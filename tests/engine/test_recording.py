"""Runs of every kind give what they gave when they were recorded, picture by picture: see ``engine.recording``.

``tests/data/recording.npz`` holds each output under ``RUN/PATH``, in whole numbers. After a change that is meant to
change pictures write it anew, with ``python -m engine.recording write``, and say in the commit why they changed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine.recording.few import FEW, LEVELS, pictures_of

RECORDED = Path(__file__).parents[1] / "data" / "recording.npz"

# On another processor sums come in another order: with other instruction sets, thread counts and libraries these
# pictures moved by 2e-5 at most, and rounding for the file takes 1.2e-4.
TOLERANCE = 1e-3


@pytest.mark.parametrize("name", FEW)
def test_run_gives_what_it_gave(name: str) -> None:
    made = pictures_of(name)
    with np.load(RECORDED) as recorded:
        wanted = {
            path.removeprefix(f"{name}/"): recorded[path] for path in recorded.files if path.startswith(f"{name}/")
        }
    assert {path: picture.shape for path, picture in made.items()} == {
        path: picture.shape for path, picture in wanted.items()
    }
    apart = {
        path: float(np.abs(picture.astype(np.float32) - wanted[path]).max()) / LEVELS for path, picture in made.items()
    }
    assert max(apart.values()) <= TOLERANCE, apart
