"""The server library itself: what it says when ComfyUI or the pack does not come up, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.server import Server, ServerError, free_port, is_free


def pretended_comfyui(folder: Path, main: str) -> Path:
    folder.mkdir()
    (folder / "main.py").write_text(main)
    return folder


ANSWERS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def test_a_server_that_dies_says_why(tmp_path: Path) -> None:
    comfyui = pretended_comfyui(tmp_path / "comfyui", "import no_such_module")
    log = tmp_path / "log"
    server = Server(tmp_path / "base", comfyui=comfyui, log=log)
    server.start()
    with pytest.raises(ServerError) as error:
        server.wait_until_ready()
    server.stop()
    wanted = f"ComfyUI stopped while starting: ModuleNotFoundError: No module named 'no_such_module' (log: {log})"
    assert str(error.value) == wanted


def test_a_pack_that_fails_says_why(tmp_path: Path) -> None:
    pack = tmp_path / "packs"
    said = (
        f"print('Cannot import {pack}/mine module for custom nodes: boom')\n"
        f"print('   0.0 seconds (IMPORT FAILED): {pack}/mine', flush=True)\n"
    )
    comfyui = pretended_comfyui(tmp_path / "comfyui", said + ANSWERS)
    with (
        pytest.raises(ServerError, match=r"^ComfyUI could not import the pack: boom \(log: .*\)$"),
        Server(tmp_path / "base", comfyui=comfyui, node_folders=[pack], log=tmp_path / "log"),
    ):
        pass


def test_stop_frees_the_port(tmp_path: Path) -> None:
    comfyui = pretended_comfyui(tmp_path / "comfyui", ANSWERS)
    with Server(tmp_path / "base", comfyui=comfyui, log=tmp_path / "log") as server:
        assert not is_free(server.port)
        process = psutil.Process(server.pid)
    assert is_free(server.port) and not process.is_running()


def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    """No clean-up runs in a process that is killed outright."""
    comfyui = pretended_comfyui(tmp_path / "comfyui", ANSWERS)
    port = free_port()
    script = f"""
import time
from pathlib import Path
from support.server import Server
base = Path({str(tmp_path)!r})
with Server(base / "base", comfyui=Path({str(comfyui)!r}), port={port}, log=base / "log") as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""
    tests = str(Path(__file__).parents[1])
    starter = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": tests}
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    starter.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    starter.wait(10)
    starter.stdout.close()
    give_up = time.monotonic() + 60
    while psutil.pid_exists(pid) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid) and is_free(port)
