"""What dev.py does about bad archives, interrupted runs and failing tools; nothing here touches the network."""

from __future__ import annotations

import importlib.util
import io
import multiprocessing
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DEV = Path(__file__).resolve().parents[2] / "dev.py"


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """dev.py as a module, with an empty folder in place of `.env/`."""
    spec = importlib.util.spec_from_file_location("dev", DEV)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dev", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ENV", tmp_path / "env")
    monkeypatch.setattr(module, "LINK", tmp_path / "env" / "link" / "mask_detailer")
    (tmp_path / "env").mkdir()
    return module


def archive(path: Path, members: dict[str, str | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_unpacking_takes_only_comfyuis_files(dev: ModuleType, tmp_path: Path) -> None:
    link = tarfile.TarInfo("pkg-1/vendor/ComfyUI/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    packed = archive(
        tmp_path / "a.tar.gz",
        {
            "pkg-1/vendor/ComfyUI/main.py": "main",
            "pkg-1/vendor/ComfyUI/comfy/x.py": "x",
            "pkg-1/setup.py": "not ours",
            "pkg-1/vendor/other/y.py": "not ours",
            "link": link,
        },
    )
    into = tmp_path / "comfyui" / "1.0"
    into.parent.mkdir()
    dev.unpack_comfyui(packed, into)
    assert files_below(into.parent) == ["1.0/comfy/x.py", "1.0/main.py"]


@pytest.mark.parametrize("name", ["../../../outside.py", "a/../../outside.py", "C:outside.py", "..\\outside.py"])
def test_a_path_that_leads_outside_is_refused(dev: ModuleType, tmp_path: Path, name: str) -> None:
    members = {"pkg-1/vendor/ComfyUI/main.py": "main", f"pkg-1/vendor/ComfyUI/{name}": "evil"}
    packed = archive(tmp_path / "a.tar.gz", dict(members))
    into = tmp_path / "comfyui" / "1.0"
    into.parent.mkdir()
    with pytest.raises(dev.DevError, match="leads outside"):
        dev.unpack_comfyui(packed, into)
    assert files_below(into.parent) == []


def test_an_archive_without_comfyui_is_refused(dev: ModuleType, tmp_path: Path) -> None:
    packed = archive(tmp_path / "a.tar.gz", {"pkg-1/setup.py": "x"})
    with pytest.raises(dev.DevError, match=r"no vendor/ComfyUI/main\.py"):
        dev.unpack_comfyui(packed, tmp_path / "1.0")
    assert not (tmp_path / "1.0").exists()


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "sha256"),
        ("Could not find a version that satisfies x (from versions: none)", "can't be reached"),
        ("error: Failed to fetch: `x`\n  Caused by: dns error", "can't be reached"),
        ("The virtual environment was not created because ensurepip is not available.", "python3-venv"),
        ("first\n\n  error: no solution found  \n\n", "error: no solution found"),
        ("", "it said nothing"),
    ],
)
def test_causes_in_one_line(dev: ModuleType, output: str, cause: str) -> None:
    said = dev.explain(output)
    assert cause in said and "\n" not in said


def test_a_failing_step_says_why(dev: ModuleType) -> None:
    script = "print('some detail'); print('OSError: [Errno 28] No space left on device'); raise SystemExit(3)"
    with (
        dev.only_one() as holding,
        pytest.raises(dev.DevError, match=r"^fetching it failed: the disk is full.*setup\.log\)$"),
    ):
        dev.setup_step("fetching it", [sys.executable, "-c", script], holding)
    assert "some detail" in (dev.ENV / "setup.log").read_text()


