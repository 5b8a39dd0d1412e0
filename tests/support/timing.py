"""Processor time against work done in the same run: what it says is the same on slow, quick and busy machines."""

from __future__ import annotations

import time
from collections.abc import Callable


def processor_seconds(work: Callable[[], object]) -> float:
    """What ``work`` takes in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def loops(work: Callable[[], object]) -> float:
    """What ``work`` takes, in loops of a million empty rounds (about 20 ms each)."""

    def loop() -> None:
        for _ in range(1_000_000):
            pass

    return processor_seconds(work) / min(processor_seconds(loop) for _ in range(3))
