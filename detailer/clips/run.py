"""The way of a clip: part by part, a window's frames are cut, prepared, sampled, restored and put back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

import torch

from ...core.clips.steady import Steadying
from .. import host
from ..host.progress import Progress
from ..live import Live
from ..options import UNTURNED
from ..pipeline.attempts import Attempts
from ..pipeline.batching import alike, crops_at_once
from ..pipeline.chosen import Chosen
from ..pipeline.crop import Crop
from ..pipeline.memory import Room
from ..pipeline.prepare import prepare
from ..pipeline.recipe import Recipe
from ..pipeline.remembered import Recall, memory
from ..pipeline.restore import restore
from ..pipeline.sample import sample
from ..prompts.reader import Prompts
from .pictures import WindowPictures
from .plan import ClipPlan, ClipSettings, TrackPlan
from .shown import Shown
from .video import sample_clip, takes_clips

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class FinishedPart:
    """A finished part: its window's frames before and after, ``[n,h,w,3]``."""

    part: TrackPlan
    before: torch.Tensor
    after: torch.Tensor


def detail_clip(
    work: torch.Tensor, plan: ClipPlan, settings: ClipSettings, recipe: Recipe, chosen: Chosen
) -> Iterator[FinishedPart]:
    """Detail the parts of a clip one after another, each in its window.

    An image model takes the frames of a window one by one or some at once, each with the same noise, so that the same
    detail comes at the same place of the part; a video model takes them as one clip.

    Args:
        work: ``[F,H,W,3]`` float 0..1, worked on in place; where a frame's own paste mask is 0, it stays bit for bit.
        plan: made for it, with what is ``chosen`` in it.

    Yields:
        the parts that were worked on, as soon as they are put back.
    """
    run = _Run(work, plan, settings, recipe)
    run.begin(chosen)
    whole = sum(len(part.track.frames) for part in plan.to_sample)
    progress = Progress.of_node(run.shown.live.step)
    done = 0
    for part in plan.to_sample:
        logger.info("%s", part)
        after = done + len(part.track.frames)
        yield run.detailed(part, progress.between(done / whole, after / whole))
        done = after
    run.recall.tell()
    chosen.tell()
    progress.done()
    run.shown.live.ended()


