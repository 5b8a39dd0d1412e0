"""What dev.py does about bad archives, interrupted runs and failing tools; nothing here touches the network."""

from __future__ import annotations

import importlib.util
import io
import multiprocessing
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
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
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)  # pytest's handlers stay
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "env").mkdir()
    return module


def archive(path: Path, members: dict[str, str | tarfile.TarInfo]) -> Path:
    path.parent.mkdir(exist_ok=True)
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


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python's tarfile has no filters")
def test_a_path_that_leads_outside_is_refused(dev: ModuleType, tmp_path: Path) -> None:
    outside = "pkg-1/vendor/ComfyUI/../../../../outside.py"
    packed = archive(tmp_path / "in" / "a.tar.gz", {"pkg-1/vendor/ComfyUI/main.py": "main", outside: "evil"})
    with pytest.raises(dev.DevError, match="was not used"):
        dev.unpack_comfyui(packed, tmp_path / "1.0")
    assert not (tmp_path / "1.0").exists() and not list(tmp_path.rglob("outside.py"))


def test_a_broken_archive_is_refused(dev: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"no archive")
    with pytest.raises(dev.DevError, match="was not used"):
        dev.unpack_comfyui(tmp_path / "a.tar.gz", tmp_path / "1.0")


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


@dataclass
class Steps:
    """In place of the installing commands: their names, and the interpreter that they leave; one may break off."""

    python: Path
    done: list[str] = field(default_factory=list)
    breaking: str = ""

    def __call__(self, what: str, command: list[Any], holding: int) -> None:
        self.done.append(what)
        if "venv" in command:
            self.python.parent.mkdir(parents=True)
            self.python.touch()
        if what == self.breaking:
            raise KeyboardInterrupt


@pytest.fixture
def steps(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Steps:
    pretend = Steps(dev.python_of("venv"))
    monkeypatch.setattr(dev, "setup_step", pretend)
    return pretend


def make(dev: ModuleType, made_of: str = "wanted") -> Path:
    return dev.virtual_environment("venv", [made_of], {"make": ["uv", "venv"], "install": ["uv", "pip"]}, 0)


def test_what_is_there_is_used(dev: ModuleType, steps: Steps) -> None:
    assert make(dev) == make(dev) == dev.python_of("venv")
    assert steps.done == ["make", "install"]


@pytest.mark.parametrize("breaking", ["make", "install"])
def test_an_interrupted_installation_is_made_anew(dev: ModuleType, steps: Steps, breaking: str) -> None:
    steps.breaking = breaking
    with pytest.raises(KeyboardInterrupt):
        make(dev)
    leftover = dev.ENV / "venv" / "half a package"
    leftover.touch()
    steps.breaking = ""
    make(dev)
    make(dev)
    assert steps.done[-2:] == ["make", "install"] and len(steps.done) < 5
    assert not leftover.exists()


def test_other_requirements_make_it_anew(dev: ModuleType, steps: Steps) -> None:
    make(dev)
    make(dev, "something else")
    assert steps.done == ["make", "install"] * 2


def test_one_whose_python_went_away_is_made_anew(dev: ModuleType, steps: Steps) -> None:
    make(dev).unlink()
    assert make(dev).is_file()


def test_an_older_dev_pys_is_made_anew(dev: ModuleType, steps: Steps) -> None:
    """It had other stamps in the folder."""
    steps.python.parent.mkdir(parents=True)
    for file in (steps.python, dev.ENV / "venv" / "tools.stamp", dev.ENV / "venv" / "packages.stamp"):
        file.touch()
    make(dev)
    assert steps.done == ["make", "install"] and not (dev.ENV / "venv" / "packages.stamp").exists()


def test_of_a_linked_one_the_link_goes(dev: ModuleType, steps: Steps, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (dev.ENV / "venv").symlink_to(tmp_path / "elsewhere")
    make(dev)
    assert not (dev.ENV / "venv").is_symlink() and (tmp_path / "elsewhere" / "kept").exists()


def test_the_link_is_put_right(dev: ModuleType, tmp_path: Path) -> None:
    dev.link_pack()
    assert dev.LINK.resolve() == dev.ROOT
    dev.LINK.unlink()
    (tmp_path / "moved").mkdir()
    dev.LINK.symlink_to(tmp_path / "moved", target_is_directory=True)
    dev.link_pack()
    assert dev.LINK.resolve() == dev.ROOT
    dev.LINK.unlink()
    dev.LINK.symlink_to(tmp_path / "gone")  # leads nowhere
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


def test_fast_is_a_marker(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(dev, "prepare", lambda *_: None)
    monkeypatch.setattr(dev, "test", lambda environment, arguments: given.append(arguments) or 0)
    monkeypatch.setattr(sys, "argv", ["dev.py", "test", "--fast", "tests/engine"])
    monkeypatch.delenv("CI", raising=False)
    assert dev.main() == 0
    assert given[0][:2] == ["-n", given[0][1]] and given[0][-3:] == ["-m", "fast", "tests/engine"]


@pytest.mark.parametrize(
    ("arguments", "variables", "brought"),
    [
        (["test"], {}, False),
        (["test", "tests/browser"], {}, False),
        (["test", "--browser"], {}, True),
        (["test"], {"CI": "true"}, True),
    ],
)
def test_a_browser_is_installed_where_it_is_asked_for(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], variables: dict[str, str], brought: bool
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(dev, "prepare", lambda *_: None)
    monkeypatch.setattr(dev, "test", lambda *_: 0)
    monkeypatch.setattr(dev, "run", lambda environment, command: ran.append(command) or 0)
    monkeypatch.setattr(sys, "argv", ["dev.py", *arguments])
    monkeypatch.delenv("CI", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert dev.main() == 0
    assert ran == ([dev.module("support.chromium")] if brought else [])


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
    on_older = given or dev.in_parallel("tests/engine", "tests/server", "-q")
    assert all(arguments == on_older for arguments in ran.values())
    lines = capsys.readouterr().out.splitlines()[-len(dev.RELEASES) :]
    wanted = {version: "failed" if version == broken else "passed" for version in dev.RELEASES}
    assert [line.rsplit(" in ")[0] for line in lines] == [
        f"dev.py: ComfyUI {version}: {result}" for version, result in wanted.items()
    ]


def test_all_releases_and_one_release_are_refused() -> None:
    done = run_dev("test", "--all", "--comfyui", "0.18.0")
    assert done.returncode == 2 and "leave out --comfyui" in done.stderr
