"""At which size a crop is worked on, and what of the picture is in it. Pure, and explained in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...core import Region, Size
from ...core.tables import chosen
from ..options import UNTURNED, WorkingSizeOptions
from ..values import SizeOptions

CLOSE_ENOUGH = 0.008  # by how much crop and working size may differ in aspect
FINEST = 200  # pixels: a side of this length always has a partner that is close enough


@dataclass(frozen=True)
class WorkingSize:
    """A crop and the size it is worked on at.

    Attributes:
        region: what is cut out. It reaches past the picture's border only to mirror it: for ``border`` ``mirror``, or
            where the picture is too small for the shape that is asked for.
        scale: wished size over the region's size.
        wished: in pixels, before it is rounded down to multiples of ``multiple``.
        multiple: what both sides of ``working`` are multiples of.
        text: why, in words.
        skipped: why the crop is not worked on, None if it is.
    """

    region: Region
    scale: float
    wished: Size
    multiple: int
    text: str
    skipped: str | None = None

    @property
    def working(self) -> Size:
        return self.wished.rounded_down(self.multiple)

    def padding(self, picture: Size) -> tuple[int, int, int, int]:
        """Mirrored pixels at the left, top, right and bottom."""
        return (
            max(-self.region.x1, 0),
            max(-self.region.y1, 0),
            max(self.region.x2 - picture.width, 0),
            max(self.region.y2 - picture.height, 0),
        )


@dataclass(frozen=True)
class Part:
    """A segment's bounding box, and the region that all of its mask lies in (None: in the box)."""

    box: Region
    mask: Region | None = None

    @property
    def whole(self) -> Region:
        return self.box if self.mask is None else self.box.union(self.mask)


def working_size(
    region: Region,
    part: Part,
    picture: Size,
    size: SizeOptions,
    multiple: int,
    options: WorkingSizeOptions = UNTURNED.size,
) -> WorkingSize:
    """What is cut out for a segment, and the size it is worked on at.

    First the region grows to the least context. Then the mode says how large it should become, and the maximum how
    large it may. In all modes but ``guide_size``, which is as it ever was, both sides of the working size are chosen
    among the multiples near it, and the region grows (or, where the picture ends, gives up surroundings) until its
    aspect is within 1 % of the working size's: nothing is stretched. Only where the picture is too small for that, the
    region reaches past it.

    ``max_size`` holds in ``guide_size``, ``guide_size_exact`` and ``short_side`` for crops that are not larger
    themselves, and with ``never_above_max_size`` in every mode for all.

    Args:
        region: the crop region within the picture, not empty.
        part: what it is all about, which stays in the region.
        multiple: pixels that the VAE and the model need.
    """
    multiple = math.lcm(multiple, options.multiple or 1, options.trained.multiple)
    box, shown = part.box, part.whole.within(picture)
    kept = _with_context(shown, options, picture) if options.context else shown.intersection(region)
    grown = region.union(kept)
    words = [] if grown == region else [f"at least {options.context} px around the part"]
    mode = chosen(SIZE_MODES, options.mode, "size mode")
    scale, skipped, why = mode.scale(Asked(grown.size, box.size, size, options))
    words.append(why)
    if not mode.exact:
        wished = grown.size.scaled(scale)
        if options.never_above_max_size and wished.longer > size.max_size:
            scale *= size.max_size / wished.longer
            wished = grown.size.scaled(scale)
            words.append(f"shrunk to max_size {size.max_size:g}")
        return WorkingSize(grown, scale, wished, multiple, ", ".join(words), skipped)
    largest = _largest(grown.size, size, options, mode)
    if largest is not None and max(grown.size) * scale > largest:
        scale = largest / max(grown.size)
        words.append(f"no longer than max_size {size.max_size:g}")
    best = min(
        (
            _fitted(grown, kept, picture, working)
            for working in _candidates(grown.size, scale, largest, multiple, options)
        ),
        key=lambda fit: (fit.past, fit.changed + abs(math.log(fit.working.area / (scale**2 * grown.size.area)))),
    )
    if best.region != grown:
        words.append(f"crop {grown.size} made {best.region.size} for its shape")
    if best.past:
        words.append("mirrored past the picture's border, which is too near")
    scale = best.working.width / best.region.width
    return WorkingSize(best.region, scale, best.working, multiple, ", ".join(words), skipped)


