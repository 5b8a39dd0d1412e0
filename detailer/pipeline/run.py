"""The way of the picture: plan, cut, prepare, sample, restore, paste."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from ...core import SEGS, Size
from .. import host
from ..hooks.protocol import Hook
from ..live import Live
from ..options import UNTURNED
from ..prompts.reader import Prompts
from ..values import ONLY, Detailed, Frame, wrapped_seed
from .attempts import Attempts
from .batching import alike, crops_at_once, grouped
from .best import Verdicts, best_of, judged_candidates
from .chosen import Chosen
from .crop import Crop, cut
from .memory import Room
from .paste import Canvas
from .plan import CropPlan, Place, Plan, above_max_size, make_plan
from .prepare import prepare
from .recipe import Recipe
from .remembered import Recall, memory
from .restore import restore
from .sample import sample
from .together import with_overlaps

logger = logging.getLogger("mask_detailer")


@dataclass(frozen=True)
class Picture:
    """One picture to detail.

    Attributes:
        image: ``[N,H,W,3]`` float32 0..1 on the intermediate device, worked on in place where crops are pasted.
        segs: moved to the picture's size where they were made for another.
        seed: segment ``i`` has ``seed + i``; all have ``seed`` where nothing is pasted.
        pastes: crops go back into the picture; else each is refined by itself, from its own image where it has one.
        frame: which of the pictures that came in; conditioning may have an item for each.
        without: why there are no segments where there are none, in a word; "" where that is not known.
        is_clip: the frames of each crop are sampled as one clip (``Crop.is_clip``), all segments with ``seed``.
    """

    image: torch.Tensor
    segs: SEGS
    seed: int
    pastes: bool = True
    frame: Frame = ONLY
    without: str = ""
    is_clip: bool = False


def detail(pictures: Iterable[Picture], count: int, recipe: Recipe) -> Iterator[Detailed]:
    """Detail pictures one after another, their crops sampled together where each comes out as it would alone.

    Args:
        pictures: asked for one by one, no sooner than there is room for their crops.
        count: how many there are.
        recipe: the seeds of the pictures count, not that of its settings.

    Yields:
        in order, each picture as soon as it is finished: bit for bit as it came wherever no paste mask reaches, with
        the lists of its crops.

    Raises:
        RuntimeError: if the hook finds fault with every attempt.
    """
    prompts = Prompts()
    recall = Recall(recipe, prompts)
    recipe = recipe.prepared()
    room = Room(source=recipe.source, forget=memory.clear)
    run = _Run(recipe, Live.of_node(count), count, room, prompts)
    run.tell_if_alone()
    progress = host.progress.Progress.of_node(run.live.step)
    done = 0.0
    for group in grouped(run.plans(pictures), run.most):
        host.devices.check_interrupted()
        share = sum(map(run.share, group))
        part = progress.between(done, done + share)
        crops = [recall.recalled(crop) for place in group for crop in run.cut(place).candidates()]
        attempts = Attempts(crops, recipe, run.room, part, run.most(group[0].crop))
        for tried, stretch in attempts:
            with run.room.learning(tried):
                prepared = [prepare(crop, recipe, run.prompts) for crop in tried]
                for batch, steps in alike(prepared, stretch):
                    run.begun(batch)
                    for crop in sample(batch, recipe, steps):
                        attempts.take(restore(crop, recipe))
        made = attempts.made()
        recall.keep(made)
        for crop in run.picked(group[0], made):
            run.put(crop)
        part.done()
        done += share
        yield from run.finished()
    yield from run.finished()
    recall.tell()
    run.chosen.tell()
    run.verdicts.tell()
    progress.done()
    run.live.ended()


def refine(image: torch.Tensor, segs: SEGS, recipe: Recipe, variants: int = 1) -> tuple[SEGS, list[torch.Tensor]]:
    """Detail the segments of one picture without putting them back.

    Each is cut from its own image where it has one, else from the picture as it came in.

    Args:
        image: ``[1,H,W,3]`` float32 0..1.
        recipe: variant ``j``, from 1, samples every segment with ``seed + j``; feather and hook mean nothing.

    Returns:
        the SEGS moved to the picture's size: all segments of the first variant, then of the next; each with its refined
        crop as image and without ControlNet, or as it came where it was skipped. And the ControlNet hints.
    """
    image = image.to(host.devices.intermediate_device(), torch.float32)
    pictures = (Picture(image, segs, recipe.settings.seed + 1 + j, pastes=False) for j in range(variants))
    made = list(detail(pictures, variants, replace(recipe, hook=Hook())))
    elements = [seg for one in made for seg in one.segs[1]]
    return (made[0].segs[0], elements), [hint for one in made for hint in one.control_images]


def foresee(pictures: Sequence[Picture], recipe: Recipe) -> tuple[list[Plan], list[list[Place]]]:
    """What ``detail`` would do with the pictures, which stay as they are: their plans, and what is sampled at once.

    Crops of a group can still be sampled apart where their conditioning has another form.
    """
    recipe = recipe.prepared()
    run = _Run(recipe, Live(), len(pictures), Room(source=recipe.source))
    run.tell_if_alone()
    plans = [replace(plan, crops=tuple(map(run.sized, plan.crops))) for plan in run.plans(pictures)]
    return plans, list(grouped(plans, run.most))


@dataclass
class _Run:
    """What a run keeps: its pictures in the making, and what it has learnt."""

    recipe: Recipe
    live: Live
    count: int
    room: Room
    prompts: Prompts = field(default_factory=Prompts)
    chosen: Chosen = field(init=False)
    verdicts: Verdicts = field(default_factory=Verdicts)
    _canvases: dict[int, Canvas] = field(default_factory=dict)
    _following: int = 0

    def __post_init__(self) -> None:
        self.chosen = Chosen(self.recipe.settings.choices)

    def tell_if_alone(self) -> None:
        if self.recipe.why_alone is not None:
            logger.info("crops are sampled one at a time: %s", self.recipe.why_alone)

    def plans(self, pictures: Iterable[Picture]) -> Iterator[Plan]:
        """Each picture's plan, when it is asked for."""
        settings = self.recipe.settings
        for index, picture in enumerate(pictures):
            prefix, size = self._prefix(index, picture.pastes), Size(*picture.image.shape[1:3])
            plan = make_plan(
                picture.segs, size, settings, picture.seed, self.recipe.multiple,
                partial(self.room.spared, prefix=prefix),
            )  # fmt: skip
            if not picture.pastes:
                plan = plan.unpasted(wrapped_seed(picture.seed))
            elif picture.is_clip:
                plan = plan.reseeded(wrapped_seed(picture.seed))
            plan = self.chosen.carried_out(plan, index + 1)
            if picture.pastes and not picture.is_clip and not settings.mask.inpaint_model:  # told of one crop at once
                plan = with_overlaps(plan, settings.options.overlaps)
            elif settings.options.overlaps != UNTURNED.overlaps:
                why = "with inpaint_model" if settings.mask.inpaint_model else "where frames or crops go by themselves"
                self.recipe.once.info(f"{self.recipe.source}: {why} parts that overlap are sampled one by one")
            if picture.pastes or not index:
                self._tell(plan, prefix)
            self._canvases[index] = Canvas(
                plan, picture.image, picture.pastes, picture.frame, picture.is_clip,
                keeps_sampled=self.recipe.keeps_sampled,
            )  # fmt: skip
            self.live.planned(index, plan, picture.image, picture.without, own_images=not picture.pastes)
            if index + 1 == self.count and self.chosen.lost:
                self.live.lost(self.chosen.lost)
            yield plan

    def _tell(self, plan: Plan, prefix: str) -> None:
        """Log what the plan says that the user would want to know."""
        logger.info(
            "%s%d of %d segments to detail in a %s picture",
            prefix, len(plan.to_sample), len(plan.crops), plan.picture,
        )  # fmt: skip
        for crop in plan.crops:
            if crop.skipped:
                logger.info("%s%s", prefix, crop)
        max_size = self.recipe.settings.size.max_size
        for crop in above_max_size(plan.crops, max_size):
            logger.info(
                "%ssegment %d is worked on at its own size %s, above max_size %g",
                prefix, crop.number, crop.wished, max_size,
            )  # fmt: skip

    def _prefix(self, picture: int, pastes: bool) -> str:
        """Which of several pictures, or variants, for the log."""
        if self.count == 1:
            return ""
        return f"{'picture' if pastes else 'variant'} {picture + 1}: "

    def most(self, plan: CropPlan) -> int:
        """How many crops like this one may be sampled at once."""
        recipe = self.recipe
        if plan.skipped or recipe.why_alone is not None:
            return 1
        wanted = recipe.settings.crop_batch or crops_at_once(recipe.pipe.model, recipe.cells(plan.working))
        return self.room.within(wanted)

    def sized(self, crop: CropPlan) -> CropPlan:
        """As the hook would have its size."""
        resized = partial(self.recipe.hook.touch_scaled_size, crop.wished)
        return crop.resized(self.room.spared(f"segment {crop.number}: planning", resized))

    def share(self, place: Place) -> float:
        """The crop's part of the run's work."""
        return self._canvases[place.picture].share(place.crop) / self.count

    def cut(self, place: Place) -> Crop:
        canvas = self._canvases[place.picture]
        name = f"{self._prefix(place.picture, canvas.pastes)}segment {place.crop.number}"
        crop = self.room.spared(
            f"{name}: cutting",
            lambda: cut(canvas.work, place, self.recipe, name=name, own_image=not canvas.pastes),
        )
        return replace(crop, frame=canvas.frame, is_clip=canvas.is_clip)

    def begun(self, batch: Sequence[Crop]) -> None:
        """Tell which segments are worked on; the candidates of one are one."""
        self.live.begun(list({crop.key[:2]: crop.place for crop in batch}.values()))

    def picked(self, place: Place, made: Sequence[Crop]) -> Sequence[Crop]:
        """What is put back: all of a group, or one of a segment's candidates, which are shown by the seeds that were
        asked for.
        """
        if place.crop.candidates == 1:
            return made
        if place.crop.skipped:
            return made[:1]
        canvas = self._canvases[place.picture]
        seen = [partial(canvas.shown_if_put, crop, self.recipe) for crop in made]
        seeds = [wrapped_seed(place.crop.seed + crop.candidate) for crop in made]
        points: list[float] = []
        best = 0
        if place.crop.takes_best:
            judged = partial(judged_candidates, made, seen, self.recipe)
            verdict = self.room.spared(f"{made[0].name}: judging its candidates", judged)
            self.verdicts.add(made[0].name, seeds, verdict)
            points, best = [one.points for one in verdict], best_of(verdict)
        self.live.candidates(place, list(zip(seeds, seen, strict=True)), best, points)
        return [made[best]]

    def put(self, crop: Crop) -> None:
        """Put a finished crop where it belongs."""
        canvas = self._canvases[crop.place.picture]
        crop = self.room.spared(f"{crop.name}: pasting", lambda: canvas.put(crop, self.recipe))
        if crop.plan.kept:
            self.live.kept(crop.place)
            return
        tell = self.live.reused if crop.is_remembered else self.live.done
        tell(crop.place, lambda: canvas.shown(crop), crop.before)

    def finished(self) -> Iterator[Detailed]:
        """The pictures that are finished now, in order; none before the one before it."""
        while self._following in self._canvases and self._canvases[self._following].is_finished:
            canvas = self._canvases.pop(self._following)
            prefix = self._prefix(self._following, canvas.pastes)
            yield self.room.spared(f"{prefix}collecting what was made", canvas.detailed)
            self._following += 1