@dataclass
class _Run:
    """What a run keeps.

    Attributes:
        recipe: as it is carried out, of which all that is measured over a window's frames comes when they are there:
            ``plain`` is without it.
    """

    work: torch.Tensor
    plan: ClipPlan
    settings: ClipSettings
    given: Recipe
    recipe: Recipe = field(init=False)
    plain: Recipe = field(init=False)
    recall: Recall = field(init=False)
    shown: Shown = field(init=False)
    prompts: Prompts = field(default_factory=Prompts, init=False)

    def __post_init__(self) -> None:
        self.recipe = self.given.prepared()
        options = self.recipe.settings.options
        moves = any(part.window.region is None for part in self.plan.to_sample)
        keeps = moves and not options.matches and options.paste != "residual"
        self.plain = _plain(self.recipe, keeps)
        self.as_clip = takes_clips(self.recipe.pipe)
        spans = (self.settings.span, self.settings.overlap) if self.as_clip else None
        self.recall = Recall(_plain(self.given, keeps), self.prompts, also=spans)
        self.room = Room(source=self.recipe.source, forget=memory.clear)
        self.shown = Shown(Live.of_node(1), self.work, self.plan)

    def begin(self, chosen: Chosen) -> None:
        """Say what is to be said before anything is done."""
        if self.recipe.why_alone is not None and not self.as_clip:
            logger.info("frames are sampled one at a time: %s", self.recipe.why_alone)
        left_out = self._left_out(chosen)
        if left_out:
            logger.info("%s: in a clip these do nothing: %s", self.recipe.source, ", ".join(left_out))
        self.shown.planned(chosen.lost)

    def _left_out(self, chosen: Chosen) -> list[str]:
        """What the detail options and the choices want that isn't done in clips."""
        options = self.recipe.settings.options
        asked = {
            "best_of": options.best_of > 1,
            "overlaps": options.overlaps != UNTURNED.overlaps,
            "the candidates of choices": any(choice.candidates > 1 for choice in chosen.choices.all),
            "references crop": self.as_clip and options.shows_crop,
        }
        return [name for name, wanted in asked.items() if wanted]

    def detailed(self, part: TrackPlan, progress: Progress) -> FinishedPart:
        """A part, put back in all its frames."""
        others = [other.track for other in self.plan.parts if other is not part]
        steadying = Steadying() if self.settings.steadies(part.window) and not self.as_clip else None
        pictures = WindowPictures(self.work, part, others, self.recipe, self.room, steadying)
        (self._as_clip if self.as_clip else self._frame_by_frame)(pictures, progress)
        pictures.finish()
        progress.done()
        self.shown.done(part, pictures.before, pictures.is_remembered)
        return FinishedPart(part, pictures.before, pictures.after)

    def _frame_by_frame(self, pictures: WindowPictures, progress: Progress) -> None:
        part, done = pictures.part, 0
        frames = list(part.track.frames)
        while done < len(frames):
            host.devices.check_interrupted()
            most = self._most(part)
            now = _of_one_denoise(part, frames[done : done + most])
            self.shown.begun(part, f"{done // most + 1}", done // most - (done - len(frames)) // most)
            stretch = progress.between(done / len(frames), (done + len(now)) / len(frames))
            for crop in self._made(pictures.crops(now), stretch, self._sampled):
                pictures.take(crop)
            stretch.done()
            done += len(now)

    def _as_clip(self, pictures: WindowPictures, progress: Progress) -> None:
        host.devices.check_interrupted()
        self.shown.begun(pictures.part)
        for crop in self._made([pictures.crop()], progress, self._sampled_clip):
            pictures.take(crop)

    def _most(self, part: TrackPlan) -> int:
        """How many frames of a window are sampled at once."""
        if self.recipe.why_alone is not None:
            return 1
        cells = self.recipe.cells(part.crop.working)
        return self.room.within(self.recipe.settings.crop_batch or crops_at_once(self.recipe.pipe.model, cells))

    def _made(self, crops: Sequence[Crop], progress: Progress, sampled: _Sampled) -> list[Crop]:
        """Crops through all stages, again where one wants it or memory runs out; those that are remembered as they are.

        What is finished is kept at once, so that a run that stops goes on there the next time.
        """
        attempts = Attempts([self.recall.recalled(crop) for crop in crops], self.plain, self.room, progress)
        for tried, stretch in attempts:
            with self.room.learning(tried):
                for crop in sampled(tried, stretch):
                    attempts.take(restore(crop, self.plain))
        made = attempts.made()
        self.recall.keep(made)
        return made

    def _sampled(self, crops: Sequence[Crop], progress: Progress) -> Iterator[Crop]:
        prepared = [prepare(crop, self.plain, self.prompts) for crop in crops]
        for batch, steps in alike(prepared, progress):
            yield from sample(batch, self.plain, steps)

    def _sampled_clip(self, crops: Sequence[Crop], progress: Progress) -> Iterator[Crop]:
        for crop in crops:
            yield sample_clip(prepare(crop, self.plain, self.prompts), self.settings, self.plain, progress)


def _of_one_denoise(part: TrackPlan, frames: Sequence[int]) -> list[int]:
    """The first of some frames and those after it that have its denoise."""
    denoise = part.crop_in(frames[0]).denoise
    return list(takewhile(lambda frame: part.crop_in(frame).denoise == denoise, frames))


_Sampled = Callable[[Sequence[Crop], Progress], Iterator[Crop]]


def _plain(recipe: Recipe, keeps_sampled: bool) -> Recipe:
    """Without what is measured over a window's frames."""
    settings = recipe.settings
    settings = replace(settings, options=settings.options.without_matching)
    return replace(recipe, settings=settings, keeps_sampled=keeps_sampled)
