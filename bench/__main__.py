"""Run the benchmarks named as arguments; without any, those of speed, as one table. A number is for `quality`."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path

SPEED = ("imports", "masks", "overhead", "together", "frames")
OWN_TABLES = ("quality", "gpu", "contact_sheet")


def main() -> int:
    sys.path.insert(0, str(Path(__file__).parent))
    names = [argument for argument in sys.argv[1:] if not argument.isdecimal()] or SPEED
    unknown = set(names) - {*SPEED, *OWN_TABLES}
    if unknown:
        print(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join((*SPEED, *OWN_TABLES))}", file=sys.stderr
        )
        return 2
    if "gpu" not in names:
        from support.comfy_on_cpu import use_cpu

        use_cpu()
    import comfy.utils
    from tables import print_rows

    comfy.utils.set_progress_bar_enabled(False)
    logging.disable(logging.INFO)
    speed = [row for name in names if name in SPEED for row in importlib.import_module(name).rows()]
    if speed:
        print_rows(speed)
    for name in names:
        if name in OWN_TABLES:
            importlib.import_module(name).run()
    return 0


sys.exit(main())
