"""The head's decisions, over an executor whose servers do as a test says: what real ones can't be made to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import farm_jobs

from farm import runner
from farm.errors import DiskFullError, FarmError
from farm.items import Item
from farm.job import Job, load
from farm.ledger import Ledger, open_ledger
from farm.runner import Run
from farm.status import look
from farm.task import AT_ONCE, Result, ServerFacts, Task

Says = Callable[[Task, str], Result | None]  # None: it never comes back


def done(task: Task, station: str) -> Result:
    return Result(task.name, task.attempt, station, "done", files=[(".png", task.name.encode())], seconds=0.1)


def wrong(task: Task, station: str, outcome: str = "failed", kind: str = "error") -> Result:
    return Result(task.name, task.attempt, station, outcome, kind, f"{kind} of {task.name}")


class Scripted:
    """Two servers, `one` and `two`; each task's answer comes from ``says``."""

    def __init__(self, says: Says) -> None:
        self.given: list[tuple[str, str]] = []
        self.cancelled: list[tuple[str, str]] = []
        self._says, self._back = says, []
        self._free = {"one": AT_ONCE, "two": AT_ONCE}

    def facts(self) -> ServerFacts:
        return {}, {}

    def submit(self, task: Task, station: str) -> None:
        self.given.append((task.name, station))
        self._free[station] -= 1
        assert self._free[station] >= 0
        if (result := self._says(task, station)) is not None:
            self._back.append(result)

    def results(self, seconds: float) -> list[Result]:
        found, self._back = self._back, []
        for result in found:
            self._free[result.station] += 1
        return found

    def stations(self) -> dict[str, int]:
        return dict(self._free)

    def cancel(self, name: str, station: str) -> None:
        self.cancelled.append((name, station))

    def close(self) -> None: ...


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(runner, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(runner, "WAIT", 0.0)
    (tmp_path / "done").mkdir()
    return load(farm_jobs.write_job(tmp_path))


@pytest.fixture
def ledger(job: Job) -> Iterator[Ledger]:
    opened = open_ledger(job.ledger)
    opened.begin()
    names = [f"{number:03d}" for number in range(10)]
    opened.put_plan("p", [Item(name, name, Path(name), None, {}, f"key of {name}") for name in names])
    yield opened
    opened.close()


def worked(job: Job, ledger: Ledger, says: Says) -> tuple[Run, Scripted]:
    executor = Scripted(says)
    run = Run(job, ledger, executor)
    run.go()
    return run, executor


def test_all_on_both(job: Job, ledger: Ledger) -> None:
    run, executor = worked(job, ledger, done)
    assert run.counts.done == 10 and len(executor.given) == 10
    assert {station for _, station in executor.given} == {"one", "two"}
    assert farm_jobs.made(job.output) == {f"{n:03d}.png": f"{n:03d}".encode() for n in range(10)}


def test_a_poison_item_fails_and_blocks_nobody(job: Job, ledger: Ledger) -> None:
    run, executor = worked(job, ledger, lambda task, at: wrong(task, at) if task.name == "003" else done(task, at))
    assert (run.counts.done, run.counts.failed, run.counts.tries) == (9, 1, 3)
    assert Counter(name for name, _ in executor.given)["003"] == 3
    assert look(ledger).errors == [("error", 1, "error of 003")]
    assert [row[:2] for row in look(ledger).tried] == [("003", 3)]


def test_what_another_try_won_t_change_gets_none(job: Job, ledger: Ledger) -> None:
    run, executor = worked(job, ledger, lambda task, at: wrong(task, at, "refused", "refused"))
    assert run.counts.failed == len(executor.given) == 10


def test_a_server_that_goes_costs_no_try(job: Job, ledger: Ledger) -> None:
    lost: list[str] = []

    def says(task: Task, station: str) -> Result:
        if station == "one" and len(lost) < 4:
            lost.append(task.name)
            return wrong(task, station, "lost", "server")
        return done(task, station)

    run, _ = worked(job, ledger, says)
    assert (run.counts.done, run.counts.tries) == (10, 0) and lost


def test_no_server_is_left(job: Job, ledger: Ledger) -> None:
    with pytest.raises(FarmError, match="no server is left; of the last one: server of 0"):
        worked(job, ledger, lambda task, at: wrong(task, at, "lost", "server"))
    ledger.give_back()
    assert look(ledger).counts["planned"] == 10


def test_a_slow_server_does_not_hold_the_tail(job: Job, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LATE", 0.0)
    run, executor = worked(job, ledger, lambda task, at: None if at == "one" else done(task, at))
    held = [name for name, station in executor.given if station == "one"]
    assert run.counts.done == 10 and run.counts.doubled == len(held) == AT_ONCE
    assert sorted(executor.cancelled) == sorted((name, "one") for name in held)


def test_drained(job: Job, ledger: Ledger) -> None:
    executor = Scripted(done)
    run = Run(job, ledger, executor)
    run.go(lambda: run.drain("enough"))
    assert run.counts.done == len(executor.given) == 2 * AT_ONCE and run.why == "enough"
    assert look(ledger).counts == {"planned": 6, "leased": 0, "done": 4, "failed": 0}


def test_hours_are_over(job: Job, ledger: Ledger) -> None:
    run = Run(job, ledger, Scripted(done), max_seconds=0)
    run.go()
    assert run.why == "--max-hours is over" and run.counts.done == 0


@pytest.mark.parametrize("kind", ["disk", "ours"])
def test_no_room(kind: str, job: Job, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "ours":
        monkeypatch.setattr(runner.Outputs, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(DiskFullError, match=r"no space left .*: free some and run the job again"):
        worked(job, ledger, (lambda task, at: wrong(task, at, kind="disk")) if kind == "disk" else done)
    ledger.give_back()
    assert look(ledger).counts["planned"] == 10 and look(ledger).tried == []
