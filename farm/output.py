"""Files come into their places whole: written beside it under another name, synced, renamed, the folder synced."""

from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path, PurePosixPath


class Outputs:
    """Files below a folder, written by the farm with the name ``run``."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self._run = run

    def write(self, name: str, files: list[tuple[str, bytes]]) -> list[tuple[Path, Path]]:
        """Write an item's files, (suffix, content) each, without giving them their names: (part, place) for `place`.

        The first is called as the item, others with their number: ``cat.png``, ``cat.2.png``.
        """
        parts: list[tuple[Path, Path]] = []
        try:
            for number, (suffix, content) in enumerate(files, 1):
                place = self.folder / f"{name}{f'.{number}' if number > 1 else ''}{suffix}"
                place.parent.mkdir(parents=True, exist_ok=True)
                part = place.with_name(f".{place.name}.{self._run}.part")
                parts.append((part, place))
                with part.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            discard(parts)
            raise
        return parts

    def place(self, parts: list[tuple[Path, Path]]) -> list[tuple[str, int]]:
        """Give the files their names: (path below the folder, bytes)."""
        placed = []
        for part, place in parts:
            part.replace(place)
            placed.append((place.relative_to(self.folder).as_posix(), place.stat().st_size))
        for folder in {place.parent for _, place in parts}:
            sync_folder(folder)
        return placed

    def are_there(self, files: list[tuple[str, int]]) -> bool:
        """Whether these files are in their places, with their sizes."""
        try:
            return bool(files) and all((self.folder / name).stat().st_size == size for name, size in files)
        except OSError:
            return False

    def rename(self, name: str, old: str, files: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """An item's files get the names of another item: (path, bytes)."""
        moved = []
        for file, size in files:
            place = self.folder / (name + file.removeprefix(old))
            place.parent.mkdir(parents=True, exist_ok=True)
            (self.folder / file).replace(place)
            sync_folder(place.parent)
            moved.append((place.relative_to(self.folder).as_posix(), size))
        return moved

    def remove_parts_of(self, run: str, name: str) -> None:
        """What a farm that is gone had begun to write of an item."""
        path = PurePosixPath(name)
        folder = self.folder / path.parent
        for part in folder.glob(f".{glob.escape(path.name)}.*{run}.part"):
            part.unlink(missing_ok=True)


def discard(parts: list[tuple[Path, Path]]) -> None:
    for part, _ in parts:
        with contextlib.suppress(OSError):
            part.unlink()


def sync_folder(folder: Path) -> None:
    """So that a rename is on the disk; Windows has no such thing and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
