"""Which masks of SAM are kept, and what its tensors are called in transformers."""

from __future__ import annotations

from typing import Any

import pytest
from mask_detailer.detailer.detection.sam.names import SHARED, for_videos_only, in_transformers
from mask_detailer.detailer.detection.sam.wrapper import kept
from support.sam_files import (
    BASE_PLUS,
    LARGE,
    SMALL,
    TINY,
    VIT_B,
    VIT_H,
    VIT_L,
    Vit,
    for_videos,
    sam1_tensors,
    sam2_tensors,
)


@pytest.mark.parametrize(
    ("scores", "threshold", "wanted"),
    [
        ([0.9, 0.95, 0.5], 0.9, [0, 1]),  # at the threshold it is good enough
        ([0.9, 0.95, 0.5], 0.0, [0, 1, 2]),
        ([0.4, 0.2, 0.3], 0.93, [0]),  # the best where none is
        ([-0.4, -0.2, -0.3], 0.93, []),  # unless it is sure to be wrong
        ([0.0, -0.2, -0.3], 0.93, []),
        ([1.1, 0.2, 0.3], 1.0, [0]),
    ],
)
def test_masks_that_are_kept(scores: list[float], threshold: float, wanted: list[int]) -> None:
    assert kept(scores, threshold) == wanted


@pytest.mark.parametrize("size", [VIT_B, VIT_L, VIT_H, TINY, SMALL, BASE_PLUS, LARGE])
def test_names(size: Any) -> None:
    is_sam1 = isinstance(size, Vit)
    tensors = list(sam1_tensors(size) if is_sam1 else sam2_tensors(size))
    made = in_transformers([own for own, *_ in tensors], not is_sam1)
    for own, other, _ in tensors:
        if other in SHARED:
            assert made[own] == SHARED
        elif "point_embeddings" in own:  # in SAM 2's class they are one
            assert made[own] == (f"prompt_encoder.point_embed.{own.split('.')[-2]}.weight",)
        else:
            assert made[own] == (other,)
        assert not for_videos_only(own) and not for_videos_only(other)
    assert all(map(for_videos_only, for_videos(newer=True)))
