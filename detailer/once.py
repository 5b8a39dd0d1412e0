"""What is said once a run, however many crops it holds for."""

from __future__ import annotations

import logging

logger = logging.getLogger("mask_detailer")


class Once:
    """Log lines of which each is said once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def info(self, text: str) -> None:
        self._say(logging.INFO, text)

    def warning(self, text: str) -> None:
        self._say(logging.WARNING, text)

    def _say(self, level: int, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.log(level, "%s", text)
