"""What may happen to a run: parts killed at random moments, no room on the disk, another clock, an old ledger.

After each, a second run ends with every file there once, whole, and equal to those of a run that nothing happened to.
By hand: `python dev.py test tests/farm/test_chaos.py -m by_hand`; CHAOS_SEED repeats its moments. What needs Ray runs
where it can be installed.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support import farm_jobs
from support.farm_ray import ray_python
from support.server import Server

COUNT = 30
SEED = int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(10**6)))
RUNS = [  # what is killed, and how often: 30 moments
    *(("farm", 5), ("farm", 5), ("comfyui", 3), ("comfyui", 3), ("worker", 4), ("worker", 4)),
    *(("head", 1), ("head", 1), ("head", 1), ("farm on ray", 3)),
]
ENDS = 400.0  # seconds within which a run that was hit must end by itself

pytestmark = [pytest.mark.by_hand, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def wanted(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run makes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    farm_jobs.write_pictures(folder, COUNT)
    code, said = farm_jobs.farm("run", farm_jobs.write_job(folder, {"comfyui": {"addresses": [server.url]}}))
    assert code == 0, said
    files = farm_jobs.made(folder / "done")
    assert sorted(files) == farm_jobs.names(COUNT)
    return files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    farm_jobs.write_pictures(tmp_path, COUNT)
    return tmp_path


def wait_for(output: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until so many items are done, or the process has ended."""
    while farm_jobs.done(output) < count and process.poll() is None:
        time.sleep(0.02)


def parts(process: subprocess.Popen[str], sign: str) -> list[psutil.Process]:
    """Processes below ours whose command line has a sign."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if sign in " ".join(one.cmdline()):
                found.append(one)
    return found


def kill(process: subprocess.Popen[str], what: str, dice: random.Random) -> str:
    """kill -9 of a part; which one."""
    if what.startswith("farm"):
        process.kill()
        return "farm"
    sign = {"comfyui": "child.py", "worker": "ray::RayStation", "head": "gcs_server"}[what]
    found = parts(process, sign)
    if found:
        with contextlib.suppress(psutil.Error):
            dice.choice(found).kill()
    return f"{sign} ({len(found)} there)"


def ends_whole(job: Path, wanted: dict[str, bytes], python: Path | None = None) -> None:
    """A second run ends well, with just the files that there must be."""
    code, said = farm_jobs.farm("run", job, python=python)
    assert code == 0, said
    assert farm_jobs.made(job.parent / "done") == wanted, said
    assert farm_jobs.states(job.parent / "done") == {"done": len(wanted)}, said


@pytest.mark.parametrize("number", range(len(RUNS)), ids=lambda n: f"{n}-{RUNS[n][0].replace(' ', '-')}")
def test_killed(
    number: int, folder: Path, base: Path, server: Server, second_server: Server, wanted: dict[str, bytes]
) -> None:
    """What a run survives is killed several times in one; the farm itself and Ray's head in one run after another."""
    (what, times), dice = RUNS[number], random.Random(f"{SEED}/{number}")
    on_ray = what in ("worker", "head", "farm on ray")
    python = ray_python() if on_ray else None
    run = {"tries": 9} | ({"executor": "ray", "workers": 2} if on_ray else {"executor": "local"})
    addresses = {"addresses": [server.url, second_server.url]}
    comfyui = farm_jobs.own_comfyui(base) if what == "comfyui" else addresses
    job = farm_jobs.write_job(folder, {"comfyui": comfyui, "run": run})
    process = farm_jobs.start("run", job, python=python)
    try:
        for moment in sorted(dice.sample(range(COUNT - 1), times)):
            for _ in range(5):  # a Ray of its own may come up too slowly on a busy machine
                if process.poll() is not None:
                    process = farm_jobs.start("run", job, python=python)
                wait_for(folder / "done", moment, process)
                if process.poll() is None:
                    break
            time.sleep(dice.uniform(0, 0.5))
            before = farm_jobs.states(folder / "done")
            told = f"{kill(process, what, dice)} at {before}"
            if what in ("farm", "farm on ray", "head"):
                process.communicate(timeout=ENDS)
                told += f"; the run ended with {process.returncode}"
            sys.stderr.write(f"\nCHAOS_SEED={SEED} {number}: killed {told}")
        process.communicate(timeout=ENDS)
    finally:
        process.kill()
    sys.stderr.write(f"\nthe last run ended with {process.returncode}, {farm_jobs.states(folder / 'done')}\n")
    ends_whole(job, wanted, python)


