"""Per-segment text: which segment gets which prompt and seed, and in which order they are worked on."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...core import SEG, Region, bbox

MAX_RANDOM_SEED = 1125899906842624
MAX_SEED_DIGITS = 100  # Python refuses to read numbers of thousands of digits

_SEPARATOR = re.compile(r"\[SEP(?::(\w+))?\]")
_LABELLED = re.compile(r"\[([A-Za-z0-9_. ]+)\]([^\[]*)")


def _left_to_right(region: Region) -> tuple[int, ...]:
    return region.x1, region.y1


def _by_size(region: Region) -> tuple[int, ...]:
    return (region.width * region.height,)


_ORDERS: dict[str, tuple[Callable[[Region], tuple[int, ...]], bool] | None] = {
    "[ASC]": (_left_to_right, False),
    "[DSC]": (_left_to_right, True),
    "[ASC-SIZE]": (_by_size, False),
    "[DSC-SIZE]": (_by_size, True),
    "[RND]": None,
}


@dataclass(frozen=True)
class Prompt:
    """What the text says for one segment; ``text`` None means the node's own conditioning."""

    text: str | None = None
    seed: int | None = None
    skip: bool = False
    stop: bool = False


@dataclass(frozen=True)
class SegmentText:
    """A parsed per-segment text.

    Attributes:
        items: prompts dealt one a segment, again from the start when used up.
        labels: prompts by segment label, instead of ``items``.
        order: one of the order tags, or "".
        concat: prompts are added to the node's positive instead of replacing it.
        seed: of the shuffling.
    """

    items: tuple[Prompt, ...] = (Prompt(),)
    labels: dict[str, str] | None = None
    order: str = ""
    concat: bool = False
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> SegmentText:
        """Read a node's text. Tags are known at the very first character only.

        ``[CONCAT]`` may come first. Then ``[LAB]`` and entries ``[label] prompt``; or one of ``[ASC] [DSC]
        [ASC-SIZE] [DSC-SIZE] [RND]`` and prompts parted by ``[SEP]``, ``[SEP:number]`` (the seed of the prompt after
        it) or ``[SEP:R]`` (a random one, the same for the same node seed); or one prompt for all segments. A prompt may
        be ``[SKIP]`` or ``[STOP]``.
        """
        concat = text.startswith("[CONCAT]")
        text = text.removeprefix("[CONCAT]")
        if text.startswith("[LAB]"):
            entries = {name.strip(): prompt.strip() for name, prompt in _LABELLED.findall(text.removeprefix("[LAB]"))}
            return cls(labels={k: v for k, v in entries.items() if v}, concat=concat, seed=seed)
        for tag in _ORDERS:
            if text.startswith(tag):
                items = tuple(_items(text.removeprefix(tag), random.Random(seed)))
                return cls(items, order=tag, concat=concat, seed=seed)
        return cls((_prompt(text, None),), concat=concat, seed=seed)

    def deal(self, segs: list[SEG]) -> Iterator[tuple[SEG, Prompt]]:
        """The segments in the order of work, each with its prompt."""
        sort = _ORDERS.get(self.order)
        if sort is not None:
            key, descending = sort
            segs = sorted(segs, key=lambda seg: key(bbox(seg)), reverse=descending)
        prompts = self._endless()
        for seg in segs:
            if self.labels is None:
                yield seg, next(prompts)
            else:
                yield seg, Prompt((self.labels.get("ALL", "") + self.labels.get(seg.label, "")) or None)

    def _endless(self) -> Iterator[Prompt]:
        items = list(self.items)
        source = random.Random(self.seed)
        while True:
            if self.order == "[RND]":
                source.shuffle(items)
            yield from items


def _items(text: str, source: random.Random) -> Iterator[Prompt]:
    """The prompts of a list text. A separator's value belongs to the prompt after it."""
    parts = _SEPARATOR.split(text)
    seeds = [None, *parts[1::2]]
    for prompt, seed in zip(parts[::2], seeds, strict=True):
        if seed == "R":
            yield _prompt(prompt, source.randint(0, MAX_RANDOM_SEED))
        else:
            is_number = seed is not None and seed.isdecimal() and len(seed) <= MAX_SEED_DIGITS
            yield _prompt(prompt, int(seed) if seed and is_number else None)


def _prompt(text: str, seed: int | None) -> Prompt:
    word = text.strip()
    if word in ("[SKIP]", "[STOP]"):
        return Prompt(seed=seed, skip=word == "[SKIP]", stop=word == "[STOP]")
    return Prompt(text if word else None, seed)
