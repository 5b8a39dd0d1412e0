"""Frames: what is done to a crop of several is done to each as if it were alone, or to all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch


def alone(*batches: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """The frames of several batches side by side, each ``[1,...]``.

    Args:
        batches: ``[N,...]``; one of a single frame, such as a mask for a whole clip, goes with every frame.

    Raises:
        ValueError: where two hold several frames, and not as many.
    """
    count = _count(batches)
    for index in range(count):
        yield tuple(batch if len(batch) == 1 else batch[index : index + 1] for batch in batches)


def _count(batches: Sequence[torch.Tensor]) -> int:
    counts = {len(batch) for batch in batches}
    if len(counts - {1}) > 1:
        raise ValueError(f"batches of {', '.join(str(len(batch)) for batch in batches)} frames don't go together")
    return next(iter(counts - {1}), 1)


def by_frame(change: Callable[..., torch.Tensor], pictures: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    """Every picture changed on its own, bit for bit as if it were the only one.

    Args:
        change: takes a frame ``[1,...]`` of each; gives the picture it got where it leaves it as it is.
        pictures: ``[N,...]``.
        others: what goes with them, ``[N,...]`` or ``[1,...]``.

    Returns:
        ``[N,...]``; ``pictures`` itself where each is left as it is.
    """
    made, same = [], len(pictures) == _count((pictures, *others))
    for frame in alone(pictures, *others):
        made.append(change(*frame))
        same = same and made[-1] is frame[0]
    if same:
        return pictures
    return made[0] if len(made) == 1 else torch.cat(made)


def alike(
    change: Callable[[torch.Tensor], torch.Tensor], pictures: torch.Tensor, in_place: bool = False
) -> torch.Tensor:
    """Every picture changed in the same way.

    Args:
        change: takes a frame ``[1,...]``, gives one of the same form.
        pictures: ``[N,...]``.
        in_place: they are written to, so that a long clip needs no more memory.
    """
    if len(pictures) == 1 and not in_place:
        return change(pictures)
    made = pictures if in_place else torch.empty_like(pictures)
    for index in range(len(pictures)):
        made[index : index + 1] = change(pictures[index : index + 1])
    return made


def over_frames(count: int) -> str:
    """What is said of a measure that was taken over so many frames."""
    return f" (over {count} frames)" if count > 1 else ""
