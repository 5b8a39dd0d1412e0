"""Which servers a job gets on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .errors import FarmError
from .executors.local import Local
from .executors.on_ray import OnRay
from .graph import Graph
from .job import ComfyUI, Job
from .server import Recipe
from .station import Station
from .task import Executor, Limits


def executor_for(job: Job, graph: Graph, work: Path, only_one: bool = False) -> Executor:
    """The job's executor; ``work`` is a folder for its servers' work. ``only_one``: just what tells of the nodes."""
    limits = Limits(job.run.item_seconds, job.run.silent_seconds)
    check(job)
    if job.run.executor == "ray" and not only_one:
        return OnRay(job, graph, limits)
    hows = local_hows(job, work)
    if only_one:
        hows = dict(list(hows.items())[:1])
    return Local({name: Station(name, how, graph, limits) for name, how in hows.items()})


def check(job: Job) -> None:
    """FarmError where the job's servers can't be: no ComfyUI, no GPU."""
    said = job.comfyui
    if said.addresses:
        return
    if said.path is None:
        raise FarmError(
            f"{job.file.name} names no ComfyUI: in [comfyui], set path to a ComfyUI folder or addresses to servers"
        )
    on_cluster = job.run.executor == "ray" and job.ray.address
    if not on_cluster:
        if not (said.path / "main.py").is_file():
            raise FarmError(f"comfyui.path is {said.path}, which has no main.py; set it to a ComfyUI folder")
        if said.python is not None and shutil.which(said.python) is None:
            raise FarmError(f"comfyui.python is {said.python}, which can't be run")
        if said.base is not None and not said.base.is_dir():
            raise FarmError(f"comfyui.base is {said.base}, which is no folder")


def local_hows(job: Job, work: Path) -> dict[str, Recipe | str]:
    """By a station's name: an address, or the recipe of a server."""
    if job.comfyui.addresses:
        return {address: address for address in job.comfyui.addresses}
    gpus = _chosen(job.comfyui)
    if gpus:
        return {f"gpu {number}": Recipe(job.comfyui, work / f"gpu-{number}", number) for number in gpus}
    count = job.run.workers or 1
    return {f"cpu {number}": Recipe(job.comfyui, work / f"cpu-{number}") for number in range(1, count + 1)}


def _chosen(comfyui: ComfyUI) -> list[int]:
    """Numbers of the GPUs to use; none for the CPU."""
    if comfyui.devices == "cpu":
        return []
    there = gpus_here()
    if comfyui.devices == "auto":
        return there
    if isinstance(comfyui.devices, str):
        raise FarmError(f"comfyui.devices is {comfyui.devices!r}; it may be 'auto', 'cpu' or a list such as [0, 1]")
    if missing := [number for number in comfyui.devices if number not in there]:
        shown = f"only {', '.join(map(str, there))}" if there else "none"
        raise FarmError(
            f"comfyui.devices asks for GPU {missing[0]}, but this machine shows {shown}; 'cpu' works without one"
        )
    return list(comfyui.devices)


def gpus_here() -> list[int]:
    """Numbers of this machine's GPUs as its drivers count them, those of CUDA_VISIBLE_DEVICES where it is set."""
    if (said := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [int(one) for one in said.split(",") if one.strip().isdecimal()]
    for tool, arguments, sign in (("nvidia-smi", ["-L"], "GPU "), ("rocm-smi", ["--showid", "--csv"], "card")):
        if shutil.which(tool):
            try:
                said = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=30, check=False)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if said.returncode == 0:
                return list(range(sum(line.startswith(sign) for line in said.stdout.splitlines())))
    return []
