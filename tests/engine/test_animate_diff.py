"""The Impact Pack's nodes for clips: one crop region a part, all its frames sampled at once from one noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine.running import Recorder, near, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.core import SEGS, seg_mask
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from support.detectors import BoxDetector, Disc, drawn

SIZE, FRAMES = (96, 112), 3
BOX, OTHER = (20, 20, 50, 50), (70, 60, 90, 80)
WIDGETS: dict[str, Any] = dict(
    guide_size=64.0, guide_size_for=True, max_size=128.0, seed=7, steps=2, cfg=3.0, sampler_name="euler",
    scheduler="normal", denoise=0.5, refiner_ratio=0.2, noise_mask_feather=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    return torch.cat([picture(*SIZE, seed) for seed in range(FRAMES)])


def node(name: str) -> Any:
    return NODE_CLASS_MAPPINGS[name]()


def segs_of(masks: torch.Tensor, **changes: Any) -> SEGS:
    widgets = dict(combined=False, crop_factor=2.0, bbox_fill=False, drop_size=2, contour_fill=False) | changes
    return node("MaskToSEGS_for_AnimateDiff").doit(masks, **widgets)[0]


def areas(segs: SEGS) -> list[list[int]]:
    return [[int((frame > 0).sum()) for frame in seg_mask(seg)] for seg in segs[1]]


def test_a_part_that_jumps_is_two_of_one_place_each() -> None:
    masks = torch.cat([mask_of(*SIZE, box) for box in (BOX, BOX, OTHER)])
    assert areas(segs_of(masks)) == [[0, 0, 400], [900, 900, 0]]


def test_neighbours_within_the_crop_are_no_part_of_it() -> None:
    masks = mask_of(*SIZE, (20, 20, 40, 40), (44, 20, 50, 26)).repeat(2, 1, 1)
    segs = segs_of(masks, crop_factor=4.0)
    assert areas(segs) == [[36, 36], [400, 400]]
    assert areas(segs_of(masks, combined=True, crop_factor=4.0)) == [[436, 436]]


def test_each_frame_s_own_rectangle_is_filled_and_the_input_stays() -> None:
    masks = torch.cat([mask_of(*SIZE, (20, 20, 30, 22), (20, 20, 22, 30)), mask_of(*SIZE, (20, 20, 26, 26))])
    before = masks.clone()
    segs = segs_of(masks, bbox_fill=True)
    assert areas(segs) == [[100, 36]]
    assert torch.equal(masks, before)


def test_soft_values_stay_in_a_batch_and_turn_hard_in_a_single_mask() -> None:
    soft = mask_of(*SIZE, BOX) * 0.5
    assert float(seg_mask(segs_of(soft.repeat(2, 1, 1))[1][0]).max()) == 0.5
    (seg,) = segs_of(soft)[1]
    assert seg.cropped_mask.ndim == 2 and float(seg.cropped_mask.max()) == 1.0


def found(**changes: Any) -> SEGS:
    discs = [Disc(40 + 6 * index, 40, 12, "red") for index in range(4)]
    frames = torch.cat([drawn(*SIZE, [disc])[0] for disc in discs])
    widgets = dict(
        bbox_threshold=0.5, bbox_dilation=0, crop_factor=2.0, drop_size=5, sub_threshold=0.5, sub_dilation=0,
        sub_bbox_expansion=0, sam_mask_hint_threshold=0.7,
    )  # fmt: skip
    return node("ImpactSimpleDetectorSEGS_for_AD").doit(BoxDetector(), frames, **(widgets | changes))[0]


def test_what_a_detector_finds_frame_by_frame_is_one_part() -> None:
    (same,) = found()[1]
    assert same.label == "red" and seg_mask(same).shape[0] == 1
    ((*each,),) = areas(found(masking_mode="Don't combine"))
    assert len(set(each)) == 1 and sum(each) > int((seg_mask(same) > 0).sum())
    ((*joined,),) = areas(found(masking_mode="Combine neighboring frames"))
    strip = each[0] // 24 * 6  # a box of 24 pixels moves on by 6
    assert joined == [each[0] + strip, each[0] + 2 * strip, each[0] + 2 * strip, each[0] + strip]


@pytest.mark.parametrize("masking", ["Pivot SEGS", "Don't combine"])
def test_the_first_frame_s_parts(masking: str) -> None:
    (seg,) = found(segs_pivot="1st frame mask", masking_mode=masking)[1]
    assert int((seg_mask(seg)[0] > 0).sum()) == 24 * 24


def test_nothing_found() -> None:
    assert found(bbox_threshold=1.0, drop_size=60) == (SIZE, [])


def detailed(clip: torch.Tensor, segs: SEGS, pipe: Pipe, **changes: Any) -> Any:
    return node("DetailerForEachPipeForAnimateDiff").doit(clip, segs, pipe, **({"feather": 4} | WIDGETS | changes))


def test_all_frames_are_sampled_at_once_from_one_noise(unet: Pipe, clip: torch.Tensor) -> None:
    masks = torch.cat([mask_of(*SIZE, (20, 20 + 2 * frame, 50, 50 + 2 * frame)) for frame in range(FRAMES)])
    segs, hook = segs_of(masks), Recorder()
    made, details, pipe, hints = detailed(clip, segs, unet, detailer_hook=hook)
    assert pipe is unet and [list(hint.shape) for hint in hints] == [[1, 64, 64, 3]]
    assert hook.names.count("pre_ksample") == 1 and len(hook.all("post_encode")[0]["samples"]) == FRAMES
    assert unchanged_outside(made, clip, near(masks, 4))
    assert details[1][0].cropped_image.shape[0] == FRAMES
    # as ComfyUI's KSampler: a frame's noise is its part of that for the batch, so the first is as when it comes alone
    still = NODE_CLASS_MAPPINGS["DetailerForEachPipe"]()
    for frame in (0, 1):
        seg = segs[1][0]._replace(cropped_mask=seg_mask(segs[1][0])[frame].numpy())
        alone = still.doit(
            image=clip[frame : frame + 1], segs=(segs[0], [seg]), basic_pipe=unet, feather=4, noise_mask=True,
            force_inpaint=True, wildcard="", cycle=1, **WIDGETS,
        )[0]  # fmt: skip
        off = float((made[frame] - alone[0]).abs().max())
        assert off < 1e-3 if frame == 0 else off > 1e-2


def test_every_part_has_the_same_seed(unet: Pipe, clip: torch.Tensor) -> None:
    hook = Recorder()
    detailed(clip, segs_of(mask_of(*SIZE, BOX, OTHER).repeat(FRAMES, 1, 1)), unet, detailer_hook=hook)
    assert hook.all("pre_ksample", 1) == [7, 7]


def test_pasted_later_equals_pasted_at_once(unet: Pipe, clip: torch.Tensor) -> None:
    segs = segs_of(mask_of(*SIZE, BOX).repeat(FRAMES, 1, 1))
    apart, hints = node("SEGSDetailerForAnimateDiff").doit(clip, segs, unet, **WIDGETS)
    assert [list(hint.shape) for hint in hints] == [[1, 64, 64, 3]]
    pasted = node("SEGSPaste").doit(clip, apart, 4)[0]
    assert torch.allclose(pasted, detailed(clip, segs, unet)[0], atol=1e-6)
    again = node("SEGSDetailerForAnimateDiff").doit(clip, apart, unet, **WIDGETS)[0]
    assert again[1][0].cropped_image.shape[0] == FRAMES


def test_one_mask_serves_all_frames_and_no_segments_leave_the_clip(unet: Pipe, clip: torch.Tensor) -> None:
    one = segs_of(mask_of(*SIZE, BOX))
    made = detailed(clip, one, unet)[0]
    assert torch.allclose(made, detailed(clip, segs_of(mask_of(*SIZE, BOX).repeat(FRAMES, 1, 1)), unet)[0], atol=1e-6)
    assert torch.equal(detailed(clip, (SIZE, []), unet)[0], clip)


def test_prompts_for_each_frame(unet: Pipe, clip: torch.Tensor) -> None:
    """What ComfyUI hands out frame by frame goes to the sampler as it is."""
    embedding, options = unet[3][0]
    travelling = (*unet[:3], [[torch.cat([embedding, embedding.neg(), embedding]), options]], unet[4])
    segs = segs_of(mask_of(*SIZE, BOX).repeat(FRAMES, 1, 1))
    made, plain = detailed(clip, segs, travelling)[0], detailed(clip, segs, unet)[0]
    off = (made - plain).abs().amax(dim=(1, 2, 3))
    assert float(off[0]) < 1e-4 and float(off[2]) < 1e-4 and float(off[1]) > 1e-3
