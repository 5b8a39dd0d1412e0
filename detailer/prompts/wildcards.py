"""Choices in prompts: ``{a|b}`` and ``__name__``. Pure; the lists of such names come from elsewhere."""

from __future__ import annotations

import logging
import math
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from itertools import accumulate

logger = logging.getLogger("mask_detailer")

MAX_ROUNDS = 99
MAX_ADDED = 100_000  # characters that one expansion puts in, over all its rounds
MAX_REPEATS = 100
MAX_PATTERNS = 100  # names with ``*`` that one text may hold; those after them are taken for unknown
_MOST_DIGITS = 9  # a number of more is as good as the largest with so many

_NAME = r"__(?! )[\w.\-+/*\\ ]{1,200}?(?<! )__"
_WILDCARD = re.compile(_NAME)
_REPEATED = re.compile(rf"(?<!\d)(\d+)#({_NAME})")  # a run of digits is looked at once, from its start

# Where files are named, a list's name within the file's is none. A name that is nothing but a list's is a choice.
_FILES = re.compile(
    rf"(<lora:(?!\s*{_NAME}\s*[:>])[^<>{{}}|]*>|\bembedding:(?!{_NAME}(?:[\s,:)]|$))[^\s,(){{}}|<>\[\]]+)"
)
_BRACES = re.compile(r"\{([^{}]*)\}")
_WEIGHTED = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*::(.*)", re.DOTALL)
_SEVERAL = re.compile(
    r"\s*(?:(?P<count>\d+)|(?P<least>\d*)-(?P<most>\d+))\s*\$\$(?:(?P<joiner>[^|]*?)\$\$)?(?P<rest>.*)", re.S
)


def expand(text: str, seed: int, lists: Mapping[str, Sequence[str]]) -> str:
    """The text with every choice made. The same text, seed and lists give the same result, always.

    Lines that start with ``#``, blanks before it or not, go. ``{a|b}`` becomes one of its options, innermost braces
    first, ``{2$$a|b|c}`` two of them in random order, ``{1-3$$, $$a|b|c}`` one to three with a comma between,
    ``{-3$$a|b|c}`` one to three. ``__name__`` becomes an entry of that list, and ``{2$$__name__}`` two of them;
    ``3#__name__`` within braces stands for three options. An option or entry ``5::a`` is chosen five times as often
    as a plain one, ``0::a`` never.

    Args:
        lists: entries by name; names are lower-case, with ``/`` between folders and ``-`` for blanks. In the text they
            may be written with capitals, backslashes and blanks, and with ``*`` for any part, which joins all lists
            that fit. A name without ``/`` that is no list is looked for in all folders: lists of that name, and all
            that lie in a folder of that name, are joined. If there is none either, it stays as it is. So do LoRA tags
            and ``embedding:`` names, where a list's name is only a part of the file's.
    """
    return _Expansion(random.Random(seed), lists).of(_without_comments(text))


def normal_name(name: str) -> str:
    """A list's name as it is looked up."""
    return name.lower().replace("\\", "/").replace(" ", "-")


def _whole(digits: str) -> int:
    """The number that digits say, as far as one so large makes a difference; Python refuses to read thousands."""
    digits = digits.lstrip("0")
    return int(digits or 0) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS - 1


def _without_comments(text: str) -> str:
    """Without lines that start with ``#``, after blanks too; the next comes behind the one before, with a blank."""
    kept = ""
    after_comment, first = False, True
    for line in text.split("\n"):
        if line.lstrip().startswith("#"):
            after_comment = True
            continue
        kept += line if first else (" " if after_comment else "\n") + line
        after_comment = first = False
    return kept


def _outside_files(pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str], text: str) -> str:
    """The text with what matches replaced, but for the names of files."""
    parts = _FILES.split(text)
    parts[::2] = [pattern.sub(replacement, part) for part in parts[::2]]
    return "".join(parts)


