"""Run ComfyUI's main.py, and end when the process that started us is gone, however it went.

    python child.py COMFYUI_FOLDER [ComfyUI's arguments]

The starter holds the other end of our standard input: it closes with the starter, and then nobody would stop us.
"""

import os
import runpy
import sys
import threading
from pathlib import Path


def _end_with_starter() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sys.path[0] = str(folder)
    sys.argv = [str(folder / "main.py"), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")
