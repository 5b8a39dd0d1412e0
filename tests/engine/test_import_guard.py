"""What the pack takes from ComfyUI is there in the running release, and every call of it binds.

``comfy-import-guard`` reads both sides without running either, so that lines are seen that no other test reaches on
this release. It asks a git clone; here it is shown the folder that the tests run in, and more of it than ``comfy``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mask_detailer.detailer import host
from support.server import CHECKOUT, comfyui_folder

extract = pytest.importorskip("comfy_import_guard.extract", reason="comfy-import-guard is not installed")
report = pytest.importorskip("comfy_import_guard.report")
resolve = pytest.importorskip("comfy_import_guard.resolve")
signature = pytest.importorskip("comfy_import_guard.signature")

FLOORS = ("core", "segs", "detailer", "nodes")
# what older releases lack; the nodes that need it are not offered there
NEWER = {
    "comfy.ldm.rt_detr.rtdetr_v4": host.detection.has_rtdetr, "comfy_extras.nodes_rtdetr": host.detection.has_rtdetr,
    "comfy.ldm.sam3.detector": host.detection.has_sam3, "comfy_extras.nodes_sam3": host.detection.has_sam3,
}  # fmt: skip
HOSTS = {"comfy", "comfy_extras", "comfy_execution", "folder_paths", "latent_preview", "node_helpers", "execution"}


class Folder:
    """A ComfyUI folder, where the guard expects a clone of its repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_file(self, ref: str, path: str) -> str | None:
        file = self.path / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def is_dir(self, ref: str, path: str) -> bool:
        return (self.path / path).is_dir()


@pytest.fixture(autouse=True)
def all_of_comfyui(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(extract, "_is_comfy", lambda dotted: dotted.split(".")[0] in HOSTS)
    yield


def checked(folder: Path, comfyui: Path) -> dict[str, Any]:
    """What the guard says of the Python files below a folder."""
    resolver = resolve.Resolver(Folder(comfyui), "this release")
    return report.check_pack(resolver, folder.name, str(folder), sig=signature.SignatureResolver(resolver))


@pytest.mark.parametrize("floor", FLOORS)
def test_all_that_the_pack_takes_is_there(floor: str) -> None:
    said = checked(CHECKOUT / floor, comfyui_folder())
    assert said["python_files"]
    assert not said["unparseable"]
    found = [
        f"{floor}/{row['file']}:{row['line']}: {row['dotted']}: {row['detail'] or row['status']}"
        for kind in ("breaking", "soft", "signature_drift", "unresolvable")
        for row in said[kind]
        if NEWER.get(row["module"], lambda: True)()
    ]
    assert not found, "\n".join(found)
    assert (said["references"] > 0) == (floor in ("detailer",)), said["references"]


def test_what_is_gone_or_called_wrongly_is_found(tmp_path: Path) -> None:
    """The guard itself, on a pack that breaks."""
    (tmp_path / "node.py").write_text(
        "import comfy.sample\nimport folder_paths\nfrom comfy.samplers import no_such_sampler\n"
        "comfy.sample.prepare_noise(1, 2, 3, 4, 5)\nfolder_paths.no_such_folder('x')\n"
    )
    said = checked(tmp_path, comfyui_folder())
    assert [(row["dotted"], row["line"]) for row in said["breaking"]] == [
        ("comfy.samplers.no_such_sampler", 3), ("folder_paths.no_such_folder", 5), ("comfy.sample.prepare_noise", 4),
    ]  # fmt: skip
