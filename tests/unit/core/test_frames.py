"""Crops of several frames: each comes out of every function as it would alone, or all are changed alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mask_detailer.core import Region, Size, Turn, blur_mask, covered_region, dilate_mask, joined, paste_, resample
from mask_detailer.core import resize_mask as resized
from mask_detailer.core.blend import BLENDS, paste_mask, seamless
from mask_detailer.core.fill import FILLS, filled
from mask_detailer.core.frames import alike, alone, by_frame
from mask_detailer.core.masks import RAMPS
from mask_detailer.core.reflect import cut_mirrored, moved_mask
from mask_detailer.core.surroundings.colour import COLOUR_MATCHES, match_colour
from mask_detailer.core.surroundings.grain import match_detail
from mask_detailer.core.surroundings.registration import measure_drift, undo_drift
from mask_detailer.core.surroundings.ring import ring_of
from unit.parts import disc, scenery

SIZE = Size(117, 131)
REGION = Region(3, 0, 3 + SIZE.width, SIZE.height)
PICTURE = Size(SIZE.height + 8, SIZE.width + 9)
ANGLE = Turn(0.4, (60.3, 55.2))


def changed(frame: int) -> torch.Tensor:
    """A crop as it came out: tinted, moved and softer, in each frame otherwise."""
    before = scenery(*SIZE, seed=10 + frame)
    moved = torch.roll(before, (frame, 2 - frame), dims=(1, 2))
    grain = 0.02 * torch.randn(before.shape, generator=torch.Generator().manual_seed(frame))
    return ((moved + 0.02 * frame) * (1.05 - 0.03 * frame) + grain).clamp(0, 1)


BEFORE = torch.cat([scenery(*SIZE, seed=10 + frame) for frame in range(3)])
REFINED = torch.cat([changed(frame) for frame in range(3)])
MASK = torch.cat([disc(*SIZE, 20 + 9 * frame) for frame in range(3)])
SOFT = blur_mask(MASK, 7)

Change = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Any]


def pasted(before: torch.Tensor, refined: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(len(before), *PICTURE, 3)
    paste_(out, refined, alpha, REGION)
    return out


# Of a crop before and after, and of a soft mask.
CHANGES: dict[str, Change] = {
    **{
        f"fill {how}": lambda before, refined, mask, how=how: filled(before, mask, how, seed=5)  # type: ignore[misc]
        for how in FILLS
    },
    **{
        f"blend {method}": lambda before, refined, mask, method=method: seamless(  # type: ignore[misc]
            before, refined, mask, method, 12, REGION.open_sides(PICTURE)
        )
        for method in BLENDS
    },
    **{
        f"paste mask {ramp}": lambda before, refined, mask, ramp=ramp: paste_mask(mask, 9, ramp, 3)  # type: ignore[misc]
        for ramp in RAMPS
    },
    "ring": lambda before, refined, mask: ring_of(mask, None, dilate_mask(mask, 5)),
    "paste": pasted,
    "enlarged": lambda before, refined, mask: resample(before, Size(201, 190)),
    "shrunk": lambda before, refined, mask: resample(before, Size(50, 41)),
    "blurred": lambda before, refined, mask: blur_mask(mask, 11, 4.0),
    "dilated": lambda before, refined, mask: dilate_mask(mask, -6),
    "mask enlarged": lambda before, refined, mask: resized(mask, Size(203, 157)),
    "mask shrunk": lambda before, refined, mask: resized(mask, Size(31, 77)),
    "mask moved": lambda before, refined, mask: moved_mask(mask, REGION, Region(-9, 20, 100, 140)),
    "mirrored": lambda before, refined, mask: cut_mirrored(before, Region(-20, 30, 90, 150)),
    "joined": lambda before, refined, mask: joined([torch.zeros(1, 60, 80, 3), before])[1:],
    "upright": lambda before, refined, mask: ANGLE.upright(before),
    "turned back": lambda before, refined, mask: ANGLE.back(refined),
    "mask upright": lambda before, refined, mask: ANGLE.upright_mask(mask),
}


# The same, but measured over all frames: of the crop before and after, of the ring, and whether after is written to.
CORRECTIONS: dict[str, Callable[..., tuple[torch.Tensor, str]]] = {
    **{
        match: lambda before, refined, ring, in_place=False, match=match: match_colour(  # type: ignore[misc]
            before, refined, ring, match, 0.2, in_place
        )
        for match in COLOUR_MATCHES
        if match != "off"
    },
    "drift": undo_drift,
    "detail": lambda before, refined, ring, in_place=False: match_detail(before, refined, ring, 7, in_place),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_frame_is_what_it_is_alone(name: str) -> None:
    change = CHANGES[name]
    together = change(BEFORE, REFINED, SOFT)
    assert len(together) == 3
    frames = zip(BEFORE.split(1), REFINED.split(1), SOFT.split(1), strict=True)
    for index, frame in enumerate(frames):
        assert torch.equal(together[index : index + 1], change(*frame)), index
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("name", ["paste", *(name for name in CHANGES if name.split()[0] in ("fill", "blend"))])
def test_one_mask_serves_all_frames(name: str) -> None:
    change = CHANGES[name]
    assert torch.equal(change(BEFORE, REFINED, SOFT[:1]), change(BEFORE, REFINED, SOFT[:1].expand(3, -1, -1)))


@pytest.mark.parametrize("name", ["fill original", "blend feather"])
def test_what_is_left_as_it_is_is_the_same_object(name: str) -> None:
    given = {"fill original": BEFORE}.get(name, REFINED)
    assert CHANGES[name](BEFORE, REFINED, SOFT) is given


def test_frames_of_which_some_stay() -> None:
    """The second has no mask at all."""
    mask = SOFT.clone()
    mask[1] = 0.0
    made = filled(BEFORE, mask, "neutral")
    assert torch.equal(made[1], BEFORE[1]) and not torch.equal(made[0], BEFORE[0])
    blended = seamless(BEFORE, REFINED, mask, "gradient", 9, REGION.open_sides(PICTURE))
    assert torch.equal(blended[1], REFINED[1]) and not torch.equal(blended[2], REFINED[2])


def test_the_noise_lies_the_same_in_every_frame() -> None:
    """So that texture stands still in a clip."""
    still = BEFORE[:1].expand(3, -1, -1, -1)
    made = filled(still, SOFT[:1], "noise", seed=3)
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])
    soft = REFINED[:1].expand(3, -1, -1, -1)
    grown = match_detail(still, soft, ring_of(SOFT[:1]), 3)[0]
    assert torch.equal(grown[0], grown[2]) and not torch.equal(grown[0], soft[0])


def test_drift_is_measured_frame_by_frame() -> None:
    ring = ring_of(MASK)
    found = measure_drift(BEFORE, REFINED, ring)
    for frame, drift in enumerate(found):
        assert (round(drift.dx), round(drift.dy)) == (2 - frame, frame)
    alone_too = [measure_drift(*frame)[0] for frame in alone(BEFORE, REFINED, ring)]
    assert list(found) == alone_too


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_correction_is_one_for_all_frames(name: str) -> None:
    """The part is the same in all of a clip's frames, its surroundings shake: alone each would come out otherwise."""
    correct, ring, inside = CORRECTIONS[name], ring_of(MASK[:1]), MASK[0] > 0
    shaking = torch.Generator().manual_seed(1)
    before = (BEFORE[:1] + 0.03 * torch.randn(4, *SIZE, 3, generator=shaking)).clamp(0, 1)
    planted = torch.cat([resample(resample(one, Size(50, 60)), SIZE) for one in before.split(1)])
    planted = (torch.roll(planted, (1, 2), dims=(1, 2)) * 0.9 + 0.05).clamp(0, 1)
    planted[:, inside] = planted[0, inside]
    made, said = correct(before, planted, ring)
    assert "(over 4 frames)" in said and not torch.equal(made[:, inside], planted[:, inside])
    middle = dilate_mask(MASK[:1], -15)[0] > 0
    assert torch.equal(made[:, middle], made[:1, middle].expand(4, -1, -1))
    each = torch.cat([correct(*frame)[0] for frame in alone(before, planted, ring)])
    assert (each - each[:1])[:, middle].abs().amax(dim=(1, 2))[1:].min() > 1e-5
    assert torch.equal(correct(before, planted, ring.expand(4, -1, -1))[0], made)
    written = planted.clone()
    assert correct(before, written, ring, True)[0] is written and torch.equal(written, made)


