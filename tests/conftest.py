"""What all tests share: their markers, which of them are quick, and how they are spread over several workers."""

from __future__ import annotations

import importlib.util
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from support.seeds import seed_of_this_run

# found here, before workers are started: they have it too. tests/engine/test_fuzz.py
os.environ.setdefault("FUZZ_SEED", str(seed_of_this_run()))

# a test counts what it has made: nothing comes from the runs of others. Those of the segment memory switch it on
os.environ.setdefault("MASK_DETAILER_MEMORY_MIB", "0")

# examples differ in size by far, and the machine may be busy: no deadline for a single one. In CI the same examples
# each time, as in ``support.seeds``
settings.register_profile("mask-detailer", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("mask-detailer")

if importlib.util.find_spec("comfy"):  # core and segs are tested without it too
    from support.comfy_on_cpu import use_cpu

    use_cpu()

TESTS = Path(__file__).parent
MARKED = ("browser", "server")  # folders whose tests bear their name as a marker
QUICK = ("unit", "dev")
BY_HAND = "by_hand"
RENDERERS = ("classic", "vue")
TOLD_SECONDS = 10.0  # a file whose tests take longer is named at the end: all of it must stay under 15 minutes


def pytest_report_header() -> str:
    return f"fuzz: FUZZ_SEED={os.environ['FUZZ_SEED']}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where the time went, by file."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.split("::")[0]] += report.duration
    named = [f"{name.removeprefix('tests/')} {spent:.0f}" for name, spent in seconds.most_common()]
    named = [one for one in named if float(one.split()[-1]) > TOLD_SECONDS]
    if named:
        terminalreporter.write_line(f"seconds by file, {sum(seconds.values()):.0f} in all: {', '.join(named)}")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks by folder. Fast are all unit tests, and of each engine test the first of its cases.

    What runs for long runs only where `-m by_hand` asks for it. Where dev.py runs everything, a test of the page is
    asked of one of its two renderers, by turns, and of the many cases of a test with `by_turns(n)` every n-th.
    """
    left_out = []
    if BY_HAND not in config.getoption("markexpr"):
        left_out = [item for item in items if item.get_closest_marker(BY_HAND)]
    if os.environ.get("CASES") == "by turns":
        numbers: Counter[str] = Counter()
        for item in items:
            test = item.nodeid.split("[")[0]
            every = item.get_closest_marker("by_turns")
            out_of_turn = numbers[test] % (every.args[0] if every else 1) != 0 or not _is_its_turn(item)
            numbers[test] += 1
            if out_of_turn and not item.get_closest_marker(BY_HAND):
                left_out.append(item)
    if left_out:
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left_out)
    seen: set[str] = set()
    for item in items:
        folder, test = item.path.relative_to(TESTS).parts[0], item.nodeid.split("[")[0]
        if folder in MARKED:
            item.add_marker(folder)
        first_case = folder == "engine" and test not in seen
        if (folder in QUICK or first_case) and not item.get_closest_marker("slow"):
            item.add_marker("fast")
        seen.add(test)


def _is_its_turn(item: pytest.Item) -> bool:
    renderer = getattr(getattr(item, "callspec", None), "params", {}).get("opened")
    if renderer not in RENDERERS:
        return True
    turn = zlib.crc32(item.nodeid.replace(renderer, "").encode()) % len(RENDERERS)
    return RENDERERS[turn] == renderer


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, a folder whose tests share a server or a browser stays whole too, on one worker."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrFolder(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = nodeid.split("/")[1]
            return folder if folder in MARKED else super()._split_scope(nodeid)

    return ByFileOrFolder(config, log)
