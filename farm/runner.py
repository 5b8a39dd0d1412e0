"""The head: leases items, hands them to servers, writes what comes back, and knows when to end."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import DiskFullError, FarmError, is_disk_full
from .job import Job
from .ledger import Ledger, Row
from .output import Outputs, discard
from .task import AT_ONCE, Executor, Picture, Result, Task

logger = logging.getLogger("mask_detailer.farm")
WAIT = 0.1  # seconds for results to come
BEAT, LOOK_FOR_DEAD = 1.0, 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # after a try, or after a server that wasn't there
LOSSES = 10  # of one item, with servers that went; from then on they count as tries
STARTS = 5  # in a row that a server may fail before it is given up
LATE = 2.0  # times the usual time in a server's queue, after which an item is worked twice


@dataclass
class Flight:
    """An item that is being worked: on which stations, since when, and how often it was lost."""

    row: Row
    on: dict[int, str] = field(default_factory=dict)
    since: float = 0.0
    losses: int = 0


@dataclass
class Counts:
    """What this run has done so far."""

    done: int = 0
    failed: int = 0
    tries: int = 0
    doubled: int = 0
    written: int = 0
    seconds: float = 0.0
    ledger_seconds: float = 0.0
    files_seconds: float = 0.0


class Run:
    """One run of a planned job; `go` works it to its end, `drain` (from a signal) ends it after what runs."""

    def __init__(self, job: Job, ledger: Ledger, executor: Executor, max_seconds: float = float("inf")) -> None:
        self.counts = Counts()
        self.why = ""  # it ended early
        self._job, self._ledger, self._executor = job, ledger, executor
        self._end = time.monotonic() + max_seconds
        self._draining = threading.Event()
        self._flights: dict[str, Flight] = {}
        self._later: list[tuple[float, str]] = []  # items to try again: (when, name)
        self._attempt = itertools.count()
        self._stations_back: dict[str, float] = {}
        self._station_losses: dict[str, int] = {}
        self._usual: deque[float] = deque(maxlen=100)
        self._beaten = self._looked = float("-inf")
        self._open = True  # whether the ledger may have more for us
        self._outputs = Outputs(job.output, ledger.run)

    def drain(self, why: str) -> None:
        """Take no more; what runs is finished."""
        if not self._draining.is_set():
            self.why = why
            self._draining.set()
            logger.info("%s: what runs is finished, the rest is kept", why)

    def go(self, each_round: Callable[[], None] = lambda: None) -> None:
        """To the end. DiskFullError, with all that is not done planned again; FarmError where no server is left."""
        started = time.monotonic()
        try:
            while self._step():
                self.counts.seconds = time.monotonic() - started
                each_round()
        except Exception as error:
            if is_disk_full(error):
                raise DiskFullError(
                    f"no space left below {self._job.output}: free some and run the job again"
                ) from None
            raise
        finally:
            self.counts.seconds = time.monotonic() - started

    def _step(self) -> bool:
        """One round; False at the end."""
        now = time.monotonic()
        if now > self._end:
            self.drain("--max-hours is over")
        if now - self._beaten > BEAT:
            self._ledger.beat()
            self._beaten = now
        if now - self._looked > LOOK_FOR_DEAD and not self._draining.is_set():
            self._take_over()
            self._looked = now
        if not self._draining.is_set():
            self._fill(now)
        for result in self._executor.results(WAIT):
            self._take(result)
        if any(flight.on for flight in self._flights.values()):
            return True
        if self._draining.is_set():
            return False
        if self._flights or self._open:
            return True
        if self._ledger.leased_by_others():
            self._open = True
            return True
        return False

    def _take_over(self) -> None:
        """Items of farms that are gone."""
        for run, name in self._ledger.take_from_the_dead(self._job.run.lease_seconds):
            self._outputs.remove_parts_of(run, name)
            self._open = True

    # handing out

    def _fill(self, now: float) -> None:
        """Give every free station something to do, those with least to do first."""
        while (station := self._free_station(now)) is not None:
            flight = self._next(now)
            if flight is None:
                if self._job.run.tail:
                    self._double(now)
                return
            self._submit(flight, station, now)

    def _free_station(self, now: float, empty: bool = False, without: str = "") -> str | None:
        free = {
            name: count
            for name, count in self._executor.stations().items()
            if count >= (AT_ONCE if empty else 1) and self._stations_back.get(name, 0) <= now and name != without
        }
        return max(free, key=free.__getitem__) if free else None

    def _next(self, now: float) -> Flight | None:
        """An item whose pause is over, or a new one."""
        if self._later and self._later[0][0] <= now:
            return self._flights[heapq.heappop(self._later)[1]]
        if not self._open:
            return None
        before = time.perf_counter()
        rows = self._ledger.lease(1)
        self.counts.ledger_seconds += time.perf_counter() - before
        if not rows:
            self._open = False
            return None
        flight = self._flights[rows[0].name] = Flight(rows[0])
        return flight

    def _double(self, now: float) -> None:
        """At the tail: what a station has had for long goes to an empty one too, and who is first counts."""
        if len(self._usual) < 3:
            return
        late = LATE * AT_ONCE * statistics.median(self._usual)
        for flight in sorted(self._flights.values(), key=lambda one: one.since):
            if len(flight.on) == 1 and now - flight.since > late:
                station = self._free_station(now, empty=True, without=next(iter(flight.on.values())))
                if station is None:
                    return
                self.counts.doubled += 1
                self._submit(flight, station, now)

    def _submit(self, flight: Flight, station: str, now: float) -> None:
        row, attempt = flight.row, next(self._attempt)
        content = self._job.identity == "content"
        folder = f"farm/{hashlib.blake2b(row.label.encode(), digest_size=6).hexdigest()}"
        picture = Picture(str(row.picture), row.picture_digest if content else "", row.picture.name)
        mask = Picture(str(row.mask), row.mask_digest if content else "", row.mask.name) if row.mask else None
        if not flight.on:
            flight.since = now
        flight.on[attempt] = station
        self._executor.submit(Task(row.name, attempt, folder, picture, mask, row.given), station)

    # taking back

    def _take(self, result: Result) -> None:
        if result.outcome == "lost" and result.kind != "interrupted":
            self._rest(result)
        else:
            self._station_losses.pop(result.station, None)
        flight = self._flights.get(result.name)
        if flight is None or flight.on.pop(result.attempt, None) is None:
            return  # another attempt was first
        if result.outcome == "done":
            self._finish(flight, result)
        elif result.kind == "disk":
            raise DiskFullError(
                f"no space left where ComfyUI writes ({result.reason}): free some and run the job again"
            )
        elif not flight.on:
            self._again(flight, result)

    def _rest(self, result: Result) -> None:
        """A station that has lost its server gets nothing for a while, and in the end nothing more."""
        if self._draining.is_set() and result.kind == "stopped":
            return
        losses = self._station_losses[result.station] = self._station_losses.get(result.station, 0) + 1
        # both tasks of a station tell of one loss
        pause = FIRST_PAUSE * 2 ** min((losses - 1) // AT_ONCE, 5)
        self._stations_back[result.station] = time.monotonic() + min(LONGEST_PAUSE, pause)
        logger.warning("%s: %s", result.station, result.reason)
        if losses >= STARTS * AT_ONCE:
            self._stations_back[result.station] = float("inf")
            if all(self._stations_back.get(name) == float("inf") for name in self._executor.stations()):
                raise FarmError(f"no server is left; of the last one: {result.reason}")

    def _finish(self, flight: Flight, result: Result) -> None:
        """Files to their places, then the mark. Nothing of it where the item was done or changed meanwhile."""
        row = flight.row
        started = time.perf_counter()
        parts = self._outputs.write(row.name, result.files)
        before = time.perf_counter()
        with self._ledger.transaction():
            if self._ledger.is_open(row):
                placing = time.perf_counter()
                files = self._outputs.place(parts)
                before += time.perf_counter() - placing
                for stale in self._ledger.files_of(row.name):
                    if stale not in [name for name, _ in files]:
                        (self._job.output / stale).unlink(missing_ok=True)
                self._ledger.done(row, files, result.station, result.seconds)
                self.counts.done += 1
                self.counts.written += sum(size for _, size in files)
            else:
                discard(parts)
        ended = time.perf_counter()
        self.counts.ledger_seconds += ended - before
        self.counts.files_seconds += before - started
        self._usual.append(result.seconds / AT_ONCE)
        for station in flight.on.values():
            self._executor.cancel(row.name, station)
        del self._flights[row.name]
        logger.debug("done: %s on %s in %.1f s", row.name, result.station, result.seconds)

    def _again(self, flight: Flight, result: Result) -> None:
        """Later, unless it has failed."""
        row, now = flight.row, time.monotonic()
        if result.outcome == "lost":
            flight.losses += 1
            if flight.losses < LOSSES:
                heapq.heappush(self._later, (now, row.name))
                return
        last = result.outcome == "refused" or row.tries + 1 >= self._job.run.tries
        self.counts.tries += 1
        tries = self._ledger.tried(row, result.kind, result.reason, failed=last)
        if last:
            self.counts.failed += 1
            logger.error("failed: %s: %s", row.name, result.reason)
            del self._flights[row.name]
            return
        logger.warning("%s, try %d of %d: %s", row.name, tries, self._job.run.tries, result.reason)
        flight.row = Row(**{**vars(row), "tries": row.tries + 1})
        heapq.heappush(self._later, (now + min(LONGEST_PAUSE, FIRST_PAUSE * 2**row.tries), row.name))
