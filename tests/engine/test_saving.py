"""Save SEGS and Load SEGS: names that not every system can have, and files larger than memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import folder_paths
import pytest
from engine.running import segs_of
from mask_detailer.detailer import host
from mask_detailer.nodes.segs_files import LoadSEGS, SaveSEGS
from mask_detailer.nodes.validate import InputError

BOX = (16, 16, 32, 32)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "prefix",
    ["CON", "con/faces", "segs/NUL", "segs/nul.txt/a", "aux.faces", "COM1/x", "lpt9", "COM¹/a", "CONIN$/a", "PRN /a",
     "faces.", "segs. /a", "segs /a", "a\nb", "a\x1b[31m/b", "segs\\NUL\\a", "a\ud800"],
)  # fmt: skip
def test_names_that_not_every_system_can_have_are_refused(output: Path, prefix: str) -> None:
    with pytest.raises(InputError, match="input 'filename_prefix'") as raised:
        SaveSEGS().doit(segs_of(BOX), prefix)
    assert str(raised.value).isprintable()
    assert not list(output.iterdir())


@pytest.mark.parametrize(
    "prefix", ["segs/console", "nullify", "COM10/x", "COM/a", "a.b/c d", "Gesicht-ä/顔", "./segs/x"]
)
def test_names_like_them_are_taken(output: Path, prefix: str) -> None:
    (shown,) = SaveSEGS().doit(segs_of(BOX), prefix)["ui"]["files"]
    assert (output / shown["subfolder"] / shown["filename"]).is_file()


def test_many_at_once_lose_nothing(output: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [*pool.map(lambda _: SaveSEGS().doit(segs_of(BOX), "segs/a")["ui"]["text"][0], range(24))]
    assert len(set(made)) == 24
    assert sorted(path.relative_to(output).as_posix() for path in (output / "segs").iterdir()) == sorted(made)


def test_a_file_that_does_not_fit_into_memory_is_not_read(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = SaveSEGS().doit(segs_of(BOX), "segs/a")["ui"]["text"]
    assert LoadSEGS().doit(f"{name} [output]")
    monkeypatch.setattr(host.devices, "free_system_memory", lambda: 100)
    with pytest.raises(InputError, match=r"only 100 bytes of memory are free\. Close other programs"):
        LoadSEGS().doit(f"{name} [output]")
