"""Parts whose crops share pixels, sampled as one: at each step every part is predicted in its own crop with its own
prompt, and the predictions are joined where crops overlap.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...core import SEG, Region, Size, bbox
from ...core.tables import chosen
from ..host.tiling import Tile
from ..values import BasicPipe
from .plan import NOWHERE, CropPlan, Plan

logger = logging.getLogger("mask_detailer")

SPARSE = 2.0  # a joint crop covers no more than that many times what its parts' crops do together
_LORA = "<lora:"


def joined_plan(plan: Plan) -> Plan:
    """A picture's plan with parts whose crops share pixels as one crop, in the place of the first of them.

    The joint crop has the first part's seed, and the largest scale. Parts of another denoise, with a LoRA of their own,
    or that would leave the joint crop mostly empty, stay apart.
    """
    groups: list[list[CropPlan]] = []
    for crop in plan.to_sample:
        if crop.text is not None and _LORA in crop.text.lower():
            continue
        fitting = [group for group in groups if _joins(crop, group)]
        joined = [one for group in fitting for one in group] + [crop]
        if len(fitting) > 1 and not _is_dense(joined):
            fitting, joined = fitting[:1], [*fitting[0], crop]
        groups = [group for group in groups if not any(group is one for one in fitting)] + [joined]
    joint = {group[0].number: _joint(sorted(group, key=_number)) for group in groups if len(group) > 1}
    joint = {crop.number: crop for crop in joint.values()}
    into = {part.number: crop.number for crop in joint.values() for part in crop.parts}
    crops = []
    for crop in plan.crops:
        first = into.get(crop.number)
        if first is None:
            crops.append(crop)
        elif first == crop.number:
            crops.append(joint[first])
        else:
            crops.append(replace(crop, skipped=f"it is sampled together with segment {first}", reach=NOWHERE))
    return replace(plan, crops=tuple(crops))


# what becomes of parts whose crops share pixels
OVERLAPS = {"one_by_one": lambda plan: plan, "together": joined_plan}


def with_overlaps(plan: Plan, overlaps: str) -> Plan:
    """A plan as the option says."""
    return chosen(OVERLAPS, overlaps, "way with overlaps")(plan)


def _number(crop: CropPlan) -> int:
    return crop.number


def _joins(crop: CropPlan, group: Sequence[CropPlan]) -> bool:
    if crop.denoise != group[0].denoise or not any(crop.region.overlaps(one.region) for one in group):
        return False
    return _is_dense([*group, crop])


def _is_dense(parts: Sequence[CropPlan]) -> bool:
    regions = [part.region for part in parts]
    return Region.of_all(regions).size.area <= SPARSE * sum(region.size.area for region in regions)


def _joint(parts: Sequence[CropPlan]) -> CropPlan:
    first, region = parts[0], Region.of_all([part.region for part in parts])
    scale = max(part.scale for part in parts)
    mask = torch.zeros(1, region.height, region.width)
    for part in parts:
        rows, columns = part.region.relative_to(region).slices
        covered = mask[:, rows, columns]
        covered.copy_(torch.maximum(covered, part.mask()))
    box = Region.of_all([bbox(part.seg) for part in parts])
    seg = SEG(None, mask[0].numpy(), first.seg.confidence, region.as_list(), box.as_tuple(), first.seg.label)
    numbers = ", ".join(str(part.number) for part in parts)
    return replace(
        first,
        seg=seg,
        region=region,
        scale=scale,
        wished=region.size.scaled(scale),
        reach=Region.of_all([part.reach for part in parts]),
        text=None,
        parts=tuple(parts),
        why=f"segments {numbers} together",
    )


@dataclass(frozen=True)
class Laid:
    """Where a part lies in a joint crop's latent, in cells, how much it counts there, and with which prompts.

    Attributes:
        weight: ``[h,w]`` of the region's size; those of all parts sum to 1 in each cell.
        pipe: its model is the joint crop's.
    """

    region: Region
    weight: torch.Tensor
    pipe: BasicPipe

    @property
    def tile(self) -> Tile:
        return Tile(self.region, self.weight, self.pipe.positive, self.pipe.negative)


def cells_of(part: CropPlan, joint: CropPlan, cells: Size) -> Region:
    """The cells of a joint crop's latent in which a part's crop lies, rounded outwards.

    Args:
        cells: the latent's size.
    """
    return part.region.relative_to(joint.region).rescaled_outwards(joint.region.size, cells)


def weights(regions: Sequence[Region], cells: Size) -> list[torch.Tensor]:
    """How much each part counts: the more, the farther a cell is from its crop's border; 1 together in each cell.

    Args:
        regions: in cells; together they cover all of the latent.
    """
    total, shares = torch.zeros(*cells), []
    for region in regions:
        down = _from_border(region.height)
        across = _from_border(region.width)
        share = torch.minimum(down[:, None], across[None])
        rows, columns = region.slices
        total[rows, columns] += share
        shares.append(share)
    return [share / total[region.slices] for share, region in zip(shares, regions, strict=True)]


def _from_border(length: int) -> torch.Tensor:
    places = torch.arange(length, dtype=torch.float32) + 0.5
    return torch.minimum(places, length - places)
