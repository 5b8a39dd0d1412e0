"""Which crops are sampled at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from ...core import Size
from .. import host
from ..host.progress import Progress
from ..host.protocols import Model
from ..host.stacking import what_differs
from .crop import Crop
from .plan import CropPlan, Place, Plan

logger = logging.getLogger("mask_detailer")

_LOOK_AHEAD = 4

# More crops at once win nothing on today's hardware. On a CPU small ones do, as long as all their latent cells stay
# near its caches; larger ones are slower together.
MOST_AT_ONCE = 16
MOST_CELLS_ON_CPU = 2048


def grouped(plans: Iterable[Plan], most: Callable[[CropPlan], int]) -> Iterator[list[Place]]:
    """The crops of several pictures in groups that are sampled at once, so that each comes out as it would alone.

    A crop waits for those before it in its picture that can change what it sees, and it changes nothing that one before
    it has yet to see. One that is skipped for its size is a group of its own. Pictures are asked for only while a group
    has room, so that a long clip streams through.

    Args:
        plans: the pictures' plans.
        most: how many crops like this one a group may hold.
    """
    unseen = enumerate(plans)
    waiting: list[Place] = []
    while True:
        limit = most(waiting[0].crop) if waiting else 1
        group = _first_group(waiting, limit)
        while len(group) < limit and len(waiting) < limit * _LOOK_AHEAD:
            index, plan = next(unseen, (0, None))
            if plan is None:
                break
            waiting += [Place(index, crop) for crop in plan.to_visit]
            limit = most(waiting[0].crop) if waiting else 1
            group = _first_group(waiting, limit)
        if not group:
            return
        yield group
        taken = set(map(id, group))
        waiting = [place for place in waiting if id(place) not in taken]


def _first_group(waiting: list[Place], limit: int) -> list[Place]:
    """The first crop, and those further on that can be sampled along with it; looks a few groups ahead."""
    group: list[Place] = []
    passed: list[tuple[Place, bool]] = []
    for place in waiting[: limit * _LOOK_AHEAD]:
        if len(group) == limit:
            break
        joins = not group or (
            place.crop.goes_with(group[0].crop)
            and not any(_depend(earlier, place, joined) for earlier, joined in passed)
        )
        if joins:
            group.append(place)
        passed.append((place, joins))
    return group


def _depend(earlier: Place, later: Place, same_group: bool) -> bool:
    """Whether ``later`` must wait: it sees what ``earlier`` changes, or would change what that has yet to see."""
    if earlier.picture != later.picture:
        return False
    if earlier.crop.reach.overlaps(later.crop.region):
        return True
    return not same_group and later.crop.reach.overlaps(earlier.crop.region)


def alike(crops: Sequence[Crop], progress: Progress) -> Iterator[tuple[list[Crop], Progress]]:
    """Prepared crops of one working size in batches: each with those whose conditioning has the form of its own.

    Yields:
        a batch and its stretch of the bar.
    """
    batches: list[list[Crop]] = []
    for crop in crops:
        reasons = [_what_differs(batch[0], crop) for batch in batches]
        if None in reasons:
            batches[reasons.index(None)].append(crop)
            continue
        if reasons:
            first = batches[-1][0].name
            logger.info("%s is not sampled along with %s: they differ in %s", crop.name, first, reasons[-1])
        batches.append([crop])
    begun = 0
    for batch in batches:
        yield batch, progress.between(begun / len(crops), (begun + len(batch)) / len(crops))
        begun += len(batch)


def _what_differs(first: Crop, other: Crop) -> str | None:
    """Why two crops can't be sampled in one batch; None where they can."""
    if first.pipe.model is not other.pipe.model:
        return "the model, by a LoRA or an adapter of their own"
    pairs = [(first.pipe.positive, other.pipe.positive), (first.pipe.negative, other.pipe.negative)]
    if first.refiner and other.refiner:
        pairs += [(first.refiner.positive, other.refiner.positive), (first.refiner.negative, other.refiner.negative)]
    pairs += [(first.others[name], other.others[name]) for name in first.others]
    return next(filter(None, (what_differs(*pair) for pair in pairs)), None)


def crops_at_once(model: Model, cells: Size) -> int:
    """How many crops with latents of so many cells are sampled at once where the node leaves it open; at least 1."""
    on_cpu = host.devices.samples_on_cpu(model)
    most = MOST_CELLS_ON_CPU // cells.area if on_cpu else MOST_AT_ONCE
    return max(min(host.devices.room_for(model, cells), most), 1)
