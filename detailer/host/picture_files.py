"""Pictures in files: read with their alpha, and written for a browser."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from ...core import Size, encoded, resize_mask, to_bytes
from .devices import intermediate_device
from .folders import new_outputs, write_whole

LARGEST_SHORT = 65535.0


class PictureFileError(ValueError):
    """A file that is no picture, or can't be read."""


def read(source: Path | bytes) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A picture file's first frame, turned as its EXIF says.

    Returns:
        ``[1,H,W,3]`` float32 0..1, and what its alpha leaves out ``[1,H,W]`` (1 - alpha), None without alpha.

    Raises:
        PictureFileError: for what can't be read as a picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I"):  # grey in 16 bits
                grey = torch.from_numpy(np.array(picture, np.float32)) / LARGEST_SHORT
                return grey.clamp(0.0, 1.0)[None, ..., None].expand(-1, -1, -1, 3).contiguous(), None
            has_alpha = "A" in picture.getbands() or "transparency" in picture.info
            levels = np.array(picture.convert("RGBA" if has_alpha else "RGB"), np.float32)
    except Exception as error:  # whatever a file can do to its reader
        if isinstance(error, MemoryError):
            raise
        raise PictureFileError(f"it can't be read as a picture ({' '.join(str(error).split())[:200]})") from error
    pixels = torch.from_numpy(levels)[None] / 255.0
    device = intermediate_device()
    return pixels[..., :3].to(device), (1.0 - pixels[..., 3]).to(device) if has_alpha else None


def write(pictures: Iterable[torch.Tensor], prefix: str) -> list[dict[str, str]]:
    """Write pictures ``[H,W,3 or 4]`` float 0..1 as PNG files of 8 bits to ComfyUI's folder for previews.

    Returns:
        what a node's ``ui`` says of each, in order.

    Raises:
        ValueError: where the prefix doesn't name files there.
        OSError: where one can't be written.
    """
    written = []
    for picture in pictures:
        pixels = to_bytes(picture)
        path, shown = next(new_outputs(prefix, ".png", Size(*pixels.shape[:2]), "temp"))
        write_whole(path, encoded(pixels, "png"))
        written.append(shown)
    return written


def with_alpha(pictures: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Pictures ``[n,H,W,3 or 4]`` with ``1 - mask`` as their alpha, as mask editors read it, else colours alone.

    Args:
        mask: ``[1,h,w]`` 0..1.
    """
    colours = pictures[..., :3]
    if mask is None:
        return colours
    alpha = 1.0 - resize_mask(mask.to(colours.device), Size(*colours.shape[1:3]))[..., None]
    return torch.cat((colours, alpha.expand(len(colours), -1, -1, -1).to(colours.dtype)), dim=-1)
