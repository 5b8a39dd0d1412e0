"""The farm's log on standard error: as lines for people, or as JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import time


class _Json(logging.Formatter):
    """One object a line: time (UTC), level, text, and the traceback where there is one."""

    converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(), "thread": record.threadName, "message": record.getMessage(),
        }  # fmt: skip
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def to_stderr(form: str, verbose: bool) -> None:
    """``form`` is *lines* or *json*."""
    handler = logging.StreamHandler(sys.stderr)
    lines = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    handler.setFormatter(_Json() if form == "json" else lines)
    logger = logging.getLogger("mask_detailer.farm")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
