"""The commands. What they show goes to standard output, the log to standard error.

    python farm plan job.toml      what would run, and what is missing; nothing is sampled
    python farm run job.toml       work it; again after whatever stopped it
    python farm status job.toml    how far it is
    python farm retry job.toml     failed items get their tries anew with the next run
    python farm report job.toml    an HTML page of pairs and errors

A run ends with status 0 when all is done, 1 for an error, 3 when items failed, 4 when it ended before the end.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from . import logs, metrics, report, servers, status
from .errors import DiskFullError, FarmError, is_disk_full
from .job import Job, load
from .ledger import Ledger, open_ledger
from .plan import Planned, found_items, graph_of, put, refuse_problems
from .runner import Run

logger = logging.getLogger("mask_detailer.farm")
SHOWN = 10
WATCH_SECONDS = 2.0
TELL_SECONDS = 10.0


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logs.to_stderr(options.log, options.verbose)
    try:
        job = _with_options(load(options.job), options)
        return COMMANDS[options.command](job, options)
    except DiskFullError as error:
        print(f"farm: {error}", file=sys.stderr)
        return 4
    except (FarmError, sqlite3.Error, OSError) as error:
        if options.verbose:
            raise
        said = f"no space left for the ledger or the outputs ({error})" if is_disk_full(error) else error
        print(f"farm: {said}", file=sys.stderr)
        return 4 if is_disk_full(error) else 1
    except KeyboardInterrupt:
        print("farm: stopped; run it again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="farm", description=__doc__, formatter_class=form)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name)
        command.add_argument("job", type=Path, help="the job's TOML file")
        command.add_argument("--log", choices=("lines", "json"), default="lines", help="form of the log")
        command.add_argument("--verbose", action="store_true", help="log each item; show whole tracebacks")
        if name in ("plan", "run"):
            command.add_argument("--comfyui", type=Path, help="a ComfyUI folder, in place of the job's")
            command.add_argument("--python", type=Path, help="its Python")
            command.add_argument("--address", action="append", help="a server that runs already; may be repeated")
    run = commands.choices["run"]
    run.add_argument("--executor", choices=("local", "ray"), help="in place of the job's")
    run.add_argument("--workers", type=int, help="in place of the job's")
    run.add_argument("--max-hours", type=float, default=float("inf"), help="then finish what runs and end")
    run.add_argument("--skip-bad", action="store_true", help="work the rest where items can't be worked")
    run.add_argument("--metrics", metavar="[HOST:]PORT", help="serve Prometheus's text there")
    commands.choices["status"].add_argument("--watch", action="store_true", help="show it anew every two seconds")
    commands.choices["report"].add_argument("--output", type=Path, help="default: report.html in the output folder")
    commands.choices["report"].add_argument("--pairs", type=int, default=200, help="at most so many")
    return parser


def _with_options(job: Job, options: argparse.Namespace) -> Job:
    """The job with what the command line says otherwise."""
    comfyui, run = job.comfyui, job.run
    if getattr(options, "comfyui", None):
        comfyui = dataclasses.replace(comfyui, path=options.comfyui.resolve(), addresses=())
    if getattr(options, "python", None):
        comfyui = dataclasses.replace(comfyui, python=options.python.absolute())
    if getattr(options, "address", None):
        comfyui = dataclasses.replace(comfyui, addresses=tuple(options.address))
    if getattr(options, "executor", None):
        run = dataclasses.replace(run, executor=options.executor)
    if getattr(options, "workers", None) is not None:
        run = dataclasses.replace(run, workers=options.workers)
    return dataclasses.replace(job, comfyui=comfyui, run=run)


@contextlib.contextmanager
def _opened(job: Job, must_be_there: bool = False) -> Iterator[Ledger]:
    ledger = open_ledger(job.ledger, must_be_there)
    try:
        yield ledger
    finally:
        ledger.close()


def _work(ledger: Ledger, name: str) -> Path:
    """A folder for the work of servers, below the ledger's own; a farm that is gone has left none."""
    folder = ledger.lives.parent / "work"
    if folder.is_dir():
        for left in folder.iterdir():
            if ledger.is_gone(left.name):
                shutil.rmtree(left, ignore_errors=True)
    return folder / name


def _plan(job: Job, options: argparse.Namespace) -> int:
    graph = graph_of(job)
    servers.check(job)
    with _opened(job) as ledger:
        found = found_items(job, graph, ledger)
        work = _work(ledger, ledger.begin())
        executor = servers.executor_for(job, graph, work, only_one=True)
        try:
            planned = put(job, graph, ledger, found, executor.facts())
        finally:
            executor.close()
            shutil.rmtree(work, ignore_errors=True)
    _show(planned)
    return 1 if planned.problems else 0


