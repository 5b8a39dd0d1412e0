"""Windows on drawn parts that move over another ground, by known amounts and with masks that shake."""

from __future__ import annotations

import doctest
from itertools import pairwise

import numpy as np
import pytest
import torch
from mask_detailer.core import SEG, Size, from_working_size, mask_to_segs
from mask_detailer.core.clips import spans as spans_module
from mask_detailer.core.clips.pose import Pose, cut, cut_mask, put_back, within
from mask_detailer.core.clips.sightings import of_mask, of_segs
from mask_detailer.core.clips.smoothing import smoothed
from mask_detailer.core.clips.spans import spans
from mask_detailer.core.clips.tracks import follow
from mask_detailer.core.clips.windows import Framing, Measured, Window, window_of
from support.moving import CROSSING, MOTIONS, SIZE, Motion, MovingScene, moving_scene, moving_scenes

WINDOW = Size(40, 52)


def smooth(height: int = 96, width: int = 128) -> torch.Tensor:
    small = torch.rand(1, 3, height // 10, width // 10, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic").movedim(1, -1)


@pytest.mark.parametrize(
    "pose", [Pose(60.3, 47.8), Pose(60.3, 47.8, 1.0, 0.3), Pose(60, 48, 0.7), Pose(60, 48, 0.8, -0.2)]
)
def test_there_and_back_is_where_it_was(pose: Pose) -> None:
    frame = smooth()
    shown, region = cut(frame, pose, WINDOW), pose.covered(WINDOW)
    back = put_back(shown, pose, WINDOW, region)
    inside = within(pose, WINDOW, region, 4.0)[0] >= 1.0
    assert int(inside.sum()) > 400
    assert float((back[0] - frame[0][region.slices])[inside].abs().max()) < 3 / 255
    x, y = pose.seen(pose.x, pose.y, WINDOW)
    assert (x, y) == pytest.approx((WINDOW.width / 2, WINDOW.height / 2))


def test_at_whole_pixels_nothing_is_resampled() -> None:
    frame, pose = smooth(), Pose(60, 48)
    shown, region = cut(frame, pose, WINDOW), pose.region(WINDOW)
    assert region is not None and torch.equal(shown, frame[(slice(None), *region.slices)])
    assert put_back(shown, pose, WINDOW, region) is shown
    mask = torch.rand(1, 96, 128)
    assert torch.equal(cut_mask(mask, pose, WINDOW), mask[(slice(None), *region.slices)])
    beyond = cut(frame, Pose(10, 10), WINDOW)
    assert beyond.shape == shown.shape and torch.equal(beyond[0, 10:, 16:], frame[0, :30, :36])


def test_straight_from_another_size_and_upright_ones_as_turned() -> None:
    frame, region = smooth(), Pose(60.25, 48.5).covered(WINDOW)
    large = cut(frame, Pose(60.25, 48.5, 1 / 3), Size(120, 156))
    back = put_back(large, Pose(60.25, 48.5), WINDOW, region)
    inside = within(Pose(60.25, 48.5), WINDOW, region, 4.0)[0] >= 1.0
    assert float((back[0] - frame[0][region.slices])[inside].abs().max()) < 3 / 255
    upright, hardly = (cut(frame, Pose(60.25, 48.5, 1.0, turn), WINDOW) for turn in (0.0, 1e-9))
    assert torch.allclose(upright, hardly, atol=1e-5)


@pytest.mark.parametrize("size", [Size(100, 130), Size(30, 39)])
def test_the_way_back_is_the_still_detailer_s_kernel(size: Size) -> None:
    picture = torch.rand(1, *size, 3, generator=torch.Generator().manual_seed(2))
    pose = Pose(60, 48)
    back = put_back(picture, pose, WINDOW, pose.covered(WINDOW).padded(1))[:, 1:-1, 1:-1]
    inner = (slice(None), slice(4, -4), slice(4, -4))
    assert torch.allclose(back[inner], from_working_size(picture, WINDOW)[inner], atol=1e-5)


def followed(scene: MovingScene, **framing: float) -> Window:
    frames = [torch.from_numpy(frame) for frame in scene.bad]
    (track,) = follow([of_mask(torch.from_numpy(mask)) for mask in scene.masks])
    return window_of(track, frames.__getitem__, Size(*SIZE), Framing(**{"crop_factor": 1.3, **framing}))


def off(window: Window, motion: Motion) -> np.ndarray:
    """How far each window's middle is from where the same point of the part is."""
    first = next(iter(window.poses.values()))
    centre = complex(SIZE[1] / 2, SIZE[0] / 2)
    made = []
    for frame, pose in window.poses.items():
        right, down, zoom, turn = motion.at(frame)
        expected = centre + complex(right, down) + zoom * np.exp(1j * turn) * (complex(first.x, first.y) - centre)
        made.append(complex(pose.x, pose.y) - expected)
    return np.array(made)


@pytest.mark.parametrize("shake", [2, 0])
@pytest.mark.parametrize("kind", ["translate", "zoom", "turn"])
def test_windows_follow_the_picture_and_not_the_masks(kind: str, shake: int) -> None:
    window = followed(moving_scene(0, MOTIONS[kind], 6, shake))
    away = off(window, MOTIONS[kind])
    assert np.abs(away).max() < 0.1 and np.abs(np.diff(away)).max() < 0.1
    zooms = [pose.zoom for pose in window.poses.values()]
    turns = [pose.turn for pose in window.poses.values()]
    assert np.diff(np.log(zooms)) == pytest.approx(np.log(MOTIONS[kind].zoom), abs=2e-3)
    assert np.diff(turns) == pytest.approx(MOTIONS[kind].turn, abs=2e-3)
    for frame, sighting in window.track.sightings.items():  # the part never leaves it
        assert window.mask_in(frame).sum() == pytest.approx(sighting.area / window.poses[frame].zoom ** 2, rel=0.02)


def at_place(scene: MovingScene, first: Pose, frame: int, start: int) -> complex:
    """Where a frame shows the point of the part that the frame ``start`` shows at a pose."""
    forth, back = scene.places[frame], np.linalg.inv(np.vstack([scene.places[start], [0, 0, 1]]))
    x, y, _ = np.vstack([forth, [0, 0, 1]]) @ back @ (first.x - 0.5, first.y - 0.5, 1.0)
    return complex(x + 0.5, y + 0.5)


@pytest.mark.parametrize("shake", [0, 2])
def test_a_part_is_followed_behind_another_by_what_is_left_of_it(shake: int) -> None:
    """A weave that a face as large as it passes before: of some frames' weave hardly a rim is in sight."""
    parts = moving_scenes({0: CROSSING[0], 4: CROSSING[1]}, 7, shake)
    for part in parts:
        masks = torch.from_numpy(part.masks)
        frames = [torch.from_numpy(frame) for frame in part.bad]
        segs = [(tuple(SIZE), [SEG(None, mask[None].numpy(), 1.0, [0, 0, SIZE[1], SIZE[0]], (0, 0, 1, 1), "")])
                for mask in masks]  # fmt: skip
        (track,) = follow([of_segs(one, Size(*SIZE)) for one in segs])
        window = window_of(track, frames.__getitem__, Size(*SIZE), Framing(1.3))
        first = window.poses[0]
        away = [complex(pose.x, pose.y) - at_place(part, first, frame, 0) for frame, pose in window.poses.items()]
        assert np.abs(away).max() < 0.1, part.kind


@pytest.mark.parametrize("shake", [0, 2])
def test_a_part_that_the_border_cuts_off_is_followed_by_what_is_left_of_it(shake: int) -> None:
    """It jumps by 40 pixels a frame, half of it leaves, all of it is gone in one frame, and it comes back."""
    scene = moving_scene(0, MOTIONS["over the border"], 6, shake)
    window = followed(scene)
    away = [
        abs(complex(pose.x, pose.y) - at_place(scene, window.poses[0], frame, 0))
        for frame, pose in window.poses.items()
        if frame != 3
    ]
    assert max(away) < 0.1 and window.lost == {3}


def test_what_stands_still_has_the_still_picture_s_region() -> None:
    (seg,) = mask_to_segs(torch.from_numpy(moving_scene(4, Motion(), 1).masks), False, 1.3, False)[1]
    region = followed(moving_scene(4, Motion(), 4)).region
    assert region is not None and region.as_list() == seg.crop_region
    shaken = followed(moving_scene(4, Motion(), 5, 2)).region
    assert shaken is not None and np.abs(np.subtract(shaken.as_list(), seg.crop_region)).max() <= 2


@pytest.mark.parametrize("kind", ["still", "zoom"])
def test_a_window_is_as_large_as_a_typical_frame_s_region_and_holds_all_masks(kind: str) -> None:
    scene = moving_scene(0, MOTIONS[kind], 5)
    steady = followed(scene, crop_factor=2.0)
    rows, columns = (np.flatnonzero(scene.masks[2].any(axis=axis)) for axis in (1, 0))
    scene.masks[2, rows[0] - 40 : rows[0], columns[0] : columns[-1]] = 1.0
    odd = followed(scene, crop_factor=2.0, margin=3)
    assert np.abs(np.subtract(odd.typical.size, steady.typical.size)).max() <= 1
    assert np.abs(np.subtract(odd.typical.size, steady.box.size)).max() <= 2
    assert odd.size.width - steady.size.width <= 1 and odd.box.padded(2).inside(odd.size)
    assert odd.box.height >= odd.typical.height + 35


def test_a_gap_is_filled() -> None:
    scene = moving_scene(0, MOTIONS["translate"], 6)
    scene.masks[2:4] = 0.0
    window = followed(scene)
    assert window.track.gaps == (2, 3)
    assert np.abs(off(window, MOTIONS["translate"])).max() < 0.1  # it is there, though no mask says so
    assert window.mask_in(2).sum() == pytest.approx(float(window.mask_in(1).sum()), rel=0.01)
    assert window.lost == frozenset()


@pytest.mark.parametrize("case", [0, 3, 4])
def test_what_is_gone_is_told_from_what_no_mask_shows(case: int) -> None:
    window = followed(moving_scene(case, MOTIONS["translate"], 6, hidden=(2, 3)))
    assert window.track.gaps == (2, 3) and window.lost == {2, 3}


def test_the_surer_a_measure_the_more_it_counts() -> None:
    def at(x: float, doubt: float) -> Measured:
        return Measured(np.array([x, 0, 0, 0]), np.full(4, doubt))

    sure = smoothed({i: at(i * 2 + (i == 5), 0.01) for i in range(10)})
    assert sure[5][0] == pytest.approx(11, abs=0.01)
    vague = smoothed({i: at(i * 2 + 6 * (i == 5), 5.0) for i in range(10)}, 10.0)
    assert abs(vague[5][0] - 10) < 1.5
    turned = smoothed({i: at(40.0 * abs(i - 5), 0.05) for i in range(10)})  # to and fro by 40 a frame
    assert turned[5][0] == pytest.approx(0, abs=0.02) and turned[4][0] == pytest.approx(40, abs=0.02)
    filled = smoothed({i: at(i * 2, 0.1) if i not in (3, 4) else None for i in range(10)})
    assert filled[4][0] == pytest.approx(8, abs=0.01)
    assert smoothed({0: at(1, 1), 1: None})[1][0] == 1


@pytest.mark.parametrize("smoothing", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("gap", [1, 2, 40, 1000])
@pytest.mark.parametrize("jump", [0.0, 3.0, 5000.0])
def test_a_path_over_gaps_and_jumps_has_always_an_answer(smoothing: float, gap: int, jump: float) -> None:
    """Places before and after stay where they are sure; between, and where doubt has no end, the path goes straight."""
    known, vague = np.full(4, 0.01), np.full(4, np.inf)
    measures: dict[int, Measured | None] = {0: Measured(np.zeros(4), known), 1: Measured(np.zeros(4), known)}
    measures |= dict.fromkeys(range(2, 2 + gap))
    end = 2 + gap
    measures |= {end: Measured(np.array([jump, 0, 0, 0]), known), end + 1: Measured(np.array([jump, 0, 0, 0]), vague)}
    measures[end + 2] = Measured(np.array([jump, 0, 0, 0]), known)
    path = smoothed(measures, smoothing)
    assert all(np.isfinite(place).all() for place in path.values())
    if smoothing <= 1.0:
        assert path[1][0] == pytest.approx(0, abs=0.05) and path[end][0] == pytest.approx(jump, abs=0.05)
    low, high = min(0.0, jump) - 0.3 * jump - 0.1, max(0.0, jump) + 0.3 * jump + 0.1
    assert all(low <= place[0] <= high for place in path.values())


@pytest.mark.parametrize(("count", "length", "overlap"), [(10, 20, 4), (21, 9, 3), (50, 7, 6), (9, 8, 0), (3, 1, 0)])
def test_spans_cover_all_frames_evenly(count: int, length: int, overlap: int) -> None:
    laid = spans(count, length, overlap)
    sums = np.zeros(count)
    for span in laid:
        sums[span.first : span.last] += span.weights
    assert np.allclose(sums, 1.0) and laid[0].first == 0 and laid[-1].last == count
    assert all(a.last - b.first >= overlap for a, b in pairwise(laid))
    steps = [np.abs(np.diff(span.weights)).max(initial=0.0) for span in laid]
    assert not overlap or max(steps) <= 2 / overlap
    assert doctest.testmod(spans_module).failed == 0
