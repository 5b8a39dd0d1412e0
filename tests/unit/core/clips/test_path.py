"""What a window shows of things that were made of a clip's frames at another size."""

from __future__ import annotations

import pytest
import torch
from mask_detailer.core import Region, Size
from mask_detailer.core.clips.path import Path
from mask_detailer.core.clips.pose import Pose, cut, cut_mask

PICTURE, WINDOW = Size(96, 128), Size(40, 48)
WHOLE = Region.whole(PICTURE)
POSES = [Pose(60, 50), Pose(61.3, 47.8), Pose(62.1, 48.4, 0.7, 0.3)]


def ramps(size: Size) -> torch.Tensor:
    """``[1,H,W,2]``: how far right and down each pixel is, 0..1: what resampling leaves as it is."""
    across = ((torch.arange(size.width) + 0.5) / size.width).expand(size.height, -1)
    down = ((torch.arange(size.height) + 0.5) / size.height)[:, None].expand(-1, size.width)
    return torch.stack([across, down], dim=-1)[None]


@pytest.mark.parametrize("pose", POSES, ids=["whole", "between", "turned"])
@pytest.mark.parametrize("scale", [1.0, 0.5, 1.5])
def test_any_resolution_shows_the_same_place(pose: Pose, scale: float) -> None:
    path, size = Path(WINDOW, [pose], [0], PICTURE), Size(*(round(side * scale) for side in PICTURE))
    wanted = cut(ramps(PICTURE), pose, WINDOW)
    assert torch.allclose(path.seen(0, ramps(size), WHOLE), wanted, atol=2e-3)
    assert torch.allclose(path.seen_mask(0, ramps(size)[..., 0], WHOLE), wanted[..., 0], atol=2e-3)
    part = Region(10, 4, 118, 90)  # of which something else was made
    rows, columns = part.slices
    cropped = torch.nn.functional.interpolate(ramps(PICTURE)[:, rows, columns].movedim(-1, 1), scale_factor=scale)
    assert torch.allclose(path.seen(0, cropped.movedim(1, -1), part), wanted, atol=0.02)


def test_of_frames_themselves_it_is_the_cut_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(len(POSES), *PICTURE, 3, generator=generator)
    path = Path(WINDOW, POSES, [4, 5, 6], PICTURE)
    for index, pose in enumerate(POSES):
        assert torch.equal(path.seen(index, frames[index][None], WHOLE), cut(frames[index][None], pose, WINDOW))
        mask = frames[index][None, ..., 0]
        assert torch.allclose(path.seen_mask(index, mask, WHOLE), cut_mask(mask, pose, WINDOW), atol=1e-6)


def test_planes_keep_their_resolution() -> None:
    for pose, size in zip(POSES, (Size(20, 24), Size(20, 24), Size(14, 17)), strict=True):
        path, half = Path(WINDOW, [pose], [0], PICTURE), Size(48, 64)
        made = path.seen_planes(ramps(half).movedim(-1, 1)[None], WHOLE)
        assert made.shape == (1, 1, 2, *size) and path.is_region == (pose is POSES[0])
        wanted = torch.nn.functional.interpolate(cut(ramps(PICTURE), pose, WINDOW).movedim(-1, 1), tuple(size))
        assert (made[0] - wanted).abs().max() < 0.02
    assert Path(WINDOW, POSES[:1], [0], PICTURE).covered == Region(36, 30, 84, 70)
    assert Path(WINDOW, POSES[1:], [0], PICTURE).covered == Region(37, 28, 85, 68)
