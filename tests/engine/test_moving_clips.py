"""MaskDetailer (clip): with an image model as the still detailer in a window that moves, or a video model."""

from __future__ import annotations

import asyncio
from typing import Any

import comfy.samplers
import cv2
import numpy as np
import pytest
import torch
from engine.families import FAMILIES
from engine.running import SMALL, detail, near, unchanged_outside
from engine.tiny_models import Pipe, mask_of, picture
from mask_detailer.core import mask_to_segs
from mask_detailer.detailer.options import DenoiseOptions, DetailOptions
from mask_detailer.nodes import NODE_CLASS_MAPPINGS
from mask_detailer.nodes.validate import InputError
from support.moving import MOTIONS, moving_scene

SIZE, FRAMES = (96, 112), 5
WIDGETS: dict[str, Any] = {name: value for name, value in SMALL.items() if name != "batch_size"} | dict(
    smoothing=1.0, gap=4, cut_threshold=1.0, fade=0, span=81, overlap=16
)
BOX = (20, 20, 50, 50)


def node(name: str) -> Any:
    return NODE_CLASS_MAPPINGS[name]()


def detailed(clip: torch.Tensor, pipe: Any, **changes: Any) -> Any:
    """The node's outputs; what it makes is within 0..1, and the clip stays."""
    before = clip.clone()
    made = node("MaskDetailerClip").doit(image=clip, basic_pipe=pipe, **(WIDGETS | changes))
    assert torch.equal(clip, before) and float(made[0].min()) >= 0.0 and float(made[0].max()) <= 1.0
    assert made[3].shape[0] == 1 and made[3].shape[-1] == 3
    return made


@pytest.fixture(scope="module")
def still() -> torch.Tensor:
    return picture(*SIZE, 1).repeat(FRAMES, 1, 1, 1)


@pytest.fixture(scope="module")
def moving() -> tuple[torch.Tensor, torch.Tensor]:
    """A picture that moves by half a pixel a frame, and a mask that moves with it but for its shaking."""
    large = picture(2 * SIZE[0], 2 * SIZE[1], 1)
    mask = mask_of(2 * SIZE[0], 2 * SIZE[1], tuple(2 * side for side in BOX))
    frames = [torch.roll(large, i, 2) for i in range(FRAMES)]
    masks = [torch.roll(mask, i + (0, 2, -2, 2, 0)[i], 2) for i in range(FRAMES)]
    return (
        torch.cat([frame.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).mean(dim=(2, 4)) for frame in frames]),
        torch.cat([(one.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).mean(dim=(2, 4)) > 0.5).float() for one in masks]),
    )


@pytest.mark.parametrize("changes", [{}, {"noise_mask_feather": 6, "cycle": 2}], ids=str)
def test_what_stands_still_is_the_still_detailer_s(unet: Pipe, still: torch.Tensor, changes: Any) -> None:
    mask = mask_of(*SIZE, BOX, (70, 60, 90, 80))
    made = detailed(still, unet, mask=mask, **changes)
    alone = detail(still[:1], mask, unet, **changes).image
    assert torch.equal(made[0], alone.expand_as(made[0]))
    assert len(made[1]) == len(made[2]) == 2 and len(made[1][0]) == FRAMES
    assert "stands still" in made[4]


def test_outside_each_frame_s_own_mask_nothing_changes(unet: Pipe, moving: Any) -> None:
    clip, masks = moving
    made = detailed(clip, unet, mask=masks, denoise=0.8)
    assert "moves" in made[4]
    assert unchanged_outside(made[0], clip, near(masks, WIDGETS["feather"]))
    for frame in range(FRAMES):
        inside = masks[frame] > 0.5
        assert float((made[0][frame] - clip[frame])[inside].abs().mean()) > 0.01


def test_in_its_window_a_part_stays_as_it_is(unet: Pipe, moving: Any) -> None:
    """The same noise at the same place: where the picture is the same in the window, so is what is made of it."""
    clip, masks = moving
    _, before, after, *_ = detailed(clip, unet, mask=masks, denoise=0.8)
    middle = (slice(None), slice(12, -12), slice(12, -12))
    stray = float((before[0][middle] - before[0][middle][:1]).abs().mean())
    steady = float((after[0][middle] - after[0][middle][:1]).abs().mean())
    changed = float((after[0][middle] - before[0][middle]).abs().mean())
    assert stray < 2 / 255 and steady < 0.15 * changed


def test_frames_at_once_come_out_as_one_by_one(unet: Pipe, moving: Any) -> None:
    clip, masks = moving
    one, many = (detailed(clip, unet, mask=masks, crop_batch=batch)[0] for batch in (1, 3))
    assert torch.allclose(one, many, atol=1e-3)