@dataclass(frozen=True)
class _Options:
    """What to choose from, with the running sums of the weights."""

    texts: tuple[str, ...]
    weights: tuple[float, ...]
    sums: tuple[float, ...]

    @classmethod
    def of(cls, options: Iterable[str]) -> _Options:
        texts, weights = [], []
        for option in options:
            weighted = _WEIGHTED.match(option) if "::" in option else None
            texts.append(weighted[2] if weighted else option)
            weights.append(min(float(weighted[1]), 1e9) if weighted else 1.0)
        if not any(weights):
            weights = [1.0] * len(weights)
        return cls(tuple(texts), tuple(weights), tuple(accumulate(weights)))

    def one(self, source: random.Random) -> str:
        wanted = source.random() * self.sums[-1]
        low, high = 0, len(self.sums) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if wanted < self.sums[middle] else (middle + 1, high)
        return self.texts[low]

    def several(self, source: random.Random, count: int) -> list[str]:
        """Without repetition, in the order drawn, as if each were drawn by weight from those that are left."""
        times = [(-math.log(1.0 - source.random()) / w, i) for i, w in enumerate(self.weights) if w > 0]
        return [self.texts[i] for _, i in sorted(times)[:count]]


class _Expansion:
    """One text on its way.

    Attributes:
        made: choices made in this round.
        left: characters that may still be put in.
    """

    def __init__(self, source: random.Random, lists: Mapping[str, Sequence[str]]) -> None:
        self._source = source
        self._lists = lists
        self._found: dict[str, _Options | None] = {}
        self._patterns = 0
        self.made = 0
        self.left = MAX_ADDED

    def of(self, text: str) -> str:
        for _ in range(MAX_ROUNDS):
            self.made = 0
            text = _BRACES.sub(self._braces, _outside_files(_REPEATED, self._repeated, text))
            if not self.made:
                text = _outside_files(_WILDCARD, self._wildcard, text)
            if not self.made:
                break
        if self.left <= 0:
            logger.warning("a segment's text grows beyond %d characters: its other choices are not made", MAX_ADDED)
        unknown = [name for name, options in self._found.items() if options is None]
        if unknown:
            logger.warning("no wildcard list has the name %s: left in the text as it is", ", ".join(unknown))
        return text

    def _put(self, match: re.Match[str], replacement: str) -> str:
        """The replacement, unless that would be too much."""
        self.left -= len(replacement)
        if self.left <= 0:
            return match[0]
        self.made += 1
        return replacement

    def _repeated(self, match: re.Match[str]) -> str:
        count = _whole(match[1])
        return self._put(match, "|".join([match[2]] * min(count, MAX_REPEATS)))

    def _braces(self, match: re.Match[str]) -> str:
        several = _SEVERAL.fullmatch(match[1])
        if several is None:
            return self._put(match, _Options.of(match[1].split("|")).one(self._source))
        rest = several["rest"]
        name = _WILDCARD.fullmatch(rest.strip())
        options = self._options(name[0][2:-2]) if name else None
        options = options or _Options.of(rest.split("|"))
        joiner = " " if several["joiner"] is None else several["joiner"]
        return self._put(match, joiner.join(options.several(self._source, self._count(several))))

    def _count(self, several: re.Match[str]) -> int:
        if several["count"]:
            return _whole(several["count"])
        least, most = sorted((_whole(several["least"] or "1"), _whole(several["most"])))
        return least + int(self._source.random() * (most - least + 1))

    def _wildcard(self, match: re.Match[str]) -> str:
        options = self._options(match[0][2:-2])
        return match[0] if options is None else self._put(match, options.one(self._source))

    def _options(self, name: str) -> _Options | None:
        if name not in self._found:
            wanted = normal_name(name)
            entries = self._entries(wanted)
            if not entries and "/" not in wanted:
                entries = self._entries(f"*/{wanted}") if "*" in wanted else self._in_any_folder(wanted)
            self._found[name] = _Options.of(entries) if entries else None
        return self._found[name]

    def _entries(self, wanted: str) -> list[str]:
        if "*" not in wanted:
            return list(self._lists.get(wanted, ()))
        self._patterns += 1  # each is compared with the name of every list
        if self._patterns > MAX_PATTERNS:
            return []
        fits = re.compile(translate(wanted)).match
        return self._joined(name for name in self._lists if fits(name))

    def _in_any_folder(self, wanted: str) -> list[str]:
        return self._joined(self._by_part.get(wanted, ()))

    def _joined(self, names: Iterable[str]) -> list[str]:
        return [entry for name in sorted(names) for entry in self._lists[name]]

    @cached_property
    def _by_part(self) -> dict[str, list[str]]:
        """The names of lists in folders, by each part between their ``/``."""
        named: dict[str, list[str]] = {}
        for name in self._lists:
            if "/" in name:
                for part in dict.fromkeys(name.split("/")):
                    named.setdefault(part, []).append(name)
        return named
