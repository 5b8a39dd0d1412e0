"""What importing the pack adds to ComfyUI's start, once torch and numpy are there."""

from __future__ import annotations

import subprocess
import sys

from tables import milliseconds, print_table

CODE = """
import time, torch, numpy
started = time.perf_counter()
import mask_detailer
print(time.perf_counter() - started)
"""


def run() -> None:
    times = [float(subprocess.check_output([sys.executable, "-c", CODE], text=True)) for _ in range(5)]
    print_table("Importing the pack (limit 150 ms)", ["best of 5"], [[milliseconds(min(times))]])