def test_masks_segs_and_track_data_mark_the_same(unet: Pipe, still: torch.Tensor) -> None:
    mask = mask_of(*SIZE, BOX)
    wanted = detailed(still, unet, mask=mask)[0]
    size, segs = mask_to_segs(mask, False, 2.0, False, 2)
    each = segs[0]._replace(cropped_mask=torch.as_tensor(segs[0].cropped_mask).repeat(FRAMES, 1, 1))
    assert torch.equal(detailed(still, unet, segs=(size, segs))[0], wanted)
    assert torch.equal(detailed(still, unet, segs=(size, [each]))[0], wanted)
    assert torch.equal(detailed(still, unet, segs=[(size, segs)] * FRAMES)[0], wanted)
    weights = 2 ** torch.arange(8)
    packed = (mask.reshape(SIZE[0], -1, 8) * weights).sum(-1).to(torch.uint8)[None, None].repeat(FRAMES, 1, 1, 1)
    data = {"packed_masks": packed, "orig_size": SIZE, "n_frames": FRAMES, "scores": []}
    assert torch.equal(detailed(still, unet, track_data=data)[0], wanted)
    nothing = detailed(still, unet, track_data=data | {"packed_masks": None})
    assert torch.equal(nothing[0], still) and [list(one.shape) for one in nothing[1]] == [[1, 64, 64, 3]]


def test_a_list_of_segs_is_a_clip_s_frames_and_lists_of_clips_are_one_by_one(unet: Pipe, moving: Any) -> None:
    """Through ComfyUI's own call: a detector gives one SEGS for each of a list of pictures."""
    clip, masks = moving
    segs = [mask_to_segs(mask[None], False, 2.0, False, 2) for mask in masks]
    given = {"image": clip, "basic_pipe": unet, **WIDGETS}
    lists = {name: [value] for name, value in given.items()}
    made = called("MaskDetailerClip", lists | {"segs": segs})
    assert torch.equal(made[0][0], detailed(clip, unet, mask=masks)[0]) and len(made[0]) == len(made[3]) == 1
    both = called("MaskDetailerClip", lists | {"image": [clip, clip.flip(1)], "mask": [masks, masks.flip(1)]})
    assert torch.equal(both[0][0], made[0][0]) and len(both[0]) == len(both[1]) == len(both[4]) == 2
    shown = called("MaskDetailerClipPlan", lists | {"segs": segs})
    assert shown[0] == made[4] and torch.equal(shown[1][0], made[3][0])


def called(node_id: str, lists: dict[str, list[Any]]) -> list[list[Any]]:
    import execution

    own = {name: values for name, values in lists.items() if name in any_input(node_id)}
    outputs, *_ = asyncio.run(execution.get_output_data("prompt", "7", node(node_id), own))
    return outputs


def any_input(node_id: str) -> set[str]:
    types = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    return {name for group in ("required", "optional") for name in types[group]}


def test_a_part_fades_in_and_out_within_a_shot(unet: Pipe, still: torch.Tensor) -> None:
    clip = still.repeat(2, 1, 1, 1)
    masks = mask_of(*SIZE, BOX).repeat(10, 1, 1)
    masks[:2] = masks[8:] = 0.0
    made = detailed(clip, unet, mask=masks, fade=2, denoise=0.8)[0]
    change = (made - clip).abs().mean(dim=(1, 2, 3))
    assert change[:2].max() == 0.0 == change[8:].max()
    assert float(change[2] / change[5]) == pytest.approx(1 / 3, rel=0.01) == float(change[7] / change[5])
    assert float(change[3] / change[5]) == pytest.approx(2 / 3, rel=0.01)


def test_a_part_out_of_sight_is_not_painted_on_what_is_behind_it(unet: Pipe) -> None:
    scene = moving_scene(0, MOTIONS["translate"], 6, hidden=(2, 3))
    clip, masks = torch.from_numpy(scene.bad), torch.from_numpy(scene.masks)
    change = (detailed(clip, unet, mask=masks, fade=1, denoise=0.8)[0] - clip).abs().amax(dim=(1, 2, 3))
    assert change[2] == change[3] == 0.0
    assert change[[0, 1, 4, 5]].min() > 0.02
    kept = detailed(clip[[0, 1, 1, 1, 4, 5]], unet, mask=masks, fade=1, denoise=0.8)[0]  # seen, though not marked
    assert (kept[2] - clip[1]).abs().max() > 0.02