def _show(planned: Planned) -> None:
    to_do = planned.states.get("planned", 0) + planned.states.get("leased", 0)
    done, failed = planned.states.get("done", 0), planned.states.get("failed", 0)
    print(f"{planned.count} items: {to_do} to do, {done} done already, {failed} failed or not to be worked")
    for problem in planned.problems[:SHOWN]:
        print(f"  {problem}")
    if len(planned.problems) > SHOWN:
        print(f"  and {len(planned.problems) - SHOWN} more")


def _run(job: Job, options: argparse.Namespace) -> int:
    graph = graph_of(job)
    servers.check(job)
    started = time.monotonic()
    with _opened(job) as ledger, contextlib.ExitStack() as after:
        found = found_items(job, graph, ledger)
        if not options.skip_bad:
            refuse_problems(found)
        work = _work(ledger, ledger.begin())
        after.callback(shutil.rmtree, work, ignore_errors=True)
        executor = servers.executor_for(job, graph, work)
        after.callback(executor.close)
        planned = put(job, graph, ledger, found, executor.facts())
        logger.info("%d items, %d done already", planned.count, planned.states.get("done", 0))
        run = Run(job, ledger, executor, options.max_hours * 3600 - (time.monotonic() - started))
        if options.metrics:
            serving = metrics.serve(options.metrics, job.ledger, lambda: run.counts)
            after.callback(serving.shutdown)
        with _drained_by_signals(run):
            run.go(_Teller(ledger).tell)
        found_now = status.look(ledger)
    return _end(run, found_now)


class _Teller:
    """Tells now and then how far a run is."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told = time.monotonic()

    def tell(self) -> None:
        if time.monotonic() - self._told < TELL_SECONDS:
            return
        self._told = time.monotonic()
        for line in list(status.lines(status.look(self._ledger)))[:2]:
            logger.info("%s", line)


def _end(run: Run, found: status.Status) -> int:
    counts = run.counts
    speed = f", {counts.done / counts.seconds:.2f} a second" if counts.seconds > 1 else ""
    spent = f"{status.duration(counts.seconds)} ({counts.seconds:.2f} s)"
    print(f"{counts.done} done in {spent}{speed}; {counts.failed} failed", end="")
    print(f"; of {found.total}, {found.counts['done']} are done, {found.counts['failed']} failed")
    for kind, count, reason in found.errors:
        print(f"  {count} {kind}: {reason}")
    if found.counts["planned"] + found.counts["leased"]:
        print(f"  {run.why or 'the job was changed meanwhile'}; run it again for the rest")
        return 4
    return 3 if found.counts["failed"] else 0


@contextlib.contextmanager
def _drained_by_signals(run: Run) -> Iterator[None]:
    """Ctrl-C or a termination ends the run after what runs; a second one at once."""

    def on(number: int, frame: FrameType | None) -> None:
        if run.why:
            raise KeyboardInterrupt
        run.drain("stopped by a signal")

    before = {number: signal.signal(number, on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(job: Job, options: argparse.Namespace) -> int:
    with _opened(job, must_be_there=True) as ledger:
        while True:
            found = status.look(ledger)
            shown = "\n".join(status.lines(found))
            if not options.watch:
                print(shown)
                return 0
            print(f"\x1b[H\x1b[2J{job.file.name}\n{shown}" if sys.stdout.isatty() else f"{shown}\n", flush=True)
            if not found.counts["planned"] + found.counts["leased"]:
                return 0
            time.sleep(WATCH_SECONDS)


def _retry(job: Job, options: argparse.Namespace) -> int:
    with _opened(job, must_be_there=True) as ledger:
        count = ledger.retry()
    print(f"{count} failed items are planned again" if count else "no item has failed")
    return 0


def _report(job: Job, options: argparse.Namespace) -> int:
    from importlib.util import find_spec

    python = job.comfyui.python
    if find_spec("PIL") is None and python is not None and shutil.which(python) is not None:
        check = [str(python), "-c", "import sys, PIL; sys.exit(sys.version_info < (3, 11))"]
        if subprocess.run(check, check=False, capture_output=True).returncode == 0:
            mine = ["report", str(job.file), "--pairs", str(options.pairs)]
            mine += ["--output", str(options.output.resolve())] if options.output else []
            return subprocess.run([str(python), str(Path(__file__).parent), *mine], check=False).returncode
    path: Path = options.output or job.output / "report.html"
    with _opened(job, must_be_there=True) as ledger:
        page = report.html(job, ledger, options.pairs, path.resolve().parent)
    path.write_text(page, encoding="utf-8")
    print(path)
    return 0


COMMANDS = {"plan": _plan, "run": _run, "status": _status, "retry": _retry, "report": _report}
