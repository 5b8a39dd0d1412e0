"""What a window doesn't show of its part, beside frames in which nothing hides it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core import Size
from mask_detailer.core.clips.hidden import Hidden
from mask_detailer.core.clips.pose import cut
from mask_detailer.core.clips.sightings import of_mask
from mask_detailer.core.clips.tracks import Track, follow
from mask_detailer.core.clips.windows import Framing, Window, window_of

PICTURE = Size(120, 200)
RADIUS, SPEED = 30, 8.5


def ground(height: int, width: int, seed: int) -> torch.Tensor:
    small = torch.rand(1, 3, height // 6, width // 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic")[0].movedim(0, -1).clamp(0, 1)


def disc(x: float, y: float, radius: float) -> torch.Tensor:
    rows, columns = np.mgrid[: PICTURE.height, : PICTURE.width] + 0.5
    return torch.from_numpy(((columns - x) ** 2 + (rows - y) ** 2 <= radius**2).astype(np.float32))


def scene(middles: list[float], bar: list[float] | None) -> tuple[list[torch.Tensor], list[torch.Tensor], list[Track]]:
    """A disc of a picture that slides over the frames with all that is around it; a bar stands before it.

    Returns:
        the frames, the same without the bar, the tracks of disc and bar.
    """
    wide = ground(PICTURE.height, 3 * PICTURE.width, 1)
    free, frames, seen = [], [], []
    for index, x in enumerate(middles):
        left = round(1.5 * PICTURE.width - x)
        free.append(wide[:, left : left + PICTURE.width])
        mask, before = disc(x, 60, RADIUS), torch.zeros(PICTURE)
        if bar is not None:
            before[:, round(bar[index]) - 7 : round(bar[index]) + 7] = 1.0
        frames.append(torch.where(before[..., None] > 0, torch.tensor([0.9, 0.1, 0.1]), free[-1]))
        seen.append(of_mask(mask * (1 - before), drop_size=20)[:1] + (of_mask(before) if bar is not None else []))
    return frames, free, follow(seen)


def window(track: Track, frames: list[torch.Tensor]) -> Window:
    return window_of(track, frames.__getitem__, PICTURE, Framing(1.3))


def filled(hidden: Hidden, frames: list[torch.Tensor], frame: int) -> torch.Tensor:
    def seen(index: int) -> torch.Tensor:
        return cut(frames[index][None], hidden.window.poses[index], hidden.window.size)

    return hidden.filled(seen(frame), frame, seen)


def test_past_the_border_is_what_other_frames_show() -> None:
    middles = [100 + SPEED * index for index in range(11)]  # at the end the disc is half outside
    frames, _, tracks = scene(middles, None)
    hidden = Hidden(window(tracks[0], frames), PICTURE, ())
    last = len(frames) - 1
    (giver,) = hidden.givers(last)
    assert hidden.givers(2) == []
    truth = cut(frames[giver][None], hidden.window.poses[giver], hidden.window.size)
    before = cut(frames[last][None], hidden.window.poses[last], hidden.window.size)
    after = filled(hidden, frames, last)
    outside = (hidden.of(last)[0] == 1.0) & (hidden.of(giver)[0] == 0.0)
    assert int(outside.sum()) > 500
    assert torch.equal(after[0][outside], truth[0][outside])
    assert float((before - truth)[0][outside].abs().mean()) > 0.05  # mirrored, it is something else
    assert float((after - truth)[0][:, 3:-3].abs().mean()) < 0.01  # the whole window, followed that well


def test_behind_another_part_is_what_other_frames_show() -> None:
    frames, free, tracks = scene([100.0] * 7, [20 + 24 * index for index in range(7)])
    part = max(tracks, key=lambda track: len(track.sightings) * track.sightings[track.first].mask.shape[1])
    others = [track for track in tracks if track is not part]
    own = window(part, frames)
    hidden = Hidden(own, PICTURE, others)
    behind = min(own.areas, key=lambda index: own.areas[index])
    assert len(hidden.givers(behind)) == 2
    truth = cut(free[behind][None], own.poses[behind], own.size)
    covered = torch.from_numpy(own.mask) > 0.5
    made = filled(hidden, frames, behind)
    assert float((cut(frames[behind][None], own.poses[behind], own.size) - truth)[0][covered].abs().max()) > 0.3
    assert float((made - truth)[0][covered].abs().max()) < 1e-5
    around = ~(torch.from_numpy(own.mask) > 0)
    assert torch.equal(made[0][around], cut(frames[behind][None], own.poses[behind], own.size)[0][around])


@pytest.mark.parametrize("bar", [None, [5.0] * 4])
def test_where_nothing_hides_it_nothing_is_filled(bar: list[float] | None) -> None:
    frames, _, tracks = scene([100.0, 101.5, 103.0, 104.5], bar)
    part = max(tracks, key=lambda track: track.sightings[track.first].mask.shape[1])
    hidden = Hidden(window(part, frames), PICTURE, [track for track in tracks if track is not part])
    for frame in range(4):
        shown = cut(frames[frame][None], hidden.window.poses[frame], hidden.window.size)
        assert hidden.filled(shown, frame, lambda _: pytest.fail("it asked for another frame")) is shown
