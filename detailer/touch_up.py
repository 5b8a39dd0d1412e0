"""Parts of a picture painted and detailed one after another: what was done, as a text for a workflow, and its pictures.

The text says with which mask and settings each step was made, so that all of them can be made again. A picture that
was made lies in ComfyUI's folder for previews, whole and as floats, under a name that its values give: what is under
that name is what the step made, or it is made again.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import torch

from ..core import encoded, to_bytes
from . import host
from .bridge import hash_of

logger = logging.getLogger("mask_detailer")

FOLDER = "mask_detailer_touch_up"  # of the folder for previews
MOST_BYTES = 2 * 2**30  # of files there; those not asked for longest go first
MOST_LETTERS = 1_000_000  # of a text
_LETTERS_OF_ID = 32
_ID = re.compile(rf"[0-9a-f]{{{_LETTERS_OF_ID}}}")


class HistoryError(ValueError):
    """A text that is no history."""


@dataclass(frozen=True)
class Step:
    """A part that was painted and detailed: all that it takes to do it again.

    Attributes:
        mask: the painted file, as a widget names it.
        text: the part's own prompt; empty for the pipe's.
        seed: as digits, since it may be larger than a page's numbers.
        size: pixels, the working size's shorter side.
        picture: the id of what came of it.
    """

    mask: str
    text: str
    strength: float
    seed: str
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    size: int
    crop_factor: float
    feather: int
    picture: str = ""


@dataclass(frozen=True)
class History:
    """What was done with a picture, step by step.

    Attributes:
        of: the id of the picture that came in; empty where there was none yet.
    """

    of: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def shown(self) -> str:
        """The id of the picture as it is now."""
        return self.steps[-1].picture if self.steps else self.of

    def as_text(self) -> str:
        return json.dumps({"of": self.of, "steps": [asdict(step) for step in self.steps]}, ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> History:
        """The history that a text says; an empty one says none. Settings' ranges are not looked at.

        Raises:
            HistoryError: for anything else.
        """
        if not text.strip():
            return cls()
        if len(text) > MOST_LETTERS:
            raise HistoryError(f"it has more than {MOST_LETTERS} letters")
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise HistoryError("it is no JSON") from error
        of, steps = (said.get("of"), said.get("steps")) if isinstance(said, dict) else (None, None)
        if not isinstance(of, str) or not isinstance(steps, list) or not (of == "" or _ID.fullmatch(of)):
            raise HistoryError("it doesn't say of which picture, and which steps")
        return cls(of, tuple(_step(number, step) for number, step in enumerate(steps, start=1)))


_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}


def _step(number: int, said: object) -> Step:
    if not isinstance(said, dict):
        raise HistoryError(f"step {number} is no object")
    for name, facts in Step.__dataclass_fields__.items():
        value = said.get(name)
        if not isinstance(value, _KINDS[cast(str, facts.type)]) or isinstance(value, bool):
            raise HistoryError(f"step {number} has no {name}, or one that can't be")
    if not _ID.fullmatch(said["picture"]) or not (said["seed"].isdecimal() and said["seed"].isascii()):
        raise HistoryError(f"step {number} has an id or a seed that can't be")
    return Step(**{name: said[name] for name in Step.__dataclass_fields__})


@dataclass(frozen=True)
class Made:
    """What came of a step.

    Attributes:
        picture: ``[1,H,W,3 or 4]`` float32.
        paste_mask: ``[1,H,W]``, what pasting changed.
        crops: the parts as they were decoded, at the size that was sampled, ``[1,h,w,3]`` each.
    """

    picture: torch.Tensor
    paste_mask: torch.Tensor
    crops: Sequence[torch.Tensor] = field(default=())

    @property
    def id(self) -> str:
        return id_of(self.picture, self.paste_mask, *self.crops)


def id_of(*tensors: torch.Tensor) -> str:
    """A name that tensors' shapes and values give."""
    return hash_of(*tensors)[:_LETTERS_OF_ID]


def keep(made: Made) -> str:
    """Keep what came of a step; its id. Where it can't be written a line in the log says so: it can be made again."""
    import safetensors.torch

    name = made.id
    try:
        path = _folder() / f"{name}.safetensors"
        if not path.is_file():
            tensors = {"picture": made.picture, "paste_mask": made.paste_mask}
            tensors |= {f"crop_{number}": crop for number, crop in enumerate(made.crops)}
            plain = {key: tensor.detach().to("cpu", torch.float32).contiguous() for key, tensor in tensors.items()}
            host.folders.write_whole(path, safetensors.torch.save(plain))
        _tidy(path)
    except OSError as error:
        logger.warning("the picture of a touch-up can't be kept (%s); it will be made again where it is wanted", error)
    return name


def kept(name: str) -> Made | None:
    """What was kept under an id; None where it isn't there any more, or is another thing than it was."""
    import safetensors.torch

    path = _folder() / f"{name}.safetensors"
    try:
        found = safetensors.torch.load(path.read_bytes())
        crops = [found[f"crop_{number}"] for number in range(len(found) - 2)]
        made = Made(found["picture"], found["paste_mask"], crops)
        path.touch()
    except Exception as error:  # whatever a file can do to its reader
        if isinstance(error, MemoryError):
            raise
        return None
    if made.id != name:
        return None
    device = host.devices.intermediate_device()
    return Made(made.picture.to(device), made.paste_mask.to(device), [crop.to(device) for crop in crops])


def shown(name: str, picture: torch.Tensor) -> dict[str, str]:
    """A picture ``[1,H,W,3 or 4]`` as a file for the browser, named by its id; what a node's ``ui`` says of it.

    Raises:
        OSError: where it can't be written.
    """
    path = _folder() / f"{name}.png"
    if not path.is_file():
        host.folders.write_whole(path, encoded(to_bytes(picture[0, ..., :3]), "png"))
    return {"filename": path.name, "subfolder": FOLDER, "type": "temp"}


def _folder() -> Path:
    return host.folders.temp_folder(FOLDER)


def _tidy(newest: Path) -> None:
    """Remove those not asked for longest while there are too many bytes of them; never the newest."""
    files = []
    for path in newest.parent.iterdir():
        with suppress(OSError):  # gone meanwhile
            facts = path.stat()
            files.append((facts.st_mtime_ns, facts.st_size, path))
    held = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if held <= MOST_BYTES:
            return
        if path != newest:
            with suppress(OSError):
                path.unlink()
            held -= size
