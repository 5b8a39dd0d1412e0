"""The few runs whose pictures are kept in the repository, small and rounded, for a test that repeats them."""

from __future__ import annotations

import numpy as np
from engine.recording.all_runs import RUNS
from engine.recording.kept import Arrays, recorded

FEW = (
    "where/plain",
    "where/two pictures, two masks",
    "sampling/refiner 0.5",
    "sampling/sampler dpmpp_2m_sde",
    "sampling/inpaint model, soft",
    "option/all",
    "options/texture that is moved",
    "text/LoRAs apart",
    "control/percents",
    "apart/larger images of their own",
    "segs/black and white",
    "hook/noise, variation, schedule",
    "face/pipe with refiner",
    "family/wan",
)
LEVELS = 4095  # an eighth of the tolerance of test_recording.py, and twice as small as 65535


def pictures() -> Arrays:
    """All pictures of the few runs, by run and output, as uint16."""
    return {f"{name}/{path}": kept for name in FEW for path, kept in pictures_of(name).items()}


def pictures_of(name: str) -> Arrays:
    """The pictures that a run gives, by output: 0..1 as 0..LEVELS. Of crops that come with alpha too, only those.

    Raises:
        ValueError: if one is not within 0..1.
        RuntimeError: if the run fails.
    """
    entry, arrays = recorded(RUNS[name])
    if "error" in entry["outputs"]:
        raise RuntimeError(f"{name}: {entry['outputs']['error']['value']}")
    made = {path: array for path, array in arrays.items() if array.ndim == 4 and array.shape[-1] in (3, 4)}
    with_alpha = [array[..., :3] for array in made.values() if array.shape[-1] == 4]
    kept: Arrays = {}
    for path, array in made.items():
        if array.shape[-1] == 3 and any(np.array_equal(array, known) for known in with_alpha):
            continue
        if not (array.min() >= 0.0 and array.max() <= 1.0):
            raise ValueError(f"{name}, {path}: {array.min()} to {array.max()}")
        kept[path] = np.round(array * LEVELS).astype(np.uint16)
    return kept
