"""What importing the pack adds to ComfyUI's start, once torch and numpy are there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from tables import Row, milliseconds

LIMIT = 0.150
CODE = """
import gc, time, torch, numpy
gc.freeze()  # else the collector may walk over all that torch made, once, in our time
started = time.perf_counter()
import mask_detailer
print(time.perf_counter() - started)
"""


def rows() -> Iterator[Row]:
    kept = {name: said for name, said in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as ComfyUI starts
    best = min(float(subprocess.check_output([sys.executable, "-c", CODE], text=True, env=kept)) for _ in range(5))
    limit = f"limit {milliseconds(LIMIT)}"
    yield Row("import of the pack", "after torch and numpy", milliseconds(best), limit, f"{best / LIMIT:.2f}")
