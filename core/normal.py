"""SEGS of whatever pack in one form: what has a clear meaning is mended, all else is a fault that names its place.

What is in order comes through as the very objects that came in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import is_
from typing import cast

import numpy as np
import torch

from .masks import as_mask_batch, resize_mask
from .region import Region, Size
from .seg import SEG, SEGS

FIELDS = SEG._fields[:-1]  # what every segment has; those of other packs may lack the control_net_wrapper
FARTHEST = 2**24  # pixels from the picture's corner: no box reaches beyond
MOST_SIDE = 2**16  # pixels of a side of a picture or crop region
MOST_PIXELS = 2**28  # what a mask is brought to
MOST_TIMES = 8  # sides of a crop region over those of the picture
ROUNDING = 1e-5  # what a mask's values may be beyond 0..1
WILD = 1000.0  # no picture's values, which are 0..1 and a little beyond
LEVELS = {"uint8": 255.0, "uint16": 65535.0}
MOST_SHOWN = 80  # letters of a value in a message

UNKNOWN = Size(0, 0)

Pixels = np.ndarray | torch.Tensor


class SegsError(ValueError):
    """What is wrong with SEGS, in words that name the segment and its field."""


def normal_segs(segs: object, detected: bool = False) -> tuple[SEGS, list[str]]:
    """SEGS as ``((height, width), [SEG, ...])``, and what was mended that may surprise.

    Args:
        detected: a detector gave them: a segment without pixels stays as it is, to be left out.

    Raises:
        SegsError: for what can't be read as SEGS.
    """
    if not isinstance(segs, tuple | list) or len(segs) != 2 or not isinstance(segs[1], tuple | list):
        raise SegsError(f"a {type(segs).__name__} is no SEGS")
    try:
        header = normal_header(segs[0])
    except SegsError as error:
        raise SegsError(f"its header {error}") from error
    notes: list[str] = []
    elements = []
    for number, seg in enumerate(segs[1], start=1):
        if missing := missing_fields(seg):
            raise SegsError(f"segment {number} lacks {', '.join(missing)}")
        who = f"{'detection' if detected else 'segment'} {number}"
        elements.append(normal_seg(seg, who, Size(*header), detected, notes))
    return (header, elements), notes


def missing_fields(seg: object) -> list[str]:
    return [field for field in FIELDS if not hasattr(seg, field)]


def normal_seg(
    seg: object, who: str, picture: Size = UNKNOWN, detected: bool = False, notes: list[str] | None = None
) -> SEG:
    """A segment that has all fields, as it should be; the same object where nothing had to be mended.

    Args:
        who: the segment, in words.
        picture: the size that it was made for; a 0 in it says that none is known.
        detected: as for ``normal_segs``.
        notes: gets what was mended that may surprise.

    Raises:
        SegsError: naming ``who`` and the field.
    """
    told = [] if notes is None else notes
    given = SEG(**{field: getattr(seg, field, None) for field in SEG._fields})
    found = _region(given, who, picture, told)
    if found is None:
        if detected:
            return cast(SEG, seg)
        reason = "whose sides are in reverse, and a cropped_mask that doesn't say what is meant"
        raise SegsError(f"{who} has a crop_region {shown(given.crop_region)} {reason}")
    region, sides = found
    made = SEG(
        cropped_image=_picture(given.cropped_image, region.size, who, told),
        cropped_mask=_mask(given.cropped_mask, region.size, who, detected, told),
        confidence=_confidence(given.confidence, who),
        crop_region=sides,
        bbox=_bbox(given.bbox, who, told),
        label=_label(given.label),
        control_net_wrapper=given.control_net_wrapper,
    )
    return cast(SEG, seg) if all(map(is_, made, given)) else made


# --- numbers ------------------------------------------------------------------------------------------------------


def normal_header(header: object) -> tuple[int, int]:
    """``(height, width)`` of a picture; a 0 in it says that none is known.

    Raises:
        SegsError: for anything but two whole numbers from 0 up to what pictures have.
    """
    numbers = [_number(side) for side in _listed(header)[:3]]
    if len(numbers) != 2 or not all(number is not None and math.isfinite(number) for number in numbers):
        raise SegsError(f"{shown(header)} is not (height, width)")
    height, width = (int(cast(float, number)) for number in numbers)
    if (height, width) != tuple(numbers) or not (0 <= height <= MOST_SIDE and 0 <= width <= MOST_SIDE):
        raise SegsError(f"{shown(header)} is not (height, width) of a picture: two whole numbers, 0 to {MOST_SIDE}")
    return height, width


def normal_region(box: object) -> Region:
    """Four numbers as a region, sides in reverse turned round.

    Raises:
        SegsError: for anything but four finite numbers, and for those that no picture has.
    """
    return _ordered(Region.of(four_numbers(box)[0]))


def four_numbers(box: object, has: str = "") -> tuple[list[float], bool]:
    """``x1, y1, x2, y2`` of any number type, and whether they stand in a form that everyone can read.

    Args:
        has: whose they are, for the fault.

    Raises:
        SegsError: for anything but four finite numbers, and for those that no picture has.
    """
    if type(box) in (list, tuple):
        items = cast("Sequence[object]", box)
        kept = all(isinstance(side, int | float | np.number) and not isinstance(side, bool) for side in items[:5])
    else:
        items = _listed(box)
        kept = isinstance(box, np.ndarray) and box.ndim == 1 and box.dtype.kind in "iuf"
    if len(items) in (1, 2):  # [[x1, y1, x2, y2]], or [[x1, y1], [x2, y2]]
        items, kept = [side for item in items for side in _listed(item)], False
    numbers = [_number(side) for side in items[:5]]
    beginning = f"{has} {shown(box)} that" if has else shown(box)
    if len(numbers) != 4 or not all(number is not None and math.isfinite(number) for number in numbers):
        raise SegsError(f"{beginning} is not four numbers")
    sure = cast("list[float]", numbers)
    if not all(-FARTHEST <= number <= FARTHEST for number in sure):
        raise SegsError(f"{beginning} is farther out than any picture reaches")
    return sure, kept


def _listed(value: object) -> Sequence[object]:
    """What a short list, array or tensor holds; nothing for all else."""
    if isinstance(value, torch.Tensor | np.ndarray):
        try:
            return value.tolist() if value.ndim and len(value) <= 4 else []
        except (RuntimeError, NotImplementedError):  # it has no values
            return []
    return value if isinstance(value, list | tuple) else []


def _number(value: object) -> int | float | None:
    """A number of any kind, or one written as text, as Python's own; None for what is none."""
    if type(value) is float:
        return value
    try:
        plain = value.item() if isinstance(value, np.generic | np.ndarray | torch.Tensor) else value
        number = float(cast(float, plain))
    except (TypeError, ValueError, OverflowError, RuntimeError, NotImplementedError):
        return None
    return int(plain) if isinstance(plain, int) else number


