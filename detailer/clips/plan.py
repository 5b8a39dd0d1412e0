"""What will be done with a clip: its cuts, the parts followed through it, the window of each and its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from ...core import SEG, Region, Size
from ...core.clips.cuts import THRESHOLD, cuts, glance
from ...core.clips.sightings import Sighting, looked_at
from ...core.clips.tracks import Track, follow
from ...core.clips.windows import Framing, Window, resized, window_of
from .. import host
from ..options import UNTURNED
from ..pipeline.plan import CropPlan
from ..pipeline.recipe import Recipe
from ..pipeline.working_size import Part, working_size
from ..values import wrapped_seed

DENOISE_STEP = 0.01
ROOM = 2  # pixels of a window beyond what the feather reaches


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is followed and cut into windows.

    Attributes:
        crop_factor: sides of a window over those of its part.
        smoothing: of the windows' paths, see ``Framing``.
        gap: so many frames on end a part may be out of sight and still be the same.
        fade: frames over which a part comes in and goes out where its track begins and ends within a shot.
        cut_threshold: see ``cuts``; 1 finds none.
        span: frames that a video model is given at once; image models take each by itself.
        overlap: frames that spans share.
        steady: in which windows an image model's detail is averaged over neighbouring frames: "moving", "all", "off".
    """

    crop_factor: float
    smoothing: float = 1.0
    gap: int = 4
    fade: int = 3
    cut_threshold: float = THRESHOLD
    span: int = 81
    overlap: int = 16
    steady: str = "moving"

    def steadies(self, window: Window) -> bool:
        """Whether the detail in a window is averaged over neighbouring frames."""
        return self.steady == "all" or (self.steady == "moving" and window.region is None)


@dataclass(frozen=True)
class TrackPlan:
    """One part's way through the clip.

    Attributes:
        crop: what is the same in all frames: number, working size, seed, denoise.
        denoises: of frames that have one of their own, by the part's size there.
        skipped: why it is not worked on, None if it is.
    """

    window: Window
    crop: CropPlan
    fade: int
    denoises: Mapping[int, float] = field(default_factory=dict)

    @property
    def track(self) -> Track:
        return self.window.track

    @property
    def skipped(self) -> str | None:
        return self.crop.skipped

    def crop_in(self, frame: int) -> CropPlan:
        """The plan of the window in a frame: its region there is of the window's size, at the nearest whole pixels; its
        denoise is by the part's size there."""
        pose, size = self.window.poses[frame], self.window.size
        left, top = round(pose.x - size.width / 2), round(pose.y - size.height / 2)
        region = Region(left, top, left + size.width, top + size.height)
        return replace(self.crop, region=region, denoise=self.denoises.get(frame, self.crop.denoise))

    def weight(self, frame: int) -> float:
        """How much of the part counts in a frame: nothing where it is out of sight, towards which it fades, as it does
        where its track begins and ends; but not at a cut or at the clip's ends."""
        track, (first, after) = self.track, self.track.shot
        since = frame - track.first + 1 if track.first > first else self.fade + 1
        until = track.last - frame + 1 if track.last < after - 1 else self.fade + 1
        sight = min((abs(frame - other) for other in self.window.lost), default=self.fade + 1)
        return min(since, until, sight, self.fade + 1) / (self.fade + 1)

    def __str__(self) -> str:
        track, window = self.track, self.window
        moves = "stands still" if window.region is not None else "moves"
        gaps = f", {len(track.gaps)} without it" if track.gaps else ""
        if window.lost:
            gaps += f" ({len(window.lost)} of them left as they are: it is out of sight)"
        what = f"worked on at {self.crop.working}, seed {self.crop.seed}"
        if self.skipped:
            what = f"skipped, {self.skipped}"
        frames = f"frames {track.first + 1}-{track.last + 1}{gaps}"
        return f"part {self.crop.number}: {frames}, its window {window.size} {moves}, {what}"