def test_the_plan_is_what_is_done(unet: Pipe, moving: Any) -> None:
    clip, masks = moving
    wanted = detailed(clip, unet, mask=masks)
    names = ("guide_size", "guide_size_for", "max_size", "seed", "feather", "crop_factor", "drop_size", "smoothing",
             "gap", "cut_threshold")  # fmt: skip
    shown = node("MaskDetailerClipPlan").doit(
        image=clip, basic_pipe=unet, mask=masks, **{name: WIDGETS[name] for name in names}
    )
    assert shown["result"][0] == wanted[4] and torch.equal(shown["result"][1], wanted[3])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": torch.ones(3, *SIZE)}, "input 'mask': 3 masks for 5 frames"),
        ({"track_data": [1]}, "input 'track_data': a list is no SAM3_TRACK_DATA"),
        ({"track_data": {"packed_masks": torch.zeros(2, 1, 8, 1, dtype=torch.uint8), "orig_size": SIZE}}, "2 frames"),
        ({"segs": (SIZE, [mask_to_segs(mask_of(*SIZE, BOX), False, 2.0, False)[1][0]._replace(
            cropped_mask=torch.ones(3, 60, 60))])}, "input 'segs': the cropped_mask of segment 1 has 3 frames"),
        ({"segs": [(SIZE, [])] * 4}, "input 'segs': a list of 4 SEGS for 5 frames"),
        ({"segs": [(SIZE, [])] * 2 + [5] + [(SIZE, [])] * 2}, r"input 'segs \(frame 3\)': "),
        ({"segs": [(SIZE, [])] * 4 + [(SIZE, [mask_to_segs(mask_of(*SIZE, BOX), False, 2.0, False)[1][0]._replace(
            cropped_mask=torch.ones(5, 60, 60))])]}, r"input 'segs \(frame 5\)': .* segment 1 has 5 frames, a frame's"),
    ],
    ids=["masks", "no tracks", "tracks", "segs", "list", "no segs in it", "frames in it"],
)  # fmt: skip
def test_other_numbers_of_frames_are_refused(unet: Pipe, still: torch.Tensor, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        detailed(still, unet, **given)


def test_residual_paste_leaves_what_nothing_changed(unet: Pipe, moving: Any, wan: Any) -> None:
    clip, masks = moving
    for pipe in (unet, wan):
        options = DetailOptions(paste="residual")
        kept = detailed(clip, pipe, mask=masks, denoise=0.0, detail_options=options)[0]
        assert (kept - clip).abs().max() < 1e-5
        assert (detailed(clip, pipe, mask=masks, denoise=0.0)[0] - clip).abs().max() > 0.01
        assert (detailed(clip, pipe, mask=masks, denoise=0.8, detail_options=options)[0] - clip).abs().max() > 0.01


def test_denoise_by_noise_level_counts_for_video_models(wan: Any, moving: Any) -> None:
    clip, masks = moving
    by_noise = DetailOptions(denoise=DenoiseOptions(scale="noise_level"))
    made = [detailed(clip, wan, mask=masks, denoise=0.3, detail_options=one)[0] for one in (DetailOptions(), by_noise)]
    assert not torch.equal(*made) and all(bool(one.isfinite().all()) for one in made)


@pytest.mark.parametrize("model", ["unet", "wan"])
def test_denoise_by_size_follows_the_part_from_frame_to_frame(request: pytest.FixtureRequest, model: str) -> None:
    """A part that comes nearer, by 8 % a frame: an image model's denoise goes with 1 / sqrt(side)."""
    large = picture(3 * SIZE[0], 3 * SIZE[1], 1)[0].numpy()
    cover = mask_of(3 * SIZE[0], 3 * SIZE[1], (132, 108, 204, 180))[0].numpy()
    zooms = [1.08**index for index in range(FRAMES)]
    places = [np.array([[z / 3, 0, 56 - 56 * z], [0, z / 3, 48 - 48 * z]]) for z in zooms]
    shown = [[cv2.warpAffine(one, place, SIZE[::-1], flags=cv2.INTER_AREA) for place in places]
             for one in (cv2.GaussianBlur(large, (0, 0), 2), cover)]  # fmt: skip
    clip, masks = (torch.from_numpy(np.stack(one)) for one in shown)
    denoises: list[float] = []

    class Recorder:
        def pre_ksample(self, *call: Any) -> Any:
            denoises.append(call[-1])
            return call

    options = DetailOptions(denoise=DenoiseOptions("less_for_larger", 16))
    pipe = request.getfixturevalue(model)
    made = detailed(
        clip, pipe, mask=(masks > 0.5).float(), denoise=0.8, detail_options=options, detailer_hook=Recorder()
    )
    assert "moves" in made[4]
    if model == "wan":
        assert len(denoises) == 1
        return
    assert len(denoises) == FRAMES and denoises == sorted(denoises, reverse=True)
    expected = [denoises[0] / z**0.5 for z in zooms]
    assert denoises == pytest.approx(expected, abs=0.012)
    assert denoises[-1] == pytest.approx(0.8 * (16 / (24 * zooms[-1])) ** 0.5, abs=0.03)


def test_what_does_nothing_in_clips_is_told_once(unet: Pipe, wan: Any, moving: Any, told: Any) -> None:
    clip, masks = moving
    options = DetailOptions(best_of=3, overlaps="together", retries=1, references="crop_uncorrected")
    for pipe, wanted in ((unet, "best_of, overlaps"), (wan, "best_of, overlaps, references crop")):
        told.clear()
        detailed(clip, pipe, mask=masks, detail_options=options)
        said = [line for line in told.messages if "in a clip these do nothing" in line]
        assert said == [f"MaskDetailerClip: in a clip these do nothing: {wanted}"]


class Hook:
    """Skips sampling where it is told to, and counts the noise levels that its sampler gets."""

    def __init__(self, skips: bool) -> None:
        self.skips, self.levels = skips, []

    def get_skip_sampling(self) -> bool:
        return self.skips

    def get_custom_sampler(self) -> Any:
        return self

    def sample(self, guider: Any, sigmas: torch.Tensor, *given: Any) -> torch.Tensor:
        self.levels.append(len(sigmas))
        return comfy.samplers.sampler_object("euler").sample(guider, sigmas, *given)


def test_hooks_have_their_say_with_video_models(wan: Any, moving: Any) -> None:
    clip, masks = moving
    samples, skips = Hook(False), Hook(True)
    detailed(clip, wan, mask=masks, detailer_hook=samples)
    assert samples.levels
    kept = detailed(clip, wan, mask=masks, detailer_hook=skips, sampler_name="dpmpp_2m")[0]
    assert not skips.levels and (kept - clip).abs().max() < 0.1  # resampled alone
    assert unchanged_outside(kept, clip, near(masks, WIDGETS["feather"]))


# --- video models -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wan() -> Any:
    return next(family for family in FAMILIES if family.name == "wan").pipe


@pytest.fixture
def latents(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes that the sampler is given."""
    from mask_detailer.detailer import host

    shapes: list[torch.Size] = []
    own = host.sampling.sample

    def sample(guidance: Any, latent: Any, *others: Any) -> torch.Tensor:
        shapes.append(latent["samples"].shape)
        return own(guidance, latent, *others)

    monkeypatch.setattr(host.sampling, "sample", sample)
    return shapes


@pytest.mark.parametrize(("frames", "cells"), [(1, 1), (5, 2), (6, 3)])
def test_a_video_model_gets_all_frames_as_one_clip(wan: Any, latents: Any, frames: int, cells: int) -> None:
    clip = torch.cat([picture(*SIZE, 1 + frame) for frame in range(frames)])
    masks = mask_of(*SIZE, BOX).repeat(frames, 1, 1)
    made = detailed(clip, wan, mask=masks, denoise=0.8)[0]
    assert [shape[:3] for shape in latents] == [(1, 16, cells)]
    assert bool(torch.isfinite(made).all()) and unchanged_outside(made, clip, near(masks, WIDGETS["feather"]))
    change = (made - clip).abs()[:, 25:45, 25:45].mean(dim=(1, 2, 3))
    assert float(change.min()) > 1e-3


def test_a_span_of_the_whole_clip_is_one_call_and_shorter_ones_are_blended(wan: Any, latents: Any) -> None:
    clip = picture(*SIZE, 1).repeat(13, 1, 1, 1)  # 4 latent frames
    mask = mask_of(*SIZE, BOX)
    whole = detailed(clip, wan, mask=mask, span=81)[0]
    assert torch.equal(detailed(clip, wan, mask=mask, span=13)[0], whole)
    latents.clear()
    parts = detailed(clip, wan, mask=mask, span=9, overlap=5)[0]
    assert [shape[2] for shape in latents] == [3]  # a span of three of four
    assert bool(torch.isfinite(parts).all())

    def steps(made: torch.Tensor) -> torch.Tensor:
        return made.diff(dim=0).abs().mean(dim=(1, 2, 3))

    # at no frame is there more of a step than without spans
    assert float((steps(parts) - steps(whole)).max()) < 1 / 255


def test_an_image_model_with_a_time_axis_gets_frames_one_by_one(latents: Any) -> None:
    pipe = next(family for family in FAMILIES if family.name == "qwen image").pipe
    clip = torch.cat([picture(*SIZE, 1 + frame) for frame in range(2)])
    detailed(clip, pipe, mask=mask_of(*SIZE, BOX))
    assert [shape[:3] for shape in latents] == [(1, 16, 1)] * 2
