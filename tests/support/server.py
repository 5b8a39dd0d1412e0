"""A real ComfyUI with this pack, as a child process that never outlives us."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

SUPPORT = Path(__file__).resolve().parent
CHECKOUT = SUPPORT.parents[1]
PACK = CHECKOUT / ".env" / "link"  # a custom_nodes folder that holds this pack alone, made by dev.py
DEMO_NODES = SUPPORT / "custom_nodes"


class ServerError(RuntimeError):
    """The server did not come up; the text is one line on why."""


def comfyui_folder() -> Path:
    """The ComfyUI that dev.py put on the import path."""
    found = importlib.util.find_spec("folder_paths")
    if found is None or found.origin is None:
        raise ServerError("no ComfyUI on the import path; start through dev.py")
    return Path(found.origin).parent


def free_port() -> int:
    """By chance, from below those that systems give to outgoing connections: nobody takes it before the server does."""
    while not is_free(port := random.SystemRandom().randrange(20_000, 32_000)):
        pass
    return port


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Server:
    """ComfyUI with its models, inputs and outputs below ``base``; use it in a ``with`` statement.

    Args:
        base: folder for models, input, output and user files; made if missing.
        comfyui: the ComfyUI to run; None for the one on the import path.
        port: None for a free one.
        cpu: run without an accelerator.
        node_folders: custom_nodes folders to load besides ``base/custom_nodes``.
        arguments: more of ComfyUI's own.
        log: file for what ComfyUI prints; None shows it on our own standard output.
    """

    def __init__(
        self,
        base: Path,
        *,
        comfyui: Path | None = None,
        port: int | None = None,
        cpu: bool = True,
        node_folders: Sequence[Path] = (PACK, DEMO_NODES),
        arguments: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        self.base = base.resolve()
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._comfyui = comfyui or comfyui_folder()
        self._cpu = cpu
        self._node_folders = node_folders
        self._arguments = arguments
        self._log = log and log.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        for name in ("custom_nodes", "models/checkpoints", "input", "output", "user"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        paths = self.base / "extra_model_paths.yaml"  # YAML reads JSON
        paths.write_text(json.dumps({"mask_detailer": {"custom_nodes": "\n".join(map(str, self._node_folders))}}))
        command = [
            sys.executable,
            str(SUPPORT / "server_child.py"),
            str(self._comfyui),
            *(["--cpu"] if self._cpu else []),
            *("--port", str(self.port)),
            *("--base-directory", str(self.base)),
            *("--extra-model-paths-config", str(paths)),
            *("--database-url", f"sqlite:///{(self.base / 'user' / 'comfyui.db').as_posix()}"),
            "--disable-api-nodes",
            *self._arguments,
        ]
        with self._log.open("wb") if self._log else contextlib.nullcontext() as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT if self._log else None,
                cwd=self.base,
                # Ctrl-C is for us: we end the server by closing its standard input
                start_new_session=sys.platform != "win32",
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
            )

    def wait_until_ready(self, timeout: float = 180.0) -> None:
        """Return when the server answers and our pack is loaded; ServerError when that does not come."""
        assert self._process is not None, "not started"
        give_up = time.monotonic() + timeout
        while not self._answers():
            if self._process.poll() is not None:
                raise ServerError(f"ComfyUI stopped while starting: {self._last_error()}{self._where()}")
            if time.monotonic() > give_up:
                raise ServerError(f"ComfyUI did not answer within {timeout:.0f} s{self._where()}")
            time.sleep(0.05)
        log = self.log_text()
        for folder in self._node_folders:
            if re.search(rf"\(IMPORT FAILED\): {re.escape(str(folder))}", log):
                why = re.search(rf"Cannot import {re.escape(str(folder))}.*?: (.*)", log)
                reason = why[1] if why else "no reason given"
                raise ServerError(f"ComfyUI could not import the pack: {reason}{self._where()}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/system_stats", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def log_text(self) -> str:
        """What ComfyUI printed so far, without colours; nothing where it goes to our own standard output."""
        return re.sub(r"\x1b\[\d*m", "", self._log.read_text(errors="replace")) if self._log else ""

    def _last_error(self) -> str:
        lines = [line.strip() for line in self.log_text().splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
        return (errors or lines or ["it said nothing"])[-1]

    def _where(self) -> str:
        return f" (log: {self._log})" if self._log else ""

    def stop(self) -> None:
        """End the process and wait until it is gone."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Wait until the server ends by itself; its exit status."""
        assert self._process is not None, "not started"
        return self._process.wait()

    def __enter__(self) -> Server:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
