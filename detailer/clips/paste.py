"""A window's picture put back into its frame, through the frame's own mask."""

from __future__ import annotations

import torch

from ...core import Region, Size
from ...core.blend import paste_mask, seamless
from ...core.clips.pose import put_back, within
from ...core.reflect import moved_mask
from ..pipeline.paste import paste_wholly
from ..pipeline.recipe import Recipe
from .plan import TrackPlan


def put(
    work: torch.Tensor, made: torch.Tensor, before: torch.Tensor, place: tuple[TrackPlan, int], recipe: Recipe
) -> None:
    """Put what became of a window into a frame, in place, and let the hook see it.

    It is put there wholly, or where something goes wrong not at all, so that it can be tried again.

    Args:
        work: ``[1,H,W,3]`` float 0..1, the frame as it is now; where its own feathered mask is 0, it stays bit for bit,
            unless the hook changes it.
        made: ``[1,h,w,3]`` of the window's size, or of that at which it was sampled.
        before: the window as it was cut, of its size.
        place: the part, and which frame it is.
    """
    part, frame = place
    picture, window, pose = Size(*work.shape[1:3]), part.window, part.window.poses[frame]
    covered = pose.covered(window.size)
    region = covered.within(picture)
    weight = part.weight(frame)
    if region.is_empty or weight == 0.0:
        return
    mask, blend = recipe.settings.mask, recipe.settings.options.blend
    alpha = paste_mask(_own_mask(part, frame, covered).to(work.device), mask.feather, blend.ramp, blend.grow)
    inside = region.relative_to(covered).slices
    alpha = alpha[(slice(None), *inside)]
    if pose.region(window.size) is None:
        alpha = alpha * within(pose, window.size, region).to(alpha)
    alpha = alpha if weight == 1.0 else alpha * weight
    was = work[(slice(None), *region.slices)]
    residual = recipe.settings.options.paste == "residual" and pose.region(window.size) is None
    pixels = made - before.to(made) if residual else made
    patch = put_back(pixels, pose, window.size, covered)[(slice(None), *inside)].to(was)
    patch = (was + patch if residual else patch).clamp(0.0, 1.0)
    patch = seamless(was, patch, alpha, blend.method, blend.width, region.open_sides(picture))
    paste_wholly(work, patch, alpha, region, recipe.hook)


def _own_mask(part: TrackPlan, frame: int, region: Region) -> torch.Tensor:
    """The part's mask in a frame over a region of it, ``[1,h,w]``; in a gap the nearest sighting's, carried along."""
    sighting = part.track.sightings.get(frame)
    if sighting is not None:
        return moved_mask(torch.from_numpy(sighting.mask)[None], sighting.region, region)
    carried = part.window.mask_in(frame)[..., None]
    return put_back(carried, part.window.poses[frame], part.window.size, region)[..., 0].clamp(0.0, 1.0)
