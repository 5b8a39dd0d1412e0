"""Masks that are painted on a node's preview: which file holds one, and for which pictures it was painted.

A mask editor writes the name of its file into the node's ``image``; only the file's alpha is read. What a node showed
last is known by a hash, so that a mask goes on with the pictures that it was painted on and with no others.
"""

from __future__ import annotations

import ast
import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ..core import Size, resize_mask
from . import host

logger = logging.getLogger("mask_detailer")

NEVER, ALWAYS, SAME_SIZE = "never", "always", "if_same_size"
RESTORE = (NEVER, ALWAYS, SAME_SIZE)
EDITORS_FOLDER = "clipspace"  # of the input folder; where mask editors put their files
MOST_NODES = 256
MOST_FILES = 64  # of a node
MOST_LETTERS = 2000  # of a file's name

Key = tuple[str, str, str]


@dataclass
class _Shown:
    """What a node showed last.

    Attributes:
        pictures: their hash.
        files: each painted file that was seen, by name and state, and the hash of the pictures it was painted on.
    """

    pictures: str
    files: dict[tuple[str, str], str] = field(default_factory=dict)


class Bridges:
    """What each node showed, by client, workflow and node. Any method may be called from any thread."""

    def __init__(self) -> None:
        self._shown: dict[Key, _Shown] = {}
        self._lock = threading.Lock()

    def mask(self, key: Key, image: str | None, pictures: str, size: Size, restore: str) -> torch.Tensor | None:
        """The mask that goes on with these pictures, and remember that they are shown.

        Args:
            image: the name of the painted file, None for none.
            pictures: their hash.
            size: theirs.
            restore: one of ``RESTORE``: what becomes of a mask that was painted on other pictures.

        Returns:
            ``[1,H,W]`` float32 0..1 of that size, None for none or one of zeros.

        Raises:
            ValueError: where the file would lie outside ComfyUI's folders.
        """
        mask = None if image is None else painted(image)
        same_size = mask is not None and tuple(mask.shape[-2:]) == size
        with self._lock:
            before = self._shown.pop(key, None)
            shown = before or _Shown("")
            owner = ""
            if mask is not None and image is not None:
                seen = image, state_of(image)
                # a file that is new was painted on what was shown last; where nothing is known, its size tells
                newest = shown.pictures if before else pictures if same_size else ""
                owner = shown.files.setdefault(seen, newest)
                while len(shown.files) > MOST_FILES:
                    shown.files.pop(next(iter(shown.files)))
            shown.pictures = pictures
            self._shown[key] = shown
            while len(self._shown) > MOST_NODES:
                self._shown.pop(next(iter(self._shown)))
        fits = owner == pictures or restore == ALWAYS or (restore == SAME_SIZE and same_size)
        if mask is None or not fits or not bool(mask.any()):
            return None
        return resize_mask(mask, size)


bridges = Bridges()


def key_of(node: object) -> Key:
    """Of the node that runs, and of the page that queued it."""
    browser = host.server.client_of_prompt()
    return ("", "", str(node)) if browser is None else (browser.client, browser.workflow or "", browser.node)


def hash_of(*tensors: torch.Tensor | None) -> str:
    """Of tensors' shapes and values."""
    made = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            values = tensor.detach().to("cpu", torch.float32).contiguous()
            made.update(repr(tuple(values.shape)).encode())
            made.update(values.numpy().data.cast("B") if values.numel() else b"")
    return made.hexdigest()


def name_of(image: object) -> str | None:
    """The file that a node's ``image`` names, ``sub/name.png [type]``; None where it names none.

    A text that starts with ``$`` is an id that older servers knew. Workflows of 2023 have an object, which ComfyUI may
    hand on as its text.

    Raises:
        TypeError: for what is neither text nor such an object.
    """
    if isinstance(image, str):
        text = image.strip()
        if text[:1] != "{":
            return text if text and text[0] not in "$#" and len(text) <= MOST_LETTERS else None
        image = _read(text)
        if image is None:
            return None
    if not isinstance(image, Mapping) or "filename" not in image:
        raise TypeError("it is no text")
    file, folder, kind = (image.get(name) for name in ("filename", "subfolder", "type"))
    if not isinstance(file, str) or len(file) > MOST_LETTERS:
        return None
    name = f"{folder}/{file}" if isinstance(folder, str) and folder else file
    return f"{name} [{kind}]" if kind in ("input", "temp", "output") else name


def _read(text: str) -> object:
    """An object from its text as JSON or as Python writes it, None where it is neither."""
    if len(text) > MOST_LETTERS:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict) and isinstance(found.get("filename"), str):
            return found
    return None


def painted(name: str) -> torch.Tensor | None:
    """The mask ``[1,h,w]`` in a file, None where there is no such file or it has no alpha.

    Raises:
        ValueError: where the file would lie outside ComfyUI's folders.
    """
    path = host.folders.saved_file(_found(name))
    if not path.is_file():
        logger.info("there is no file %s: nothing is taken as painted", name)
        return None
    try:
        return host.picture_files.read(path)[1]
    except host.picture_files.PictureFileError as error:
        logger.warning("%s: %s; nothing is taken as painted", name, error)
        return None


def state_of(name: str) -> str:
    """What differs once a file is another.

    Raises:
        ValueError, OSError: where it can't be had.
    """
    found = host.folders.saved_file(_found(name)).stat()
    return f"{found.st_mtime_ns} {found.st_size}"


def _found(name: str) -> str:
    """Some mask editors leave out the folder that their files lie in."""
    inside = f"{EDITORS_FOLDER}/{name}"
    if "/" in name or "\\" in name or host.folders.saved_file(name).is_file():
        return name
    return inside if host.folders.saved_file(inside).is_file() else name
