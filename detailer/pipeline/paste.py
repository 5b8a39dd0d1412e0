"""A picture in the making: its crops put back without a seam, and kept to be shown."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from ...core import SEG, Region, Size, crop_region, paste_, to_working_size
from ...core.blend import paste_mask, seamless
from ...segs import kept_image, kept_mask, with_fields
from ..hooks.protocol import Hook
from ..values import ONLY, Detailed, Frame
from .crop import Crop, seen
from .plan import CropPlan, Plan
from .recipe import Recipe

logger = logging.getLogger("mask_detailer")


@dataclass
class Canvas:
    """A picture whose crops come back one by one.

    Attributes:
        plan: what is to be done with it.
        work: ``[N,H,W,3]`` float 0..1, written to where crops are pasted.
        pastes: crops go into the picture; else each is kept by itself, cut from its own image where it has one.
        frame: which of the pictures that came in.
        is_clip: its frames are one clip.
        made: the finished crops by number.
        keeps_sampled: the paste mask, and the crops at the size that was sampled, are wanted.
    """

    plan: Plan
    work: torch.Tensor
    pastes: bool = True
    frame: Frame = ONLY
    is_clip: bool = False
    made: dict[int, Crop] = field(default_factory=dict)
    keeps_sampled: bool = False

    @property
    def is_finished(self) -> bool:
        return len(self.made) == len(self.plan.to_visit)

    def share(self, plan: CropPlan) -> float:
        """The crop's part of the picture's work."""
        return 0.0 if plan.skipped else 1 / len(self.plan.to_sample)

    def put(self, crop: Crop, recipe: Recipe) -> Crop:
        """Take a finished crop in: as it is, or as it was pasted."""
        if self.pastes:
            crop = paste(self.work, crop, recipe)
        self.made[crop.plan.number] = crop
        return crop

    def shown(self, crop: Crop) -> torch.Tensor:
        """What is to be seen of a crop that was taken in, ``[N,h,w,3]``."""
        return seen(self.work, crop.plan.region) if self.pastes else crop.pixels

    def shown_if_put(self, crop: Crop, recipe: Recipe) -> torch.Tensor:
        """What would be seen of a crop that was not: the picture stays as it is."""
        if not self.pastes or crop.fault:
            return crop.pixels
        crop = _with_alpha(crop, recipe)
        assert crop.alpha is not None
        part = crop.before.clone()
        paste_(part, _patch(part, crop, recipe), crop.alpha, Region.whole(Size(*part.shape[1:3])))
        return part

    def detailed(self) -> Detailed:
        """The picture as it is now, and the lists of its crops in the order of their numbers."""
        made = [self.made[number] for number in sorted(self.made)]
        pasted = [(crop.pixels, crop.alpha) for crop in made if crop.alpha is not None]
        segs = [self._kept(crop) for crop in made] if self.pastes else [self._refined(crop) for crop in self.plan.crops]
        return Detailed(
            self.work,
            _largest_first([crop.before for crop in made]),
            _largest_first([pixels for pixels, _ in pasted]),
            _largest_first([torch.cat([pixels, alpha[..., None]], dim=-1) for pixels, alpha in pasted]),
            [hint for crop in made for hint in crop.hints],
            ((self.plan.picture.height, self.plan.picture.width), segs),
            self._paste_mask(made) if self.keeps_sampled else None,
            [crop.sampled for crop in made if crop.sampled is not None],
            [to_working_size(crop.before, Size(*crop.sampled.shape[1:3])) for crop in made if crop.sampled is not None],
        )

    def _paste_mask(self, made: Sequence[Crop]) -> torch.Tensor:
        """The paste masks of all crops as one of the whole picture, the larger value where several reach."""
        whole = torch.zeros(self.work.shape[:3], device=self.work.device)
        for crop in made:
            if crop.alpha is not None:
                part = whole[(slice(None), *crop.plan.region.slices)]
                part.copy_(torch.maximum(part, crop.alpha.to(part)))
        return whole

    def _kept(self, crop: Crop) -> SEG:
        """The segment with what was pasted as its image."""
        return with_fields(crop.plan.seg, cropped_image=None) if crop.fault else _with_refined(crop)

    def _refined(self, plan: CropPlan) -> SEG:
        """The segment with its refined crop as image and without ControlNet, or as it came where it was skipped."""
        crop = self.made.get(plan.number)
        if crop is None or crop.fault:
            return plan.seg
        return with_fields(_with_refined(crop.within_picture()), control_net_wrapper=None)


def paste(work: torch.Tensor, crop: Crop, recipe: Recipe) -> Crop:
    """Put a crop into the picture, in place; nothing is where it has a fault. What lies past the border is left out.

    It is put there wholly, or where something goes wrong not at all, so that it can be tried again.

    Args:
        work: ``[N,H,W,3]`` float 0..1; where the paste mask is 0, it stays bit for bit.
    """
    crop = _with_alpha(crop, recipe)
    if crop.alpha is None:
        return crop
    patch = _patch(work[(slice(None), *crop.plan.region.slices)].clone(), crop, recipe)
    paste_wholly(work, patch, crop.alpha, crop.plan.region, recipe.hook)
    return replace(crop, pixels=patch)


def paste_wholly(work: torch.Tensor, patch: torch.Tensor, alpha: torch.Tensor, region: Region, hook: Hook) -> None:
    """Put a patch into ``work`` and show it to the hook, or where one of the two goes wrong leave it as it was."""
    part = (slice(None), *region.slices)
    before = work[part].clone()
    try:
        paste_(work, patch, alpha, region)
        seen_by_hook = hook.post_paste(work)
    except BaseException:
        work[part] = before
        raise
    if seen_by_hook is not work:
        work.copy_(seen_by_hook)


def _with_alpha(crop: Crop, recipe: Recipe) -> Crop:
    """The part of a crop that lies in the picture, with its paste mask; without one where it has a fault."""
    feather, blend = recipe.settings.mask.feather, recipe.settings.options.blend
    alpha = None if crop.fault else paste_mask(crop.mask, feather, blend.ramp, blend.grow)
    return replace(crop, alpha=alpha).within_picture()


def _patch(before: torch.Tensor, crop: Crop, recipe: Recipe) -> torch.Tensor:
    """A crop with its paste mask, made to fit the picture as it is there, ``before``."""
    assert crop.alpha is not None
    blend, sides = recipe.settings.options.blend, crop.plan.region.open_sides(crop.picture)
    return seamless(before, crop.pixels, crop.alpha, blend.method, blend.width, sides)


def _with_refined(crop: Crop) -> SEG:
    """The segment with its crop as image; with its region and mask there too, where the detail options moved it."""
    seg = with_fields(crop.plan.seg, cropped_image=kept_image(crop.pixels))
    region = crop.plan.region
    if crop.plan.why and region != crop_region(crop.plan.seg):
        seg = with_fields(seg, crop_region=region.as_list(), cropped_mask=kept_mask(crop.mask))
    return seg


def _largest_first(crops: list[torch.Tensor]) -> list[torch.Tensor]:
    return sorted(crops, key=lambda crop: tuple(crop.shape), reverse=True)
