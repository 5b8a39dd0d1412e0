"""Run the benchmarks named as arguments; without any, those of speed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

NAMES = ("imports", "masks", "overhead", "quality")


def main() -> int:
    sys.path.insert(0, str(Path(__file__).parent))
    from support.comfy_on_cpu import use_cpu

    use_cpu()
    names = sys.argv[1:] or NAMES[:3]
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in names:
        importlib.import_module(name).run()
    return 0


sys.exit(main())
