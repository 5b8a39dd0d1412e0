"""Prometheus's text format over HTTP, while a farm runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .errors import FarmError
from .ledger import Ledger
from .runner import Counts
from .status import STATES, look

logger = logging.getLogger("mask_detailer.farm")


def text(ledger: Ledger, counts: Counts) -> str:
    """All metrics: the ledger's items by state, and what this run has done."""
    status = look(ledger)
    found: list[tuple[str, str, str, list[tuple[str, float]]]] = [
        ("items", "gauge", "Items of the job by state", [(f'state="{s}"', status.counts[s]) for s in STATES]),
        ("items_per_second", "gauge", "Speed over the last minute", [("", status.speed or 0.0)]),
        ("done_total", "counter", "Items done by this run", [("", counts.done)]),
        ("failed_total", "counter", "Items failed in this run", [("", counts.failed)]),
        ("tries_total", "counter", "Tries that went wrong in this run", [("", counts.tries)]),
        ("doubled_total", "counter", "Items handed to a second server", [("", counts.doubled)]),
        ("written_bytes_total", "counter", "Bytes of outputs", [("", counts.written)]),
        ("ledger_seconds_total", "counter", "Time spent in the ledger", [("", counts.ledger_seconds)]),
        ("run_seconds", "gauge", "How long this run has worked", [("", counts.seconds)]),
        ("failed_items", "gauge", "Failed items by kind", [(f'kind="{_escaped(k)}"', n) for k, n, _ in status.errors]),
        ("server_done_items", "gauge", "Done items by server",
         [(f'server="{_escaped(name)}"', n) for name, n, _ in status.stations]),
    ]  # fmt: skip
    lines = []
    for name, kind, told, values in found:
        full = f"mask_detailer_farm_{name}"
        lines += [f"# HELP {full} {told}.", f"# TYPE {full} {kind}"]
        lines += [f"{full}{{{labels}}} {value:g}" if labels else f"{full} {value:g}" for labels, value in values]
    return "\n".join(lines) + "\n"


def _escaped(label: object) -> str:
    return str(label).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def serve(where: str, ledger: Path, counts: Callable[[], Counts]) -> ThreadingHTTPServer:
    """Serve at ``[HOST:]PORT`` in a thread; FarmError where that can't be."""
    host, _, port = where.rpartition(":")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.split("?")[0] not in ("/", "/metrics"):
                self.send_error(404)
                return
            opened = Ledger(ledger)
            try:
                body = text(opened, counts()).encode()
            finally:
                opened.close()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            logger.debug("metrics: " + format, *arguments)

    try:
        server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), Handler)
    except (OSError, ValueError, OverflowError) as error:
        raise FarmError(f"--metrics {where} can't be served: {error}") from None
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    logger.info("metrics at http://%s:%d/metrics", *server.server_address[:2])
    return server
