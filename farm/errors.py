"""What goes wrong and a user can act on."""

from __future__ import annotations

import errno
import sqlite3

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class FarmError(Exception):
    """Its text is the one sentence that the user sees."""


class DiskFullError(FarmError):
    """No room for an output or for the ledger: what is not done stays planned."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of the system or of SQLite says that there is no room."""
    if isinstance(error, sqlite3.Error):
        return "full" in str(error) or "disk I/O" in str(error)
    return isinstance(error, OSError) and error.errno in FULL


def says_disk_full(text: str) -> bool:
    """Whether what a server said of an item means that its disk is full."""
    return "no space left" in text.lower() or "errno 28" in text.lower() or "disk quota exceeded" in text.lower()
