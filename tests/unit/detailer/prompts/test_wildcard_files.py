"""Wildcard lists in files: text and YAML, the first folder, broken and hostile files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mask_detailer.detailer import host
from mask_detailer.detailer.prompts.wildcard_files import MAX_FILE_BYTES, Wildcards, wildcard_folders
from mask_detailer.detailer.prompts.wildcards import expand
from support.timing import loops

MOST_LOOPS = 100  # see support.timing


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def made(name: str = "lists", **files: str | bytes) -> Path:
        for path, content in files.items():
            file = tmp_path / name / path.replace("__", "/").replace("_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return made


def read(*folders: Path) -> dict[str, tuple[str, ...]]:
    return {name: tuple(entries) for name, entries in Wildcards(folders).items()}


def test_text_files(folder: Callable[..., Path]) -> None:
    lists = folder(hair_txt="red\r\n\n# no\n  # no\n 2::dark  brown \nblue # all", Deep__My__Eyes_TXT="a")
    (lists / "My Own List.txt").write_text("b")
    (lists / "readme.md").write_text("c")
    assert read(lists) == {
        "hair": ("red", "2::dark  brown", "blue # all"),
        "deep/my/eyes": ("a",),
        "my-own-list": ("b",),
    }


def test_yaml_files(folder: Callable[..., Path]) -> None:
    text = """
Colours:
  Warm Ones: [red, "2::orange"]
  cold:
    - blue
    - no
    - 1.0
    - "{a|b}"
    - [nested]
single: entry
nothing:
empty: []
numbers: {1: [one]}
"""
    assert read(folder(any_yaml=text, sub__more_yml="sub: [x]")) == {
        "colours/warm-ones": ("red", "2::orange"), "colours/cold": ("blue", "no", "1.0", "{a|b}"),
        "single": ("entry",), "numbers/1": ("one",), "sub": ("x",),
    }  # fmt: skip


def test_the_first_folder_wins(folder: Callable[..., Path]) -> None:
    first, second = folder("first", a_txt="1"), folder("second", a_txt="2", b_txt="3", c_yaml="a: [4]\nd: [5]")
    assert read(first, second, first.parent / "absent") == {"a": ("1",), "b": ("3",), "d": ("5",)}


def test_text_files_are_read_when_asked_for_and_again_when_changed(folder: Callable[..., Path]) -> None:
    lists = folder(a_txt="one", b_txt="two")
    wildcards = Wildcards([lists])
    assert list(wildcards) == ["a", "b"]
    (lists / "a.txt").write_text("more")
    assert wildcards["a"] == ("more",)
    (lists / "a.txt").write_text("even more")
    os.utime(lists / "a.txt", ns=(1, 1))
    assert wildcards["a"] == ("even more",)
    (lists / "a.txt").unlink()
    assert wildcards["a"] == ()
    assert expand("__a__ __b__", 0, wildcards) == "__a__ two"


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} {{b: *a{i - 1}, c: *a{i - 1}}}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "bad",
    [
        "a: [b", "\t- x: y\n  z", "a: b: c", "!!python/object/apply:os.abort []", "a: &x\n  b: *x", BOMB, "[" * 100_000,
        "{a: " * 100_000, b"\xff\xfe\x00a", "a: \x00",
    ],
)  # fmt: skip
def test_bad_yaml_is_left_out_with_a_line(
    folder: Callable[..., Path], bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lists = folder(bad_yaml=bad, good_txt="x")
    assert loops(lambda: read(lists)) < MOST_LOOPS
    assert read(lists) == {"good": ("x",)}
    told = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(told) <= 1
    assert all("bad.yaml" in line and "\n" not in line for line in told)


def test_other_encodings(folder: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    lists = folder(a_txt="é".encode("latin-1"), b_txt=b"\xef\xbb\xbfx", c_txt="日本")
    assert read(lists) == {"a": ("é",), "b": ("x",), "c": ("日本",)}
    assert [record.getMessage().count("a.txt is not UTF-8") for record in caplog.records] == [1]


def test_too_large_files_are_left_out(folder: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    lists = folder(a_txt="x\n" * (MAX_FILE_BYTES // 2 + 1), b_txt="y")
    assert expand("__a__ __b__", 0, Wildcards([lists])) == "__a__ y"
    assert "a.txt is larger than 8 MB" in caplog.text


def test_names_are_no_paths(folder: Callable[..., Path]) -> None:
    lists = folder(a_txt="x")
    (lists.parent / "secret.txt").write_text("secret")
    for text in ("__../secret__", f"__{lists.parent.as_posix()}/secret__", "__..\\secret__", "__*secret*__"):
        assert expand(text, 0, Wildcards([lists])) == text


def test_links_in_a_circle(folder: Callable[..., Path]) -> None:
    lists = folder(sub__a_txt="x")
    try:
        (lists / "sub" / "again").symlink_to(lists, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    assert read(lists) == {"sub/a": ("x",)}


def test_where_they_lie(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (
        "registered",
        "base/wildcards",
        "mine",
        "packs/ComfyUI-Impact-Pack/wildcards",
        "packs/other/wildcards",
    ):
        root = folder(f"{name}", a_txt="x")
    base = root.parents[2]
    pack = base / "packs/ComfyUI-Impact-Pack"
    (pack / "impact-pack.ini").write_text(f"[default]\ncustom_wildcards = {base / 'mine'}\n")
    monkeypatch.setattr(
        host.folders, "registered_folders", lambda kind: [base / "absent", base / "registered"] * (kind == "wildcards")
    )
    monkeypatch.setattr(host.folders, "base_folder", lambda: base / "base")
    monkeypatch.setattr(host.folders, "pack_folders", lambda: sorted((base / "packs").glob("*")))
    found = [path.relative_to(base).as_posix() for path in wildcard_folders() if base in path.parents]
    assert found == ["registered", "base/wildcards", "mine", "packs/ComfyUI-Impact-Pack/wildcards"]
    (pack / "impact-pack.ini").write_text("no settings")
    assert base / "mine" not in wildcard_folders() and "can't be read" in caplog.text