def _confidence(value: object, who: str) -> object:
    """A finite number as it came, and a float for what means one; None is 1, as of segments made from masks."""
    if value is None:
        return 1.0
    number = _number(value)
    if number is None and isinstance(value, torch.Tensor | np.ndarray) and len(listed := _flat(value)):
        number = _number(listed[0])
    if number is None:
        raise SegsError(f"{who} has a confidence {shown(value)} that is no number")
    if not math.isfinite(number):
        return 0.0
    kept = isinstance(value, float | int | np.number | torch.Tensor | np.ndarray) and not isinstance(value, bool)
    return value if kept else float(number)


def _flat(value: torch.Tensor | np.ndarray) -> list[object]:
    try:
        return value.reshape(-1)[:1].tolist()
    except (RuntimeError, NotImplementedError):
        return []


def _label(value: object) -> object:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value.item() if isinstance(value, np.generic) else value)


def shown(value: object) -> str:
    """A value in a message: short, on one line."""
    if isinstance(value, torch.Tensor | np.ndarray) and math.prod(value.shape) > 8:
        return f"(a {type(value).__name__} of shape {list(value.shape)})"
    text = " ".join(repr(value).split())
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


# --- regions ------------------------------------------------------------------------------------------------------


def _ordered(region: Region) -> Region:
    x1, x2 = sorted((region.x1, region.x2))
    y1, y2 = sorted((region.y1, region.y2))
    return Region(x1, y1, x2, y2)


