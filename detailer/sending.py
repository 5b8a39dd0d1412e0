"""What sender nodes tell the page that queued the prompt, for its receiver nodes; never another page."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np

from . import host

VALUE, IMAGE, LATENT = "value-send", "img-send", "latent-send"
"""The events, by the names that other packs' receivers know too."""

KINDS = ("STRING", "INT", "FLOAT", "BOOLEAN")


def send(event: str, link_id: int, about: Mapping[str, object]) -> None:
    """Tell the page that queued the running prompt; nothing where none is connected.

    Args:
        link_id: receivers with the same number take it. It goes as text too: it may be larger than a page's numbers.
        about: something for JSON.
    """
    browser = host.server.client_of_prompt()
    if browser is not None and browser.is_connected:
        browser.send(event, {"link_id": link_id, "link": str(link_id), **about})


def plain(value: object) -> tuple[str, str | int | float | bool | None] | None:
    """(kind, value) of what JSON can hold, None for all else; kind is one of ``KINDS``. Nothing is an empty text."""
    if value is None:
        return "STRING", None
    if isinstance(value, str):
        return "STRING", str(value)
    if isinstance(value, bool | np.bool_):
        return "BOOLEAN", bool(value)
    if isinstance(value, Integral):
        return ("INT", int(value)) if abs(int(value)) < 2**64 else None
    if isinstance(value, Real):
        number = float(value)
        return ("FLOAT", number) if math.isfinite(number) else None
    return None


def hash_of(text: str) -> str:
    """What differs once a long text is another."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def parsed(text: str, kind: str) -> str | int | float | bool:
    """A text as a value of one of ``KINDS``; a switch is on where it says ``true``, in any case.

    Raises:
        ValueError: where it is no number, or no whole one.
    """
    if kind == "STRING":
        return text
    if kind == "BOOLEAN":
        return text.strip().lower() == "true"
    if len(text) > 100:
        raise ValueError("too long")
    if kind == "INT":
        try:
            return int(text)
        except ValueError:
            number = float(text)
            if not number.is_integer():
                raise
            return int(number)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number
