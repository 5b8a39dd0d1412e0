"""One part of a picture on its way: the value that every stage takes and gives back richer; and how it is cut out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from ...core import Region, Size
from ...core.reflect import cut_mirrored, inside_picture
from ..values import ONLY, BasicPipe, Conditioning, Frame, Refiner, wrapped_seed
from .plan import CropPlan, Place
from .recipe import Recipe
from .together import Laid

if TYPE_CHECKING:
    from ...core.clips.path import Path


@dataclass(frozen=True)
class Crop:
    """A part of a picture, N frames of it; N is 1 for a still.

    Attributes:
        place: which picture it is of, and what is planned for it.
        name: for the log.
        picture: the picture's size.
        before: ``[N,h,w,3]`` float 0..1, as it was cut out.
        mask: ``[N,h,w]`` float 0..1, the segment's over the crop.
        pipe, refiner: the recipe's; from ``prepare`` on with conditioning of its own.
        laid: its parts, where it is several as one; empty else.
        others: the prompts that a guider has beside the pipe's, by its names, cut to the crop.
        pixels: what stands for it: ``before``; enlarged ``[N,H,W,3]`` after ``prepare``; decoded after ``sample``; of
            the size of ``before`` again after ``restore``; what was put into the picture after ``paste``.
        source: the crop as it was, at the same points as ``pixels``: enlarged, then through the VAE without sampling;
            None where nothing asks for it.
        noise_mask: ``[N,h,w]`` at the size of ``before``, None where the whole crop is sampled.
        hints: its ControlNet hints.
        fault: why nothing of it can be put back, None if it can.
        alpha: ``[N,h,w]``, the mask through which it was pasted.
        frame: which of the pictures that came in; conditioning may have an item for each.
        sampled: ``[N,H,W,3]`` 0..1 as it was decoded, at the size that was sampled; None unless the recipe keeps it.
        candidate: which of the segment's candidates, from 0; the first is pasted.
        is_remembered: it came from the memory, and is made.
        is_clip: its frames are sampled as one clip: from one noise over all of them, and with conditioning that is
            for all of them. Else each comes out as it would alone.
        path: where its window lies in the frames of a clip; None for a region of a picture.
    """

    place: Place
    name: str
    picture: Size
    before: torch.Tensor
    mask: torch.Tensor
    pipe: BasicPipe
    refiner: Refiner | None
    pixels: torch.Tensor
    source: torch.Tensor | None = None
    noise_mask: torch.Tensor | None = None
    hints: Sequence[torch.Tensor] = ()
    fault: str | None = None
    alpha: torch.Tensor | None = None
    frame: Frame = ONLY
    sampled: torch.Tensor | None = None
    candidate: int = 0
    is_remembered: bool = False
    is_clip: bool = False
    others: Mapping[str, Conditioning] = field(default_factory=dict)
    laid: tuple[Laid, ...] = ()
    path: Path | None = None

    @property
    def plan(self) -> CropPlan:
        return self.place.crop

    @property
    def key(self) -> tuple[int, int, int]:
        """Which of a run's crops it is: its picture's index, its number there, and which candidate."""
        return self.place.picture, self.plan.number, self.candidate

    @property
    def frames(self) -> int:
        return len(self.before)

    @property
    def items(self) -> int:
        """How many seeds and conditionings it brings to a batch; those of a clip count for all its frames."""
        return 1 if self.is_clip else self.frames

    def planned(self, plan: CropPlan) -> Crop:
        """The same crop with another plan."""
        return replace(self, place=replace(self.place, crop=plan))

    def reseeded(self, later: int) -> Crop:
        """The same crop with a seed that many higher."""
        return self.planned(replace(self.plan, seed=wrapped_seed(self.plan.seed + later))) if later else self

    def candidates(self) -> list[Crop]:
        """It and the others that are to choose from, each with the next seed."""
        return [replace(self.reseeded(later), candidate=later) for later in range(self.plan.candidates)]

    def within_picture(self) -> Crop:
        """The part of it that lies in the picture; itself where that is all. Its pixels are at the picture's scale."""
        region, (rows, columns) = inside_picture(self.plan.region, self.picture)
        if region == self.plan.region:
            return self
        part = (slice(None), rows, columns)
        return replace(
            self.planned(replace(self.plan, region=region)),
            before=self.before[part],
            mask=self.mask[part],
            pixels=self.pixels[part],
            noise_mask=None if self.noise_mask is None else self.noise_mask[part],
            alpha=None if self.alpha is None else self.alpha[part],
            sampled=None if self.sampled is None else _same_part(self.sampled, self.plan.region.size, rows, columns),
        )


def _same_part(sampled: torch.Tensor, size: Size, rows: slice, columns: slice) -> torch.Tensor:
    """Of a crop ``[N,H,W,3]`` at another size, what rows and columns of a crop of ``size`` show."""
    tall, wide = sampled.shape[1] / size.height, sampled.shape[2] / size.width
    part = [slice(round(each.start * by), round(each.stop * by)) for each, by in ((rows, tall), (columns, wide))]
    return sampled[(slice(None), *part)]


def seen(image: torch.Tensor, region: Region) -> torch.Tensor:
    """A region of a picture ``[N,H,W,3]``, mirrored where it reaches past the border."""
    if region.inside(Size(*image.shape[1:3])):
        return image[(slice(None), *region.slices)]
    return cut_mirrored(image, region)


def cut(image: torch.Tensor, place: Place, recipe: Recipe, *, name: str, own_image: bool = False) -> Crop:
    """A planned crop out of a picture as it is now.

    Args:
        image: ``[N,H,W,3]`` float 0..1.
        own_image: from the segment's own image, where it has one.
    """
    plan, picture = place.crop, Size(*image.shape[1:3])
    own = plan.own_image(len(image)) if own_image else None
    before = seen(image, plan.region).clone() if own is None else own.to(image.device)
    mask = plan.mask(picture, len(image)).to(image.device).expand(len(before), -1, -1)
    return Crop(place, name, picture, before, mask, recipe.pipe, recipe.refiner, pixels=before, fault=plan.skipped)
