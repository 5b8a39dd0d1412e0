"""Frames: what is done to a crop of several is done to each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

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


def by_frame_told(
    change: Callable[..., tuple[torch.Tensor, str]], pictures: torch.Tensor, *others: torch.Tensor
) -> tuple[torch.Tensor, str]:
    """As ``by_frame``, for changes that say in words what they did: ``told`` of all frames."""
    said: list[str] = []

    def heard(*frame: torch.Tensor) -> torch.Tensor:
        made, words = change(*frame)
        said.append(words)
        return made

    return by_frame(heard, pictures, *others), told(said)


def told(said: Sequence[str]) -> str:
    """What was said of each frame, in one line; what holds for all frames, or for some on end, stands once.

    >>> told(["no drift"]), told(["no drift", "no drift"]), told(["undone", "no drift", "no drift"])
    ('no drift', 'no drift', 'frame 1: undone / frames 2-3: no drift')
    """
    numbered = groupby(enumerate(said, start=1), key=lambda one: one[1])
    runs = [(words, [number for number, _ in run]) for words, run in numbered]
    if len(runs) <= 1:
        return "".join(words for words, _ in runs)
    return " / ".join(
        f"frame {numbers[0]}: {words}" if len(numbers) == 1 else f"frames {numbers[0]}-{numbers[-1]}: {words}"
        for words, numbers in runs
    )