@dataclass(frozen=True)
class ClipPlan:
    """A clip's parts, in the order of work.

    Attributes:
        picture: a frame's size.
        count: how many frames there are.
        cuts: the frames that begin a new shot.
    """

    picture: Size
    count: int
    cuts: tuple[int, ...]
    parts: tuple[TrackPlan, ...]

    @property
    def to_sample(self) -> tuple[TrackPlan, ...]:
        return tuple(part for part in self.parts if not part.skipped)

    def __str__(self) -> str:
        shots = f"{len(self.cuts) + 1} shots" if self.cuts else "1 shot"
        parts = f"{len(self.to_sample)} of {len(self.parts)} parts to detail"
        head = f"{self.count} frames {self.picture}, {shots}, {parts}"
        return "\n".join([head, *(str(part) for part in self.parts)])


def make_clip_plan(
    frames: torch.Tensor, seen: Callable[[int], Sequence[Sighting]], settings: ClipSettings, recipe: Recipe
) -> ClipPlan:
    """Follow the parts of a clip and lay their windows.

    Args:
        frames: ``[F,H,W,3]`` float 0..1, looked at one by one.
        seen: the parts seen in a frame, by its number.
        recipe: its settings' sizes, feather, seed, denoise and detail options count. Part ``i`` has ``seed + i``.
    """
    picture, count = Size(*frames.shape[1:3]), len(frames)
    found = cuts((glance(frame) for frame in frames), settings.cut_threshold)

    def sightings(index: int) -> list[Sighting]:
        host.devices.check_interrupted()
        return list(looked_at(list(seen(index)), frames[index]))

    tracks = follow(map(sightings, range(count)), found, settings.gap, count)
    mask, blend = recipe.settings.mask, recipe.settings.options.blend
    framing = Framing(settings.crop_factor, settings.smoothing, max(mask.feather, 0) + max(blend.grow, 0) + ROOM)
    parts = []
    for track in tracks:
        host.devices.check_interrupted()
        window = window_of(track, lambda index: frames[index], picture, framing)
        parts.append(_planned(window, picture, settings, recipe))
    return ClipPlan(picture, count, found, tuple(parts))


def _planned(window: Window, picture: Size, settings: ClipSettings, recipe: Recipe) -> TrackPlan:
    """With the size that it is worked on at; where that wants another region, the window is that."""
    options = recipe.settings.options
    whole = window.region
    # a window that moves has room on all sides: it is laid in the middle of a picture that is large enough
    room = picture if whole is not None else Size(*(5 * side for side in picture))
    region = whole or Region.whole(window.size).shifted(2 * picture.width, 2 * picture.height)
    part = Part(window.typical.shifted(region.x1, region.y1), window.box.shifted(region.x1, region.y1))
    chosen = working_size(region, part, room, recipe.settings.size, recipe.multiple, options.size or UNTURNED.size)
    if chosen.region != region and not chosen.skipped:
        right = (chosen.region.x1 + chosen.region.x2 - region.x1 - region.x2) / 2
        down = (chosen.region.y1 + chosen.region.y2 - region.y1 - region.y2) / 2
        window = resized(window, chosen.region.size, right, down)
    number = window.track.number
    seg = SEG(None, window.mask, 1.0, chosen.region.as_list(), part.box.as_tuple(), window.track.label)
    crop = CropPlan(
        number,
        seg,
        chosen.region,
        chosen.scale,
        chosen.wished,
        chosen.multiple,
        wrapped_seed(recipe.settings.seed + number - 1),
        options.denoise.denoise(recipe.settings.sampling.denoise, part.box.size.area),
        skipped=chosen.skipped,
        too_large=chosen.skipped is not None,
        why="" if options.size == UNTURNED.size else chosen.text,
    )
    return TrackPlan(window, crop, settings.fade, _denoises(window, part.box.size, recipe))


def _denoises(window: Window, box: Size, recipe: Recipe) -> dict[int, float]:
    """The denoise of each frame of a window that zooms, where it follows the part's size: in steps, so that frames can
    be sampled together."""
    by_size, most = recipe.settings.options.denoise, recipe.settings.sampling.denoise
    if by_size.by_size == UNTURNED.denoise.by_size:
        return {}
    zooms = {frame: pose.zoom for frame, pose in window.poses.items() if pose.zoom != 1.0}
    exact = {frame: by_size.denoise(most, round(box.area * zoom**2)) for frame, zoom in zooms.items()}
    return {
        frame: max(round(one / DENOISE_STEP) * DENOISE_STEP, min(one, DENOISE_STEP)) for frame, one in exact.items()
    }
