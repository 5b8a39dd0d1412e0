"""Run ComfyUI's main.py, and end when the process that started us is gone, however it went.

    python server_child.py COMFYUI_FOLDER [ComfyUI's arguments]

The starter holds the other end of our standard input: when that closes, nobody is left to stop us.
"""

import os
import runpy
import sys
import threading
from pathlib import Path


def end_with_starter() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    comfyui = Path(sys.argv[1])
    threading.Thread(target=end_with_starter, daemon=True).start()
    sys.path[0] = str(comfyui)
    sys.argv = [str(comfyui / "main.py"), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