def test_an_interrupted_installation_is_made_anew(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def pretend(what: str, command: list[Any], holding: int) -> None:
        steps.append(what)
        if "-m" in command and "venv" in command:
            venv.python.parent.mkdir(parents=True)
            venv.python.touch()
        if "PyTorch" in what and len(steps) < 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(dev, "setup_step", pretend)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    venv = dev.VirtualEnvironment(dev.ENV / "venv")
    venv.make_tools(0)
    with pytest.raises(KeyboardInterrupt):
        venv.install("wanted", [], 0)
    assert not venv.has_packages("wanted") and not venv.has_tools()
    leftover = venv.folder / "half a package"
    leftover.touch()
    venv.make_tools(0)
    venv.install("wanted", [], 0)
    assert venv.has_packages("wanted") and not venv.has_packages("something else")
    assert not leftover.exists()


def test_the_link_is_put_right(dev: ModuleType, tmp_path: Path) -> None:
    dev.link_pack()
    assert dev.LINK.resolve() == dev.ROOT
    dev.LINK.unlink()
    (tmp_path / "moved").mkdir()
    dev.LINK.symlink_to(tmp_path / "moved", target_is_directory=True)
    dev.link_pack()
    assert dev.LINK.resolve() == dev.ROOT
    dev.LINK.unlink()
    dev.LINK.symlink_to(tmp_path / "gone")
    dev.link_pack()
    assert dev.LINK.resolve() == dev.ROOT


def _hold(lock: Path, held: Any, let_go: Any) -> None:
    import fcntl

    with lock.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        let_go.wait(30)


@pytest.mark.skipif(sys.platform == "win32", reason="holds the lock with fcntl")
def test_two_at_once_wait_for_each_other(dev: ModuleType) -> None:
    context = multiprocessing.get_context("fork")
    held, let_go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(dev.ENV / "lock", held, let_go))
    other.start()
    assert held.wait(30)
    with (dev.ENV / "lock").open("a+b") as file:
        assert not dev._try_lock(file.fileno())
    let_go.set()
    with dev.only_one():
        pass
    other.join(30)


def run_dev(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEV), *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_comfyui_path_is_one_line(tmp_path: Path) -> None:
    done = run_dev("demo", COMFYUI_PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"dev.py: COMFYUI_PATH is {tmp_path}, which has no main.py; set it to a ComfyUI folder or unset it\n"
    )


def test_arguments_go_to_pytest_as_they_are() -> None:
    done = run_dev("test", "--collect-only", "-q", "-k", "causes and not step", str(Path(__file__)))
    assert done.returncode == 0, done.stderr
    assert "test_causes_in_one_line" in done.stdout and "test_a_failing_step" not in done.stdout


@pytest.mark.parametrize("broken", [None, "0.24.0"])
@pytest.mark.parametrize("given", [[], ["-k", "one"]])
def test_all_releases(
    dev: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    broken: str | None,
) -> None:
    """Each in its turn, also after one that failed; without arguments lint and the like once, on the newest."""
    ran: dict[str, list[str]] = {}

    def pretend(environment: str, arguments: list[str], start: Any) -> int:
        assert start is dev.run  # not `become`, after which there is no next one
        ran[environment] = arguments
        return 1 if environment == broken else 0

    monkeypatch.setattr(dev, "prepare", lambda version: version)
    monkeypatch.setattr(dev, "test", pretend)
    assert dev.test_releases(given) == (1 if broken else 0)
    assert list(ran) == list(dev.RELEASES)
    assert ran.pop(dev.NEWEST) == given
    assert all(arguments == (given or ["tests/engine", "tests/server", "-q"]) for arguments in ran.values())
    lines = capsys.readouterr().out.splitlines()[-len(dev.RELEASES) :]
    wanted = {version: "failed" if version == broken else "passed" for version in dev.RELEASES}
    assert [line.rsplit(" in ")[0] for line in lines] == [
        f"dev.py: ComfyUI {version}: {result}" for version, result in wanted.items()
    ]


def test_all_releases_and_one_release_are_refused() -> None:
    done = run_dev("test", "--all", "--comfyui", "0.18.0")
    assert done.returncode == 2 and "leave out --comfyui" in done.stderr
