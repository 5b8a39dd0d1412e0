"""Which crops are sampled at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .plan import CropPlan, Plan


@dataclass(frozen=True)
class Place:
    """A crop of one of several pictures: the picture's index, from 0."""

    picture: int
    crop: CropPlan


_LOOK_AHEAD = 4


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
