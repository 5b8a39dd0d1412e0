"""A part as it is seen in one frame of a clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..mask_to_segs import mask_to_segs
from ..masks import covered_region, resize_mask
from ..region import Region, Size
from ..seg import SEGS, crop_region, seg_mask

LEVELS = 4  # of each colour in a look
SOLID = 0.5  # mask values above it are the part, where a part's place and look are reckoned


@dataclass(frozen=True)
class Sighting:
    """A part in one frame.

    Attributes:
        region: the smallest that holds its mask.
        mask: ``[h,w]`` float32 0..1 over the region.
        label: what it is.
        look: how often each colour occurs under the mask, ``[LEVELS**3]``, summing to 1; None: no picture is known.
    """

    region: Region
    mask: np.ndarray
    label: str = ""
    look: np.ndarray | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the mask's weight, in pixels from the picture's corner."""
        rows, columns = self.mask.sum(axis=1, dtype=np.float64), self.mask.sum(axis=0, dtype=np.float64)
        total = max(float(rows.sum()), 1e-9)
        x = float((columns * (np.arange(len(columns)) + 0.5)).sum() / total)
        y = float((rows * (np.arange(len(rows)) + 0.5)).sum() / total)
        return self.region.x1 + x, self.region.y1 + y

    @classmethod
    def joined(cls, parts: Sequence[Sighting], label: str) -> Sighting:
        """Several as one; at least one."""
        region = Region.of_all([one.region for one in parts])
        mask = np.zeros(region.size, np.float32)
        for one in parts:
            place = mask[one.region.relative_to(region).slices]
            np.maximum(place, one.mask, out=place)
        return cls(region, mask, label)

    @property
    def area(self) -> float:
        """Pixels under the mask, as far as they are covered."""
        return float(self.mask.sum(dtype=np.float64))


def unpacked(packed: np.ndarray) -> np.ndarray:
    """SAM 3's packed masks ``[n,h,w/8]`` uint8, eight pixels a byte, the lowest bit first, as ``[n,h,w]`` float32."""
    return np.unpackbits(packed, axis=-1, bitorder="little").astype(np.float32)


def of_mask(mask: torch.Tensor, drop_size: int = 1, fill: bool = True) -> list[Sighting]:
    """The connected parts of a frame's mask ``[H,W]`` float 0..1, as ``mask_to_segs`` finds them."""
    return of_segs(mask_to_segs(mask, False, 1.0, False, drop_size, label="", is_contour=fill), Size(*mask.shape))


def of_segs(segs: SEGS, picture: Size) -> list[Sighting]:
    """The segments of one frame, made for a picture of this size; those without a mask in it are left out."""
    found = []
    for seg in segs[1]:
        region = crop_region(seg)
        if region.within(picture).is_empty:
            continue
        mask = resize_mask(seg_mask(seg).amax(dim=0, keepdim=True), region.size)[0]
        inside = region.within(picture)
        mask = mask[inside.relative_to(region).slices].clamp(0.0, 1.0)
        covered = covered_region(mask)
        if not covered.is_empty:
            tight = covered.shifted(inside.x1, inside.y1)
            label = seg.label if isinstance(seg.label, str) else ""
            found.append(Sighting(tight, mask[covered.slices].cpu().numpy().copy(), label))
    return found


def looked_at(sightings: list[Sighting], frame: torch.Tensor) -> Iterator[Sighting]:
    """The same with their looks in the picture ``[H,W,3]`` float 0..1."""
    for one in sightings:
        pixels = frame[one.region.slices].detach().to("cpu", torch.float32).numpy()
        levels = np.minimum((pixels.clip(0.0, 1.0) * LEVELS).astype(np.int64), LEVELS - 1)
        cells = (levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2]
        weights = (one.mask > SOLID) if (one.mask > SOLID).any() else one.mask
        look = np.bincount(cells.ravel(), weights.ravel().astype(np.float64), LEVELS**3)
        yield replace(one, look=look / max(look.sum(), 1e-9))


def overlap(first: Sighting, second: Sighting, dx: float = 0.0, dy: float = 0.0) -> float:
    """What two masks have in common over what they cover together, 0..1, the first moved on by whole pixels."""
    moved = first.region.shifted(round(dx), round(dy))
    common = moved.intersection(second.region)
    if common.is_empty:
        return 0.0
    a, b = first.mask[common.relative_to(moved).slices], second.mask[common.relative_to(second.region).slices]
    both = float(np.minimum(a, b).sum(dtype=np.float64))
    return both / max(first.area + second.area - both, 1e-9)


def alike(first: Sighting, second: Sighting) -> float:
    """How alike two looks are, 0..1: the Bhattacharyya coefficient of their colours; 1 where one is not known."""
    if first.look is None or second.look is None:
        return 1.0
    return float(np.sqrt(first.look * second.look).sum())
