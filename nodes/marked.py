"""What marks the parts of a clip, frame by frame: masks, SEGS or tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, TypedDict, cast

import torch

from ..core import SEG, Size, seg_mask
from ..segs.clips import frame_of
from .door import Door

if TYPE_CHECKING:  # what follows parts is imported where it is needed: ComfyUI starts with all packs
    from typing import TypeGuard

    from ..core.clips.sightings import Sighting

    Seen = Callable[[int], Sequence[Sighting]]


class Marks(TypedDict, total=False):
    """The inputs that mark parts."""

    mask: object
    segs: object
    track_data: object
    drop_size: int
    contour_fill: bool


def seen_in(door: Door, frames: torch.Tensor, marks: Marks) -> Seen:
    """The parts of a frame by its number: of SEGS, else of track data, else of a mask; without any, none.

    Raises:
        InputError: where there are neither as many as frames nor one for all; naming the frame where one is broken.
    """
    from ..core.clips.sightings import of_mask

    size, count = Size(*frames.shape[1:3]), len(frames)
    tracks, segs, mask = (marks.get(name) for name in ("track_data", "segs", "mask"))
    if segs is not None:
        return _in_segs_of_frames(door, segs, size, count) if is_of_frames(segs) else _in_segs(door, segs, size, count)
    if tracks is not None:
        return _by_sam(door, tracks, size, count)
    if mask is None:
        return lambda index: []
    masks = door.mask(mask, size)
    if len(masks) not in (1, count):
        found = f"{len(masks)} masks for {count} frames"
        raise door.error("mask", found, "Give as many masks as frames, or one for all")
    drop, fill = max(marks.get("drop_size", 10), 1), marks.get("contour_fill", True)
    return lambda index: of_mask(masks[index if len(masks) > 1 else 0], drop, fill)


def is_of_frames(segs: object) -> TypeGuard[list[object]]:
    """Whether it is a list of SEGS, not SEGS: these begin with their picture's size."""
    first = segs[0] if isinstance(segs, list) and segs else None
    return isinstance(first, tuple | list) and len(first) > 0 and not isinstance(first[0], Real)


def _in_segs_of_frames(door: Door, segs: list[object], size: Size, count: int) -> Seen:
    """SEGS a frame, as a detector gives them of single pictures."""
    from ..core.clips.sightings import of_segs

    if len(segs) != count:
        found = f"a list of {len(segs)} SEGS for {count} frames"
        raise door.error("segs", found, "Give SEGS for each frame, or one that holds for all")
    each = []
    for number, one in enumerate(segs, start=1):
        name = f"segs (frame {number})"
        each.append(door.segs(one, name))
        _as_many_masks(door, each[-1][1], name, (1,), "a frame's has one")
    return lambda index: of_segs(frame_of(each[index], size, 0, 1), size)


def _in_segs(door: Door, given: object, size: Size, count: int) -> Seen:
    from ..core.clips.sightings import of_segs

    segs = door.segs(given)
    _as_many_masks(door, segs[1], "segs", (1, count), f"there are {count}")
    return lambda index: of_segs(frame_of(segs, size, index, count), size)


def _as_many_masks(door: Door, segs: Sequence[SEG], name: str, wanted: Sequence[int], instead: str) -> None:
    for number, seg in enumerate(segs, start=1):
        frames = len(seg_mask(seg))
        if frames not in wanted:
            found = f"the cropped_mask of segment {number} has {frames} frames, {instead}"
            raise door.error(name, found, "Give SEGS that were made for these frames")


def _by_sam(door: Door, data: object, size: Size, count: int) -> Seen:
    from ..core.clips.sightings import Sighting, of_mask, unpacked

    fix = "Connect the track_data of 'Run SAM3 Video Track'"
    if not isinstance(data, dict) or not {"packed_masks", "orig_size"} <= data.keys():
        raise door.error("track_data", f"a {type(data).__name__} is no SAM3_TRACK_DATA", fix)
    packed = cast("torch.Tensor | None", data["packed_masks"])
    if packed is None:
        return lambda index: []
    if len(packed) != count:
        raise door.error("track_data", f"it has {len(packed)} frames, there are {count}", fix)

    def seen(index: int) -> list[Sighting]:
        masks = torch.from_numpy(unpacked(packed[index].cpu().numpy()))
        found: list[Sighting] = []
        for number, mask in enumerate(door.mask(masks, size, "track_data"), start=1):
            each = of_mask((mask > 0.5).to(torch.float32), 1, False)
            if each:
                found.append(Sighting.joined(each, f"object {number}"))
        return found

    return seen
