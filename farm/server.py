"""A headless ComfyUI of the farm's own: a process that ends with us, with input and output folders of its own."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .comfy import Client
from .errors import FarmError
from .job import ComfyUI

CHILD = Path(__file__).with_name("child.py")


class StartError(FarmError):
    """A server did not come up."""


@dataclass(frozen=True)
class Recipe:
    """How a server is started: the job's part, its folder for work, and its GPU (None: the CPU)."""

    comfyui: ComfyUI
    work: Path
    gpu: int | None = None


class Server:
    """One process; `start` blocks until it answers."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def log(self) -> Path:
        return self._recipe.work / "comfyui.log"

    def start(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """StartError where it does not come up, or ``stopped`` says that nobody waits for it any more."""
        said = self._recipe.comfyui
        assert said.path is not None
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        work = self._recipe.work
        for name in ("input", "output", "temp", "user"):
            (work / name).mkdir(parents=True, exist_ok=True)
        paths = work / "extra_model_paths.yaml"  # YAML reads JSON
        paths.write_text(json.dumps({"farm": {"custom_nodes": "\n".join(map(str, said.custom_nodes))}}))
        command = [
            str(said.python or sys.executable), str(CHILD), str(said.path), "--port", str(port),
            *(["--base-directory", str(said.base)] if said.base else []),
            *(["--cpu"] if self._recipe.gpu is None else []),
            *(["--extra-model-paths-config", str(paths)] if said.custom_nodes else []),
            "--input-directory", str(work / "input"), "--output-directory", str(work / "output"),
            "--temp-directory", str(work / "temp"), "--user-directory", str(work / "user"),
            "--database-url", "sqlite:///:memory:", "--disable-api-nodes", *said.arguments,
        ]  # fmt: skip
        with self.log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=work,
                    env=self._environment(),
                    start_new_session=sys.platform != "win32",  # Ctrl-C is for us: what runs is to be finished
                    creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
                )  # fmt: skip
            except OSError as error:
                raise StartError(f"{command[0]} can't be run: {error.strerror or error}") from None
        self._wait_until_it_answers(stopped)

    def _environment(self) -> dict[str, str]:
        dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        known = {name: value for name, value in os.environ.items() if name not in dropped}
        gpu = self._recipe.gpu
        chosen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": str(gpu), "HIP_VISIBLE_DEVICES": str(gpu)}
        return known | {"PYTHONUNBUFFERED": "1"} | chosen | dict(self._recipe.comfyui.environment)

    def _wait_until_it_answers(self, stopped: Callable[[], bool]) -> None:
        client, give_up = Client(self.url, 5), time.monotonic() + self._recipe.comfyui.start_seconds
        while not client.answers():
            if not self.lives:
                raise StartError(f"ComfyUI stopped while starting: {self._last_error()} (log: {self.log})")
            if time.monotonic() > give_up or stopped():
                self.kill()
                raise StartError(f"ComfyUI did not answer in {self._recipe.comfyui.start_seconds:.0f} s ({self.log})")
            time.sleep(0.1)

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def _last_error(self) -> str:
        text = re.sub(r"\x1b\[\d*m", "", self.log.read_text(errors="replace"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return (errors or lines or ["it said nothing"])[-1]

    def remove(self, folder: str, name: str) -> None:
        """A file of its outputs, or a folder of its inputs."""
        path = (self._recipe.work / folder / name).resolve()
        if not path.is_relative_to((self._recipe.work / folder).resolve()):
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it at once and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin:
                self._process.stdin.close()

    def stop(self) -> None:
        """End it and wait until it is gone."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _free_port() -> int:
    """By chance, from below those that systems give to outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as one:
            if sys.platform != "win32":
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
