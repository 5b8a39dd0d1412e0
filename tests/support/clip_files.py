"""Clips as files: videos, and pictures that move."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from support.pictures import Pixels


def write_video(path: Path, frames: Sequence[Pixels], rate: int = 8, exact: bool = False) -> Path:
    """Frames (``[H,W,3]``, or masks ``[H,W]``; even sides) as a video file; ``exact``: bit for bit, not for players."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264rgb" if exact else "libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24" if exact else "yuv420p"
        stream.options = {"qp": "0"} if exact else {"crf": "16"}
        for frame in frames:
            coloured = np.ascontiguousarray(frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, -1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(coloured, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_moving(path: Path, frames: Sequence[Pixels], rate: int, quality: int = 80) -> Path:
    """Frames ``[H,W,3]`` as an animated WebP that begins again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(
        path, save_all=True, append_images=others, duration=round(1000 / rate), loop=0, quality=quality, method=6
    )
    return path