@pytest.mark.parametrize("whose", ["its own", "at an address"])
def test_hung(whose: str, folder: Path, base: Path, server: Server, wanted: dict[str, bytes]) -> None:
    """A server that answers nothing any more: the farm's own is started anew, one at an address is waited for."""
    comfyui = farm_jobs.own_comfyui(base) if whose == "its own" else {"addresses": [server.url]}
    job = farm_jobs.write_job(folder, {"comfyui": comfyui, "run": {"silent_seconds": 3, "tries": 9}})
    process = farm_jobs.start("run", job)
    try:
        wait_for(folder / "done", 5, process)
        (hung,) = parts(process, "child.py") if whose == "its own" else [psutil.Process(server.pid)]
        hung.suspend()
        time.sleep(8)
        if whose != "its own":
            hung.resume()
        said, _ = process.communicate(timeout=ENDS)
    finally:
        process.kill()
    assert process.returncode == 0 and "gone or hangs" in said, said
    assert whose != "its own" or not hung.is_running()
    ends_whole(job, wanted)


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of its own at ``place``, which can be made larger."""
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=False).returncode:
        pytest.skip("a file system can be mounted by root only")

    def resize(to: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={to}", place], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("whose", ["the farm's", "comfyui's too"])
def test_disk_full(whose: str, folder: Path, base: Path, server: Server, wanted: dict[str, bytes]) -> None:
    own = whose != "the farm's"
    comfyui = farm_jobs.own_comfyui(base) if own else {"addresses": [server.url]}
    job = farm_jobs.write_job(folder, {"comfyui": comfyui})
    used = sum(len(content) for content in wanted.values())
    with small_disk(folder / "done", f"{(used // 2 + (600_000 if own else 200_000)) // 1024}k") as resize:
        code, said = farm_jobs.farm("run", job)
        assert code == 4 and "no space left" in said.splitlines()[-1], said
        sys.stderr.write(f"\n{said.splitlines()[-1]}; {farm_jobs.states(folder / 'done')}\n")
        assert all(wanted[name] == content for name, content in farm_jobs.made(folder / "done").items())
        code, said = farm_jobs.farm("run", job)  # still full
        assert code == 4, said
        resize("64m")
        ends_whole(job, wanted)


@pytest.mark.parametrize("with_wal", [False, True])
def test_ledger_copied_in_a_run(with_wal: bool, folder: Path, server: Server, wanted: dict[str, bytes]) -> None:
    """A copy made while it was written, whole or torn, takes the ledger's place."""
    dice, output = random.Random(f"{SEED}/copy/{with_wal}"), folder / "done"
    job = farm_jobs.write_job(folder, {"comfyui": {"addresses": [server.url]}})
    process = farm_jobs.start("run", job)
    wait_for(output, 1 + dice.randrange(COUNT - 5), process)
    endings = ["", "-wal"] if with_wal else [""]
    for ending in endings:
        shutil.copy(f"{output}/farm.sqlite{ending}", folder / f"copy{ending}")
    wait_for(output, COUNT - 2, process)
    process.kill()
    process.wait()
    for ending in ("", "-wal", "-shm"):
        (output / f"farm.sqlite{ending}").unlink(missing_ok=True)
    for ending in endings:
        shutil.copy(folder / f"copy{ending}", output / f"farm.sqlite{ending}")
    ends_whole(job, wanted)


def test_damaged_ledger(folder: Path, server: Server, wanted: dict[str, bytes]) -> None:
    job = farm_jobs.write_job(folder, {"comfyui": {"addresses": [server.url]}})
    process = farm_jobs.start("run", job)
    wait_for(folder / "done", 10, process)
    process.kill()
    process.wait()
    ledger = folder / "done" / "farm.sqlite"
    with ledger.open("r+b") as file:
        file.seek(18)
        file.write(random.Random(SEED).randbytes(2000))
    (folder / "done" / "farm.sqlite-wal").unlink(missing_ok=True)
    code, said = farm_jobs.farm("run", job)
    assert code == 0 and "the ledger was damaged" in said, said
    kept = {name: content for name, content in farm_jobs.made(folder / "done").items() if ".damaged-" not in name}
    assert kept == wanted


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long days(void) {
    const char *name = getenv("MOVED_CLOCK");
    FILE *file = name ? fopen(name, "r") : 0;
    long found = 0;
    if (file) { if (fscanf(file, "%ld", &found) != 1) found = 0; fclose(file); }
    return found * 86400L;
}
int clock_gettime(clockid_t clock, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, at);
    if (clock == CLOCK_REALTIME) at->tv_sec += days();
    return done;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int done = real(at, zone);
    at->tv_sec += days();
    return done;
}
time_t time(time_t *at) {
    struct timeval now;
    gettimeofday(&now, 0);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


def test_clock_moved(folder: Path, server: Server, wanted: dict[str, bytes]) -> None:
    """The farm's clock goes a month ahead and two back while it works, and it is killed in between."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler for a clock that can be moved")
    (folder / "clock.c").write_text(CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"], cwd=folder, check=True)
    job = farm_jobs.write_job(folder, {"comfyui": {"addresses": [server.url]}})
    moved = {"LD_PRELOAD": str(folder / "clock.so"), "MOVED_CLOCK": str(folder / "days")}
    (folder / "days").write_text("30")
    shown = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env=os.environ | moved,
        capture_output=True,
        check=True,
    )
    assert float(shown.stdout) > time.time() + 29 * 86400
    (folder / "days").write_text("0")
    process = farm_jobs.start("run", job, **moved)
    for count, days in ((5, "30"), (10, "-60"), (15, "0")):
        wait_for(folder / "done", count, process)
        (folder / "days").write_text(days)
    process.kill()
    process.wait()
    (folder / "days").write_text("-60")
    process = farm_jobs.start("run", job, **moved)
    said, _ = process.communicate(timeout=ENDS)
    assert process.returncode == 0, said
    ends_whole(job, wanted)


def test_two_farms_on_one_ledger(folder: Path, server: Server, second_server: Server, wanted: dict[str, bytes]) -> None:
    """They share the work; one of them is stopped for good, and the other takes what it had."""
    jobs = [
        farm_jobs.write_job(folder, {"comfyui": {"addresses": [one.url]}, "run": {"lease_seconds": 3}}, name=name)
        for one, name in ((server, "one.toml"), (second_server, "two.toml"))
    ]
    processes = [farm_jobs.start("run", job) for job in jobs]
    wait_for(folder / "done", 8, processes[0])
    processes[0].send_signal(signal.SIGSTOP)  # it holds its lock and its leases, but beats no more
    time.sleep(1)
    processes[0].kill()
    said, _ = processes[1].communicate(timeout=ENDS)
    processes[0].wait()
    assert processes[1].returncode == 0, said
    assert farm_jobs.made(folder / "done") == wanted
