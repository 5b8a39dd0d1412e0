"""What a model's file is, for items' keys: its content where the file can be reached, else its size as a server says.

A file's time says nothing: the same model copied to another machine has another. Content hashes are kept in the ledger
by path, size and time, so that a model is read once.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from .job import Job

logger = logging.getLogger("mask_detailer.farm")
PIECE = 1 << 22


class Kept(Protocol):
    """Where hashes are kept."""

    def kept_digest(self, path: Path, size: int, time_ns: int) -> str | None: ...
    def keep_digest(self, path: Path, size: int, time_ns: int, digest: str) -> None: ...


class Models:
    """Identities of models by the names that graphs call them by."""

    def __init__(self, job: Job, kept: Kept, server_sizes: dict[str, int]) -> None:
        self._folders = [folder for base in (job.comfyui.base, job.comfyui.path) if base for folder in _below(base)]
        self._kept = kept
        self._sizes = server_sizes
        self._known: dict[str, str] = {}

    def identity(self, name: str) -> str:
        """``content:hash``, ``size:bytes``, or ``name`` alone for a file that nobody can tell anything of."""
        if name not in self._known:
            self._known[name] = self._look(name)
        return self._known[name]

    def _look(self, name: str) -> str:
        for folder in self._folders:
            file = folder / name
            if file.is_file():
                return f"content:{self._digest(file)}"
        if name in self._sizes:
            return f"size:{self._sizes[name]}"
        logger.warning("the model %s can't be looked at from here: a change of it will not be noticed", name)
        return "name"

    def _digest(self, file: Path) -> str:
        stat = file.stat()
        found = self._kept.kept_digest(file, stat.st_size, stat.st_mtime_ns)
        if found is None:
            hashed = hashlib.blake2b(digest_size=16)
            with file.open("rb") as data:
                while piece := data.read(PIECE):
                    hashed.update(piece)
            found = hashed.hexdigest()
            self._kept.keep_digest(file, stat.st_size, stat.st_mtime_ns, found)
        return found


def _below(base: Path) -> Iterable[Path]:
    models = base / "models"
    return sorted(one for one in models.iterdir() if one.is_dir()) if models.is_dir() else []
