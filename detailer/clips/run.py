"""The way of a clip: part by part, a window's frames are cut, prepared, sampled, restored and put back."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ...core import Size
from ...core.clips.path import Path
from ...core.clips.pose import cut
from .. import host
from ..options import UNTURNED
from ..pipeline.attempts import Attempts
from ..pipeline.batching import alike, crops_at_once
from ..pipeline.crop import Crop
from ..pipeline.memory import Room
from ..pipeline.plan import Place
from ..pipeline.prepare import prepare
from ..pipeline.recipe import Recipe
from ..pipeline.restore import restore
from ..pipeline.sample import sample
from ..prompts.reader import Prompts
from ..values import Frame
from .paste import put
from .plan import ClipPlan, ClipSettings, TrackPlan
from .video import sample_clip, takes_clips

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class Shown:
    """Some frames of a part's window.

    Attributes:
        part: which.
        before, after: ``[n,h,w,3]``.
    """

    part: TrackPlan
    before: torch.Tensor
    after: torch.Tensor


def detail_clip(work: torch.Tensor, plan: ClipPlan, settings: ClipSettings, recipe: Recipe) -> Iterator[Shown]:
    """Detail the parts of a clip one after another, each in its window.

    An image model takes the frames of a window one by one or some at once, each with the same noise, so that the same
    detail comes at the same place of the part; a video model takes them as one clip.

    Args:
        work: ``[F,H,W,3]`` float 0..1, worked on in place; where a frame's own paste mask is 0, it stays bit for bit.
        plan: made for it.

    Yields:
        the frames that were put back, as soon as they are.
    """
    recipe = recipe.prepared()
    if recipe.why_alone is not None:
        logger.info("frames are sampled one at a time: %s", recipe.why_alone)
    room, prompts = Room(source=recipe.source), Prompts()
    progress = host.progress.Progress.of_node()
    as_clip = takes_clips(recipe.pipe)
    left_out = _left_out(recipe, as_clip)
    if left_out:
        logger.info("%s: in a clip these do nothing: %s", recipe.source, ", ".join(left_out))
    whole = sum(len(part.track.frames) for part in plan.to_sample)
    done = 0
    for part in plan.to_sample:
        logger.info("%s", part)
        frames = list(part.track.frames)
        while frames:
            host.devices.check_interrupted()
            most = len(frames) if as_clip else _most(part, recipe, room)
            now, frames = frames[:most], frames[most:]
            stretch = progress.between(done / whole, (done + len(now)) / whole)
            clip = _Group(work, part, now, len(work), recipe)
            if as_clip:
                decoded = sample_clip(prepare(clip.crop(), recipe, prompts), settings, recipe, stretch)
                made = [_Made(restore(decoded, recipe), decoded.pixels)]
            else:
                made = _sampled(clip.crops(), recipe, room, prompts, stretch)
            yield clip.put(made)
            stretch.done()
            done += len(now)
    progress.done()


def _left_out(recipe: Recipe, as_clip: bool) -> list[str]:
    """What the detail options and the hook want that isn't done in clips."""
    options = recipe.settings.options
    asked = {
        "best_of": options.best_of > 1,
        "overlaps": options.overlaps != UNTURNED.overlaps,
        "the hook's post_paste": recipe.hook.answers("post_paste"),
        "retries": as_clip and options.retries > 0,
        "references crop": as_clip and options.shows_crop,
    }
    return [name for name, wanted in asked.items() if wanted]


def _most(part: TrackPlan, recipe: Recipe, room: Room) -> int:
    """How many frames of a window are sampled at once."""
    if recipe.why_alone is not None:
        return 1
    cells = recipe.cells(part.crop.working)
    return room.within(recipe.settings.crop_batch or crops_at_once(recipe.pipe.model, cells))


@dataclass(frozen=True)
class _Made:
    """A crop that went through all stages, and what it was decoded to."""

    crop: Crop
    decoded: torch.Tensor


def _sampled(
    crops: Sequence[Crop], recipe: Recipe, room: Room, prompts: Prompts, progress: host.progress.Progress
) -> list[_Made]:
    """Crops through all stages, again where one wants it or memory runs out."""
    attempts, decoded = Attempts(crops, recipe, room, progress), dict[tuple[int, ...], torch.Tensor]()
    for tried, stretch in attempts:
        with room.learning(tried):
            prepared = [prepare(crop, recipe, prompts) for crop in tried]
            for batch, steps in alike(prepared, stretch):
                for crop in sample(batch, recipe, steps):
                    decoded[crop.key] = crop.pixels
                    attempts.take(restore(crop, recipe))
    return [_Made(crop, decoded[crop.key]) for crop in attempts.made()]


@dataclass(frozen=True)
class _Group:
    """Frames of a part's window that are worked on together."""

    work: torch.Tensor
    part: TrackPlan
    frames: Sequence[int]
    count: int
    recipe: Recipe

    def crops(self) -> list[Crop]:
        """One for each frame, all with the mask that is sampled under: what the part covers in any frame."""
        mask = torch.from_numpy(self.part.window.mask)[None].to(self.work.device)
        return [self._crop(frame, mask) for frame in self.frames]

    def _crop(self, frame: int, mask: torch.Tensor) -> Crop:
        window, picture = self.part.window, Size(*self.work.shape[1:3])
        before = cut(self.work[frame : frame + 1], window.poses[frame], window.size).clamp_(0.0, 1.0)
        place = Place(frame, self.part.crop_in(frame))
        name = f"part {self.part.crop.number}, frame {frame + 1}"
        crop = Crop(place, name, picture, before, mask, self.recipe.pipe, self.recipe.refiner, pixels=before)
        return replace(crop, frame=Frame(frame, self.count), path=Path.of(window, [frame], picture))

    def crop(self) -> Crop:
        """All frames in one, each with its own mask."""
        window = self.part.window
        each = [self._crop(frame, window.mask_in(frame).to(self.work.device)) for frame in self.frames]
        before = torch.cat([one.before for one in each])
        return replace(
            each[0],
            name=f"part {self.part.crop.number}",
            before=before,
            pixels=before,
            mask=torch.cat([one.mask for one in each]),
            frame=Frame(),
            is_clip=True,
            path=Path.of(window, self.frames, each[0].picture),
        )

    def put(self, made: Sequence[_Made]) -> Shown:
        """Put what was made of the frames back into them.

        Where a window lies between the pixels, it goes there straight from the size at which it was sampled, unless the
        detail options changed it at the picture's scale; or what has changed in it goes there, with residual paste.
        """
        options = self.recipe.settings.options
        changed = (options.drift, options.colour.match, options.detail) != ("off", "off", "off")
        changed = changed or options.paste == "residual"
        crops = [one.crop for one in made]
        pixels, before = (torch.cat([getattr(crop, name) for crop in crops]) for name in ("pixels", "before"))
        faults = [crop.fault for crop in crops for _ in range(crop.frames)]
        large = pixels if changed else torch.cat([one.decoded for one in made]).to(pixels)
        for index, (frame, fault) in enumerate(zip(self.frames, faults, strict=True)):
            still = self.part.window.poses[frame].region(self.part.window.size) is not None
            shown = (pixels if still else large)[index : index + 1].clamp(0.0, 1.0)
            put(
                self.work[frame : frame + 1],
                replace(crops[0], pixels=shown, before=before[index : index + 1], fault=fault),
                self.part,
                frame,
                self.recipe,
            )
        return Shown(self.part, before, pixels)
