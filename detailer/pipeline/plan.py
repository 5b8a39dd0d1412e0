"""What will be done, as a value: which segments, in which order, at which size, with which seed. Samples nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import torch

from ...core import SEG, SEGS, Region, Size, bbox, crop_region, own_image, resize_mask, seg_mask
from ...core.blend import paste_reach
from ...core.masks import covered_region
from ...core.reflect import cut_mirrored, moved_mask
from ...segs import rescale
from ..control import is_bound_to_region
from ..options import UNTURNED
from ..prompts.segment_text import SegmentText
from ..values import DetailSettings, wrapped_seed
from .working_size import Part, working_size

NOWHERE = Region(0, 0, 0, 0)


@dataclass(frozen=True)
class CropPlan:
    """One segment's way through the engine.

    Attributes:
        number: its place in the order of work, from 1, skipped ones counted.
        region: what is cut out of the picture; lies inside it, unless the detail options let it reach past the border.
        scale: wished size over the region's size.
        wished: the enlarged size in pixels before it is snapped to the latent grid.
        working: the size sampled at: ``wished`` rounded down to multiples of ``multiple``, at least one.
        multiple: what both sides of ``working`` are multiples of: a latent cell's pixels, or more if asked for.
        seed: the noise seed of the first cycle.
        denoise: how much is made anew, 0..1.
        reach: what putting it back can change in the picture.
        text: this segment's own prompt, None for the node's conditioning.
        adds_text: it is added to the node's positive instead of replacing it.
        skipped: why it is not worked on, None if it is.
        too_large: that is why: its size.
        kept: that is why: the picture is to stay as it is there.
        candidates: how many are made, with seed after seed, to choose from.
        parts: the plans of those that are sampled as one, where it is several (``pipeline.together``).
        takes_best: the best of them is pasted; else the first.
        why: its size in words, where the detail options had a say.
        frames: of a clip's part the first and the last frame, from 1.
    """

    number: int
    seg: SEG
    region: Region
    scale: float
    wished: Size
    multiple: int
    seed: int
    denoise: float = 1.0
    reach: Region = NOWHERE
    text: str | None = None
    adds_text: bool = False
    skipped: str | None = None
    too_large: bool = False
    kept: bool = False
    candidates: int = 1
    takes_best: bool = False
    parts: tuple[CropPlan, ...] = ()
    why: str = ""
    frames: tuple[int, int] | None = None

    @property
    def working(self) -> Size:
        return self.wished.rounded_down(self.multiple)

    @property
    def with_parts(self) -> tuple[CropPlan, ...]:
        """It, and those that are sampled as one in it."""
        return self, *self.parts

    def goes_with(self, other: CropPlan) -> bool:
        """Whether both can be sampled as one batch, as far as the plan knows."""
        if self.skipped or other.skipped or self.candidates > 1 or other.candidates > 1:
            return False
        if self.parts or other.parts:
            return False
        return self.working == other.working and self.denoise == other.denoise

    def resized(self, wished: Size) -> CropPlan:
        """The same crop at another wished size (a hook's ``touch_scaled_size``)."""
        return replace(self, wished=wished)

    def mask(self, picture: Size | None = None, frames: int = 1) -> torch.Tensor:
        """The segment's mask over ``region``, float32 0..1: ``[frames,h,w]`` where it has one for each of several
        frames, else ``[1,h,w]``, those that it has merged.

        Past the border of ``picture`` it is mirrored as the crop is, so that a blur sees no edge there.
        """
        mask = seg_mask(self.seg)
        if len(mask) != frames:
            mask = mask.amax(dim=0, keepdim=True)
        whole = crop_region(self.seg)
        mask = resize_mask(mask, whole.size)
        inside = self.region if picture is None else self.region.within(picture)
        part = inside.relative_to(whole)
        mask = mask[(slice(None), *part.slices)] if part.inside(whole.size) else moved_mask(mask, whole, inside)
        if inside != self.region:
            mask = cut_mirrored(mask[..., None], self.region.relative_to(inside))[..., 0]
        return mask.clamp(0.0, 1.0)

    def own_image(self, frames: int = 1) -> torch.Tensor | None:
        """The first frames of the segment's own image over ``region``, ``[frames,h,w,3]`` float32, or None.

        Where it has fewer, the last stands for those that are missing.
        """
        image = own_image(self.seg, self.region, most=frames)
        if image is None or len(image) == frames:
            return image
        return image[torch.arange(frames).clamp(max=len(image) - 1)]

    @property
    def words(self) -> str:
        """What is done with it, for the log."""
        if self.skipped:
            return f"skipped, {self.skipped}"
        return (
            f"crop {self.region}, scale {self.scale:.2f}, worked on at {self.working}, seed {self.seed}"
            f"{f' ({self.why})' if self.why else ''}"
        )

    def __str__(self) -> str:
        return f"segment {self.number}: {self.words}"


@dataclass(frozen=True)
class Place:
    """A crop of one of several pictures: the picture's index, from 0."""

    picture: int
    crop: CropPlan


@dataclass(frozen=True)
class Plan:
    """All segments of one picture, in the order of work."""

    picture: Size
    crops: tuple[CropPlan, ...]

    @property
    def to_visit(self) -> tuple[CropPlan, ...]:
        """Those to sample, and those skipped for their size or kept, whose crops are shown."""
        return tuple(crop for crop in self.crops if not crop.skipped or crop.too_large or crop.kept)

    @property
    def to_sample(self) -> tuple[CropPlan, ...]:
        return tuple(crop for crop in self.crops if not crop.skipped)

    def reseeded(self, seed: int) -> Plan:
        """The same with one seed for all crops."""
        return replace(self, crops=tuple(replace(crop, seed=seed) for crop in self.crops))

    def unpasted(self, seed: int) -> Plan:
        """The plan of crops that are not put back, so that none waits for another; all with one seed."""
        return replace(self, crops=tuple(replace(crop, seed=seed, reach=NOWHERE) for crop in self.crops))

    def __str__(self) -> str:
        head = f"picture {self.picture}, {len(self.to_sample)} of {len(self.crops)} segments"
        return "\n".join([head, *(str(crop) for crop in self.crops)])


_T = TypeVar("_T")


class Careful(Protocol):
    """Does a part of the work, again where it may help, and says which it was where that fails."""

    def __call__(self, what: str, work: Callable[[], _T], /) -> _T: ...


def _at_once(what: str, work: Callable[[], _T]) -> _T:
    return work()


def make_plan(
    segs: SEGS, picture: Size, settings: DetailSettings, seed: int, multiple: int, careful: Careful = _at_once
) -> Plan:
    """The plan for one picture.

    Args:
        segs: made for any size; they are moved to ``picture``.
        picture: the picture's size in pixels.
        settings: their seed doesn't count.
        seed: segment ``i`` (from 0, in the order of work) has ``seed + i`` unless its text names one.
        multiple: pixels a latent cell covers.
        careful: plans each segment; ``memory.Room.spared``.
    """
    segs = careful("the segments: moving them to the picture's size", partial(rescale, segs, picture))
    prompts = SegmentText.parse(settings.text or "", seed)
    crops = []
    for index, (seg, prompt) in enumerate(prompts.deal(segs[1])):
        if prompt.stop:
            break
        seed_here = wrapped_seed(seed + index)
        planned = partial(_crop, seg, picture, settings, multiple, index + 1, seed_here)
        crop = careful(f"segment {index + 1}: planning", planned)
        if prompt.skip:
            crop = replace(crop, skipped="its text says [SKIP]", too_large=False)
        seed_of_crop = crop.seed if prompt.seed is None else wrapped_seed(prompt.seed)
        crops.append(replace(crop, text=prompt.text, adds_text=prompts.concat, seed=seed_of_crop))
    return Plan(picture, tuple(crops))


def _crop(seg: SEG, picture: Size, settings: DetailSettings, multiple: int, number: int, seed: int) -> CropPlan:
    region = crop_region(seg).within(picture)
    crop = CropPlan(number, seg, region, 1.0, region.size, multiple, seed)
    if region.is_empty:
        return replace(crop, skipped=f"its crop region lies outside the {picture} picture")
    support = covered_region(crop.mask()[0]).shifted(crop.region.x1, crop.region.y1)
    if support.is_empty:
        return replace(crop, skipped="its mask is empty")
    box, options = bbox(seg), settings.options
    # a ControlNet's hint was cut for the segment's own crop region
    sizes = UNTURNED.size if is_bound_to_region(seg) else options.size
    chosen = working_size(region, Part(box, support), picture, settings.size, multiple, sizes)
    reach = paste_reach(support, chosen.region, settings.mask.feather, options.blend.grow).within(picture)
    return replace(
        crop,
        region=chosen.region,
        scale=chosen.scale,
        wished=chosen.wished,
        multiple=chosen.multiple,
        denoise=options.denoise.denoise(settings.sampling.denoise, box.size.area),
        reach=NOWHERE if chosen.skipped else reach,
        skipped=chosen.skipped,
        candidates=options.best_of,
        takes_best=options.best_of > 1,
        too_large=chosen.skipped is not None,
        why="" if sizes == UNTURNED.size else chosen.text,
    )


def above_max_size(crops: Iterable[CropPlan], max_size: float) -> list[CropPlan]:
    """The crops that are worked on at more than ``max_size``, since they are that large themselves."""
    return [crop for crop in crops if not crop.skipped and crop.wished.longer > max_size]
