"""How the farm's planning, status and ledger grow with the number of items: 1,000, 10,000 and 100,000.

Pictures and masks are real files, links to some hundred contents; no server is there, items are done at once. So what
is measured is what the farm itself takes: planning reads every file, an item is leased, its file written, synced, named
and marked. Each size runs in a process of its own, whose largest memory is told.
"""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

SIZES = (1_000, 10_000, 100_000)
CONTENTS, WORKED = 200, 2_000
NODE = {"input": {"required": {}}, "output": ["IMAGE", "MASK"], "python_module": "nodes"}
INFO = {
    "LoadImage": NODE | {"input": {"required": {"image": [["a.png"], {}]}}},
    "LoadImageMask": NODE | {"input": {"required": {"image": [["a.png"], {}]}}},
    "SaveImage": NODE | {"input": {"required": {"images": ["IMAGE", {}]}}, "output_node": True},
}
PROMPT = {
    "picture": {"class_type": "LoadImage", "inputs": {"image": ""}},
    "mask": {"class_type": "LoadImageMask", "inputs": {"image": ""}},
    "result": {"class_type": "SaveImage", "inputs": {"images": ["picture", 0]}},
}
JOB = """
output = "done"
[pictures]
files = "pictures/*/*.png"
[masks]
source = "files"
pattern = "masks/{folder}/{stem}.png"
[workflow]
file = "workflow.json"
"""


def run() -> None:
    """Print the table."""
    from tables import print_table

    rows = []
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="farm-bench-") as folder:
            said = subprocess.run(
                [sys.executable, "-P", __file__, folder, str(size)], capture_output=True, text=True, check=True
            )
            rows.append([f"{size:,}", *json.loads(said.stdout.splitlines()[-1])])
    head = [
        "items",
        "first plan",
        "planned again",
        "status",
        "status + worst",
        "ledger an item",
        "file an item",
        "largest memory",
    ]
    print_table("The farm's own part: planning, status and ledger", head, rows)


def _png(number: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((number * 7 + x) % 256 for x in range(64 * 3)) for _ in range(64))
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _write(folder: Path, size: int) -> Path:
    """A job of so many items: hard links to some contents, a thousand a folder."""
    contents = folder / "contents"
    contents.mkdir()
    for number in range(CONTENTS):
        (contents / f"{number}.png").write_bytes(_png(number))
    for number in range(size):
        for kind in ("pictures", "masks"):
            place = folder / kind / f"{number // 1000:03d}" / f"{number:06d}.png"
            if number % 1000 == 0:
                place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to(contents / f"{number % CONTENTS}.png")
    (folder / "workflow.json").write_text(json.dumps(PROMPT))
    (folder / "job.toml").write_text(JOB)
    return folder / "job.toml"


def _measure(folder: Path, size: int) -> list[str]:
    sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]
    from support import farm_package  # noqa: F401

    from farm.job import load  # isort: skip
    from farm.ledger import open_ledger
    from farm.plan import COUNTS, found_items, graph_of, put
    from farm.runner import Run
    from farm.status import look
    from farm.task import AT_ONCE, Result, Task

    class AtOnce:
        """An executor whose items are done as they come."""

        def __init__(self) -> None:
            self._done: list[Result] = []
            self._given = 0

        def submit(self, task: Task, station: str) -> None:
            self._given += 1
            self._done.append(Result(task.name, task.attempt, station, "done", files=[(".png", b"x" * 1000)]))

        def results(self, seconds: float) -> list[Result]:
            found, self._done = self._done, []
            return found

        def stations(self) -> dict[str, int]:
            return {"here": 0 if self._given >= WORKED else AT_ONCE - len(self._done)}

        def facts(self) -> tuple[dict, dict]:
            return INFO, {}

        def cancel(self, name: str, station: str) -> None: ...
        def close(self) -> None: ...

    job = load(_write(folder, size))
    ledger = open_ledger(job.ledger)
    times = []
    for _ in range(2):
        started, cpu = time.perf_counter(), time.process_time()
        graph = graph_of(job)
        put(job, graph, ledger, found_items(job, graph, ledger), (INFO, {}))
        times.append(f"{time.perf_counter() - started:.1f} s ({time.process_time() - cpu:.1f} of CPU)")
    ledger.begin()
    working = Run(job, ledger, AtOnce())
    working.go(lambda: working.drain("measured") if working.counts.done >= min(WORKED, size) else None)
    started = time.perf_counter()
    ledger.rows(COUNTS)
    counted = time.perf_counter() - started
    started = time.perf_counter()
    look(ledger)
    looked = time.perf_counter() - started
    ledger.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = working.counts
    ledger_ms, files_ms = (1000 * seconds / counts.done for seconds in (counts.ledger_seconds, counts.files_seconds))
    return [
        *times, f"{1000 * counted:.0f} ms", f"{1000 * looked:.0f} ms",
        f"{ledger_ms:.2f} ms", f"{files_ms:.1f} ms", f"{memory:.0f} MB",
    ]  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), int(sys.argv[2]))))
