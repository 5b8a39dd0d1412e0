"""ComfyUI's page of a later release than the one that the tested ComfyUI brings, for its `--front-end-root`."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from support.package_files import FOLDER, WHEEL, Package

NEWEST = Package(
    "comfyui-frontend-package",
    "1.58.1",
    "37912597537a731a8f421179618a736c24184c5bdbfa327f38b2fb7c291852d9",
    (),
    WHEEL,
)
_INSIDE = "comfyui_frontend_package/static/"
_NOT_NEEDED = ".map"


def newest() -> Path:
    """The folder of its files, fetched where it isn't there yet.

    Raises:
        RuntimeError: if pip can't fetch it.
    """
    into = FOLDER / f"{NEWEST.name}-{NEWEST.version}"
    if into.is_dir():
        return into / _INSIDE
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="fetching-") as work:
        files = Path(work) / "files"
        with zipfile.ZipFile(NEWEST.archive(Path(work))) as archive:
            names = [name for name in archive.namelist() if name.startswith(_INSIDE)]
            archive.extractall(files, [name for name in names if not name.endswith(_NOT_NEEDED)])
        try:
            files.rename(into)
        except OSError:
            if not into.is_dir():  # else another worker was quicker
                raise
    return into / _INSIDE
