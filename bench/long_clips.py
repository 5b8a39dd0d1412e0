"""Long clips: what a frame costs with MaskDetailer (clip), and how much memory beside what comes in and goes out.

    python dev.py bench long_clips [FRAMES]

What comes in and what goes out is in files that the system maps, so that a thousand frames need no memory of their own;
what is counted is memory that no file is behind. Every clip shows the same: a part that swings to and fro, by less than
three pixels a frame, and all of it again after a hundred frames.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tables import print_table

CASES = ((540, 960, (10, 100, 1000)), (1080, 1920, (10, 100, 1000)))
FRAMES_AT_ONCE = 5  # of which all counts are multiples

# in a process of its own, whose memory is this run's alone
CODE = """
import ctypes
import sys
import tempfile
import threading
import time
from pathlib import Path

from support.comfy_on_cpu import use_cpu

use_cpu()
import comfy.utils
import cv2
import numpy as np
import torch
from engine.running import SMALL
from engine.tiny_models import picture, unet_pipe
from mask_detailer.detailer.clips import pictures
from mask_detailer.detailer.options import ColourOptions, DetailOptions
from mask_detailer.nodes.clips import MaskDetailerClip

comfy.utils.set_progress_bar_enabled(False)
height, width, count, at_once = map(int, sys.argv[2:])
side = height // 5
settings = {name: value for name, value in SMALL.items() if name != "batch_size"} | dict(
    guide_size=128.0, max_size=512.0, feather=5, crop_batch=at_once, steps=1, smoothing=1.0, gap=4, fade=0,
    cut_threshold=0.18, span=81, overlap=16,
)
if sys.argv[1] == "matched":
    settings["detail_options"] = DetailOptions(colour=ColourOptions("covariance"), drift="correct", detail="match")
pipe = unet_pipe()


def held():  # memory that no file is behind, in bytes
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) * 1024


class Highest(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.ends = 0, threading.Event()

    def run(self):
        while not self.ends.wait(0.02):
            self.most = max(self.most, held())


def textured(rows, columns, seed):
    fine = cv2.GaussianBlur(np.random.default_rng(seed).random((rows, columns, 3), np.float32), (0, 0), 2.0)
    return np.clip(picture(rows, columns, seed)[0].numpy() + 1.5 * (fine - 0.5), 0.0, 1.0)


AGAIN = 100  # frames after which a clip shows the same: a whole number of the system's pages
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
READ_AND_WRITE, SHARED, FIXED, PRIVATE, NOWHERE = 3, 0x01, 0x10, 0x02, 0x20
in_files = set()


def repeated(path, shape):  # a file's frames over and over, as one array
    with open(path, "r+b") as file:
        size = Path(path).stat().st_size
        rounds = -(-shape[0] // AGAIN)
        start = libc.mmap(None, size * rounds, 0, PRIVATE | NOWHERE, -1, 0)
        for one in range(rounds):
            at = libc.mmap(start + one * size, size, READ_AND_WRITE, SHARED | FIXED, file.fileno(), 0)
            assert at == start + one * size, ctypes.get_errno()
    floats = (ctypes.c_float * int(np.prod(shape))).from_address(start)
    return torch.from_numpy(np.ctypeslib.as_array(floats).reshape(shape))


def clip(folder, frames):
    ground, part = textured(height, width, 1), textured(side, side, 2)
    drawn = min(frames, AGAIN)
    paths = Path(folder, f"images{frames}"), Path(folder, f"masks{frames}")
    images = np.memmap(paths[0], np.float32, "w+", shape=(drawn, height, width, 3))
    masks = np.memmap(paths[1], np.float32, "w+", shape=(drawn, height, width))
    for frame in range(drawn):
        swing = 2 * np.pi * frame / 50
        x, y = width / 2 + side / 8 * np.sin(swing), height / 2 + side / 16 * np.sin(2 * swing)
        place = np.array([[1, 0, x - side / 2], [0, 1, y - side / 2]])
        cover = cv2.warpAffine(np.ones((side, side), np.float32), place, (width, height))
        moved = cv2.warpAffine(part, place, (width, height), flags=cv2.INTER_CUBIC)
        images[frame] = np.clip(ground * (1 - cover[..., None]) + moved * cover[..., None], 0.0, 1.0)
        masks[frame] = cover > 0.5
    return repeated(paths[0], (frames, height, width, 3)), repeated(paths[1], (frames, height, width))


class WithFiles:  # torch for the module that makes room for a window's pictures: that room is in files
    def __init__(self, folder):
        self.folder = folder

    def __getattr__(self, name):
        return getattr(torch, name)

    def empty(self, shape, **how):
        with tempfile.TemporaryFile(dir=self.folder) as file:
            values = torch.from_numpy(np.memmap(file, np.float32, "w+", shape=tuple(shape)))
        in_files.add(values.data_ptr())
        return values


def file_behind(folder):  # what goes out: the copy of the clip, and the windows
    pictures.torch, copied = WithFiles(folder), torch.Tensor.to

    def to(tensor, *where, copy=False, **how):
        if not copy or tensor.ndim != 4 or len(tensor) != count:
            return copied(tensor, *where, copy=copy, **how)
        values = pictures.torch.empty(tensor.shape)
        for frame in range(len(tensor)):
            values[frame] = tensor[frame]
        return values

    torch.Tensor.to = to


with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
    images, masks = clip(folder, 6)
    MaskDetailerClip().doit(images, pipe, mask=masks, **settings)
    images, masks = clip(folder, count)
    file_behind(folder)
    libc.malloc_trim(0)
    before, highest = held(), Highest()
    highest.start()
    started = time.thread_time()
    made = MaskDetailerClip().doit(images, pipe, mask=masks, **settings)
    seconds = time.thread_time() - started
    highest.ends.set()
    assert made[4].count("part ") == 1 and f"frames 1-{count}," in made[4] and "moves" in made[4], made[4]
outputs = (made[0], *made[1], *made[2], made[3])
output = sum(tensor.nbytes for tensor in outputs if tensor.data_ptr() not in in_files)
print(seconds / count, (highest.most - before - output) / 2**20)
"""

# what the C library holds of memory that was given back is no clip's: with these it holds almost none
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**17), "MALLOC_TRIM_THRESHOLD_": str(2**17), "MALLOC_ARENA_MAX": "2"}


def measured(how: str, height: int, width: int, count: int) -> tuple[float, float]:
    """Seconds of one processor core a frame, and megabytes."""
    command = [sys.executable, "-c", CODE, how, *map(str, (height, width, count, FRAMES_AT_ONCE))]
    folder = Path(__file__).parents[1]
    seconds, megabytes = subprocess.check_output(command, text=True, cwd=folder, env=os.environ | GIVEN_BACK).split()[
        -2:
    ]
    return float(seconds), float(megabytes)


def run() -> None:
    only = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    rows = []
    for height, width, counts in CASES:
        for how in ("plain", "matched"):
            first: tuple[float, float] | None = None
            for count in only or counts:
                seconds, megabytes = measured(how, height, width, count)
                first = first or (seconds, megabytes)
                rows.append([
                    f"{width}x{height}{', colour, drift and grain corrected' if how == 'matched' else ''}",
                    str(count),
                    f"{seconds * 1000:.0f} ms",
                    f"{seconds / first[0]:.2f}",
                    f"{megabytes:.0f} MB",
                    f"{megabytes / first[1]:.2f}",
                ])  # fmt: skip
    print_table(
        "MaskDetailer (clip), a small image model, one part in all frames",
        ["frames of", "how many", "one core for a frame", "of the first", "beside input and output", "of the first"],
        rows,
    )
