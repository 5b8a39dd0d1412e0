"""A clip streaming through: what a frame costs, and how much memory beside what comes in and goes out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tables import Row

COUNTS = (10, 100)

# in a process of its own, whose highest mark of memory is this run's alone
CODE = """
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

try:
    import resource
except ImportError:  # Windows
    resource = None

comfy.utils.set_progress_bar_enabled(False)
count, size = int(sys.argv[1]), (1080, 1920)
settings = SMALL | {"guide_size": 192.0, "max_size": 512.0, "feather": 5, "noise_mask_feather": 20, "crop_batch": 0}
pipe = unet_pipe()


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
    process = psutil.Process()
    before = process.memory_info().rss
    started = time.perf_counter()
    made = MaskDetailerPipe().doit(images, masks, pipe, **settings)
    seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if resource else process.memory_info().peak_wset
output = sum(tensor.nbytes for tensor in (made[0], *made[1], *made[2]))
print(seconds / count, (peak - before - output) / 2**20)
"""


def measured(count: int) -> tuple[float, float]:
    """Seconds a frame and megabytes at most, the better time of two runs."""
    command = [sys.executable, "-c", CODE, str(count)]
    said = [subprocess.check_output(command, text=True, cwd=Path(__file__).parents[1]).split()[-2:] for _ in range(2)]
    seconds, megabytes = zip(*said, strict=True)
    return min(map(float, seconds)), max(map(float, megabytes))


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
