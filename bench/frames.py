"""A clip streaming through: what a frame costs, and how much memory beside what comes in and goes out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tables import Row

COUNTS = (10, 100)

# in a process of its own, whose highest mark of memory is this run's alone
CODE = """
import ctypes
import sys
import time

import psutil
from support.comfy_on_cpu import use_cpu

use_cpu()
import comfy.utils
import torch
from engine.running import SMALL
from engine.tiny_models import mask_of, picture, unet_pipe
from mask_detailer.nodes.detailers import MaskDetailerPipe

comfy.utils.set_progress_bar_enabled(False)
count, what, size = int(sys.argv[1]), sys.argv[2], (1080, 1920)
settings = SMALL | {"guide_size": 192.0, "max_size": 512.0, "feather": 5, "noise_mask_feather": 20, "crop_batch": 0}
pipe = unet_pipe()


def highest_mark():  # of memory, in bytes; Linux's ru_maxrss would begin with that of the process that started this one
    try:
        marks = dict(line.split(":") for line in open("/proc/self/status"))
        return int(marks["VmHWM"].split()[0]) * 1024
    except OSError:
        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss)


def clip(frames):
    images = picture(*size).repeat(frames, 1, 1, 1)
    masks = torch.zeros(frames, *size)
    for index in range(frames):
        x, y = 100 + 13 * index, 80 + 7 * index
        masks[index, y : y + 160, x : x + 160] = 1.0
    return images, masks


with torch.inference_mode():
    MaskDetailerPipe().doit(*clip(2), pipe, **settings)
    images, masks = clip(count)
    if what == "seconds":
        torch.ones_like(images)
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what the C library holds of the clip before would hide what this one takes
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    made = MaskDetailerPipe().doit(images, masks, pipe, **settings)
    seconds = time.perf_counter() - started
output = sum(tensor.nbytes for tensor in (made[0], *made[1], *made[2]))
print(seconds / count if what == "seconds" else (highest_mark() - before - output) / 2**20)
"""


# Linux takes and clears memory page by page, in a virtual machine slowly at that: that is not the clip's cost. With
# these the C library keeps memory that was given back, so that the output goes where there has been something before.
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


def measured(count: int) -> tuple[float, float]:
    """Seconds a frame and megabytes at most, each from a run of its own."""

    def run(what: str, **variables: str) -> float:
        command = [sys.executable, "-c", CODE, str(count), what]
        folder = Path(__file__).parents[1]
        return float(subprocess.check_output(command, text=True, cwd=folder, env=os.environ | variables).split()[-1])

    return min(run("seconds", **KEPT) for _ in range(2)), run("megabytes")


def rows() -> Iterator[Row]:
    first = None
    for count in COUNTS:
        seconds, megabytes = measured(count)
        first = first or seconds
        yield Row(
            "a clip, 1920x1080, one mask a frame",
            f"{count} frames",
            f"{seconds * 1000:.0f} ms a frame",
            f"{megabytes:.0f} MB beside input and output",
            f"{seconds / first:.2f} of {COUNTS[0]} frames",
        )
