"""The demo's clip, and clips as files."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image
from support.clip_files import write_moving, write_video
from support.fair_clip import SHAKE, SIZE, fair_clip

FRAMES = 3


def test_the_clip_and_its_files(tmp_path: Path) -> None:
    """What is blurred lies under the masks, and moves; ComfyUI gets the clip bit for bit."""
    clip = fair_clip(FRAMES)
    assert clip.bad.shape == clip.good.shape == (FRAMES, SIZE[1], SIZE[0], 3) and clip.bad.dtype == np.uint8
    near = np.ones((2 * SHAKE + 1, 2 * SHAKE + 1), np.uint8)
    for good, bad, mask in zip(clip.good, clip.bad, clip.masks, strict=True):
        changed = (good != bad).any(axis=-1)
        assert changed.sum() > 5000 and not changed[cv2.dilate(mask, near) == 0].any()
        assert cv2.connectedComponents(mask)[0] == 3  # the ground and two parts
    assert not np.array_equal(clip.masks[0], clip.masks[1])
    video = write_video(tmp_path / "exact.mp4", [*clip.bad], 10, exact=True)
    with av.open(str(video)) as opened:
        read = np.stack([frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)])
    assert np.array_equal(read, clip.bad)
    with Image.open(write_moving(tmp_path / "moving.webp", [*clip.bad], 10)) as moving:
        assert (moving.n_frames, moving.info["loop"]) == (FRAMES, 0)  # type: ignore[attr-defined]
