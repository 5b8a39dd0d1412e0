"""Servers of this machine, or at addresses; threads of this process that wait for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping

from ..errors import FarmError
from ..task import AT_ONCE, Does, Result, ServerFacts, Task


class Local:
    """An executor over stations by name, all in this process."""

    def __init__(self, stations: Mapping[str, Does]) -> None:
        self._stations = dict(stations)
        self._free = dict.fromkeys(stations, AT_ONCE)
        self._todo: dict[str, queue.SimpleQueue[Task | None]] = {name: queue.SimpleQueue() for name in stations}
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(name,), name=f"{name}.{number}", daemon=True)
            for name in stations
            for number in range(AT_ONCE)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, name: str) -> None:
        while (task := self._todo[name].get()) is not None:
            self._results.put(self._stations[name].do(task))

    def facts(self) -> ServerFacts:
        """Of the first station that has a server; the last one's error where none has."""
        for name, station in self._stations.items():
            try:
                return station.facts()
            except FarmError:
                if name == list(self._stations)[-1]:
                    raise
        raise FarmError("there is no server")

    def submit(self, task: Task, station: str) -> None:
        self._free[station] -= 1
        self._todo[station].put(task)

    def results(self, seconds: float) -> list[Result]:
        """What has come back; waits up to so long for the first."""
        found: list[Result] = []
        try:
            found.append(self._results.get(timeout=seconds))
            while True:
                found.append(self._results.get_nowait())
        except queue.Empty:
            pass
        for result in found:
            self._free[result.station] += 1
        return found

    def stations(self) -> dict[str, int]:
        """How many more tasks each can take."""
        return dict(self._free)

    def cancel(self, name: str, station: str) -> None:
        # asks a server, which may be slow to answer
        threading.Thread(target=self._stations[station].cancel, args=(name,), daemon=True).start()

    def close(self) -> None:
        """End what runs, and the servers."""
        for name in self._stations:
            for _ in range(AT_ONCE):
                self._todo[name].put(None)
        stops = [threading.Thread(target=station.stop, daemon=True) for station in self._stations.values()]
        for one in stops:
            one.start()
        for one in stops:
            one.join(15)
        for thread in self._threads:
            thread.join(5)
