"""Whether the farm that leased an item still lives: on this machine by a lock that the system frees with its process,
elsewhere by a count that goes up while it works. No clock is compared with another one.
"""

from __future__ import annotations

import os
import socket
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO


def this_machine() -> str:
    """A name of this machine since it was started."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{socket.gethostname()}/{boot.read_text().strip()}"
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode():x}"


def _lock(file: IO[bytes]) -> bool:
    """Lock it, unless somebody else has: False."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@dataclass
class Life:
    """Our own lock, held until `end` or the end of this process."""

    run: str
    file: IO[bytes]
    path: Path

    def end(self) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)


def live(folder: Path) -> Life:
    """Begin a life below ``folder``, with a new name."""
    folder.mkdir(parents=True, exist_ok=True)
    run = uuid.uuid4().hex[:12]
    path = folder / f"{run}.lock"
    file = path.open("wb")
    _lock(file)
    os.set_inheritable(file.fileno(), False)
    return Life(run, file, path)


def is_dead(folder: Path, run: str) -> bool:
    """Whether a farm that ran on this machine is gone."""
    path = folder / f"{run}.lock"
    try:
        with path.open("r+b") as file:
            return _lock(file)
    except FileNotFoundError:
        return True
    except OSError:
        return False
