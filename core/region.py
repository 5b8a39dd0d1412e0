"""Rectangles of a picture: the only place where coordinates are reckoned with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Size(NamedTuple):
    """A picture's or mask's extent in pixels (or latent cells): height first, as in a SEGS header."""

    height: int
    width: int

    @property
    def shorter(self) -> int:
        return min(self)

    @property
    def longer(self) -> int:
        return max(self)

    @property
    def area(self) -> int:
        return self.height * self.width

    def scaled(self, scale: float) -> Size:
        """So many times as large, truncated towards zero."""
        return Size(int(self.height * scale), int(self.width * scale))

    def rounded_down(self, multiple: int) -> Size:
        """The largest size of whole multiples that is not larger; each side is one multiple at the least."""
        return Size(*(max(side // multiple, 1) * multiple for side in self))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


Sides = tuple[tuple[bool, bool], tuple[bool, bool]]


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels; ``x2`` and ``y2`` are exclusive.

    It may reach outside the picture and may be empty; only the methods that say so promise more.
    """

    x1: int
    y1: int
    x2: int
    y2: int

    @classmethod
    def of(cls, box: Iterable[float]) -> Region:
        """The region of a four-sequence ``x1, y1, x2, y2`` of any number type, truncated towards zero.

        Raises:
            ValueError: if there are not exactly four numbers.
        """
        numbers = [int(value) for value in box]
        if len(numbers) != 4:
            raise ValueError(f"a region is four numbers x1, y1, x2, y2, not {len(numbers)}")
        return cls(*numbers)

    @classmethod
    def whole(cls, size: Size) -> Region:
        """The region that covers a picture of ``size``."""
        return cls(0, 0, size.width, size.height)

    @classmethod
    def around(cls, box: Sequence[float], factor: float, size: Size) -> Region:
        """The crop region around a box that is not rounded, as ``grown`` makes it."""
        x1, y1, x2, y2 = box
        left, right = _grown_axis(x1, x2, factor, size.width, None)
        top, bottom = _grown_axis(y1, y2, factor, size.height, None)
        return cls(left, top, right, bottom)

    @property
    def width(self) -> int:
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        return self.y2 - self.y1

    @property
    def size(self) -> Size:
        return Size(self.height, self.width)

    @property
    def is_empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices, to index an array whose last axes are height and width."""
        return slice(self.y1, self.y2), slice(self.x1, self.x2)

    def shifted(self, dx: int, dy: int) -> Region:
        return Region(self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)

    def padded(self, pixels: int) -> Region:
        """This region with ``pixels`` more on every side."""
        return Region(self.x1 - pixels, self.y1 - pixels, self.x2 + pixels, self.y2 + pixels)

    def relative_to(self, origin: Region) -> Region:
        """This region in the coordinates of a crop cut at ``origin``."""
        return self.shifted(-origin.x1, -origin.y1)

    def intersection(self, other: Region) -> Region:
        """The common part; an empty region (never one of negative size) where there is none."""
        x1, y1 = max(self.x1, other.x1), max(self.y1, other.y1)
        return Region(x1, y1, max(x1, min(self.x2, other.x2)), max(y1, min(self.y2, other.y2)))

    def within(self, size: Size) -> Region:
        """The part inside a picture of ``size``; an empty region where there is none."""
        return self.intersection(Region.whole(size))

    def union(self, other: Region) -> Region:
        """The smallest region that holds both."""
        return Region(min(self.x1, other.x1), min(self.y1, other.y1), max(self.x2, other.x2), max(self.y2, other.y2))

    @classmethod
    def of_all(cls, regions: Sequence[Region]) -> Region:
        """The smallest region that holds all of some, of which there is one at least."""
        whole = regions[0]
        for region in regions[1:]:
            whole = whole.union(region)
        return whole

    def overlaps(self, other: Region) -> bool:
        return not self.intersection(other).is_empty

    def inside(self, size: Size) -> bool:
        """Whether no part lies outside a picture of ``size``."""
        return self.x1 >= 0 and self.y1 >= 0 and self.x2 <= size.width and self.y2 <= size.height

    def open_sides(self, size: Size) -> Sides:
        """Which sides have more of a picture of ``size`` beyond them: top and bottom, left and right."""
        return (self.y1 > 0, self.y2 < size.height), (self.x1 > 0, self.x2 < size.width)

    def rescaled(self, old: Size, new: Size) -> Region:
        """The same part of the picture after it went from size ``old`` to ``new``: exact, truncated towards zero."""
        return Region(
            _rescaled(self.x1, old.width, new.width),
            _rescaled(self.y1, old.height, new.height),
            _rescaled(self.x2, old.width, new.width),
            _rescaled(self.y2, old.height, new.height),
        )

    def rescaled_outwards(self, old: Size, new: Size) -> Region:
        """As ``rescaled``, but rounded so that nothing of it is cut off; within the picture."""
        return Region(
            self.x1 * new.width // old.width,
            self.y1 * new.height // old.height,
            -(-self.x2 * new.width // old.width),
            -(-self.y2 * new.height // old.height),
        )

    def grown(self, factor: float, size: Size, minimum: int | None = None) -> Region:
        """The crop region around a bounding box: ``factor`` times its sides, slid inside a picture of ``size``.

        A side that would be longer than the picture's is the picture's. Each axis stands alone, and nothing is
        rounded to a multiple of anything. ``minimum`` is the least length of a side in pixels.
        """
        x1, x2 = _grown_axis(self.x1, self.x2, factor, size.width, minimum)
        y1, y2 = _grown_axis(self.y1, self.y2, factor, size.height, minimum)
        return Region(x1, y1, x2, y2)

    def as_list(self) -> list[int]:
        """``[x1, y1, x2, y2]``, the form of ``SEG.crop_region``."""
        return [self.x1, self.y1, self.x2, self.y2]

    def as_tuple(self) -> tuple[int, int, int, int]:
        """``(x1, y1, x2, y2)``, the form of ``SEG.bbox``."""
        return self.x1, self.y1, self.x2, self.y2

    def __str__(self) -> str:
        return f"{self.size} at {self.x1},{self.y1}"


def _rescaled(value: int, old: int, new: int) -> int:
    return value * new // old if value >= 0 else -(-value * new // old)


def _grown_axis(start: float, end: float, factor: float, limit: int, minimum: int | None) -> tuple[int, int]:
    length = (end - start) * factor
    if minimum is not None:
        length = max(minimum, length)
    first = int(start + (end - start) / 2 - length / 2)
    if first < 0:
        return 0, int(min(limit, length))
    if first + length > limit:
        return int(max(0, limit - length)), limit
    return first, int(first + length)
