"""The browser of the browser tests: where it is, and with `python -m support.chromium` its installation."""

from __future__ import annotations

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The path of a Chromium, if there is one here."""
    return os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, NAMES)), None)


def bring() -> str | None:
    """Install Debian's; returns why that can't be."""
    if not shutil.which("apt-get") or os.geteuid() != 0:  # type: ignore[attr-defined]  # no apt-get on Windows
        return "only root can install one, and only with apt"
    variables = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=variables, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            return "".join(done.stderr.strip().splitlines()[-1:]) or f"apt-get {command[0]} failed"
    return None


if __name__ == "__main__":
    if find() is None:
        print("chromium: installing it for the browser tests ...", flush=True)
        if why := bring():
            print(f"chromium: the browser tests are skipped: {why}", flush=True)
