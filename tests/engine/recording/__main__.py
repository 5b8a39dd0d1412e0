"""Record what the nodes make, and compare two recordings. See the package's text."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

if Path(sys.path[0]).resolve() == Path.cwd():
    del sys.path[0]  # python -m puts it there, and our folder ``nodes`` would stand in for ComfyUI's module

from support.comfy_on_cpu import use_cpu

DATA = Path(__file__).parents[2] / "data" / "recording.npz"
WORDS = ("log: ", "progress")  # what a user reads, in contrast to what a node gives


def record(to: Path, keep: Path | None, only: str) -> int:
    use_cpu()
    import comfy.utils
    import torch
    from engine.recording.all_runs import RUNS
    from engine.recording.kept import recorded

    comfy.utils.set_progress_bar_enabled(False)
    started = time.monotonic()
    runs = {}
    for name, run in RUNS.items():
        if only not in name:
            continue
        runs[name], arrays = recorded(run)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            np.savez(keep / f"{name.replace('/', '__')}.npz", **arrays)  # type: ignore[arg-type]
    to.write_text(json.dumps({"torch": torch.__version__, "only": only, "runs": runs}, indent=1))
    errors = [
        f"{name}: {entry['outputs']['error']['value']}"
        for name, entry in runs.items()
        if "error" in entry["outputs"] and not name.startswith("bad/")
    ]
    print(*errors, sep="\n")
    tensors = sum("sha256" in output for entry in runs.values() for output in entry["outputs"].values())
    seconds = time.monotonic() - started
    print(f"{len(runs)} runs, {tensors} tensors, {len(errors)} unexpected errors, {seconds:.0f} s")
    return 1 if errors else 0


def write(to: Path) -> int:
    """The few runs that a test repeats, as its data file."""
    use_cpu()
    import comfy.utils
    from engine.recording.few import pictures

    comfy.utils.set_progress_bar_enabled(False)
    kept = pictures()
    np.savez_compressed(to, **kept)  # type: ignore[arg-type]
    print(f"{to}: {len(kept)} pictures, {to.stat().st_size / 1e6:.2f} MB")
    return 0


def compare(before: Path, after: Path, kept: list[Path] | None, pictures_alone: bool) -> int:
    from engine.recording.compared import differences

    recordings = [json.loads(path.read_text()) for path in (before, after)]
    one, other = (
        {name: run for name, run in recording["runs"].items() if all(each["only"] in name for each in recordings)}
        for recording in recordings
    )
    found = differences(one, other)
    words_alone = {name for name, what in found.items() if all(line.startswith(WORDS) for line in what)}
    for name, what in found.items():
        if pictures_alone and name in words_alone:
            continue
        print(f"{name}")
        for line in what[:20]:
            print(f"    {line}")
        if len(what) > 20:
            print(f"    and {len(what) - 20} more")
        if kept:
            _print_largest(name, *kept)
    differing = len(found) - len(words_alone)
    print(f"{len(one)} runs: {differing} differ in what they give, {len(words_alone)} in log or progress alone")
    return 1 if differing or (words_alone and not pictures_alone) else 0


def _print_largest(name: str, before: Path, after: Path) -> None:
    """How far apart the tensors are that a run kept."""
    files = [folder / f"{name.replace('/', '__')}.npz" for folder in (before, after)]
    if not all(file.is_file() for file in files):
        return
    with np.load(files[0]) as one, np.load(files[1]) as other:
        for path in one.files:
            if path in other.files and one[path].shape == other[path].shape and one[path].size:
                largest = float(np.abs(one[path] - other[path]).max())
                if largest > 0:
                    print(f"    {path}: at most {largest:.3g} apart")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.recording", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record", help="run all and write digests")
    one.add_argument("to", type=Path)
    one.add_argument("--keep", type=Path, help="a folder for the tensors themselves, an npz for each run")
    one.add_argument("--only", default="", help="only runs whose name has this in it")
    few = commands.add_parser("write", help="run the few that test_recording.py repeats, and write its data file")
    few.add_argument("to", type=Path, nargs="?", default=DATA)
    two = commands.add_parser("compare", help="say which runs and outputs differ; 1 if any does")
    two.add_argument("before", type=Path)
    two.add_argument("after", type=Path)
    two.add_argument("--kept", type=Path, nargs=2, help="their folders of tensors: how far they are apart")
    two.add_argument("--outputs", action="store_true", help="runs that differ in log or progress alone don't count")
    given = parser.parse_args()
    if given.command == "compare":
        return compare(given.before, given.after, given.kept, given.outputs)
    if given.command == "write":
        return write(given.to)
    return record(given.to, given.keep, given.only)


if __name__ == "__main__":
    sys.exit(main())
