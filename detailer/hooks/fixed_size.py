"""The hook for models that take one size and one batch only, as those compiled for Core ML do."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...core import Region, Size
from ..values import Latent
from .events import Box, DetailerHook

FIXED_SIZES = {name: Size(height, width) for name, width, height in (
    ("512x512", 512, 512), ("768x768", 768, 768), ("512x768", 512, 768), ("768x512", 768, 512),
)}  # fmt: skip


class FixedSizeHook(DetailerHook):
    """Crops in the aspect of one size, worked on at that size, each twice in a batch.

    Attributes:
        override_bbox_by_segm: FaceDetailer only asks whether a hook has it: outlines then replace rectangles.
    """

    override_bbox_by_segm = False

    def __init__(self, size: Size) -> None:
        self.size = size

    def fingerprint(self) -> object:
        return self.size

    def post_crop_region(self, w: int, h: int, item_bbox: Box, crop_region: Box) -> list[int]:
        """The region cut to the size's aspect, more where there is more room around the box, which stays in it."""
        region, box = Region.of(crop_region), Region.of(item_bbox)
        wished = self.size
        if region.width * wished.height < region.height * wished.width:
            length = region.width * wished.height // wished.width
            y1, y2 = _cut((region.y1, region.y2), (box.y1, box.y2), length)
            return [region.x1, y1, region.x2, y2]
        length = region.height * wished.width // wished.height
        x1, x2 = _cut((region.x1, region.x2), (box.x1, box.x2), length)
        return [x1, region.y1, x2, region.y2]

    def touch_scaled_size(self, w: int, h: int) -> tuple[int, int]:
        return self.size.width, self.size.height

    def post_encode(self, samples: Latent) -> Latent:
        """Twice, since such models take two at once."""
        return {**samples, "samples": torch.cat([samples["samples"]] * 2)}

    def pre_decode(self, samples: Latent) -> Latent:
        return {**samples, "samples": samples["samples"][:1]}


def _cut(around: Sequence[int], box: Sequence[int], length: int) -> tuple[int, int]:
    """A stretch cut to a length, at both ends by their shares of what is around the box; it holds what of the box is in
    the stretch.
    """
    (start, end), first, last = around, max(box[0], around[0]), min(box[1], around[1])
    length = max(length, last - first, 1)
    before, after = max(first - start, 0), max(end - last, 0)
    begin = int(start + (end - start - length) * (before / (before + after) if before + after else 0.5))
    begin = max(min(begin, first), last - length)
    begin = min(max(begin, start), max(end - length, start))
    return begin, min(begin + length, end)