def scale_for(box: Size, crop: Size, options: SizeOptions) -> tuple[float, str | None]:
    """How much a crop is enlarged, and why it is skipped where it is.

    The shorter side of the bounding box (or crop) comes to ``guide_size``, unless a side of the crop would then be
    longer than ``max_size``. Without ``force_inpaint`` parts that are large enough are skipped; with it they are worked
    on at their own size.
    """
    if not options.force_inpaint and box.shorter >= options.guide_size:
        return 1.0, f"its box {box} already reaches guide_size {options.guide_size:g} (force_inpaint is off)"
    guided = box if options.guide_for_bbox else crop
    scale = options.guide_size / max(guided.shorter, 1)
    enlarged = crop.scaled(scale)
    if enlarged.longer > options.max_size:
        scale *= options.max_size / enlarged.longer
        enlarged = crop.scaled(scale)
    if scale > 1.0 and 0 not in enlarged:
        return scale, None
    if options.force_inpaint:
        return 1.0, None
    return 1.0, f"its crop {crop} would not be enlarged (force_inpaint is off)"


def _with_context(part: Region, options: WorkingSizeOptions, picture: Size) -> Region:
    more = options.context
    grown = Region(part.x1 - more, part.y1 - more, part.x2 + more, part.y2 + more)
    return grown if options.border == "mirror" else grown.within(picture)


@dataclass(frozen=True)
class Asked:
    """What a size mode looks at: the crop with its context, the part's box, and what the widgets say."""

    crop: Size
    box: Size
    size: SizeOptions
    options: WorkingSizeOptions

    def unless_small(self, scale: float, why: str) -> Scaled:
        """A scale of a mode that has a size of its own: what it would not enlarge is skipped, unless it is forced."""
        if scale <= 1.0 and not self.size.force_inpaint:
            return scale, f"its crop {self.crop} would not be enlarged (force_inpaint is off)", why
        return scale, None, why


# the scale, why the crop is skipped (None if it is not), and why so large, in words
Scaled = tuple[float, str | None, str]


def _guided(asked: Asked) -> Scaled:
    return *scale_for(asked.box, asked.crop, asked.size), "as guide_size says"


def _short_side(asked: Asked) -> Scaled:
    side = asked.options.short_side
    return asked.unless_small(side / asked.crop.shorter, f"short side {side}")


def _pixel_budget(asked: Asked) -> Scaled:
    budget = asked.options.megapixels
    return asked.unless_small(math.sqrt(budget * 1e6 / asked.crop.area), f"{budget:g} megapixels")


def _model(asked: Asked) -> Scaled:
    trained = asked.options.trained
    why = f"as {trained.family} was trained: {trained.side}x{trained.side} pixels, multiples of {trained.multiple}"
    return asked.unless_small(trained.side / math.sqrt(asked.crop.area), why)


def _fixed_size(asked: Asked) -> Scaled:
    width, height = asked.options.width, asked.options.height
    scale = max(width / asked.crop.width, height / asked.crop.height)
    return asked.unless_small(scale, f"fixed size {width}x{height}")


@dataclass(frozen=True)
class SizeMode:
    """A way to choose the working size.

    Attributes:
        scale: how much a crop is enlarged.
        exact: the crop is fitted to the working size's aspect, so that nothing is stretched.
        limited: ``max_size`` holds for crops that are not larger themselves.
    """

    scale: Callable[[Asked], Scaled]
    exact: bool = True
    limited: bool = True


SIZE_MODES = {
    "guide_size": SizeMode(_guided, exact=False),
    "guide_size_exact": SizeMode(_guided),
    "short_side": SizeMode(_short_side),
    "pixel_budget": SizeMode(_pixel_budget, limited=False),
    "fixed_size": SizeMode(_fixed_size, limited=False),
    "model": SizeMode(_model, limited=False),
}


def _largest(crop: Size, size: SizeOptions, options: WorkingSizeOptions, mode: SizeMode) -> float | None:
    """The longest side allowed, None for any."""
    if options.never_above_max_size:
        return size.max_size
    if not mode.limited or (size.force_inpaint and crop.longer >= size.max_size):
        return None
    return size.max_size


