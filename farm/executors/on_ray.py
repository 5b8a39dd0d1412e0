"""Servers on a Ray cluster, or on a Ray of this process's own: one actor a GPU, each with a ComfyUI of its own.

An actor is a `Station` in a process of Ray's. When it dies, Ray starts it anew, and what it had comes back as lost.
"""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import time
from pathlib import Path
from typing import Protocol

from ..errors import FarmError
from ..graph import Graph
from ..job import Job
from ..pictures import digest
from ..server import Recipe
from ..station import Station
from ..task import AT_ONCE, Limits, Picture, Result, ServerFacts, Task

logger = logging.getLogger("mask_detailer.farm")
BACK_AFTER = 5.0  # seconds after an actor's end until it gets tasks again


class _Method(Protocol):
    def remote(self, *arguments: object) -> object: ...


class Actor(Protocol):
    """A handle of an actor that is a `RayStation`."""

    facts: _Method
    do: _Method
    cancel: _Method
    stop: _Method
    process: _Method


class RayStation:
    """What runs in the actor's process. ``how`` is the job's recipe, whose work folder is made there, or an address."""

    def __init__(self, name: str, how: Recipe | str, graph: Graph, limits: Limits) -> None:
        if isinstance(how, Recipe):
            import tempfile

            # Ray shows an actor its own GPU only, as number 0 of CUDA_VISIBLE_DEVICES
            gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            gpu = None if how.gpu is None else int(gpus.split(",")[0] or 0)
            how = dataclasses.replace(how, work=Path(tempfile.mkdtemp(prefix="mask-detailer-farm-")), gpu=gpu)
        self._station = Station(name, how, graph, limits)

    def facts(self) -> ServerFacts | str:
        """What its server tells, or why there is none."""
        try:
            return self._station.facts()
        except FarmError as error:
            return str(error)

    def do(self, task: Task) -> Result:
        return self._station.do(task)

    def cancel(self, name: str) -> None:
        self._station.cancel(name)

    def stop(self) -> None:
        self._station.stop()

    def process(self) -> tuple[int, int]:
        """(this actor's process, its ComfyUI's)."""
        return os.getpid(), self._station.pid


class OnRay:
    """An executor over actors. Pictures are read here and go through the object store, or there by the same paths."""

    def __init__(self, job: Job, graph: Graph, limits: Limits) -> None:
        try:
            ray = importlib.import_module("ray")
        except ImportError:
            raise FarmError('run.executor is ray, which is not installed here: pip install "ray>=2.60"') from None
        self._ray = ray
        self._store = job.ray.files == "store"
        package = str(Path(__file__).resolve().parents[1])
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            self._begin(job, package)
        except (RuntimeError, OSError, ValueError) as error:  # of too slow a start, an address where no cluster is ...
            where = f"the cluster at {job.ray.address}" if job.ray.address else "a Ray of its own"
            did = "join" if job.ray.address else "start"
            raise FarmError(f"the farm could not {did} {where}: {' '.join(str(error).split())[:300]}") from None
        hows = _hows(job, int(ray.cluster_resources().get("GPU", 0)))
        self._actors: dict[str, Actor] = {}
        for name, how in hows.items():
            gpus = 1 if isinstance(how, Recipe) and how.gpu is not None else 0
            kind = ray.remote(
                num_cpus=1, num_gpus=gpus, max_concurrency=AT_ONCE + 2, max_restarts=-1, max_task_retries=0
            )(RayStation)
            self._actors[name] = kind.remote(name, how, graph, limits)
        self._free = dict.fromkeys(self._actors, AT_ONCE)
        self._running: dict[object, tuple[str, Task]] = {}
        self._back: dict[str, float] = {}

    def _begin(self, job: Job, package: str) -> None:
        self._ray.init(
            address=job.ray.address or None, runtime_env={"py_modules": [package]}, logging_level=logging.ERROR,
            log_to_driver=False, include_dashboard=None if job.ray.address else False,
            num_cpus=None if job.ray.address else max(job.run.workers, os.cpu_count() or 1),
        )  # fmt: skip

    def facts(self) -> ServerFacts:
        """Of the first actor's server; FarmError where it has none."""
        try:
            said = self._ray.get(next(iter(self._actors.values())).facts.remote())
        except self._ray.exceptions.RayError as error:
            raise FarmError(f"Ray's first worker ended before its ComfyUI answered: {error}") from None
        if isinstance(said, str):
            raise FarmError(said)
        return said

    def submit(self, task: Task, station: str) -> None:
        self._free[station] -= 1
        if self._store:
            task = dataclasses.replace(task, picture=_with_content(task.picture), mask=_with_content(task.mask))
        self._running[self._actors[station].do.remote(task)] = (station, task)

    def results(self, seconds: float) -> list[Result]:
        """What has come back; waits up to so long for the first."""
        if not self._running:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        results = []
        for one in ready:
            station, task = self._running.pop(one)
            self._free[station] += 1
            try:
                results.append(self._ray.get(one))
            except self._ray.exceptions.RayError as error:
                self._back[station] = time.monotonic() + BACK_AFTER
                why = f"its worker of Ray's ended ({type(error).__name__})"
                results.append(Result(task.name, task.attempt, station, "lost", "worker", why))
        return results

    def stations(self) -> dict[str, int]:
        """How many more tasks each can take; none for a while after it has ended."""
        now = time.monotonic()
        return {name: free if self._back.get(name, 0) <= now else 0 for name, free in self._free.items()}

    def cancel(self, name: str, station: str) -> None:
        self._actors[station].cancel.remote(name)

    def close(self) -> None:
        """End what runs, the servers, and a Ray of our own."""
        try:
            self._ray.wait(
                [actor.stop.remote() for actor in self._actors.values()], num_returns=len(self._actors), timeout=15
            )
            for actor in self._actors.values():
                self._ray.kill(actor)
        except self._ray.exceptions.RayError as error:
            logger.warning("Ray ended before its actors: %s", error)
        self._ray.shutdown()


def _hows(job: Job, gpus: int) -> dict[str, Recipe | str]:
    """What each actor does: an address, or a server of its own with a GPU unless the job wants the CPU."""
    if job.comfyui.addresses:
        return {f"ray {number}": address for number, address in enumerate(job.comfyui.addresses, 1)}
    if job.comfyui.devices != "cpu" and job.comfyui.devices != "auto":
        raise FarmError("with run.executor ray, comfyui.devices may be 'auto' or 'cpu': Ray chooses among the GPUs")
    gpu = 0 if job.comfyui.devices == "auto" and gpus else None
    count = job.run.workers or (gpus if gpu is not None else 1)
    if gpu is not None and count > gpus:
        raise FarmError(f"run.workers asks for {count} GPUs, and Ray has {gpus}")
    return {f"ray {number}": Recipe(job.comfyui, Path(), gpu) for number in range(1, count + 1)}


def _with_content(picture: Picture | None) -> Picture | None:
    """With its bytes, where it can be read and is what was planned; else the actor says what is wrong with it."""
    if picture is None:
        return None
    try:
        content = Path(picture.path).read_bytes()
    except OSError:
        return picture
    return (
        dataclasses.replace(picture, content=content)
        if digest(content) == picture.digest or not picture.digest
        else picture
    )
