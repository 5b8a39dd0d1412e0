"""Random runs of all detailers for as long as there is time: FUZZ_SECONDS in all, 20 unless CI is true, then 300.

What a run says with an error repeats it alone: ``FUZZ_SEED=123456/4/17 python dev.py test tests/engine/test_fuzz.py``.
The first number is the whole run's seed, which pytest prints as it starts (``support.seeds``).
"""

from __future__ import annotations

import os
import time

import pytest
from engine.fuzz import check, seconds

PARTS = 20
SEED = os.environ["FUZZ_SEED"]  # tests/conftest.py has it, the same for all workers


@pytest.mark.parametrize("part", [0] if "/" in SEED else range(PARTS))
def test_random_runs(part: int) -> None:
    """What holds in each is in ``fuzz.check``."""
    if "/" in SEED:
        check(SEED)
        return
    end = time.monotonic() + seconds(300 if os.environ.get("CI") == "true" else 20) / PARTS
    number = 0
    while time.monotonic() < end:
        check(f"{SEED}/{part}/{number}")
        number += 1
