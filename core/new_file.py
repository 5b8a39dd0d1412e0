"""Files that are whole or not there, and nobody else's: written under a name nobody looks for, named when done."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from types import TracebackType


class NewFile:
    """A place in a folder to write to; what gets no name is gone afterwards.

    Attributes:
        path: where to write.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f".{uuid.uuid4().hex}.part"

    def __enter__(self) -> NewFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()

    def named(self, path: Path) -> bool:
        """Give the file its name, in one step in which no other file can get it; False where another has it.

        Args:
            path: in the same folder.

        Raises:
            OSError: where it can't be named.
        """
        try:
            os.link(self.path, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links: the name is taken by an empty file, for a moment
            try:
                path.open("xb").close()
            except FileExistsError:
                return False
            try:
                self.path.replace(path)
            except OSError:
                path.unlink()
                raise
        return True