def _region(seg: SEG, who: str, picture: Size, told: list[str]) -> tuple[Region, object] | None:
    """A segment's crop region, and as the segment should have it; None where it is in reverse for no clear reason."""
    value = seg.crop_region
    numbers, kept = four_numbers(value, f"{who} has a crop_region")
    region = Region.of(numbers)
    if region.width < 0 or region.height < 0:
        region, kept = _ordered(region), False
        if tuple(getattr(seg.cropped_mask, "shape", ()))[-2:] != region.size:
            return None
        told.append(f"{who}: the sides of its crop_region {shown(value)} are in reverse and were turned round")
    if max(region.size) > MOST_SIDE:
        raise SegsError(f"{who} has a crop_region {shown(value)} of {region.size}, larger than pictures are")
    if 0 not in picture and any(side > MOST_TIMES * most for side, most in zip(region.size, picture, strict=True)):
        found = f"far larger than the {picture} picture that the SEGS are for"
        raise SegsError(f"{who} has a crop_region {shown(value)}, {found}")
    whole = all(side == int(side) for side in numbers)
    return region, value if kept and whole else region.as_list()


def _bbox(value: object, who: str, told: list[str]) -> object:
    numbers, kept = four_numbers(value, f"{who} has a bbox")
    x1, y1, x2, y2 = numbers
    if x1 <= x2 and y1 <= y2:
        return value if kept else tuple(numbers)
    told.append(f"{who}: the sides of its bbox {shown(value)} are in reverse and were turned round")
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


# --- masks and pictures -------------------------------------------------------------------------------------------


def _mask(value: object, size: Size, who: str, detected: bool, told: list[str]) -> object:
    """A mask of ``[h,w]`` or ``[n,h,w]`` of the crop region's size, 0..1; booleans may stay."""
    pixels = _readable(value, who, "cropped_mask")
    shape = _mask_shape(tuple(pixels.shape), size)
    if shape is None:
        found = f"{list(pixels.shape)}, not [height, width] or [frames, height, width]"
        raise SegsError(f"{who} has a cropped_mask of shape {found}")
    if 0 in size or 0 in shape:
        fits = shape == tuple(pixels.shape) and shape[-2:] == size
        return pixels if (fits or detected) and shape[:-2] != (0,) else np.zeros(size, np.float32)
    if shape != tuple(pixels.shape):
        pixels = pixels.reshape(shape)
    pixels = _scaled(pixels)
    if _kind(pixels) != "b":
        low, high = _extent(pixels)
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            told.append(f"{who}: its cropped_mask holds {_beyond(low, high)}")
            pixels = _within(pixels)
    if shape[-2:] == size:
        return pixels
    if size.area > MOST_PIXELS:
        found = f"of shape {list(shape)} that doesn't fit its crop_region of {size}"
        raise SegsError(f"{who} has a cropped_mask {found}")
    resized = resize_mask(as_mask_batch(pixels), size)
    if isinstance(pixels, np.ndarray):
        resized = resized.numpy()
    return resized[0] if len(shape) == 2 else resized


def _mask_shape(shape: tuple[int, ...], size: Size) -> tuple[int, ...] | None:
    """The shape ``[h,w]`` or ``[n,h,w]`` of a mask whose channel may be anywhere; None for what is no mask."""
    if len(shape) in (3, 4) and shape[-1] == 1 and shape[-3:-1] == size and shape[-2:] != size:
        return shape[:-1]
    if len(shape) == 4 and 1 in shape[:2]:
        return shape[0] * shape[1], *shape[2:]
    if len(shape) == 4 and shape[-1] == 1:
        return shape[:-1]
    return shape if len(shape) in (2, 3) else None