def test_frames_without_surroundings_say_nothing() -> None:
    ring = ring_of(MASK).clone()
    ring[1:] = False
    made, said = match_colour(BEFORE, REFINED, ring, "covariance", 0.2)
    alone_, said_alone = match_colour(BEFORE[:1], REFINED[:1], ring[:1], "covariance", 0.2)
    assert torch.equal(made[:1], alone_) and said == said_alone


def test_the_region_of_all_frames() -> None:
    mask = torch.zeros(3, 40, 50)
    mask[0, 5:9, 20:30] = 1.0
    mask[2, 30, 7] = 0.1
    assert covered_region(mask) == Region(7, 5, 30, 31)
    assert covered_region(mask[:1]) == covered_region(mask[0]) == Region(20, 5, 30, 9)
    assert covered_region(mask[1]).is_empty


# ------------------------------------------------------------------------------------------------ the helpers


def test_frames_side_by_side() -> None:
    pictures, masks = torch.rand(3, 2), torch.rand(1, 4)
    pairs = list(alone(pictures, masks))
    assert [frame.shape for frame, _ in pairs] == [(1, 2)] * 3
    assert all(mask is masks for _, mask in pairs)
    assert torch.equal(torch.cat([frame for frame, _ in pairs]), pictures)


def test_frames_that_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="batches of 3, 1, 2 frames don't go together"):
        list(alone(torch.zeros(3, 1), torch.zeros(1, 1), torch.zeros(2, 1)))


def test_one_picture_with_several_masks_becomes_as_many() -> None:
    made = by_frame(lambda picture, mask: picture * mask, torch.ones(1, 2), torch.tensor([[1.0], [2.0]]))
    assert made.tolist() == [[1, 1], [2, 2]]
    assert by_frame(lambda picture, mask: picture, torch.ones(1, 2), torch.zeros(2, 1)).shape == (2, 2)


def test_no_frames_are_none() -> None:
    empty = torch.zeros(0, 2)
    assert by_frame(lambda picture: picture * 2, empty) is empty


def test_alike() -> None:
    pictures = torch.tensor([[3], [4]])
    assert alike(lambda one: one + 1, pictures).flatten().tolist() == [4, 5] and pictures.flatten().tolist() == [3, 4]
    assert alike(lambda one: one + 1, pictures, in_place=True) is pictures and pictures.flatten().tolist() == [4, 5]
