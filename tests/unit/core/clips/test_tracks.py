"""Parts followed over drawn frames: who is who is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_detailer.core import Region
from mask_detailer.core.clips.sightings import Sighting, alike, looked_at, of_mask, overlap, unpacked
from mask_detailer.core.clips.tracks import follow

HEIGHT, WIDTH = 120, 240


def disc(x: float, y: float, radius: float = 12) -> torch.Tensor:
    rows, columns = torch.arange(HEIGHT)[:, None] + 0.5, torch.arange(WIDTH) + 0.5
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).float()


def seen(*discs: tuple[float, float, float], look: np.ndarray | None = None) -> list[Sighting]:
    """Each disc by itself, however they overlap."""
    found = [one for x, y, radius in discs for one in of_mask(disc(x, y, radius))]
    return found if look is None else [Sighting(one.region, one.mask, "", look) for one in found]


def centres(track) -> list[float]:
    return [round(one.centre[0]) for one in track.sightings.values()]


@pytest.mark.parametrize("speed", [2, 5, 9])
@pytest.mark.parametrize("apart", [0, 6])
def test_parts_that_cross_keep_who_they_are(speed: int, apart: int) -> None:
    steps = range(0, 180 // speed)
    frames = [seen((30 + speed * i, 60, 12), (210 - speed * i, 60 + apart, 12)) for i in steps]
    tracks = follow(frames)
    assert len(tracks) == 2
    assert centres(tracks[0]) == [30 + speed * i for i in steps]
    assert centres(tracks[1]) == [210 - speed * i for i in steps]


@pytest.mark.parametrize("seed", range(5))
def test_they_keep_it_where_masks_shake(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shaken = lambda x, y: (x + rng.integers(-2, 3), y + rng.integers(-2, 3), 12)  # noqa: E731
    frames = [seen(shaken(30 + 4 * i, 55), shaken(210 - 4 * i, 65)) for i in range(45)]
    tracks = follow(frames)
    assert len(tracks) == 2
    assert all(abs(x - 30 - 4 * i) < 4 for i, x in enumerate(centres(tracks[0])))


def test_one_behind_another_comes_out_as_itself() -> None:
    frames = []
    for i in range(40):
        front, behind = (30 + 4 * i, 60, 12), (200 - 4 * i, 60, 12)
        frames.append(seen(front) if abs(front[0] - behind[0]) < 20 else seen(front, behind))
    tracks = follow(frames, gap=8)
    assert len(tracks) == 2 and tracks[1].gaps
    assert centres(tracks[1])[-1] == 200 - 4 * 39


def test_gaps_up_to_the_limit_are_bridged() -> None:
    def clip(gap: int) -> list[list[Sighting]]:
        return [seen((40 + 2 * i, 60, 12)) if not 5 <= i < 5 + gap else [] for i in range(20)]

    (one,) = follow(clip(4), gap=4)
    assert one.gaps == (5, 6, 7, 8) and one.frames == range(20)
    assert [one.nearest(frame) for frame in (3, 5, 8)] == [3, 4, 9]
    assert len(follow(clip(5), gap=4)) == 2
    assert len(follow(clip(1), gap=0)) == 2


def test_a_cut_ends_a_track() -> None:
    tracks = follow([seen((40, 60, 12))] * 10, cuts=(4,))
    assert [(track.first, track.last, track.shot) for track in tracks] == [(0, 3, (0, 4)), (4, 9, (4, 10))]


def test_looks_tell_apart_what_places_do_not() -> None:
    red, blue = np.eye(64)[3], np.eye(64)[40]
    away = [seen((40, 60, 12), look=red) + seen((90, 60, 12), look=blue)] * 3
    swapped = [seen((65, 62, 12), look=blue) + seen((65, 58, 12), look=red)] * 2
    first, second = follow([*away, [], *swapped])
    assert first.sightings[5].look is red and second.sightings[5].look is blue


def test_another_label_is_another_part() -> None:
    one, other = (Sighting(s.region, s.mask, label) for s, label in zip(seen((40, 60, 12)) * 2, "ab", strict=True))
    assert [track.label for track in follow([[one], [other]])] == ["a", "b"]


def test_what_a_sighting_says() -> None:
    (one,) = of_mask(disc(40.5, 60.5, 12))
    assert one.centre == pytest.approx((40.5, 60.5)) and one.region == Region(28, 48, 53, 73)
    assert overlap(one, one) == 1.0 and overlap(one, one, 30) == 0.0
    frame = torch.zeros(HEIGHT, WIDTH, 3)
    frame[..., 0] = 1.0
    (red,) = looked_at([one], frame)
    (black,) = looked_at([one], frame * 0)
    assert alike(red, red) == pytest.approx(1.0) and alike(red, black) == 0.0 and alike(one, red) == 1.0
    joined = Sighting.joined(seen((40, 60, 12), (90, 60, 12)), "two")
    assert joined.label == "two" and joined.area == pytest.approx(2 * one.area, rel=0.02)


def test_packed_masks_are_those_of_sam3() -> None:
    masks = np.random.default_rng(0).random((2, 8, 16)) > 0.5
    packed = np.packbits(masks, axis=-1, bitorder="little")
    assert np.array_equal(unpacked(packed), masks.astype(np.float32))
