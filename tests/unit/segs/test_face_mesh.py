"""Drawn face meshes as segments: exact colours, hulls, order, frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from mask_detailer.segs import to_combined_mask
from mask_detailer.segs.face_mesh import MESH_COLOURS, MOST_TOLERANCE, MeshCrops, mesh_segs
from scipy.spatial import Delaunay

SIZE = (60, 90)
PLAIN = MeshCrops(crop_factor=1.0, crop_min_size=1, drop_size=1)


def drawn(*stretches: tuple[Any, tuple[int, int, int, int]]) -> torch.Tensor:
    """Boxes of colours, by a part's name or as levels, on black; bytes as ComfyUI loads them."""
    levels = np.zeros((*SIZE, 3), np.uint8)
    for colour, (x1, y1, x2, y2) in stretches:
        levels[y1:y2, x1:x2] = MESH_COLOURS.get(colour, colour) if isinstance(colour, str) else colour
    return torch.from_numpy(levels.astype(np.float32) / 255.0)[None]


def boxes(image: torch.Tensor, parts: Any = MESH_COLOURS, crops: MeshCrops = PLAIN, **more: int) -> list[Any]:
    size, segs = mesh_segs(image, parts, crops, **more)
    assert size == SIZE
    return [(seg.label, seg.bbox) for seg in segs]


def test_every_part_has_its_colour_and_place() -> None:
    """All parts at once, drawn from right to left: the order is the parts', not the picture's."""
    places = {part: (80 - 10 * at, 5, 88 - 10 * at, 15) for at, part in enumerate(MESH_COLOURS)}
    image = drawn(*places.items())
    assert boxes(image) == list(places.items())
    for part in MESH_COLOURS:
        assert boxes(image, [part]) == [(part, places[part])]
    seg = mesh_segs(image, ["mouth"], PLAIN)[1][0]
    assert (seg.confidence, seg.cropped_image, seg.control_net_wrapper) == (1.0, None, None)


def test_colours_of_the_contract() -> None:
    assert MESH_COLOURS == {
        "face": (10, 200, 10), "mouth": (10, 180, 10), "left_eyebrow": (180, 220, 10), "left_eye": (180, 200, 10),
        "left_pupil": (250, 200, 10), "right_eyebrow": (10, 220, 180), "right_eye": (10, 200, 180),
        "right_pupil": (10, 200, 250),
    }  # fmt: skip


def test_all_levels_survive() -> None:
    levels = torch.arange(256).expand(1, 2, 256) / 255.0
    assert torch.equal((levels * 255.0).to(torch.int16), torch.arange(256, dtype=torch.int16).expand(1, 2, 256))


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("step", [-1, 1])
def test_a_colour_one_off_is_nothing_unless_tolerated(channel: int, step: int) -> None:
    colour = list(MESH_COLOURS["face"])
    colour[channel] += step
    image = drawn((colour, (10, 10, 30, 30)))
    assert mesh_segs(image, MESH_COLOURS, PLAIN) == (SIZE, [])
    assert boxes(image, tolerance=1) == [("face", (10, 10, 30, 30))]


def test_tolerated_colours_are_told_apart() -> None:
    colours = np.array(list(MESH_COLOURS.values()))
    apart = np.abs(colours[:, None] - colours[None]).max(axis=-1)[~np.eye(len(colours), dtype=bool)]
    assert apart.min() > 2 * MOST_TOLERANCE


def test_the_lowest_of_a_part_comes_first() -> None:
    one, two = (10, 5, 20, 12), (40, 30, 55, 40)
    assert boxes(drawn(("face", one), ("face", two))) == [("face", two), ("face", one)]


def test_holes_vanish_and_dents_fill_up() -> None:
    """Against the hull by SciPy, of the drawn pixels' centres."""
    image = drawn(("face", (10, 10, 40, 50)), ((0, 0, 0), (15, 15, 20, 20)), ((0, 0, 0), (25, 10, 40, 35)))
    (seg,) = mesh_segs(image, ["face"], PLAIN)[1]
    points = np.argwhere((image[0] * 255).round().numpy()[..., 1] == 200)
    everywhere = np.argwhere(np.ones(SIZE))
    wanted = (Delaunay(points).find_simplex(everywhere) >= 0).reshape(SIZE)
    made = to_combined_mask((SIZE, [seg]))[0].numpy()
    assert set(np.unique(made)) == {0.0, 1.0}
    assert (made[wanted] == 1.0).all()
    assert made.sum() - wanted.sum() <= 25  # OpenCV takes pixels that the slanted edge touches


def test_dilation_moves_the_rectangle() -> None:
    image = drawn(("face", (20, 20, 40, 30)))
    assert boxes(image, crops=replace(PLAIN, dilation=5)) == [("face", (18, 18, 42, 32))]
    assert boxes(image, crops=replace(PLAIN, dilation=-5)) == [("face", (22, 22, 38, 28))]
    assert boxes(image, crops=replace(PLAIN, dilation=-30)) == []


def test_what_the_crops_say() -> None:
    image = drawn(("mouth", (20, 20, 40, 30)), ((0, 0, 0), (20, 20, 30, 25)))
    seg = mesh_segs(image, ["mouth"], MeshCrops(2.0, 50, 1, 0, True))[1][0]
    assert seg.crop_region == [5, 0, 55, 50] and float(np.asarray(seg.cropped_mask).sum()) == 200
    assert boxes(image, crops=replace(PLAIN, drop_size=9)) == [("mouth", (20, 20, 40, 30))]
    assert boxes(image, crops=replace(PLAIN, drop_size=10)) == []


def test_frame_by_frame() -> None:
    one, two = drawn(("face", (10, 10, 30, 30)), ("mouth", (40, 10, 50, 20))), drawn(("face", (50, 40, 70, 55)))
    clip = torch.cat([one, two])
    before = clip.clone()
    assert boxes(clip) == boxes(one) + boxes(two)
    assert torch.equal(clip, before)
    assert boxes(torch.cat([clip, torch.ones(2, *SIZE, 1)], dim=-1)) == boxes(clip)