def _candidates(
    crop: Size, scale: float, largest: float | None, multiple: int, options: WorkingSizeOptions
) -> Iterator[Size]:
    """Working sizes near the wished one, at least one: multiples, none longer than allowed (but for one multiple)."""
    most = max(int(largest // multiple), 1) if largest is not None else None
    if options.mode == "fixed_size":
        sides = [max(round(side / multiple), 1) for side in (options.height, options.width)]
        if most is not None and max(sides) > most:
            shrink = most / max(sides)
            sides = [max(round(side * shrink), 1) for side in sides]
        yield Size(*(side * multiple for side in sides))
        return
    heights, widths = (_near(side * scale / multiple, most) for side in crop)
    if options.mode == "short_side" and (most is None or options.short_side <= most * multiple):
        fixed = max(round(crop.shorter * scale / multiple), 1)
        heights, widths = ([fixed], widths) if crop.height <= crop.width else (heights, [fixed])
    sizes = [Size(height * multiple, width * multiple) for height in heights for width in widths]
    budgets = {"pixel_budget": options.megapixels * 1e6, "model": options.trained.side**2}
    if options.mode in budgets:
        within = [one for one in sizes if one.area <= budgets[options.mode]]
        sizes = within or [min(sizes, key=lambda size: size.area)]
    yield from sizes


def _near(cells: float, most: int | None) -> list[int]:
    """Whole numbers near one, from 1 to ``most``."""
    middle = math.floor(cells)
    found = {max(number, 1) for number in range(middle - 1, middle + 3)}
    return sorted({min(number, most) for number in found} if most is not None else found)


@dataclass(frozen=True)
class _Fit:
    """A region for a working size: how many of its pixels lie past the picture, and how much its area changed (log)."""

    working: Size
    region: Region
    past: int
    changed: float


def _fitted(region: Region, kept: Region, picture: Size, working: Size) -> _Fit:
    """The region nearest to ``region`` in the aspect of ``working`` that holds ``kept``, in the picture if it can."""
    whole = Region.whole(picture).union(kept)
    size = _in_aspect(region.size, working)
    if size.height > whole.height or size.width > whole.width:
        smaller = _in_aspect_within(Size(*map(min, size, whole.size)), kept.size, working)
        size = smaller or size
    x1, x2 = _placed((region.x1, region.x2), (kept.x1, kept.x2), size.width, (whole.x1, whole.x2))
    y1, y2 = _placed((region.y1, region.y2), (kept.y1, kept.y2), size.height, (whole.y1, whole.y2))
    fitted = Region(x1, y1, x2, y2)
    past = size.area - fitted.intersection(whole).size.area
    return _Fit(working, fitted, past, abs(math.log(size.area / region.size.area)))


def _is_close(size: Size, working: Size) -> bool:
    return abs(size.width * working.height / (size.height * working.width) - 1.0) <= CLOSE_ENOUGH


def _in_aspect(least: Size, working: Size) -> Size:
    """The smallest size of at least ``least`` in the aspect of ``working``."""
    aspect = working.width / working.height
    first = max(least.height, math.ceil(least.width / aspect / (1 + CLOSE_ENOUGH)))
    for height in range(first, first + FINEST):
        size = Size(height, max(least.width, round(height * aspect)))
        if _is_close(size, working):
            return size
    return Size(first * working.height, first * working.width)  # an aspect beyond 1 to FINEST


def _in_aspect_within(most: Size, least: Size, working: Size) -> Size | None:
    """The largest size of at most ``most`` and at least ``least`` in the aspect of ``working``."""
    aspect = working.width / working.height
    first = min(most.height, math.floor(most.width / aspect * (1 + CLOSE_ENOUGH)))
    for height in range(first, max(least.height, first - FINEST) - 1, -1):
        size = Size(height, min(most.width, round(height * aspect)))
        if size.width >= max(least.width, 1) and height >= 1 and _is_close(size, working):
            return size
    return None


Span = tuple[int, int]


def _placed(around: Span, kept: Span, length: int, limits: Span) -> Span:
    """An interval of ``length`` around the middle of one, that holds another, and lies within the limits if it can."""
    (start, end), (first, last), (low, high) = around, kept, limits
    begin = start + (end - start - length) // 2
    begin = min(max(begin, last - length), first)
    over = length - (high - low)
    begin = low - over // 2 if over > 0 else min(max(begin, low), high - length)
    return begin, begin + length
