"""A Python with Ray, in `.env/ray`, installed once; FARM_RAY_PYTHON names another."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from support.server import CHECKOUT

EXTRA = "ray>=2.60"


@cache
def ray_python() -> Path:
    """Its Python; the test is skipped where it can't be installed."""
    if said := os.environ.get("FARM_RAY_PYTHON"):
        return Path(said)
    folder = CHECKOUT / ".env" / "ray"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "made").is_file():
        pip = [str(python), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", EXTRA]
        for command in ([sys.executable, "-I", "-m", "venv", "--clear", str(folder)], pip):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{EXTRA} can't be installed here: {done.stderr.strip().splitlines()[-1]}")
        (folder / "made").touch()
    return python
