"""Pictures as bytes: for models that want them, and as files for a browser. Results never go this way."""

from __future__ import annotations

import io

import numpy as np
import torch

from .region import Size

FORMATS = ("jpeg", "png", "webp")
QUICK = 1  # how hard a PNG is packed, of 9: somebody waits for it
LARGEST_WEBP = 16383  # pixels of a side


def to_bytes(image: torch.Tensor) -> np.ndarray:
    """Float 0..1 of any shape as uint8 0..255 on the CPU, rounded; beyond 0..1 cut off, and 0 for what is no number."""
    levels = image.detach().to(torch.float32).nan_to_num(0.0).clamp(0.0, 1.0).mul(255.0).round()
    return levels.to("cpu", torch.uint8).numpy()


def shrunk_bytes(picture: torch.Tensor, longest: int) -> np.ndarray:
    """A picture ``[h,w,C]`` float 0..1 as uint8 with no side above ``longest``; a smaller one keeps its size."""
    import cv2  # here, since it would double the time it takes to import the pack

    size = Size(*picture.shape[:2])
    stride = max(size.longer // (2 * longest), 1)  # the rest by area: quick, and smooth enough to look at
    pixels = to_bytes(picture[::stride, ::stride])
    size = Size(*pixels.shape[:2])
    if size.longer <= longest:
        return pixels
    height, width = (max(round(side * longest / size.longer), 1) for side in size)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def encoded(pixels: np.ndarray, form: str, quality: int = 80) -> bytes:
    """Pixels ``[h,w,3 or 4]`` uint8 as a file.

    Args:
        form: one of ``FORMATS``.
        quality: 1..100 of JPEG and lossy WebP.

    Raises:
        ValueError: for another format.
    """
    from PIL import Image

    if form not in FORMATS:
        raise ValueError(f"'{form}' is no format of previews; it must be one of {', '.join(FORMATS)}")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=form, quality=quality, compress_level=QUICK)
    return file.getvalue()