def _picture(value: object, size: Size, who: str, told: list[str]) -> object:
    """None, or ``[n,h,w,3 or 4]`` of finite values."""
    if value is None:
        return None
    pixels = given = _readable(value, who, "cropped_image")
    if pixels.ndim == 3:
        pixels = pixels[None]
    if pixels.ndim != 4 or (pixels.shape[-1] not in (1, 3, 4) and 0 not in pixels.shape):
        found = f"{list(given.shape)}, not [frames, height, width, 3 or 4 channels]"
        raise SegsError(f"{who} has a cropped_image of shape {found}")
    if 0 in size or 0 in pixels.shape:
        return None
    pixels = _scaled(pixels)
    if _kind(pixels) == "b":
        pixels = _as_float(pixels)
    low, high = _extent(pixels)
    if not (low >= -WILD and high <= WILD):
        told.append(f"{who}: its cropped_image holds {_beyond(low, high)}")
        pixels = _within(pixels)
    if pixels.shape[-1] == 1:
        pixels = pixels.repeat(1, 1, 1, 3) if isinstance(pixels, torch.Tensor) else pixels.repeat(3, axis=-1)
    return pixels


def _readable(value: object, who: str, field: str) -> Pixels:
    """Numbers in an array or tensor; the same object where it is one."""
    if value is None:
        raise SegsError(f"{who} has no {field} (None)")
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.is_meta or value.is_complex() or value.is_quantized:
            raise SegsError(f"{who} has a {field} of {value.dtype} that can't be read as pixels")
        return value.detach() if value.requires_grad else value
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
        readable = array.dtype.isnative and array.itemsize <= 8  # by torch
        if array.dtype.kind == "O" or (array.dtype.kind in "biuf" and not readable):
            array = array.astype(np.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise SegsError(f"{who} has a {field} {shown(value)} that is none") from error
    if array.dtype.kind not in "biuf":
        raise SegsError(f"{who} has a {field} {shown(value)} that is none")
    return array


def _kind(pixels: Pixels) -> str:
    """``b`` for booleans, ``f`` for floats, ``i`` for whole numbers."""
    if isinstance(pixels, torch.Tensor):
        return "b" if pixels.dtype == torch.bool else "f" if pixels.is_floating_point() else "i"
    return "i" if pixels.dtype.kind == "u" else pixels.dtype.kind


def _scaled(pixels: Pixels) -> Pixels:
    """Whole numbers as 0..1: bytes and the like by their largest value, where there is more than 0 and 1."""
    if _kind(pixels) != "i":
        return pixels
    _, high = _extent(pixels)
    name = str(pixels.dtype).removeprefix("torch.")
    return _as_float(pixels) / (LEVELS.get(name, LEVELS["uint8"]) if high > 1 else 1.0)


def _as_float(pixels: Pixels) -> Pixels:
    return pixels.to(torch.float32) if isinstance(pixels, torch.Tensor) else pixels.astype(np.float32)


def _extent(pixels: Pixels) -> tuple[float, float]:
    """The least and the largest value, both NaN where there is one in it."""
    if isinstance(pixels, torch.Tensor):
        wide = pixels.dtype in (torch.float32, torch.float64)
        low, high = (pixels if wide else pixels.to(torch.float32)).aminmax()
    else:
        with np.errstate(invalid="ignore"):
            low, high = pixels.min(), pixels.max()
    return float(low), float(high)


def _within(pixels: Pixels) -> Pixels:
    """The values cut to 0..1, and 0 for what is no finite number."""
    if isinstance(pixels, torch.Tensor):
        return pixels.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp(0.0, 1.0)
    return np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0).clip(0.0, 1.0)


def _beyond(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f"values from {low:g} to {high:g}, which are cut to 0..1"
    return "NaN or infinite values, which count as 0"
