"""What a run gives, as a flat table of digests."""

from __future__ import annotations

import hashlib
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from engine.recording.parts import files_at_hand

Arrays = dict[str, np.ndarray]
Entry = dict[str, Any]


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested values with its path; a named tuple is read by its fields' names."""
    if hasattr(value, "_fields"):
        value = value._asdict()
    if isinstance(value, Mapping):
        for key in value:
            yield from flat(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        yield f"{path}#", len(value)
        for index, entry in enumerate(value):
            yield from flat(entry, f"{path}.{index}" if path else str(index))
    else:
        yield path, value


def entry_of(value: Any) -> tuple[Entry, np.ndarray | None]:
    """How a leaf is written down: arrays by shape, type and the digest of their float32; what else there is in words.

    Models, hooks and the like are only there or not: their classes may move.
    """
    if isinstance(value, torch.Tensor):
        kind = str(value.dtype)
        value = value.detach().cpu().numpy()
    elif isinstance(value, np.ndarray):
        kind = f"numpy.{value.dtype}"
    elif value is None or isinstance(value, str | bool | int | float | np.generic):
        return {"value": repr(value)}, None
    else:
        return {"value": "an object"}, None
    array = np.ascontiguousarray(value, dtype=np.float32)
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    return {"shape": list(value.shape), "kind": kind, "sha256": digest}, array


class Notes(logging.Handler):
    """What the pack logs, without places in memory and on disk."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = re.sub(r"0x[0-9a-f]+", "0x", record.getMessage())
        text = re.sub(r"(/[\w.-]+)*/recording-\w+", "FOLDER", text)
        self.lines.append(f"{record.levelname} {text}")


@contextmanager
def listening() -> Iterator[tuple[list[str], list[tuple[int, int]]]]:
    """The log's lines and the progress bar's places meanwhile."""
    import comfy.utils

    logger, notes = logging.getLogger("mask_detailer"), Notes()
    before, bar = logger.level, []

    def progress(value: int, total: int, preview: Any, node_id: Any = None) -> None:
        bar.append((value, total))

    comfy.utils.set_progress_bar_global_hook(progress)
    throttles = ("PROGRESS_THROTTLE_MIN_INTERVAL", "PROGRESS_THROTTLE_MIN_PERCENT")
    throttled = {name: getattr(comfy.utils, name) for name in throttles if hasattr(comfy.utils, name)}
    for name in throttled:
        setattr(comfy.utils, name, 0.0)  # nothing may depend on the clock
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield notes.lines, bar
    finally:
        logger.removeHandler(notes)
        logger.setLevel(before)
        logger.propagate = True
        comfy.utils.set_progress_bar_global_hook(None)
        for name, value in throttled.items():
            setattr(comfy.utils, name, value)


@contextmanager
def settled() -> Iterator[None]:
    """One thread, every source of chance at its beginning, and our files alone; afterwards all is as before.

    Without Intel's part of OpenCV, whose distanceTransform differs in last bits by where in memory its arrays lie.
    """
    import cv2

    threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    uses_ipp = hasattr(cv2, "ipp") and cv2.ipp.useIPP()
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    if uses_ipp:
        cv2.ipp.setUseIPP(False)
    try:
        with files_at_hand():
            yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv2_threads)
        torch.random.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        if uses_ipp:
            cv2.ipp.setUseIPP(True)


def recorded(run: Callable[[], Any]) -> tuple[Entry, Arrays]:
    """A run's entry and its arrays. An error is a result too."""
    started = time.perf_counter()
    with settled(), torch.inference_mode(), listening() as (lines, bar):
        try:
            made = run()
        except Exception as error:
            made = {"error": f"{type(error).__name__}: {error}"}
    outputs: dict[str, Entry] = {}
    arrays: Arrays = {}
    for path, leaf in flat(made):
        outputs[path], array = entry_of(leaf)
        if array is not None:
            arrays[path] = array
    bar_digest = hashlib.sha256(repr(bar).encode()).hexdigest()
    seconds = round(time.perf_counter() - started, 3)
    return {"outputs": outputs, "log": lines, "progress": [len(bar), bar_digest], "seconds": seconds}, arrays
