"""Run the benchmarks named as arguments; without any, those of speed, as one table. A number is for `quality`,
`residual`, `kernels`, `clip` and `long_clips`, a folder of saved workflows for `wild`, `wild_runs` and
`old_files`.

With `--json FILE` the tables are kept in a JSON file too, in place of those that it has of the same benchmarks;
docs/benchmarks.json is such a file.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from pathlib import Path

SPEED = ("imports", "masks", "overhead", "together", "frames")
OWN_TABLES = (
    "quality", "residual", "kernels", "clip", "long_clips", "gpu", "contact_sheet", "wild", "wild_runs", "old_files",
    "ledger", "strip",
)  # fmt: skip


def main() -> int:
    sys.path.insert(0, str(Path(__file__).parent))
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join((*SPEED, *OWN_TABLES)))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the tables there too")
    arguments = parser.parse_args()
    known = {*SPEED, *OWN_TABLES}
    names = [name for name in arguments.names if name in known or not _is_for_one(name)] or SPEED
    unknown = set(names) - known
    if unknown:
        print(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join((*SPEED, *OWN_TABLES))}", file=sys.stderr
        )
        return 2
    if arguments.json and 0 < len(set(names) & {*SPEED}) < len(SPEED):
        parser.error(f"the table of speed is kept as a whole: leave out {', '.join(set(names) & {*SPEED})}")
    os.environ["MASK_DETAILER_MEMORY_MIB"] = "0"  # what is measured is made each time
    if "gpu" not in names:
        from support.comfy_on_cpu import use_cpu

        use_cpu()
    import comfy.utils
    from tables import keep, print_rows, printed

    comfy.utils.set_progress_bar_enabled(False)
    logging.disable(logging.INFO)
    speed = [row for name in names if name in SPEED for row in importlib.import_module(name).rows()]
    found = {}
    if speed:
        print_rows(speed)
        found["speed"] = printed()
    for name in names:
        if name in OWN_TABLES:
            importlib.import_module(name).run()
            found[name] = printed()
    if arguments.json:
        keep(arguments.json, found)
    return 0


def _is_for_one(argument: str) -> bool:
    """Whether it is no benchmark's name, but what one of them is to use."""
    return argument.isdecimal() or Path(argument).is_dir()


sys.exit(main())
