"""What SAM is asked for a segment: points on it and beside it, and a box around it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import SEG, SEGS, Size, crop_region, resize_mask, seg_mask

HINTS = (
    "center-1",
    "horizontal-2",
    "vertical-2",
    "rect-4",
    "diamond-4",
    "mask-area",
    "mask-points",
    "mask-point-bbox",
    "none",
)
NEGATIVES = ("False", "Small", "Outter")

SMALL = 10  # pixels: what is narrower counts as small
MARGIN = 10  # pixels that points around a segment keep from its crop and from the picture's edge
GRID = 20  # points on a side of a grid, about
LEAST_STEP = 3

Point = tuple[float, float]


@dataclass(frozen=True)
class SamSettings:
    """How SAM is asked.

    Attributes:
        hint: one of ``HINTS``.
        threshold: 0..1, the least score of a mask that is kept.
        dilation: how far the mask of all segments is grown, see ``dilate_mask``.
        bbox_expansion: pixels by which each box is grown on every side.
        mask_hint_threshold: 0..1; with ``mask-area``, points are set where the segment's mask is above it.
        negative: one of ``NEGATIVES``, where points are set that say "not this".
    """

    hint: str
    threshold: float
    dilation: int = 0
    bbox_expansion: int = 0
    mask_hint_threshold: float = 0.7
    negative: str = "False"


@dataclass(frozen=True)
class Prompt:
    """One question to SAM, in pixels of the picture.

    Attributes:
        points: ``(x, y)`` inside the picture.
        labels: for each point 1 (this) or 0 (not this).
        box: ``[x1, y1, x2, y2]``, or None.
    """

    points: list[Point]
    labels: list[int]
    box: list[float] | None

    @property
    def is_empty(self) -> bool:
        return not self.points and self.box is None


def prompts(segs: SEGS, picture: Size, settings: SamSettings) -> list[Prompt]:
    """One prompt a segment, in their order; with ``mask-points`` a single one with all centres.

    Args:
        segs: in the coordinates of the picture.

    Returns:
        prompts whose points and boxes lie in the picture: a segment whose box lies outside has an empty one.

    Raises:
        KeyError: for a hint that is none of ``HINTS``.
    """
    if settings.hint == "mask-points":
        return [_centres(segs, picture, settings.negative == "Small")]
    return [_prompt(seg, picture, settings) for seg in segs[1]]


def _centres(segs: SEGS, picture: Size, small_are_negative: bool) -> Prompt:
    points, labels = [], []
    for seg in segs[1]:
        x1, _, x2, _ = map(float, seg.bbox)
        if _in_picture(_centre(seg), picture):
            points.append(_centre(seg))
            labels.append(0 if small_are_negative and x2 - x1 < SMALL else 1)
    return Prompt(points, labels, None)


def _prompt(seg: SEG, picture: Size, settings: SamSettings) -> Prompt:
    box = _box(seg, settings.bbox_expansion, picture)
    if box[0] >= box[2] or box[1] >= box[3]:
        return Prompt([], [], None)
    beside: list[Point] = []
    if settings.hint == "mask-area":
        on, beside = _on_mask(seg, settings)
    else:
        on = _on_box(settings.hint, _centre(seg), box)
    if settings.negative == "Outter":
        beside = beside + _around(seg, picture)
    on, beside = ([point for point in points if _in_picture(point, picture)] for points in (on, beside))
    return Prompt(on + beside, [1] * len(on) + [0] * len(beside), box)


def _centre(seg: SEG) -> Point:
    x1, y1, x2, y2 = map(float, seg.bbox)
    return (x1 + x2) / 2, (y1 + y2) / 2


def _in_picture(point: Point, picture: Size) -> bool:
    return 0 <= point[0] < picture.width and 0 <= point[1] < picture.height


def _box(seg: SEG, expansion: int, picture: Size) -> list[float]:
    x1, y1, x2, y2 = map(float, seg.bbox)
    return [
        max(x1 - expansion, 0.0),
        max(y1 - expansion, 0.0),
        min(x2 + expansion, float(picture.width)),
        min(y2 + expansion, float(picture.height)),
    ]


def _on_box(hint: str, centre: Point, box: list[float]) -> list[Point]:
    """Points by a box's thirds. The names ``rect-4`` and ``diamond-4`` are the wrong way round in saved workflows."""
    x1, y1, x2, y2 = box
    columns = [x1 + (x2 - x1) * part / 3 for part in (1, 2)]
    rows = [y1 + (y2 - y1) * part / 3 for part in (1, 2)]
    across = [(x, centre[1]) for x in columns]
    down = [(centre[0], y) for y in rows]
    return {
        "center-1": [centre],
        "mask-point-bbox": [centre],
        "horizontal-2": across,
        "vertical-2": down,
        "rect-4": across + down,
        "diamond-4": [(x, y) for y in rows for x in columns],
        "none": [],
    }[hint]


def _step(side: int) -> int:
    return max(LEAST_STEP, side // GRID)


def _on_mask(seg: SEG, settings: SamSettings) -> tuple[list[Point], list[Point]]:
    """A grid over the segment's mask: where it is above the threshold, and, if asked for, where it is 0."""
    region = crop_region(seg)
    mask = resize_mask(seg_mask(seg).cpu().amax(dim=0, keepdim=True), region.size)[0]
    values = [
        ((float(region.x1 + x), float(region.y1 + y)), float(mask[y, x]))
        for y in range(0, region.height, _step(region.height))
        for x in range(0, region.width, _step(region.width))
    ]
    on = [point for point, value in values if value > settings.mask_hint_threshold]
    beside = [point for point, value in values if value == 0.0 and settings.negative == "Small"]
    return on, beside


def _around(seg: SEG, picture: Size) -> list[Point]:
    """A grid over the picture without its margin, and without the segment's crop and the margin around that."""
    region = crop_region(seg)
    return [
        (float(x), float(y))
        for y in range(MARGIN, picture.height - MARGIN, _step(picture.height))
        for x in range(MARGIN, picture.width - MARGIN, _step(picture.width))
        if not (region.x1 - MARGIN <= x <= region.x2 + MARGIN and region.y1 - MARGIN <= y <= region.y2 + MARGIN)
    ]
